/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workload.h - a Workload API client inside a test: nghttp2's client session against our engine, and
 * identity sets made of the smallest bytes that pass. Tests of workloadapi only.
 */
#ifndef TESTS_WORKLOAD_H
#define TESTS_WORKLOAD_H

#include <nghttp2/nghttp2.h>

#include "workloadapi/grpc.h"
#include "workloadapi/set.h"

#define PEER_STREAMS 128
#define TEST_NOBODY 0x0b
#define TEST_WIT_KEY "{\"kty\":\"EC\",\"d\":\"x\"}" /* of every WIT-SVID */

/* What the client has seen of one stream; index is (stream id - 1) / 2. */
struct answer {
	struct slice request; /* what is left to be sent */
	struct buf sent;      /* what request points into, when it is ours */
	struct buf body;      /* all DATA bytes */
	int http;	 /* :status; 0: no headers yet */
	int grpc;	 /* grpc-status; -1: none yet */
	char message[1024];
	char type[64];
	bool closed;
	uint32_t reset; /* error code of the stream's end; 0 for a normal one */
	bool data_after_trailers;
};

struct peer {
	nghttp2_session *session;
	struct grpc_conn g;
	struct answer answers[PEER_STREAMS];
	size_t chunk;	 /* bytes handed over at a time in both directions */
	int32_t goaway;	 /* error code of GOAWAY; -1: none */
	uint32_t settings; /* how many of ours the client got */
	bool stopped;	 /* our engine ended the connection */
	bool hold;	 /* request streams stay open when their bytes are sent; then peer_more() */
};

/* A request header list of its own: NULL-terminated pairs. */
struct fields {
	const char *name;
	const char *value;
};

/**
 * peer_new() - a connection between a client session and our engine on @api.
 * @manual_windows: the client gives no window back by itself.
 */
struct peer *peer_new(struct api *api, bool manual_windows);

/** peer_free() - both ends. */
void peer_free(struct peer *p);

/** peer_request() - submit a request with @fields and @body; returns its answer slot. */
struct answer *peer_request(struct peer *p, const struct fields *fields, struct slice body);

/** peer_call() - the usual request of a gRPC client: @path, security header, one empty message. */
struct answer *peer_call(struct peer *p, const char *path);

/** peer_send() - the same with a request message of these bytes. */
struct answer *peer_send(struct peer *p, const char *path, struct slice message);

/**
 * peer_more() - the next request message on a stream held open; held again when @more.
 * @message: a NULL slice for none.
 */
void peer_more(struct peer *p, struct answer *a, struct slice message, bool more);

/** peer_bytes() - the same with bytes of requests as they are; the stream stays open. */
void peer_bytes(struct peer *p, struct answer *a, struct slice bytes);

/** peer_run() - carry bytes both ways until both are quiet. */
void peer_run(struct peer *p);

/** peer_id() - the stream id of an answer slot. */
int32_t peer_id(const struct peer *p, const struct answer *a);

/* An F_SET: identities 1 to n ("spiffe://td.test/w0"...), foreign trust domains "spiffe://f0.test"... */
struct test_set {
	uint64_t version; /* and generation of everything */
	size_t n, n_fed;
	size_t der_bytes; /* of each chain */
	size_t first;	  /* the first identity is 1 + first, and its path w<first> */
	bool no_jwks;	  /* svid-keys has none yet */
	bool hints;	  /* "h0"... */
	bool wit;	  /* the profile is on */
	bool no_wits;	  /* but none is issued yet */
	bool nobody;	  /* a CA of nobody, filled with TEST_NOBODY */
	bool peers;	  /* of the first: one SPIFFE ID and one prefix */
	bool expired;	  /* every SVID */
	const char *sds_svid, *sds_bundle, *sds_all; /* NULL: not set */
	uint32_t sds_flags;
	struct slice ca; /* bundle of every trust domain; empty: something made up */
};

/** test_set_put() - that F_SET as a body. */
void test_set_put(struct buf *b, const struct test_set *set);

/** test_set_body() - with @n identities, bundle and @n_fed bundles. */
void test_set_body(struct buf *b, uint64_t version, size_t n, size_t n_fed, size_t der_bytes);

/** test_jwks() - a JWK Set with one key of this kid and use. */
void test_jwks(struct buf *b, const char *kid, const char *use);

/* One frame of HTTP/2. */
struct test_frame {
	uint8_t type, flags;
	uint32_t id;
	struct slice body;
};

/** test_frame_get() - the next whole frame of @in; false, and @in as it was, when there is none. */
bool test_frame_get(struct slice *in, struct test_frame *ret);

/** test_frame_put() - a frame as bytes. */
void test_frame_put(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, struct slice body);

/** test_der() - one SEQUENCE of @len bytes in all, filled with @fill. */
void test_der(struct buf *b, size_t len, uint8_t fill);

/** test_key() - what svid-keys would give for a key of @kind; owned by the caller. */
struct secret *test_key(uint32_t kind);

/** test_api_set() - publish such a set, its keys included. */
void test_api_set(struct api *api, const struct test_set *set);

/** test_api_serve() - the same for @n identities with chains of @der_bytes. */
void test_api_serve(struct api *api, uint64_t version, size_t n, size_t der_bytes);

#endif
