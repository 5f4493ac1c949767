/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench.h - svid-bench: one load client and one floor server, measured in the same run.
 *
 * The client speaks just enough HTTP/2 to fetch the first message of FetchX509SVID; the floor server
 * answers every complete request with canned bytes. The ratio of the two is what svidd adds.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include "agent/base/buf.h"

enum { WIRE_DATA, WIRE_HEADERS, WIRE_RST_STREAM = 3, WIRE_SETTINGS, WIRE_PING = 6, WIRE_GOAWAY, WIRE_WINDOW_UPDATE };
enum { END_STREAM = 1, END_HEADERS = 4 }; /* END_STREAM is ACK in SETTINGS and PING */

struct frame {
	uint8_t type, flags;
	uint32_t stream;
	struct slice body; /* borrowed */
};

/** wire_next() - take one whole frame off @in; false when there is none. */
bool wire_next(struct slice *in, struct frame *f);

/** wire_take_preface() - take a client's preface off @in; false when it does not begin so. */
bool wire_take_preface(struct slice *in);

/** wire_hello() - preface, SETTINGS and windows so wide that none is ever given back. Errors: -ENOMEM. */
MUST int wire_hello(struct buf *out);

/** wire_call() - HEADERS and DATA of one call. Errors: -ENOMEM. */
MUST int wire_call(struct buf *out, const char *path, struct slice message, uint32_t stream);

/** wire_stream() - HEADERS of a call that stays open, and its first message. Errors: -ENOMEM. */
MUST int wire_stream(struct buf *out, const char *path, struct slice message, uint32_t stream);

/** wire_more() - one more message on it. Errors: -ENOMEM. */
MUST int wire_more(struct buf *out, struct slice message, uint32_t stream);

/** wire_ack() - what a SETTINGS or PING frame of the other side wants. Errors: -ENOMEM. */
MUST int wire_ack(struct buf *out, const struct frame *f);

/** wire_unary_answer() - HEADERS, DATA of @len bytes, trailers: a whole call. Errors: -ENOMEM. */
MUST int wire_unary_answer(struct buf *out, size_t len, uint32_t stream);

/** wire_request() - preface, SETTINGS, HEADERS and DATA of one FetchX509SVID call on stream 1. Errors: -ENOMEM. */
MUST int wire_request(struct buf *out);

/** wire_answer() - SETTINGS, HEADERS and DATA with a message of @len bytes: what the floor sends. Errors: -ENOMEM. */
MUST int wire_answer(struct buf *out, size_t len);

/**
 * wire_message_at() - look for the first complete gRPC message on stream 1 in @in.
 * Returns its length, 0 when more bytes are needed, -1 when the stream ended without one.
 */
long wire_message_at(struct slice in);

/** wire_request_done() - whether @in holds a whole request (a DATA frame with END_STREAM on stream 1). */
bool wire_request_done(struct slice in);

/** wire_connect_to() - a connected Unix socket. Errors: -errno. */
MUST int wire_connect_to(const char *path, int *ret_fd);

/** bench_by_value() - for qsort(3) over uint64_t. */
int bench_by_value(const void *a, const void *b);

/** cmd_floor() - serve canned answers on argv[1], a message of argv[2] bytes; argv[3]: end each call. Until killed. */
int cmd_floor(int argc, char **argv);

/** cmd_connect() - argv[2] times on socket argv[1]: connect, request, first message, close; prints JSON. */
int cmd_connect(int argc, char **argv);

/** cmd_hold() - open argv[2] connections on socket argv[1], fetch, say "held N", keep them until stdin ends. */
int cmd_hold(int argc, char **argv);

/** cmd_jwt() - argv[2] times FetchJWTSVID over argv[3] connections of socket argv[1], one call at a time on each; prints JSON. */
int cmd_jwt(int argc, char **argv);

/** cmd_validate() - likewise ValidateJWTSVID, of a token that FetchJWTSVID gave. */
int cmd_validate(int argc, char **argv);

/**
 * cmd_sds() - argv[2] connections to socket argv[1], each with an SDS stream for each of the names argv[3], ...; says
 * "held N", keeps them until stdin ends, then prints as JSON when each later answer reached the first and the last stream.
 */
int cmd_sds(int argc, char **argv);

/** cmd_read() - argv[2] times the file argv[1], from open() to close(); prints JSON. */
int cmd_read(int argc, char **argv);

#endif
