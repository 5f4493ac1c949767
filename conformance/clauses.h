/* SPDX-License-Identifier: Apache-2.0 */
/* clauses.h - conformance/clauses.tsv in memory, and how it and the tests answer for each other. svid-conformance. */
#ifndef CONFORMANCE_CLAUSES_H
#define CONFORMANCE_CLAUSES_H

#include "conformance/run.h"

enum { CLAUSES_MAX = 1024 };

struct clause {
	char *id, *document, *section, *binds, *level, *requirement, *status;
};

struct clauses {
	struct clause at[CLAUSES_MAX];
	size_t n, tested, reasoned;
	char *text; /* what the fields point into */
};

/**
 * clauses_load() - read the table; prints what is wrong with it.
 * Errors: -errno of open(2), -EINVAL (a row that is not seven fields), -ENOMEM.
 */
MUST int clauses_load(const char *path, struct clauses *ret);

/** clauses_done() - release. */
void clauses_done(struct clauses *c);

/**
 * clauses_agree() - whether each clause with status "test" has a test and each test has a clause;
 * prints what does not. Returns the number of disagreements.
 */
size_t clauses_agree(const struct clauses *c, const struct test *const *tables, size_t n_tables);

#endif
