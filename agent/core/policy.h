/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy.h - which identities a caller gets: facts in, an ordered set of identities out. svid-core.
 *
 * Pure: no I/O, no clock. Documents come from docs.h. A fact that could not be found out is stated
 * with its error; a selector that needs it does not match and the match says so (A24).
 */
#ifndef CORE_POLICY_H
#define CORE_POLICY_H

#include "agent/base/buf.h"
#include "agent/base/limits.h"
#include "agent/base/slice.h"
#include "agent/ipc/plan.h"
#include "kmod/uapi/svid.h"

/* What is known of one caller. Slices borrow from whoever made the facts. */
struct facts {
	const struct svid_conn *conn; /* kernel record; for attestation: socket, filled from SO_PEERCRED */
	unsigned int tier;	      /* enum svid_tier */
	int path_err;		      /* 0, or why path is unknown (-ERR_CHANGED, -ENOENT, ...) */
	struct slice path;	      /* the executable as the agent sees it */
	int names_err;
	struct slice user, group;
	struct slice groups; /* list of strings (lists.h), parallel to the conn's supplementary groups */
	int cgroup_err;
	struct slice cgroup; /* v2 path, "/system.slice/app.service" */
	struct slice unit;   /* systemd unit of that path, empty when none */
	const char *sha256_why; /* static: why there is no digest; NULL: there is, or it was not looked for */
	struct slice sha256;	/* of the executable, 64 digits of hex; empty: not looked for */
};

struct rules;
struct cloud_doc;

/* One WorkloadIdentity document that is in force. Owned by struct policy. */
struct identity {
	uint32_t number; /* stable while the document keeps its SPIFFE ID; never reused in this process */
	char *name;	 /* metadata.name */
	char *spiffe_id;
	char *hint; /* "" when none */
	int priority;
	uint32_t x509_ttl; /* seconds */
	enum key_type key_type;
	char **dns_names;
	size_t n_dns_names;
	char **federates_with; /* trust domain names */
	size_t n_federates_with;
	uint32_t jwt_ttl;     /* seconds */
	unsigned int jwt_alg; /* enum jwt_alg */
	char **jwt_audiences; /* the only ones it may ask for; none: any */
	size_t n_jwt_audiences;
	char **sds_peers;     /* SPIFFE IDs, "prefix:" in front of some; none: all */
	size_t n_sds_peers;
	bool stale; /* last good version of a document that does not validate now */
	const struct cloud_doc *const *clouds; /* its WorkloadCredentials, by name; of the same generation */
	size_t n_clouds;
	struct rules *rules; /* policy_build.h */
};

struct policy;

/* The result for one caller: identities in order, the default first. */
struct match {
	const struct identity *ids[LIM_SET_IDENTITIES];
	size_t n;
	bool not_traced_waived; /* tier bpf-tp cannot see tracing: the default was not enforced */
};

/**
 * policy_match() - evaluate all documents for one caller.
 * @explain: NULL, or a buf that gets a JSON array, one object per document: {"name","spiffe_id",
 *           "matched":bool,"stale":bool,"sets":[{"matched":bool,"selectors":[{"key","wanted":[...],
 *           "found","ok":bool,"why"}]}],"require":[{"rule","default":bool,"ok","why"}]}, values escaped;
 *           "why" is "" when there is nothing to say. With it nothing is short-cut.
 * Errors: none; more than LIM_SET_IDENTITIES matches keep the first in order. A record that is missing
 *         (f->conn NULL) matches nothing. Pointers in @ret_match live as long as @p.
 */
void policy_match(const struct policy *p, const struct facts *f, struct match *ret_match, struct buf *explain);

/**
 * policy_wants_digest() - whether the digest of its executable could decide: some document asks for one, and nothing else
 * in it speaks against this caller. Hashing is not done for anybody else.
 */
bool policy_wants_digest(const struct policy *p, const struct facts *f);

/** policy_order() - which of two struct identity * comes first: by priority, then name. For sorting. */
int policy_order(const void *a, const void *b);

/**
 * policy_new() - a policy of @n identities in any order, which it takes over (their pointers in @ids become NULL).
 * Those that are sorted already cost little.
 * Errors: -ENOMEM, and nothing was taken.
 */
MUST int policy_new(struct identity **ids, size_t n, struct policy **ret_policy);

/** policy_free() - with all its identities; NULL is fine. */
void policy_free(struct policy *p);

/** policy_free_some() - free at most @n of its identities, and it with the last; false when there are more. */
bool policy_free_some(struct policy *p, size_t n);

/** policy_by_number() - the identity with this number, NULL when its document is gone. */
const struct identity *policy_by_number(const struct policy *p, uint32_t number);

/** policy_count() - how many identities are in force; *ret_stale of them are stale. */
size_t policy_count(const struct policy *p, size_t *ret_stale);

/** policy_by_spiffe_id() - the identity with this SPIFFE ID, NULL when there is none. */
const struct identity *policy_by_spiffe_id(const struct policy *p, struct slice spiffe_id);

/** policy_at() - the identity at position @i (0 .. policy_count() - 1), ordered by priority, then name. */
const struct identity *policy_at(const struct policy *p, size_t i);

#endif
