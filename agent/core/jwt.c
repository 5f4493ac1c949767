// SPDX-License-Identifier: Apache-2.0
/* jwt.c - who gets a JWT-SVID for which audiences: allow-list, rate, record, order. svid-core. */
#include "agent/core/jwt.h"

#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/facts.h"

/* One order that svid-keys has. It outlives its front: the record is owed all the same. */
struct jwt_open {
	struct list node;
	uint32_t id; /* of the request to svid-keys */
	uint32_t front, order;
	uint64_t conn;
	char *spiffe_id;
};

void jwts_init(struct jwts *j)
{
	*j = (struct jwts){ .issued = 0 };
	list_init(&j->open);
}

static void open_free(struct jwt_open *o)
{
	list_del(&o->node);
	mem_free(o->spiffe_id);
	mem_free(o);
}

void jwts_free(struct jwts *j)
{
	struct jwt_open *o, *tmp;

	list_for_each_safe(o, tmp, &j->open, node)
		open_free(o);
}

static bool is_listed(const struct identity *doc, struct slice audience)
{
	for (size_t i = 0; i < doc->n_jwt_audiences; i++)
		if (slice_eq_str(audience, doc->jwt_audiences[i]))
			return true;
	return false;
}

/* Without a list any audience may be asked for; with one, all of them have to be on it. */
static bool allowed(const struct identity *doc, struct slice audiences)
{
	while (doc->n_jwt_audiences && audiences.len)
		if (!is_listed(doc, list_get_str(&audiences, LIM_AUDIENCE)))
			return false;
	return true;
}

static int judge(const struct core *c, const struct conn *conn, const struct identity *doc, const struct jwt_ask *ask)
{
	int hold = hold_err(c);

	if (ask->over_rate)
		return -ERR_RATE;
	if (hold)
		return hold;
	if (conn->state != CONN_SERVED || conn->end_err || conn_changed(conn))
		return -ERR_CHANGED;
	if (!doc || conn->leave_err)
		return -ERR_IDENTITIES;
	if (!allowed(doc, ask->audiences))
		return -ERR_AUDIENCE;
	return authority_err(c->auth);
}

static void put_caller(struct json *j, const struct conn *conn)
{
	struct facts f;

	json_u64(j, "connection", conn->number);
	json_i64(j, "pid", conn->pid);
	if (!conn->asker.decision)
		return;
	f = decision_facts(conn->asker.decision);
	json_u64(j, "uid", f.conn->creds.ids.euid);
	if (!f.path_err)
		json_bytes(j, "path", f.path);
}

static void put_audiences(struct json *j, struct slice audiences)
{
	json_open(j, "audiences", '[');
	while (audiences.len)
		json_bytes(j, NULL, list_get_str(&audiences, LIM_AUDIENCE));
	json_close(j, ']');
}

/* Errors: -ERR_SIZE (it does not fit into a line: then nobody could read what was given), -ERR_AUDIT. */
static int record(struct core *c, const struct conn *conn, const struct identity *doc, const struct jwt_ask *ask, int why)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE - 256);
	struct json j = JSON_INIT(&b);
	int err;

	json_str(&j, "decision", "jwt");
	json_bool(&j, "allowed", !why);
	json_str(&j, "why", why ? err_name(why) : NULL);
	json_str(&j, "spiffe_id", doc ? doc->spiffe_id : NULL);
	put_caller(&j, conn);
	json_u64(&j, "front", ask->front);
	json_u64(&j, "order", ask->order);
	put_audiences(&j, ask->audiences);
	if (buf_ok(&b))
		return -ERR_SIZE;
	err = audit_write(&c->audit, "decision", buf_slice(&b));
	if (err)
		hold_set(c, HOLD_AUDIT, err);
	return err;
}

