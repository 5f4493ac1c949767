/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - the authority as bytes that svid-core may store: AES-256-GCM under the sealing key. svid-keys.
 *
 * Blob: 8 bytes "SVIDSEAL", u32 version (1), 12 bytes nonce, ciphertext, 16 bytes tag. Associated data:
 * magic, version and the trust domain. Plain text: blob trust domain, u64 last signature (seconds since
 * 1970), blob PKCS#8 of the CA key, blob DER of the CA certificate (blob = u32 length and bytes).
 */
#ifndef KEYS_SEAL_H
#define KEYS_SEAL_H

#include "agent/keys/authority.h"
#include "agent/keys/heap.h"

#define SEAL_KEY_BYTES 32

/**
 * seal_write() - append the sealed state of @a to @ret_sealed, with a fresh nonce.
 * @key: SEAL_KEY_BYTES bytes.
 * Errors: -ERR_SEALED (key length), -ERR_CRYPTO, -ERR_SIZE, -ENOMEM.
 */
MUST int seal_write(const struct authority *a, struct slice key, struct buf *ret_sealed);

/**
 * seal_open() - the authority for trust domain @td out of @sealed.
 * Errors: -ERR_SEALED for whatever is not exactly what seal_write() made with this key for this trust
 *         domain; the caller must not answer that with a new authority. -ENOMEM.
 */
MUST int seal_open(struct slice sealed, struct slice key, struct slice td, struct authority **ret_authority);

#endif
