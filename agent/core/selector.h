/* SPDX-License-Identifier: Apache-2.0 */
/*
 * selector.h - one selector or require[] rule against the facts of one caller. svid-core, for policy.c.
 *
 * Closed by default: a fact that is missing, truncated or of doubtful origin never matches, and the
 * result says why. Values are compared as bytes; nothing is folded or decoded.
 */
#ifndef CORE_SELECTOR_H
#define CORE_SELECTOR_H

#include "agent/core/policy.h"
#include "agent/ipc/terms.h"

struct sel_value {
	char *text;	 /* as written, with glob: */
	size_t len;	 /* of text */
	uint64_t number; /* of number kinds */
	bool glob;
};

/* One key with its values, any of which may be found. */
struct selector {
	unsigned int id; /* enum selector_id */
	struct sel_value *values;
	size_t n_values;
};

/* One value that the facts hold for a key; @why instead of a value when it cannot be told. */
struct fact {
	bool end;	 /* there is no such value: the list is over */
	bool is_number;
	const char *why; /* static */
	uint64_t number;
	struct slice text; /* borrows from the facts */
};

/* The facts with what evaluation keeps between the documents that one caller is compared with. */
struct eval {
	const struct facts *f;
	uint64_t known; /* bit mask of 1ull << enum selector_id: first[id] is filled */
	size_t argv_len;
	struct fact first[SEL_COUNT]; /* value number 0 of each key */
	uint8_t argv[SVID_ARGV_MAX];  /* arguments joined by spaces */
};

_Static_assert(SEL_COUNT <= 64, "eval.known is full");

/** eval_init() - begin with a caller; nothing is looked at yet. */
static inline void eval_init(struct eval *e, const struct facts *f)
{
	e->f = f;
	e->known = 0;
	e->argv_len = 0;
}

struct sel_result {
	bool ok;
	bool waived;	 /* a default rule that this tier cannot enforce */
	const char *why; /* static; "" when ok and enforced */
};

/** selector_set_value() - fill @v from @text. Errors: -ERR_FORMAT (term_value_why() objects), -ENOMEM. */
MUST int selector_set_value(unsigned int id, struct slice text, struct sel_value *v);

/** selector_eval() - does the caller have one of the values? @found: NULL, or gets what the facts say. */
struct sel_result selector_eval(const struct selector *s, struct eval *e, struct buf *found);

/**
 * rule_eval() - does the caller keep a require[] rule?
 * @is_default: the rule was not written; then a tier that cannot see tracing waives it.
 */
struct sel_result rule_eval(unsigned int rule, bool is_default, const struct facts *f);

/**
 * glob_match() - `*` any bytes, `?` one byte. With @path both stop at '/', and `**` does not.
 */
bool glob_match(struct slice pattern, struct slice text, bool path);

#endif
