// SPDX-License-Identifier: Apache-2.0
/* bounds.c - counters and offences by caller; an entry lives while it has either. svid-core. */
#include "agent/core/bounds.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

#define BOUND_SCARCE 8	    /* what is left of a bound when connections are scarce: one in so many */
#define BLAME_SPARES 16
#define BLAME_MAX (1u << 16) /* forgiven in about three minutes */

struct bound {
	struct list node;
	struct list in_idle;
	uint64_t who;
	enum bound_kind kind;
	uint32_t n;
	uint32_t blame; /* as of blamed */
	uint64_t blamed;
	uint64_t door; /* shut until then; 0: open */
};

const char *bound_name(enum bound_kind kind)
{
	static const char *const names[] = {
		[BOUND_UID] = "uid", [BOUND_CGROUP] = "cgroup", [BOUND_USERNS] = "user namespaces of uid",
		[BOUND_NOBODY_UID] = "without identity, uid", [BOUND_NOBODY_CGROUP] = "without identity, cgroup",
		[BOUND_NOBODY_USERNS] = "without identity, user namespaces of uid", [BOUND_READ_UID] = "reads of uid",
		[BOUND_READ_USERNS] = "reads, user namespaces of uid",
	};

	return names[kind];
}

void bounds_init(struct bounds *b)
{
	*b = (struct bounds){
		.max = { [BOUND_UID] = LIM_CONNS_PER_UID, [BOUND_CGROUP] = LIM_CONNS_PER_CGROUP,
			 [BOUND_USERNS] = LIM_CONNS_PER_USERNS, [BOUND_NOBODY_UID] = LIM_CONNS_ANON_EACH,
			 [BOUND_NOBODY_CGROUP] = LIM_CONNS_ANON_EACH, [BOUND_NOBODY_USERNS] = LIM_CONNS_ANON_EACH,
			 [BOUND_READ_UID] = LIM_TREE_READS_UID, [BOUND_READ_USERNS] = LIM_TREE_READS_UID },
		.now = clock_boot_ns,
	};
	list_init(&b->idle);
	for (size_t i = 0; i < BOUND_BUCKETS; i++)
		list_init(&b->buckets[i]);
}

static void bound_free(struct bounds *b, struct bound *e)
{
	if (!list_empty(&e->in_idle))
		b->n_idle--;
	list_del(&e->in_idle);
	list_del(&e->node);
	mem_free(e);
}

void bounds_done(struct bounds *b)
{
	struct bound *e, *tmp;

	for (size_t i = 0; i < BOUND_BUCKETS; i++)
		list_for_each_safe(e, tmp, &b->buckets[i], node)
			bound_free(b, e);
}

static size_t bucket_of(enum bound_kind kind, uint64_t who)
{
	return (size_t)((who * 0x9e3779b97f4a7c15ull >> 32) + kind) % BOUND_BUCKETS;
}

static struct bound *find(const struct bounds *b, enum bound_kind kind, uint64_t who)
{
	const struct list *bucket = &b->buckets[bucket_of(kind, who)];
	struct bound *e;

	list_for_each(e, bucket, node)
		if (e->who == who && e->kind == kind)
			return e;
	return NULL;
}

static struct bound *make(struct bounds *b, enum bound_kind kind, uint64_t who)
{
	struct bound *e = mem_new(struct bound);

	if (!e)
		return NULL;
	*e = (struct bound){ .who = who, .kind = kind };
	list_init(&e->in_idle);
	list_add_tail(&b->buckets[bucket_of(kind, who)], &e->node);
	return e;
}

static uint32_t blame_now(const struct bounds *b, const struct bound *e)
{
	uint64_t halves = (b->now() - e->blamed) / (LIM_BLAME_HALF_MS * NS_PER_MS);

	return halves < 32 ? e->blame >> halves : 0;
}

static uint32_t may_have(const struct bounds *b, const struct bound *e)
{
	/* The others of a uid who have an identity keep room; those who have none share what one of them spoils. */
	uint32_t least = e->kind <= BOUND_USERNS ? b->max[e->kind] / BLAME_SPARES : LIM_BLAME_LEAST;
	uint64_t may = (uint64_t)b->max[e->kind] * BLAME_HALVES / (BLAME_HALVES + blame_now(b, e));

	return may > least ? (uint32_t)may : least;
}

/* Without connections: remembered for its offences, but not beyond LIM_BOUNDS_KEPT; the first to come is the first to go. */
static void rest(struct bounds *b, struct bound *e)
{
	if (!blame_now(b, e)) {
		bound_free(b, e);
		return;
	}
	list_add_tail(&b->idle, &e->in_idle);
	b->n_idle++;
	e = list_entry(b->idle.next, struct bound, in_idle);
	if (b->n_idle > LIM_BOUNDS_KEPT || !blame_now(b, e))
		bound_free(b, e);
}

static void wake(struct bounds *b, struct bound *e)
{
	if (list_empty(&e->in_idle))
		return;
	list_del(&e->in_idle);
	b->n_idle--;
}

/*
 * In the kernel only what counts for all callers of a uid, cgroup or maker: of two programs of one uid it cannot know
 * which has an identity.
 */
static void set_door(struct bounds *b, struct bound *e, uint64_t until)
{
	if (!b->door || e->kind > BOUND_USERNS || (!until && e->door <= b->now()))
		return;
	e->door = until;
	b->door(b->owner, e->kind, e->who, until);
}

int bounds_get(struct bounds *b, enum bound_kind kind, uint64_t who, bool scarce)
{
	struct bound *e = find(b, kind, who);
	uint32_t max;

	if (!e)
		e = make(b, kind, who);
	if (!e)
		return -ENOMEM;
	max = may_have(b, e);
	if (e->n >= (scarce ? max / BOUND_SCARCE : max) && e->n) {
		b->refused[kind]++;
		set_door(b, e, b->now() + LIM_DOOR_MS * NS_PER_MS);
		return -ERR_LIMIT;
	}
	wake(b, e);
	e->n++;
	return 0;
}

void bounds_put(struct bounds *b, enum bound_kind kind, uint64_t who)
{
	struct bound *e = find(b, kind, who);

	if (!e || !e->n)
		return;
	e->n--;
	if (e->n < may_have(b, e))
		set_door(b, e, 0);
	if (!e->n)
		rest(b, e);
}

void bounds_blame(struct bounds *b, enum bound_kind kind, uint64_t who, uint32_t weight)
{
	struct bound *e = find(b, kind, who);
	uint32_t blame;

	if (!e)
		e = make(b, kind, who);
	if (!e)
		return;
	blame = blame_now(b, e) + weight;
	e->blame = blame < BLAME_MAX ? blame : BLAME_MAX;
	e->blamed = b->now();
	wake(b, e);
	if (!e->n)
		rest(b, e);
}

uint32_t bounds_count(const struct bounds *b, enum bound_kind kind, uint64_t who)
{
	const struct bound *e = find(b, kind, who);

	return e ? e->n : 0;
}

void bounds_each(const struct bounds *b, void (*each)(void *arg, const struct bound_view *v), void *arg)
{
	const struct bound *e;

	for (size_t i = 0; i < BOUND_BUCKETS; i++)
		list_for_each(e, &b->buckets[i], node) {
			struct bound_view v = { .kind = e->kind, .who = e->who, .n = e->n, .may_have = may_have(b, e),
						.blame = blame_now(b, e) };

			if (v.blame)
				each(arg, &v);
		}
}
