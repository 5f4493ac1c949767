// SPDX-License-Identifier: Apache-2.0
/*
 * cloud_join.c - WorkloadCredentials meet the identities in force, and are put into the orders in which they are asked for.
 * There may be thousands of each, so it is done in slices. svid-core, for docs_apply.c.
 */
#include <errno.h>

#include "agent/base/mem.h"
#include "agent/core/cloud_docs.h"

/* Units of work, see sorter.h. */
#define COST_FIND 16
#define COST_COPY 1

static int by_spiffe_id(const void *a, const void *b)
{
	return strcmp((*(struct cloud_doc *const *)a)->spiffe_id, (*(struct cloud_doc *const *)b)->spiffe_id);
}

static int by_identity(const void *a, const void *b)
{
	const struct cloud_doc *x = *(const struct cloud_doc *const *)a, *y = *(const struct cloud_doc *const *)b;

	if (x->identity != y->identity)
		return x->identity < y->identity ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* 1 when it is over, 0 when the budget is. */
static int sorting(struct cloud_docs *d, struct budget *b, void *v, size_t n, size_t size,
		   int (*compare)(const void *a, const void *b))
{
	struct sorter *s = &d->join.sorter;

	if (!s->spare) {
		int err = sorter_init(s, v, n, size, compare);

		if (err)
			return err;
	}
	if (!sorter_step(s, b))
		return 0;
	sorter_done(s);
	return 1;
}

static int sort_ids(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	if (!d->join.by_id) {
		d->join.by_id = mem_calloc(d->n + 1, sizeof(*d->join.by_id));
		if (!d->join.by_id)
			return -ENOMEM;
		for (size_t i = 0; i < d->n; i++)
			d->join.by_id[i] = d->v[i];
		budget_spend(b, d->n * COST_COPY);
	}
	return sorting(d, b, d->join.by_id, d->n, sizeof(*d->join.by_id), by_spiffe_id);
}

/* All credentials of one SPIFFE ID stand together. */
static void meet(struct cloud_docs *d, const struct identity *id)
{
	size_t low = 0, high = d->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (strcmp(d->join.by_id[mid]->spiffe_id, id->spiffe_id) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < d->n && strcmp(d->join.by_id[low]->spiffe_id, id->spiffe_id) == 0; low++)
		d->join.by_id[low]->identity = id->number;
}

static int meet_all(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	size_t stale, n = d->n ? policy_count(p, &stale) : 0;

	for (; d->join.at < n; d->join.at++) {
		if (!b->left)
			return 0;
		budget_spend(b, COST_FIND);
		meet(d, policy_at(p, d->join.at));
	}
	return 1;
}

static int make_lists(struct cloud_docs *d)
{
	size_t n_helpers = 0, n_audiences = 0;

	for (size_t i = 0; i < d->n; i++) {
		n_helpers += d->v[i]->n_helpers;
		n_audiences += d->v[i]->n_audiences;
	}
	d->own = mem_calloc(d->n + 1, sizeof(*d->own));
	d->numbered = mem_calloc(d->n + 1, sizeof(*d->numbered));
	d->helpers = mem_calloc(n_helpers + 1, sizeof(*d->helpers));
	d->audiences = mem_calloc(n_audiences + 1, sizeof(*d->audiences));
	return d->own && d->numbered && d->helpers && d->audiences ? 0 : -ENOMEM;
}

/* Without an identity nobody could read it: it is told to nobody. */
static int leave_out_strays(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	size_t n = 0;

	(void)p;
	mem_free(take(&d->join.by_id));
	for (size_t i = 0; i < d->n; i++) {
		if (d->v[i]->identity)
			d->v[n++] = d->v[i];
		else
			cloud_doc_free(d->v[i]);
	}
	budget_spend(b, d->n * 2 * COST_COPY);
	d->n = n;
	return make_lists(d) ? -ENOMEM : 1;
}

static int fill_lists(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	for (size_t i = 0; i < d->n; i++) {
		d->own[i] = d->numbered[i] = d->v[i];
		for (size_t k = 0; k < d->v[i]->n_helpers; k++)
			d->helpers[d->n_helpers++] = d->v[i]->helpers[k];
		for (size_t k = 0; k < d->v[i]->n_audiences; k++)
			d->audiences[d->n_audiences++] = d->v[i]->audiences[k];
	}
	budget_spend(b, (2 * d->n + d->n_helpers + d->n_audiences) * COST_COPY);
	return 1;
}

static int sort_own(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	return sorting(d, b, d->own, d->n, sizeof(*d->own), by_identity);
}

static int sort_numbered(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	return sorting(d, b, d->numbered, d->n, sizeof(*d->numbered), cloud_docs_by_binding);
}

static int sort_helpers(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	return sorting(d, b, d->helpers, d->n_helpers, sizeof(*d->helpers), by_text);
}

static int sort_audiences(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	(void)p;
	return sorting(d, b, d->audiences, d->n_audiences, sizeof(*d->audiences), by_text);
}

static int tell_identities(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	for (size_t i = 0, first = 0; i < d->n; i++) {
		struct identity *id = (struct identity *)policy_by_number(p, d->own[i]->identity);

		if (d->own[first]->identity != d->own[i]->identity)
			first = i;
		id->clouds = &d->own[first];
		id->n_clouds = i - first + 1;
	}
	budget_spend(b, d->n * 2 * COST_COPY);
	return 1;
}

static int (*const phases[])(struct cloud_docs *d, const struct policy *p, struct budget *b) = {
	sort_ids,      meet_all,     leave_out_strays, fill_lists,	sort_own,
	sort_numbered, sort_helpers, sort_audiences,   tell_identities,
};

int cloud_docs_join(struct cloud_docs *d, const struct policy *p, struct budget *b)
{
	while (d->join.phase < ARRAY_SIZE(phases)) {
		int over = phases[d->join.phase](d, p, b);

		if (over <= 0)
			return over;
		d->join.phase++;
		d->join.at = 0;
		if (!b->left)
			return 0;
	}
	return 1;
}
