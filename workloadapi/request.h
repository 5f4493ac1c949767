/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request.h - our own checks on a request's header fields, in place of a library's. svid-front.
 *
 * Strict where it matters, blind where clients differ: `:authority` may be anything or missing,
 * because grpc-java sends the raw socket path there (spiffe.md 4.4).
 */
#ifndef FRONT_REQUEST_H
#define FRONT_REQUEST_H

#include "agent/base/slice.h"

struct method;

/* What is known of a request after its header block. Zero is the start. */
struct request {
	const struct method *method; /* NULL: not ours */
	uint64_t timeout_ns;	     /* grpc-timeout; valid when seen has SEEN_TIMEOUT */
	uint32_t bytes;		     /* of the list, as RFC 9113 6.5.2 counts */
	uint16_t fields;
	uint16_t seen;	 /* SEEN_* */
	uint8_t spiffe;	 /* how often workload.spiffe.io came, at most 2 */
	bool spiffe_true;
	bool regular;	 /* a field that is no pseudo field came */
	bool malformed;	 /* RFC 9113 8.2, 8.3: the stream is reset */
	bool post;
	bool grpc;	 /* content-type begins with application/grpc */
	bool encoding;	 /* grpc-encoding other than identity */
	bool spiffe_api; /* path below /SpiffeWorkloadAPI/ */
	bool timeout_bad;
};

enum { SEEN_METHOD = 1, SEEN_SCHEME = 2, SEEN_PATH = 4, SEEN_AUTHORITY = 8, SEEN_TYPE = 16, SEEN_TIMEOUT = 32,
       SEEN_ENCODING = 64 };

/** request_field() - the next field of the header block. */
void request_field(struct request *r, struct slice name, struct slice value);

/** request_malformed() - after the last field: whether HTTP itself forbids this request. */
bool request_malformed(const struct request *r);

/** request_too_big() - whether the header list is above LIM_HEADER_BYTES or LIM_HEADERS. */
bool request_too_big(const struct request *r);

/** request_timeout() - parse a grpc-timeout value. Errors: -ERR_FORMAT. */
MUST int request_timeout(struct slice value, uint64_t *ret_ns);

#endif
