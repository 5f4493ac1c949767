// SPDX-License-Identifier: Apache-2.0
/* compile_list.c - the compiler's lists of files, documents and errors. svid compile. Next: compile_doc.c. */
#include "agent/base/buf.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_ctx.h"

#define TEXT_MAX 1024

/* Room for one more; false and no_memory when there is none. */
bool list_grow(struct compiler *c, void *v, size_t n, size_t *cap, size_t size)
{
	void **list = v, *bigger;

	if (n < *cap)
		return true;
	bigger = mem_realloc_array(*list, *cap ? *cap * 2 : 16, size);
	if (!bigger) {
		c->no_memory = true;
		return false;
	}
	*list = bigger;
	*cap = *cap ? *cap * 2 : 16;
	return true;
}

char *keep(struct compiler *c, struct slice s)
{
	char *copy = slice_dup(s);

	if (!copy)
		c->no_memory = true;
	return copy;
}

void compiler_done(struct compiler *c)
{
	for (size_t i = 0; i < c->n_files; i++)
		mem_free(c->files[i].name);
	for (size_t i = 0; i < c->n_docs; i++)
		cdoc_done(&c->docs[i]);
	for (size_t i = 0; i < c->n_errors; i++) {
		mem_free(c->errors[i].kind);
		mem_free(c->errors[i].name);
		mem_free(c->errors[i].text);
	}
	mem_free(c->files);
	mem_free(c->docs);
	mem_free(c->errors);
	mem_free(c->trust_domain);
	mem_free(c->issuer);
	*c = (struct compiler){ 0 };
}

void cdoc_done(struct cdoc *d)
{
	mem_free(d->kind);
	mem_free(d->name);
	mem_free(d->id);
	mem_free(d->hint);
	mem_free(d->source);
	mem_free(d->client);
	mem_free(d->json);
}

size_t compiler_file(struct compiler *c, const char *name)
{
	if (!list_grow(c, &c->files, c->n_files, &c->cap_files, sizeof(*c->files)))
		return 0;
	c->files[c->n_files] = (struct cfile){ .name = keep(c, slice_str(name)) };
	return c->n_files++;
}

void compiler_error(struct compiler *c, size_t file, struct mark mark, const char *kind, const char *name, bool warning,
		    const char *text)
{
	struct slice t = slice_str(text);
	struct cerror e = { .file = file, .mark = mark, .warning = warning };

	if (c->n_errors > LIM_POLICY_ERRORS)
		return;
	if (c->n_errors == LIM_POLICY_ERRORS) {
		t = slice_str("too many errors: the rest is not shown");
		e.warning = false;
	}
	if (!list_grow(c, &c->errors, c->n_errors, &c->cap_errors, sizeof(*c->errors)))
		return;
	e.kind = keep(c, slice_str(kind));
	e.name = keep(c, slice_str(name));
	e.text = keep(c, slice_of(t.p, t.len < TEXT_MAX ? t.len : TEXT_MAX));
	c->errors[c->n_errors++] = e;
	c->n_warnings += e.warning;
}

void compiler_refuse(struct compiler *c, size_t file, const char *text)
{
	c->files[file].parsed = false;
	compiler_error(c, file, (struct mark){ 0 }, NULL, NULL, false, text);
}

const char *text_of(struct compiler *c, struct buf *text)
{
	const char *s = buf_cstr(text);

	if (buf_ok(text))
		c->no_memory = true;
	return s;
}

void ctx_say(struct ctx *x, struct mark mark, bool warning, struct buf *text)
{
	if (!warning)
		x->n_errors++;
	compiler_error(x->c, x->file, mark, x->kind, x->name, warning, text_of(x->c, text));
}

/* What the document says, quoted for an error text: short, and harmless on a terminal. */
void put_quoted(struct buf *b, struct slice s)
{
	bool cut = s.len > QUOTE_MAX;

	buf_put_str(b, "'");
	buf_put_esc(b, cut ? slice_of(s.p, QUOTE_MAX) : s);
	buf_put_str(b, cut ? "...'" : "'");
}
