/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - a Workload API client, or one of SDS, that owns nothing but bytes: the request is prebuilt and can be sent in
 * pieces by anybody over any descriptor; the answer is fed in whatever way it was obtained.
 */
#ifndef ATTACK_CLIENT_H
#define ATTACK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <nghttp2/nghttp2.h>

struct request {
	uint8_t bytes[512];
	size_t len;
	size_t half;	/* a cut inside the HEADERS frame */
};

/* What came back so far. status is -1 until trailers; error is an errno that ended it, or 0. */
struct answer {
	nghttp2_hd_inflater *hd;
	uint8_t in[65536];
	size_t have;
	uint8_t body[131072];
	size_t body_len;
	unsigned int messages;
	char spiffe_id[256];
	int status;
	char text[256];
	bool goaway;
	bool settings;	/* the server's SETTINGS came and were not yet acknowledged */
	bool closed;	/* end of file or reset */
	int error;	/* EACCES and the like: the kernel refused the call */
	bool garbage;
};

/**
 * client_ask_by() - "sds": requests are StreamSecrets from now on; a path: client_open() opens it and client_ask() reads it;
 * else FetchX509SVID. What is executed inherits it.
 */
void client_ask_by(const char *service);

/** client_asks_by() - what it was; NULL: nothing was said. */
const char *client_asks_by(void);

/** request_build() - the request as the first stream of a connection: preface, SETTINGS, HEADERS, one empty message. */
void request_build(struct request *ret_request);

/** request_more() - only HEADERS and the empty message, as stream @id of a connection that is open already. */
void request_more(struct request *ret_request, uint32_t id);

/** answer_init() - nothing came yet. */
void answer_init(struct answer *a);

/** answer_feed() - bytes from the server, in any pieces. */
void answer_feed(struct answer *a, const uint8_t *bytes, size_t len);

/** answer_ended() - a receiving call returned @n <= 0 with this errno. */
void answer_ended(struct answer *a, ssize_t n, int error);

/** answer_over() - is there an outcome: a message, a status, an end? */
bool answer_over(const struct answer *a);

/** client_open() - connect a stream socket; dies when nobody listens. Returns the descriptor, close on exec. */
int client_open(const char *path);

/** client_read() - receive until there is an outcome or @wait_ms are over; acknowledges SETTINGS unless @quiet. */
void client_read(int fd, struct answer *a, int wait_ms, bool quiet);

/** client_send() - send all bytes; notes a refusal or an end in @a. Returns 0 or -1. */
int client_send(int fd, struct answer *a, const uint8_t *bytes, size_t len);

/** client_ask() - send the whole request and read the answer. */
void client_ask(int fd, struct answer *a, int wait_ms);

/** answer_say() - one line "WHO: OUTCOME"; the outcomes are told in README.md. */
void answer_say(const char *who, const struct answer *a);

#endif
