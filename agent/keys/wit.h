/* SPDX-License-Identifier: Apache-2.0 */
/* wit.h - WIT-SVIDs: a token that names a key of the workload, which must prove that it has it. svid-keys, loop thread. */
#ifndef KEYS_WIT_H
#define KEYS_WIT_H

#include "agent/keys/authority.h"
#include "agent/keys/jws.h"

#define WIT_KEY_TYPE KEY_EC_P256 /* of the workload's key, whatever its X.509-SVID has */

/**
 * wit_issue() - sign a WIT-SVID over the public half of @key, a WIT_KEY_TYPE, at wall time @now.
 * @ret_token: gets the token appended.
 *
 * Errors: -ERR_PROFILE (switched off), -ERR_CLOCK, -ERR_EXPIRED, -ERR_NOT_READY (authority_signer()), -ERR_SPIFFE_ID,
 *         -ERR_FORMAT (ttl), -ERR_CRYPTO, -ERR_SIZE, -ENOMEM.
 * Source: WIT-SVID 2, 3.
 */
MUST int wit_issue(struct authority *a, struct slice spiffe_id, uint32_t ttl_s, EVP_PKEY *key, int64_t now,
		   struct buf *ret_token, struct jws *ret_jws);

/** wit_encode() - the workload's key as its Workload API answer has it, a private JWK. Errors: as jwk_private(). */
MUST int wit_encode(EVP_PKEY *key, struct secbytes *ret_json);

#endif
