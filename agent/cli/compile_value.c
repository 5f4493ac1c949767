// SPDX-License-Identifier: Apache-2.0
/* compile_value.c - one value of each type of option: check, then normal form. svid compile. Next: compile_selector.c. */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/terms.h"

json_t *made(struct ctx *x, json_t *j)
{
	if (!j)
		x->c->no_memory = true;
	return j;
}

static const char *type_of(const struct ynode *n)
{
	if (n->type == Y_LIST)
		return "a list";
	return n->type == Y_MAP ? "a map" : "a single value";
}

static json_t *wrong(struct ctx *x, const struct option_row *row, const struct ynode *n, const char *why)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	buf_printf(&text, "%s: ", row->path);
	if (n->type == Y_SCALAR) {
		put_quoted(&text, n->text);
		buf_put_str(&text, ": ");
	}
	buf_put_str(&text, why);
	ctx_say(x, n->mark, false, &text);
	return NULL;
}

static bool is_scalar(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	if (n->type == Y_BAD)
		return false;
	if (n->type != Y_SCALAR)
		ctx_error(x, n->mark, "%s: a single value is wanted, not %s", row->path, type_of(n));
	else if (ynode_is_null(n))
		ctx_error(x, n->mark, "%s: there is no value", row->path);
	else
		return true;
	return false;
}

/* Length and content of a text; false when it was reported. */
static bool is_text(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	const char *why;

	if (!is_scalar(x, row, n))
		return false;
	if (ynode_is_other(n)) {
		wrong(x, row, n, "a text is wanted: YAML reads this as a number or truth value, put it in quotes");
		return false;
	}
	if ((int64_t)n->text.len < row->min || (row->max && (int64_t)n->text.len > row->max)) {
		ctx_error(x, n->mark, "%s: %lld to %lld bytes are wanted, not %zu", row->path, (long long)row->min,
			  (long long)row->max, n->text.len);
		return false;
	}
	why = row->why ? row->why(n->text) : NULL;
	if (why)
		wrong(x, row, n, why);
	return !why;
}

static json_t *text_json(struct ctx *x, const struct ynode *n)
{
	return made(x, json_stringn((const char *)n->text.p, n->text.len));
}

static json_t *get_text(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	return is_text(x, row, n) ? text_json(x, n) : NULL;
}

static json_t *get_word(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	if (!is_scalar(x, row, n))
		return NULL;
	if (term_word_in(row->words, n->text))
		return text_json(x, n);
	ctx_error(x, n->mark, "%s: one of %s is wanted", row->path, row->words);
	return NULL;
}

static json_t *in_range(struct ctx *x, const struct option_row *row, const struct ynode *n, int64_t v, const char *unit)
{
	if (v >= row->min && v <= row->max)
		return made(x, json_integer(v));
	ctx_error(x, n->mark, "%s: out of range: %lld to %lld%s are possible", row->path, (long long)row->min,
		  (long long)row->max, unit);
	return NULL;
}

static json_t *get_number(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	struct slice digits = n->text;
	bool minus;
	uint64_t v;

	if (!is_scalar(x, row, n))
		return NULL;
	minus = digits.len && digits.p[0] == '-';
	if (minus)
		(void)slice_get_bytes(&digits, 1);
	if (!n->plain || slice_u64_dec(digits, &v) || v > INT32_MAX || (digits.len > 1 && digits.p[0] == '0'))
		return wrong(x, row, n, "a whole decimal number without quotes is wanted");
	return in_range(x, row, n, minus ? -(int64_t)v : (int64_t)v, "");
}

static json_t *get_duration(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	uint64_t v;

	if (!is_scalar(x, row, n))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(units) && n->text.len; i++) {
		struct slice digits = slice_of(n->text.p, n->text.len - 1);

		if (n->text.p[digits.len] != units[i].unit || slice_u64_dec(digits, &v) || v > INT32_MAX)
			continue;
		return in_range(x, row, n, (int64_t)v * units[i].seconds, " seconds");
	}
	return wrong(x, row, n, "a duration is wanted: a number and one of s, m, h, d, such as 1h");
}

static bool is_list(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	if (n->type == Y_BAD)
		return false;
	if (n->type != Y_LIST) {
		ctx_error(x, n->mark, "%s: a list is wanted, not %s", row->path, type_of(n));
		return false;
	}
	if (row->not_empty && !n->count) {
		ctx_error(x, n->mark, "%s: an empty list would allow none, and a missing one allows any: say which", row->path);
		return false;
	}
	if (n->count > row->max_n)
		ctx_error(x, n->mark, "%s: at most %zu items are possible", row->path, row->max_n);
	return n->count <= row->max_n;
}

static bool is_rule(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	if (!is_scalar(x, row, n))
		return false;
	if (term_rule_find(n->text) < RULE_COUNT)
		return true;
	buf_put_str(&text, "unknown rule; known rules:");
	for (unsigned int i = 0; i < RULE_COUNT; i++)
		buf_printf(&text, "%s %s", i ? "," : "", term_rule(i)->name);
	wrong(x, row, n, buf_cstr(&text));
	return false;
}

static json_t *get_list(struct ctx *x, const struct option_row *row, const struct ynode *n,
			bool (*item_ok)(struct ctx *, const struct option_row *, const struct ynode *))
{
	json_t *list;

	if (!is_list(x, row, n))
		return NULL;
	list = made(x, json_array());
	for (const struct ynode *item = n->first; item; item = item->next)
		if (item_ok(x, row, item) && json_array_append_new(list, text_json(x, item)))
			x->c->no_memory = true;
	return list;
}

/* Names are the document's: each once, and as bounded as the texts. */
static void put_text(struct ctx *x, const struct option_row *row, const struct ynode *v, json_t *out)
{
	AUTO(buf) struct buf key = BUF_INIT(MESSAGE_MAX);

	if (!is_text(x, row, v->key) || !is_text(x, row, v))
		return;
	buf_put_slice(&key, v->key->text);
	if (json_object_get(out, text_of(x->c, &key)))
		ctx_error(x, v->key->mark, "%s: a name is there twice", row->path);
	else if (json_object_set_new(out, text_of(x->c, &key), text_json(x, v)))
		x->c->no_memory = true;
}

static json_t *get_text_map(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	json_t *out;

	if (n->type == Y_BAD)
		return NULL;
	if (n->type != Y_MAP || n->count > row->max_n) {
		ctx_error(x, n->mark, "%s: a map of names and texts is wanted, %zu at the most", row->path, row->max_n);
		return NULL;
	}
	out = made(x, json_object());
	for (const struct ynode *v = n->first; v; v = v->next)
		put_text(x, row, v, out);
	return out;
}

json_t *value_json(struct ctx *x, const struct option_row *row, const struct ynode *n)
{
	switch (row->type) {
	case OPT_TEXT:
		return get_text(x, row, n);
	case OPT_WORD:
		return get_word(x, row, n);
	case OPT_NUMBER:
		return get_number(x, row, n);
	case OPT_DURATION:
		return get_duration(x, row, n);
	case OPT_TEXTS:
		return get_list(x, row, n, is_text);
	case OPT_TEXT_MAP:
		return get_text_map(x, row, n);
	case OPT_WORDS:
		return get_list(x, row, n, is_rule);
	case OPT_SELECTORS:
		return selectors_json(x, n);
	default:
		ctx_error(x, n->mark, "%s: %s", row->path, row->help);
		return NULL;
	}
}
