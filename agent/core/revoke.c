// SPDX-License-Identifier: Apache-2.0
/*
 * revoke.c - what ends a connection from outside: the kernel says that its process changed or that a stranger used
 * it, or the documents say that it would get something else now. The words have stopped the front already; this
 * ends the streams with the right status. svid-core.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/core/core.h"

#define COST_END 400 /* units of ending one connection, see sorter.h */

static const char *event_name(uint32_t type)
{
	static const char *const names[] = {
		[SVID_EVENT_EXEC] = "exec",	  [SVID_EVENT_EXIT] = "exit",	    [SVID_EVENT_CRED] = "credentials",
		[SVID_EVENT_CGROUP] = "cgroup", [SVID_EVENT_FOREIGN] = "foreign", [SVID_EVENT_TRACED] = "traced",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "?";
}

static void audit_event(struct core *c, const struct conn *conn, const struct svid_event *e)
{
	AUTO(buf) struct buf b = BUF_INIT(512);
	struct json j = JSON_INIT(&b);

	json_u64(&j, "connection", conn->number);
	json_str(&j, "why", event_name(e->type));
	json_u64(&j, "pid", e->key.tgid);
	json_u64(&j, "by", e->by.tgid);
	if (e->type == SVID_EVENT_FOREIGN) {
		json_u64(&j, "marks", e->marks);
		json_bool(&j, "refused", e->refused);
	}
	/* It ends in any case: a missing line is counted and logged by audit.c. */
	if (audit_write(&c->audit, "revoke", buf_slice(&b)))
		hold_set(c, HOLD_AUDIT, -ERR_AUDIT);
}

/*
 * An exit is the normal end of a client; the others are worth a line, where there was something to lose. Whoever is not
 * decided yet, or gets nothing, can have that as often as he likes: nobody.h counts what is written of him.
 */
static bool is_worth_a_record(struct conn *conn, const struct svid_event *e)
{
	struct core *c = conn->core;

	if (e->type == SVID_EVENT_EXIT || conn->anonymous)
		return false;
	if (conn->set && conn->set != fronts_empty_set(c->fronts))
		return true;
	return nobody_wants_record(c, &conn->person, NULL);
}

static void on_conn_event(struct conn *conn, void *arg)
{
	const struct svid_event *e = arg;

	if (e->type == SVID_EVENT_FOREIGN && e->conn_slot != conn->ticket.conn_slot)
		return;
	if (conn->end_err)
		return;
	if (is_worth_a_record(conn, e)) {
		audit_event(conn->core, conn, e);
		log_info(EV_CONN_CUT, KV("connection", V_U(conn->number)), KV("pid", V_U(e->key.tgid)),
			 KV("why", V_S(event_name(e->type))), KV("by", V_U(e->by.tgid)));
	}
	conn_revoke(conn, -ERR_CHANGED);
}

static void on_event(void *ctx, const struct svid_event *e)
{
	struct core *c = ctx;
	struct svid_event copy = *e;

	if (!canary_event(c, e))
		conns_of_key(c, &e->key, on_conn_event, &copy);
}

static void on_ring(struct loop_watch *w, uint32_t events)
{
	struct core *c = container_of(w, struct core, ring);
	int n = provider_events(c->provider, on_event, c);
	struct provider_health health;

	(void)events;
	if (n < 0)
		canary_failed(c, "events cannot be read");
	/* A full ring is readable: known here, before whoever connected meanwhile is looked at. */
	provider_health(c->provider, &health);
	if (!health.lost_events || c->holds[HOLD_EVIDENCE])
		return;
	log_error(EV_PROVIDER_LOSS, KV("events", V_U(health.lost_events)));
	canary_failed(c, "events were lost");
}

static void on_creds_poll(struct loop_timer *t)
{
	struct core *c = container_of(t, struct core, creds_poll);

	if (c->n_conns && provider_poll(c->provider))
		canary_failed(c, "credentials cannot be polled");
	if (loop_timer_in(c->loop, t, LIM_CREDS_POLL_MS * NS_PER_MS))
		log_fatal("credential poll", -ENOMEM);
}

int revoke_start(struct core *c)
{
	int err = 0;

	c->ring = (struct loop_watch){ .fd = provider_events_fd(c->provider), .cb = on_ring };
	c->creds_poll.cb = on_creds_poll;
	if (c->ring.fd >= 0)
		err = loop_add(c->loop, &c->ring, EPOLLIN);
	if (!err && provider_needs_poll(c->provider))
		err = loop_timer_in(c->loop, &c->creds_poll, LIM_CREDS_POLL_MS * NS_PER_MS);
	return err;
}

static void audit_policy(struct conn *conn, int err)
{
	struct core *c = conn->core;
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct json j = JSON_INIT(&b);

	json_u64(&j, "connection", conn->number);
	json_str(&j, "why", "documents");
	json_str(&j, "status", err_name(err));
	if (audit_write(&c->audit, "revoke", buf_slice(&b)))
		hold_set(c, HOLD_AUDIT, -ERR_AUDIT);
}

/* A change never raises what a connection may get: it ends, and the client comes again (DESIGN.md 2.6). */
void conn_different(struct conn *conn, bool none_left)
{
	conn->leave_err = none_left ? -ERR_NO_IDENTITY : -ERR_IDENTITIES;
	list_del(&conn->in_wait);
	list_add_tail(&conn->core->leaving, &conn->in_wait);
}

/* A record and a message each: thousands of them are not for one turn. */
static bool end_leaving(struct core *c, struct budget *b)
{
	while (!list_empty(&c->leaving)) {
		struct conn *conn = list_entry(c->leaving.next, struct conn, in_wait);

		if (!b->left)
			return false;
		budget_spend(b, COST_END);
		list_del(&conn->in_wait);
		audit_policy(conn, conn->leave_err);
		conn_revoke(conn, conn->leave_err);
	}
	return true;
}

void revoke_policy(struct core *c)
{
	decisions_outdated(c);
}

bool revoke_step(struct core *c, struct budget *b)
{
	bool over;

	do {
		over = end_leaving(c, b) && decisions_step(c, b);
	} while (b->left && !(over && list_empty(&c->leaving)));
	return over && list_empty(&c->leaving);
}
