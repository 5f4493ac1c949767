// SPDX-License-Identifier: Apache-2.0
/* doctor_status.c - what a running agent says of itself that somebody should do something about. svid doctor, root. */
#include <jansson.h>

#include "agent/cli/audit_line.h"
#include "agent/cli/doctor.h"

#define DAY 86400
#define CA_WARN_S (30 * DAY) /* an authority that ends so soon takes every SVID with it */

static const json_t *member(const struct patient *p, const char *object, const char *name)
{
	return json_object_get(json_object_get(p->status, object), name);
}

static enum finding check_serving(const struct patient *p, struct buf *what, struct buf *todo)
{
	const json_t *hold;
	size_t i;

	buf_put_str(what, "identities are served");
	if (!json_is_false(json_object_get(p->status, "serving")))
		return FINDING_OK;
	buf_reset(what);
	buf_put_str(what, "nobody is served");
	json_array_foreach(json_object_get(p->status, "holds"), i, hold) {
		buf_put_str(what, i ? "; " : ": ");
		buf_put_esc(what, slice_str(json_string_value(json_object_get(hold, "what"))));
		buf_put_str(what, ": ");
		buf_put_esc(what, slice_str(json_string_value(json_object_get(hold, "why"))));
	}
	buf_put_str(todo, "svid status says more; the log: journalctl -u svidd");
	return FINDING_FAIL;
}

static bool is_warning(const json_t *problem)
{
	const char *severity = json_string_value(json_object_get(problem, "severity"));

	return severity && strcmp(severity, "warning") == 0;
}

void doctor_problem(struct buf *out, const json_t *problem, const char *between)
{
	const char *file = json_string_value(json_object_get(problem, "file"));
	const char *text = json_string_value(json_object_get(problem, "text"));
	json_int_t line = json_integer_value(json_object_get(problem, "line"));

	buf_put_esc(out, slice_str(file ? file : "?"));
	if (line)
		buf_printf(out, ":%lld:%lld", (long long)line,
			   (long long)json_integer_value(json_object_get(problem, "column")));
	buf_put_str(out, between);
	buf_put_esc(out, slice_str(text ? text : "?"));
}

static void todo_check(const struct patient *p, struct buf *todo)
{
	buf_put_str(todo, "svid policy check -c ");
	buf_put_esc(todo, slice_str(p->config));
	buf_put_str(todo, " ");
	buf_put_esc(todo, slice_str(p->policy_dir));
}

/* Errors that took nothing from anybody yet: what they are in was never in force. */
static enum finding check_refused(const struct patient *p, struct buf *what, struct buf *todo)
{
	const json_t *problem, *first = NULL;
	size_t i, n = 0;

	json_array_foreach(member(p, "documents", "errors"), i, problem)
		if (!is_warning(problem)) {
			first = n++ ? first : problem;
		}
	buf_printf(what, "errors in configuration and documents: %zu", n);
	if (!n)
		return FINDING_OK;
	buf_put_str(what, n > 1 ? ", the first in " : ", in ");
	doctor_problem(what, first, ": ");
	buf_put_str(todo, "what has an error is not in force: ");
	todo_check(p, todo);
	return FINDING_WARN;
}

static enum finding check_documents(const struct patient *p, struct buf *what, struct buf *todo)
{
	size_t stale = json_array_size(member(p, "documents", "stale"));

	buf_printf(what, "documents: %zu stale", stale);
	if (!stale)
		return FINDING_OK;
	buf_put_str(todo, "their files have errors and the last good versions serve: ");
	todo_check(p, todo);
	return FINDING_WARN;
}

static enum finding check_restart(const struct patient *p, struct buf *what, struct buf *todo)
{
	const json_t *needed = json_object_get(p->status, "restart_needed"), *item;
	size_t i;

	if (!json_array_size(needed)) {
		buf_put_str(what, "every setting is in force");
		return FINDING_OK;
	}
	buf_put_str(what, "settings that wait for a restart: ");
	json_array_foreach(needed, i, item) {
		buf_put_str(what, i ? ", " : "");
		buf_put_esc(what, slice_str(json_string_value(json_object_get(item, "setting"))));
	}
	buf_put_str(todo, "systemctl restart svidd");
	return FINDING_WARN;
}

static enum finding check_authority(const struct patient *p, struct buf *what, struct buf *todo)
{
	const char *until = json_string_value(member(p, "authority", "not_after"));
	int64_t at;

	buf_put_str(what, "signing authority ends ");
	buf_put_esc(what, slice_str(until ? until : "at a time that the agent does not say"));
	if (!until || audit_since(until, p->now, &at) || at > p->now + CA_WARN_S)
		return FINDING_OK;
	buf_put_str(todo, "svid-keys prepares the next one by itself; when it does not: journalctl -u svidd");
	return at > p->now ? FINDING_WARN : FINDING_FAIL;
}

