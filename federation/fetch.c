// SPDX-License-Identifier: Apache-2.0
/*
 * fetch.c - one exchange under way: a fresh JWT-SVID (or a signature) by svid-core and svid-keys, requests to the cloud, a
 * verdict. Bounded in time as a whole. svid-cloud; what it means for the next one is binding.c's.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/http.h"
#include "federation/exchange_parts.h"

enum phase {
	PHASE_JWT,
	PHASE_CHAIN,
	PHASE_SIGN,
	PHASE_HTTP,
};

struct fetch {
	struct list node;
	struct binding *binding;
	struct exchange x;
	enum phase phase;
	uint32_t order; /* to svid-core; 0: none */
	struct http_call *call;
	struct loop_timer deadline;
	struct buf jwt, chain, signature;
	struct buf jti, kid, endpoint;
	unsigned int status; /* of the last answer */
	bool same_chain;     /* the signature is of the key in the chain that is sent */
	bool renewed;	     /* the JWT-SVID was made anew once already */
};

static void over(struct fetch *f, struct outcome *o);

static void fetch_free(struct fetch *f)
{
	http_cancel(f->call);
	loop_timer_stop(&f->deadline);
	list_del(&f->node);
	f->binding->cloud->n_fetches--;
	exchange_done(&f->x);
	buf_done(&f->jwt);
	buf_done(&f->chain);
	buf_done(&f->signature);
	buf_done(&f->jti);
	buf_done(&f->kid);
	buf_done(&f->endpoint);
	mem_free(f);
}

void fetch_cancel(struct fetch *f)
{
	if (f)
		fetch_free(f);
}

unsigned int fetches_of(const struct cloud *c, const char *source)
{
	const struct fetch *f;
	unsigned int n = 0;

	list_for_each(f, &c->fetches, node)
		n += strcmp(f->binding->source, source) == 0;
	return n;
}

static void give_up(struct fetch *f, const char *why)
{
	struct outcome o = { .verdict = VERDICT_RETRY };

	exchange_no_response(&o, why);
	over(f, &o);
}

static void fail(struct fetch *f, int err)
{
	struct outcome o = { .verdict = VERDICT_RETRY };

	outcome_put(&o.message, slice_str(err_text(err)));
	over(f, &o);
}

static void over(struct fetch *f, struct outcome *o)
{
	struct cloud *c = f->binding->cloud;

	http_cancel(f->call);
	f->call = NULL;
	binding_exchanged(f->binding, &f->x, o, f);
	outcome_done(o);
	fetch_free(f);
	bindings_go(c);
}

/* Until the first request it is svid-core or svid-keys that did not answer: nothing that a proxy or DNS has to do with. */
static void on_deadline(struct loop_timer *t)
{
	struct fetch *f = container_of(t, struct fetch, deadline);

	if (f->phase == PHASE_HTTP)
		give_up(f, "the exchange took too long");
	else
		fail(f, -ERR_DEADLINE);
}

/* ---- the cloud ---- */

static void on_response(void *arg, const struct http_response *r, const char *why);

static void send_request(struct fetch *f)
{
	AUTO(http_request) struct http_request r = { .n_headers = 0 };
	const json_t *source = f->binding->source_json;
	int err = exchange_request(&f->x, &r);

	if (err) {
		fail(f, err);
		return;
	}
	buf_reset(&f->endpoint);
	buf_put_slice(&f->endpoint, slice_of(r.url.data, r.url.len < 512 ? r.url.len : 512));
	f->phase = PHASE_HTTP;
	err = http_post(f->binding->cloud->http, &r, json_bytes(json_object_get(source, "proxy")),
			json_bytes(json_object_get(source, "caBundle")), on_response, f, &f->call);
	if (err)
		fail(f, err);
}

static int ask_jwt(struct fetch *f)
{
	struct cloud *c = f->binding->cloud;

	f->phase = PHASE_JWT;
	f->order = cloud_order(c);
	return chan_put(c->core, CR_JWT, 0, .order = f->order, .binding = f->binding->number);
}

static void on_response(void *arg, const struct http_response *r, const char *why)
{
	struct fetch *f = arg;
	struct outcome o = { .verdict = VERDICT_RETRY };
	int err;

	f->call = NULL;
	if (!r) {
		give_up(f, why);
		return;
	}
	f->status = r->status;
	err = exchange_response(&f->x, r, &o);
	if (err) {
		outcome_done(&o);
		fail(f, err);
		return;
	}
	if (o.verdict == VERDICT_NEXT) {
		outcome_done(&o);
		send_request(f);
	} else if (o.verdict == VERDICT_NEW_JWT && !f->renewed) {
		outcome_done(&o);
		f->renewed = true;
		f->x.step = 0;
		cloud_told(f->binding->cloud, ask_jwt(f));
	} else {
		over(f, &o);
	}
}

/* ---- svid-core and svid-keys ---- */

