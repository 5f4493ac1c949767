/* SPDX-License-Identifier: Apache-2.0 */
/*
 * h2.h - the server side of one HTTP/2 connection: bytes in, bytes out, no I/O. svid-front.
 *
 * Only what gRPC needs: no push, no priorities, no dynamic header table in either direction. A library
 * session holds 25 KB from its first byte; this one holds a few hundred, because thousands of mostly
 * silent watches are the normal load. The user of the engine is called back through h2_ops; a stream that ended
 * is only marked, and freed after the callback returned. h2.c reads frames, h2_send.c writes them.
 * Source: RFC 9113.
 */
#ifndef FRONT_H2_H
#define FRONT_H2_H

#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "workloadapi/hpack.h"
#include "workloadapi/out.h"

#define H2_FRAME_HEAD 9
#define H2_FRAME_MAX 16384 /* bytes of payload: the default, and never raised */
#define H2_WINDOW 65535	   /* initial flow-control window of both directions */

enum h2_error { /* RFC 9113 section 7; CANCEL is missing on purpose: clients give up for good on it */
	H2_NO_ERROR = 0,
	H2_PROTOCOL_ERROR = 1,
	H2_INTERNAL_ERROR = 2,
	H2_FLOW_CONTROL_ERROR = 3,
	H2_STREAM_CLOSED = 5,
	H2_FRAME_SIZE_ERROR = 6,
	H2_REFUSED_STREAM = 7,
	H2_COMPRESSION_ERROR = 9,
	H2_ENHANCE_YOUR_CALM = 11,
};

struct h2;

/* One request and its answer. First member of what the user of the engine keeps per stream. */
struct h2_stream {
	struct list node;
	struct h2 *h2;
	struct message *msg; /* being sent; NULL: none */
	uint32_t off;	     /* bytes of msg framed so far */
	uint32_t id;
	int32_t send_window; /* may be negative (6.9.2) */
	int32_t recv_window;
	bool remote_end; /* the request is complete */
	bool head_sent;
	bool dead; /* ended; freed soon */
};

struct h2_ops {
	size_t stream_size; /* bytes of the struct that begins with struct h2_stream; zeroed */
	/* One field of the request's header block; trailers are checked and dropped by the engine. */
	void (*field)(struct h2_stream *s, struct slice name, struct slice value);
	/* The header block is complete. */
	void (*head)(struct h2_stream *s);
	/* Bytes of the request body. */
	void (*data)(struct h2_stream *s, struct slice bytes);
	/* The request is complete. */
	void (*end)(struct h2_stream *s);
	/* Nothing is being sent on the stream: start the next message or end it, if there is a reason. */
	void (*idle)(struct h2_stream *s);
	/* The stream is about to be freed: release what hangs on it. */
	void (*gone)(struct h2_stream *s);
};

struct h2 {
	const struct h2_ops *ops;
	struct list streams;
	struct out out;
	struct buf in;	  /* an incomplete frame */
	struct buf block; /* a header block that waits for CONTINUATION */
	struct hpack hpack;
	int64_t send_window;
	int32_t recv_window;
	int32_t peer_window;	  /* SETTINGS_INITIAL_WINDOW_SIZE of the client */
	uint32_t last_id;	  /* highest stream of the client */
	uint32_t block_id;	  /* stream whose header block is incomplete; 0: none */
	uint16_t n_streams;
	uint8_t preface; /* bytes of the connection preface seen */
	bool block_end;	 /* that block carried END_STREAM */
	bool settings;	 /* the client's first SETTINGS came */
	bool closing;	 /* GOAWAY sent: no new streams */
	bool dirty;	 /* a stream is dead */
	int err;	 /* sticky: why the connection must end */
};

/** h2_init() - a new connection; our SETTINGS wait to be sent before anything is read. */
void h2_init(struct h2 *h, const struct h2_ops *ops);

/** h2_done() - end every stream without a word and release everything. */
void h2_done(struct h2 *h);

/**
 * h2_in() - the client's next bytes, cut anywhere.
 * Errors: -ERR_REQUEST (protocol violation; a GOAWAY waits in the queue), -ENOMEM, -ERR_SIZE (too much
 * waits to be sent): the connection must end after what waits was sent.
 */
MUST int h2_in(struct h2 *h, struct slice bytes);

/**
 * h2_pump() - frame as much of the streams' messages as windows and a bounded queue allow.
 * Errors: as h2_in().
 */
MUST int h2_pump(struct h2 *h);

/** h2_goaway() - no new streams from now on; those that are open go on. */
void h2_goaway(struct h2 *h, enum h2_error code);

/** h2_headers() - send a header block; @end ends our side, and the stream with it. */
void h2_headers(struct h2_stream *s, struct slice block, bool end);

/** h2_message() - send @m (takes a reference) on a stream that sends none now. */
void h2_message(struct h2_stream *s, struct message *m);

/** h2_reset() - end the stream with RST_STREAM. */
void h2_reset(struct h2_stream *s, enum h2_error code);

/* Between h2.c and h2_send.c. */

/** h2_frame() - one whole frame of own bytes. */
void h2_frame(struct h2 *h, uint8_t type, uint8_t flags, uint32_t id, struct slice payload);

/** h2_kill() - mark a stream dead; h2_reap() frees it. */
void h2_kill(struct h2_stream *s);

/** h2_reap() - free the dead streams; never from inside a callback. */
void h2_reap(struct h2 *h);

/** h2_credit() - give received bytes back to the client's windows; @s may be NULL. */
void h2_credit(struct h2 *h, struct h2_stream *s);

enum { H2_DATA, H2_HEADERS, H2_PRIORITY, H2_RST_STREAM, H2_SETTINGS, H2_PUSH_PROMISE, H2_PING, H2_GOAWAY,
       H2_WINDOW_UPDATE, H2_CONTINUATION };
enum { H2_END_STREAM = 1, H2_ACK = 1, H2_END_HEADERS = 4, H2_PADDED = 8, H2_PRIORITY_FLAG = 32 };
enum { H2_SET_TABLE = 1, H2_SET_PUSH, H2_SET_STREAMS, H2_SET_WINDOW, H2_SET_FRAME, H2_SET_HEADERS };

#endif
