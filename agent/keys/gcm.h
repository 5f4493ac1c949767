/* SPDX-License-Identifier: Apache-2.0 */
/* gcm.h - AES-256-GCM with a fresh nonce: what is stored outside of svid-keys. Plain text stays on the secure heap. */
#ifndef KEYS_GCM_H
#define KEYS_GCM_H

#include "agent/base/buf.h"
#include "agent/keys/heap.h"

#define GCM_KEY_BYTES 32
#define GCM_NONCE_BYTES 12
#define GCM_TAG_BYTES 16
#define GCM_MORE (GCM_NONCE_BYTES + GCM_TAG_BYTES) /* bytes that sealing adds */

/**
 * gcm_seal() - append nonce, ciphertext and tag of @plain to @out.
 * @aad: must be the same at gcm_open().
 * Errors: -ERR_SEALED (key length), -ERR_CRYPTO, -ERR_SIZE (@out is full), -ENOMEM.
 */
MUST int gcm_seal(struct slice plain, struct slice key, struct slice aad, struct buf *out);

/**
 * gcm_open() - the plain text of what gcm_seal() wrote.
 * Errors: -ERR_SEALED (another key, other associated data, changed or cut), -ENOMEM.
 */
MUST int gcm_open(struct slice sealed, struct slice key, struct slice aad, struct secbytes *ret_plain);

#endif
