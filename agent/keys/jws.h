/* SPDX-License-Identifier: Apache-2.0 */
/* jws.h - signed tokens in their compact form, whatever their claims are. svid-keys, loop thread. */
#ifndef KEYS_JWS_H
#define KEYS_JWS_H

#include "agent/base/buf.h"
#include "agent/keys/signer.h"

#define JWS_JTI_BYTES 32 /* 128 random bits in hex */

/* What was signed. Times in seconds since 1970. */
struct jws {
	int64_t issued_at;
	int64_t not_after;
	char jti[JWS_JTI_BYTES + 1];
	char kid[JWK_KID_BYTES + 1];
};

/**
 * jws_start() - times, jti and kid of a token that @signer will sign at @now for @ttl_s; not_after is capped by
 * the signer's. Errors: -ERR_CRYPTO.
 */
MUST int jws_start(const struct signer *signer, uint32_t ttl_s, int64_t now, struct jws *ret_jws);

/**
 * jws_put() - append header.claims.signature; the header has alg, kid and typ and nothing else.
 * @typ: "JWT" or "wit+jwt". @claims: a JSON object.
 * @out: untouched on error. Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. Source: JWT-SVID 2, WIT-SVID 2, RFC 7515 7.1.
 */
MUST int jws_put(struct buf *out, const struct signer *signer, enum jwt_alg alg, const char *typ, struct slice claims);

#endif
