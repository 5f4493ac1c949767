/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view.c - the agent's JSON as text. It follows the document's shape and knows no key by name, so what
 * the agent learns to say is shown without a change here. svid.
 */
#include "agent/cli/view.h"

#include "agent/base/err.h"
#include "agent/cli/cli.h"

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

static void put_scalar(struct buf *out, const json_t *v)
{
	if (json_is_string(v))
		buf_put_esc(out, slice_of(json_string_value(v), json_string_length(v)));
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(out, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_put_str(out, json_is_true(v) ? "yes" : "no");
	else
		buf_put_str(out, "-");
}

/* A value that fits behind its key: a scalar, or a list of scalars. */
static void put_inline(struct buf *out, const json_t *v)
{
	size_t i;
	const json_t *item;

	if (is_scalar(v)) {
		put_scalar(out, v);
		return;
	}
	if (!json_array_size(v))
		buf_put_str(out, "-");
	json_array_foreach(v, i, item) {
		buf_put_str(out, i ? ", " : "");
		put_scalar(out, item);
	}
}

#define MAX_INLINE 80 /* bytes of the strings of a list that is written on one line */

static bool is_inline(const json_t *v)
{
	size_t i, n = 0;
	const json_t *item;

	if (!is_scalar_list(v))
		return is_scalar(v);
	json_array_foreach(v, i, item)
		n += json_is_string(item) ? json_string_length(item) : 1;
	return json_array_size(v) < 2 || n <= MAX_INLINE;
}

static void put_key(struct buf *out, const char *key, size_t width)
{
	size_t n = strlen(key);

	for (size_t i = 0; i < n; i++) {
		char c = key[i] == '_' ? ' ' : key[i];

		buf_put_esc(out, slice_of(&c, 1));
	}
	for (; n < width; n++)
		buf_put_u8(out, ' ');
}

static void indent(struct buf *out, unsigned int depth)
{
	for (unsigned int i = 0; i < depth * STEP; i++)
		buf_put_u8(out, ' ');
}

/* The text of one table cell. */
static void cell(struct buf *b, const json_t *v)
{
	buf_reset(b);
	if (v)
		put_inline(b, v);
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
			if (!is_inline(v) || !json_object_get(json_array_get(rows, 0), key))
				return false;
			cell(&text, v);
			if (text.len > MAX_CELL)
				return false;
		}
	}
	return true;
}

static size_t column_width(const json_t *rows, const char *key, struct buf *text)
{
	size_t i, width = strlen(key);
	const json_t *row;

	json_array_foreach(rows, i, row) {
		cell(text, json_object_get(row, key));
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
		cell(&text, json_object_get(row, key));
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

static void put_object(struct buf *out, const json_t *object, unsigned int depth)
{
	json_t *o = (json_t *)(uintptr_t)object; /* jansson's iteration is not const */
	size_t width = 0;
	const char *key;
	json_t *v;

	json_object_foreach(o, key, v)
		if (is_inline(v) && strlen(key) > width)
			width = strlen(key);
	json_object_foreach(o, key, v) {
		indent(out, depth);
		put_key(out, key, is_inline(v) ? width + STEP : 0);
		if (is_inline(v)) {
			put_inline(out, v);
			buf_put_u8(out, '\n');
		} else {
			buf_put_str(out, ":\n");
			put_value(out, v, depth + 1);
		}
	}
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
		put_inline(out, v);
		buf_put_u8(out, '\n');
	}
}

void view_json(struct buf *out, const json_t *root)
{
	put_value(out, root, 0);
}

static int put_json(const char *text, size_t len, void *out)
{
	buf_put(out, text, len);
	return 0;
}

int view_show(struct slice body, bool as_json, const char *what)
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
		(void)json_dump_callback(root, put_json, &out, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		buf_put_str(&out, "\n");
	} else {
		view_json(&out, root);
	}
	json_decref(root);
	return cli_print(&out, CLI_DONE);
}
