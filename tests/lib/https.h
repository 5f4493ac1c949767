/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https.h - an HTTPS server on loopback in threads of the test, with a CA of its own, and a proxy in front of it: what a token
 * service is to svid-cloud. It can be slow, rude and wrong on request.
 */
#ifndef TESTS_LIB_HTTPS_H
#define TESTS_LIB_HTTPS_H

#include "agent/base/buf.h"

enum https_cert {
	HTTPS_GOOD,
	HTTPS_EXPIRED,
	HTTPS_OTHER_NAME, /* elsewhere.example */
	HTTPS_OTHER_CA,	  /* of a CA that https_ca() is not */
};

struct https_request {
	char line[4096]; /* "POST /path HTTP/1.1" */
	const char *head; /* NUL-terminated, all header lines */
	const char *body;
};

/* What to answer; zeroed means 200 with an empty body. */
struct https_reply {
	unsigned int status;
	char headers[512]; /* each with its line end */
	struct buf body;
	size_t declared; /* Content-Length, when it is to be another than the body's */
	size_t cut;	 /* close after so many bytes of head and body */
	unsigned int wait_ms, drip_ms; /* before the first byte; after each */
	unsigned int fillers; /* so many more headers of 1 000 bytes */
	bool silent; /* nothing at all: the connection stays open */
};

/* Called by one thread at a time. */
typedef void https_answer(void *arg, const struct https_request *q, struct https_reply *r);

struct https;

/** https_start() - serve until https_stop(); @tls11: it speaks TLS 1.1 at the most. */
struct https *https_start(enum https_cert cert, bool tls11, https_answer *answer, void *arg);

/** https_stop() - connections end, threads are joined. */
void https_stop(struct https *h);

/** https_url() - "https://localhost:PORT". */
const char *https_url(const struct https *h);

/** https_ca() - the CA's certificate as PEM. */
const char *https_ca(const struct https *h);

/** https_count() - requests read whole so far. */
unsigned int https_count(struct https *h);

/** https_handshakes() - connections on which TLS was agreed on. */
unsigned int https_handshakes(struct https *h);

/** proxy_start() - an HTTP proxy that knows CONNECT, on loopback; @secret: what the tunnel must never show in the clear. */
struct proxy *proxy_start(const char *secret);

/** proxy_stop() - */
void proxy_stop(struct proxy *p);

/** proxy_url() - "http://127.0.0.1:PORT". */
const char *proxy_url(const struct proxy *p);

/** proxy_tunnels() - CONNECTs so far, each to @ret_target of at least 256 bytes (the last one). */
unsigned int proxy_tunnels(struct proxy *p, char *ret_target);

/** proxy_leaked() - whether @secret of proxy_start() was seen in a tunnel. */
bool proxy_leaked(struct proxy *p);

#endif
