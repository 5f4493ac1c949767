/* SPDX-License-Identifier: Apache-2.0 */
/* compile_ctx.h - what the parts of the document checker share. svid compile, compile_*.c only. */
#ifndef CLI_COMPILE_CTX_H
#define CLI_COMPILE_CTX_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/cli/compile_doc.h"
#include "agent/cli/compile_schema.h"

#define QUOTE_MAX 100	  /* bytes of the document shown in an error */
#define MESSAGE_MAX 16384 /* bytes of an error text in the making */

/* One document being checked. */
struct ctx {
	struct compiler *c;
	size_t file;
	const struct schema_kind *schema;
	const char *kind, *name; /* NULL when not known */
	struct mark seen[SCHEMA_ROWS_MAX]; /* where each option is; line 0: it is not */
	size_t n_errors;
};

/** ctx_say() - report @text about this document. */
void ctx_say(struct ctx *x, struct mark mark, bool warning, struct buf *text);

#define ctx_error(x, mark, ...)                                       \
	do {                                                          \
		AUTO(buf) struct buf text_ = BUF_INIT(MESSAGE_MAX);   \
		buf_printf(&text_, __VA_ARGS__);                      \
		ctx_say(x, mark, false, &text_);                      \
	} while (0)

/** text_of() - the text that was built; no_memory when it could not be. */
const char *text_of(struct compiler *c, struct buf *text);

/** put_quoted() - bytes of the document in an error text. */
void put_quoted(struct buf *b, struct slice s);

/** list_grow() - room for one more of @size bytes in *@v; false and no_memory when there is none. */
bool list_grow(struct compiler *c, void *v, size_t n, size_t *cap, size_t size);

/** keep() - a copy; NULL and no_memory when there is none. */
char *keep(struct compiler *c, struct slice s);

/** cdoc_done() - release its strings. */
void cdoc_done(struct cdoc *d);

/** value_json() - the value of option @row in normal form; NULL when it was wrong, and reported. */
json_t *value_json(struct ctx *x, const struct option_row *row, const struct ynode *n);

/** selectors_json() - the same for spec.selectors. */
json_t *selectors_json(struct ctx *x, const struct ynode *n);

/** seen_at() - where option @path is in the document; line 0: it is not. */
struct mark seen_at(const struct ctx *x, const char *path);

/** ctx_warn() - report a warning about this document. */
void ctx_warn(struct ctx *x, struct mark mark, const char *why);

/** judge_id() - one of workloadID and spiffeID is there. */
void judge_id(struct ctx *x, const struct ynode *root);

/* compile_cloud.c */

/** judge_source() - what a row cannot say of a CredentialSource; only its own cloud stays in @spec. */
void judge_source(struct ctx *x, const struct ynode *root, json_t *spec);

/** judge_helpers() - warns of helpers that may not be what is meant. */
void judge_helpers(struct ctx *x, const json_t *spec);

/* compile_bind.c */

/** cdoc_read() - what documents together are judged by, of the normal form @spec. */
void cdoc_read(struct compiler *c, const json_t *spec, struct cdoc *d);

/** judge_credentials() - WorkloadCredentials against sources and identities of all files, and against the agent's issuer. */
void judge_credentials(struct compiler *c);

/** cdoc_refuse() - a document is not sent, for a reason that lies in another one. */
void cdoc_refuse(struct compiler *c, struct cdoc *d, struct buf *text);

/** made() - @j, or NULL and no_memory. */
json_t *made(struct ctx *x, json_t *j);

#endif
