// SPDX-License-Identifier: Apache-2.0
/*
 * front.c - sets, and which process serves them. What goes over a front's channel is in front_chan.c.
 * svid-core.
 */
#include "agent/core/front_table.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"

#define FIRST_BACKOFF_MS 50
#define GOOD_LIFE_NS (10 * NS_PER_S) /* a front that lived this long was no failure */
#define END_GRACE_NS NS_PER_S	     /* from closing a front's channel to killing it */
#define TOLD_MAX ((LIM_SET_IDENTITIES + LIM_FEDERATED + 1) * 12)

static void spare_wanted(struct fronts *f);

static uint32_t hash_ids(const uint32_t *ids, size_t n)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ ids[i]) * 16777619u;
	return h % FRONT_BUCKETS;
}

static void on_spare_retry(struct loop_timer *t)
{
	spare_wanted(container_of(t, struct fronts, spare_retry));
}

int fronts_new(struct loop *loop, struct identities *ids, struct authority *auth, const struct bundles *bundles,
	       const struct fronts_ops *ops, void *owner, struct fronts **ret_fronts)
{
	struct fronts *f = mem_new(struct fronts);

	if (!f)
		return -ENOMEM;
	*f = (struct fronts){ .loop = loop, .ids = ids, .auth = auth, .bundles = bundles, .ops = ops,
			      .owner = owner, .nobody = -ERR_NOT_READY, .spare_retry.cb = on_spare_retry };
	list_init(&f->all);
	front_kept_start(f);
	for (size_t i = 0; i < FRONT_BUCKETS; i++)
		list_init(&f->sets[i]);
	*ret_fronts = f;
	return 0;
}

struct front *front_by_number(const struct fronts *f, uint32_t number)
{
	struct front *fr;

	list_for_each(fr, &f->all, node)
		if (fr->number == number)
			return fr;
	return NULL;
}

static void front_free(struct front *fr)
{
	chan_free(fr->chan);
	frontlog_stop(&fr->log);
	loop_timer_stop(&fr->timer);
	if (fr->set)
		fr->set->front = NULL;
	if (fr->table->spare == fr)
		fr->table->spare = NULL;
	list_del(&fr->node);
	fr->table->stats.alive--;
	mem_free(fr);
}

void front_watch(struct front *fr)
{
	if (chan_idle(fr->chan) || loop_timer_armed(&fr->timer))
		return;
	fr->taken = chan_taken(fr->chan);
	if (loop_timer_in(fr->table->loop, &fr->timer, LIM_FRONT_STALL_MS * NS_PER_MS))
		front_kill(fr);
}

static const char *late_for(const struct front *fr)
{
	if (fr->dead)
		return "does not end";
	return fr->ready ? "takes nothing" : "does not start";
}

/* It did not get ready in time, hangs while callers wait, or did not end when its channel was closed. */
static void on_front_late(struct loop_timer *t)
{
	struct front *fr = container_of(t, struct front, timer);

	if (fr->ready && !fr->dead && (chan_idle(fr->chan) || chan_taken(fr->chan) != fr->taken)) {
		front_watch(fr);
		return;
	}
	log_warn(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S(late_for(fr))));
	front_kill(fr);
}

void front_kill(struct front *fr)
{
	if (fr->killed)
		return;
	fr->killed = true;
	fr->table->stats.killed++;
	fr->table->ops->kill(fr->table->owner, fr->number);
}

static int spawn(struct fronts *f, struct front **ret_front)
{
	struct front *fr;
	int err;

	if (f->stats.alive >= LIM_FRONTS) {
		f->stats.refused++;
		return -ERR_LIMIT;
	}
	fr = mem_new(struct front);
	if (!fr)
		return -ENOMEM;
	*fr = (struct front){ .table = f, .number = ++f->last_number, .log.watch.fd = -1, .timer.cb = on_front_late,
			      .born = clock_boot_ns() };
	list_add_tail(&f->all, &fr->node);
	f->stats.alive++;
	err = loop_timer_in(f->loop, &fr->timer, LIM_FRONT_START_MS * NS_PER_MS);
	if (!err)
		err = f->ops->spawn(f->owner, fr->number);
	if (err) {
		front_free(fr);
		return err;
	}
	f->stats.started++;
	*ret_front = fr;
	return 0;
}

