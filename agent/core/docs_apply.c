// SPDX-License-Identifier: Apache-2.0
/*
 * docs_apply.c - which version of each document is in force, and the policy that follows. svid-core.
 *
 * Order: choose versions, read the Agent document, build identities, refuse the second of two for one
 * SPIFFE ID or hint, number them. Everything is made beside what is in force; docs.c swaps.
 */
#include "agent/core/docs_apply.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/core/policy_build.h"

struct built {
	struct identity *id; /* NULL once dropped or taken */
	struct doc_entry *entry;
};

struct stage {
	struct docs_run *run;
	const struct docs_force *old;
	const char *bound_td;
	struct docs_force new;
	struct built *built;
	size_t n_built;
	struct identity **by_id; /* of the old policy, sorted by SPIFFE ID */
	size_t n_by_id;
};

static void stage_autoclean(struct stage *s)
{
	for (size_t i = 0; i < s->n_built; i++)
		identity_free(s->built[i].id);
	mem_free(s->built);
	mem_free(s->by_id);
	docs_force_done(&s->new);
}

void docs_force_done(struct docs_force *f)
{
	rows_done(&f->rows);
	settings_free(f->settings);
	policy_free(f->policy);
	*f = (struct docs_force){ 0 };
}

static int add_error(struct stage *s, const struct doc_row *row, const char *text)
{
	return errors_add(&s->run->errors, &(struct doc_error){ .file = row->file,
								 .line = row->line,
								 .kind = row->kind,
								 .name = row->name,
								 .text = (char *)text });
}

/* Whether an old version stays although no new one came: DESIGN 4. */
static bool stays(const struct stage *s, const struct doc_row *row)
{
	const struct doc_file *file;

	if (!s->run->complete)
		return true;
	file = files_find(&s->run->files, slice_str(row->file));
	return (file && !file->parsed) || errors_name(&s->run->errors, row);
}

static int choose(struct stage *s)
{
	int err = 0;

	if (!rows_sort(&s->run->docs))
		return -ERR_FORMAT;
	for (size_t i = 0; i < s->run->docs.n && s->run->complete && !err; i++)
		err = rows_share(&s->new.rows, s->run->docs.v[i].row, false);
	for (size_t i = 0; i < s->old->rows.n && !err; i++) {
		struct doc_row *row = s->old->rows.v[i].row;

		if (s->run->complete && rows_find(&s->run->docs, row->kind, row->name))
			continue;
		if (stays(s, row))
			err = rows_share(&s->new.rows, row, true);
	}
	(void)rows_sort(&s->new.rows);
	return err == -ERR_LIMIT ? -ERR_FORMAT : err;
}

/* Put the last good version in the place of one that cannot be used; false when there is none. */
static bool fall_back(struct stage *s, struct doc_entry *e)
{
	struct doc_entry *good = e->stale ? NULL : rows_find(&s->old->rows, e->row->kind, e->row->name);
	struct doc_row *row = good ? good->row : NULL;

	if (row)
		row->refs++;
	rows_drop(e);
	*e = (struct doc_entry){ row, true };
	return row;
}

static int build_settings(struct stage *s, struct doc_entry *e)
{
	struct build_why why = { .text = "" };
	int err = settings_new(e->row->json, s->bound_td, &why, &s->new.settings);

	if (!err)
		s->new.settings->stale = e->stale;
	if (err == -ERR_POLICY)
		err = add_error(s, e->row, why.text) ? -ENOMEM : -ERR_POLICY;
	return err;
}

static int build_identity(struct stage *s, struct doc_entry *e)
{
	const struct settings *set = s->new.settings;
	const struct policy_env env = { set->trust_domain, set->agent_groups, set->n_agent_groups, set->x509_ttl,
					set->jwt_ttl };
	struct build_why why = { .text = "" };
	struct identity *id = NULL;
	int err = identity_new(slice_str(e->row->name), slice_str(e->row->json), &env, &why, &id);

	if (err == -ERR_POLICY)
		return add_error(s, e->row, why.text) ? -ENOMEM : -ERR_POLICY;
	if (err)
		return err;
	id->stale = e->stale;
	if (identity_in_scope(id, &env))
		s->built[s->n_built++] = (struct built){ id, e };
	else
		identity_free(id);
	return 0;
}

/* A kind that nobody reads here: the compiler must not send it; a newer version may have remembered it. */
static int build_unknown(struct stage *s, struct doc_entry *e)
{
	(void)s;
	(void)e;
	return -ERR_FORMAT;
}

/* One entry with its fallback. A remembered version that cannot be read any more is dropped, and said so. */
static int build(struct stage *s, struct doc_entry *e, int (*one)(struct stage *, struct doc_entry *))
{
	int err = one(s, e);

	if (err == -ERR_POLICY && fall_back(s, e))
		err = one(s, e);
	if (err == -ERR_FORMAT && e->stale)
		err = add_error(s, e->row, "the remembered version cannot be read any more") ? -ENOMEM : -ERR_POLICY;
	if (err != -ERR_POLICY)
		return err;
	if (e->row)
		rows_drop(e);
	return 0;
}

static int build_agent(struct stage *s)
{
	struct doc_entry *agent = rows_find(&s->new.rows, KIND_AGENT, "agent");
	int err = agent ? build(s, agent, build_settings) : 0;

	if (!err && !s->new.settings) {
		s->new.settings = settings_default();
		err = s->new.settings ? 0 : -ENOMEM;
	}
	rows_compact(&s->new.rows);
	return err;
}

