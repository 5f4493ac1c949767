/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuse_world.h - a mounted /dev/fuse, and processes with the real FUSE backend over a tree of three kinds of files. Tests only:
 * every failure is a cmocka assertion.
 *
 *   self/svid/small   7 bytes          self/svid/denied   nobody may read it
 *   self/svid/large   300 000 bytes    self/svid/slow     decided when world_say('y')
 *   many/...          WORLD_MANY empty directories
 */
#ifndef TESTS_LIB_FUSE_WORLD_H
#define TESTS_LIB_FUSE_WORLD_H

#include <stdbool.h>
#include <sys/types.h>

#define WORLD_MANY 3000
#define WORLD_SMALL "content"
#define WORLD_LARGE 300000

/* What both sides see. */
struct world_shared {
	unsigned int reads, cancelled, waiting; /* of tree_read() */
	unsigned long generation;		/* of documents */
	unsigned int strangers;			/* of tree_stranger() */
	unsigned int userns_owner;		/* of every reader; 0: in no user namespace */
	int hold;				/* hold_err() */
	bool complete;
	bool crash; /* a decision ends the process */
};

struct fuse_world {
	char dir[64];
	int dev, state; /* kept over starts */
	pid_t core;
	int say;
	struct world_shared *shared;
};

/** world_set_up() - of cmocka: mounted, and a backend that runs with all names. Errors: none, it asserts. */
int world_set_up(void **state);

/** world_tear_down() - of cmocka. Errors: none. */
int world_tear_down(void **state);

/** world_start() - a backend over the mount. @complete: all names are there from the start. */
void world_start(struct fuse_world *w, bool complete);

/** world_launch() - the same, and it may end at any moment. */
void world_launch(struct fuse_world *w, bool complete);

/** world_fork() - a child without what keeps the mount alive, that ends with us; as fork(2). It must not assert. */
pid_t world_fork(struct fuse_world *w);

/** world_kill() - the backend dies; the mount stays. */
void world_kill(struct fuse_world *w);

/** world_say() - 'y': slow files are readable now; 'c': names are complete; 'd': small is gone; 'o': content is dropped. */
void world_say(struct fuse_world *w, char what);

/** world_path() - absolute, in one of four static buffers. */
const char *world_path(const struct fuse_world *w, const char *path);

/** world_until() - wait until @n is at least @want. */
void world_until(const unsigned int *n, unsigned int want);

#endif
