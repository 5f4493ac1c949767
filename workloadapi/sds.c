// SPDX-License-Identifier: Apache-2.0
/*
 * sds.c - Envoy's SecretDiscoveryService: StreamSecrets and FetchSecrets, state of the world. svid-front.
 *
 * A request names everything that is wanted; the answer is everything of it that is there. What is not there is left out and
 * never ends the stream. Source: Envoy API v3, xDS protocol. Next: sds_delta.c, sds_view.c.
 */
#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "workloadapi/sds_stream.h"
#include "workloadapi/service.h"

#define LOGGED 256 /* bytes of what a client says */

void sds_stream_gone(struct call_follow *f)
{
	struct sds_stream *s = container_of(f, struct sds_stream, follow);

	sds_ask_unref(s->ask);
	sds_view_unref(s->have);
	mem_free(s);
}

struct sds_stream *sds_stream_of(struct call *c, const struct call_follow *ops)
{
	struct sds_stream *s;

	if (c->follow)
		return container_of(c->follow, struct sds_stream, follow);
	s = mem_new(struct sds_stream);
	if (!s)
		return NULL;
	s->follow = *ops;
	c->follow = &s->follow;
	return s;
}

void sds_stream_have(struct sds_stream *s, struct sds_view *have)
{
	sds_view_unref(s->have);
	s->have = have;
}

void sds_stream_told(struct sds_stream *s, struct sds_view *v)
{
	sds_stream_have(s, sds_view_ref(v));
	s->nonce = v->nonce;
	s->refused = false;
}

int sds_stream_ask(struct sds_stream *s, struct api *api, struct sds_view *names)
{
	const struct sds_ask like = { .wish = s->wish, .all = s->all, .held = s->held };
	struct sds_ask *ask;
	int err = sds_ask_get(api, names, &like, &ask);

	if (err)
		return err;
	sds_ask_unref(s->ask);
	s->ask = ask;
	return 0;
}

bool sds_stream_heard(struct sds_stream *s, const struct sds_request *r)
{
	uint64_t nonce = 0;
	bool known = r->nonce.len && !slice_u64_dec(r->nonce, &nonce) && nonce == s->nonce;
	struct slice why = slice_of(r->why.p, r->why.len < LOGGED ? r->why.len : LOGGED);

	if (known && r->refused && !s->refused) {
		s->refused = true;
		log_warn(EV_RPC, KV("what", V_S("a client refused its secrets")), KV("nonce", V_U(nonce)), KV("why", V_B(why)));
	}
	return known || !r->nonce.len || !s->nonce;
}

void sds_fail(struct call *c, const struct sds_request *r, int err)
{
	if (r->fault)
		call_fail(c, err_status(err), r->fault);
	else if (err == -ERR_LIMIT)
		call_fail(c, GRPC_INVALID_ARGUMENT, "more or longer names than their limit");
	else
		call_fail_err(c, err);
}

/* Whether the answer of @v would tell something. Only a client that asked for everything learns what is missing. */
static bool has_news(const struct sds_stream *s, const struct sds_view *v)
{
	for (size_t i = 0; i < v->n; i++) {
		const struct sds_row *had = sds_view_find(s->have, v->rows[i].name);

		if (v->rows[i].version && (!had || had->version != v->rows[i].version))
			return true;
	}
	for (size_t i = 0; s->all && s->have && i < s->have->n; i++) {
		const struct sds_row *now = sds_view_find(v, s->have->rows[i].name);

		if (s->have->rows[i].version && (!now || !now->version))
			return true;
	}
	return false;
}

static int next_state(struct call_follow *f, struct api *api, struct message **ret_m)
{
	struct sds_stream *s = container_of(f, struct sds_stream, follow);
	struct sds_view *v;
	int err = sds_ask_view(api, s->ask, &v);

	if (err || v == s->have || !has_news(s, v))
		return err;
	err = sds_ask_message(api, s->ask, ret_m);
	if (!err)
		sds_stream_told(s, v);
	return err;
}

/* The names are another: everything is told again. No names at all are everything, until the stream had some. */
static int take_request(struct sds_stream *s, struct api *api, struct sds_request *r)
{
	const struct sds_ask *before = s->ask;
	struct sds_view *names;
	int err;

	if (r->node.len)
		s->wish = sds_wish(r->node);
	if (!sds_stream_heard(s, r))
		return 0;
	if (!s->ask)
		s->held = r->version.len != 0;
	s->named |= r->n_names || r->all;
	s->all = r->all || !s->named;
	err = sds_view_new(r->names, r->n_names, &names);
	if (!err)
		err = sds_stream_ask(s, api, names);
	if (!err && s->ask != before)
		sds_stream_have(s, NULL);
	return err;
}

static const struct call_follow state_ops = { next_state, sds_stream_gone };

static void stream_secrets(struct call *c, struct slice body)
{
	AUTO(sds_request) struct sds_request r = { .n_names = 0 };
	struct sds_stream *s = sds_stream_of(c, &state_ops);
	int err = s ? sds_read(body, false, &r) : -ENOMEM;

	if (!err)
		err = take_request(s, call_conn(c)->api, &r);
	if (err)
		sds_fail(c, &r, err);
}

static bool has_any(const struct sds_view *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->rows[i].version)
			return true;
	return false;
}

static int answer_once(struct call *c, struct sds_stream *s, struct sds_request *r)
{
	struct api *api = call_conn(c)->api;
	struct message *m = NULL;
	struct sds_view *v;
	int err = take_request(s, api, r);

	if (!err)
		err = sds_ask_view(api, s->ask, &v);
	if (!err && !api->set->n_ids && !has_any(v))
		return -ERR_NO_IDENTITY;
	if (!err)
		err = sds_ask_message(api, s->ask, &m);
	if (!err)
		call_answer(c, m);
	return err;
}

static void fetch_secrets(struct call *c, struct slice body)
{
	AUTO(sds_request) struct sds_request r = { .n_names = 0 };
	struct sds_stream *s = sds_stream_of(c, &state_ops);
	int err = s ? sds_read(body, false, &r) : -ENOMEM;

	if (!err)
		err = answer_once(c, s, &r);
	if (err)
		sds_fail(c, &r, err);
}

const struct method sds_methods[] = {
	{ "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets", stream_secrets, DISCOVER },
	{ "/envoy.service.secret.v3.SecretDiscoveryService/DeltaSecrets", delta_secrets, DISCOVER_DELTA },
	{ "/envoy.service.secret.v3.SecretDiscoveryService/FetchSecrets", fetch_secrets, DISCOVER_ONCE },
	{ NULL, NULL, AT_ONCE },
};
