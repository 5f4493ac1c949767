/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loop.h - one epoll loop per process: descriptor watches and timers, one callback each.
 *
 * Watches and timers are embedded in their owner. A watch removed inside a batch of events is never
 * called again in that batch, even when its descriptor number was used anew meanwhile. Callbacks do
 * bounded work and handle their errors where they happen.
 */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "agent/base/compiler.h"

struct loop;

struct loop_watch {
	int fd;
	uint32_t slot; /* 0 = not added */
	void (*cb)(struct loop_watch *w, uint32_t events);
	struct loop *loop;
};

struct loop_timer {
	uint64_t due; /* CLOCK_BOOTTIME ns */
	uint32_t pos; /* heap position + 1; 0 = not armed */
	void (*cb)(struct loop_timer *t);
	struct loop *loop;
};

/** loop_new() - Errors: -errno of epoll_create1, -ENOMEM. Owned by the caller (loop_free). */
MUST int loop_new(struct loop **ret_loop);

/** loop_free() - NULL is fine; watches and timers still in it are forgotten, descriptors stay open. */
void loop_free(struct loop *l);

/**
 * loop_add() - call @w->cb when @w->fd has @events (EPOLLIN...). @w->fd and @w->cb are set by the caller.
 * Errors: -errno of epoll_ctl, -ENOMEM.
 */
MUST int loop_add(struct loop *l, struct loop_watch *w, uint32_t events);

/** loop_mod() - change the events of an added watch. Errors: -errno. */
MUST int loop_mod(struct loop_watch *w, uint32_t events);

/** loop_del() - remove; nothing happens when it was not added. Does not close the descriptor. */
void loop_del(struct loop_watch *w);

/**
 * loop_timer_in() - arm (or re-arm) @t to fire once, @ns from now.
 * Errors: -ENOMEM (many times in a row: there are spare places, so that no work stands still because memory was short once).
 */
MUST int loop_timer_in(struct loop *l, struct loop_timer *t, uint64_t ns);

/** loop_timer_stop() - disarm; nothing happens when it was not armed. */
void loop_timer_stop(struct loop_timer *t);

static inline bool loop_timer_armed(const struct loop_timer *t)
{
	return t->pos != 0;
}

/** loop_run() - until loop_stop(). Errors: -errno of epoll_wait other than EINTR. */
MUST int loop_run(struct loop *l);

/** loop_once() - one batch, waiting at most @timeout_ms (-1 = until something happens). Errors: -errno. */
MUST int loop_once(struct loop *l, int timeout_ms);

/** loop_stop() - loop_run() returns after the current batch. */
void loop_stop(struct loop *l);

#endif
