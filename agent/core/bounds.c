// SPDX-License-Identifier: Apache-2.0
/* bounds.c - counters by caller; an entry lives while its count is not zero. svid-core. */
#include "agent/core/bounds.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

#define BOUND_SCARCE 8 /* what is left of a bound when connections are scarce: one in so many */

struct bound {
	struct list node;
	uint64_t who;
	enum bound_kind kind;
	uint32_t n;
};

void bounds_init(struct bounds *b)
{
	*b = (struct bounds){ .max = { [BOUND_UID] = LIM_CONNS_PER_UID, [BOUND_CGROUP] = LIM_CONNS_PER_CGROUP,
				       [BOUND_USERNS] = LIM_CONNS_PER_USERNS } };
	for (size_t i = 0; i < BOUND_BUCKETS; i++)
		list_init(&b->buckets[i]);
}

void bounds_done(struct bounds *b)
{
	struct bound *e, *tmp;

	for (size_t i = 0; i < BOUND_BUCKETS; i++)
		list_for_each_safe(e, tmp, &b->buckets[i], node) {
			list_del(&e->node);
			mem_free(e);
		}
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

int bounds_get(struct bounds *b, enum bound_kind kind, uint64_t who, bool scarce)
{
	uint32_t max = scarce ? b->max[kind] / BOUND_SCARCE : b->max[kind];
	struct bound *e = find(b, kind, who);

	if (e && e->n >= max) {
		b->refused[kind]++;
		return -ERR_LIMIT;
	}
	if (e) {
		e->n++;
		return 0;
	}
	e = mem_new(struct bound);
	if (!e)
		return -ENOMEM;
	*e = (struct bound){ .who = who, .kind = kind, .n = 1 };
	list_add_tail(&b->buckets[bucket_of(kind, who)], &e->node);
	return 0;
}

void bounds_put(struct bounds *b, enum bound_kind kind, uint64_t who)
{
	struct bound *e = find(b, kind, who);

	if (!e || --e->n)
		return;
	list_del(&e->node);
	mem_free(e);
}

uint32_t bounds_count(const struct bounds *b, enum bound_kind kind, uint64_t who)
{
	const struct bound *e = find(b, kind, who);

	return e ? e->n : 0;
}
