// SPDX-License-Identifier: Apache-2.0
/* nobody.c - bounds, audit and blame of callers without identity. svid-core. */
#include "agent/core/nobody.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

static void on_flush(struct loop_timer *t);

int nobodies_init(struct core *c)
{
	struct nobodies *ns = &c->nobodies;

	ns->flush.cb = on_flush;
	ns->logs = mem_calloc(LIM_AUDIT_NOBODIES, sizeof(*ns->logs));
	return ns->logs ? 0 : -ENOMEM;
}

void nobodies_done(struct nobodies *ns)
{
	loop_timer_stop(&ns->flush);
	mem_free(take(&ns->logs));
}

/* ---- how many ---- */

static enum bound_kind person_bound(const struct conn *conn)
{
	return conn->person.kind == SVID_WHO_USERNS ? BOUND_NOBODY_USERNS : BOUND_NOBODY_UID;
}

int nobody_count(struct conn *conn)
{
	struct core *c = conn->core;
	struct bounds *b = &c->bounds;
	int err = c->nobodies.n < LIM_CONNS_ANON ? bounds_get(b, person_bound(conn), conn->person.id, false) : -ERR_LIMIT;

	if (!err && conn->cgroup) {
		err = bounds_get(b, BOUND_NOBODY_CGROUP, conn->cgroup, false);
		if (err)
			bounds_put(b, person_bound(conn), conn->person.id);
	}
	if (err == -ERR_LIMIT)
		bounds_blame(b, person_bound(conn), conn->person.id, BLAME_OVER);
	if (err)
		return err;
	conn->anonymous = true;
	c->nobodies.n++;
	return 0;
}

void nobody_uncount(struct conn *conn)
{
	struct core *c = conn->core;

	if (!conn->anonymous)
		return;
	conn->anonymous = false;
	c->nobodies.n--;
	bounds_put(&c->bounds, person_bound(conn), conn->person.id);
	if (conn->cgroup)
		bounds_put(&c->bounds, BOUND_NOBODY_CGROUP, conn->cgroup);
}

/* ---- what is written of them ---- */

static void refill(struct nobody_log *l, uint64_t now)
{
	uint64_t more = (now - l->filled) * LIM_AUDIT_NOBODY_RATE / NS_PER_S;

	if (!more)
		return;
	l->filled = now;
	l->tokens = more < LIM_AUDIT_NOBODY_BURST - l->tokens ? l->tokens + (uint32_t)more : LIM_AUDIT_NOBODY_BURST;
}

/* Theirs, a free one, one with nothing to tell and nothing to hold back; else the last one, which is for all others. */
static struct nobody_log *log_of(struct nobodies *ns, const struct svid_who *who, uint64_t now)
{
	struct nobody_log *found = NULL, *rest = &ns->logs[LIM_AUDIT_NOBODIES - 1];

	for (struct nobody_log *l = ns->logs; l < rest; l++) {
		if (l->who.kind == who->kind && l->who.id == who->id)
			return l;
		refill(l, now);
		if (!found && (!l->who.kind || (!l->times && l->tokens == LIM_AUDIT_NOBODY_BURST)))
			found = l;
	}
	if (found)
		*found = (struct nobody_log){ .who = *who, .filled = now, .tokens = LIM_AUDIT_NOBODY_BURST };
	else if (!rest->who.kind)
		*rest = (struct nobody_log){ .who.kind = SVID_WHO_CGROUP, .filled = now, .tokens = LIM_AUDIT_NOBODY_BURST };
	return found ? found : rest;
}

/* All that was only counted since the last time, one line for each person. */
static int write_counted(struct core *c, struct nobody_log *l, uint64_t now)
{
	AUTO(buf) struct buf b = BUF_INIT(512);
	struct json j = JSON_INIT(&b);

	json_str(&j, "decision", "none");
	if (l->who.kind == SVID_WHO_UID)
		json_u64(&j, "uid", l->who.id);
	else if (l->who.kind == SVID_WHO_USERNS)
		json_u64(&j, "user_namespaces_of", l->who.id);
	json_u64(&j, "times", l->times);
	json_u64(&j, "seconds", (now - l->since + NS_PER_S / 2) / NS_PER_S);
	l->times = 0;
	return audit_write(&c->audit, "repeated", buf_slice(&b));
}

static void on_flush(struct loop_timer *t)
{
	struct nobodies *ns = container_of(t, struct nobodies, flush);
	struct core *c = container_of(ns, struct core, nobodies);
	uint64_t now = clock_boot_ns();
	int err = 0;

	for (size_t i = 0; i < LIM_AUDIT_NOBODIES && !err; i++)
		if (ns->logs[i].times)
			err = write_counted(c, &ns->logs[i], now);
	if (err)
		hold_set(c, HOLD_AUDIT, err);
}

static void count_only(struct core *c, struct nobody_log *l, uint64_t now)
{
	struct nobodies *ns = &c->nobodies;

	if (!l->times)
		l->since = now;
	l->times++;
	ns->unwritten++;
	if (!loop_timer_armed(&ns->flush) && loop_timer_in(c->loop, &ns->flush, LIM_AUDIT_REPEAT_MS * NS_PER_MS))
		log_error(EV_AUDIT, KV("err", V_S("ENOMEM")));
}

bool nobody_wants_record(struct core *c, const struct svid_who *person, struct decision *d)
{
	uint64_t now = clock_boot_ns();
	struct nobody_log *l = log_of(&c->nobodies, person, now);
	bool again = d && d->recorded && now - d->recorded < LIM_AUDIT_REPEAT_MS * NS_PER_MS;

	refill(l, now);
	if (again || !l->tokens) {
		count_only(c, l, now);
		return false;
	}
	l->tokens--;
	if (d)
		d->recorded = now;
	return true;
}

/* ---- who is to blame ---- */

/* What only a client can cause, as its front tells it. */
static bool is_offence(int err)
{
	switch (err) {
	case -ERR_PERMIT:   /* somebody else's bytes, or descriptors */
	case -ERR_DEADLINE: /* no request in time */
	case -ERR_LIMIT:    /* takes nothing of what it asked for */
	case -ERR_FORMAT:
	case -ERR_SHORT:
	case -ERR_TRAILING:
	case -ERR_SIZE:
	case -ERR_REQUEST:
		return true;
	default:
		return false;
	}
}

void conn_blame(struct conn *conn, int err)
{
	struct bounds *b = &conn->core->bounds;

	if (!is_offence(err))
		return;
	conn->core->offences++;
	if (conn->anonymous) {
		bounds_blame(b, person_bound(conn), conn->person.id, BLAME_CLIENT);
		return;
	}
	bounds_blame(b, BOUND_UID, conn->uid, BLAME_CLIENT);
	if (conn->cgroup)
		bounds_blame(b, BOUND_CGROUP, conn->cgroup, BLAME_CLIENT);
	if (conn->in_userns)
		bounds_blame(b, BOUND_USERNS, conn->userns_owner, BLAME_CLIENT);
}
