/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bundles.h - bundles of foreign trust domains: set by root on admin.sock, kept in state.db, given to the fronts whose
 * identities federate with them. svid parsed and checked them; here they are bytes.
 */
#ifndef CORE_BUNDLES_H
#define CORE_BUNDLES_H

#include "agent/base/limits.h"
#include "agent/core/state.h"

struct bundles;

/* One trust domain's bundle. */
struct bundle {
	char *trust_domain;
	struct buf der;	 /* CA certificates, one after another; may be empty */
	struct buf jwks; /* JWK Set; may be empty */
	uint64_t sequence;
	int64_t changed; /* wall clock, seconds */
	uint64_t serial; /* another one after every change */
};

/** bundles_new() - what @st (borrowed) holds. Errors: -ENOMEM, -ERR_STATE. */
MUST int bundles_new(struct state *st, struct bundles **ret_bundles);

/** bundles_free() - NULL is fine. */
void bundles_free(struct bundles *b);

/**
 * bundles_set() - store @in, replacing what was there of its trust domain; on disk when it returns 0.
 * @own: name of our own trust domain, which is no foreign one.
 * @ret_changed: whether anything is different now.
 * @ret_why: on an error why, for people; static.
 * Errors: -ERR_SPIFFE_ID (the name), -ERR_EXISTS (a newer sequence is there), -ERR_FORMAT, -ERR_LIMIT, -ERR_STATE,
 *         -ENOMEM; nothing changed.
 * Source: SPIFFE_Trust_Domain_and_Bundle 4.1.1 (spiffe_sequence only grows).
 */
MUST int bundles_set(struct bundles *b, const struct state_bundle *in, const char *own, bool *ret_changed,
		     const char **ret_why);

/** bundles_remove() - Errors: -ERR_NOT_FOUND, -ERR_STATE; @ret_why as above. */
MUST int bundles_remove(struct bundles *b, struct slice trust_domain, const char **ret_why);

/** bundles_at() - number @i in the order of names, NULL at the end; until the next change. */
const struct bundle *bundles_at(const struct bundles *b, size_t i);

/** bundles_find() - where that trust domain is; LIM_FOREIGN_BUNDLES when it is not. */
size_t bundles_find(const struct bundles *b, struct slice trust_domain);

/** bundle_certs() - how many certificates are in it, by the lengths of their outer tags; -1: not whole. */
long bundle_certs(struct slice der);

#endif
