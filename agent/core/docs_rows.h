/* SPDX-License-Identifier: Apache-2.0 */
/* docs_rows.h - the lists that docs.c works on: document versions, files, errors. svid-core. */
#ifndef CORE_DOCS_ROWS_H
#define CORE_DOCS_ROWS_H

#include "agent/core/docs.h"

#define KIND_AGENT "Agent"
#define KIND_IDENTITY "WorkloadIdentity"
#define KIND_SOURCE "CredentialSource"
#define KIND_CREDENTIAL "WorkloadCredential"

/* One version of one document. Counted: the last good list and a generation in the making share it. */
struct doc_row {
	unsigned int refs;
	uint32_t line;
	char *kind, *name, *file, *json;
};

struct doc_entry {
	struct doc_row *row;
	bool stale;
};

struct doc_rows {
	struct doc_entry *v;
	size_t n, cap;
};

struct doc_file {
	char *file;
	bool parsed;
};

struct doc_files {
	struct doc_file *v;
	size_t n, cap;
};

struct doc_errors {
	struct doc_error *v;
	size_t n, cap;
};

/** rows_add() - take a copy of a document. Errors: -ENOMEM, -ERR_LIMIT. */
MUST int rows_add(struct doc_rows *rows, const struct state_doc *doc);

/** rows_share() - add a version that another list has. Errors: -ENOMEM, -ERR_LIMIT. */
MUST int rows_share(struct doc_rows *rows, struct doc_row *row, bool stale);

/** rows_by_name() - the order of entries that rows_find() wants, for sorting. */
int rows_by_name(const void *a, const void *b);

/** rows_sort() - by kind and name, for rows_find(). Returns whether no document is there twice. */
bool rows_sort(struct doc_rows *rows);

/** rows_find() - the entry of a document in a sorted list, NULL when there is none. */
struct doc_entry *rows_find(const struct doc_rows *rows, const char *kind, const char *name);

/** row_unref() - one share less; NULL is fine. */
void row_unref(struct doc_row *row);

/** rows_done_some() - release @n entries of the end at most, and all with the last; false when there are more. */
bool rows_done_some(struct doc_rows *rows, size_t n);

/** rows_drop() - end an entry's share; the slot stays, empty. */
void rows_drop(struct doc_entry *e);

/** rows_compact() - remove empty slots. */
void rows_compact(struct doc_rows *rows);

/** rows_done() - release all. */
void rows_done(struct doc_rows *rows);

/** files_add() - Errors: -ENOMEM, -ERR_LIMIT, -ERR_EXISTS. */
MUST int files_add(struct doc_files *files, struct slice file, bool parsed);

/** files_find() - NULL when that file was not seen. */
const struct doc_file *files_find(const struct doc_files *files, struct slice file);

/** files_done() - release all. */
void files_done(struct doc_files *files);

/** errors_add() - take a copy of @e, whose strings are borrowed. Errors: -ENOMEM, -ERR_LIMIT. */
MUST int errors_add(struct doc_errors *errors, const struct doc_error *e);

/** errors_done_some() - as rows_done_some(). */
bool errors_done_some(struct doc_errors *errors, size_t n);

/** errors_done() - release all. */
void errors_done(struct doc_errors *errors);

/*
 * settings_new() - settings of an Agent document in normal form. @bound_td: "" or the name that the state
 * belongs to. Errors: -ERR_POLICY (@ret_why says why), -ERR_FORMAT, -ENOMEM.
 */
struct build_why;
MUST int settings_new(const char *json, const char *bound_td, struct build_why *ret_why, struct settings **ret_settings);

/** settings_default() - what holds without an Agent document. Returns NULL when memory is out. */
struct settings *settings_default(void);

/** settings_free() - NULL is fine. */
void settings_free(struct settings *s);

#endif
