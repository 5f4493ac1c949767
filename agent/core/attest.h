/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest.h - the pool of svid-attest workers as svid-core sees it: a bounded queue, one request per worker, a
 * deadline after which svidd kills the worker. The first workers look, the others hash: neither waits for the other.
 *
 * What a worker answers is believed only after the caller's words were found unchanged (decide.c).
 */
#ifndef CORE_ATTEST_H
#define CORE_ATTEST_H

#include "agent/base/loop.h"
#include "agent/ipc/chan.h"
#include "kmod/uapi/svid.h"

struct attest;

struct attest_ops {
	/* Ask svidd to kill worker @index. */
	void (*kill)(void *owner, uint32_t index);
};

/* What is asked: A_IDENTIFY, A_OPEN, A_DIGEST. */
enum attest_kind {
	ATTEST_IDENTIFY,
	ATTEST_OPEN,
	ATTEST_HASH,
};

/* The member of the question's kind is set; it lives until done() returns. */
struct attest_answer {
	const struct msg_A_IDENTITY *identity;
	int *fd; /* ATTEST_OPEN: O_PATH; taken by setting it to -1 */
	const struct msg_A_DIGESTED *digested;
};

/* One question; embedded in its owner, who may cancel it at any time. */
struct attest_job {
	struct list node; /* of the queue; initialised and alone otherwise */
	enum attest_kind kind;
	union {
		struct msg_A_IDENTIFY ask;
		struct msg_A_OPEN open;
		struct msg_A_DIGEST digest;
	};
	union {
		uint32_t groups[SVID_GROUPS_MAX]; /* what ask.groups borrows */
		int fd;				  /* ATTEST_HASH: the owner's, open until done() */
	};
	uint32_t caller; /* uid that the work is charged to */
	bool again;	 /* it was tried on a worker that died of something else */
	void (*done)(struct attest_job *job, const struct attest_answer *answer, int err); /* answer is NULL on error */
	struct loop_timer deadline;
	uint64_t started; /* CLOCK_BOOTTIME ns when a worker got it; 0 before */
	struct attest *pool;
	struct attest_worker *worker; /* NULL while it waits */
};

/* The canary's way through a worker; each step is answered by one call. */
struct attest_canary {
	void (*up)(struct attest_canary *c, int err, uint32_t pid);
	void (*done)(struct attest_canary *c, int read_err);
	void (*failed)(struct attest_canary *c, int err); /* the worker died or was killed */
	struct attest *pool;
	struct attest_worker *worker; /* NULL while it waits for one */
	struct loop_timer deadline;   /* of the whole, waiting included */
};

struct attest_stats {
	uint64_t asked, answered, refused, deadlines, deaths;
	unsigned int workers, waiting;
};

/** attest_new() - an empty pool. Errors: -ENOMEM. */
MUST int attest_new(struct loop *loop, const struct attest_ops *ops, void *owner, struct attest **ret_pool);

/** attest_free() - jobs that are left are forgotten without an answer. */
void attest_free(struct attest *a);

/** attest_peer() - worker @index is up; takes over @fd. Errors: -ENOMEM, -ERR_FORMAT (index), -errno. */
MUST int attest_peer(struct attest *a, uint32_t index, int fd);

/**
 * attest_about() - fill the question of @job: where the executable of @pid is and what the ids in @r are called.
 * @compare: only if process and file are those of @r's image; else of whatever has that number now.
 */
void attest_about(struct attest_job *job, const struct svid_conn *r, pid_t pid, bool compare);

/** attest_about_file() - the same for ATTEST_OPEN: a descriptor of the executable of @pid. */
void attest_about_file(struct attest_job *job, const struct svid_image *img, pid_t pid, bool compare);

/** attest_take_proc() - where no exec was recorded, what /proc says now is all there is: @m becomes the image. */
void attest_take_proc(struct svid_image *img, const struct msg_A_IDENTITY *m);

/**
 * attest_also_for() - @caller wants the answer to @job too. While it waits for a worker behind other questions of the one
 * who asked, it becomes @caller's, unless he has one out as well; and it may wait anew.
 */
void attest_also_for(struct attest_job *job, uint32_t caller);

/**
 * attest_ask() - queue @job (kind, its question, caller and done are set). done() is called from the loop, never from here.
 * Errors: -ERR_LIMIT (the queue or the caller's share of it is full), -ENOMEM. Then done() is not called.
 */
MUST int attest_ask(struct attest *a, struct attest_job *job);

/** attest_cancel() - done() will not be called any more; nothing happens when it was already. */
void attest_cancel(struct attest_job *job);

/**
 * attest_canary() - have the next idle worker start a child that connects to @path.
 * Errors: -EBUSY (one waits already), -ENAMETOOLONG, -ENOMEM.
 */
MUST int attest_canary(struct attest *a, struct attest_canary *c, const char *path);

/** attest_canary_probe() - next step: the worker tries a foreign read, the child ends. Errors: as chan_send(). */
MUST int attest_canary_probe(struct attest_canary *c);

/** attest_canary_cancel() - give up; the worker is killed when it is in the middle of it. */
void attest_canary_cancel(struct attest_canary *c);

/** attest_get_stats() - counters since start and the present state. */
void attest_get_stats(const struct attest *a, struct attest_stats *ret_stats);

#endif
