/* SPDX-License-Identifier: Apache-2.0 */
/* docs_apply.h - a whole run of the compiler becomes the next generation. svid-core, between docs.c and docs_apply.c. */
#ifndef CORE_DOCS_APPLY_H
#define CORE_DOCS_APPLY_H

#include "agent/core/cloud_docs.h"
#include "agent/core/docs_rows.h"
#include "agent/core/sorter.h"

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
	struct cloud_docs clouds;
};

/* A generation in the making. */
struct stage;

/**
 * stage_new() - begin with @run, which it takes over; it says what follows after @old, which must stay as it is.
 * @bound_td: "" or the trust domain that the state belongs to.
 * @next_number: number for the next new identity.
 * Errors: -ENOMEM, and nothing was taken.
 */
MUST int stage_new(struct docs_run *run, const struct docs_force *old, const char *bound_td, uint32_t *next_number,
		   struct stage **ret_stage);

/**
 * stage_step() - go on as far as @b reaches. Returns 1 when it is complete, 0 when there is more to do.
 * Errors: -ENOMEM, -ERR_FORMAT (the compiler sent what it must not).
 */
MUST int stage_step(struct stage *s, struct budget *b);

/** stage_take() - the result of a complete stage, and its run with the errors: both owned by the caller. */
void stage_take(struct stage *s, struct docs_force *ret_new, struct docs_run *ret_run);

/** stage_free() - NULL is fine. */
void stage_free(struct stage *s);

/** docs_run_done() - release. */
void docs_run_done(struct docs_run *run);

/** docs_force_done() - release. */
void docs_force_done(struct docs_force *f);

static inline void docs_force_autoclean(struct docs_force *f)
{
	docs_force_done(f);
}

#endif
