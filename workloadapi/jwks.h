/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwks.h - JWK Sets: which keys a token may be checked with, and which sets clients can be given. svid-front.
 *
 * A reader ignores keys that it does not know (jwks_parse()); some clients refuse the whole set for one (jwks_check()). Keys
 * stay raw numbers: svid-keys does the arithmetic. Source: RFC 7517, RFC 7518 6, JWT-SVID 6, SPIFFE bundle 4.
 */
#ifndef FRONT_JWKS_H
#define FRONT_JWKS_H

#include "agent/base/buf.h"
#include "agent/ipc/plan.h"

struct jwk {
	char *kid;	/* NUL-terminated; NULL: none */
	uint32_t alg;	/* enum jwt_alg; JWT_NONE: any that fits */
	uint32_t curve; /* enum ec_curve; CURVE_NONE: RSA */
	struct slice a; /* RSA: modulus, EC: x; big-endian, in raw */
	struct slice b; /* RSA: exponent, EC: y */
	struct buf raw;
};

struct jwks {
	uint32_t refs;
	size_t n_keys;
	struct jwk keys[];
};

/**
 * jwks_parse() - the keys that JWT-SVIDs can be checked with. Others are left out: of another use, of an unknown type, for
 * another algorithm, malformed.
 * @ret_jwks: one reference, owned by the caller (jwks_unref).
 * Errors: -ERR_FORMAT (not a JWK Set), -ERR_SIZE (above LIM_JWKS or LIM_JWKS_KEYS), -ENOMEM.
 */
MUST int jwks_parse(struct slice text, struct jwks **ret_jwks);

/** jwks_ref() - one more reference; returns @j. */
struct jwks *jwks_ref(struct jwks *j);

/** jwks_unref() - drop one; NULL is fine. */
void jwks_unref(struct jwks *j);

static inline void jwks_autoclean(struct jwks **j)
{
	jwks_unref(*j);
}

/** jwk_fits() - whether a signature of @alg can be checked with the key. */
bool jwk_fits(const struct jwk *k, uint32_t alg);

/**
 * jwks_why() - NULL when every client takes this set of JWT-SVID keys, else a static sentence.
 *
 * As strict as the strictest of go-spiffe, java-spiffe, rust-spiffe and py-spiffe (spiffe.md 4.2): only RSA and EC keys, each
 * with kid, none twice, no member of another kind of key, none of another use, no private key.
 */
const char *jwks_why(struct slice text);

/** jwks_check() - jwks_why() as an error. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int jwks_check(struct slice text);

/** jwks_check_wit() - the same for a set of WIT-SVID keys. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int jwks_check_wit(struct slice text);

#endif
