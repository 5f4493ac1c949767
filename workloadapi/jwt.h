/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.h - one JWT-SVID taken apart to the letter, before anybody looks at its signature. svid-front.
 *
 * Pure: no keys, no clock, no I/O. Who signed it is validate.c's question. Each way to be wrong has its own static
 * sentence, which the client reads. Source: JWT-SVID 2 to 4, RFC 7515, RFC 7519.
 */
#ifndef FRONT_JWT_H
#define FRONT_JWT_H

#include "agent/base/buf.h"
#include "agent/base/spiffe_id.h"
#include "agent/ipc/plan.h"
#include "workloadapi/jsondoc.h"

struct jwt {
	uint32_t alg;		/* enum jwt_alg, never JWT_NONE */
	bool has_kid;
	struct slice kid;	/* valid when has_kid; borrows from header, as sub and id do from claims */
	struct slice input;	/* header.claims as they came; borrows from the token */
	struct buf signature;
	struct slice sub;
	struct spiffe_id id;	/* of sub, with a path */
	double exp;		/* seconds since 1970 */
	double nbf;		/* the same; 0 when the token has none */
	const char *detail;	/* with a refusal: more about it, static; NULL when the sentence says all */
	json_t *header, *claims;
};

#define JWT_SIGNATURE_MAX 1024 /* bytes: RSA of 8192 bits */
#define JWT_INIT { .signature = BUF_INIT(JWT_SIGNATURE_MAX) }

/**
 * jwt_parse() - header, claims and signature of the compact form.
 * @ret_jwt: a JWT_INIT; jwt_done() releases it whatever comes back.
 * @ret_why: with -ERR_REQUEST a static sentence.
 * Errors: -ERR_REQUEST, -ENOMEM.
 */
MUST int jwt_parse(struct slice token, struct jwt *ret_jwt, const char **ret_why);

/** jwt_done() - release what jwt_parse() took. */
void jwt_done(struct jwt *j);

static inline void jwt_autoclean(struct jwt *j)
{
	jwt_done(j);
}

/**
 * jwt_why_not() - NULL when the token is for @audience and valid at @now (wall clock seconds), else a static sentence.
 *
 * There is no leeway for exp; nbf may be LIM_JWT_NBF_S ahead of our clock. iat limits nothing (RFC 7519 4.1.6).
 */
const char *jwt_why_not(const struct jwt *j, struct slice audience, double now);

#endif
