/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.h - where private numbers live: libcrypto's secure heap (locked, guarded, not dumped), and an
 * ordinary heap that wipes what it releases. svid-keys.
 */
#ifndef KEYS_HEAP_H
#define KEYS_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/slice.h"

/* Bytes on the secure heap. Owned by whoever holds the struct (secbytes_done). */
struct secbytes {
	uint8_t *p;
	size_t len;
};

/**
 * heap_init() - before the first call into libcrypto: its ordinary allocations go through
 * agent/base/mem.h and are wiped when released; the secure heap gets @secure_bytes (a power of two).
 * @ret_locked: whether its pages are locked and guarded (RLIMIT_MEMLOCK may forbid it).
 * Errors: -ENOMEM, -ERR_CRYPTO (libcrypto was used before).
 */
MUST int heap_init(size_t secure_bytes, bool *ret_locked);

/** secbytes_new() - @len zeroed bytes on the secure heap. Errors: -ENOMEM. */
MUST int secbytes_new(size_t len, struct secbytes *ret_bytes);

/** secbytes_done() - wipe and release; an empty one is fine. */
void secbytes_done(struct secbytes *b);

static inline void secbytes_autoclean(struct secbytes *b)
{
	secbytes_done(b);
}

static inline struct slice secbytes_slice(const struct secbytes *b)
{
	return slice_of(b->p, b->len);
}

#endif
