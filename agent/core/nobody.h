/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nobody.h - callers without identity: anybody can be one as often as they like. How many there may be, and how much
 * they make us write. An identity that is given always has its own audit record.
 */
#ifndef CORE_NOBODY_H
#define CORE_NOBODY_H

#include "agent/base/loop.h"
#include "agent/base/slice.h"
#include "kmod/uapi/svid.h"

struct conn;
struct core;
struct decision;

/* What one person's callers without identity had written, and what was only counted. */
struct nobody_log {
	struct svid_who who; /* kind 0: free */
	uint64_t filled;     /* when tokens was right, CLOCK_BOOTTIME ns */
	uint32_t tokens;     /* records that may be written now */
	uint32_t times;	     /* not written since */
	uint64_t since;
};

struct nobodies {
	struct nobody_log *logs; /* LIM_AUDIT_NOBODIES; the last one is everybody else's */
	struct loop_timer flush;
	size_t n; /* connections counted */
	uint64_t unwritten;
};

/** nobodies_init() - none yet. Errors: -ENOMEM. */
MUST int nobodies_init(struct core *c);

/** nobodies_done() - release; what was only counted stays unwritten. */
void nobodies_done(struct nobodies *ns);

/** nobody_count() - @conn is one of them, if there may be another. Errors: -ERR_LIMIT, -ENOMEM. */
MUST int nobody_count(struct conn *conn);

/** nobody_uncount() - @conn is over; harmless when it was not counted. */
void nobody_uncount(struct conn *conn);

/**
 * nobody_wants_record() - whether a refusal of @person gets a record of its own: the first of a caller does (@d, or NULL
 * when it could not be decided), within what its person may have written. What does not is counted, and one record tells
 * of it later.
 */
bool nobody_wants_record(struct core *c, const struct svid_who *person, struct decision *d);

/** conn_blame() - @conn ended with @err as its front says: when that is the client's doing, it may have less for a while. */
void conn_blame(struct conn *conn, int err);

#endif
