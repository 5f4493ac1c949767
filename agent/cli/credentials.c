// SPDX-License-Identifier: Apache-2.0
/*
 * credentials.c - `svid credentials [NAME]` and `svid credentials refresh NAME`: what svid-cloud has of each
 * WorkloadCredential, in words that a person can act on. svid, as root.
 */
#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/cli/admin.h"
#include "agent/cli/audit_line.h"
#include "agent/cli/cli.h"
#include "agent/cli/dump.h"
#include "agent/cli/view.h"

#define WIDTH 14
#define POLL_US 100000

static void field(struct buf *out, const char *name, const char *value)
{
	buf_put_str(out, "  ");
	cli_field(out, WIDTH, name, slice_str(value));
}

/* Seconds since 1970; 0: none, or not a time. */
static int64_t time_of(const json_t *b, const char *name)
{
	const char *text = json_text(b, name);
	int64_t at = 0;

	return *text && !audit_time(text, &at) ? at : 0;
}

static bool is_valid(const json_t *b, int64_t now)
{
	return time_of(b, "expires_at") > now;
}

static bool is_jwt(const json_t *b)
{
	return strcmp(json_text(b, "kind"), "jwt") == 0;
}

/* What the state means for whoever reads the files. */
static const char *words_of(const json_t *b, bool running, int64_t now)
{
	const char *state = json_text(b, "state");
	bool valid = is_valid(b, now);

	if (!running)
		return "svid-cloud does not run: readers are told to try again";
	if (strcmp(state, "ready") == 0)
		return "ready";
	if (strcmp(state, "waiting") == 0)
		return is_jwt(b) ? "ready: a token is made when somebody reads it" : "waiting for its first exchange";
	if (strcmp(state, "retrying") == 0)
		return valid ? "renewal failed and is tried again; what it has is served" :
			       "not there: the exchange failed and is tried again";
	if (strcmp(state, "slow") == 0)
		return valid ? "renewal is refused, which may mend itself in minutes; what it has is served" :
			       "not there: refused, which may mend itself in minutes";
	if (strcmp(state, "failed") == 0)
		return valid ? "renewal is refused until something is changed; what it has is served" :
			       "not there: refused until something is changed";
	return state;
}

static void put_ahead(struct buf *out, const char *name, const json_t *b, const char *member, int64_t now)
{
	AUTO(buf) struct buf text = BUF_INIT(128);
	int64_t at = time_of(b, member);

	if (!at)
		return;
	buf_printf(&text, "%s, ", json_text(b, member));
	if (at > now)
		cli_left(&text, at, now);
	else
		buf_put_str(&text, "now");
	field(out, name, buf_cstr(&text));
}

static void put_ago(struct buf *out, const char *name, const json_t *b, const char *member, int64_t now)
{
	AUTO(buf) struct buf text = BUF_INIT(128);
	int64_t at = time_of(b, member), s = now - at;

	if (!at)
		return;
	buf_printf(&text, "%s, %lld %s ago", json_text(b, member), (long long)(s < 120 ? s : s / 60), s < 120 ? "s" : "min");
	field(out, name, buf_cstr(&text));
}

static const char *next_step(const json_t *b, bool running)
{
	if (!running)
		return "see: svid status, then: journalctl -u svidd";
	return json_text(b, "next_step");
}

static void put_one(struct buf *out, const json_t *b, bool running, int64_t now)
{
	buf_put_esc(out, slice_str(json_text(b, "credential")));
	buf_printf(out, ": %s from ", json_text(b, "kind"));
	buf_put_esc(out, slice_str(json_text(b, "source")));
	buf_put_str(out, " for ");
	buf_put_esc(out, slice_str(json_text(b, "spiffe_id")));
	buf_put_u8(out, '\n');
	field(out, "state", words_of(b, running, now));
	put_ahead(out, "valid until", b, "expires_at", now);
	if (*json_text(b, "error"))
		field(out, "error", json_text(b, "error"));
	if (json_integer_value(json_object_get(b, "failures")) > 1) {
		AUTO(buf) struct buf n = BUF_INIT(64);

		buf_printf(&n, "%lld", (long long)json_integer_value(json_object_get(b, "failures")));
		field(out, "in a row", buf_cstr(&n));
	}
	if (*next_step(b, running))
		field(out, "next step", next_step(b, running));
	if (running)
		put_ahead(out, *json_text(b, "error") ? "next try" : "next refresh", b, "refresh_at", now);
	put_ago(out, "last success", b, "last_success", now);
	if (json_is_true(json_object_get(b, "stale")))
		field(out, "document", "stale: its file has an error, and the last good version is in force");
}

/* Whether a reader of its files gets something. A credential that was not exchanged yet is none to worry about. */
static bool serves(const json_t *b, bool running, int64_t now)
{
	const char *state = json_text(b, "state");

	return is_valid(b, now) || (running && (strcmp(state, "waiting") == 0 || strcmp(state, "ready") == 0));
}

