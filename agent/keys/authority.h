/* SPDX-License-Identifier: Apache-2.0 */
/* authority.h - the embedded authority: one self-signed root and the rule when it may sign. svid-keys, loop thread. */
#ifndef KEYS_AUTHORITY_H
#define KEYS_AUTHORITY_H

#include "agent/ipc/plan.h"
#include "agent/keys/cert.h"

struct authority {
	char *trust_domain;
	EVP_PKEY *key;
	X509 *cert;
	int64_t not_before; /* of cert, seconds since 1970 */
	int64_t not_after;
	int64_t last_signature; /* seconds since 1970; never goes back */
};

#define AUTHORITY_CLOCK_SLACK_S 300

/**
 * authority_create() - a new root for @td, valid for @ttl_s from now on.
 * @ret_authority: owned by the caller (authority_free).
 * Errors: -ERR_SPIFFE_ID (trust domain), -ERR_FORMAT (ttl or key type), -ERR_CRYPTO, -ENOMEM.
 * Source: X509-SVID 3.2, 4.
 */
MUST int authority_create(struct slice td, enum key_type type, uint32_t ttl_s, int64_t now,
			  struct authority **ret_authority);

/**
 * authority_restore() - the same authority from what seal.c kept.
 * @key: taken over, on error too.
 * Errors: -ERR_SEALED (certificate does not parse, is no CA, names another trust domain or another key),
 *         -ERR_CRYPTO, -ENOMEM.
 */
MUST int authority_restore(struct slice td, EVP_PKEY *key, struct slice cert_der, int64_t last_signature,
			   struct authority **ret_authority);

/** authority_free() - NULL and half-built ones are fine. */
void authority_free(struct authority *a);

static inline void authority_autoclean(struct authority **a)
{
	authority_free(*a);
}

/**
 * authority_may_sign() - whether a signature at wall time @now is allowed.
 * Errors: -ERR_CLOCK (more than five minutes behind the last signature), -ERR_EXPIRED.
 */
MUST int authority_may_sign(const struct authority *a, int64_t now);

/** authority_signed() - remember that something was signed at @now. */
void authority_signed(struct authority *a, int64_t now);

#endif
