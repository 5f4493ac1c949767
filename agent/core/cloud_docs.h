/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud_docs.h - WorkloadCredentials in force, each with its CredentialSource: what svid-cloud is told of them, and what
 * svid-core itself must know to answer for a JWT-SVID. Made by docs_apply.c, used by cloud.c. svid-core.
 */
#ifndef CORE_CLOUD_DOCS_H
#define CORE_CLOUD_DOCS_H

#include "agent/core/policy.h"
#include "agent/core/sorter.h"

struct build_why;

/* One binding: a credential of one identity from one source. Owned by struct cloud_docs. */
struct cloud_doc {
	uint32_t binding;  /* stable while name, source and SPIFFE ID stay; never another's in this process */
	uint32_t identity; /* number of the identity in force that it is for */
	enum cloud_kind kind;
	char *name, *source; /* of the documents */
	char *spiffe_id;
	char *source_json, *json; /* specs, normal form */
	char **audiences;	  /* of its JWT-SVIDs */
	size_t n_audiences;
	uint32_t jwt_ttl; /* seconds, of the JWT-SVID of an exchange */
	uint32_t file_ttl; /* seconds, of one that is shown as a file */
	char *claims;	  /* JSON members to be added, each with a comma before it */
	bool id_token;	      /* GCP: an id token is asked for, too */
	bool source_identity; /* AWS: the session's name is a claim too */
	char **helpers;	      /* paths of executables that may read for the process that started them */
	size_t n_helpers;
	bool stale;
};

/* Of cloud_docs_join(). */
struct cloud_join {
	unsigned int phase;
	size_t at; /* in the phase */
	struct sorter sorter;
	struct cloud_doc **by_id; /* sorted by SPIFFE ID, until those without an identity go */
};

struct cloud_docs {
	struct cloud_doc **v;	      /* sorted by name */
	const struct cloud_doc **own; /* the same, sorted by identity */
	const struct cloud_doc **numbered; /* the same, sorted by binding */
	size_t n;
	const char **helpers, **audiences; /* those of all, sorted, some twice; borrowed */
	size_t n_helpers, n_audiences;
	struct cloud_join join;
};

/**
 * cloud_doc_new() - a binding without numbers.
 * @json, @source_json: specs in normal form, what the compiler sends.
 * Errors: -ERR_POLICY (@ret_why), -ERR_FORMAT (not a normal form: the compiler is broken), -ENOMEM.
 */
MUST int cloud_doc_new(const char *name, const char *json, const char *source, const char *source_json,
		       const char *trust_domain, struct build_why *ret_why, struct cloud_doc **ret_doc);

/** cloud_doc_free() - NULL is fine. */
void cloud_doc_free(struct cloud_doc *d);

/**
 * cloud_doc_source_name() - the CredentialSource that @json, of the WorkloadCredential @name, is about; a copy.
 * Errors: -ERR_FORMAT (also when nobody may be called @name), -ENOMEM.
 */
MUST int cloud_doc_source_name(const char *name, const char *json, char **ret_source);

/** cloud_source_check() - whether @json is a CredentialSource's normal form. Errors: -ERR_FORMAT, -ENOMEM. */
MUST int cloud_source_check(const char *json);

/**
 * cloud_docs_join() - as far as @b reaches: each identity of @p gets to know its bindings, those whose identity is not there
 * go, and @d becomes one that can be asked. Again until it returns 1.
 * Errors: -ENOMEM.
 */
MUST int cloud_docs_join(struct cloud_docs *d, const struct policy *p, struct budget *b);

/** cloud_docs_by_binding() - which of two struct cloud_doc * has the smaller number. */
int cloud_docs_by_binding(const void *a, const void *b);

/** cloud_docs_done() - release all; an empty one is fine. */
void cloud_docs_done(struct cloud_docs *d);

/** cloud_docs_find() - the binding of this name, source and SPIFFE ID; NULL when there is none. */
const struct cloud_doc *cloud_docs_find(const struct cloud_docs *d, const struct cloud_doc *like);

/** cloud_docs_at() - the binding with this number; NULL when there is none. */
const struct cloud_doc *cloud_docs_at(const struct cloud_docs *d, uint32_t binding);

/**
 * cloud_doc_has_helper() - whether the executable @path, as svidd sees it, may read for the process that started it. "/bin/cat"
 * is "/usr/bin/cat" too: in most systems /bin is a link to that, and it is the latter name that the kernel tells.
 */
bool cloud_doc_has_helper(const struct cloud_doc *d, struct slice path);

/** cloud_docs_has_helper() - the same of any of them: what is in no document is not looked at further. */
bool cloud_docs_has_helper(const struct cloud_docs *d, struct slice path);

/** cloud_docs_has_audience() - whether a binding's token has this audience: nobody else is given it by default. */
bool cloud_docs_has_audience(const struct cloud_docs *d, struct slice audience);

#endif
