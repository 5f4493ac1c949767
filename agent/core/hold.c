// SPDX-License-Identifier: Apache-2.0
/*
 * hold.c - reasons for serving nobody, one slot each: the agent is ready when all are clear. svid-core.
 *
 * While one is on, callers are told Unavailable, not "no identity issued": a client may take the latter as final
 * (spiffe.md 4.2, consequence 2). They hold no decision, so when it is over they have to come again.
 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/core/core.h"

#define READY_LATEST_NS (10 * NS_PER_S) /* svidd is told ready by then, whatever is missing: status says what */

/* Holds under which nothing that was given may go on; the others are about giving. */
#define ENDS_STREAMS(h) ((h) == HOLD_DRAIN || (h) == HOLD_EVIDENCE)

static const char *const names[HOLD_COUNT] = {
	[HOLD_DRAIN] = "stopping",     [HOLD_EVIDENCE] = "evidence",   [HOLD_AUDIT] = "audit",
	[HOLD_AUTHORITY] = "authority", [HOLD_DOCUMENTS] = "documents",
};

const char *hold_name(enum hold h)
{
	return h < HOLD_COUNT ? names[h] : "?";
}

int hold_err(const struct core *c)
{
	for (size_t i = 0; i < HOLD_COUNT; i++)
		if (c->holds[i])
			return c->holds[i];
	return 0;
}

static void tell_fronts(struct core *c)
{
	int all = 0;

	for (size_t i = 0; i < HOLD_COUNT && !all; i++)
		if (ENDS_STREAMS(i))
			all = c->holds[i];
	fronts_set_state(c->fronts, all, hold_err(c));
}

/* svidd ends a svid-core that stopped saying this: nothing else would notice a loop that stands still. */
static void on_alive(struct loop_timer *t)
{
	struct core *c = container_of(t, struct core, alive);
	int err = chan_put(c->parent, C_ALIVE, 0), next = loop_timer_in(c->loop, t, LIM_ALIVE_MS * NS_PER_MS);

	if (!err)
		err = next;
	if (err)
		log_error(EV_IPC, KV("what", V_S("C_ALIVE not sent")), KV("err", V_S(err_name(err))));
}

static void say_ready(struct core *c)
{
	if (c->ready)
		return;
	c->ready = true;
	log_info(EV_READY, KV("ms", V_U((clock_boot_ns() - c->started) / NS_PER_MS)), KV("hold", V_S(err_name(hold_err(c)))));
	if (chan_put(c->parent, C_READY, 0))
		log_error(EV_IPC, KV("what", V_S("C_READY not sent")));
	c->alive.cb = on_alive;
	on_alive(&c->alive);
}

static void let_go_on(struct core *c)
{
	struct conn *conn, *tmp;

	list_for_each_safe(conn, tmp, &c->waiting, in_wait)
		if (conn->state == CONN_DECIDING)
			conn_go_on(conn);
}

bool hold_is_starting(const struct core *c)
{
	return loop_timer_armed(&c->start_hold);
}

static void on_start_hold(struct loop_timer *t)
{
	let_go_on(container_of(t, struct core, start_hold));
}

static void on_ready_late(struct loop_timer *t)
{
	say_ready(container_of(t, struct core, ready_late));
}

static void on_audit_retry(struct loop_timer *t)
{
	struct core *c = container_of(t, struct core, audit_retry);

	if (audit_write(&c->audit, "resume", slice_of(NULL, 0)) == 0)
		hold_set(c, HOLD_AUDIT, 0);
	else if (loop_timer_in(c->loop, t, NS_PER_S))
		log_error(EV_AUDIT, KV("err", V_S("ENOMEM")));
}

int hold_start(struct core *c)
{
	int err;

	c->start_hold.cb = on_start_hold;
	c->ready_late.cb = on_ready_late;
	c->audit_retry.cb = on_audit_retry;
	err = loop_timer_in(c->loop, &c->start_hold, LIM_START_HOLD_MS * NS_PER_MS);
	return err ? err : loop_timer_in(c->loop, &c->ready_late, READY_LATEST_NS);
}

static void all_clear(struct core *c)
{
	struct conn *conn, *tmp;

	/* Before the fronts hear it: these callers were never decided. */
	list_for_each_safe(conn, tmp, &c->undecided, in_wait)
		conn_revoke(conn, -ERR_NOT_READY);
	tell_fronts(c);
	loop_timer_stop(&c->start_hold);
	say_ready(c);
	let_go_on(c);
	tree_go_on(c->tree);
}

void hold_set(struct core *c, enum hold h, int why)
{
	int before = hold_err(c), now;

	if (c->holds[h] == why)
		return;
	c->holds[h] = why;
	now = hold_err(c);
	log_info(EV_READY, KV("hold", V_S(names[h])), KV("err", V_S(err_name(why))));
	if (h == HOLD_AUDIT && why && loop_timer_in(c->loop, &c->audit_retry, NS_PER_S))
		log_error(EV_AUDIT, KV("err", V_S("ENOMEM")));
	if (now)
		tell_fronts(c);
	else if (before)
		all_clear(c);
}
