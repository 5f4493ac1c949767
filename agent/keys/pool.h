/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool.h - two threads for RSA key generation, so that EC work on the loop is never delayed. svid-keys.
 *
 * A job owns its inputs and outputs and nothing else; work() runs on a thread, touches only the job
 * and does not log; done() runs on the loop. The queue is bounded. A job can be cancelled before it
 * starts, never in the middle.
 */
#ifndef KEYS_POOL_H
#define KEYS_POOL_H

#include "agent/base/list.h"
#include "agent/base/loop.h"

struct pool;

struct pool_job {
	struct list node; /* private to pool.c while submitted */
	void (*work)(struct pool_job *job);
	void (*done)(struct pool_job *job); /* the job is its owner's again */
};

/**
 * pool_new() - start @n_threads, report completions in @loop, let at most @max_jobs wait.
 * Errors: -ENOMEM, -errno of eventfd and thread creation. Owned by the caller (pool_free).
 */
MUST int pool_new(struct loop *loop, unsigned int n_threads, unsigned int max_jobs, struct pool **ret_pool);

/** pool_free() - finish what runs with done(), drop what waits without it, join; NULL is fine. */
void pool_free(struct pool *p);

/** pool_submit() - lend @job to the pool until done(). Errors: -ERR_LIMIT (queue full). */
MUST int pool_submit(struct pool *p, struct pool_job *job);

/** pool_cancel() - take @job back if it has not started: true, and done() will not come. */
bool pool_cancel(struct pool *p, struct pool_job *job);

#endif
