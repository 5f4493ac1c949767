// SPDX-License-Identifier: Apache-2.0
/* sds_view.c - what streams of Envoy's secrets ask for and were told, shared among all that are alike. svid-front. */
#include <errno.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "workloadapi/api.h"

struct sds_view *sds_view_ref(struct sds_view *v)
{
	v->refs++;
	return v;
}

/* Keys leave memory when nobody is to be sent them any more. */
static void drop_answers(struct sds_view *v)
{
	message_unref(take(&v->msg));
	message_unref(take(&v->delta));
	sds_view_unref(take(&v->from));
}

void sds_view_unref(struct sds_view *v)
{
	if (!v || --v->refs)
		return;
	drop_answers(v);
	mem_free(v);
}

static int compare_names(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int diff = n ? memcmp(a.p, b.p, n) : 0;

	return diff ? diff : (a.len > b.len) - (a.len < b.len);
}

static int compare_rows(const void *a, const void *b)
{
	return compare_names(((const struct sds_row *)a)->name, ((const struct sds_row *)b)->name);
}

static size_t drop_doubles(struct sds_row *rows, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || !slice_eq(rows[kept - 1].name, rows[i].name))
			rows[kept++] = rows[i];
	return kept;
}

int sds_view_new(struct sds_row *rows, size_t n, struct sds_view **ret_view)
{
	struct sds_view *v;
	size_t text = 0;
	uint8_t *p;

	if (n)
		qsort(rows, n, sizeof(*rows), compare_rows);
	n = drop_doubles(rows, n);
	for (size_t i = 0; i < n; i++)
		text += rows[i].name.len;
	v = mem_calloc(1, sizeof(*v) + n * sizeof(*rows) + text);
	if (!v)
		return -ENOMEM;
	v->refs = 1;
	p = (uint8_t *)&v->rows[n];
	for (; v->n < n; v->n++) {
		struct slice name = rows[v->n].name;

		if (name.len)
			memcpy(p, name.p, name.len);
		v->rows[v->n] = (struct sds_row){ slice_of(p, name.len), rows[v->n].version };
		p += name.len;
	}
	*ret_view = v;
	return 0;
}

const struct sds_row *sds_view_find(const struct sds_view *v, struct slice name)
{
	size_t low = 0, high = v ? v->n : 0;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int diff = compare_names(v->rows[mid].name, name);

		if (!diff)
			return &v->rows[mid];
		if (diff < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static bool same_rows(const struct sds_view *a, const struct sds_view *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (a->rows[i].version != b->rows[i].version || !slice_eq(a->rows[i].name, b->rows[i].name))
			return false;
	return true;
}

/* Asks */

static uint32_t hash_names(const struct sds_view *v)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < v->n; i++)
		for (size_t k = 0; k <= v->rows[i].name.len; k++)
			h = (h ^ (k < v->rows[i].name.len ? v->rows[i].name.p[k] : 0xff)) * 16777619u;
	return h;
}

static struct sds_ask *find_ask(struct list *bucket, const struct sds_view *names, const struct sds_ask *like)
{
	struct sds_ask *ask;

	list_for_each(ask, bucket, node)
		if (ask->hash == like->hash && ask->wish == like->wish && ask->all == like->all && ask->held == like->held &&
		    same_rows(ask->names, names))
			return ask;
	return NULL;
}

/* Only bundles are replaced. */
static bool has_domain(const struct sds_view *names)
{
	for (size_t i = 0; i < names->n; i++)
		if (sds_is_domain(names->rows[i].name))
			return true;
	return false;
}

int sds_ask_get(struct api *api, struct sds_view *names, const struct sds_ask *like, struct sds_ask **ret_ask)
{
	AUTO(sds_view) struct sds_view *mine = names;
	struct sds_ask want = { .refs = 1, .wish = like->wish, .hash = hash_names(mine), .all = like->all,
				.held = like->held && has_domain(mine) };
	struct list *bucket = &api->sds.asks[want.hash % SDS_BUCKETS];
	struct sds_ask *ask = find_ask(bucket, mine, &want);

	if (ask) {
		ask->refs++;
		*ret_ask = ask;
		return 0;
	}
	ask = mem_new(struct sds_ask);
	if (!ask)
		return -ENOMEM;
	*ask = want;
	ask->names = take(&mine);
	list_add_tail(bucket, &ask->node);
	*ret_ask = ask;
	return 0;
}

