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

/** cmd_floor() - serve canned answers on argv[1], a message of argv[2] bytes; until killed. */
int cmd_floor(int argc, char **argv);

/** cmd_connect() - argv[2] times on socket argv[1]: connect, request, first message, close; prints JSON. */
int cmd_connect(int argc, char **argv);

/** cmd_hold() - open argv[2] connections on socket argv[1], fetch, say "held N", keep them until stdin ends. */
int cmd_hold(int argc, char **argv);

#endif
