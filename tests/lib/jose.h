/* SPDX-License-Identifier: Apache-2.0 */
/* jose.h - JWTs and JWKs made by tests: any JSON as a part, any key. Tests only; every failure is a cmocka assertion. */
#ifndef TESTS_JOSE_H
#define TESTS_JOSE_H

#include "agent/base/buf.h"
#include "agent/ipc/plan.h"

struct evp_pkey_st; /* libcrypto's EVP_PKEY: its headers and agent/base/err.h do not go together */

/** jose_input() - base64url(@header) "." base64url(@claims). */
void jose_input(struct buf *b, const char *header, const char *claims);

/** jose_token() - the same with the signature @sig behind it. */
void jose_token(struct buf *b, const char *header, const char *claims, struct slice sig);

/** jose_key() - a new key that @alg (enum jwt_alg) signs with; owned by the caller (jose_key_free). */
struct evp_pkey_st *jose_key(uint32_t alg);

/** jose_key_free() - release it. */
void jose_key_free(struct evp_pkey_st *key);

/** jose_signed() - a token that @key really signed with @alg. */
void jose_signed(struct buf *b, const char *header, const char *claims, struct evp_pkey_st *key, uint32_t alg);

/** jose_jwk() - @key as a public JWK; @more: further members with a comma in front, such as ",\"kid\":\"a\"". */
void jose_jwk(struct buf *b, struct evp_pkey_st *key, const char *more);

#endif
