// SPDX-License-Identifier: Apache-2.0
/*
 * canary.c - proof, every second, that the kernel still records, refuses and reports (K8, A20): a child of an
 * svid-attest worker connects, a stranger (the worker) reads, the child ends. Whatever does not show means that
 * evidence is not whole, and nobody is served until it showed twice in a row. svid-core.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

#define EVENT_NS (500 * NS_PER_MS)     /* from the child's end to its event */
#define SILENCE_NS (5 * NS_PER_S)      /* without any finished canary evidence counts as not whole */
#define WHOLE_AGAIN 2		       /* canaries in a row after a failure */
#define WORKER_COMM "svid-attest"

enum phase {
	CANARY_IDLE,
	CANARY_ASKED, /* a worker starts the child; its connection may be here before the worker's answer */
	CANARY_UP,    /* the pid is known, the connection is not here yet */
	CANARY_PROBE,
	CANARY_EVENT, /* all seen but the exit event */
};

struct canary {
	struct core *core;
	struct attest_canary way;
	struct loop_timer tick;
	enum phase phase;
	pid_t pid;
	struct conn *conn;
	struct svid_key key;
	bool exit_seen;
	unsigned int good; /* in a row */
	unsigned int needed;
	uint64_t last_good; /* CLOCK_BOOTTIME ns */
	uint64_t runs, failures;
	const char *why; /* of the last failure */
};

static void next_in(struct canary *k, uint64_t ns)
{
	if (loop_timer_in(k->core->loop, &k->tick, ns))
		log_fatal("canary", -ENOMEM);
}

/* Those that waited because they could have been the canary's. */
static void release_others(struct core *c)
{
	struct conn *conn, *tmp;

	list_for_each_safe(conn, tmp, &c->waiting, in_wait) {
		if (conn->state != CONN_CANARY || conn == c->canary->conn)
			continue;
		conn->state = CONN_DECIDING;
		if (!hold_is_starting(c))
			conn_go_on(conn);
	}
}

/* Back to the start of a round; the connection goes, the worker's child is gone or killed with its worker. */
static void round_over(struct canary *k)
{
	struct conn *conn = k->conn;

	k->phase = CANARY_IDLE;
	k->conn = NULL;
	k->pid = 0;
	k->exit_seen = false;
	attest_canary_cancel(&k->way);
	if (conn)
		conn_free(conn);
	release_others(k->core);
	next_in(k, LIM_CANARY_MS * NS_PER_MS);
}

static void end_with_evidence(struct conn *conn, void *arg)
{
	(void)arg;
	/* One that is just being attached found the failure: identify() still holds it, and tells it Unavailable. */
	if (conn->state != CONN_CANARY && conn->attached)
		conn_revoke(conn, -ERR_EVIDENCE);
}

/* What was served under evidence that may have failed ends, all of it. */
void canary_failed(struct core *c, const char *why)
{
	struct canary *k = c->canary;

	k->good = 0;
	k->needed = WHOLE_AGAIN;
	k->failures++;
	if (!c->holds[HOLD_EVIDENCE] || k->why != why)
		log_error(EV_CANARY, KV("why", V_S(why)));
	k->why = why;
	if (c->holds[HOLD_EVIDENCE])
		return;
	hold_set(c, HOLD_EVIDENCE, -ERR_EVIDENCE);
	conns_each(c, end_with_evidence, NULL);
	provider_recover(c->provider);
}

static void fail_round(struct canary *k, const char *why)
{
	canary_failed(k->core, why);
	round_over(k);
}

static void succeed(struct canary *k)
{
	struct provider_health health;

	provider_health(k->core->provider, &health);
	if (health.lost_events) {
		log_error(EV_PROVIDER_LOSS, KV("events", V_U(health.lost_events)));
		provider_recover(k->core->provider);
		fail_round(k, "events were lost");
		return;
	}
	k->runs++;
	k->good++;
	k->last_good = clock_boot_ns();
	if (k->good >= k->needed)
		hold_set(k->core, HOLD_EVIDENCE, 0);
	round_over(k);
}

/* The worker could not do its part: that says nothing about the kernel, unless it goes on. */
static void inconclusive(struct canary *k, const char *why)
{
	log_debug(EV_CANARY, KV("inconclusive", V_S(why)));
	if (clock_boot_ns() - k->last_good > SILENCE_NS)
		fail_round(k, "no canary came through");
	else
		round_over(k);
}

/* The kernel writes up to the NUL; what is behind it may be older. */
static bool is_worker_comm(const char comm[static SVID_COMM_LEN])
{
	return strncmp(comm, WORKER_COMM, SVID_COMM_LEN) == 0;
}

static bool record_is_childs(const struct svid_conn *r)
{
	return r->image.flags & SVID_IMG_FORKED && r->image.n_ancestors && r->marks == 0 &&
	       is_worker_comm(r->image.ancestors[0].comm);
}

