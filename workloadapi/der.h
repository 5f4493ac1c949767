/* SPDX-License-Identifier: Apache-2.0 */
/*
 * der.h - as much DER as the front needs: where a certificate ends, and the public key in it. svid-front.
 *
 * Certificates were checked by svid-keys or svid before they came here; nothing is decided by what is read of them.
 */
#ifndef FRONT_DER_H
#define FRONT_DER_H

#include "agent/base/slice.h"

/** der_first() - the bytes of the first DER SEQUENCE of @s; 0 when it is empty or anything else. */
size_t der_first(struct slice s);

/** der_count() - how many DER SEQUENCEs @s is made of; 0 when it is empty or anything else. */
size_t der_count(struct slice s);

/* A public key as a JWK has it (RFC 7518 6.2, 6.3). */
struct der_key {
	const char *curve; /* "P-256" and so on; NULL: RSA */
	struct slice a, b; /* x and y, or n and e; without leading zeros in the latter */
};

/**
 * der_public_key() - the key that the certificate @cert (one SEQUENCE) is about; borrows from it.
 * Errors: -ERR_FORMAT (not a certificate, or a key of another type).
 */
MUST int der_public_key(struct slice cert, struct der_key *ret_key);

#endif
