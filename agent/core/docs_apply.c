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

/* Units of work, see sorter.h. */
#define COST_BUILD 200 /* one document from JSON to rules */
#define COST_FIND 16   /* one look into a sorted list */
#define COST_ROW 4

struct built {
	struct identity *id; /* NULL once dropped or taken */
	struct doc_entry *entry;
};

struct stage {
	struct docs_run run;
	const struct docs_force *old;
	const char *bound_td;
	uint32_t *next_number;
	struct docs_force new;
	struct built *built;
	size_t n_built;
	struct identity **ids; /* the same, for policy_new() */
	struct identity **by_id; /* of the old policy, sorted by SPIFFE ID */
	size_t n_by_id;
	struct doc_error **refused; /* errors of the run that name a document, sorted; until versions are chosen */
	size_t n_refused;
	struct sorter sorter;
	size_t phase;
	size_t at;   /* in the phase */
	size_t kept; /* of drop_doubles() */
};

void docs_run_done(struct docs_run *run)
{
	rows_done(&run->docs);
	files_done(&run->files);
	errors_done(&run->errors);
	run->complete = false;
}

void stage_free(struct stage *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_built; i++)
		identity_free(s->built[i].id);
	sorter_done(&s->sorter);
	mem_free(s->refused);
	mem_free(s->built);
	mem_free(s->ids);
	mem_free(s->by_id);
	docs_force_done(&s->new);
	docs_run_done(&s->run);
	mem_free(s);
}

void docs_force_done(struct docs_force *f)
{
	rows_done(&f->rows);
	settings_free(f->settings);
	policy_free(f->policy);
	cloud_docs_done(&f->clouds);
	*f = (struct docs_force){ 0 };
}

static int add_error(struct stage *s, const struct doc_row *row, const char *text)
{
	return errors_add(&s->run.errors, &(struct doc_error){ .file = row->file,
								.line = row->line,
								.kind = row->kind,
								.name = row->name,
								.text = (char *)text });
}

/* A phase returns 1 when it is over, 0 when the budget is. */
static int sorting(struct stage *s, struct budget *b, void *v, size_t n, size_t size,
		   int (*compare)(const void *a, const void *b))
{
	if (!s->sorter.spare) {
		int err = sorter_init(&s->sorter, v, n, size, compare);

		if (err)
			return err;
	}
	if (!sorter_step(&s->sorter, b))
		return 0;
	sorter_done(&s->sorter);
	return 1;
}

static int by_file(const void *a, const void *b)
{
	return strcmp(((const struct doc_file *)a)->file, ((const struct doc_file *)b)->file);
}

static int sort_files(struct stage *s, struct budget *b)
{
	return sorting(s, b, s->run.files.v, s->run.files.n, sizeof(*s->run.files.v), by_file);
}

static int by_document(const void *a, const void *b)
{
	const struct doc_error *x = *(struct doc_error *const *)a, *y = *(struct doc_error *const *)b;
	int kind = strcmp(x->kind, y->kind);

	return kind ? kind : strcmp(x->name, y->name);
}

static int list_refused(struct stage *s, struct budget *b)
{
	const struct doc_errors *errors = &s->run.errors;

	if (!s->refused) {
		s->refused = mem_calloc(errors->n, sizeof(struct doc_error *));
		if (!s->refused)
			return -ENOMEM;
		for (size_t i = 0; i < errors->n; i++)
			if (!errors->v[i].warning)
				s->refused[s->n_refused++] = &errors->v[i];
		budget_spend(b, errors->n);
	}
	return sorting(s, b, s->refused, s->n_refused, sizeof(*s->refused), by_document);
}

static int sort_docs(struct stage *s, struct budget *b)
{
	return sorting(s, b, s->run.docs.v, s->run.docs.n, sizeof(*s->run.docs.v), rows_by_name);
}

static bool is_refused(const struct stage *s, struct doc_row *row)
{
	struct doc_error e = { .kind = row->kind, .name = row->name }, *key = &e;

	return s->n_refused && bsearch(&key, s->refused, s->n_refused, sizeof(key), by_document);
}

/* Whether an old version stays although no new one came: DESIGN 4. */
static bool stays(const struct stage *s, struct doc_row *row)
{
	struct doc_file key = { .file = row->file };
	const struct doc_file *file = NULL;

	if (!s->run.complete)
		return true;
	if (s->run.files.n)
		file = bsearch(&key, s->run.files.v, s->run.files.n, sizeof(key), by_file);
	return (file && !file->parsed) || is_refused(s, row);
}

static int broken(int err)
{
	return err == -ERR_LIMIT ? -ERR_FORMAT : err;
}

static int take_new(struct stage *s, struct budget *b)
{
	const struct doc_rows *docs = &s->run.docs;

	for (; s->run.complete && s->at < docs->n; s->at++) {
		int err = 0;

		if (!b->left)
			return 0;
		budget_spend(b, COST_ROW);
		if (s->at && rows_by_name(&docs->v[s->at - 1], &docs->v[s->at]) == 0)
			return -ERR_FORMAT; /* one document twice */
		err = rows_share(&s->new.rows, docs->v[s->at].row, false);
		if (err)
			return broken(err);
	}
	return 1;
}

