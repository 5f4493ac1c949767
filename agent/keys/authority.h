/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.h - the embedded authority: the signing keys of the trust domain as they follow each other, what
 * is published of them, and the rule when they may sign. svid-keys, loop thread; the caller brings the time.
 */
#ifndef KEYS_AUTHORITY_H
#define KEYS_AUTHORITY_H

#include "agent/keys/signer.h"

#define AUTHORITY_CLOCK_SLACK_S 300

/* How keys that are made from now on shall be. */
struct authority_plan {
	uint32_t ca_ttl_s;
	uint32_t jwt_ttl_s; /* of WIT keys too */
	bool wit;
};

struct authority {
	char *trust_domain;
	struct authority_plan plan;
	struct ring rings[SIGN_USES];
	int64_t last_signature; /* seconds since 1970; never goes back */
	bool changed;		/* more or fewer keys than svid-core was told of */
	uint64_t told[SIGN_USES]; /* number of the signer when svid-core was told last; 0: none */
};

/**
 * authority_new() - one for @td without any key. Owned by the caller (authority_free).
 * Errors: -ERR_SPIFFE_ID (trust domain), -ENOMEM.
 */
MUST int authority_new(struct slice td, struct authority **ret_authority);

/** authority_free() - NULL and half-built ones are fine. */
void authority_free(struct authority *a);

static inline void authority_autoclean(struct authority **a)
{
	authority_free(*a);
}

/**
 * authority_configure() - keys are made by @plan from now on; those of a profile that is off are dropped.
 * Errors: -ERR_FORMAT (a life out of bounds).
 */
MUST int authority_configure(struct authority *a, const struct authority_plan *plan);

/**
 * authority_restore() - one more key, from what seal.c kept; oldest first for each use.
 * @key: taken over, on error too. @cert_der: of a CA, else empty.
 * @active: when it starts to sign. All times in seconds since 1970.
 * Errors: -ERR_SEALED (not a key or certificate for this use and trust domain, or times in disorder),
 *         -ERR_CRYPTO, -ENOMEM.
 */
MUST int authority_restore(struct authority *a, enum signer_use use, EVP_PKEY *key, struct slice cert_der, int64_t born,
			   int64_t active, int64_t not_after);

/**
 * authority_advance() - whatever is due at @now: EC keys are made, expired ones dropped. A clock that is behind
 * (authority_signer()) changes nothing.
 * @ret_slow: bit mask of enum signer_use whose next key is to be made elsewhere and brought by authority_adopt().
 * Errors: -ERR_CRYPTO, -ERR_LIMIT, -ENOMEM; what was done stays done, and the next call goes on.
 */
MUST int authority_advance(struct authority *a, int64_t now, unsigned int *ret_slow);

/**
 * authority_adopt() - @key becomes the next of @use, unless none is due any more.
 * @key: taken over, on error too. Errors: -ERR_CRYPTO, -ERR_LIMIT, -ENOMEM.
 */
MUST int authority_adopt(struct authority *a, enum signer_use use, EVP_PKEY *key, int64_t now);

/** authority_has_news() - whether keys or signers are others at @now than svid-core was told. */
bool authority_has_news(const struct authority *a, int64_t now);

/** authority_told() - svid-core was sent what is published and the sealed state. */
void authority_told(struct authority *a, int64_t now);

/** authority_stored() - and has stored all of it: the keys that are here now may sign. */
void authority_stored(struct authority *a);

/** authority_next() - when authority_advance() or authority_told() has something to do next, at most @now + @at_most_s. */
int64_t authority_next(const struct authority *a, int64_t now, int64_t at_most_s);

/**
 * authority_signer() - who signs for @use at wall time @now. Borrowed until the next authority_advance().
 * Errors: -ERR_CLOCK (more than five minutes behind the last signature), -ERR_EXPIRED, -ERR_NOT_READY (no key
 * yet, or none that svid-core has stored).
 */
MUST int authority_signer(const struct authority *a, enum signer_use use, int64_t now, const struct signer **ret_signer);

/** authority_signed() - remember that something was signed at @now. */
void authority_signed(struct authority *a, int64_t now);

/** authority_check_id() - a workload's SPIFFE ID in this trust domain. Errors: -ERR_SPIFFE_ID. Source: X509-SVID 3.1. */
MUST int authority_check_id(const struct authority *a, struct slice spiffe_id);

/** authority_put_bundle() - the CA certificates, DER, in ring_order(). Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. */
MUST int authority_put_bundle(const struct authority *a, int64_t now, struct buf *out);

/**
 * authority_put_jwks() - the JWK Set of the JWT keys in ring_order(); nothing while an algorithm has no key.
 *
 * Without "use": a Workload API bundle is a plain JWK Set as SPIRE and go-spiffe write it, and general JOSE
 * libraries to which people hand it know "sig" only (spiffe.md 3.10 (10), 4.6).
 * Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. Source: JWT-SVID 6.1, Workload API 6.
 */
MUST int authority_put_jwks(const struct authority *a, int64_t now, struct buf *out);

/** authority_put_wit_jwks() - the same for WIT keys, with their use; nothing where the profile is off. Errors: as above. */
MUST int authority_put_wit_jwks(const struct authority *a, int64_t now, struct buf *out);

#endif
