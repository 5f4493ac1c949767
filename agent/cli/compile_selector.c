// SPDX-License-Identifier: Apache-2.0
/*
 * compile_selector.c - spec.selectors: known keys, values that can match, and warnings. svid compile.
 * Next: agent/ipc/terms.def.
 */
#include "agent/base/limits.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/terms.h"

static void say(struct ctx *x, const struct ynode *n, struct slice key, struct slice value, const char *why,
		const char *words)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	buf_put_str(&text, "selector ");
	put_quoted(&text, key);
	if (value.p) {
		buf_put_str(&text, ": ");
		put_quoted(&text, value);
	}
	buf_printf(&text, ": %s", why);
	if (words && *words)
		buf_printf(&text, ": %s", words);
	ctx_say(x, n->mark, false, &text);
}

static void warn(struct ctx *x, const struct ynode *n, const char *why)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	buf_put_str(&text, why);
	ctx_say(x, n->mark, true, &text);
}

static void add_value(struct ctx *x, unsigned int id, const struct ynode *n, struct slice key, json_t *list)
{
	const char *why = NULL;

	if (n->type == Y_BAD)
		return;
	if (n->type != Y_SCALAR || ynode_is_null(n)) {
		say(x, n, key, (struct slice){ 0 }, "a value, or a list of values, is wanted", NULL);
		return;
	}
	why = term_value_why(id, n->text);
	if (why) {
		say(x, n, key, n->text, why, term_selector(id)->words);
		return;
	}
	if (json_array_append_new(list, json_stringn((const char *)n->text.p, n->text.len)))
		x->c->no_memory = true;
}

static json_t *values_json(struct ctx *x, unsigned int id, const struct ynode *n)
{
	json_t *list = made(x, json_array());

	if (n->type != Y_LIST) {
		add_value(x, id, n, n->key->text, list);
		return list;
	}
	if (!n->count || n->count > LIM_SELECTOR_VALUES)
		ctx_error(x, n->mark, "a list of 1 to %d values is wanted", LIM_SELECTOR_VALUES);
	for (const struct ynode *v = n->first; v && n->count <= LIM_SELECTOR_VALUES; v = v->next)
		add_value(x, id, v, n->key->text, list);
	return list;
}

/* The number of the key, SEL_COUNT when it was reported. */
static unsigned int key_id(struct ctx *x, const struct ynode *key)
{
	unsigned int id;
	const char *why;

	if (key->type == Y_BAD)
		return SEL_COUNT;
	if (key->type != Y_SCALAR) {
		ctx_error(x, key->mark, "a selector's key is plain text");
		return SEL_COUNT;
	}
	id = term_selector_find(key->text);
	if (id < SEL_COUNT)
		return id;
	why = term_selector_refused(key->text);
	say(x, key, key->text, (struct slice){ 0 }, why ? why : "unknown selector", NULL);
	return SEL_COUNT;
}

static void judge_set(struct ctx *x, const struct ynode *n, unsigned int flags)
{
	const unsigned int program = TERM_F_PATH | TERM_F_DIGEST;

	if ((flags & TERM_F_INTENT) && !(flags & program))
		ctx_error(x, n->mark,
			  "kernel:script is a statement of intent: it counts only beside path or digest of the interpreter");
	if ((flags & TERM_F_PATH) && !(flags & (TERM_F_UNIT | TERM_F_DIGEST)))
		warn(x, n,
		     "a path without a digest, unit or container selector: whoever may write that file is this identity");
	if ((flags & TERM_F_ARGV) && !(flags & program))
		warn(x, n, "arguments without a path: whoever starts a program chooses them");
}

static json_t *set_json(struct ctx *x, const struct ynode *n)
{
	struct mark seen[SEL_COUNT] = { { 0 } };
	json_t *map = made(x, json_object());
	unsigned int flags = 0;

	for (const struct ynode *v = n->first; v; v = v->next) {
		unsigned int id = key_id(x, v->key);

		if (id == SEL_COUNT)
			continue;
		if (seen[id].line) {
			ctx_error(x, v->key->mark, "selector %s is there twice, first in line %u", term_selector(id)->key,
				  seen[id].line);
			continue;
		}
		seen[id] = v->key->mark;
		flags |= term_selector(id)->flags;
		if (json_object_set_new(map, term_selector(id)->key, values_json(x, id, v)))
			x->c->no_memory = true;
	}
	judge_set(x, n, flags);
	return map;
}

json_t *selectors_json(struct ctx *x, const struct ynode *n)
{
	json_t *list;

	if (n->type == Y_BAD)
		return NULL;
	if (n->type != Y_LIST || !n->count || n->count > LIM_SELECTOR_SETS) {
		ctx_error(x, n->mark, "spec.selectors: a list of 1 to %d maps is wanted", LIM_SELECTOR_SETS);
		return NULL;
	}
	list = made(x, json_array());
	for (const struct ynode *set = n->first; set; set = set->next) {
		if (set->type == Y_BAD)
			continue;
		if (set->type != Y_MAP || !set->count || set->count > LIM_SELECTOR_KEYS)
			ctx_error(x, set->mark,
				  "spec.selectors: a map of 1 to %d selectors is wanted: without any it would match everybody",
				  LIM_SELECTOR_KEYS);
		else if (json_array_append_new(list, set_json(x, set)))
			x->c->no_memory = true;
	}
	return list;
}
