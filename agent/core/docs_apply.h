/* SPDX-License-Identifier: Apache-2.0 */
/* docs_apply.h - a whole run of the compiler becomes the next generation. svid-core, between docs.c and docs_apply.c. */
#ifndef CORE_DOCS_APPLY_H
#define CORE_DOCS_APPLY_H

#include "agent/core/docs_rows.h"

/* What the compiler sent. */
struct docs_run {
	bool complete; /* PC_DONE came */
	struct doc_rows docs;
	struct doc_files files;
	struct doc_errors errors;
};

/* What is in force. */
struct docs_force {
	struct doc_rows rows; /* last good versions, sorted */
	struct settings *settings;
	struct policy *policy;
};

/**
 * docs_apply() - what follows from @run after @old. Nothing is taken from either; errors go to run->errors.
 * @bound_td: "" or the trust domain that the state belongs to.
 * @next_number: number for the next new identity.
 * @ret_new: owned by the caller (docs_force_done()).
 * Errors: -ENOMEM, -ERR_FORMAT (the compiler sent what it must not).
 */
MUST int docs_apply(struct docs_run *run, const struct docs_force *old, const char *bound_td, uint32_t *next_number,
		    struct docs_force *ret_new);

/** docs_force_done() - release. */
void docs_force_done(struct docs_force *f);

static inline void docs_force_autoclean(struct docs_force *f)
{
	docs_force_done(f);
}

#endif
