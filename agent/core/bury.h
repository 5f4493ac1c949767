/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bury.h - the last close() of a connection. A client can have put descriptors into it that are slow to close (A21), so
 * one whose queue is not empty goes to a svid-undertaker, which may hang and be killed; svid-core never waits.
 */
#ifndef CORE_BURY_H
#define CORE_BURY_H

#include <stdbool.h>

#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "agent/base/loop.h"
#include "agent/ipc/chan.h"

/* A connection that is being closed; embedded in whatever ends with it. */
struct grave {
	struct list node;
	int fd;
	/* It is closed: @g may be freed. May come from inside bury(). */
	void (*over)(struct grave *g);
};

struct bury;

struct undertaker {
	struct bury *bury;
	uint32_t index;
	struct chan *chan; /* NULL: not there now */
	struct list now;   /* graves that it holds; none: idle */
	struct loop_timer late;
	bool killed;
};

struct bury {
	struct loop *loop;
	/* Ask svidd to kill undertaker @index. */
	void (*kill)(void *owner, uint32_t index);
	void *owner;
	struct undertaker undertakers[LIM_UNDERTAKERS];
	bool in_place; /* nobody can have queued a descriptor: close() is always quick */
	struct list waiting;
	size_t n_waiting;
	uint64_t handed, killed; /* since start */
};

/** bury_init() - no undertaker yet: what needs one waits. @listener: where the connections come from. */
void bury_init(struct bury *b, struct loop *loop, int listener, void (*kill)(void *owner, uint32_t index), void *owner);

/** bury_peer() - undertaker @index has started; takes over @fd. Errors: -ERR_FORMAT (no such number), -ENOMEM, -errno. */
MUST int bury_peer(struct bury *b, uint32_t index, int fd);

/**
 * bury() - shut @g->fd down and close it: at once where it can hold no descriptors or nothing at all is queued in it, else
 * by an undertaker.
 * No front may hold a duplicate that it could close later than that: shared ones come here when they are given back.
 */
void bury(struct bury *b, struct grave *g);

/** bury_done() - forget all undertakers, and every grave as if it were closed: the end of the process closes it. */
void bury_done(struct bury *b);

/** bury_is_full() - whether LIM_GRAVES wait: no reason to accept more just now. */
bool bury_is_full(const struct bury *b);

#endif
