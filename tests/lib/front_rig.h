/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front_rig.h - the real svid-front between a fake svid-core, a fake svid-keys and raw clients. Tests only:
 * every failure is a cmocka assertion.
 */
#ifndef TESTS_FRONT_RIG_H
#define TESTS_FRONT_RIG_H

#include <sys/types.h>

#include "agent/ipc/chan.h"
#include "kmod/uapi/svid.h"
#include "tests/lib/workload.h"

#define RIG_WAIT_MS 20000
#define RIG_FETCH "/SpiffeWorkloadAPI/FetchX509SVID"

struct rig {
	pid_t pid; /* of svid-front; 0 once reaped */
	int core;
	int keys;
	uint32_t *words;
	struct buf in; /* scratch of rig_receive() */
	int conn_err;  /* F_CONN.err of the next connections */
};

/* What a client has read so far. */
struct seen {
	struct buf raw;
	size_t messages;   /* whole gRPC messages on any stream */
	size_t data;	   /* bytes of DATA */
	bool whole;	   /* the DATA ends with the end of a message */
	int grpc_status;   /* of the last trailers; -1: none */
	bool goaway;
	bool reset; /* a stream */
	bool eof;
};

/** rig_start() - start svid-front and wait until it is ready. */
void rig_start(struct rig *r);

/** rig_stop() - end it (kill) and release. */
void rig_stop(struct rig *r);

/** rig_exit_status() - wait for its end; as wait(2) gives it. */
int rig_exit_status(struct rig *r);

/** rig_descriptors() - how many the front has open. */
int rig_descriptors(const struct rig *r);

/** rig_receive() - the next message on @fd, which must be of @type. */
void rig_receive(struct rig *r, int fd, uint16_t type, struct chan_msg *m);

/** rig_closed() - wait for the end of file on @fd; whatever comes before is dropped. */
void rig_closed(int fd);

/** rig_send_set() - send an F_SET like this. */
void rig_send_set(struct rig *r, const struct test_set *set);

/** rig_set() - send an F_SET of @n identities at @version; generation = version. */
void rig_set(struct rig *r, uint64_t version, size_t n);

/** rig_give_keys() - answer @n FK_GET with keys. */
void rig_give_keys(struct rig *r, size_t n);

/** rig_key() - answer one FK_GET. Errors: of ipc_send(). */
MUST int rig_key(int keys, const struct msg_FK_GET *get);

/** rig_serve() - rig_set(), rig_give_keys(), and the FR_SET that must follow. */
void rig_serve(struct rig *r, uint64_t version, size_t n);

/** rig_connect() - a connection @number whose sender must be @pid; slots 2 * number and 2 * number + 1. */
int rig_connect(struct rig *r, uint64_t number, pid_t pid);

/** rig_caller() - a front that serves @n identities, and its first connection; nothing read yet. Ends with rig_leave(). */
int rig_caller(struct rig *r, struct seen *s, size_t n);

/** rig_first() - the same, and it has asked and read the first answer. */
int rig_first(struct rig *r, struct seen *s, size_t n);

/** rig_leave() - what rig_caller() began is over. */
void rig_leave(struct rig *r, struct seen *s, int fd);

/** rig_expect_closed() - the front gives connection @conn back with @err. */
void rig_expect_closed(struct rig *r, uint64_t conn, int err);

/** rig_expect_set() - the front says how it took the set of @version. */
void rig_expect_set(struct rig *r, uint64_t version, int err);

/** rig_try_connect() - the same when the front may be gone. Errors: of ipc_send(). */
MUST int rig_try_connect(struct rig *r, uint64_t number, pid_t pid);

/** rig_request() - preface, SETTINGS and one request with an empty message, as bytes. */
void rig_request(struct buf *b, const char *path);

/** rig_fetch() - send rig_request() of RIG_FETCH on @fd. */
void rig_fetch(int fd);

/** rig_call() - send a request with this message as the first of the connection. */
void rig_call(int fd, const char *path, struct slice message);

/** rig_try_send() - the same when the connection may be gone. Errors: -errno. */
MUST int rig_try_send(int fd, const char *path, struct slice message);

/** rig_try_call() - the same with an empty message. Errors: -errno. */
MUST int rig_try_call(int fd, const char *path);

/** seen_init() - nothing read. */
void seen_init(struct seen *s);

/** seen_done() - release. */
void seen_done(struct seen *s);

/** seen_once() - take what comes next. */
void seen_once(struct seen *s, int fd);

/** seen_read() - read until @messages came, or trailers, a reset, or the end. */
void seen_read(struct seen *s, int fd, size_t messages);

/** seen_to_end() - read until the connection is closed. */
void seen_to_end(struct seen *s, int fd);

#endif
