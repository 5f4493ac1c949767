/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - one HTTP/2 connection, frame by frame, with no rules: it sends whatever a test asks for
 * and writes down what came back. svid-conformance only. HPACK is libnghttp2's, the rest is here.
 */
#ifndef CONFORMANCE_WIRE_H
#define CONFORMANCE_WIRE_H

#include <nghttp2/nghttp2.h>

#include "agent/base/buf.h"

enum {
	WIRE_STREAMS = 1024,	     /* streams of one connection that are remembered */
	WIRE_BODY = 8 << 20,	     /* bytes kept of one answer */
	WIRE_MESSAGE_MAX = 4 << 20, /* what clients accept in one message by default */
};

/* How long an answer may take, in ms, where the test does not say; --selftest shortens it. */
extern int wire_ms;

/* Everything that came back on one stream. */
struct reply {
	int http_status; /* 0: no HEADERS yet */
	char content_type[64];
	int grpc_status; /* -1: none */
	char grpc_message[2048];
	struct buf body; /* DATA payloads, messages with their 5-byte prefix */
	size_t read;	 /* bytes of body that reply_message() gave out */
	bool trailers_only;
	bool ended; /* END_STREAM */
	bool reset; /* RST_STREAM */
	uint32_t reset_code;
};

struct wire {
	int fd;
	nghttp2_hd_deflater *deflater;
	nghttp2_hd_inflater *inflater;
	struct buf in;
	struct buf block; /* header block that CONTINUATION goes on with */
	struct reply *replies[WIRE_STREAMS];
	uint32_t next_id;
	uint32_t block_id;
	uint8_t block_flags;
	bool settings, settings_ack, pong, goaway, eof;
	uint8_t pong_bytes[8];
	uint32_t goaway_code;
	uint32_t max_streams; /* UINT32_MAX: not announced */
	bool keep_windows_shut; /* do not give back what DATA used */
};

/* One request; NULL leaves the field out. extra[] come last, in order. */
struct request {
	const char *method, *scheme, *authority, *path;
	const char *content_type, *te, *security, *timeout;
	struct {
		const char *name, *value;
	} extra[8];
};

/* What a test waits for on a stream. */
enum until { UNTIL_HEADERS, UNTIL_MESSAGE, UNTIL_END };

/**
 * wire_connect() - connect to the Unix socket at @path; nothing is sent.
 * Errors: -errno of socket(2) and connect(2), -ENOMEM, -ENAMETOOLONG.
 */
MUST int wire_connect(struct wire *w, const char *path);

/** wire_done() - close the connection and release everything; a zeroed struct is fine. */
void wire_done(struct wire *w);

static inline void wire_autoclean(struct wire *w)
{
	wire_done(w);
}

/**
 * wire_raw() - send bytes as they are.
 * Errors: -errno of send(2), -ETIMEDOUT when the peer does not read for wire_ms.
 */
MUST int wire_raw(struct wire *w, const void *p, size_t n);

/** wire_frame() - send one frame. Errors: those of wire_raw(). */
MUST int wire_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream, const void *p, size_t n);

/**
 * wire_start() - send the preface with empty SETTINGS and wait for the server's SETTINGS.
 * Errors: those of wire_raw() and wire_step().
 */
MUST int wire_start(struct wire *w);

/**
 * wire_step() - take one frame in, within @ms. SETTINGS and PING are acknowledged, windows reopened.
 * Errors: -ETIMEDOUT, -ECONNRESET (closed; w->eof is set), -EPROTO (not HTTP/2, bad HPACK).
 */
MUST int wire_step(struct wire *w, int ms);

/** wire_wait_flag() - wire_step() until *@flag or @ms is over. Errors: those of wire_step(). */
MUST int wire_wait_flag(struct wire *w, const bool *flag, int ms);

/**
 * wire_wait() - wire_step() until the stream is as far as @until, or ended, or reset, or @ms is over.
 * Errors: those of wire_step().
 */
MUST int wire_wait(struct wire *w, uint32_t id, enum until until, int ms);

/** wire_block() - encode a request's header list with this connection's HPACK state. Errors: -ENOMEM. */
MUST int wire_block(struct wire *w, const struct request *q, struct buf *ret_block);

/**
 * wire_open() - send the HEADERS of a request on a new stream, with @flags besides END_HEADERS.
 * Errors: those of wire_raw(), -ENOMEM.
 */
MUST int wire_open(struct wire *w, const struct request *q, uint8_t flags, uint32_t *ret_id);

/** wire_call() - wire_open(), then one empty message with END_STREAM. Errors: those of wire_open(). */
MUST int wire_call(struct wire *w, const struct request *q, uint32_t *ret_id);

/** wire_reply() - what came on the stream so far; never NULL for a stream that was opened. */
struct reply *wire_reply(struct wire *w, uint32_t id);

/**
 * reply_message() - the next whole message of a reply, without its prefix; borrowed.
 * Errors: -EAGAIN (not whole yet), -EPROTO (compressed flag set).
 */
MUST int reply_message(struct reply *p, struct slice *ret_message);

/** wire_now_ms() - milliseconds of a clock that only goes forward. */
int64_t wire_now_ms(void);

/** wire_put32() - @v as four bytes, most significant first. */
void wire_put32(uint8_t *p, uint32_t v);

#endif
