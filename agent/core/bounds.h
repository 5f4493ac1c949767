/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bounds.h - how many connections each caller has and may have: by uid, by cgroup, by the maker of its user namespaces
 * (A14). A uid alone is no bound: one user owns 65536 of them through /etc/subuid.
 *
 * Callers without identity are counted once more, apart: what they do to each other must not reach the others of their
 * uid or cgroup. Who offends may have less for a while: the bound shrinks with each offence, which halves in time.
 */
#ifndef CORE_BOUNDS_H
#define CORE_BOUNDS_H

#include "agent/base/list.h"

#include <stdbool.h>
#include <stdint.h>

enum bound_kind {
	BOUND_UID,
	BOUND_CGROUP,
	BOUND_USERNS,	     /* the uid that made the outermost user namespace */
	BOUND_NOBODY_UID,    /* callers without identity, as above */
	BOUND_NOBODY_CGROUP,
	BOUND_NOBODY_USERNS,
	BOUND_READ_UID,	     /* reads in the credential tree that wait */
	BOUND_READ_USERNS,
	BOUND_KINDS,
};

/* What an offence weighs. At BLAME_HALVES the bound is half of what it was. */
#define BLAME_OVER 1	/* one connection more than allowed */
#define BLAME_CLIENT 8	/* sent nothing, took nothing, or sent what nobody understands */
#define BLAME_HALVES 64

#define BOUND_BUCKETS 1024

struct bounds {
	struct list buckets[BOUND_BUCKETS];
	struct list idle; /* entries without connections, oldest first: kept for their offences */
	uint32_t n_idle;
	uint32_t max[BOUND_KINDS];
	uint64_t refused[BOUND_KINDS];
	/* Refuse (@kind, @who) in connect() until then; 0: no more. NULL: nobody can. */
	void (*door)(void *owner, enum bound_kind kind, uint64_t who, uint64_t until);
	void *owner;
	uint64_t (*now)(void); /* CLOCK_BOOTTIME ns; tests have their own */
};

/* For status. */
struct bound_view {
	enum bound_kind kind;
	uint64_t who;
	uint32_t n, may_have, blame;
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

/** bounds_blame() - (@kind, @who) offended: it may have less for a while. */
void bounds_blame(struct bounds *b, enum bound_kind kind, uint64_t who, uint32_t weight);

/** bounds_count() - how many (@kind, @who) has. */
uint32_t bounds_count(const struct bounds *b, enum bound_kind kind, uint64_t who);

/** bounds_each() - call @each for everybody who is blamed for something now. */
void bounds_each(const struct bounds *b, void (*each)(void *arg, const struct bound_view *v), void *arg);

/** bound_name() - "uid" and so on, for status. */
const char *bound_name(enum bound_kind kind);

#endif
