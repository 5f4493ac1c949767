// SPDX-License-Identifier: Apache-2.0
/*
 * cloud_order.c - what svid-cloud may have signed: JWT-SVIDs for its bindings, with the audience and life that their source
 * says, and requests to IAM Roles Anywhere; and the records of its exchanges. svid-core.
 */
#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/session_name.h"
#include "agent/core/core.h"
#include "agent/ipc/lists.h"

static int refuse(struct cloud *cl, uint32_t order, int err)
{
	return chan_put(cl->chan, CL_REFUSED, 0, .order = order, .err = err);
}

/* The binding as the documents have it now; an order of one that is gone is refused. */
static int find(struct cloud *cl, uint32_t binding, const struct cloud_doc **ret_doc)
{
	const struct cloud_doc *d = cloud_docs_at(docs_clouds(cl->core->docs), binding);
	int hold = hold_err(cl->core);

	if (!bucket_take(&cl->rate))
		return -ERR_RATE;
	if (hold)
		return hold;
	if (!d)
		return -ERR_NOT_FOUND;
	*ret_doc = d;
	return 0;
}

static int open_order(struct cloud *cl, uint32_t order, uint32_t binding, struct cloud_wait **ret_wait)
{
	struct cloud_wait *w = cl->n_orders < LIM_CLOUD_ORDERS ? mem_new(struct cloud_wait) : NULL;

	if (!w)
		return cl->n_orders < LIM_CLOUD_ORDERS ? -ENOMEM : -ERR_LIMIT;
	*w = (struct cloud_wait){ .order = order, .binding = binding };
	list_init(&w->node);
	list_add_tail(&cl->orders, &w->node);
	cl->n_orders++;
	*ret_wait = w;
	return 0;
}

static void close_order(struct cloud *cl, struct cloud_wait *w)
{
	list_del(&w->node);
	cl->n_orders--;
	mem_free(w);
}

/* A number that is in use would give one answer to two. */
static bool is_new(const struct cloud *cl, uint32_t order)
{
	struct cloud_wait *w;

	list_for_each(w, &cl->orders, node)
		if (w->order == order)
			return false;
	return order != 0;
}

void cloud_orders_orphaned(struct cloud *cl)
{
	struct cloud_wait *w;

	list_for_each(w, &cl->orders, node)
		w->order = 0;
}

void cloud_orders_free(struct cloud *cl)
{
	while (!list_empty(&cl->orders))
		close_order(cl, list_entry(cl->orders.next, struct cloud_wait, node));
}

static struct cloud_wait *order_of(const struct cloud *cl, uint32_t id, bool sign)
{
	struct cloud_wait *w;

	list_for_each(w, &cl->orders, node)
		if (w->id == id && w->sign == sign)
			return w;
	return NULL;
}

static void put_binding(struct json *j, const struct cloud_doc *d)
{
	json_str(j, "credential", d->name);
	json_str(j, "source", d->source);
	json_str(j, "kind", cloud_kind_name(d->kind));
	json_str(j, "spiffe_id", d->spiffe_id);
}

/* Before svid-keys is asked, as for every other JWT-SVID. */
static int record(struct cloud *cl, const struct cloud_doc *d, const char *what)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE - 256);
	struct json j = JSON_INIT(&b);
	int err;

	json_str(&j, "decision", what);
	json_bool(&j, "allowed", true);
	put_binding(&j, d);
	json_open(&j, "audiences", '[');
	for (size_t i = 0; i < d->n_audiences; i++)
		json_str(&j, NULL, d->audiences[i]);
	json_close(&j, ']');
	err = buf_ok(&b);
	if (err)
		return err;
	err = audit_write(&cl->core->audit, "decision", buf_slice(&b));
	if (err)
		hold_set(cl->core, HOLD_AUDIT, err);
	return err;
}