/* Both halves are there: who the worker says it is, and the connection. */
static void probe(struct canary *k)
{
	struct conn *conn = k->conn;
	bool good = record_is_childs(conn->record) && !conn_changed(conn);

	release_others(k->core);
	if (!good) {
		fail_round(k, "the record is not the canary's");
		return;
	}
	k->key = conn->ticket.key;
	k->phase = CANARY_PROBE;
	if (attest_canary_probe(&k->way))
		inconclusive(k, "probe not sent");
}

static void on_up(struct attest_canary *way, int err, uint32_t pid)
{
	struct canary *k = container_of(way, struct canary, way);
	struct conn *conn;

	if (err) {
		inconclusive(k, "the child did not connect");
		return;
	}
	k->pid = (pid_t)pid;
	k->phase = CANARY_UP;
	list_for_each(conn, &k->core->waiting, in_wait)
		if (conn->state == CONN_CANARY && conn->pid == k->pid) {
			k->conn = conn;
			probe(k);
			return;
		}
}

static void on_done(struct attest_canary *way, int read_err)
{
	struct canary *k = container_of(way, struct canary, way);
	const struct provider *p = k->core->provider;
	const struct provider_ticket *t;

	if (k->phase != CANARY_PROBE || !k->conn) {
		inconclusive(k, "out of order");
		return;
	}
	t = &k->conn->ticket;
	if (k->core->plan.tier == TIER_BPF_LSM && read_err != -EACCES) {
		fail_round(k, "a foreign read was not refused");
		return;
	}
	if (provider_word(p, t->conn_slot) == t->conn_word) {
		fail_round(k, "a foreign read was not marked");
		return;
	}
	if (provider_word(p, t->holder_slot) == t->holder_word) {
		fail_round(k, "an exit did not change the word");
		return;
	}
	k->phase = CANARY_EVENT;
	if (k->exit_seen)
		succeed(k);
	else
		next_in(k, EVENT_NS);
}

static void on_failed(struct attest_canary *way, int err)
{
	inconclusive(container_of(way, struct canary, way), err_name(err));
}

bool canary_event(struct core *c, const struct svid_event *e)
{
	struct canary *k = c->canary;

	if (!k->conn || k->phase < CANARY_PROBE || e->key.tgid != k->key.tgid || e->key.start != k->key.start)
		return false;
	if (e->type == SVID_EVENT_EXIT)
		k->exit_seen = true;
	if (k->exit_seen && k->phase == CANARY_EVENT)
		succeed(k);
	return true;
}

bool canary_may_be(const struct core *c, const struct conn *conn, const struct svid_conn *record)
{
	const struct canary *k = c->canary;

	if (k->phase == CANARY_UP)
		return conn->pid == k->pid && !k->conn;
	/* Whoever takes this name only makes himself wait until the worker has answered. */
	return k->phase == CANARY_ASKED && is_worker_comm(record->comm);
}

void canary_take(struct core *c, struct conn *conn)
{
	struct canary *k = c->canary;

	if (k->phase != CANARY_UP)
		return;
	k->conn = conn;
	probe(k);
}

void canary_gone(struct core *c, const struct conn *conn)
{
	if (c->canary && c->canary->conn == conn)
		c->canary->conn = NULL;
}

/* Connections that wait for a verdict go with all others. */
void canary_stop(struct core *c)
{
	loop_timer_stop(&c->canary->tick);
	attest_canary_cancel(&c->canary->way);
	c->canary->phase = CANARY_IDLE;
}

void canary_free(struct core *c)
{
	if (!c->canary)
		return;
	canary_stop(c);
	mem_free(take(&c->canary));
}

static void on_tick(struct loop_timer *t)
{
	struct canary *k = container_of(t, struct canary, tick);
	int err;

	if (k->phase == CANARY_EVENT) {
		fail_round(k, "no event of an exit");
		return;
	}
	if (k->phase != CANARY_IDLE) {
		inconclusive(k, "too slow");
		return;
	}
	k->phase = CANARY_ASKED;
	next_in(k, 3 * LIM_ATTEST_MS * NS_PER_MS); /* the deadline on the way there comes before */
	err = attest_canary(k->core->attest, &k->way, k->core->plan.public_path);
	if (err)
		inconclusive(k, err_name(err));
}

int canary_start(struct core *c)
{
	struct canary *k = mem_new(struct canary);

	if (!k)
		return -ENOMEM;
	*k = (struct canary){ .core = c, .needed = 1, .last_good = clock_boot_ns(), .tick.cb = on_tick,
			      .way = { .up = on_up, .done = on_done, .failed = on_failed } };
	c->canary = k;
	if (c->plan.tier == TIER_SOCKET) {
		c->holds[HOLD_EVIDENCE] = 0; /* there is none, and the mode says so everywhere */
		return 0;
	}
	return loop_timer_in(c->loop, &k->tick, NS_PER_MS);
}

void canary_put_status(const struct core *c, struct json *j)
{
	const struct canary *k = c->canary;

	json_u64(j, "canaries", k->runs);
	json_u64(j, "failures", k->failures);
	json_str(j, "last_failure", k->why);
	json_u64(j, "last_good_ms", k->runs ? (clock_boot_ns() - k->last_good) / NS_PER_MS : 0);
}
