/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h - reads a JWT- or WIT-SVID as a strict client would, and says what it found and what is wrong. svid; no I/O. */
#ifndef CLI_JWT_H
#define CLI_JWT_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"

enum jwt_profile { JWT_SVID, WIT_SVID };

/* What was asked for. */
struct jwt_want {
	enum jwt_profile profile;
	struct slice spiffe_id; /* as the message says */
	struct slice key;	/* WIT: private JWK */
	const char *const *audiences; /* JWT: each must be in the token */
	size_t n_audiences;
	struct slice jwks; /* keys of its trust domain; empty: the signature is not looked at */
};

/* What was read. Initialise with JWT_REPORT_INIT. */
struct jwt_report {
	json_t *header; /* objects */
	json_t *claims;
	int64_t issued_at; /* seconds since 1970; 0: not said */
	int64_t not_before;
	int64_t not_after;
	struct buf problems; /* one line each; empty: nothing is wrong */
};

#define JWT_REPORT_INIT { .problems = BUF_INIT(1 << 16) }

/** jwt_report_done() - release. */
void jwt_report_done(struct jwt_report *r);

static inline void jwt_report_autoclean(struct jwt_report *r)
{
	jwt_report_done(r);
}

/**
 * jwt_inspect() - fill @r; what is wrong becomes a line of its problems.
 * Errors: -ERR_FORMAT (no compact JWS of two JSON objects: nothing else can be said), -ENOMEM.
 * Source: JWT-SVID 2, 3; WIT-SVID 2, 3.
 */
MUST int jwt_inspect(struct slice token, const struct jwt_want *want, int64_t now, struct jwt_report *r);

/** jwt_signature_why() - NULL: a key of @jwks made the signature of @token; else a static sentence. */
const char *jwt_signature_why(struct slice token, const json_t *header, struct slice jwks);

/** jwt_claim() - a claim (or header parameter) for people: texts as they are, lists joined, the rest as JSON; not escaped. */
void jwt_claim(struct buf *out, const json_t *value);

#endif
