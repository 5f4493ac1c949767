// SPDX-License-Identifier: Apache-2.0
/* docs_rows.c - growing, sorting and releasing the lists of docs_rows.h. svid-core. */
#include "agent/core/docs_rows.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/mem.h"

/* Room for one more of @size bytes in *@v. */
static int grow(void *v, size_t n, size_t *cap, size_t size, size_t max)
{
	void **list = v, *bigger;
	size_t want = *cap ? *cap * 2 : 16;

	if (n >= max)
		return -ERR_LIMIT;
	if (n < *cap)
		return 0;
	bigger = mem_realloc_array(*list, want, size);
	if (!bigger)
		return -ENOMEM;
	*list = bigger;
	*cap = want;
	return 0;
}

void row_unref(struct doc_row *row)
{
	if (!row || --row->refs)
		return;
	mem_free(row->kind);
	mem_free(row->name);
	mem_free(row->file);
	mem_free(row->json);
	mem_free(row);
}

static struct doc_row *row_new(const struct state_doc *doc)
{
	struct doc_row *row = mem_new(struct doc_row);

	if (!row)
		return NULL;
	row->refs = 1;
	row->line = doc->line;
	row->kind = slice_dup(doc->kind);
	row->name = slice_dup(doc->name);
	row->file = slice_dup(doc->file);
	row->json = slice_dup(doc->json);
	if (row->kind && row->name && row->file && row->json)
		return row;
	row_unref(row);
	return NULL;
}

int rows_share(struct doc_rows *rows, struct doc_row *row, bool stale)
{
	int err = grow(&rows->v, rows->n, &rows->cap, sizeof(*rows->v), LIM_DOCS);

	if (err)
		return err;
	row->refs++;
	rows->v[rows->n++] = (struct doc_entry){ row, stale };
	return 0;
}

int rows_add(struct doc_rows *rows, const struct state_doc *doc)
{
	struct doc_row *row = row_new(doc);
	int err = row ? rows_share(rows, row, false) : -ENOMEM;

	row_unref(row);
	return err;
}

int rows_by_name(const void *a, const void *b)
{
	const struct doc_row *x = ((const struct doc_entry *)a)->row, *y = ((const struct doc_entry *)b)->row;
	int kind = strcmp(x->kind, y->kind);

	return kind ? kind : strcmp(x->name, y->name);
}

bool rows_sort(struct doc_rows *rows)
{
	if (rows->n)
		qsort(rows->v, rows->n, sizeof(*rows->v), rows_by_name);
	for (size_t i = 1; i < rows->n; i++)
		if (rows_by_name(&rows->v[i - 1], &rows->v[i]) == 0)
			return false;
	return true;
}

struct doc_entry *rows_find(const struct doc_rows *rows, const char *kind, const char *name)
{
	struct doc_row row = { .kind = (char *)kind, .name = (char *)name };
	struct doc_entry key = { .row = &row };

	return rows->n ? bsearch(&key, rows->v, rows->n, sizeof(key), rows_by_name) : NULL;
}

void rows_drop(struct doc_entry *e)
{
	row_unref(take(&e->row));
}

void rows_compact(struct doc_rows *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < rows->n; i++)
		if (rows->v[i].row)
			rows->v[n++] = rows->v[i];
	rows->n = n;
}

bool rows_done_some(struct doc_rows *rows, size_t n)
{
	while (rows->n && n--)
		row_unref(rows->v[--rows->n].row);
	if (rows->n)
		return false;
	mem_free(rows->v);
	*rows = (struct doc_rows){ 0 };
	return true;
}

void rows_done(struct doc_rows *rows)
{
	(void)rows_done_some(rows, SIZE_MAX);
}

const struct doc_file *files_find(const struct doc_files *files, struct slice file)
{
	for (size_t i = files->n; i > 0; i--)
		if (slice_eq_str(file, files->v[i - 1].file))
			return &files->v[i - 1];
	return NULL;
}

int files_add(struct doc_files *files, struct slice file, bool parsed)
{
	int err = grow(&files->v, files->n, &files->cap, sizeof(*files->v), LIM_POLICY_FILES + 1);
	char *copy;

	if (err)
		return err;
	if (files_find(files, file))
		return -ERR_EXISTS;
	copy = slice_dup(file);
	if (!copy)
		return -ENOMEM;
	files->v[files->n++] = (struct doc_file){ copy, parsed };
	return 0;
}

void files_done(struct doc_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		mem_free(files->v[i].file);
	mem_free(files->v);
	*files = (struct doc_files){ 0 };
}

static void error_done(struct doc_error *e)
{
	mem_free(e->file);
	mem_free(e->kind);
	mem_free(e->name);
	mem_free(e->text);
}

int errors_add(struct doc_errors *errors, const struct doc_error *e)
{
	struct doc_error copy = { .line = e->line, .column = e->column, .warning = e->warning };
	int err = grow(&errors->v, errors->n, &errors->cap, sizeof(*errors->v), 2 * LIM_POLICY_ERRORS);

	if (err)
		return err;
	copy.file = mem_strdup(e->file);
	copy.kind = mem_strdup(e->kind);
	copy.name = mem_strdup(e->name);
	copy.text = mem_strdup(e->text);
	if (!copy.file || !copy.kind || !copy.name || !copy.text) {
		error_done(&copy);
		return -ENOMEM;
	}
	errors->v[errors->n++] = copy;
	return 0;
}

bool errors_done_some(struct doc_errors *errors, size_t n)
{
	while (errors->n && n--)
		error_done(&errors->v[--errors->n]);
	if (errors->n)
		return false;
	mem_free(errors->v);
	*errors = (struct doc_errors){ 0 };
	return true;
}

void errors_done(struct doc_errors *errors)
{
	(void)errors_done_some(errors, SIZE_MAX);
}
