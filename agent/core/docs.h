/* SPDX-License-Identifier: Apache-2.0 */
/*
 * docs.h - documents in force: what the policy compiler sends becomes a policy and settings. svid-core.
 *
 * One run of the compiler is one generation: docs_begin(), docs_message() for each PC_* message, and at
 * the end of the channel docs_end(). After PC_DONE docs_step() makes it a policy beside the one in force, in
 * slices that fit into a turn of the loop, and the whole generation comes into force at once:
 *   a document that came          is in force as it came;
 *   one that did not validate, or whose file did not parse,
 *                                 keeps its last good version (state.db) and is stale;
 *   one missing from files that parse is withdrawn.
 * A run that ends without PC_DONE makes everything stale and withdraws nothing. Nothing is in force before
 * the first generation. Pointers from docs_policy() end at the next generation: keep identity numbers.
 * State.db follows afterwards. One that cannot be written stops no withdrawal: that is an error in the list,
 * tried again next time.
 */
#ifndef CORE_DOCS_H
#define CORE_DOCS_H

#include <limits.h>

#include "agent/core/policy.h"
#include "agent/core/sorter.h"
#include "agent/core/state.h"

#define SETTINGS_LOG_UNSAID UINT_MAX /* svidd's --log-level holds */

/* How SDS names things, and what it shows to whom. */
struct sds_settings {
	char svid[LIM_SDS_SPECIAL + 1], bundle[LIM_SDS_SPECIAL + 1], all[LIM_SDS_SPECIAL + 1];
	uint32_t flags; /* enum sds_flag, agent/ipc/plan.h */
};

/* The Agent document. */
struct settings {
	char *trust_domain;	    /* "" until an Agent document was good */
	char **agent_groups;
	size_t n_agent_groups;
	unsigned int attestation;   /* enum svid_tier; TIER_AUTO by default. svidd decides, this is for status */
	unsigned int delivery;	    /* enum delivery, likewise */
	uint32_t oidc_port;	    /* 0: none; likewise */
	bool audit_required;	    /* no record, no identity */
	uint32_t x509_ttl;	    /* seconds, default for identities that do not say */
	uint32_t ca_ttl;	    /* seconds */
	uint32_t jwt_ttl;	    /* seconds, default for identities that do not say */
	uint32_t jwt_key_ttl;	    /* seconds */
	char *jwt_issuer;	    /* iss of JWT-SVIDs; the trust domain's SPIFFE ID when the document does not say */
	bool wit;		    /* the WIT-SVID profile is on */
	struct sds_settings sds;
	unsigned int log_level;	    /* enum log_level, or SETTINGS_LOG_UNSAID */
	uint32_t max_conns;	    /* at most LIM_CONNS */
	uint32_t max_conns_per_uid; /* at most LIM_CONNS_PER_UID */
	bool stale;		    /* the Agent document does not validate now */
};

/* What the compiler, or applying its output, had to say. Owned by struct docs until the next generation. */
struct doc_error {
	char *file;
	uint32_t line, column; /* 0: not known */
	char *kind, *name;     /* "" when not known */
	char *text;
	bool warning;
};

struct docs;
struct cloud_docs;

/**
 * docs_new() - read the last good documents from @st (borrowed; NULL: nothing is remembered).
 * Errors: -ENOMEM, -ERR_STATE.
 */
MUST int docs_new(struct state *st, struct docs **ret_docs);

/** docs_free() - NULL is fine. */
void docs_free(struct docs *d);

/** docs_begin() - a compiler was started; what an earlier unfinished run sent is dropped. */
void docs_begin(struct docs *d);

/**
 * docs_message() - one message of the compiler (PC_FILE, PC_DOC, PC_ERROR, PC_DONE).
 * Errors: -ERR_FORMAT, -ERR_LIMIT, -ERR_PERMIT: the compiler is broken, condemn it (docs_end() follows);
 *         -ENOMEM: nothing changed.
 */
MUST int docs_message(struct docs *d, uint16_t type, struct slice body);

/**
 * docs_end() - the compiler's channel closed. After PC_DONE nothing happens; before it, every document keeps
 * its last good version and is stale.
 * @why: what is known about the end, for the list of errors ("svid compile was killed by signal 11").
 */
void docs_end(struct docs *d, const char *why);

/** docs_busy() - whether a run is still to come into force. */
bool docs_busy(const struct docs *d);

/**
 * docs_step() - go on with that as far as @b reaches. *@ret_changed becomes true when a new generation came into
 * force: match callers again.
 * Errors: -ENOMEM: the run is dropped, nothing changed.
 */
MUST int docs_step(struct docs *d, struct budget *b, bool *ret_changed);

/** docs_untidy() / docs_tidy() - what can wait: state.db, and the memory of what was in force before. */
bool docs_untidy(const struct docs *d);
void docs_tidy(struct docs *d, struct budget *b);

/** docs_generation() - 0 before the first, then one more each time something came into force. */
uint64_t docs_generation(const struct docs *d);

/** docs_policy() - what is in force, for policy_match(); empty, never NULL, before the first generation. */
const struct policy *docs_policy(const struct docs *d);

/** docs_clouds() - WorkloadCredentials in force; never NULL. */
const struct cloud_docs *docs_clouds(const struct docs *d);

/** docs_each_source() - every CredentialSource in force, by name; @json is its spec in normal form. */
void docs_each_source(const struct docs *d, void (*each)(void *arg, const char *name, const char *json, bool stale), void *arg);

/** docs_settings() - never NULL; trust_domain is "" before an Agent document was good. */
const struct settings *docs_settings(const struct docs *d);

/** docs_errors() - errors and warnings of the last generation; *@ret_n of them. */
const struct doc_error *docs_errors(const struct docs *d, size_t *ret_n);

/**
 * docs_put_status() - {"generation","documents","applying","stored","stale":[{"kind","name","file"}],"errors":[{"file","line",
 * "column","kind","name","severity","text"}]} as JSON.
 */
void docs_put_status(const struct docs *d, struct buf *out);

#endif
