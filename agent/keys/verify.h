/* SPDX-License-Identifier: Apache-2.0 */
/* verify.h - one signature against one public key, both as raw numbers. svid-keys, loop thread. */
#ifndef KEYS_VERIFY_H
#define KEYS_VERIFY_H

#include "agent/ipc/msg.h"

/**
 * verify_is_sane() - whether algorithm and curve are such at all; a front that says no has been taken over.
 * Errors: -ERR_FORMAT.
 */
MUST int verify_is_sane(const struct msg_FK_VERIFY *m);

/**
 * verify_signature() - check what a front took out of a token and a JWK Set.
 *
 * RSA: a modulus of 2 048 to 8 192 bits, an odd exponent from 3 to below 2^32, a signature as long as the modulus; PSS with
 * a salt as long as its digest. EC: coordinates and signature halves as long as the field, the curve of the algorithm.
 * Errors: -ERR_SIGNATURE (does not verify, or a wrong length), -ERR_FORMAT (no such key, or not one for this
 *         algorithm), -ERR_CRYPTO (out of memory included).
 * Source: JWT-SVID 2.1, 4; RFC 7518 3.3 to 3.5, 6.
 */
MUST int verify_signature(const struct msg_FK_VERIFY *m);

#endif
