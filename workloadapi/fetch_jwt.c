// SPDX-License-Identifier: Apache-2.0
/* fetch_jwt.c - FetchJWTSVID: from a request to tokens, remembered or ordered. svid-front. Source: Workload API 6.2.1. */
#include <errno.h>

#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "agent/base/spiffe_id.h"
#include "workloadapi/encode.h"
#include "workloadapi/service.h"

enum { FIELD_AUDIENCE = 1, FIELD_SPIFFE_ID };

struct request_jwt {
	struct audiences audiences;
	struct slice spiffe_id; /* empty: all */
};

struct fetch;

/* One identity of a call that waits. */
struct part {
	struct token_wait wait;
	struct fetch *fetch;
	struct message *msg;
	struct token_life life;
	int err;
};

/* A call that waits for tokens. */
struct fetch {
	struct call_wait wait;
	struct api *api;
	size_t n, left;
	uint64_t changes; /* tokens.changes at its start */
	struct buf audiences; /* to remember the joined answer by; empty: it is about one identity */
	struct part parts[];
};

/* By hand: the strings of generated code would end at a NUL byte, and copying them costs. */
static int decode(struct slice body, struct request_jwt *r)
{
	struct pb_field f;

	r->audiences.n = 0;
	r->spiffe_id = slice_of(NULL, 0);
	while (pb_next(&body, &f)) {
		if (f.wire != PB_BYTES)
			continue;
		if (f.number == FIELD_SPIFFE_ID)
			r->spiffe_id = f.bytes;
		if (f.number != FIELD_AUDIENCE)
			continue;
		if (r->audiences.n == LIM_AUDIENCES)
			return -ERR_LIMIT;
		r->audiences.each[r->audiences.n++] = f.bytes;
	}
	return slice_ok(&body) ? 0 : -ERR_REQUEST;
}

static bool is_text(struct slice s)
{
	return slice_is_utf8(s) && !memchr(s.p, 0, s.len);
}

/* NULL: this request can be answered. */
static const char *why_not(const struct request_jwt *r)
{
	struct spiffe_id id;

	for (size_t i = 0; i < r->audiences.n; i++) {
		struct slice a = r->audiences.each[i];

		if (!a.len)
			return "audience must be specified";
		if (a.len > LIM_AUDIENCE)
			return "audience is longer than its limit";
		if (!is_text(a))
			return "audience is not UTF-8 text";
	}
	if (!r->audiences.n)
		return "audience must be specified";
	return r->spiffe_id.len && spiffe_id_parse(r->spiffe_id, &id) ? "requested SPIFFE ID is not valid" : NULL;
}

static void fetch_free(struct fetch *f)
{
	for (size_t i = 0; i < f->n; i++) {
		tokens_leave(&f->parts[i].wait);
		message_unref(f->parts[i].msg);
	}
	buf_done(&f->audiences);
	mem_free(f);
}

static void on_gone(struct call_wait *w)
{
	fetch_free(container_of(w, struct fetch, wait));
}

static struct token_life shorter(struct token_life a, struct token_life b)
{
	return (struct token_life){ .boot = a.boot < b.boot ? a.boot : b.boot, .wall = a.wall < b.wall ? a.wall : b.wall };
}

/*
 * The answer for all identities: without those whose policy does not allow the audience, unless that leaves none.
 * Any other failure is the call's.
 */
static int join(struct fetch *f, struct message **ret_m)
{
	struct token_life life = { .boot = UINT64_MAX, .wall = INT64_MAX };
	struct message *parts[LIM_SET_IDENTITIES];
	size_t n = 0;
	int err;

	if (f->n > 1 && f->changes != f->api->tokens.changes)
		return -ERR_IDENTITIES;
	for (size_t i = 0; i < f->n; i++) {
		struct part *p = &f->parts[i];

		if (p->err && p->err != -ERR_AUDIENCE)
			return p->err;
		if (p->err)
			continue;
		life = shorter(life, p->life);
		parts[n++] = p->msg;
	}
	if (!n)
		return -ERR_AUDIENCE;
	if (f->n == 1) {
		*ret_m = message_ref(parts[0]);
		return 0;
	}
	err = encode_join(parts, n, ret_m);
	if (!err)
		tokens_keep(f->api, buf_slice(&f->audiences), *ret_m, life);
	return err;
}

