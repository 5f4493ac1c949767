/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cache.h - cache.db: what clouds gave, sealed by svid-keys, and what they refused, so that a restart asks no cloud again.
 * svid-cloud. svid-keys takes one order at a time, so bindings wait in a queue for it.
 */
#ifndef CLOUD_CACHE_H
#define CLOUD_CACHE_H

#include "agent/base/list.h"
#include "agent/base/loop.h"
#include "agent/db/db.h"

struct binding;
struct cloud;
struct msg_CK_OPENED;
struct msg_CK_SEALED;

enum cache_job {
	JOB_NONE,
	JOB_OPEN,
	JOB_SEAL,
};

struct cache {
	struct db db;
	bool works, pruned;
	struct list jobs;    /* bindings that wait for svid-keys */
	struct binding *now; /* whose order svid-keys has; NULL: nobody's */
	uint32_t order;
	unsigned int tries;
	struct loop_timer timer;
};

/** cache_open() - open the database in @dir. A failure is logged and no error: then nothing is kept over a restart. */
void cache_open(struct cloud *c, const char *dir);

/** cache_close() - NULL timers and the database; the bindings are gone before. */
void cache_close(struct cloud *c);

/** cache_load() - find the row of @b; binding_cached() follows, or has been called when there is nothing to open. */
void cache_load(struct binding *b);

/** cache_opened() - svid-keys' answer to that. */
void cache_opened(struct cloud *c, const struct msg_CK_OPENED *m);

/** cache_store() - have the credential of @b sealed, then stored. */
void cache_store(struct binding *b);

/** cache_sealed() - svid-keys' answer to that. */
void cache_sealed(struct cloud *c, const struct msg_CK_SEALED *m);

/** cache_store_failure() - keep why @b was refused and when it is tried again. */
void cache_store_failure(struct binding *b);

/** cache_leave() - @b waits for nothing here any more. */
void cache_leave(struct binding *b);

/** cache_drop() - forget what was kept of @b. */
void cache_drop(struct binding *b);

/** cache_prune() - forget what belongs to no binding; once, when svid-core has said all. */
void cache_prune(struct cloud *c);

#endif
