/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_fuse.h - between the files of the FUSE backend: requests that are not answered (tree_fuse_kept.c), contents that were
 * opened (tree_fuse_open.c), the session that uses both (tree_fuse.c). svid-core.
 */
#ifndef CORE_TREE_FUSE_H
#define CORE_TREE_FUSE_H

#define FUSE_USE_VERSION 35

#include <fuse3/fuse_lowlevel.h>
#include <linux/fuse.h>

#include "agent/base/limits.h"
#include "agent/core/tree.h"

#define KEPT_BYTES 8192			 /* of one request: FUSE_MIN_READ_BUFFER, else the kernel gives none */
#define KEPT_SLOTS (2 * LIM_TREE_READS)	 /* requests without an answer: reads, and lookups while names are being made */
#define OPENED_CONTENTS LIM_TREE_READS	 /* held for those who opened them */
#define OPENED_UID 64			 /* likewise, of one uid */
#define OPENED_NS (10000 * NS_PER_MS)	 /* and not longer than this */

/* One request as it was read from /dev/fuse, right here: it is in no other place. Length 0: free. */
struct kept_slot {
	uint32_t tries; /* how often a svid-core began with it after the first one died */
	uint32_t pad0;
	union {
		struct fuse_in_header head;
		uint8_t bytes[KEPT_BYTES];
	};
};

struct kept;

/**
 * kept_open() - use the memfd @fd, at first empty; -1: one that ends with this process. Takes over @fd.
 * Errors: -errno, -ERR_FORMAT (made by something else), -ENOMEM.
 */
MUST int kept_open(int fd, struct kept **ret_kept);

/** kept_free() - unmap; what is in the memfd stays. NULL is fine. */
void kept_free(struct kept *k);

/** kept_init() - the slot of FUSE_INIT, which is never given back: each new session starts with it. */
struct kept_slot *kept_init(struct kept *k);

/** kept_take() - a free slot, to be read into; NULL when there is none. It stays free until its length is not 0. */
struct kept_slot *kept_take(struct kept *k);

/** kept_done() - @s was answered, or nothing came. */
void kept_done(struct kept *k, struct kept_slot *s);

/** kept_each() - call @each for what the svid-core before did not answer; before the first kept_take(). */
void kept_each(struct kept *k, void (*each)(void *arg, struct kept_slot *s), void *arg);

/*
 * Content that was decided for one process in one exec. A file handle is a number for the kernel to keep: who opened
 * (24 bits of it), how long the content was, and a serial number. So it says enough when the content is gone.
 */
struct opened {
	struct list in_all; /* oldest first */
	struct list in_hash;
	uint64_t handle;
	uint64_t node;
	struct svid_key key;
	uint64_t exec_id;
	uint64_t generation; /* of the documents that it was decided by */
	uint64_t until;
	uint32_t identity;
	bool everybody; /* no secret is in it */
	uint32_t len;
	uid_t uid; /* who it is counted for */
	int fd; /* sealed */
};

struct openeds;

/** openeds_new() - none, and a pipe. Errors: -errno, -ENOMEM. */
MUST int openeds_new(struct loop *loop, struct openeds **ret_openeds);

/** openeds_free() - NULL is fine. */
void openeds_free(struct openeds *o);

/**
 * opened_add() - hold a duplicate of @fd for the process of @r. @handle: of before; 0: a new one.
 * @ret_opened: good until the loop goes on. Errors: -errno, -ENOMEM.
 */
MUST int opened_add(struct openeds *o, const struct tree_read *r, int fd, uint32_t len, uint64_t handle,
		    struct opened **ret_opened);

/** opened_find() - what is held under this handle; NULL. */
struct opened *opened_find(const struct openeds *o, uint64_t handle);

/** opened_close() - not needed any more; NULL is fine. */
void opened_close(struct openeds *o, struct opened *s);

/** opened_drop_node() - the file @n is gone: nobody reads on. */
void opened_drop_node(struct openeds *o, const struct tree_node *n);

/** handle_is_of() - whether the process of @r opened @handle. */
bool handle_is_of(uint64_t handle, const struct tree_read *r);

/** handle_len() - how long the content was. */
uint32_t handle_len(uint64_t handle);

/**
 * opened_send() - answer the read request @unique on @dev with the bytes at @off, which never are in our memory: @len of
 * them, which are there, or fewer.
 * Errors: -ENOENT (nobody waits any more), -EIO and others (nothing was sent).
 */
MUST int opened_send(struct openeds *o, const struct opened *s, int dev, uint64_t unique, uint64_t off, size_t len);

struct fuse_tree {
	struct tree *tree;
	struct fuse_session *session;
	struct loop *loop;
	struct loop_watch dev;
	struct loop_timer patience;
	struct kept *kept;
	struct openeds *openeds;
	struct kept_slot *now; /* being taken apart; NULL once somebody else has it */
	struct list asks;
	struct kept_slot *held[LIM_TREE_READS]; /* names may still come */
	size_t n_held;
	bool patient; /* names may still come */
	int64_t since;
};

/* tree_fuse_ops.c */
extern const struct fuse_lowlevel_ops fuse_ops; /* of a session whose user data is a struct fuse_tree */

/** fuse_interrupt() - a signal for whoever waits for the request @unique: an answer, if it is going to die. */
void fuse_interrupt(struct fuse_tree *f, uint64_t unique);

/** fuse_forget() - requests that wait are not answered; they stay kept. */
void fuse_forget(struct fuse_tree *f);

/* tree_fuse.c */
/** fuse_refuse_slot() - answer @s without libfuse, which has nothing of it any more; it is given back. */
void fuse_refuse_slot(struct fuse_tree *f, struct kept_slot *s, int err);

/**
 * tree_fuse_start() - be the backend, through @fd: /dev/fuse, mounted.
 * @state: memfd as old as the mount (FD_KIND_FUSE_STATE); -1: what the svid-core before had not answered is lost.
 * Both are its own from now on. Errors: -errno, -ENOMEM, -ERR_FORMAT (what is in @state is not ours).
 */
MUST int tree_fuse_start(struct tree *t, int fd, int state);

#endif
