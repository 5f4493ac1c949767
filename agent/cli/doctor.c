/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doctor.c - `svid doctor`: which evidence tier this machine allows, why the better ones are not there,
 * and what to do. Runs without an agent; asks it when it may. svid, anybody; root sees more.
 */
#include "agent/cli/doctor.h"

#include <sys/timex.h>
#include <sys/utsname.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/cli/admin.h"
#include "agent/cli/cli.h"
#include "agent/cli/view.h"

#define OUT_MAX (1u << 20)
#define ARROW " -> "

struct report {
	bool json;
	struct buf out;
	unsigned int count[FINDING_FAIL + 1];
	bool of_agent; /* what runs now is about the running agent: its warnings are worth the first line */
	enum finding worst;
	struct buf head; /* the first finding of the worst kind, for the first line */
};

static const char *const words[] = { "ok", "warn", "fail" };

static void keep_worst(struct report *r, enum finding f, struct slice what, struct slice todo)
{
	if (f <= r->worst || (f == FINDING_WARN && !r->of_agent))
		return;
	r->worst = f;
	buf_reset(&r->head);
	buf_put_slice(&r->head, what);
	buf_put_str(&r->head, todo.len ? "\n  " : "");
	buf_put_slice(&r->head, todo);
}

static void put(struct report *r, enum finding f, const char *name, struct slice what, struct slice todo)
{
	unsigned int n = r->count[0] + r->count[1] + r->count[2];

	r->count[f]++;
	keep_worst(r, f, what, todo);
	if (r->json) {
		buf_printf(&r->out, "%s{\"check\": \"%s\", \"result\": \"%s\", \"what\": ", n ? ",\n  " : "", name, words[f]);
		buf_put_json(&r->out, what);
		buf_put_str(&r->out, ", \"todo\": ");
		buf_put_json(&r->out, todo);
		buf_put_str(&r->out, "}");
		return;
	}
	buf_printf(&r->out, "%-4s  ", words[f]);
	buf_put_slice(&r->out, what);
	if (todo.len) {
		buf_put_str(&r->out, "\n      \xe2\x86\x92 ");
		buf_put_slice(&r->out, todo);
	}
	buf_put_str(&r->out, "\n");
}

static void run_all(struct report *r, const struct check *checks, const struct patient *p)
{
	for (; checks->name; checks++) {
		AUTO(buf) struct buf what = BUF_INIT(1 << 16);
		AUTO(buf) struct buf todo = BUF_INIT(1 << 16);
		enum finding f = checks->run(p, &what, &todo);

		put(r, f, checks->name, buf_slice(&what), buf_slice(&todo));
	}
}

/* "bpf-lsm: why -> what to do", as svidd saw it when it started. */
static void put_notes(struct report *r, const char *name, const char *prefix, const json_t *notes)
{
	const json_t *note;
	size_t i;

	json_array_foreach(notes, i, note) {
		AUTO(buf) struct buf what = BUF_INIT(1 << 16);
		AUTO(buf) struct buf todo = BUF_INIT(1 << 16);
		const char *text = json_string_value(note), *arrow = text ? strstr(text, ARROW) : NULL;

		buf_put_str(&what, prefix);
		buf_put_esc(&what, slice_of(text, arrow ? (size_t)(arrow - text) : json_string_length(note)));
		buf_put_esc(&todo, slice_str(arrow ? arrow + strlen(ARROW) : ""));
		put(r, arrow ? FINDING_WARN : FINDING_OK, name, buf_slice(&what), buf_slice(&todo));
	}
}

static void put_tier(struct report *r, const json_t *status)
{
	AUTO(buf) struct buf what = BUF_INIT(1 << 12);
	const char *tier = json_string_value(json_object_get(status, "tier"));
	bool socket = tier && strcmp(tier, "socket") == 0;

	buf_put_str(&what, "evidence tier in use: ");
	buf_put_esc(&what, slice_str(tier ? tier : "unknown"));
	put(r, socket ? FINDING_FAIL : FINDING_OK, "tier", buf_slice(&what),
	    slice_str(socket ? "socket evidence is for development: any of the attacks in SECURITY.md succeeds" : ""));
	put_notes(r, "tier-not-used", "a better tier is not in use: ", json_object_get(status, "tier_notes"));
}

static void put_tree_notes(struct report *r, const json_t *status)
{
	put_notes(r, "delivery-not-used", "files are not shown by ", json_object_get(json_object_get(status, "tree"), "notes"));
}

