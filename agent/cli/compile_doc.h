/* SPDX-License-Identifier: Apache-2.0 */
/* compile_doc.h - files to documents and errors, in memory. svid compile, svid policy check, tests and fuzzers. */
#ifndef CLI_COMPILE_DOC_H
#define CLI_COMPILE_DOC_H

#include "agent/cli/compile_yaml.h"

struct cfile {
	char *name; /* as shown to people */
	bool parsed;
};

/* A document that is good by itself. */
struct cdoc {
	size_t file;
	uint32_t line;
	char *kind, *name;
	char *id;   /* SPIFFE ID; "/path" while the trust domain is not known; "" for another kind */
	char *hint; /* "" when none */
	char *json; /* normal form */
	bool refused; /* by a check across documents */
	bool es256;	    /* a WorkloadIdentity: how its JWT-SVIDs are signed */
	char *source;	    /* of a WorkloadCredential: name of its CredentialSource; "" */
	unsigned int cloud; /* a CredentialSource: enum cloud_kind; CLOUD_KIND_COUNT for another kind */
	bool whole_subject; /* likewise: Google gets all of the SPIFFE ID */
	bool is_amazons;    /* likewise: its endpoint is Amazon's own */
	char *client;	    /* likewise: of Azure; "" */
};

struct cerror {
	size_t file;
	struct mark mark; /* 0: not known */
	char *kind, *name; /* "" when not known */
	char *text;
	bool warning;
};

struct compiler {
	struct cfile *files;
	size_t n_files, cap_files;
	struct cdoc *docs;
	size_t n_docs, cap_docs;
	struct cerror *errors;
	size_t n_errors, cap_errors;
	size_t n_warnings; /* of those */
	bool have_agent;
	char *trust_domain;	  /* NULL until a good Agent document was seen */
	char *issuer;		  /* likewise; "" when it names none */
	unsigned int attestation; /* enum svid_tier */
	unsigned int delivery;	  /* enum delivery */
	uint32_t oidc_port;	  /* 0: the OIDC documents are not served */
	bool no_memory;		  /* everything after it is worthless */
};

/** compiler_done() - release. */
void compiler_done(struct compiler *c);

static inline void compiler_autoclean(struct compiler *c)
{
	compiler_done(c);
}

/** compiler_file() - number of a new file. Files are compiled in the order in which they are added. */
size_t compiler_file(struct compiler *c, const char *name);

/* Whether a file may hold the Agent document. */
enum agent_place {
	AGENT_NO,
	AGENT_MAY,
	AGENT_MUST, /* svid.yaml */
};

/** compiler_bytes() - compile the content of @file. */
void compiler_bytes(struct compiler *c, size_t file, struct slice bytes, enum agent_place agent);

/** compiler_refuse() - @file cannot be used at all; its documents keep their last good version. */
void compiler_refuse(struct compiler *c, size_t file, const char *text);

/** compiler_finish() - checks across documents: trust domain, one document for each SPIFFE ID and hint. */
void compiler_finish(struct compiler *c);

/** compiler_error() - add one; @kind and @name may be NULL. The text is cut at 1 KiB. */
void compiler_error(struct compiler *c, size_t file, struct mark mark, const char *kind, const char *name, bool warning,
		    const char *text);

#endif
