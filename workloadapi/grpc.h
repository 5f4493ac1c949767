/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.h - gRPC on top of h2.h: one request message, then messages and trailers. Sans-I/O. svid-front.
 *
 * What a connection is to the protocol is struct grpc_conn; what a request is, struct call. A service
 * answers a call with exactly one of call_fail(), call_answer(), call_watch(), call_watch_one(), call_self(), call_hold()
 * and call_wait(). A method with many requests answers each with call_fail() or call_reply(); one that also follows what
 * changes gives its messages through struct call_follow.
 */
#ifndef FRONT_GRPC_H
#define FRONT_GRPC_H

#include "agent/base/err.h"
#include "workloadapi/api.h"
#include "workloadapi/h2.h"
#include "workloadapi/request.h"

struct grpc_conn {
	struct h2 h2;
	struct api *api;
	struct message *whoami; /* WhoAmIResponse of this caller; NULL until it was asked for and came */
	bool whoami_wanted;	/* some call waits for it */
	uint32_t buffered;	/* bytes of incomplete requests */
	uint32_t requests;	/* complete ones */
	int refused; /* not 0: what calls of the SPIFFE API and of SDS are answered with */
};

/* How a call ends. text is static. */
struct outcome {
	enum grpc_status status;
	const char *text;
	uint16_t http; /* 0: 200 */
};

enum call_state {
	CALL_REQUEST, /* the request is not complete */
	CALL_HELD,    /* its method needs an identity set, or more than this one has */
	CALL_WATCH,   /* follows a feed */
	CALL_SELF,    /* waits for whoami */
	CALL_MANY,    /* its requests are served one by one, as they come */
	CALL_FOLLOW,  /* the same, and between them it follows what changes: follow */
	CALL_WAIT,    /* waits for what another program has to say: wait */
	CALL_END,     /* ends with outcome once nothing is being sent */
};

/* What a call in CALL_WAIT waits for; embedded in what the service keeps for it. */
struct call_wait {
	struct call *call; /* NULL: not waiting any more */
	/* The call ended before its answer came. It may already be half taken apart: only release. */
	void (*gone)(struct call_wait *w);
};

/* What a call in CALL_FOLLOW sends; embedded in what the service keeps for it, and set by its serve(). */
struct call_follow {
	/* Nothing is being sent, and there is an identity set: the next message (borrowed), if there is news. */
	int (*next)(struct call_follow *f, struct api *api, struct message **ret_m);
	/* The call ended: release. */
	void (*gone)(struct call_follow *f);
};

struct call {
	struct h2_stream s;
	struct request req;
	struct buf body;	/* prefix and message of the request, until complete */
	struct outcome outcome; /* valid in CALL_END, or when refused */
	uint64_t started;	/* CLOCK_BOOTTIME ns */
	uint64_t serial;	/* of the feed, last sent */
	struct call_wait *wait; /* in CALL_WAIT, until woken */
	struct call_follow *follow; /* NULL: none */
	uint32_t only;		/* identity, when one is set */
	uint8_t state;		/* enum call_state */
	uint8_t feed;		/* enum feed_id, in CALL_WATCH */
	bool gated;		/* ends when F_STATE says so */
	bool one;		/* only the SVID of one identity */
	bool refused;		/* the answer is known before the request is complete */
};

/** grpc_init() - a new connection. */
void grpc_init(struct grpc_conn *g, struct api *api);

/** grpc_set_whoami() - what calls of WhoAmI are answered with; one reference is taken over. */
void grpc_set_whoami(struct grpc_conn *g, struct message *whoami);

/** grpc_done() - release everything without a word to the client. */
void grpc_done(struct grpc_conn *g);

/** grpc_end() - every stream ends with the status and text of @err, and no new one starts (GOAWAY). */
void grpc_end(struct grpc_conn *g, int err);

/** grpc_expire() - end what is overdue at api->now. */
void grpc_expire(struct grpc_conn *g);

/** grpc_due() - CLOCK_BOOTTIME ns at which grpc_expire() has something to do; UINT64_MAX: never. */
uint64_t grpc_due(const struct grpc_conn *g);

/** grpc_stuck() - whether a message is partly framed and waits for the client's window. */
bool grpc_stuck(const struct grpc_conn *g);

/** call_conn() - the connection of a call. */
struct grpc_conn *call_conn(struct call *c);

/** call_fail() - end the call with @status and @text (static). */
void call_fail(struct call *c, enum grpc_status status, const char *text);

/**
 * call_fail_about() - the same, and what it is about: "text: about".
 * @about: borrowed for the call; left out when a message is still being sent.
 */
void call_fail_about(struct call *c, enum grpc_status status, const char *text, struct slice about);

/** call_fail_err() - end the call with the status and text of an error code. */
void call_fail_err(struct call *c, int err);

/** call_answer() - send one message, then OK. */
void call_answer(struct call *c, struct message *m);

/** call_reply() - send one message; of a method with many requests, to each of them. */
void call_reply(struct call *c, struct message *m);

/** call_self() - answer with what svid-core knows of the caller, once it has said so. */
void call_self(struct call *c);

/** call_hold() - the set does not have what it takes yet: the method is served again with the next one. NEEDS_SET only. */
void call_hold(struct call *c);

/** call_watch() - send the feed's message now and after every change. */
void call_watch(struct call *c, enum feed_id feed, bool gated);

/** call_watch_one() - the same for the WIT-SVID of one identity of the set. */
void call_watch_one(struct call *c, uint32_t identity);

/**
 * call_wait() - the answer comes later: until call_wake(), or until w->gone() says that it is not wanted any more
 * (cancelled, overdue after LIM_JWT_WAIT_MS, connection closed, F_STATE).
 */
void call_wait(struct call *c, struct call_wait *w);

/**
 * call_wake() - what was waited for is here: answer or fail the returned call, then call_push().
 * NULL when the call is gone. w->gone() is not called any more.
 */
struct call *call_wake(struct call_wait *w);

/** call_push() - send what a woken call was given. Never from inside a method; may free the call and its connection. */
void call_push(struct call *c);

/* Between grpc.c and grpc_head.c. */

/** call_send_head() - the response headers, if they were not sent yet. */
void call_send_head(struct call *c);

/** call_send_outcome() - trailers; with the response headers in the same block when none were sent (Trailers-Only). */
void call_send_outcome(struct call *c, struct slice about);

#endif
