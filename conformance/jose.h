/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jose.h - JWTs and JWK Sets taken apart and put together, by jansson and libcrypto: nothing of the
 * parsers or signers under test. svid-conformance; asked by tokens.h, validate.c, foreign.c.
 */
#ifndef CONFORMANCE_JOSE_H
#define CONFORMANCE_JOSE_H

#include <jansson.h>
#include <openssl/evp.h>

#include "agent/base/buf.h"

/* A compact JWS. */
struct token {
	json_t *header, *claims;
	struct slice input;   /* what was signed; borrowed */
	struct buf signature; /* raw */
};

/**
 * token_parse() - three parts, both JSON objects; borrows from @text.
 * Errors: -EPROTO.
 */
MUST int token_parse(struct slice text, struct token *ret);

/** token_done() - release; a zeroed struct is fine. */
void token_done(struct token *t);

static inline void token_autoclean(struct token *t)
{
	token_done(t);
}

/** token_text() - a member that is a string, NULL when it is not there or something else. */
const char *token_text(const json_t *object, const char *member);

/** json_of() - an object from @text; NULL when it is none, or anything follows it, or a name comes twice. */
json_t *json_of(struct slice text);

static inline void json_autoclean(json_t **j)
{
	json_decref(*j);
}

#define AUTO_JSON __attribute__((cleanup(json_autoclean)))

/** jwk_key() - the public key of a JWK, RSA or EC; owned by the caller. NULL when it is not one. */
EVP_PKEY *jwk_key(const json_t *jwk);

/** jwk_private() - the same with its private half. */
EVP_PKEY *jwk_private(const json_t *jwk);

/** jwk_from() - {"kty", "n", "e"} or {"kty", "crv", "x", "y"} of a key; NULL when it is neither. */
json_t *jwk_from(EVP_PKEY *key);

/** alg_is_allowed() - one of the nine of JWT-SVID 2.1. */
bool alg_is_allowed(const char *alg);

/** token_verifies() - whether the signature is @key's by the algorithm that the header names. */
bool token_verifies(const struct token *t, EVP_PKEY *key);

/** jws_sign() - append the raw signature of @input, as @alg has it. Errors: -EINVAL (alg does not fit the key), -ENOMEM. */
MUST int jws_sign(struct buf *ret, const char *alg, EVP_PKEY *key, struct slice input);

/**
 * jws_put() - @header and @claims, any bytes, and a signature by @key (NULL: none) as a compact JWS.
 * Errors: those of jws_sign().
 */
MUST int jws_put(struct buf *ret, struct slice header, struct slice claims, const char *alg, EVP_PKEY *key);

#endif
