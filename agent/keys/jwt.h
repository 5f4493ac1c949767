/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.h - JWT-SVIDs. svid-keys, loop thread. */
#ifndef KEYS_JWT_H
#define KEYS_JWT_H

#include "agent/keys/authority.h"
#include "agent/keys/jws.h"

/* What core asked for. Slices borrow. */
struct jwt_spec {
	struct slice spiffe_id;
	struct slice issuer;	/* empty: no "iss" */
	struct slice audiences; /* list of strings, agent/ipc/lists.h; every one of them goes into the token */
	struct slice claims;	/* members to be added, each with a comma before it; JSON that svid-core answers for */
	uint32_t ttl_s;
	enum jwt_alg alg; /* JWT_RS256 or JWT_ES256 */
};

/**
 * jwt_issue() - sign a JWT-SVID at wall time @now.
 * @ret_token: gets the token appended.
 *
 * Errors: -ERR_CLOCK, -ERR_EXPIRED, -ERR_NOT_READY (authority_signer()), -ERR_SPIFFE_ID, -ERR_UTF8 (issuer or an
 *         audience), -ERR_FORMAT (no audience, an empty one, too many; ttl; alg), -ERR_CRYPTO, -ERR_SIZE, -ENOMEM.
 * Source: JWT-SVID 2, 3; spiffe.md 4.2 item 9.
 */
MUST int jwt_issue(struct authority *a, const struct jwt_spec *spec, int64_t now, struct buf *ret_token,
		   struct jws *ret_jws);

#endif