static int ask_jwt(struct cloud *cl, const struct cloud_doc *d, const struct msg_CR_JWT *ask, struct cloud_wait *w)
{
	AUTO(buf) struct buf audiences = BUF_INIT(LIM_JWT_AUDIENCES);
	AUTO(buf) struct buf claims = BUF_INIT(LIM_CLOUD_CLAIMS);
	const struct identity *doc = policy_by_number(docs_policy(cl->core->docs), d->identity);
	const struct jwt_request req = {
		.front = FRONT_CLOUD,
		.order = ask->order,
		.identity = d->identity,
		.spiffe_id = slice_str(d->spiffe_id),
		.issuer = slice_str(docs_settings(cl->core->docs)->jwt_issuer),
		.ttl = ask->file ? d->file_ttl : d->jwt_ttl,
		.alg = doc ? doc->jwt_alg : JWT_RS256, /* which every cloud takes; the compiler refuses what one does not */
	};
	struct jwt_request full = req;
	char session[SESSION_NAME_MAX + 1];
	int err;

	for (size_t i = 0; i < d->n_audiences; i++)
		list_put_str(&audiences, slice_str(d->audiences[i]));
	buf_put_str(&claims, d->claims);
	if (d->source_identity) {
		session_name(slice_str(d->spiffe_id), slice_str(cl->node), session);
		buf_put_str(&claims, ",\"https://aws.amazon.com/source_identity\":");
		buf_put_json(&claims, slice_str(session));
	}
	err = buf_ok(&audiences) ? buf_ok(&audiences) : buf_ok(&claims);
	if (err)
		return err;
	full.audiences = buf_slice(&audiences);
	full.claims = buf_slice(&claims);
	return authority_jwt(cl->core->auth, &full, &w->id);
}

int cloud_on_jwt(struct chan *ch, struct chan_msg *m)
{
	struct cloud *cl = chan_owner(ch);
	const struct cloud_doc *d = NULL;
	struct cloud_wait *w = NULL;
	struct msg_CR_JWT ask;
	int err = msg_get_CR_JWT(m->body, &ask);

	if (err)
		return err;
	if (!is_new(cl, ask.order))
		return -ERR_PERMIT;
	err = find(cl, ask.binding, &d);
	if (!err && !d->n_audiences)
		return -ERR_PERMIT; /* Roles Anywhere has no use for one */
	if (!err)
		err = open_order(cl, ask.order, ask.binding, &w);
	if (!err)
		err = record(cl, d, "cloud-jwt");
	if (!err)
		err = ask_jwt(cl, d, &ask, w);
	if (err && w)
		close_order(cl, w);
	return err ? refuse(cl, ask.order, err) : 0;
}

bool cloud_jwt_done(struct cloud *cl, uint32_t id, int err, const struct jwt_issued *jwt)
{
	struct cloud_wait *w = order_of(cl, id, false);
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct json j = JSON_INIT(&b);
	const struct cloud_doc *d;

	if (!w)
		return false;
	d = cloud_docs_at(docs_clouds(cl->core->docs), w->binding);
	if (d)
		put_binding(&j, d);
	if (err)
		json_str(&j, "why", err_name(err));
	if (jwt) {
		json_bytes(&j, "jti", jwt->jti);
		json_bytes(&j, "kid", jwt->kid);
		json_time(&j, "not_after", jwt->not_after);
	}
	if (buf_ok(&b) || audit_write(&cl->core->audit, err ? "issue_failed" : "issue", buf_slice(&b)))
		hold_set(cl->core, HOLD_AUDIT, -ERR_AUDIT);
	close_order(cl, w);
	return true;
}

/* The X.509-SVID is held from the first request on, as long as the binding is there. */
static int chain_of(struct cloud *cl, const struct cloud_doc *d, struct set_entry *ret_entry)
{
	const struct identity *doc = policy_by_number(docs_policy(cl->core->docs), d->identity);
	struct cloud_binding *b = cloud_binding_at(cl, d->binding);
	int err = doc && b ? 0 : -ERR_NOT_FOUND;

	if (!err && !b->held) {
		err = identity_hold(cl->core->ids, doc);
		b->held = !err;
	}
	return err ? err : identity_entry(cl->core->ids, d->identity, ret_entry);
}

