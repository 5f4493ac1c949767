/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.h - the table of fronts: one process per identity set, one spare, and nothing shared between sets.
 *
 * A set lives while it has connections, and LIM_FRONT_IDLE_MS longer. Its front is a process under a number
 * that is never used again; when it dies the set gets another, later and later when it keeps dying.
 */
#ifndef CORE_FRONT_H
#define CORE_FRONT_H

#include "agent/core/conn.h"
#include "agent/core/frontlog.h"
#include "agent/core/identity.h"

struct bundles;
struct sds_settings;
struct fronts;

/* A JWT-SVID that a front asks for, checked in form: the audiences are a list of 1 to LIM_AUDIENCES UTF-8 strings. */
struct jwt_ask {
	uint32_t front, order, identity; /* one of the set */
	uint64_t conn;
	struct slice audiences;
	bool over_rate; /* refuse it, for that reason */
};

struct fronts_ops {
	/* Ask svidd for front @number, or to kill it. */
	int (*spawn)(void *owner, uint32_t number);
	void (*kill)(void *owner, uint32_t number);
	/* The front has closed connection @number: 0, or the error that condemns the front. */
	int (*closed)(void *owner, const struct idset *set, uint64_t conn, int err, uint32_t requests);
	/* @conn was handed over only to be ended with @err. */
	void (*end)(void *owner, struct conn *conn, int err);
	/* The front that served @conn is dead. */
	void (*lost)(void *owner, struct conn *conn);
	/* WhoAmI of connection @number into @json; nothing when it is gone by now. Or the error that condemns the front. */
	int (*asked)(void *owner, const struct idset *set, uint64_t number, struct buf *json);
	/* Whether @ask is refused, and why, in *@ret_refusal (0: ordered). Or the error that condemns the front. */
	int (*jwt)(void *owner, const struct idset *set, const struct jwt_ask *ask, int *ret_refusal);
};

/* Counters since start, and what is alive. */
struct fronts_stats {
	uint64_t started, died, killed, refused;
	unsigned int alive, sets;
};

/* For status. */
struct front_view {
	uint32_t number; /* 0: the set has no process now */
	pid_t pid;
	const uint32_t *identities;
	size_t n_identities;
	size_t connections;
	bool ready;
	bool spare;
	uint64_t set_version;
	int state; /* what F_STATE said last */
};

/** fronts_new() - no process yet. @ids, @auth and @bundles are borrowed. Errors: -ENOMEM. */
MUST int fronts_new(struct loop *loop, struct identities *ids, struct authority *auth, const struct bundles *bundles,
		    const struct fronts_ops *ops, void *owner, struct fronts **ret_fronts);

/** fronts_free() - closes the channels; the processes end by that. NULL is fine. */
void fronts_free(struct fronts *f);

/** fronts_start() - have the spare and the front of the empty set started. Errors: -ENOMEM, those of spawn(). */
MUST int fronts_start(struct fronts *f);

/** fronts_peer() - svidd started front @number; takes over both descriptors. Errors: -ERR_NOT_FOUND, -ENOMEM, -errno. */
MUST int fronts_peer(struct fronts *f, uint32_t number, pid_t pid, int fd, int log_fd);

/** fronts_exit() - svidd says that front @number has ended. */
void fronts_exit(struct fronts *f, uint32_t number, uint32_t status);

/**
 * fronts_set() - the set of exactly these identities in this order; made when there is none.
 * @docs: the documents of @n identities, the default first.
 * Errors: -ERR_LIMIT (LIM_FRONTS), -ENOMEM.
 */
MUST int fronts_set(struct fronts *f, const struct identity *const *docs, size_t n, struct idset **ret_set);

/** fronts_empty_set() - the set of callers without identity. */
struct idset *fronts_empty_set(struct fronts *f);

/** fronts_add() - @conn is served by @set from now on: at once, or when its front is ready. Errors: -errno, -ENOMEM. */
MUST int fronts_add(struct idset *set, struct conn *conn);

/** fronts_end() - tell the front to end @conn with @err; nothing when it was not handed over. */
void fronts_end(struct conn *conn, int err);

/** fronts_overdue() - @conn was cut and its front never gave it back: the front is ended, and @conn lost with it. */
void fronts_overdue(struct conn *conn);

/** fronts_remove() - @conn is gone. */
void fronts_remove(struct conn *conn);

/* One file of the credential tree that the front of a set makes; embedded in its owner, who sets identity, what and done. */
struct front_ask {
	struct list in_set;
	struct idset *set;
	uint32_t order; /* 0: its front has not got it yet */
	uint32_t identity;
	uint32_t what; /* enum svid_file */
	/*
	 * Once, maybe before fronts_file() returns, not after fronts_file_cancel(): the first @len bytes of the sealed @fd
	 * (borrowed), or an error.
	 */
	void (*done)(struct front_ask *a, int err, int fd, uint32_t len);
};

/**
 * fronts_file() - have @a made by the front of the set of these identities, as in fronts_set(), as soon as it serves one
 * state. When that front dies, the next one is asked. What it made in the last LIM_TREE_KEPT_MS of the same state is
 * taken as it is.
 * Errors: -ERR_LIMIT (LIM_FRONTS), -ENOMEM. Then done() is not called.
 */
MUST int fronts_file(struct fronts *f, const struct identity *const *docs, size_t n, struct front_ask *a);

/** front_file_check() - whether @fd holds @len bytes that nobody can change. Errors: -ERR_FORMAT. */
MUST int front_file_check(int fd, uint32_t len);

/** fronts_file_cancel() - nobody waits for it any more. */
void fronts_file_cancel(struct front_ask *a);

/**
 * fronts_set_state() - 0: serve; else fronts end their streams with @err until 0 comes.
 * @nobody: the same for the front of the empty set alone, where callers go that could not be decided.
 */
void fronts_set_state(struct fronts *f, int err, int nobody);

/** fronts_set_sds() - what SDS is asked for by which name, and in which form it answers: fronts are told. */
void fronts_set_sds(struct fronts *f, const struct sds_settings *sds);

/**
 * fronts_push() - identity @number, or with 0 a bundle, may be different: fronts that hold it and have something else
 * get the whole state.
 */
void fronts_push(struct fronts *f, uint32_t number);

/**
 * fronts_jwt_over() - @order of front @number has an end: 0 (svid-keys answered the front), or why there is none, which
 * the front is told. Nothing when the front is gone.
 */
void fronts_jwt_over(struct fronts *f, uint32_t number, uint32_t order, int err);

/** fronts_keys_lost() - svid-keys is gone, and what it was told with it. */
void fronts_keys_lost(struct fronts *f);

/** fronts_bind() - tell svid-keys, once each, which set the fronts serve that it does not know yet. */
void fronts_bind(struct fronts *f);

/** fronts_each() - call @each for every set and the spare. */
void fronts_each(const struct fronts *f, void (*each)(void *arg, const struct front_view *v), void *arg);

/** fronts_get_stats() - counters. */
void fronts_get_stats(const struct fronts *f, struct fronts_stats *ret_stats);

#endif