static json_t *by_name(const json_t *root, const char *name)
{
	json_t *list = json_object_get(root, "credentials"), *b;
	size_t i;

	json_array_foreach(list, i, b)
		if (strcmp(json_text(b, "credential"), name) == 0)
			return b;
	return NULL;
}

static int not_there(const char *name)
{
	cli_error("no WorkloadCredential in force is called", name,
		  "its document is missing or refused, or no WorkloadIdentity has its SPIFFE ID",
		  "see: svid credentials, svid status, and: svid policy check /etc/svid/policy.d");
	return CLI_NO;
}

static int print(const struct cli *c, const json_t *root, const json_t *only)
{
	AUTO(buf) struct buf out = BUF_INIT(VIEW_MAX);
	const json_t *list = json_object_get(root, "credentials"), *b;
	bool running = json_is_true(json_object_get(root, "running"));
	int64_t now = time_of(root, "now");
	int code = CLI_DONE;
	size_t i;

	json_array_foreach((json_t *)list, i, b) {
		if (only && b != only)
			continue;
		if (c->output == OUT_TEXT) {
			buf_put_str(&out, out.len ? "\n" : "");
			put_one(&out, b, running, now);
		}
		code = serves(b, running, now) ? code : CLI_NO;
	}
	if (c->output == OUT_JSON) {
		json_put(&out, only ? only : root, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		buf_put_str(&out, "\n");
	} else if (!only && json_integer_value(json_object_get(root, "left_out"))) {
		buf_printf(&out, "\nand %lld more, which one answer of the agent cannot hold\n",
			   (long long)json_integer_value(json_object_get(root, "left_out")));
	} else if (!out.len) {
		buf_put_str(&out, "no WorkloadCredential is in force (see svid-policy(5))\n");
	}
	return cli_print(&out, code);
}

int credentials(const struct cli *c)
{
	AUTO(json) json_t *root = NULL;
	const json_t *only;
	int code = admin_json(c, ADMIN_CREDENTIALS, 0, &root);

	if (code)
		return code;
	only = c->n_args ? by_name(root, c->args[0]) : NULL;
	return c->n_args && !only ? not_there(c->args[0]) : print(c, root, only);
}

/* ---- refresh ---- */

static bool is_same(const json_t *a, const json_t *b, const char *name)
{
	return json_equal(json_object_get(a, name), json_object_get(b, name));
}

/* An exchange moves the time of the next one, and what is counted of failures. */
static bool was_tried(const json_t *before, const json_t *now)
{
	return !is_same(before, now, "refresh_at") || !is_same(before, now, "failures") || !is_same(before, now, "last_success");
}

/* Until the exchange has ended. Returns the exit code; *@ret_now is the caller's. */
static int follow(const struct cli *c, const json_t *before, json_t **ret_now)
{
	uint64_t end = clock_boot_ns() + (uint64_t)c->timeout_ms * NS_PER_MS;

	for (;;) {
		AUTO(json) json_t *root = NULL;
		int code = admin_json(c, ADMIN_CREDENTIALS, 0, &root);
		const json_t *b = code ? NULL : by_name(root, c->args[0]);

		if (code)
			return code;
		if (!b)
			return not_there(c->args[0]);
		if (was_tried(before, b)) {
			*ret_now = take(&root);
			return CLI_DONE;
		}
		if (clock_boot_ns() > end) {
			cli_error("the exchange has not ended:", c->args[0], err_text(-ERR_DEADLINE),
				  "it goes on; see: svid credentials, or give it more time with --timeout SECONDS");
			return CLI_AGENT;
		}
		usleep(POLL_US);
	}
}

static int cannot_refresh(const json_t *root, const json_t *b)
{
	const char *name = json_text(b, "credential");

	if (is_jwt(b)) {
		cli_error("nothing to refresh:", name, "a JWT-SVID in a file is made when somebody reads it", NULL);
		return CLI_NO;
	}
	if (!json_is_true(json_object_get(root, "running"))) {
		cli_error("cannot refresh", name, "svid-cloud does not run", "see: svid status, then: journalctl -u svidd");
		return CLI_AGENT;
	}
	return CLI_DONE;
}

int credentials_refresh(const struct cli *c)
{
	AUTO(json) json_t *root = NULL;
	AUTO(json) json_t *asked = NULL;
	AUTO(json) json_t *after = NULL;
	const json_t *b;
	int code = admin_json(c, ADMIN_CREDENTIALS, 0, &root);

	if (code)
		return code;
	b = by_name(root, c->args[0]);
	code = b ? cannot_refresh(root, b) : not_there(c->args[0]);
	if (!code)
		code = admin_json(c, ADMIN_CREDENTIALS, (uint32_t)json_integer_value(json_object_get(b, "binding")), &asked);
	if (!code)
		code = follow(c, b, &after);
	if (code)
		return code;
	b = by_name(after, c->args[0]);
	code = print(c, after, b);
	/* Served from what was there is not refreshed. */
	return code == CLI_DONE && *json_text(b, "error") ? CLI_NO : code;
}