/* The spare is a convenience: without it a new set waits for an exec. */
static void spare_wanted(struct fronts *f)
{
	if (f->spare || f->stats.alive >= LIM_FRONTS || loop_timer_armed(&f->spare_retry))
		return;
	if (spawn(f, &f->spare))
		log_warn(EV_FRONT, KV("what", V_S("no spare")));
}

static bool is_used(const struct idset *set)
{
	return !list_empty(&set->conns) || !list_empty(&set->asks) || set == set->table->empty;
}

static void set_front_failed(struct idset *set, bool young)
{
	uint64_t ms = FIRST_BACKOFF_MS;

	if (!young) {
		set->failures = 0;
		return;
	}
	for (unsigned int i = 0; i < set->failures && ms < LIM_FRONT_BACKOFF_MS; i++)
		ms *= 2;
	set->failures++;
	ms = ms < LIM_FRONT_BACKOFF_MS ? ms : LIM_FRONT_BACKOFF_MS;
	if (loop_timer_in(set->table->loop, &set->backoff, ms * NS_PER_MS))
		log_error(EV_FRONT, KV("err", V_S("ENOMEM")));
}

/* The connections go at once; the number stays taken until svidd says that the process is gone. */
void front_dead(struct front *fr, int err)
{
	struct fronts *f = fr->table;
	struct idset *set = fr->set;
	bool young = clock_boot_ns() - fr->born < GOOD_LIFE_NS;
	struct conn *c, *tmp;

	if (fr->dead)
		return;
	fr->dead = true;
	f->stats.died++;
	/* A closed channel should be the end of the process, but one that was taken over can close it and stay. */
	if (err != -ERR_CLOSED || loop_timer_in(f->loop, &fr->timer, END_GRACE_NS))
		front_kill(fr);
	chan_free(fr->chan);
	fr->chan = NULL;
	fr->set = NULL;
	if (f->spare == fr) {
		f->spare = NULL;
		if (loop_timer_in(f->loop, &f->spare_retry, (young ? 1000 : 1) * NS_PER_MS))
			log_error(EV_FRONT, KV("err", V_S("ENOMEM")));
	}
	if (!set)
		return;
	log_warn(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S("died")), KV("err", V_S(err_name(err))));
	set->front = NULL;
	set_front_failed(set, young);
	list_for_each_safe(c, tmp, &set->conns, in_set)
		if (c->state != CONN_QUEUED)
			f->ops->lost(f->owner, c);
	front_files_lost(set);
	if (is_used(set))
		idset_need_front(set);
}

void fronts_exit(struct fronts *f, uint32_t number, uint32_t status)
{
	struct front *fr = front_by_number(f, number);

	if (!fr)
		return;
	if (!fr->dead && !fr->ending)
		log_warn(EV_FRONT, KV("front", V_U(number)), KV("what", V_S("exited")), KV("status", V_U(status)));
	front_dead(fr, -ERR_CLOSED);
	front_free(fr);
	if (!f->spare && f->started)
		spare_wanted(f);
}

/* An end that we want: the front sees its channel close and exits by itself. */
static void front_end(struct front *fr)
{
	if (!fr)
		return;
	fr->ending = fr->dead = true;
	chan_free(fr->chan);
	fr->chan = NULL;
	fr->set = NULL;
	if (loop_timer_in(fr->table->loop, &fr->timer, END_GRACE_NS))
		front_kill(fr);
}

static void set_free(struct idset *set)
{
	struct fronts *f = set->table;

	front_end(set->front);
	loop_timer_stop(&set->idle);
	loop_timer_stop(&set->backoff);
	for (size_t i = 0; i < set->n; i++)
		identity_drop(f->ids, set->ids[i]);
	buf_done(&set->told);
	list_del(&set->node);
	f->stats.sets--;
	mem_free(set);
}

static void on_set_idle(struct loop_timer *t)
{
	set_free(container_of(t, struct idset, idle));
}

static void on_backoff_over(struct loop_timer *t)
{
	struct idset *set = container_of(t, struct idset, backoff);

	if (is_used(set))
		idset_need_front(set);
}

/* The spare when it is there, else a new process; connections wait in the set. */
void idset_need_front(struct idset *set)
{
	struct fronts *f = set->table;
	struct front *fr = f->spare;
	int err = 0;

	if (set->front || loop_timer_armed(&set->backoff))
		return;
	if (fr)
		f->spare = NULL;
	else
		err = spawn(f, &fr);
	if (err) {
		log_warn(EV_FRONT, KV("what", V_S("not started")), KV("err", V_S(err_name(err))));
		set_front_failed(set, true);
		return;
	}
	fr->set = set;
	fr->born = clock_boot_ns();
	set->front = fr;
	buf_reset(&set->told);
	if (fr->ready)
		front_bound(fr);
	if (f->started)
		spare_wanted(f);
}

