/* SPDX-License-Identifier: Apache-2.0 */
/* compile_schema.h - every option of every document as one row. svid compile; agent/core/POLICY.md has the same rows. */
#ifndef CLI_COMPILE_SCHEMA_H
#define CLI_COMPILE_SCHEMA_H

#include "agent/base/slice.h"

#define SCHEMA_ROWS_MAX 64 /* rows of one kind, at most */

enum opt_type {
	OPT_MAP,
	OPT_TEXT,
	OPT_WORD,     /* one of the row's words */
	OPT_NUMBER,   /* min .. max */
	OPT_DURATION, /* "90s", "30m", "1h", "7d"; min .. max seconds */
	OPT_TEXTS,    /* list of at most max_n texts */
	OPT_TEXT_MAP, /* at most max_n names of the document's choice, each with a text */
	OPT_WORDS,    /* list of the row's words */
	OPT_SELECTORS,
	OPT_LATER, /* known, and refused: help says why */
};

struct option_row {
	const char *path; /* from the root of the document, dots between */
	enum opt_type type;
	bool required; /* in its map, when that is there */
	const char *fallback; /* default, as one would write it; NULL: none */
	int64_t min, max; /* numbers; bytes of a text */
	size_t max_n;
	bool not_empty; /* a list that narrows when it is there: who writes none in it does not mean all */
	const char *words; /* "a|b" */
	const char *(*why)(struct slice text); /* NULL, or what is wrong with a text */
	bool reloadable; /* a change comes into force without a restart */
	const char *help;
};

struct schema_kind {
	const char *kind;
	const struct option_row *rows;
	size_t n_rows;
	const char *later; /* not NULL: a kind of others or of later, and why it is refused */
};

#define SCHEMA_API_VERSIONS "svid/v1alpha1|core.riptides.io/v1alpha1"

/* compile_schema_cloud.c */
enum { SOURCE_ROWS = 45, CREDENTIAL_ROWS = 9 };

extern const struct option_row source_rows[SOURCE_ROWS], credential_rows[CREDENTIAL_ROWS];

/** schema_find() - rows of a kind; NULL when nobody knows it. */
const struct schema_kind *schema_find(struct slice kind);

/** schema_at() - kind number @i, NULL at the end; for lists and tests. */
const struct schema_kind *schema_at(size_t i);

/** schema_type_name() - "text", "duration" and so on. */
const char *schema_type_name(enum opt_type type);

#endif