static int ask_chain(struct fetch *f, bool chain_only)
{
	struct cloud *c = f->binding->cloud;
	AUTO(buf) struct buf text = BUF_INIT(1024);
	int err = chain_only ? 0 : exchange_to_sign(&f->x, &text);

	if (err)
		return err;
	f->phase = chain_only ? PHASE_CHAIN : PHASE_SIGN;
	f->order = cloud_order(c);
	return chan_put(c->core, CR_SIGN, 0, .order = f->order, .binding = f->binding->number, .chain_only = chain_only,
			.text = buf_slice(&text));
}

static struct fetch *find(const struct cloud *c, uint32_t order)
{
	struct fetch *f;

	list_for_each(f, &c->fetches, node)
		if (f->order == order && order && f->phase != PHASE_HTTP)
			return f;
	return NULL;
}

static int keep(struct buf *b, struct slice s)
{
	buf_reset(b);
	buf_put_slice(b, s);
	return buf_ok(b);
}

bool fetch_jwt(struct cloud *c, const struct msg_CK_JWT *m)
{
	struct fetch *f = find(c, m->order);
	int err = m->err;

	if (!f || f->phase != PHASE_JWT)
		return false;
	f->order = 0;
	if (!err)
		err = keep(&f->jwt, m->token);
	if (!err)
		err = keep(&f->jti, m->jti) ? -ENOMEM : keep(&f->kid, m->kid);
	if (err) {
		fail(f, err);
		return true;
	}
	f->x.jwt = buf_slice(&f->jwt);
	f->x.now = clock_wall_s();
	send_request(f);
	return true;
}

/*
 * Known already when the signature was asked for: another chain means that the SVID was rotated in between. The signature comes
 * on another channel, and so may come first.
 */
static void chain_again(struct fetch *f, const struct msg_CL_CHAIN *m)
{
	f->same_chain = slice_eq(buf_slice(&f->chain), m->chain);
	if (!f->same_chain)
		fail(f, -ERR_CHANGED);
	else if (f->signature.len)
		send_request(f);
}

bool fetch_chain(struct cloud *c, const struct msg_CL_CHAIN *m)
{
	struct fetch *f = find(c, m->order);
	int err;

	if (!f || (f->phase != PHASE_CHAIN && f->phase != PHASE_SIGN))
		return false;
	if (f->phase == PHASE_SIGN) {
		chain_again(f, m);
		return true;
	}
	err = keep(&f->chain, m->chain);
	f->x.chain = buf_slice(&f->chain);
	f->x.now = clock_wall_s();
	if (!err)
		err = ask_chain(f, false);
	if (err)
		fail(f, err);
	return true;
}

bool fetch_signed(struct cloud *c, const struct msg_CK_SIGNED *m)
{
	struct fetch *f = find(c, m->order);
	int err = m->err;

	if (!f || f->phase != PHASE_SIGN)
		return false;
	if (!err)
		err = keep(&f->signature, m->signature);
	f->x.signature = buf_slice(&f->signature);
	if (err)
		fail(f, err);
	else if (f->same_chain)
		send_request(f);
	return true;
}

bool fetch_refused(struct cloud *c, uint32_t order, int err)
{
	struct fetch *f = find(c, order);

	if (!f)
		return false;
	fail(f, err);
	return true;
}

void fetch_put_record(const struct fetch *f, struct msg_CR_EXCHANGE *m)
{
	m->http_status = f->status;
	m->endpoint = buf_slice(&f->endpoint);
	m->jti = buf_slice(&f->jti);
	m->kid = buf_slice(&f->kid);
}

int fetch_start(struct binding *b)
{
	struct cloud *c = b->cloud;
	struct fetch *f = mem_new(struct fetch);
	int err;

	if (!f)
		return -ENOMEM;
	f->binding = b;
	f->deadline.cb = on_deadline;
	f->jwt = (struct buf)BUF_INIT_SECRET(LIM_JWT);
	f->chain = (struct buf)BUF_INIT(LIM_CHAIN);
	f->signature = (struct buf)BUF_INIT(1024);
	f->jti = f->kid = (struct buf)BUF_INIT(64);
	f->endpoint = (struct buf)BUF_INIT(512);
	f->x = (struct exchange){ .kind = b->kind, .spec = b->spec, .spiffe_id = slice_str(b->spiffe_id),
				  .node = slice_str(c->node), .now = clock_wall_s() };
	exchange_init(&f->x);
	list_init(&f->node);
	list_add_tail(&c->fetches, &f->node);
	c->n_fetches++;
	err = loop_timer_in(c->loop, &f->deadline, LIM_CLOUD_MS * NS_PER_MS);
	if (!err)
		err = b->kind == CLOUD_AWS_ROLES_ANYWHERE ? ask_chain(f, true) : ask_jwt(f);
	if (err)
		fetch_free(f);
	else
		b->fetch = f;
	return err;
}
