/* SPDX-License-Identifier: Apache-2.0 */
/* clauses.c - the clause table: tab-separated, one row per clause, seven fields. svid-conformance. */
#include "conformance/clauses.h"

#include <errno.h>
#include <stdio.h>

#include "agent/base/mem.h"

static int read_all(const char *path, char **ret_text)
{
	FILE *f = fopen(path, "re");

	if (!f)
		return -errno;
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	char line[4096];

	while (fgets(line, sizeof(line), f))
		buf_put_str(&b, line);
	fclose(f);
	int err = buf_ok(&b);

	if (err)
		return err;
	*ret_text = mem_strndup((const char *)b.data, b.len);
	return *ret_text ? 0 : -ENOMEM;
}

static int split_row(char *line, struct clause *ret)
{
	char **fields[] = { &ret->id, &ret->document, &ret->section, &ret->binds, &ret->level, &ret->requirement,
			    &ret->status };

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		*fields[i] = strsep(&line, "\t");
		if (!*fields[i] || !**fields[i])
			return -EINVAL;
	}
	return line ? -EINVAL : 0;
}

int clauses_load(const char *path, struct clauses *ret)
{
	int err = read_all(path, &ret->text);
	char *next = ret->text;
	unsigned int number = 0;

	while (!err && next && *next && ret->n < CLAUSES_MAX) {
		char *line = strsep(&next, "\n");

		number++;
		if (*line == '#')
			continue;
		err = split_row(line, &ret->at[ret->n]);
		if (err)
			fprintf(stderr, "%s:%u: not seven fields\n", path, number);
		else if (strcmp(ret->at[ret->n++].status, "test") == 0)
			ret->tested++;
		else
			ret->reasoned++;
	}
	return err;
}

void clauses_done(struct clauses *c)
{
	mem_free(c->text);
	c->text = NULL;
}

static const struct clause *clause_find(const struct clauses *c, const char *id)
{
	for (size_t i = 0; i < c->n; i++) {
		if (strcmp(c->at[i].id, id) == 0)
			return &c->at[i];
	}
	return NULL;
}

static bool has_test(const char *id, const struct test *const *tables, size_t n_tables)
{
	for (size_t i = 0; i < n_tables; i++) {
		for (const struct test *t = tables[i]; t->clause; t++) {
			if (strcmp(t->clause, id) == 0)
				return true;
		}
	}
	return false;
}

size_t clauses_agree(const struct clauses *c, const struct test *const *tables, size_t n_tables)
{
	size_t wrong = 0;

	for (size_t i = 0; i < c->n; i++) {
		bool says = strcmp(c->at[i].status, "test") == 0;

		if (says == has_test(c->at[i].id, tables, n_tables) && clause_find(c, c->at[i].id) == &c->at[i])
			continue;
		fprintf(stderr, "clause %s: the table and the tests disagree\n", c->at[i].id);
		wrong++;
	}
	for (size_t i = 0; i < n_tables; i++) {
		for (const struct test *t = tables[i]; t->clause; t++) {
			if (clause_find(c, t->clause))
				continue;
			fprintf(stderr, "test %s: no such clause\n", t->clause);
			wrong++;
		}
	}
	return wrong;
}