/* The agent's own account, or NULL and a finding. The caller ends it with json_decref(). */
static json_t *ask_agent(struct report *r, const struct cli *c)
{
	AUTO(buf) struct buf body = BUF_INIT(VIEW_MAX);
	AUTO(buf) struct buf what = BUF_INIT(1 << 12);
	json_t *status = NULL;
	int refused = 0;
	int err = admin_call(c->admin, ADMIN_STATUS, 0, c->timeout_ms, &body, &refused);

	if (!err && !refused)
		status = json_loadb((const char *)body.data, body.len, 0, NULL);
	if (status) {
		put_tier(r, status);
		return status;
	}
	buf_printf(&what, "agent on %s: %s", c->admin, err_text(err ? err : refused));
	put(r, FINDING_WARN, "agent", buf_slice(&what),
	    slice_str("run as root while svidd runs, to see the tier in use and why better ones are not"));
	return NULL;
}

/* Where this very agent keeps things; without one, where an installed one does. */
static const char *path_of(const json_t *status, const char *name, const char *otherwise)
{
	const char *path = json_string_value(json_object_get(json_object_get(status, "paths"), name));

	return path ? path : otherwise;
}

static bool clock_synced(void)
{
	struct timex tx = { .modes = 0 };

	return adjtimex(&tx) != TIME_ERROR && !(tx.status & STA_UNSYNC);
}

/* Returns whether the agent said anything. */
static bool run_agent_checks(struct report *r, const struct cli *c, struct patient *p)
{
	json_t *status = ask_agent(r, c);
	bool asked = status;

	/* svidd knows by having loaded its programs; these lines only guess. */
	if (!status)
		run_all(r, doctor_guess_checks, p);
	p->state_dir = path_of(status, "state", "/var/lib/svid");
	p->config = path_of(status, "config", "/etc/svid/svid.yaml");
	p->policy_dir = path_of(status, "policy", "/etc/svid/policy.d");
	/* A socket that was named is the one to look at. */
	if (strcmp(p->socket, strchr(CLI_SOCKET, '/') + 2) == 0)
		p->socket = path_of(status, "socket", p->socket);
	run_all(r, doctor_agent_checks, p);
	p->status = status;
	if (status) {
		r->of_agent = true;
		run_all(r, doctor_status_checks, p);
		r->of_agent = false;
		put_tree_notes(r, status);
	}
	json_decref(status);
	return asked;
}

/* What somebody wants to know first, who was woken up for it. */
static void put_first_line(struct buf *out, struct report *r, bool asked)
{
	if (r->worst == FINDING_FAIL)
		buf_printf(out, "not well: %s\n\n", buf_cstr(&r->head));
	else if (r->worst == FINDING_WARN)
		buf_printf(out, "identities are served, but %s\n\n", buf_cstr(&r->head));
	else if (asked)
		buf_put_str(out, "identities are served\n\n");
	else
		buf_put_str(out, "nothing here keeps svidd from serving; what it says of itself is for root\n\n");
}

int doctor(const struct cli *c)
{
	struct report r = { .json = c->output == OUT_JSON, .out = BUF_INIT(OUT_MAX), .head = BUF_INIT(OUT_MAX) };
	AUTO(buf) struct buf out = BUF_INIT(OUT_MAX + (1 << 17));
	struct utsname name;
	struct patient p = { .root = "", .kernel = uname(&name) ? "?" : name.release, .socket = c->socket,
			     .bad_env = c->bad_env, .admin = c->admin, .clock_synced = clock_synced(), .now = clock_wall_s() };
	bool asked;

	buf_put_str(&r.out, r.json ? "{\"checks\": [" : "");
	run_all(&r, doctor_kernel_checks, &p);
	asked = run_agent_checks(&r, c, &p);
	if (r.json)
		buf_printf(&r.out, "],\n \"ok\": %u, \"warn\": %u, \"fail\": %u}\n", r.count[0], r.count[1], r.count[2]);
	else
		buf_printf(&r.out, "\n%u ok, %u warnings, %u failures\n", r.count[0], r.count[1], r.count[2]);
	if (!r.json)
		put_first_line(&out, &r, asked);
	buf_put_slice(&out, buf_slice(&r.out));
	buf_done(&r.out);
	buf_done(&r.head);
	return cli_print(&out, r.count[FINDING_FAIL] ? CLI_NO : CLI_DONE);
}