static void answer(struct call *c, struct fetch *f)
{
	AUTO(message) struct message *m = NULL;
	int err = join(f, &m);

	if (err)
		call_fail_err(c, err);
	else
		call_answer(c, m);
}

static void on_token(struct token_wait *w, struct message *msg, struct token_life life, int err)
{
	struct part *p = container_of(w, struct part, wait);
	struct fetch *f = p->fetch;
	struct call *c;

	p->msg = msg;
	p->life = life;
	p->err = err;
	if (--f->left)
		return;
	c = call_wake(&f->wait);
	answer(c, f);
	fetch_free(f);
	call_push(c);
}

static struct fetch *fetch_new(struct api *api, size_t n)
{
	struct fetch *f = mem_calloc(1, sizeof(*f) + n * sizeof(f->parts[0]));

	if (!f)
		return NULL;
	f->api = api;
	f->n = n;
	f->changes = api->tokens.changes;
	f->wait.gone = on_gone;
	f->audiences = (struct buf)BUF_INIT(LIM_JWT_AUDIENCES);
	for (size_t i = 0; i < n; i++) {
		f->parts[i].fetch = f;
		f->parts[i].wait.done = on_token;
		list_init(&f->parts[i].wait.node);
	}
	return f;
}

/* What is remembered is taken, the rest is ordered. */
static int order(struct fetch *f, const struct grpc_conn *g, const struct set_identity *ids, const struct audiences *a)
{
	for (size_t i = 0; i < f->n; i++) {
		struct part *p = &f->parts[i];
		struct message *m = tokens_get(f->api, ids[i].e.identity, a, &p->life);
		int err = m ? 0 : tokens_order(f->api, g, ids[i].e.identity, a, &p->wait);

		if (err)
			return err;
		if (m)
			p->msg = message_ref(m);
		else
			f->left++;
	}
	if (f->n > 1)
		tokens_list(&f->audiences, a);
	return buf_ok(&f->audiences);
}

static void fetch(struct call *c, const struct set_identity *ids, size_t n, const struct audiences *a)
{
	struct grpc_conn *g = call_conn(c);
	struct fetch *f = fetch_new(g->api, n);
	int err = f ? order(f, g, ids, a) : -ENOMEM;

	if (!err && f->left) {
		call_wait(c, &f->wait);
		return;
	}
	if (err)
		call_fail_err(c, err);
	else
		answer(c, f);
	if (f)
		fetch_free(f);
}

static void reply(struct call *c, struct request_jwt *r)
{
	struct api *api = call_conn(c)->api;
	const struct set *s = api->set;
	const struct set_identity *ids = r->spiffe_id.len ? set_find(s, r->spiffe_id) : s->ids;
	size_t n = r->spiffe_id.len ? 1 : s->n_ids;
	struct token_life life;
	struct message *m;

	if (!ids || !n) {
		call_fail_err(c, -ERR_NO_IDENTITY);
		return;
	}
	audiences_sort(&r->audiences);
	m = tokens_get(api, n == 1 ? ids->e.identity : TOKEN_ALL, &r->audiences, &life);
	if (m)
		call_answer(c, m);
	else if (!s->own.jwks.len) /* a new authority makes its first keys */
		call_hold(c);
	else
		fetch(c, ids, n, &r->audiences);
}

void fetch_jwt_svid(struct call *c, struct slice body)
{
	struct request_jwt r;
	int err = decode(body, &r);
	const char *why = err ? NULL : why_not(&r);

	if (err == -ERR_LIMIT)
		call_fail(c, GRPC_INVALID_ARGUMENT, "too many audiences");
	else if (err)
		call_fail_err(c, err);
	else if (why)
		call_fail(c, GRPC_INVALID_ARGUMENT, why);
	else
		reply(c, &r);
}
