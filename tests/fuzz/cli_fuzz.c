/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/watch_items.c agent/cli/jwt.c agent/cli/jwt_verify.c agent/cli/jwk.c agent/cli/dump.c agent/cli/x509.c agent/cli/pb_struct.c agent/cli/audit_line.c agent/cli/env_form.c */
/*
 * cli_fuzz.c - what a server that is not ours, or a log that somebody wrote into, makes svid read: the first byte chooses
 * whether it is a message of one of the watches, claims, an audit record, or the env file of cloud credentials.
 */
#include <stdlib.h>

#include "agent/cli/audit_line.h"
#include "agent/cli/env_form.h"
#include "agent/cli/pb_struct.h"
#include "agent/cli/watch_items.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever came, a terminal gets printable ASCII. */
static void check_text(const struct buf *out)
{
	for (size_t i = 0; i < out->len; i++)
		if ((out->data[i] < 0x20 && out->data[i] != '\n') || out->data[i] > 0x7e)
			abort();
}

static void watch(enum watch_kind kind, struct slice message)
{
	static const char *const audiences[] = { "a" };
	AUTO(watch_items) struct watch_items none = { 0 };
	AUTO(watch_items) struct watch_items now = { 0 };
	AUTO(buf) struct buf out = BUF_INIT(8u << 20);

	if (watch_items_read(kind, message, audiences, 1, &now))
		return;
	watch_items_diff(&out, &none, &now, false);
	watch_items_diff(&out, &now, &now, false);
	watch_items_diff(&out, &now, &none, false);
	check_text(&out);
}

/* What comes out is JSON, or the message was refused. jansson takes no NUL in a key, and view_show() says so then. */
static void claims(struct slice message)
{
	AUTO(buf) struct buf out = BUF_INIT(8u << 20);
	json_t *read;

	if (pb_struct_json(&out, message))
		return;
	read = json_loadb((const char *)out.data, out.len, JSON_ALLOW_NUL, NULL);
	if (!read && !memmem(out.data, out.len, "\\u0000", 6))
		abort();
	json_decref(read);
}

static void audit(struct slice line)
{
	const struct audit_filter filter = { .since = 1, .identity = "spiffe://td/a", .denied = true };
	AUTO(buf) struct buf out = BUF_INIT(8u << 20);
	json_t *record = json_loadb((const char *)line.p, line.len, 0, NULL);

	if (json_is_object(record)) {
		(void)audit_wanted(record, &filter);
		audit_put(&out, record);
		check_text(&out);
	}
	json_decref(record);
}

/* What is pasted has a line for each variable, and no more than one. */
static void env(struct slice text)
{
	static const char *const one_line[] = { "sh", "systemd" };
	struct env_vars e = { .tree = "/run/svid/credentials", .note = text };

	if (env_read(text, &e))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(one_line); i++) {
		AUTO(buf) struct buf with = BUF_INIT(8u << 20);
		AUTO(buf) struct buf compose = BUF_INIT(8u << 20);
		size_t lines = 0;

		env_form_put(env_form_at("compose"), &e, &compose);
		check_text(&compose);
		e.note = slice_of(NULL, 0);
		env_form_put(env_form_at(one_line[i]), &e, &with);
		check_text(&with);
		for (size_t k = 0; k < with.len; k++)
			lines += with.data[k] == '\n';
		if (lines != e.n + (i && e.n))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = slice_of(data, size);
	unsigned int what = slice_get_u8(&rest);

	if (!size)
		return 0;
	if (what == 0xff)
		env(rest);
	else if (what % (WATCH_KINDS + 2) == WATCH_KINDS)
		claims(rest);
	else if (what % (WATCH_KINDS + 2) == WATCH_KINDS + 1)
		audit(rest);
	else
		watch((enum watch_kind)(what % (WATCH_KINDS + 2)), rest);
	return 0;
}
