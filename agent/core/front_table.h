/* SPDX-License-Identifier: Apache-2.0 */
/* front_table.h - what front.c (sets and processes) and front_*.c (their channels) share. svid-core. */
#ifndef CORE_FRONT_TABLE_H
#define CORE_FRONT_TABLE_H

#include "agent/core/bundles.h"
#include "agent/core/docs.h"
#include "agent/core/front.h"
#include "agent/core/rate.h"

#define FRONT_BUCKETS 256

/* One process. */
struct front {
	struct list node; /* of the table, until svidd says that it ended */
	struct fronts *table;
	uint32_t number;
	pid_t pid; /* 0 until svidd has started it */
	struct chan *chan;
	struct frontlog log;
	struct idset *set; /* NULL: spare, or dead */
	bool ready;
	bool dead; /* nothing goes to it or comes from it any more */
	bool ending;
	bool killed;
	bool bound; /* svid-keys knows its set */
	bool serves; /* it has encoded a state of its set */
	uint32_t last_file; /* number of the last F_FILE */
	int state;  /* what F_STATE said last */
	uint32_t orders[LIM_JWT_ORDERS]; /* JWT-SVIDs without an answer */
	size_t n_orders;
	uint64_t born;
	struct loop_timer timer; /* getting ready, taking what waits, or ending */
	uint64_t taken;		 /* chan_taken() when it was armed for the second */
};

struct idset {
	struct list node;
	struct fronts *table;
	struct front *front; /* NULL: none now */
	struct list conns;
	size_t n_conns;
	struct list asks; /* files, struct front_ask */
	struct loop_timer idle;
	struct loop_timer backoff;
	unsigned int failures;
	uint64_t version;      /* of the last F_SET */
	uint64_t acknowledged; /* by FR_SET */
	struct buf told;       /* serial numbers of what its front was told last; empty: nothing */
	struct bucket jwts;    /* how many JWT-SVIDs it may have now */
	int err;	       /* why this set cannot be served now */
	size_t n;
	uint32_t ids[];
};

#define FRONT_FILES_KEPT 64

/* What a front made a moment ago: who opens a file again, or several of one identity at once, wait for no front. */
struct front_kept {
	uint32_t front; /* number; 0: free */
	uint32_t identity, what, len;
	uint64_t version; /* of the state that it was made of */
	uint64_t until;
	int fd;
};

struct fronts {
	struct loop *loop;
	struct identities *ids;
	struct authority *auth;
	const struct bundles *bundles;
	const struct fronts_ops *ops;
	void *owner;
	struct list all;
	struct list sets[FRONT_BUCKETS];
	struct sds_settings sds;
	struct front *spare;
	struct idset *empty;
	struct loop_timer spare_retry;
	uint32_t last_number;
	bool started;
	int state;  /* of the agent */
	int nobody; /* of the empty set, when state is 0 */
	struct fronts_stats stats;
	struct front_kept kept[FRONT_FILES_KEPT];
	size_t next_kept; /* the oldest */
	struct loop_timer kept_old;
};

/** front_by_number() - NULL when there is none. */
struct front *front_by_number(const struct fronts *f, uint32_t number);

/** front_kill() - have svidd kill it, once. */
void front_kill(struct front *fr);

/** front_dead() - its channel is gone: free what hangs on it. */
void front_dead(struct front *fr, int err);

/** front_bound() - @fr is ready and has a set: bind, state, SVIDs, and the connections that waited. */
void front_bound(struct front *fr);

/** front_hand() - F_CONN for one connection. Errors: as chan_send(). */
MUST int front_hand(struct front *fr, struct conn *conn);

/** front_watch() - connections wait in its channel: it has LIM_FRONT_STALL_MS to take some. */
void front_watch(struct front *fr);

/** front_tell_state() - F_STATE, when it is not what the front was told last. */
void front_tell_state(struct front *fr);

/** front_push() - the whole state of @set to its front, unless it has just that already. */
void front_push(struct idset *set);

/** front_files() - @fr serves a state: what waits for files of its set is asked of it. */
void front_files(struct front *fr);

/** front_files_lost() - @set has no front any more: all is to be asked again. */
void front_files_lost(struct idset *set);

/** front_file() / front_nofile() - FR_FILE, FR_NOFILE: handlers of its channel. Errors: those that condemn the front. */
MUST int front_file(struct chan *c, struct chan_msg *m);
MUST int front_nofile(struct chan *c, struct chan_msg *m);

/** front_jwt() - FR_JWT: handler of its channel. Errors: those that condemn the front. */
MUST int front_jwt(struct chan *c, struct chan_msg *m);

/** idset_holds() - whether identity @number is one of it. */
bool idset_holds(const struct idset *set, uint32_t number);

/** idset_rest() - something that used @set is over: with the last, it has LIM_FRONT_IDLE_MS left. */
void idset_rest(struct idset *set);

/** idset_need_front() - get the set a process unless it has one or has to wait. */
void idset_need_front(struct idset *set);

/** front_kept_start() - nothing is kept. */
void front_kept_start(struct fronts *f);

/** front_kept_done() - nothing is kept any more. */
void front_kept_done(struct fronts *f);

#endif
