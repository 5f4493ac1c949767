/* SPDX-License-Identifier: Apache-2.0 */
/*
 * set.h - one F_SET: the identities that this front serves, without their keys. svid-front.
 *
 * Two kinds of wrong: what svid-core cannot have meant (the channel ends), and an identity set that
 * would poison a client (the old answer stays, FR_SET says why). Next: encode.h.
 */
#ifndef FRONT_SET_H
#define FRONT_SET_H

#include "agent/base/buf.h"
#include "agent/ipc/lists.h"
#include "agent/ipc/plan.h"

/* Which of svid-keys' keys. */
struct key_id {
	uint32_t identity;
	uint32_t kind; /* enum svid_kind */
	uint64_t generation;
};

struct set_identity {
	struct set_entry e; /* wit is empty when there is none to serve */
	char *spiffe_id; /* NUL-terminated, for protobuf */
	char *hint;	 /* likewise; "" when there is none, or when an earlier identity has the same */
	uint64_t sds_version; /* given by sds_follow(), as those below */
};

struct jwks;

struct set_bundle {
	char *trust_domain_id; /* "spiffe://td" */
	struct slice der;      /* empty: none for X.509 */
	struct slice jwks;     /* empty: none for JWT that every client would take */
	struct slice all_jwks; /* as it came, for ValidateJWTSVID, which ignores keys that it does not know */
	struct jwks *parsed;   /* of all_jwks; NULL until it was needed */
	uint64_t sds_version;
};

struct set {
	uint64_t version;
	struct buf body; /* slices below borrow from it */
	struct set_bundle own;
	struct set_identity *ids; /* default first */
	size_t n_ids;
	struct set_bundle *feds; /* never empty ones, never the own trust domain, none twice */
	size_t n_feds;
	struct key_id *keys; /* needed to serve it: the X.509 ones in the order of ids, then those of WIT-SVIDs */
	size_t n_keys;
	int64_t expires;     /* earliest not_after; 0: no identities */
	int64_t wit_expires; /* the same of the WIT-SVIDs */
	struct slice wit_jwks;
	bool wit; /* the profile is on */
	struct slice sds_svid, sds_bundle, sds_all; /* names of Envoy's secrets */
	struct slice nobody_ca;			    /* empty: none */
	uint32_t sds_flags;			    /* enum sds_flag */
	uint64_t sds_default, sds_all_version, sds_nobody; /* versions */
};

/**
 * set_new() - copy and take apart the body of an F_SET message.
 * @ret_set: owned by the caller (set_free).
 * Errors: -ERR_SHORT, -ERR_TRAILING, -ERR_FORMAT, -ERR_LIMIT (the sender is broken), -ENOMEM.
 */
MUST int set_new(struct slice body, struct set **ret_set);

/** set_free() - NULL is fine. */
void set_free(struct set *s);

static inline void set_autoclean(struct set **s)
{
	set_free(*s);
}

/**
 * set_check() - whether the strictest client would take this set (spiffe.md 4.2).
 * Errors: -ERR_SPIFFE_ID, -ERR_FORMAT (an empty or malformed chain or own bundle).
 */
MUST int set_check(const struct set *s);

/** set_find() - the identity with exactly this SPIFFE ID; NULL when the set has none. */
const struct set_identity *set_find(const struct set *s, struct slice spiffe_id);

/** set_by_number() - the identity of this number; NULL when the set has none. */
const struct set_identity *set_by_number(const struct set *s, uint32_t identity);

/** set_needs() - whether this key belongs to the set. */
bool set_needs(const struct set *s, struct key_id id);

#endif
