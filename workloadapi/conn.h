/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - one client's socket: reading with proof of the sender, writing with proof that the caller is
 * still who it was, timeouts. svid-front. Protocol: grpc.h. Who makes connections: front.c.
 *
 * The bytes are believed only if every piece carries the credentials of the process that svid-core
 * attested; anything else ends the connection without an answer (DESIGN.md 2, points 5 and 6).
 */
#ifndef FRONT_CONN_H
#define FRONT_CONN_H

#include "agent/base/loop.h"
#include "agent/ipc/msg.h"
#include "workloadapi/grpc.h"

struct conn;

/* What all connections of a front share. */
struct conn_env {
	struct loop *loop;
	const uint32_t *words; /* validity words, SVID_WORDS of them, changed by the kernel at any time */
	struct api *api;
	/* @c is closed and about to be freed; @err: 0 when the client left. */
	void (*closed)(struct conn_env *env, struct conn *c, int err);
	/* The caller of @c asks what is known of it: conn_whoami() is to follow. */
	void (*ask)(struct conn_env *env, struct conn *c);
};

struct conn {
	struct list node; /* the owner's */
	struct conn_env *env;
	struct loop_watch watch;
	struct loop_timer timer;
	struct grpc_conn g;
	uint64_t number;
	uint64_t opened;   /* CLOCK_BOOTTIME ns, also of the two below */
	uint64_t progress; /* when something was last sent */
	uint64_t end_due;  /* when an ending connection is closed; 0: not ending */
	uint32_t pid;	   /* who may send */
	uint32_t conn_slot, conn_value;
	uint32_t holder_slot, holder_value;
	int end_err;
	bool blocked; /* the socket takes no more now */
	bool asked;   /* env->ask() was called */
	bool looks_first; /* before it takes: a message may carry descriptors */
};

/**
 * conn_new() - take over @fd (closed on error too) of the connection that @m describes.
 * @ret_c: freed by itself when the connection ends; env->closed() tells.
 * conn_run() must follow at once: the loop watches the connection only after that.
 * Errors: -ENOMEM.
 */
MUST int conn_new(struct conn_env *env, int fd, const struct msg_F_CONN *m, struct conn **ret_c);

/** conn_run() - read what is there, send what is due. May end and free @c, like those below. */
void conn_run(struct conn *c);

/** conn_poke() - what is served has changed: send. */
void conn_poke(struct conn *c);

/** conn_whoami() - the answer to env->ask(). */
void conn_whoami(struct conn *c, struct slice json);

/** conn_end() - end all streams with the status of @err, then close within LIM_END_MS. */
void conn_end(struct conn *c, int err);

/** conn_drop() - close at once without a word. */
void conn_drop(struct conn *c, int err);

#endif
