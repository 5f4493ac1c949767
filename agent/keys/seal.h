/* SPDX-License-Identifier: Apache-2.0 */
/*
 * seal.h - the authority as bytes that svid-core may store: AES-256-GCM under the sealing key. svid-keys.
 *
 * Blob: 8 bytes "SVIDSEAL", u32 version, 12 bytes nonce, ciphertext, 16 bytes tag. Associated data: magic,
 * version and the trust domain. Plain text of version 2 (blob = u32 length and bytes; times u64, seconds since
 * 1970): blob trust domain, time of the last signature, then until the end for each key, oldest first for each
 * use: u32 use (enum signer_use), times born, active, not_after, blob PKCS#8, blob DER of the certificate (CA
 * only, else empty). Version 1 had one CA: blob trust domain, last signature, blob PKCS#8, blob DER. It is still
 * opened, and is version 2 when it is sealed next; a build that knows only version 1 refuses version 2.
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
 * seal_open() - the authority for trust domain @td out of @sealed, to be configured by the caller.
 * Errors: -ERR_SEALED for whatever is not exactly what seal_write() of this or an earlier version made with this
 *         key for this trust domain; the caller must not answer that with a new authority. -ERR_CRYPTO, -ENOMEM.
 */
MUST int seal_open(struct slice sealed, struct slice key, struct slice td, struct authority **ret_authority);

#endif
