/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - the agent's JSON as text. It follows the document's shape, so what the agent learns to say is shown without
 * a change here; view_words.c has better words for some keys. svid.
 */
#include "agent/cli/view.h"

#include "agent/base/err.h"
#include "agent/cli/cli.h"
#include "agent/cli/closest.h"
#include "agent/cli/dump.h"
#include "agent/cli/view_words.h"

#define MAX_COLUMNS 8
#define MAX_CELL 64  /* bytes; a wider value makes blocks instead of a table */
#define MAX_DEPTH 12
#define STEP 2

static bool is_scalar(const json_t *v)
{
	return !json_is_object(v) && !json_is_array(v);
}

static bool is_scalar_list(const json_t *v)
{
	size_t i;
	const json_t *item;

	if (!json_is_array(v))
		return false;
	json_array_foreach(v, i, item)
		if (!is_scalar(item))
			return false;
	return true;
}

/* {"value": X} is a fact, {"unknown": "why"} the lack of one: both fit behind the key of their object. */
static const json_t *fact_of(const json_t *v, const char **ret_prefix)
{
	const json_t *value = json_object_get(v, "value"), *unknown = json_object_get(v, "unknown");

	*ret_prefix = "";
	if (json_object_size(v) != 1 || (!value && !unknown))
		return v;
	if (unknown)
		*ret_prefix = "unknown: ";
	return value ? value : unknown;
}

static bool is_argv(const char *key, const json_t *v)
{
	size_t i;
	const json_t *item;

	if (!key || strcmp(key, "argv") != 0 || !json_array_size(v))
		return false;
	json_array_foreach(v, i, item)
		if (!json_is_string(item))
			return false;
	return true;
}

/* A value that fits behind its key: a scalar, a list of scalars, a fact. */
static void put_inline(struct buf *out, const char *key, const json_t *v)
{
	const char *prefix;
	size_t i;
	const json_t *item;

	v = fact_of(v, &prefix);
	buf_put_str(out, prefix);
	if (is_argv(key, v))
		words_argv(out, v);
	else if (is_scalar(v) || !json_array_size(v))
		words_value(out, key, v);
	else
		json_array_foreach(v, i, item) {
			buf_put_str(out, i ? ", " : "");
			words_value(out, key, item);
		}
}

#define MAX_INLINE 80 /* bytes of the strings of a list that is written on one line */

static bool is_inline(const char *key, const json_t *v)
{
	const char *prefix;
	size_t i, n = 0;
	const json_t *item;

	v = fact_of(v, &prefix);
	if (is_argv(key, v))
		return true;
	if (!is_scalar_list(v))
		return is_scalar(v);
	json_array_foreach(v, i, item)
		n += json_is_string(item) ? json_string_length(item) : 1;
	return json_array_size(v) < 2 || n <= MAX_INLINE;
}

static size_t key_width(const char *key)
{
	AUTO(buf) struct buf label = BUF_INIT(VIEW_MAX);

	words_key(&label, key);
	return label.len;
}

static void put_key(struct buf *out, const char *key, size_t width)
{
	words_key(out, key);
	for (size_t n = key_width(key); n < width; n++)
		buf_put_u8(out, ' ');
}

static void indent(struct buf *out, unsigned int depth)
{
	for (unsigned int i = 0; i < depth * STEP; i++)
		buf_put_u8(out, ' ');
}

/* The text of one table cell. */
static void cell(struct buf *b, const char *key, const json_t *v)
{
	buf_reset(b);
	if (v)
		put_inline(b, key, v);
	else
		buf_put_str(b, "-");
}

/* Rows of one shape, whose values are short: then a table is easier to read than blocks. */
static bool is_table(const json_t *rows)
{
	AUTO(buf) struct buf text = BUF_INIT(VIEW_MAX);
	size_t i, columns = json_object_size(json_array_get(rows, 0));
	const json_t *row, *v;
	const char *key;

	if (!columns || columns > MAX_COLUMNS)
		return false;
	json_array_foreach(rows, i, row) {
		if (!json_is_object(row) || json_object_size(row) > columns)
			return false;
		json_object_foreach((json_t *)(uintptr_t)row, key, v) {
			if (!is_inline(key, v) || !json_object_get(json_array_get(rows, 0), key))
				return false;
			cell(&text, key, v);
			if (text.len > MAX_CELL)
				return false;
		}
	}
	return true;
}

static size_t column_width(const json_t *rows, const char *key, struct buf *text)
{
	size_t i, width = key_width(key);
	const json_t *row;

	json_array_foreach(rows, i, row) {
		cell(text, key, json_object_get(row, key));
		width = text->len > width ? text->len : width;
	}
	return width;
}

