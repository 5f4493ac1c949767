/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keystore.h - the private keys of the identities, one of each kind: the newest generation, and for a while
 * the one before, encoded as their holders want them. svid-keys, loop thread.
 *
 * The previous generation goes when every front that holds the identity has fetched the newest one,
 * and after LIM_KEY_PREVIOUS_MS at the latest.
 */
#ifndef KEYS_KEYSTORE_H
#define KEYS_KEYSTORE_H

#include "agent/base/loop.h"
#include "agent/ipc/plan.h"
#include "agent/keys/heap.h"

struct keystore;

/* One identity of one front. Zeroed at first; private to keystore.c afterwards. */
struct keystore_hold {
	uint32_t identity;
	struct {
		uint32_t fetches;    /* of that generation */
		uint64_t generation; /* newest one fetched; 0: none */
	} of[SVID_KINDS];
};

/** keystore_new() - Errors: -ENOMEM. Owned by the caller (keystore_free). */
MUST int keystore_new(struct loop *loop, struct keystore **ret_store);

/** keystore_free() - wipes every key; NULL is fine. Holds must be gone or never be used again. */
void keystore_free(struct keystore *s);

/**
 * keystore_put() - @key is the newest key of @identity and @kind.
 * @key: taken over on success, then empty.
 * @ret_generation: never 0, never given twice on this boot.
 * Errors: -ERR_LIMIT (LIM_IDENTITIES), -ENOMEM.
 */
MUST int keystore_put(struct keystore *s, uint32_t identity, enum svid_kind kind, struct secbytes *key,
		      uint64_t *ret_generation);

/** keystore_forget() - wipe all keys of @identity, of both kinds; holds stay. */
void keystore_forget(struct keystore *s, uint32_t identity);

/** keystore_clear() - wipe all keys of all identities; holds stay. */
void keystore_clear(struct keystore *s);

/** keystore_hold() - a front serves @identity from now on. Errors: -ERR_LIMIT, -ENOMEM. */
MUST int keystore_hold(struct keystore *s, uint32_t identity, struct keystore_hold *ret_hold);

/** keystore_release() - that front is gone. */
void keystore_release(struct keystore *s, struct keystore_hold *hold);

/**
 * keystore_fetch() - the key of @hold's identity, @kind and @generation.
 * @ret_key: borrowed until the loop goes on.
 * Errors: -ERR_NOT_FOUND (no such generation, or not any more), -ERR_LIMIT (fetched LIM_KEY_FETCHES
 *         times by this holder).
 */
MUST int keystore_fetch(struct keystore *s, struct keystore_hold *hold, enum svid_kind kind, uint64_t generation,
			struct slice *ret_key);

/**
 * keystore_peek() - the same for us, who give it to nobody.
 * Errors: -ERR_NOT_FOUND.
 */
MUST int keystore_peek(struct keystore *s, uint32_t identity, enum svid_kind kind, uint64_t generation,
		       struct slice *ret_key);

/** keystore_count() - identities known, for tests and status. */
size_t keystore_count(const struct keystore *s);

#endif