void sds_ask_unref(struct sds_ask *ask)
{
	if (!ask || --ask->refs)
		return;
	list_del(&ask->node);
	sds_view_unref(ask->names);
	if (ask->view)
		drop_answers(ask->view); /* a stream may remember what it was told */
	sds_view_unref(ask->view);
	mem_free(ask);
}

static size_t add_all(const struct set *s, struct sds_row *rows)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n_ids; i++)
		rows[n++].name = s->ids[i].e.spiffe_id;
	rows[n++].name = slice_str(s->own.trust_domain_id);
	for (size_t i = 0; i < s->n_feds; i++)
		rows[n++].name = slice_str(s->feds[i].trust_domain_id);
	return n;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return !a || (b && b < a) ? b : a;
}

/* An SVID that expired is not there. */
static void date(const struct api *api, const struct sds_ask *ask, struct sds_view *v)
{
	int64_t now = clock_wall_s();

	v->version = ask->all ? api->sds.shrunk : 0;
	for (size_t i = 0; i < v->n; i++) {
		struct sds_source src = sds_find(api, v->rows[i].name, ask);
		int64_t expires = src.kind == SDS_CERT ? src.id->e.not_after : 0;

		if (expires && expires <= now)
			continue;
		v->rows[i].version = src.version;
		v->expires = earlier(v->expires, expires);
		if (v->version < src.version)
			v->version = src.version;
	}
}

static int look(struct api *api, const struct sds_ask *ask, struct sds_view **ret_view)
{
	const struct set *s = api->set;
	size_t n = ask->names->n + (ask->all ? s->n_ids + s->n_feds + 1 : 0);
	AUTO_FREE struct sds_row *rows = mem_calloc(n + 1, sizeof(*rows));
	int err;

	if (!rows)
		return -ENOMEM;
	n = ask->all ? add_all(s, rows) : 0;
	for (size_t i = 0; i < ask->names->n; i++)
		rows[n++].name = ask->names->rows[i].name;
	err = sds_view_new(rows, n, ret_view);
	if (err)
		return err;
	date(api, ask, *ret_view);
	return 0;
}

static void show(struct api *api, struct sds_ask *ask, struct sds_view *v)
{
	if (ask->view)
		drop_answers(ask->view);
	sds_view_unref(ask->view);
	v->nonce = ++api->sds.nonces;
	ask->view = v;
}

int sds_ask_view(struct api *api, struct sds_ask *ask, struct sds_view **ret_view)
{
	bool current = ask->view && ask->epoch == api->sds.epoch;
	struct sds_view *v;
	int err;

	if (!current || (ask->view->expires && ask->view->expires <= clock_wall_s())) {
		err = look(api, ask, &v);
		if (err)
			return err;
		if (!ask->view || !same_rows(ask->view, v))
			show(api, ask, v);
		else
			sds_view_unref(v);
		ask->epoch = api->sds.epoch;
	}
	*ret_view = ask->view;
	return 0;
}

int sds_ask_message(const struct api *api, struct sds_ask *ask, struct message **ret_m)
{
	struct sds_view *v = ask->view;
	int err = v->msg ? 0 : sds_encode(&(struct sds_answer){ .api = api, .ask = ask, .view = v }, &v->msg);

	if (!err)
		*ret_m = v->msg;
	return err;
}

int sds_ask_delta(const struct api *api, struct sds_ask *ask, struct sds_view *from, struct message **ret_m)
{
	struct sds_view *v = ask->view;
	struct message *m;
	int err;

	if (!v->delta || v->from != from) {
		err = sds_encode(&(struct sds_answer){ .api = api, .ask = ask, .view = v, .from = from, .delta = true }, &m);
		if (err)
			return err;
		message_unref(v->delta);
		sds_view_unref(v->from);
		v->delta = m;
		v->from = from ? sds_view_ref(from) : NULL;
	}
	*ret_m = v->delta;
	return 0;
}
