// SPDX-License-Identifier: Apache-2.0
/*
 * sds_delta.c - DeltaSecrets: requests say what changes in what is wanted, answers what changed in what is there. svid-front.
 *
 * A name that stands for nothing is answered in removed_resources, once; what it stands for later is delivered then.
 * Source: Envoy API v3, xDS protocol, incremental. Next: sds_view.c.
 */
#include <errno.h>

#include "agent/base/mem.h"
#include "workloadapi/sds_stream.h"

/* Whether the answer from what the client has to @v would tell something. */
static bool has_news(const struct sds_stream *s, const struct sds_view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct sds_row *had = sds_view_find(s->have, v->rows[i].name);

		if (!had || had->version != v->rows[i].version)
			return true;
	}
	for (size_t i = 0; s->all && s->have && i < s->have->n; i++)
		if (s->have->rows[i].version && !sds_view_find(v, s->have->rows[i].name))
			return true;
	return false;
}

static int next_change(struct call_follow *f, struct api *api, struct message **ret_m)
{
	struct sds_stream *s = container_of(f, struct sds_stream, follow);
	struct sds_view *v;
	int err = sds_ask_view(api, s->ask, &v);

	if (err || v == s->have || !has_news(s, v))
		return err;
	err = sds_ask_delta(api, s->ask, s->have, ret_m);
	if (!err)
		sds_stream_told(s, v);
	return err;
}

static bool is_among(const struct sds_row *rows, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(rows[i].name, name))
			return true;
	return false;
}

static bool is_left(const struct sds_request *r, struct slice name)
{
	return is_among(r->without, r->n_without, name);
}

/* What was asked for, without what is left, and with what is new. */
static int change_names(const struct sds_view *old, const struct sds_request *r, struct sds_view **ret_names)
{
	size_t max = (old ? old->n : 0) + r->n_names, n = 0, bytes = 0;
	AUTO_FREE struct sds_row *rows = mem_calloc(max + 1, sizeof(*rows));
	AUTO(sds_view) struct sds_view *names = NULL;
	int err;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; old && i < old->n; i++)
		if (!is_left(r, old->rows[i].name))
			rows[n++].name = old->rows[i].name;
	for (size_t i = 0; i < r->n_names; i++)
		rows[n++].name = r->names[i].name;
	err = sds_view_new(rows, n, &names);
	if (err)
		return err;
	for (size_t i = 0; i < names->n; i++)
		bytes += names->rows[i].name.len;
	if (names->n > LIM_SDS_NAMES || bytes > LIM_GRPC_MESSAGE)
		return -ERR_LIMIT;
	*ret_names = take(&names);
	return 0;
}

/* Whoever asks for a name again has forgotten what it stood for. */
static int forget(struct sds_stream *s, const struct sds_request *r)
{
	const struct sds_view *have = s->have;
	AUTO_FREE struct sds_row *rows = NULL;
	struct sds_view *left;
	size_t n = 0;
	int err;

	if (!have || !(r->n_names + r->n_without))
		return 0;
	rows = mem_calloc(have->n + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < have->n; i++)
		if (!is_among(r->names, r->n_names, have->rows[i].name) && (s->all || !is_left(r, have->rows[i].name)))
			rows[n++] = have->rows[i];
	err = sds_view_new(rows, n, &left);
	if (err)
		return err;
	left->version = have->version;
	sds_stream_have(s, left);
	return 0;
}

/* The first request: what the client has of an earlier stream. */
static int begin(struct sds_stream *s, struct sds_request *r)
{
	struct sds_view *have;
	int err;

	s->all = !r->n_names;
	s->held = r->n_have != 0;
	if (!r->n_have)
		return 0;
	err = sds_view_new(r->have, r->n_have, &have);
	if (err)
		return err;
	sds_stream_have(s, have);
	return 0;
}

static int take_request(struct sds_stream *s, struct api *api, struct sds_request *r)
{
	struct sds_view *names;
	int err;

	if (r->node.len)
		s->wish = sds_wish(r->node);
	(void)sds_stream_heard(s, r); /* what is wanted changes, whatever it is an answer to */
	err = s->ask ? forget(s, r) : begin(s, r);
	if (err)
		return err;
	s->all = (s->all || r->all) && !r->not_all;
	err = change_names(s->ask ? s->ask->names : NULL, r, &names);
	return err ? err : sds_stream_ask(s, api, names);
}

static const struct call_follow delta_ops = { next_change, sds_stream_gone };

void delta_secrets(struct call *c, struct slice body)
{
	AUTO(sds_request) struct sds_request r = { .n_names = 0 };
	struct sds_stream *s = sds_stream_of(c, &delta_ops);
	int err = s ? sds_read(body, true, &r) : -ENOMEM;

	if (!err)
		err = take_request(s, call_conn(c)->api, &r);
	if (err)
		sds_fail(c, &r, err);
}
