/* SPDX-License-Identifier: Apache-2.0 */
/* jwk.h - JSON Web Keys of the two kinds that SPIFFE signs with, RSA and EC, to libcrypto's keys and back. svid. */
#ifndef CLI_JWK_H
#define CLI_JWK_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/cli/ossl.h"

/** jwk_is_known() - whether "kty" is RSA or EC; other keys are to be ignored (TB-4.2.1-2). */
bool jwk_is_known(const json_t *jwk);

/** jwk_is_private() - whether it holds a member of a private key. */
bool jwk_is_private(const json_t *jwk);

/**
 * jwk_key() - the key, after checks of size, form and curve.
 * @private_too: "d" is wanted as well, and must belong to the public part.
 * @ret_why: a static sentence when the key is refused.
 * Errors: -ERR_FORMAT (see @ret_why), -ENOMEM. Source: RFC 7518 6.2, 6.3.
 */
MUST int jwk_key(const json_t *jwk, bool private_too, EVP_PKEY **ret_key, const char **ret_why);

/** jwk_key_why() - NULL when SPIFFE implementations can use this public key, else a static sentence. */
const char *jwk_key_why(EVP_PKEY *key);

/** jwk_put_public() - the members kty and n, e or crv, x, y of @key, without braces. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int jwk_put_public(struct buf *out, EVP_PKEY *key);

/** jwt_alg_known() - whether @name is one of the nine algorithms of JWT-SVID 2.1. */
bool jwt_alg_known(const char *name);

#endif
