/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one accepted connection from accept to close. svid-core keeps a duplicate of every socket that
 * a front serves, so that it can end what a front does not.
 *
 * Flow: server.c accepts and bounds; conn.c adopts (provider.h), waits for the decision (decide.c), hands over
 * (front.h); revocation ends it with a reason, at LIM_CUT_MS with shutdown(2).
 */
#ifndef CORE_CONN_H
#define CORE_CONN_H

#include <sys/types.h>

#include "agent/base/list.h"
#include "agent/base/loop.h"
#include "agent/base/slice.h"
#include "agent/core/ask.h"
#include "agent/core/bury.h"
#include "agent/core/provider.h"

struct core;
struct idset;

enum conn_state {
	CONN_READABLE, /* attestation: socket: waits for the first byte */
	CONN_CANARY,   /* may be the canary's: waits to be told which it is */
	CONN_DECIDING, /* waits for its decision, or for an agent that is starting */
	CONN_QUEUED,   /* in a set whose front is not ready yet */
	CONN_SERVED,   /* the front has it */
	CONN_ENDING,   /* F_END was sent, the cut timer runs */
	CONN_CUT,      /* shut down by us; the front has not said closed yet */
};

struct conn {
	struct core *core;
	uint64_t number; /* generation << 32 | index; never reused */
	int fd;		 /* our duplicate: closed after the front's */
	struct grave grave; /* its end, when everything else is over */
	enum conn_state state;
	pid_t pid; /* SO_PEERCRED at connect, in our pid namespace */
	uid_t uid;
	uint64_t cgroup; /* what it is counted under; 0 = not counted */
	uint32_t userns_owner;
	bool in_userns;
	bool anonymous; /* counted by nobody.h */
	struct svid_who person; /* uid, or who made its user namespaces */
	bool unrecorded;  /* the kernel has nothing about it */
	bool told_whoami; /* its front has asked for the document */
	bool attached; /* the provider keeps slots for it */
	struct provider_ticket ticket;
	struct svid_conn *record; /* kept while it waits to be decided, else NULL */
	struct asker asker; /* of its decision */
	struct idset *set; /* from CONN_QUEUED on */
	int end_err;	   /* why it ends; 0 while it lives */
	uint64_t accepted; /* CLOCK_BOOTTIME ns */
	struct list in_set;
	struct list in_key; /* by process, for events */
	struct list in_wait; /* of the core: starting, canary, undecided, or leaving */
	int leave_err;	     /* not 0: the documents say that it ends, and its turn comes */
	struct loop_watch watch;
	struct loop_timer timer; /* first byte, hold, cut */
};

/* conn.c: connections */
/** conns_new() - the empty table. Errors: -ENOMEM. */
MUST int conns_new(struct core *c);
/** conn_new() - take over an accepted socket of (@pid, @uid). Errors: -ERR_LIMIT, -ENOMEM. */
MUST int conn_new(struct core *c, int fd, pid_t pid, uid_t uid, struct conn **ret_conn);
/** conn_start() - identify it and so on; it may be gone when this returns. */
void conn_start(struct conn *conn);
/** conn_go_on() - what it waited for (the agent, the canary) is over; it may be gone when this returns. */
void conn_go_on(struct conn *conn);
/** conn_revoke() - it ends with @err: the front is told, and LIM_CUT_MS later it is cut. */
void conn_revoke(struct conn *conn, int err);
/** conn_free() - forget it at once and close it (bury.h); it stays counted until it is closed. */
void conn_free(struct conn *conn);
/** conn_by_number() - NULL when it is gone. */
struct conn *conn_by_number(const struct core *c, uint64_t number);
/** conn_changed() - whether the kernel bumped one of its words. */
bool conn_changed(const struct conn *conn);
/** conn_was() - whether @number was given to a connection once. */
bool conn_was(const struct core *c, uint64_t number);
/** conn_different() - its documents are other ones: it ends with @conn->leave_err when its turn comes (revoke.c). */
void conn_different(struct conn *conn, bool none_left);
/** conn_ending() - its front was told to end it: start the clock of the cut. */
void conn_ending(struct conn *conn);
/** conns_of_key() - call @each for every connection of process @key; it may free the one it is given. */
void conns_of_key(struct core *c, const struct svid_key *key, void (*each)(struct conn *conn, void *arg), void *arg);
/** conns_each() - call @each for every connection; it may free the one it is given. */
void conns_each(struct core *c, void (*each)(struct conn *conn, void *arg), void *arg);

#endif
