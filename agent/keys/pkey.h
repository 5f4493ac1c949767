/* SPDX-License-Identifier: Apache-2.0 */
/* pkey.h - private keys: made, written as PKCS#8 onto the secure heap, read back. svid-keys, any thread. */
#ifndef KEYS_PKEY_H
#define KEYS_PKEY_H

#include "agent/ipc/plan.h"
#include "agent/keys/heap.h"
#include "agent/keys/ossl.h"

/**
 * pkey_generate() - a new private key; EC takes 0.1 ms, RSA up to seconds (pool.h).
 * @ret_key: owned by the caller (EVP_PKEY_free).
 * Errors: -ERR_FORMAT (unknown type), -ERR_CRYPTO. Context: any thread.
 */
MUST int pkey_generate(enum key_type type, EVP_PKEY **ret_key);

/** pkey_is_slow() - whether keys of @type must be made outside the loop. */
bool pkey_is_slow(enum key_type type);

/** pkey_is() - whether @key is of @type. */
bool pkey_is(EVP_PKEY *key, enum key_type type);

/**
 * pkey_encode() - @key as unencrypted PKCS#8 DER on the secure heap, at most LIM_KEY_DER bytes.
 * Errors: -ERR_CRYPTO, -ERR_SIZE, -ENOMEM. Source: Workload API 5 (x509_svid_key).
 */
MUST int pkey_encode(EVP_PKEY *key, struct secbytes *ret_pkcs8);

/** pkey_decode() - the other way; refuses trailing bytes. Errors: -ERR_CRYPTO. */
MUST int pkey_decode(struct slice pkcs8, EVP_PKEY **ret_key);

#endif
