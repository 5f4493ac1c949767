/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signer.h - one key that signs for the trust domain, and the ring of such keys that follow each other.
 * svid-keys, loop thread; no clock is read here, so that tests can turn it.
 *
 * A key of life L is born (published from then on), becomes active at L/3 (signs from then on), makes
 * place for the next, which is born at its L/2 and thus active at its 5L/6, and retires (published no more)
 * when it expires. Whoever holds something it signed can verify it to the end: nothing outlives its signer.
 */
#ifndef KEYS_SIGNER_H
#define KEYS_SIGNER_H

#include "agent/ipc/plan.h"
#include "agent/keys/jwk.h"
#include "agent/keys/ossl.h"

#define RING_MAX 8	   /* keys of one use; three are alive at once while their life stays the same */
#define SIGNER_TTL_MIN_S 4 /* shorter, and the steps would fall on the same second */

/* What a key signs; also the number in the sealed state, so append only. */
enum signer_use {
	SIGN_CA,
	SIGN_JWT_RS256,
	SIGN_JWT_ES256,
	SIGN_WIT,
	SIGN_USES,
};

struct signer {
	EVP_PKEY *key;
	X509 *cert;		     /* of a CA, else NULL */
	char kid[JWK_KID_BYTES + 1]; /* of the others, else "" */
	uint64_t number;	     /* never the same twice while this process lives */
	int64_t born;		     /* times in seconds since 1970 */
	int64_t active;
	int64_t not_after;
	bool kept; /* svid-core has stored it; nothing is signed before */
};

/* Oldest first. Owns its signers. */
struct ring {
	struct signer *of[RING_MAX];
	size_t n;
};

/** signer_name() - "CA", "JWT RS256" and so on, for logs. */
const char *signer_name(enum signer_use use);

/** signer_key_type() - the type of key that a use takes. */
enum key_type signer_key_type(enum signer_use use);

/** signer_alg() - the algorithm of a use; JWT_NONE for a CA. */
enum jwt_alg signer_alg(enum signer_use use);

/**
 * signer_new() - around @key, with its kid unless @cert makes it a CA.
 * @key, @cert: taken over, on error too.
 * Errors: -ERR_CRYPTO, -ENOMEM.
 */
MUST int signer_new(EVP_PKEY *key, X509 *cert, struct signer **ret_signer);

/** signer_free() - NULL is fine. */
void signer_free(struct signer *s);

static inline void signer_autoclean(struct signer **s)
{
	signer_free(*s);
}

/** ring_add() - @s (taken over on success) is the newest. Errors: -ERR_LIMIT. */
MUST int ring_add(struct ring *r, struct signer *s);

/** ring_clear() - free every signer. */
void ring_clear(struct ring *r);

/** ring_signer() - who signs at @now: the newest that is active; NULL when there is none. */
const struct signer *ring_signer(const struct ring *r, int64_t now);

/** ring_is_due() - whether another key must be made at @now. */
bool ring_is_due(const struct ring *r, int64_t now);

/** ring_activation() - when a key that is born at @now and lives @ttl_s becomes active. */
int64_t ring_activation(const struct ring *r, int64_t now, uint32_t ttl_s);

/** ring_retire() - free what has expired, but never the last one; whether something was. */
bool ring_retire(struct ring *r, int64_t now);

/** ring_next() - the next time after @now at which something is to be done, at most @now + @at_most_s. */
int64_t ring_next(const struct ring *r, int64_t now, int64_t at_most_s);

/**
 * ring_order() - every signer, in the order in which they are published: the one that signs at @now, then from
 * the newest to the oldest.
 * Returns how many.
 */
size_t ring_order(const struct ring *r, int64_t now, const struct signer *ret_of[static RING_MAX]);

#endif
