/* SPDX-License-Identifier: Apache-2.0 */
/* ways.h - the system calls by which bytes get into and out of a socket; each takes another path in the kernel. */
#ifndef ATTACK_WAYS_H
#define ATTACK_WAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct way {
	const char *name;
	bool sends;	/* else receives */
	bool peeks;	/* what was received stays queued */
	ssize_t (*move)(int fd, void *bytes, size_t len); /* as read(2) and write(2): -1 and errno */
};

/** way_find() - the way of that name; dies when there is none. */
const struct way *way_find(const char *name);

/* How a request reaches the ring's kernel side. */
enum ring_mode { RING_INLINE, RING_WORKER, RING_SQPOLL };

/** ring_connect() - connect through an io_uring of its own; dies or skips when that fails. Returns the descriptor. */
int ring_connect(const char *path, enum ring_mode mode);

/** ring_move() - send or receive through an io_uring of its own. As read(2): -1 and errno. */
ssize_t ring_move(int fd, void *bytes, size_t len, bool sends, enum ring_mode mode);

/** ring_fetch() - read a file at @off through an io_uring of its own. As pread(2): -1 and errno. */
ssize_t ring_fetch(int fd, void *bytes, size_t len, size_t off, enum ring_mode mode);

#endif