static enum finding check_jwt_keys(const struct patient *p, struct buf *what, struct buf *todo)
{
	const json_t *keys = member(p, "authority", "jwt_keys");

	buf_printf(what, "keys for JWT-SVIDs: %zu", json_array_size(keys));
	if (!keys || json_array_size(keys))
		return FINDING_OK;
	buf_put_str(todo, "the first ones take a moment to make; when there are none after a minute: journalctl -u svidd");
	return FINDING_WARN;
}

static enum finding check_audit(const struct patient *p, struct buf *what, struct buf *todo)
{
	const char *mode = json_string_value(member(p, "audit", "mode"));

	buf_put_str(what, "audit log, ");
	buf_put_esc(what, slice_str(mode ? mode : "?"));
	if (!json_is_false(member(p, "audit", "working")))
		return FINDING_OK;
	buf_put_str(what, ": cannot be written");
	buf_put_str(todo, "is its disk full? svid status says where it is");
	return FINDING_FAIL;
}

static enum finding check_penalties(const struct patient *p, struct buf *what, struct buf *todo)
{
	size_t n = json_array_size(json_object_get(p->status, "penalties"));

	buf_printf(what, "callers with fewer connections than others, because they offended: %zu", n);
	if (!n)
		return FINDING_OK;
	buf_put_str(todo, "svid status shows whose; svid audit --denied what was refused");
	return FINDING_WARN;
}

static enum finding check_tree(const struct patient *p, struct buf *what, struct buf *todo)
{
	const char *how = json_string_value(member(p, "tree", "delivery")), *at = json_string_value(member(p, "tree", "path"));
	const char *err = json_string_value(member(p, "tree", "err"));

	if (!how || strcmp(how, "none") == 0) {
		buf_put_str(what, "SVIDs are not shown as files");
	} else {
		buf_put_str(what, "SVIDs as files: ");
		buf_put_esc(what, slice_str(how));
		buf_put_str(what, ", at ");
		buf_put_esc(what, slice_str(at ? at : "?"));
	}
	if (!err)
		return FINDING_OK;
	buf_put_str(what, ": ");
	buf_put_esc(what, slice_str(err));
	buf_put_str(todo, "systemctl restart svidd; if it stays: journalctl -u svidd");
	return FINDING_FAIL;
}

/* A kind jwt is waiting until somebody reads its file. */
static enum finding check_clouds(const struct patient *p, struct buf *what, struct buf *todo)
{
	const json_t *states = member(p, "cloud", "credentials"), *n;
	json_int_t bad = 0, all = 0;
	const char *state;

	json_object_foreach((json_t *)states, state, n) {
		all += json_integer_value(n);
		if (strcmp(state, "ready") != 0 && strcmp(state, "waiting") != 0)
			bad += json_integer_value(n);
	}
	buf_printf(what, "credentials of clouds: %lld, %lld of them in trouble", (long long)all, (long long)bad);
	if (json_is_true(member(p, "cloud", "wanted")) && !json_is_true(member(p, "cloud", "running"))) {
		buf_put_str(what, "; svid-cloud does not run");
		buf_put_str(todo, "svidd starts it again by itself; when it stays away: journalctl -u svidd");
		return FINDING_FAIL;
	}
	if (!bad)
		return FINDING_OK;
	buf_put_str(todo, "svid credentials says which, why, and what to do");
	return FINDING_WARN;
}

const struct check doctor_status_checks[] = {
	{ "serving", check_serving },
	{ "documents", check_documents },
	{ "errors", check_refused },
	{ "settings", check_restart },
	{ "authority", check_authority },
	{ "jwt-keys", check_jwt_keys },
	{ "audit", check_audit },
	{ "tree", check_tree },
	{ "clouds", check_clouds },
	{ "penalties", check_penalties },
	{ NULL, NULL },
};

void doctor_trouble(struct buf *out, const struct patient *p)
{
	for (enum finding f = FINDING_FAIL; f > FINDING_OK; f--)
		for (const struct check *c = doctor_status_checks; c->name; c++) {
			AUTO(buf) struct buf what = BUF_INIT(1 << 16);
			AUTO(buf) struct buf todo = BUF_INIT(1 << 16);

			if (c->run(p, &what, &todo) == f)
				buf_printf(out, "%s  %s\n      \xe2\x86\x92 %s\n", f == FINDING_FAIL ? "fail" : "warn",
					   buf_cstr(&what), buf_cstr(&todo));
		}
	if (!out->len)
		buf_put_str(out, "ok    identities are served\n");
}
