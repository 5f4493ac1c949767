// SPDX-License-Identifier: Apache-2.0
/*
 * compile_finish.c - checks that need all documents: trust domain, one document for each name, SPIFFE ID
 * and hint. svid compile.
 */
#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/cli/compile_ctx.h"

void cdoc_refuse(struct compiler *c, struct cdoc *d, struct buf *text)
{
	d->refused = true;
	compiler_error(c, d->file, (struct mark){ d->line, 1 }, d->kind, d->name, false, text_of(c, text));
}

/* "/path" becomes the whole SPIFFE ID; a whole one must be of this trust domain. */
static void join(struct compiler *c, struct cdoc *d)
{
	AUTO(buf) struct buf id = BUF_INIT(2 * LIM_SPIFFE_ID);
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	struct spiffe_id parsed;

	if (!*d->id || !c->trust_domain)
		return;
	if (*d->id == '/')
		buf_printf(&id, "spiffe://%s", c->trust_domain);
	buf_put_str(&id, d->id);
	if (spiffe_id_parse(slice_str(text_of(c, &id)), &parsed))
		buf_printf(&text, "the SPIFFE ID is %s", spiffe_id_why(buf_slice(&id)));
	else if (!slice_eq_str(parsed.trust_domain, c->trust_domain))
		buf_printf(&text, "spec.spiffeID is not of this agent's trust domain %s", c->trust_domain);
	else if (!parsed.path.len)
		buf_put_str(&text, "spec.spiffeID: a workload's SPIFFE ID has a path");
	if (text.len || buf_ok(&text))
		cdoc_refuse(c, d, &text);
	mem_free(d->id);
	d->id = keep(c, buf_slice(&id));
}

typedef const char *(*doc_key)(const struct cdoc *d);

static const char *key_name(const struct cdoc *d)
{
	return d->name;
}

/* An identity has one document, and as many credentials as it likes. */
static const char *key_id(const struct cdoc *d)
{
	return strcmp(d->kind, "WorkloadIdentity") == 0 ? d->id : "";
}

static const char *key_hint(const struct cdoc *d)
{
	return d->hint;
}

/* Sorted by what must be unique; among equals the first in the order of files and lines comes first. */
static int compare(const void *a, const void *b, void *key)
{
	const struct cdoc *x = *(struct cdoc *const *)a, *y = *(struct cdoc *const *)b;
	doc_key get = *(doc_key *)key;
	int order = strcmp(get(x), get(y));

	if (!order && get == key_name)
		order = strcmp(x->kind, y->kind);
	if (order)
		return order;
	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

static void refuse_second(struct compiler *c, const struct cdoc *first, struct cdoc *second, const char *what,
			  const char *value)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);

	buf_printf(&text, "%s ", what);
	put_quoted(&text, slice_str(value));
	buf_printf(&text, " of %s is already taken by %s in %s:%u", second->name, first->name, c->files[first->file].name,
		   first->line);
	cdoc_refuse(c, second, &text);
}

static void refuse_doubles(struct compiler *c, const char *what, doc_key get)
{
	AUTO_FREE struct cdoc **sorted = mem_calloc(c->n_docs, sizeof(struct cdoc *));
	size_t n = 0, first = 0;

	if (!sorted) {
		c->no_memory = true;
		return;
	}
	for (size_t i = 0; i < c->n_docs; i++)
		if (!c->docs[i].refused && *get(&c->docs[i]))
			sorted[n++] = &c->docs[i];
	if (n)
		qsort_r(sorted, n, sizeof(struct cdoc *), compare, &get);
	for (size_t i = 1; i < n; i++) {
		bool same = strcmp(get(sorted[first]), get(sorted[i])) == 0;

		if (get == key_name && strcmp(sorted[first]->kind, sorted[i]->kind) != 0)
			same = false;
		if (same)
			refuse_second(c, sorted[first], sorted[i], what, get(sorted[i]));
		else
			first = i;
	}
}

/* In the order of the files: a reader fixes from the top. */
static int by_place(const void *a, const void *b)
{
	const struct cerror *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->mark.line != y->mark.line)
		return x->mark.line < y->mark.line ? -1 : 1;
	return x->mark.column < y->mark.column ? -1 : x->mark.column > y->mark.column;
}

void compiler_finish(struct compiler *c)
{
	for (size_t i = 0; i < c->n_docs && !c->no_memory; i++)
		join(c, &c->docs[i]);
	if (!c->no_memory)
		refuse_doubles(c, "name", key_name);
	if (!c->no_memory)
		refuse_doubles(c, "SPIFFE ID", key_id);
	if (!c->no_memory)
		refuse_doubles(c, "hint", key_hint);
	if (!c->no_memory)
		judge_credentials(c);
	if (c->n_errors)
		qsort(c->errors, c->n_errors, sizeof(*c->errors), by_place);
}
