/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.h - one gRPC call or watch on a Unix socket, waiting for it: svid is an ordinary Workload API client. */
#ifndef CLI_GRPC_H
#define CLI_GRPC_H

#include "agent/base/buf.h"
#include "agent/base/limits.h"

/* The first message of the answer and how the call ended. Initialise with GRPC_REPLY_INIT. */
struct grpc_reply {
	struct buf data;     /* framed bytes as they came: may hold a private key */
	struct slice body;   /* the message, inside data */
	bool has_body;
	int status;	     /* enum grpc_status; 0 also when a stream was left after its first message */
	struct buf message;  /* of the status, decoded */
};

#define GRPC_REPLY_INIT                                                               \
	{                                                                             \
		.data = BUF_INIT_SECRET(LIM_GRPC_RESPONSE + 64), .status = -1,        \
		.message = BUF_INIT(LIM_HEADER_BYTES)                                 \
	}

/** grpc_reply_done() - wipe and release. */
void grpc_reply_done(struct grpc_reply *r);

static inline void grpc_reply_autoclean(struct grpc_reply *r)
{
	grpc_reply_done(r);
}

/**
 * grpc_call() - connect, ask, take the first message, leave. A connection that soon ends without an answer, or with
 * Unavailable, is tried again, twice: agents end connections when what their caller may have changes.
 * @socket: path.
 * @method: "/Service/Method", one that may be called twice.
 * @request: encoded message.
 * @stream: the answer is a stream, of which one message is enough.
 * @timeout_ms: for everything together, asking again included.
 *
 * Errors: -errno of connect, read or write; -ERR_DEADLINE; -ERR_FORMAT (not HTTP/2 or not gRPC),
 *         -ERR_COMPRESSED, -ERR_SIZE, -ERR_CLOSED (each connection ended before the call did), -ENOMEM.
 *         A refusal by the server is no error: see reply->status.
 */
MUST int grpc_call(const char *socket, const char *method, struct slice request, bool stream,
		   unsigned int timeout_ms, struct grpc_reply *reply);

/**
 * grpc_watch() - connect, ask, and give each message of the stream to @on_message until the stream ends.
 * @first_ms: how long the first message may take; the others come when they come.
 * @on_message: the message lives until it returns; not 0 ends the watch with that.
 * @reply: status and message of the stream's end; has_body: at least one message came.
 * Errors: as grpc_call(), and what @on_message returned. The end of the stream is no error.
 */
MUST int grpc_watch(const char *socket, const char *method, struct slice request, unsigned int first_ms,
		    int (*on_message)(void *arg, struct slice message), void *arg, struct grpc_reply *reply);

#endif
