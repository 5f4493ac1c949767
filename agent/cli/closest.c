/* SPDX-License-Identifier: Apache-2.0 */
/* closest.c - of all documents the few that nearly match a caller, and what each of them asks for in vain. svid. */
#include "agent/cli/closest.h"

#define SHOWN 3
#define WANTED_SHOWN 3
#define LINE_BYTES (1u << 16)

/* Another executable is another program: a document for this one with any other difference is nearer. */
#define COST_PATH 100u

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static bool fails(const json_t *selector_or_rule)
{
	return json_is_false(json_object_get(selector_or_rule, "ok"));
}

static unsigned int cost_of(const json_t *list)
{
	const json_t *item;
	unsigned int cost = 0;
	size_t i;

	json_array_foreach(list, i, item)
		if (fails(item))
			cost += strcmp(text_of(item, "key"), "unix:path") == 0 ? COST_PATH : 1;
	return cost;
}

/* Any set is enough, so the nearest one is what counts. */
static const json_t *nearest_set(const json_t *doc, unsigned int *ret_cost)
{
	const json_t *set, *best = NULL;
	size_t i;

	*ret_cost = 0;
	json_array_foreach(json_object_get(doc, "sets"), i, set) {
		unsigned int cost = cost_of(json_object_get(set, "selectors"));

		if (best && cost >= *ret_cost)
			continue;
		best = set;
		*ret_cost = cost;
	}
	*ret_cost += cost_of(json_object_get(doc, "require"));
	return best;
}

static void put_wanted(struct buf *out, const json_t *wanted)
{
	const json_t *value;
	size_t i;

	json_array_foreach(wanted, i, value) {
		if (i == WANTED_SHOWN) {
			buf_put_str(out, " or others");
			break;
		}
		buf_put_str(out, i ? " or " : "");
		buf_put_esc(out, slice_of(json_string_value(value), json_string_length(value)));
	}
}

static void put_selector(struct buf *out, const json_t *s)
{
	const char *found = text_of(s, "found"), *why = text_of(s, "why");
	bool differs = *found && (!*why || strcmp(why, "different") == 0);

	buf_put_esc(out, slice_str(text_of(s, "key")));
	buf_put_str(out, differs ? " is " : ": ");
	buf_put_esc(out, slice_str(differs ? found : *why ? why : "not there"));
	buf_put_str(out, differs ? ", not " : ", wanted is ");
	put_wanted(out, json_object_get(s, "wanted"));
}

static void put_rule(struct buf *out, const json_t *rule)
{
	buf_put_esc(out, slice_str(text_of(rule, "rule")));
	buf_put_str(out, ": ");
	buf_put_esc(out, slice_str(*text_of(rule, "why") ? text_of(rule, "why") : "not so"));
}

static void put_failing(struct buf *out, const json_t *list, void (*put)(struct buf *out, const json_t *item))
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
		if (fails(item)) {
			buf_put_str(out, out->len ? "; " : "");
			put(out, item);
		}
}

static void put_document(struct buf *out, const json_t *doc, size_t width)
{
	AUTO(buf) struct buf line = BUF_INIT(LINE_BYTES);
	AUTO(buf) struct buf name = BUF_INIT(LINE_BYTES);
	unsigned int cost;
	const json_t *set = nearest_set(doc, &cost);

	put_failing(&line, json_object_get(set, "selectors"), put_selector);
	put_failing(&line, json_object_get(doc, "require"), put_rule);
	buf_put_esc(&name, slice_str(text_of(doc, "name")));
	buf_printf(out, "  %-*s  ", (int)width, buf_cstr(&name));
	buf_put_slice(out, buf_slice(&line));
	buf_put_u8(out, '\n');
}

/* The nearest of them, at most SHOWN, in order; documents of the same cost stay in theirs. */
static size_t choose(const json_t *documents, const json_t *best[static SHOWN])
{
	unsigned int costs[SHOWN] = { 0 };
	const json_t *doc;
	size_t i, n = 0;

	json_array_foreach(documents, i, doc) {
		unsigned int cost;
		size_t at;

		(void)nearest_set(doc, &cost);
		for (at = n; cost && at && costs[at - 1] > cost; at--)
			;
		if (!cost || at == SHOWN)
			continue;
		n += n < SHOWN;
		for (size_t k = n - 1; k > at; k--) {
			best[k] = best[k - 1];
			costs[k] = costs[k - 1];
		}
		best[at] = doc;
		costs[at] = cost;
	}
	return n;
}

void closest_put(struct buf *out, const json_t *documents)
{
	const json_t *best[SHOWN];
	size_t n = choose(documents, best), width = 0;

	for (size_t i = 0; i < n; i++)
		width = strlen(text_of(best[i], "name")) > width ? strlen(text_of(best[i], "name")) : width;
	if (n)
		buf_put_str(out, n < json_array_size(documents) ? "what is missing, in the nearest documents:\n"
								: "what is missing:\n");
	for (size_t i = 0; i < n; i++)
		put_document(out, best[i], width);
}