static int take_old(struct stage *s, struct budget *b)
{
	for (; s->at < s->old->rows.n; s->at++) {
		struct doc_row *row = s->old->rows.v[s->at].row;
		int err;

		if (!b->left)
			return 0;
		budget_spend(b, COST_FIND);
		if (s->run.complete && rows_find(&s->run.docs, row->kind, row->name))
			continue;
		err = stays(s, row) ? rows_share(&s->new.rows, row, true) : 0;
		if (err)
			return broken(err);
	}
	return 1;
}

static int sort_rows(struct stage *s, struct budget *b)
{
	mem_free(take(&s->refused)); /* errors are added from here on: its pointers would not hold */
	return sorting(s, b, s->new.rows.v, s->new.rows.n, sizeof(*s->new.rows.v), rows_by_name);
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

static int build_source(struct stage *s, struct doc_entry *e)
{
	(void)s;
	return cloud_source_check(e->row->json);
}

/* Its source may come later in the list: it is joined in bind_clouds(). */
static int build_credential(struct stage *s, struct doc_entry *e)
{
	AUTO_FREE char *source = NULL;

	(void)s;
	return cloud_doc_source_name(e->row->name, e->row->json, &source);
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

static int (*builder_of(const char *kind))(struct stage *s, struct doc_entry *e)
{
	if (strcmp(kind, KIND_IDENTITY) == 0)
		return build_identity;
	if (strcmp(kind, KIND_SOURCE) == 0)
		return build_source;
	return strcmp(kind, KIND_CREDENTIAL) == 0 ? build_credential : build_unknown;
}

static int build_agent(struct stage *s, struct budget *b)
{
	struct doc_entry *agent = rows_find(&s->new.rows, KIND_AGENT, "agent");
	int err = agent ? build(s, agent, build_settings) : 0;

	if (!err && !s->new.settings) {
		s->new.settings = settings_default();
		err = s->new.settings ? 0 : -ENOMEM;
	}
	rows_compact(&s->new.rows);
	budget_spend(b, COST_BUILD + s->new.rows.n / 16);
	if (err)
		return err;
	s->built = mem_calloc(s->new.rows.n, sizeof(*s->built));
	return s->built ? 1 : -ENOMEM;
}

/* Without a trust domain there are no identities; the documents are remembered all the same. */
static int build_identities(struct stage *s, struct budget *b)
{
	for (; *s->new.settings->trust_domain && s->at < s->new.rows.n; s->at++) {
		struct doc_entry *e = &s->new.rows.v[s->at];
		int err;

		if (!b->left)
			return 0;
		if (strcmp(e->row->kind, KIND_AGENT) == 0)
			continue;
		budget_spend(b, COST_BUILD);
		err = build(s, e, builder_of(e->row->kind));
		if (err)
			return err;
	}
	return 1;
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
static int drop_doubles(struct stage *s, struct budget *b, const char *what, bool hint)
{
	for (s->at = s->at ? s->at : 1; s->at < s->n_built; s->at++) {
		const struct built *first = &s->built[s->kept];
		const char *x = hint ? first->id->hint : first->id->spiffe_id;
		const char *y = hint ? s->built[s->at].id->hint : s->built[s->at].id->spiffe_id;
		int err = 0;

		if (!b->left)
			return 0;
		budget_spend(b, 1);
		if (*y && strcmp(x, y) == 0)
			err = drop_second(s, first, &s->built[s->at], what, y);
		else
			s->kept = s->at;
		if (err)
			return err;
	}
	compact_built(s);
	s->kept = 0;
	return 1;
}

static int sort_ids(struct stage *s, struct budget *b)
{
	return sorting(s, b, s->built, s->n_built, sizeof(*s->built), by_spiffe_id);
}

static int drop_ids(struct stage *s, struct budget *b)
{
	return drop_doubles(s, b, "SPIFFE ID", false);
}

static int sort_hints(struct stage *s, struct budget *b)
{
	return sorting(s, b, s->built, s->n_built, sizeof(*s->built), by_hint);
}

static int drop_hints(struct stage *s, struct budget *b)
{
	return drop_doubles(s, b, "hint", true);
}

static int cmp_identity(const void *a, const void *b)
{
	return strcmp((*(struct identity *const *)a)->spiffe_id, (*(struct identity *const *)b)->spiffe_id);
}

static int index_old(struct stage *s, struct budget *b)
{
	size_t stale;

	if (!s->old->policy)
		return 1;
	if (!s->by_id) {
		s->n_by_id = policy_count(s->old->policy, &stale);
		s->by_id = mem_calloc(s->n_by_id, sizeof(struct identity *));
		if (!s->by_id)
			return -ENOMEM;
		for (size_t i = 0; i < s->n_by_id; i++)
			s->by_id[i] = (struct identity *)policy_at(s->old->policy, i);
		budget_spend(b, s->n_by_id / 16);
	}
	return sorting(s, b, s->by_id, s->n_by_id, sizeof(*s->by_id), cmp_identity);
}

/* The number of the same document with the same SPIFFE ID in force before; 0 when there is none. */
static uint32_t old_number(const struct stage *s, struct identity *id)
{
	struct identity **same = NULL;

	if (s->n_by_id)
		same = bsearch(&id, s->by_id, s->n_by_id, sizeof(struct identity *), cmp_identity);
	return same && strcmp((*same)->name, id->name) == 0 ? (*same)->number : 0;
}

static int number(struct stage *s, struct budget *b)
{
	if (!s->ids)
		s->ids = mem_calloc(s->n_built, sizeof(struct identity *));
	if (!s->ids)
		return -ENOMEM;
	for (; s->at < s->n_built; s->at++) {
		struct identity *id = s->built[s->at].id;
		uint32_t before;

		if (!b->left)
			return 0;
		budget_spend(b, COST_FIND);
		before = old_number(s, id);
		id->number = before ? before : (*s->next_number)++;
		s->ids[s->at] = id;
	}
	return 1;
}

static int sort_policy(struct stage *s, struct budget *b)
{
	return sorting(s, b, s->ids, s->n_built, sizeof(*s->ids), policy_order);
}

static int make_policy(struct stage *s, struct budget *b)
{
	int err = policy_new(s->ids, s->n_built, &s->new.policy);

	budget_spend(b, s->n_built / 4);
	if (err)
		return err;
	s->n_built = 0;
	rows_compact(&s->new.rows);
	s->new.clouds.v = mem_calloc(s->new.rows.n, sizeof(*s->new.clouds.v));
	return s->new.clouds.v ? 1 : -ENOMEM;
}

/* Without its source there is no credential; the compiler has warned of that. */
static int bind_cloud(struct stage *s, const struct doc_entry *e)
{
	struct cloud_docs *clouds = &s->new.clouds;
	struct build_why why = { .text = "" };
	AUTO_FREE char *name = NULL;
	const struct cloud_doc *before;
	struct cloud_doc *d = NULL;
	struct doc_entry *source;
	int err = cloud_doc_source_name(e->row->name, e->row->json, &name);

	source = err ? NULL : rows_find(&s->new.rows, KIND_SOURCE, name);
	if (!source)
		return err;
	if (clouds->n == LIM_BINDINGS)
		return add_error(s, e->row, "there are more WorkloadCredentials than can be in force");
	err = cloud_doc_new(e->row->name, e->row->json, name, source->row->json, s->new.settings->trust_domain, &why, &d);
	if (err == -ERR_POLICY)
		return add_error(s, e->row, why.text);
	if (err == -ERR_FORMAT && (e->stale || source->stale))
		return add_error(s, e->row, "the remembered version, or that of its source, cannot be read any more");
	if (err)
		return err;
	before = cloud_docs_find(&s->old->clouds, d);
	d->binding = before ? before->binding : (*s->next_number)++;
	d->stale = e->stale || source->stale;
	clouds->v[clouds->n++] = d;
	return 0;
}

static int bind_clouds(struct stage *s, struct budget *b)
{
	for (; *s->new.settings->trust_domain && s->at < s->new.rows.n; s->at++) {
		const struct doc_entry *e = &s->new.rows.v[s->at];
		int err;

		if (!b->left)
			return 0;
		budget_spend(b, COST_FIND);
		if (strcmp(e->row->kind, KIND_CREDENTIAL) != 0)
			continue;
		budget_spend(b, 2 * COST_BUILD);
		err = bind_cloud(s, e);
		if (err)
			return broken(err);
	}
	return 1;
}

static int join_clouds(struct stage *s, struct budget *b)
{
	return cloud_docs_join(&s->new.clouds, s->new.policy, b);
}

static int (*const phases[])(struct stage *s, struct budget *b) = {
	sort_files, list_refused, sort_docs, take_new,	 take_old,  sort_rows, build_agent, build_identities,
	sort_ids,   drop_ids,	  sort_hints, drop_hints, index_old, number,    sort_policy, make_policy,
	bind_clouds, join_clouds,
};

int stage_step(struct stage *s, struct budget *b)
{
	while (s->phase < ARRAY_SIZE(phases)) {
		int over = phases[s->phase](s, b);

		if (over <= 0)
			return over;
		s->phase++;
		s->at = 0;
		if (!b->left)
			return 0;
	}
	return 1;
}

int stage_new(struct docs_run *run, const struct docs_force *old, const char *bound_td, uint32_t *next_number,
	      struct stage **ret_stage)
{
	struct stage *s = mem_new(struct stage);

	if (!s)
		return -ENOMEM;
	*s = (struct stage){ .run = *run, .old = old, .bound_td = bound_td, .next_number = next_number };
	*run = (struct docs_run){ 0 };
	*ret_stage = s;
	return 0;
}

void stage_take(struct stage *s, struct docs_force *ret_new, struct docs_run *ret_run)
{
	*ret_new = s->new;
	*ret_run = s->run;
	s->new = (struct docs_force){ 0 };
	s->run = (struct docs_run){ 0 };
}
