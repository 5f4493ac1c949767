// SPDX-License-Identifier: Apache-2.0
/* docs_save.c - knows what state.db holds of each document, and writes the difference. svid-core, for docs.c. */
#include "agent/core/docs_save.h"

#include <errno.h>

#include "agent/base/mem.h"

#define BUCKETS 4096
#define COST_LOOK 8
#define COST_WRITE 100
#define COST_COMMIT 2000

/* One document in state.db. */
struct stored {
	struct stored *next;
	struct doc_row *row; /* the version, where @sure; its name in any case */
	bool sure;
	bool leaving; /* deleted in the transaction that is open */
};

struct saver {
	struct state *st;
	struct stored *buckets[BUCKETS];
	bool putting; /* deleting is over */
	bool over;
	bool failed;  /* over before everything was written */
	bool open;    /* a transaction */
	size_t at;    /* bucket, or row */
};

static size_t bucket_of(const struct doc_row *row)
{
	uint32_t h = 2166136261u;

	for (const char *p = row->kind; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	for (const char *p = row->name; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619u;
	return h % BUCKETS;
}

static struct stored *find(const struct saver *v, const struct doc_row *row)
{
	struct stored *e = v->buckets[bucket_of(row)];

	while (e && (strcmp(e->row->name, row->name) || strcmp(e->row->kind, row->kind)))
		e = e->next;
	return e;
}

/* What is there of it is not known until the transaction is through. */
static int note(struct saver *v, struct doc_row *row, bool sure)
{
	struct stored *e = find(v, row);

	if (!e) {
		e = mem_new(struct stored);
		if (!e)
			return -ENOMEM;
		e->next = v->buckets[bucket_of(row)];
		v->buckets[bucket_of(row)] = e;
	}
	row->refs++;
	row_unref(e->row);
	e->row = row;
	e->sure = sure;
	return 0;
}

static void stored_free(struct stored *e)
{
	row_unref(e->row);
	mem_free(e);
}

void saver_free(struct saver *v)
{
	if (!v)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		while (v->buckets[i]) {
			struct stored *e = v->buckets[i];

			v->buckets[i] = e->next;
			stored_free(e);
		}
	mem_free(v);
}

int saver_new(struct state *st, const struct doc_rows *rows, struct saver **ret_saver)
{
	struct saver *v = mem_new(struct saver);
	int err = v ? 0 : -ENOMEM;

	for (size_t i = 0; i < rows->n && !err; i++)
		err = note(v, rows->v[i].row, true);
	if (err) {
		saver_free(v);
		return err;
	}
	v->st = st;
	v->over = true;
	*ret_saver = v;
	return 0;
}

void saver_begin(struct saver *v)
{
	v->putting = v->over = v->failed = false;
	v->at = 0;
}

bool saver_busy(const struct saver *v)
{
	return !v->over;
}

bool saver_whole(const struct saver *v)
{
	return v->over && !v->failed;
}

/* Only where there is something to write: each transaction waits for the disk. */
static int open_once(struct saver *v, struct budget *b)
{
	int err = v->open ? 0 : state_begin(v->st);

	budget_spend(b, v->open ? COST_WRITE : COST_WRITE + COST_COMMIT);
	v->open = v->open || !err;
	return err;
}

static int delete_some(struct saver *v, const struct doc_rows *rows, struct budget *b)
{
	for (; v->at < BUCKETS && b->left; v->at++) {
		budget_spend(b, 1);
		for (struct stored *e = v->buckets[v->at]; e; e = e->next) {
			int err;

			budget_spend(b, COST_LOOK);
			if (rows_find(rows, e->row->kind, e->row->name))
				continue;
			err = open_once(v, b);
			if (!err)
				err = state_del_doc(v->st, slice_str(e->row->kind), slice_str(e->row->name));
			if (err)
				return err;
			e->sure = false;
			e->leaving = true;
		}
	}
	return 0;
}

static bool is_same(const struct doc_row *x, const struct doc_row *y)
{
	return x == y || (x->line == y->line && strcmp(x->file, y->file) == 0 && strcmp(x->json, y->json) == 0);
}

static int put_some(struct saver *v, const struct doc_rows *rows, struct budget *b)
{
	for (; v->at < rows->n && b->left; v->at++) {
		struct doc_row *row = rows->v[v->at].row;
		const struct stored *e = find(v, row);
		const struct state_doc doc = { slice_str(row->kind), slice_str(row->name), slice_str(row->file),
					       slice_str(row->json), row->line };
		int err;

		budget_spend(b, COST_LOOK);
		if (e && e->sure && is_same(e->row, row)) {
			err = note(v, row, true); /* the other copy need not be kept */
			if (err)
				return err;
			continue;
		}
		err = note(v, row, false);
		if (!err)
			err = open_once(v, b);
		if (!err)
			err = state_put_doc(v->st, &doc);
		if (err)
			return err;
	}
	return 0;
}

/* After a commit: what was deleted is gone. */
static void forget_leaving(struct saver *v, size_t from)
{
	for (size_t i = from; i <= v->at && i < BUCKETS; i++)
		for (struct stored **p = &v->buckets[i]; *p;) {
			struct stored *e = *p;

			if (!e->leaving) {
				p = &e->next;
				continue;
			}
			*p = e->next;
			stored_free(e);
		}
}

static void trust(struct saver *v, const struct doc_rows *rows, size_t from)
{
	for (size_t i = from; i < v->at; i++) {
		struct stored *e = find(v, rows->v[i].row);

		if (e)
			e->sure = true;
	}
}

static int commit(struct saver *v, const struct doc_rows *rows, size_t from)
{
	int err = v->open ? state_commit(v->st) : 0;

	v->open = false;
	if (err)
		return err;
	if (v->putting)
		trust(v, rows, from);
	else
		forget_leaving(v, from);
	return 0;
}

static void advance(struct saver *v, size_t n)
{
	if (!v->putting && v->at == BUCKETS) {
		v->putting = true;
		v->at = 0;
	} else if (v->putting && v->at == n) {
		v->over = true;
	}
}

/* What was to be deleted is still there, as far as is known. */
static void stay(struct saver *v)
{
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct stored *e = v->buckets[i]; e; e = e->next)
			e->leaving = false;
}

int saver_step(struct saver *v, const struct doc_rows *rows, struct budget *b)
{
	size_t from = v->at;
	int err = v->putting ? put_some(v, rows, b) : delete_some(v, rows, b);

	if (!err)
		err = commit(v, rows, from);
	if (!err) {
		advance(v, rows->n);
		return 0;
	}
	if (v->open)
		state_rollback(v->st);
	stay(v);
	v->open = false;
	v->over = v->failed = true;
	return err;
}