static void put_row(struct buf *out, const json_t *rows, const json_t *row, unsigned int depth)
{
	AUTO(buf) struct buf text = BUF_INIT(VIEW_MAX);
	json_t *first = json_array_get(rows, 0);
	size_t column = 0;
	const char *key;
	json_t *unused;

	indent(out, depth);
	json_object_foreach(first, key, unused) {
		size_t width = column_width(rows, key, &text);

		(void)unused;
		width = ++column == json_object_size(first) ? 0 : width + STEP;
		if (!row) {
			put_key(out, key, width);
			continue;
		}
		cell(&text, key, json_object_get(row, key));
		buf_put_slice(out, buf_slice(&text));
		for (size_t n = text.len; n < width; n++)
			buf_put_u8(out, ' ');
	}
	buf_put_u8(out, '\n');
}

static void put_value(struct buf *out, const json_t *v, unsigned int depth);

static void put_list(struct buf *out, const json_t *list, unsigned int depth)
{
	bool table = is_table(list);
	const json_t *item;
	size_t i;

	if (table)
		put_row(out, list, NULL, depth);
	json_array_foreach(list, i, item) {
		if (table) {
			put_row(out, list, item, depth);
		} else {
			if (i && !is_scalar(item))
				buf_put_u8(out, '\n');
			put_value(out, item, depth);
		}
	}
}

static void put_member(struct buf *out, const char *key, const json_t *v, size_t width, unsigned int depth)
{
	indent(out, depth);
	if (is_inline(key, v)) {
		put_key(out, key, width + STEP);
		put_inline(out, key, v);
		buf_put_u8(out, '\n');
	} else {
		words_key(out, key);
		buf_put_str(out, ":\n");
		put_value(out, v, depth + 1);
	}
}

/* What fits on a line first, then the blocks. */
static void put_object(struct buf *out, const json_t *object, unsigned int depth)
{
	json_t *o = (json_t *)(uintptr_t)object; /* jansson's iteration is not const */
	size_t width = 0;
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
		if (is_inline(key, v) && !words_hide(key, v) && key_width(key) > width)
			width = key_width(key);
	json_object_foreach(o, key, v)
		if (is_inline(key, v) && !words_hide(key, v))
			put_member(out, key, v, width, depth);
	json_object_foreach(o, key, v)
		if (!is_inline(key, v))
			put_member(out, key, v, width, depth);
}

static void put_value(struct buf *out, const json_t *v, unsigned int depth)
{
	if (depth > MAX_DEPTH) {
		indent(out, depth);
		buf_put_str(out, "...\n");
	} else if (json_is_object(v)) {
		put_object(out, v, depth);
	} else if (json_is_array(v)) {
		put_list(out, v, depth);
	} else {
		indent(out, depth);
		put_inline(out, NULL, v);
		buf_put_u8(out, '\n');
	}
}

void view_json(struct buf *out, const json_t *root)
{
	put_value(out, root, 0);
}

/* What a caller gets, then why, then the facts that it rests on. */
static const char *const caller_order[] = { "identities", "documents", "documents_left_out", "source" };

static void put_no_identity(struct buf *out, const json_t *root)
{
	buf_put_str(out, "identities  none\n");
	closest_put(out, json_object_get(root, "documents"));
}

void view_caller(struct buf *out, json_t *root)
{
	for (size_t i = 0; i < ARRAY_SIZE(caller_order); i++) {
		const json_t *v = json_object_get(root, caller_order[i]);

		if (!v)
			continue;
		if (i == 0 && json_is_array(v) && !json_array_size(v))
			put_no_identity(out, root);
		else
			put_member(out, caller_order[i], v, key_width(caller_order[i]), 0);
		buf_put_u8(out, '\n');
		(void)json_object_del(root, caller_order[i]);
	}
	put_value(out, root, 0);
}

int view_show(struct slice body, bool as_json, bool caller, const char *what)
{
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	json_error_t why;
	json_t *root = json_loadb((const char *)body.p, body.len, JSON_REJECT_DUPLICATES, &why);

	if (!root) {
		cli_error("the agent's answer is not JSON:", what, why.text, "svid and svidd of different versions?");
		return CLI_AGENT;
	}
	if (as_json) {
		/* Written again, so that what reaches a terminal or a script is ASCII and well-formed. */
		json_put(&out, root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		buf_put_str(&out, "\n");
	} else if (caller && json_is_object(root)) {
		view_caller(&out, root);
	} else {
		view_json(&out, root);
	}
	json_decref(root);
	return cli_print(&out, CLI_DONE);
}