static int order(struct core *c, const struct identity *doc, const struct jwt_ask *ask)
{
	const struct settings *s = docs_settings(c->docs);
	struct jwt_open *o = mem_new(struct jwt_open);
	struct jwt_request req = {
		.front = ask->front,
		.order = ask->order,
		.identity = ask->identity,
		.spiffe_id = slice_str(doc->spiffe_id),
		.issuer = slice_str(s->jwt_issuer),
		.ttl = doc->jwt_ttl,
		.alg = doc->jwt_alg,
		.audiences = ask->audiences,
	};
	int err = -ENOMEM;

	if (!o)
		return -ENOMEM;
	*o = (struct jwt_open){ .front = ask->front, .order = ask->order, .conn = ask->conn };
	list_init(&o->node);
	o->spiffe_id = mem_strdup(doc->spiffe_id);
	if (o->spiffe_id)
		err = authority_jwt(c->auth, &req, &o->id);
	if (err)
		open_free(o);
	else
		list_add_tail(&c->jwts.open, &o->node);
	return err;
}

static void count(struct jwts *j, int refusal)
{
	j->refused_audience += refusal == -ERR_AUDIENCE;
	j->refused_rate += refusal == -ERR_RATE;
	j->refused_other += refusal && refusal != -ERR_AUDIENCE && refusal != -ERR_RATE;
}

/* Over the rate there is one line in a while, or the log would be the flood. */
static bool is_worth_a_line(struct core *c, int refusal)
{
	return refusal != -ERR_RATE || c->jwts.refused_rate % LIM_JWT_BURST == 0;
}

int jwt_order(struct core *c, const struct idset *set, const struct jwt_ask *ask, int *ret_refusal)
{
	const struct identity *doc = policy_by_number(docs_policy(c->docs), ask->identity);
	struct conn *conn = conn_by_number(c, ask->conn);
	int refusal, err = 0;

	if (conn ? conn->set != set || conn->state < CONN_SERVED : !conn_was(c, ask->conn))
		return -ERR_PERMIT;
	refusal = conn ? judge(c, conn, doc, ask) : -ERR_CHANGED;
	if (conn && is_worth_a_line(c, refusal))
		err = record(c, conn, doc, ask, refusal);
	if (err)
		refusal = err;
	if (!refusal)
		refusal = order(c, doc, ask);
	count(&c->jwts, refusal);
	*ret_refusal = refusal;
	return 0;
}

static void record_end(struct core *c, const struct jwt_open *o, int err, const struct jwt_issued *jwt)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE / 2);
	struct json j = JSON_INIT(&b);

	json_str(&j, "spiffe_id", o->spiffe_id);
	json_str(&j, "kind", "jwt");
	if (err)
		json_str(&j, "why", err_name(err));
	if (jwt) {
		json_bytes(&j, "jti", jwt->jti);
		json_bytes(&j, "kid", jwt->kid);
		json_time(&j, "not_after", jwt->not_after);
	}
	json_u64(&j, "connection", o->conn);
	json_u64(&j, "front", o->front);
	json_u64(&j, "order", o->order);
	/* The token is with the front already: a line that is missing stops the next one. */
	if (buf_ok(&b) || audit_write(&c->audit, err ? "issue_failed" : "issue", buf_slice(&b)))
		hold_set(c, HOLD_AUDIT, -ERR_AUDIT);
}

static struct jwt_open *find(const struct jwts *j, uint32_t id)
{
	struct jwt_open *o;

	list_for_each(o, &j->open, node)
		if (o->id == id)
			return o;
	return NULL;
}

void jwt_done(struct core *c, uint32_t id, int err, const struct jwt_issued *jwt)
{
	struct jwt_open *o = find(&c->jwts, id);

	if (!o)
		return;
	c->jwts.issued += !err;
	c->jwts.failed += !!err;
	if (err)
		log_warn(EV_ISSUE_FAILED, KV("spiffe_id", V_S(o->spiffe_id)), KV("kind", V_S("jwt")),
			 KV("err", V_S(err_name(err))));
	record_end(c, o, err, jwt);
	fronts_jwt_over(c->fronts, o->front, o->order, 0);
	open_free(o);
}

void jwts_lost(struct core *c)
{
	struct jwt_open *o, *tmp;

	list_for_each_safe(o, tmp, &c->jwts.open, node) {
		c->jwts.failed++;
		record_end(c, o, -ERR_NOT_READY, NULL);
		fronts_jwt_over(c->fronts, o->front, o->order, -ERR_NOT_READY);
		open_free(o);
	}
}
