/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds.h - how many connections each caller has: by uid, by cgroup, by the maker of its user namespaces (A14).
 *
 * A uid alone is no bound: one user owns 65536 of them through /etc/subuid.
 */
#ifndef CORE_BOUNDS_H
#define CORE_BOUNDS_H

#include "agent/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum bound_kind {
	BOUND_UID,
	BOUND_CGROUP,
	BOUND_USERNS,
	BOUND_KINDS,
};

#define BOUND_BUCKETS 1024

struct bounds {
	struct list buckets[BOUND_BUCKETS];
	uint32_t max[BOUND_KINDS];
	uint64_t refused[BOUND_KINDS];
};

/** bounds_init() - nobody has anything; limits from limits.h. */
void bounds_init(struct bounds *b);

/** bounds_done() - forget everything. */
void bounds_done(struct bounds *b);

/**
 * bounds_get() - one more for (@kind, @who).
 * @scarce: most of all connections are in use: a caller that has a good share already gets no more.
 * Errors: -ERR_LIMIT, -ENOMEM.
 */
MUST int bounds_get(struct bounds *b, enum bound_kind kind, uint64_t who, bool scarce);

/** bounds_put() - one less. */
void bounds_put(struct bounds *b, enum bound_kind kind, uint64_t who);

/** bounds_count() - how many (@kind, @who) has. */
uint32_t bounds_count(const struct bounds *b, enum bound_kind kind, uint64_t who);

#endif