static int ask_signature(struct cloud *cl, const struct cloud_doc *d, const struct msg_CR_SIGN *ask, uint64_t generation)
{
	struct cloud_wait *w;
	int err = open_order(cl, ask->order, ask->binding, &w);

	if (err)
		return err;
	w->sign = true;
	err = record(cl, d, "cloud-signature");
	if (!err)
		err = authority_sign(cl->core->auth, ask->order, d->identity, generation, ask->text, &w->id);
	if (err)
		close_order(cl, w);
	return err;
}

int cloud_on_sign(struct chan *ch, struct chan_msg *m)
{
	struct cloud *cl = chan_owner(ch);
	const struct cloud_doc *d = NULL;
	struct set_entry entry;
	struct msg_CR_SIGN ask;
	int err = msg_get_CR_SIGN(m->body, &ask);

	if (err)
		return err;
	if (!is_new(cl, ask.order) || (!ask.chain_only && !cloud_may_sign(ask.text)))
		return -ERR_PERMIT;
	err = find(cl, ask.binding, &d);
	if (!err && d->kind != CLOUD_AWS_ROLES_ANYWHERE)
		return -ERR_PERMIT;
	if (!err)
		err = chain_of(cl, d, &entry);
	if (!err)
		err = chan_put(ch, CL_CHAIN, 0, .order = ask.order, .chain = entry.chain);
	if (!err && !ask.chain_only)
		err = ask_signature(cl, d, &ask, entry.generation);
	return err ? refuse(cl, ask.order, err) : 0;
}

void cloud_sign_done(struct cloud *cl, uint32_t id, int err)
{
	struct cloud_wait *w = order_of(cl, id, true);

	if (!w)
		return;
	if (err)
		log_warn(EV_CLOUD, KV("what", V_S("not signed")), KV("binding", V_U(w->binding)), KV("err", V_S(err_name(err))));
	close_order(cl, w);
}

void cloud_keys_lost(struct cloud *cl)
{
	struct cloud_wait *w, *tmp;

	list_for_each_safe(w, tmp, &cl->orders, node) {
		if (cl->chan && w->order && refuse(cl, w->order, -ERR_NOT_READY))
			log_debug(EV_CLOUD, KV("what", V_S("refusal not sent")));
		close_order(cl, w);
	}
}

/* What joins our records to the cloud's: never a secret, and nothing of it was looked into here. */
int cloud_on_exchange(struct chan *ch, struct chan_msg *m)
{
	struct cloud *cl = chan_owner(ch);
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE - 256);
	struct json j = JSON_INIT(&b);
	const struct cloud_doc *d;
	struct msg_CR_EXCHANGE x;
	int err = msg_get_CR_EXCHANGE(m->body, &x);

	if (err)
		return err;
	/* What was granted had an order; of the rest, which needs none, a svid-cloud taken over has as many as it likes. */
	if (!bucket_take(&cl->records))
		return x.err ? 0 : -ERR_PERMIT;
	cl->exchanges++;
	cl->failed += !!x.err;
	d = cloud_docs_at(docs_clouds(cl->core->docs), x.binding);
	if (d)
		put_binding(&j, d);
	json_bool(&j, "granted", !x.err);
	json_u64(&j, "http_status", x.http_status);
	json_bytes(&j, "code", x.code);
	json_bytes(&j, "endpoint", x.endpoint);
	json_bytes(&j, "jti", x.jti);
	json_bytes(&j, "kid", x.kid);
	json_bytes(&j, "session", x.session);
	json_bytes(&j, "principal", x.principal);
	json_bytes(&j, "key_id", x.key_id);
	json_bytes(&j, "request_id", x.request_id);
	json_time(&j, "expires_at", x.expires_at);
	/* It has happened: a missing line stops the next one. */
	if (buf_ok(&b) || audit_write(&cl->core->audit, "exchange", buf_slice(&b)))
		hold_set(cl->core, HOLD_AUDIT, -ERR_AUDIT);
	return 0;
}