static struct idset *find_set(const struct fronts *f, const uint32_t *ids, size_t n)
{
	const struct list *bucket = &f->sets[hash_ids(ids, n)];
	struct idset *set;

	list_for_each(set, bucket, node)
		if (set->n == n && (n == 0 || memcmp(set->ids, ids, n * sizeof(*ids)) == 0))
			return set;
	return NULL;
}

static int make_set(struct fronts *f, const struct identity *const *docs, const uint32_t *ids, size_t n,
		    struct idset **ret_set)
{
	struct idset *set = mem_calloc(1, sizeof(*set) + n * sizeof(*ids));
	int err = 0;

	if (!set)
		return -ENOMEM;
	set->table = f;
	set->idle.cb = on_set_idle;
	set->backoff.cb = on_backoff_over;
	set->told = (struct buf)BUF_INIT(TOLD_MAX);
	bucket_init(&set->jwts, LIM_JWT_RATE, LIM_JWT_BURST);
	list_init(&set->conns);
	list_init(&set->asks);
	list_init(&set->node);
	list_add_tail(&f->sets[hash_ids(ids, n)], &set->node);
	f->stats.sets++;
	for (; set->n < n && !err; set->n += !err) {
		set->ids[set->n] = ids[set->n];
		err = identity_hold(f->ids, docs[set->n]);
	}
	if (err) {
		set_free(set);
		return err;
	}
	*ret_set = set;
	return 0;
}

int fronts_set(struct fronts *f, const struct identity *const *docs, size_t n, struct idset **ret_set)
{
	uint32_t ids[LIM_SET_IDENTITIES];
	struct idset *set;
	int err;

	if (n > LIM_SET_IDENTITIES)
		return -ERR_LIMIT;
	for (size_t i = 0; i < n; i++)
		ids[i] = docs[i]->number;
	set = find_set(f, ids, n);
	if (!set && !f->spare && f->stats.alive >= LIM_FRONTS) {
		f->stats.refused++;
		return -ERR_LIMIT;
	}
	err = set ? 0 : make_set(f, docs, ids, n, &set);
	if (err)
		return err;
	idset_need_front(set);
	*ret_set = set;
	return 0;
}

struct idset *fronts_empty_set(struct fronts *f)
{
	return f->empty;
}

int fronts_start(struct fronts *f)
{
	int err = fronts_set(f, NULL, 0, &f->empty);

	if (err)
		return err;
	f->started = true;
	spare_wanted(f);
	return 0;
}

int fronts_add(struct idset *set, struct conn *conn)
{
	loop_timer_stop(&set->idle);
	conn->set = set;
	conn->state = CONN_QUEUED;
	list_add_tail(&set->conns, &conn->in_set);
	set->n_conns++;
	idset_need_front(set);
	if (set->front && set->front->ready)
		return front_hand(set->front, conn);
	return 0;
}

void fronts_overdue(struct conn *conn)
{
	struct front *fr = conn->set->front;

	log_warn(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S("keeps a connection that was cut")));
	front_kill(fr);
}

void idset_rest(struct idset *set)
{
	if (is_used(set))
		return;
	if (loop_timer_in(set->table->loop, &set->idle, LIM_FRONT_IDLE_MS * NS_PER_MS))
		log_error(EV_FRONT, KV("err", V_S("ENOMEM")));
}

void fronts_remove(struct conn *conn)
{
	struct idset *set = conn->set;

	if (!set)
		return;
	list_del(&conn->in_set);
	conn->set = NULL;
	set->n_conns--;
	idset_rest(set);
}

void fronts_free(struct fronts *f)
{
	struct front *fr, *ftmp;
	struct idset *set, *stmp;

	if (!f)
		return;
	f->started = false;
	for (size_t i = 0; i < FRONT_BUCKETS; i++)
		list_for_each_safe(set, stmp, &f->sets[i], node)
			set_free(set);
	list_for_each_safe(fr, ftmp, &f->all, node)
		front_free(fr);
	loop_timer_stop(&f->spare_retry);
	front_kept_done(f);
	mem_free(f);
}

void fronts_get_stats(const struct fronts *f, struct fronts_stats *ret_stats)
{
	*ret_stats = f->stats;
}
