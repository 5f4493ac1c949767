/* SPDX-License-Identifier: Apache-2.0 */
/* view_words.c - the few keys that read better in other words than their own. -o json is not touched. svid. */
#include "agent/cli/view_words.h"

static const char *const seccomp[] = { "off", "strict", "filter", NULL };

/* What is not here is shown as it is called. */
static const struct word {
	const char *key;
	const char *label;	   /* NULL: the key */
	const char *yes;	   /* NULL: "yes" */
	bool hide_no;		   /* false is not worth a line */
	bool hex;
	const char *const *values; /* of numbers, by index; NULL-terminated */
} words[] = {
	{ .key = "spiffe_id", .label = "SPIFFE ID" },
	{ .key = "uuid", .label = "directory of its files" },
	{ .key = "not_traced_waived", .label = "tracing", .hide_no = true,
	  .yes = "not checked: this tier cannot see it (write not-traced into require to refuse instead)" },
	{ .key = "stale", .hide_no = true, .yes = "yes: the file has an error; this is the last good version" },
	{ .key = "default", .yes = "yes (not written)" },
	{ .key = "capabilities", .hex = true },
	{ .key = "seccomp", .values = seccomp },
	{ .key = "tier_notes", .label = "better tiers, not in use" },
	{ .key = "tree", .label = "SVIDs as files" },
	{ .key = "cloud", .label = "credentials of clouds" },
	{ .key = "notes", .label = "not in use" },
	{ .key = "not_enforced", .label = "not enforced in this tier" },
	{ .key = "whole", .label = "evidence whole" },
	{ .key = "holds", .label = "held back by" },
	{ .key = "errors", .label = "errors and warnings" },
	{ .key = "uptime_s", .label = "uptime (seconds)" },
	{ .key = "last_good_ms", .label = "last good (ms ago)" },
	{ .key = "observed_why", .label = "which means" },
	{ .key = "start", .label = "start (ns after boot)" },
	{ .key = "exec_time", .label = "exec (ns after boot)" },
	{ .key = "execve_path", .label = "path given to execve" },
	{ .key = "argv_bytes", .label = "bytes of argv" },
	{ .key = "sets", .label = "selectors (any set is enough)" },
	{ .key = "selectors", .label = "all of" },
};

static const struct word *find(const char *key)
{
	for (size_t i = 0; key && i < ARRAY_SIZE(words); i++)
		if (strcmp(words[i].key, key) == 0)
			return &words[i];
	return NULL;
}

void words_key(struct buf *out, const char *key)
{
	const struct word *w = find(key);

	if (w && w->label) {
		buf_put_str(out, w->label);
		return;
	}
	for (; *key; key++) {
		char c = *key == '_' ? ' ' : *key;

		buf_put_esc(out, slice_of(&c, 1));
	}
}

static void put_number(struct buf *out, const struct word *w, json_int_t n)
{
	json_int_t named = 0;

	while (w && w->values && w->values[named])
		named++;
	if (n >= 0 && n < named)
		buf_put_str(out, w->values[n]);
	else
		buf_printf(out, w && w->hex ? "0x%llx" : "%lld", (long long)n);
}

void words_value(struct buf *out, const char *key, const json_t *v)
{
	const struct word *w = find(key);

	if (json_is_string(v) && json_string_length(v))
		buf_put_esc(out, slice_of(json_string_value(v), json_string_length(v)));
	else if (json_is_integer(v))
		put_number(out, w, json_integer_value(v));
	else if (json_is_real(v))
		buf_printf(out, "%g", json_real_value(v));
	else if (json_is_boolean(v))
		buf_put_str(out, json_is_false(v) ? "no" : w && w->yes ? w->yes : "yes");
	else
		buf_put_str(out, "-");
}

bool words_hide(const char *key, const json_t *v)
{
	const struct word *w = find(key);

	return w && w->hide_no && json_is_false(v);
}

static bool is_plain(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= 'A' && s.p[i] <= 'Z') &&
		    !(s.p[i] >= '0' && s.p[i] <= '9') && !(s.p[i] && strchr("_@%+=:,./-", s.p[i])))
			return false;
	return s.len > 0;
}

static void put_quoted(struct buf *out, struct slice s)
{
	buf_put_u8(out, '\'');
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\'')
			buf_put_str(out, "\\x27");
		else
			buf_put_esc(out, slice_of(s.p + i, 1));
	}
	buf_put_u8(out, '\'');
}

void words_argv(struct buf *out, const json_t *list)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item) {
		struct slice s = slice_of(json_string_value(item), json_string_length(item));

		buf_put_str(out, i ? " " : "");
		if (is_plain(s))
			buf_put_slice(out, s);
		else
			put_quoted(out, s);
	}
}
