/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokens.h - JWT-SVIDs of this front: those it remembers, and those that were ordered. Sans-I/O. svid-front.
 *
 * Kept as encoded answers by (identity, set of audiences) for half of their life. One order at a time is open for
 * each such pair, whoever waits. Who asks: fetch_jwt.c. Who answers: front.c, from svid-keys or svid-core.
 */
#ifndef FRONT_TOKENS_H
#define FRONT_TOKENS_H

#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "agent/base/slice.h"
#include "agent/ipc/msg.h"
#include "workloadapi/message.h"

#define TOKEN_BUCKETS 64
#define TOKEN_ALL (1ull << 32) /* instead of an identity: the joined answer of all of them */

struct api;
struct grpc_conn;
struct set;

/* The audiences of one request: sorted, none twice. Slices borrow from the request. */
struct audiences {
	struct slice each[LIM_AUDIENCES];
	size_t n;
	uint64_t hash;
};

/* How long an answer may be given again. */
struct token_life {
	uint64_t boot; /* CLOCK_BOOTTIME ns */
	int64_t wall;  /* wall clock seconds; both must not have passed */
};

/* One that waits for a token. Embedded in what the caller keeps; in no list: not waiting. */
struct token_wait {
	struct list node;
	/* The token is here (one reference to @msg is passed on), or @err. */
	void (*done)(struct token_wait *w, struct message *msg, struct token_life life, int err);
};

struct tokens {
	struct list buckets[TOKEN_BUCKETS];
	struct list ready; /* least recently used first */
	struct list open;  /* ordered, oldest first */
	size_t n_ready, n_open;
	size_t bytes;	    /* of the ready ones */
	uint32_t last;	    /* number of the newest order */
	uint64_t changes;   /* of identities: parts of an answer from before and after one do not belong together */
};

/** tokens_init() - none. */
void tokens_init(struct tokens *t);

/** tokens_done() - drop all; whoever waits is not told. */
void tokens_done(struct tokens *t);

/** audiences_sort() - after the strings were filled in: sort, drop doubles, hash. */
void audiences_sort(struct audiences *a);

/** tokens_get() - the answer for @who (an identity, or TOKEN_ALL), borrowed until the next call; NULL when it is not here. */
struct message *tokens_get(struct api *api, uint64_t who, const struct audiences *a, struct token_life *ret_life);

/**
 * tokens_order() - @w waits for the token of @identity; it is ordered for @g unless that was done already.
 * Errors: of api_ops.order(), -ENOMEM, -ERR_RATE (LIM_JWT_ORDERS are open): @w does not wait.
 */
MUST int tokens_order(struct api *api, const struct grpc_conn *g, uint32_t identity, const struct audiences *a,
		      struct token_wait *w);

/** tokens_leave() - @w does not wait any more. */
void tokens_leave(struct token_wait *w);

/** tokens_keep() - remember @m for TOKEN_ALL; no memory is no harm. */
void tokens_keep(struct api *api, struct slice audiences, struct message *m, struct token_life life);

/**
 * tokens_answer() - FK_JWT came. Calls that waited are answered and pushed. A late one is dropped.
 * Errors: -ERR_PERMIT (no such order was ever made), -ERR_FORMAT (no token): the sender is broken.
 */
MUST int tokens_answer(struct api *api, const struct msg_FK_JWT *m);

/** tokens_refuse() - F_NOJWT came. Errors: as tokens_answer(). */
MUST int tokens_refuse(struct api *api, uint32_t order, int err);

/** tokens_fail() - none of the open orders will be answered. */
void tokens_fail(struct api *api, int err);

/** tokens_follow() - api->set is another one: forget what belongs to identities that are not in it as they were in @old. */
void tokens_follow(struct api *api, const struct set *old);

/** tokens_list() - audiences as they travel and as tokens_keep() takes them. Failure is sticky in @b. */
void tokens_list(struct buf *b, const struct audiences *a);

#endif
