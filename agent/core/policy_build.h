/* SPDX-License-Identifier: Apache-2.0 */
/* policy_build.h - from a document in normal form to an identity with its rules. svid-core, for docs.c and policy.c. */
#ifndef CORE_POLICY_BUILD_H
#define CORE_POLICY_BUILD_H

#include <jansson.h>

#include "agent/core/policy.h"
#include "agent/core/selector.h"

/* Selectors that must all match. */
struct selector_set {
	struct selector *selectors;
	size_t n;
};

/* What makes a caller this identity: any set, and every rule. */
struct rules {
	struct selector_set *sets;
	size_t n_sets;
	uint32_t require;  /* bit mask of 1u << enum rule_id, written in the document */
	uint32_t defaults; /* likewise, not written but on by default */
	bool digest;	   /* some set asks for the digest of the executable */
	char *agent_group; /* "" when the document is for every node */
};

/* What a document is read against. */
struct policy_env {
	const char *trust_domain;
	char *const *agent_groups; /* of this node */
	size_t n_agent_groups;
	uint32_t x509_ttl, jwt_ttl; /* seconds, for documents that do not say */
};

/* Why a document cannot be used, for people. */
struct build_why {
	char text[256];
};

/**
 * identity_new() - the identity of one WorkloadIdentity document.
 * @json: normal form, what the compiler sends.
 * @ret_why: on -ERR_POLICY the reason.
 * Errors: -ERR_POLICY (well formed, but cannot be used here: another trust domain, too long),
 *         -ERR_FORMAT (not a normal form: the compiler is broken), -ENOMEM.
 */
MUST int identity_new(struct slice name, struct slice json, const struct policy_env *env, struct build_why *ret_why,
		      struct identity **ret_identity);

/** identity_free() - NULL is fine. */
void identity_free(struct identity *id);

static inline void identity_autoclean(struct identity **id)
{
	identity_free(*id);
}

/** identity_in_scope() - whether the document is for this node. */
bool identity_in_scope(const struct identity *id, const struct policy_env *env);

/*
 * Readers of normal forms, also for the Agent document. A missing member leaves the default; one of a wrong
 * type or out of range is -ERR_FORMAT.
 */

/** form_str() - copy of member @path ("svid.x509.ttl"); @ret keeps its value when missing. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int form_str(json_t *form, const char *path, size_t max, char **ret);

/** form_int() - number between @min and @max; @ret keeps its value when missing. Errors: -ERR_FORMAT. */
MUST int form_int(json_t *form, const char *path, int64_t min, int64_t max, int64_t *ret);

/** form_word() - number of the word that member @path holds; @ret keeps its value when missing. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int form_word(json_t *form, const char *path, const char *const *words, unsigned int n, unsigned int *ret);

/** form_strs() - list of at most @max_n strings; @ret stays NULL when missing. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int form_strs(json_t *form, const char *path, size_t max_n, size_t max, char ***ret, size_t *ret_n);

/** form_load() - parse a normal form, an object. Errors: -ERR_FORMAT, -ENOMEM. The caller owns it (json_decref). */
MUST int form_load(struct slice json, json_t **ret_form);

static inline void form_autoclean(json_t **form)
{
	json_decref(*form);
}

/**
 * form_narrowing() - form_strs() of a list that narrows when it is there: one with nothing in it is no form of "any".
 * Errors: those of form_strs(), -ERR_FORMAT (there and empty).
 */
MUST int form_narrowing(json_t *form, const char *path, size_t max_n, size_t max, char ***ret, size_t *ret_n);

/** strs_free() - a list made by form_strs(). */
void strs_free(char **strs, size_t n);

#endif