/* Without a trust domain there are no identities; the documents are remembered all the same. */
static int build_identities(struct stage *s)
{
	int err = 0;

	s->built = mem_calloc(s->new.rows.n, sizeof(*s->built));
	if (!s->built)
		return -ENOMEM;
	if (!*s->new.settings->trust_domain)
		return 0;
	for (size_t i = 0; i < s->new.rows.n && !err; i++) {
		struct doc_entry *e = &s->new.rows.v[i];

		if (strcmp(e->row->kind, KIND_AGENT) != 0)
			err = build(s, e, strcmp(e->row->kind, KIND_IDENTITY) ? build_unknown : build_identity);
	}
	return err;
}

static int rank(const struct built *x, const struct built *y, int order)
{
	if (order)
		return order;
	if (x->id->stale != y->id->stale)
		return x->id->stale ? 1 : -1;
	return strcmp(x->id->name, y->id->name);
}

static int by_spiffe_id(const void *a, const void *b)
{
	const struct built *x = a, *y = b;

	return rank(x, y, strcmp(x->id->spiffe_id, y->id->spiffe_id));
}

static int by_hint(const void *a, const void *b)
{
	const struct built *x = a, *y = b;

	return rank(x, y, strcmp(x->id->hint, y->id->hint));
}

static int drop_second(struct stage *s, const struct built *first, struct built *second, const char *what,
		       const char *value)
{
	AUTO(buf) struct buf text = BUF_INIT(8192);

	buf_printf(&text, "%s %s is already taken by document %s (%s:%u)", what, value, first->entry->row->name,
		   first->entry->row->file, first->entry->row->line);
	if (add_error(s, second->entry->row, buf_cstr(&text)))
		return -ENOMEM;
	identity_free(take(&second->id));
	rows_drop(second->entry);
	return 0;
}

static void compact_built(struct stage *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_built; i++)
		if (s->built[i].id)
			s->built[n++] = s->built[i];
	s->n_built = n;
}

/* The compiler refuses doubles among what it sends; a remembered version can still meet a new one. */
static int drop_doubles(struct stage *s, const char *what, bool hint)
{
	size_t kept = 0;
	int err = 0;

	if (s->n_built)
		qsort(s->built, s->n_built, sizeof(*s->built), hint ? by_hint : by_spiffe_id);
	for (size_t i = 1; i < s->n_built && !err; i++) {
		const struct built *first = &s->built[kept];
		const char *a = hint ? first->id->hint : first->id->spiffe_id;
		const char *b = hint ? s->built[i].id->hint : s->built[i].id->spiffe_id;

		if (*b && strcmp(a, b) == 0)
			err = drop_second(s, first, &s->built[i], what, b);
		else
			kept = i;
	}
	compact_built(s);
	return err;
}

static int cmp_identity(const void *a, const void *b)
{
	return strcmp((*(struct identity *const *)a)->spiffe_id, (*(struct identity *const *)b)->spiffe_id);
}

static int index_old(struct stage *s)
{
	size_t stale;

	if (!s->old->policy)
		return 0;
	s->n_by_id = policy_count(s->old->policy, &stale);
	s->by_id = mem_calloc(s->n_by_id, sizeof(struct identity *));
	if (!s->by_id)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_by_id; i++)
		s->by_id[i] = (struct identity *)policy_at(s->old->policy, i);
	if (s->n_by_id)
		qsort(s->by_id, s->n_by_id, sizeof(struct identity *), cmp_identity);
	return 0;
}

/* The number of the same document with the same SPIFFE ID in force before; 0 when there is none. */
static uint32_t old_number(const struct stage *s, struct identity *id)
{
	struct identity **same = NULL;

	if (s->n_by_id)
		same = bsearch(&id, s->by_id, s->n_by_id, sizeof(struct identity *), cmp_identity);
	return same && strcmp((*same)->name, id->name) == 0 ? (*same)->number : 0;
}

static int make_policy(struct stage *s, uint32_t *next_number)
{
	AUTO_FREE struct identity **ids = mem_calloc(s->n_built, sizeof(struct identity *));
	uint32_t next = *next_number;
	int err;

	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < s->n_built; i++) {
		uint32_t number = old_number(s, s->built[i].id);

		ids[i] = s->built[i].id;
		ids[i]->number = number ? number : next++;
	}
	err = policy_new(ids, s->n_built, &s->new.policy);
	if (err)
		return err;
	s->n_built = 0;
	*next_number = next;
	return 0;
}

int docs_apply(struct docs_run *run, const struct docs_force *old, const char *bound_td, uint32_t *next_number,
	       struct docs_force *ret_new)
{
	AUTO(stage) struct stage s = { .run = run, .old = old, .bound_td = bound_td };
	int err = choose(&s);

	if (!err)
		err = build_agent(&s);
	if (!err)
		err = build_identities(&s);
	if (!err)
		err = drop_doubles(&s, "SPIFFE ID", false);
	if (!err)
		err = drop_doubles(&s, "hint", true);
	if (!err)
		err = index_old(&s);
	if (!err)
		err = make_policy(&s, next_number);
	if (err)
		return err;
	rows_compact(&s.new.rows);
	*ret_new = s.new;
	s.new = (struct docs_force){ 0 };
	return 0;
}
