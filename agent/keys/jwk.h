/* SPDX-License-Identifier: Apache-2.0 */
/* jwk.h - keys as JSON Web Keys (RFC 7517), written, never read. svid-keys, loop thread. */
#ifndef KEYS_JWK_H
#define KEYS_JWK_H

#include "agent/base/buf.h"
#include "agent/ipc/plan.h"
#include "agent/keys/heap.h"
#include "agent/keys/ossl.h"

#define JWK_KID_BYTES 43 /* base64url of a SHA-256 */

/**
 * jwk_kid() - the thumbprint of the public half, as a string: the same for the same key, and for no other.
 * Errors: -ERR_CRYPTO, -ENOMEM. Source: RFC 7638 3.
 */
MUST int jwk_kid(EVP_PKEY *key, char ret_kid[static JWK_KID_BYTES + 1]);

/**
 * jwk_put() - append the public half as a JSON object.
 * @kid, @use: NULL leaves the member out. @alg: always there, so that a key serves one algorithm only.
 * Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. Source: RFC 7517 4, RFC 7518 6.
 */
MUST int jwk_put(struct buf *out, EVP_PKEY *key, const char *kid, const char *use, enum jwt_alg alg);

/**
 * jwk_private() - an EC key with its private half as a JSON object on the secure heap.
 * Errors: -ERR_CRYPTO (not an EC key), -ERR_SIZE, -ENOMEM. Source: Workload API 6 (wit_svid_key), RFC 7518 6.2.2.
 */
MUST int jwk_private(EVP_PKEY *key, enum jwt_alg alg, struct secbytes *ret_json);

#endif
