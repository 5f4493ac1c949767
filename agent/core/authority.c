// SPDX-License-Identifier: Apache-2.0
/* authority.c - the embedded authority seen from svid-core: load, store, issue; no key is ever here. */
#include "agent/core/authority.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/policy_build.h"

#define CLOCK_SLACK_S 300  /* a clock further behind the last signature is refused (DESIGN.md 5) */
#define SIGNED_STEP_S 60   /* how often the time of the last signature goes to disk */
#define STORE_RETRY_NS (5 * NS_PER_S)

enum {
	K_NEW,	   /* channel is there, nothing was asked */
	K_LOADING, /* KY_LOAD is out */
	K_READY,
};

struct authority {
	struct loop *loop;
	struct state *st;
	const struct authority_ops *ops;
	void *owner;
	struct chan *keys; /* NULL: not there */
	unsigned int state;
	uint32_t last_id; /* of requests */
	size_t open;	  /* requests without an answer */
	size_t open_jwts; /* the same for JWT-SVIDs */
	size_t open_signs; /* and for signatures */
	int err; /* why it cannot sign, 0 when it can */
	char *trust_domain; /* NULL: not configured */
	struct authority_config config; /* what counts; its trust_domain is not used */
	struct buf bundle, jwks, wit_jwks, nobody_ca;
	uint64_t serial; /* of the first three */
	struct buf unstored; /* a KY_LOADED that state.db could not take; empty: none */
	struct loop_timer store_retry;
	int64_t not_after;
	int64_t last_signed;
	int64_t stored_signed;
};

static void set_err(struct authority *a, int err)
{
	if (a->err == err)
		return;
	a->err = err;
	if (err && err != -ERR_NOT_READY)
		log_error(EV_AUTHORITY, KV("err", V_S(err_name(err))), KV("why", V_S(err_text(err))),
			  KV("state", V_S(state_problem(a->st))));
	a->ops->changed(a->owner);
}

static void on_store_retry(struct loop_timer *t);

int authority_new(struct loop *loop, struct state *st, const struct authority_ops *ops, void *owner,
		  struct authority **ret_authority)
{
	struct authority *a = mem_new(struct authority);

	if (!a)
		return -ENOMEM;
	a->loop = loop;
	a->st = st;
	a->ops = ops;
	a->owner = owner;
	a->err = -ERR_NOT_READY;
	a->bundle = (struct buf)BUF_INIT(LIM_BUNDLE);
	a->jwks = a->wit_jwks = (struct buf)BUF_INIT(LIM_JWKS);
	a->nobody_ca = (struct buf)BUF_INIT(LIM_NOBODY_CA);
	a->unstored = (struct buf)BUF_INIT(LIM_IPC_BODY);
	a->store_retry.cb = on_store_retry;
	*ret_authority = a;
	return 0;
}

void authority_free(struct authority *a)
{
	if (!a)
		return;
	chan_free(a->keys);
	loop_timer_stop(&a->store_retry);
	buf_done(&a->bundle);
	buf_done(&a->jwks);
	buf_done(&a->wit_jwks);
	buf_done(&a->nobody_ca);
	buf_done(&a->unstored);
	mem_free(a->trust_domain);
	mem_free(a);
}

/* The state belongs to one trust domain for ever; the first configuration decides which. */
static int claim_state(struct authority *a)
{
	AUTO(buf) struct buf stored = BUF_INIT(LIM_TRUST_DOMAIN);
	int err = state_get_blob(a->st, STATE_TRUST_DOMAIN, &stored);

	if (err == -ERR_NOT_FOUND)
		return state_put_blob(a->st, STATE_TRUST_DOMAIN, slice_str(a->trust_domain));
	if (err)
		return err;
	if (slice_eq_str(buf_slice(&stored), a->trust_domain))
		return 0;
	log_error(EV_AUTHORITY, KV("why", V_S("trustDomain changed over existing state; use another state directory")),
		  KV("stored", V_B(buf_slice(&stored))), KV("configured", V_S(a->trust_domain)));
	return -ERR_EXISTS;
}

static int read_sealed(struct authority *a, struct buf *sealed, uint32_t *ret_may_create)
{
	int err = state_get_blob(a->st, STATE_AUTHORITY, sealed);

	*ret_may_create = err == -ERR_NOT_FOUND;
	if (err != -ERR_NOT_FOUND)
		return err;
	/* What was set aside was lost, not never there: a new root must be somebody's decision, also after a restart. */
	if (!state_has_lost(a->st))
		return 0;
	log_error(EV_AUTHORITY, KV("why", V_S("a damaged state.db was set aside: no new authority is made while it lies there")),
		  KV("do", V_S("restore state.db; or move state.db.bad-* away and restart, and a new authority is made")));
	return -ERR_STATE;
}

static int start_load(struct authority *a)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	uint32_t may_create;
	int err = claim_state(a);

	if (!err)
		err = read_sealed(a, &sealed, &may_create);
	if (!err)
		err = chan_put(a->keys, KY_LOAD, 0, .trust_domain = slice_str(a->trust_domain), .sealed = buf_slice(&sealed),
			       .may_create = may_create, .ca_ttl = a->config.ca_ttl,
			       .jwt_key_ttl = a->config.jwt_key_ttl, .wit = a->config.wit);
	if (err)
		return err;
	a->state = K_LOADING;
	chan_set_state(a->keys, a->state);
	return 0;
}

/* svid-keys died and that was not read yet: on_dead() comes, then another svid-keys. */
static int sent(int err)
{
	return err == -ERR_CLOSED ? -ERR_NOT_READY : err;
}

static void try_load(struct authority *a)
{
	int err;

	if (!a->keys || !a->trust_domain || a->state != K_NEW)
		return;
	err = sent(start_load(a));
	if (err)
		set_err(a, err);
}

void authority_configure(struct authority *a, const struct authority_config *config)
{
	const char *td = config->trust_domain;

	if (!a->trust_domain && *td) {
		a->trust_domain = mem_strdup(td);
		if (!a->trust_domain) {
			set_err(a, -ENOMEM);
			return;
		}
		a->config = *config;
		a->config.trust_domain = NULL;
		if (state_get_time(a->st, STATE_LAST_SIGNED, &a->last_signed))
			a->last_signed = 0;
		a->stored_signed = a->last_signed;
	} else if (a->trust_domain && *td && strcmp(a->trust_domain, td) != 0) {
		log_error(EV_AUTHORITY, KV("why", V_S("trustDomain cannot change while there is state")),
			  KV("configured", V_S(td)), KV("kept", V_S(a->trust_domain)));
	}
	try_load(a);
}

struct authority_config authority_config_of(const struct authority *a)
{
	struct authority_config config = a->config;

	config.trust_domain = authority_trust_domain(a);
	return config;
}

static void keep(struct buf *to, struct slice s)
{
	buf_reset(to);
	buf_put_slice(to, s);
}

static int store_and_use(struct authority *a, const struct msg_KY_LOADED *m, bool *ret_news)
{
	int err = 0;

	if (!m->bundle.len)
		return -ERR_FORMAT;
	if (m->sealed.len)
		err = state_put_blob(a->st, STATE_AUTHORITY, m->sealed);
	if (err)
		return err;
	if (slice_eq(buf_slice(&a->bundle), m->bundle) && slice_eq(buf_slice(&a->jwks), m->jwks) &&
	    slice_eq(buf_slice(&a->wit_jwks), m->wit_jwks) && a->not_after == m->not_after)
		return 0;
	*ret_news = true;
	a->serial++;
	keep(&a->bundle, m->bundle);
	keep(&a->jwks, m->jwks);
	keep(&a->wit_jwks, m->wit_jwks);
	if (!a->nobody_ca.len) /* the one of another svid-keys is as good: what was told stays as it is */
		keep(&a->nobody_ca, m->nobody_ca);
	a->not_after = m->not_after;
	err = buf_ok(&a->bundle);
	if (!err)
		err = buf_ok(&a->jwks);
	if (!err)
		err = buf_ok(&a->nobody_ca);
	return err ? err : buf_ok(&a->wit_jwks);
}

/* Nothing of it is used before it is on disk: it is kept, and tried again. */
static void put_off(struct authority *a, struct slice body)
{
	AUTO(buf) struct buf copy = BUF_INIT(LIM_IPC_BODY);

	buf_put_slice(&copy, body); /* @body may be what is kept already */
	buf_done(&a->unstored);
	a->unstored = copy;
	copy = (struct buf)BUF_INIT(0);
	if (buf_ok(&a->unstored) || loop_timer_in(a->loop, &a->store_retry, STORE_RETRY_NS))
		log_error(EV_AUTHORITY, KV("what", V_S("new state of svid-keys is lost")), KV("err", V_S("ENOMEM")));
}

static int take_loaded(struct authority *a, struct slice body, bool *ret_news)
{
	struct msg_KY_LOADED loaded;
	int err = msg_get_KY_LOADED(body, &loaded);

	if (err)
		return -ERR_FORMAT;
	err = loaded.err ? loaded.err : store_and_use(a, &loaded, ret_news);
	if (err == -ERR_STATE && !loaded.err) {
		put_off(a, body);
		return err;
	}
	loop_timer_stop(&a->store_retry);
	buf_done(&a->unstored);
	return err ? err : sent(chan_put(a->keys, KY_STORED, 0, .serial = loaded.serial));
}

static void after_load(struct authority *a, int err, bool news)
{
	/* svid-keys goes on with the keys of before until it hears that the new ones are on disk. */
	if (err == -ERR_STATE && a->state == K_READY) {
		log_error(EV_AUTHORITY, KV("what", V_S("new keys wait: not stored")), KV("state", V_S(state_problem(a->st))));
		return;
	}
	news = news || a->state != K_READY;
	if (!err && news) {
		a->state = K_READY;
		chan_set_state(a->keys, a->state);
		log_info(EV_AUTHORITY, KV("state", V_S("ready")), KV("trust_domain", V_S(a->trust_domain)),
			 KV("not_after", V_I(a->not_after)), KV("jwks", V_U(a->jwks.len)));
	}
	if (a->err != err)
		set_err(a, err);
	else if (news)
		a->ops->changed(a->owner);
}

static void on_store_retry(struct loop_timer *t)
{
	struct authority *a = container_of(t, struct authority, store_retry);
	bool news = false;
	int err;

	if (!a->keys || !a->unstored.len)
		return;
	err = take_loaded(a, buf_slice(&a->unstored), &news);
	after_load(a, err, news);
}

/* Also without KY_LOAD: svid-keys has a new sealed state, other keys, or another CA. */
static int on_loaded(struct chan *c, struct chan_msg *m)
{
	struct authority *a = chan_owner(c);
	bool news = false;
	int err = take_loaded(a, m->body, &news);

	if (err == -ERR_FORMAT)
		return err;
	after_load(a, err, news);
	return 0;
}

/* On disk at once when the clock was behind, else now and then: the rule has five minutes of slack. */
static void note_signature(struct authority *a)
{
	int64_t now = clock_wall_s();
	int err;

	if (now > a->last_signed)
		a->last_signed = now;
	if (a->last_signed - a->stored_signed < SIGNED_STEP_S)
		return;
	err = state_put_time(a->st, STATE_LAST_SIGNED, a->last_signed);
	if (err)
		log_warn(EV_STATE, KV("what", V_S("last_signed")), KV("err", V_S(err_name(err))));
	else
		a->stored_signed = a->last_signed;
}

static int on_issued(struct chan *c, struct chan_msg *m)
{
	struct authority *a = chan_owner(c);
	struct msg_KY_ISSUED r;
	struct svid_issued svid;
	int err = msg_get_KY_ISSUED(m->body, &r);

	if (err)
		return err;
	if (!a->open)
		return -ERR_PERMIT;
	if (r.kind >= SVID_KINDS)
		return -ERR_FORMAT;
	a->open--;
	if (r.err) {
		a->ops->issued(a->owner, r.identity, r.kind, m->id, r.err < 0 ? r.err : -ERR_FORMAT, NULL);
		return 0;
	}
	if (!r.chain.len || r.not_after <= r.not_before)
		return -ERR_FORMAT;
	svid = (struct svid_issued){ .generation = r.generation, .not_before = r.not_before, .not_after = r.not_after,
				     .serial = r.serial, .chain = r.chain };
	note_signature(a);
	a->ops->issued(a->owner, r.identity, r.kind, m->id, 0, &svid);
	return 0;
}

static int on_jwt_done(struct chan *c, struct chan_msg *m)
{
	struct authority *a = chan_owner(c);
	struct msg_KY_JWT_DONE r;
	struct jwt_issued jwt;
	int err = msg_get_KY_JWT_DONE(m->body, &r);

	if (err)
		return err;
	if (!a->open_jwts)
		return -ERR_PERMIT;
	a->open_jwts--;
	if (r.err) {
		a->ops->jwt_done(a->owner, m->id, r.err < 0 ? r.err : -ERR_FORMAT, NULL);
		return 0;
	}
	jwt = (struct jwt_issued){ .jti = r.jti, .kid = r.kid, .not_after = r.not_after };
	note_signature(a);
	a->ops->jwt_done(a->owner, m->id, 0, &jwt);
	return 0;
}

static int on_sign_done(struct chan *c, struct chan_msg *m)
{
	struct authority *a = chan_owner(c);
	struct msg_KY_SIGN_DONE r;
	int err = msg_get_KY_SIGN_DONE(m->body, &r);

	if (err)
		return err;
	if (!a->open_signs)
		return -ERR_PERMIT;
	a->open_signs--;
	a->ops->sign_done(a->owner, m->id, r.err);
	return 0;
}

static void on_dead(struct chan *c, int err)
{
	struct authority *a = chan_owner(c);

	if (err != -ERR_CLOSED)
		a->ops->kill(a->owner);
	chan_free(c);
	a->keys = NULL;
	a->state = K_NEW;
	a->open = a->open_jwts = a->open_signs = 0;
	loop_timer_stop(&a->store_retry);
	buf_done(&a->unstored); /* the next one starts from what is stored */
	set_err(a, -ERR_NOT_READY);
	a->ops->lost(a->owner);
}

static const struct chan_rule rules[] = {
	{ MSG_KY_LOADED, 1u << K_LOADING | 1u << K_READY, on_loaded },
	{ MSG_KY_ISSUED, 1u << K_READY, on_issued },
	{ MSG_KY_JWT_DONE, 1u << K_READY, on_jwt_done },
	{ MSG_KY_SIGN_DONE, 1u << K_READY, on_sign_done },
};

static const struct chan_ops chan_ops = {
	.peer = "svid-keys",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int authority_peer(struct authority *a, int fd)
{
	int err;

	if (a->keys)
		on_dead(a->keys, -ERR_CLOSED);
	err = chan_new(a->loop, fd, &chan_ops, a, &a->keys);
	if (err)
		return err;
	a->state = K_NEW;
	try_load(a);
	return 0;
}

int authority_err(const struct authority *a)
{
	return a->err;
}

const char *authority_trust_domain(const struct authority *a)
{
	return a->trust_domain ? a->trust_domain : "";
}

struct slice authority_bundle(const struct authority *a)
{
	return buf_slice(&a->bundle);
}

struct slice authority_jwks(const struct authority *a)
{
	return buf_slice(&a->jwks);
}

struct slice authority_wit_jwks(const struct authority *a)
{
	return buf_slice(&a->wit_jwks);
}

struct slice authority_nobody_ca(const struct authority *a)
{
	return buf_slice(&a->nobody_ca);
}

bool authority_wit(const struct authority *a)
{
	return a->config.wit;
}

uint64_t authority_serial(const struct authority *a)
{
	return a->serial;
}

static int may_sign(const struct authority *a)
{
	if (a->err)
		return a->err;
	return clock_wall_s() + CLOCK_SLACK_S < a->last_signed ? -ERR_CLOCK : 0;
}

static uint32_t next_id(struct authority *a)
{
	a->last_id = a->last_id + 1 ? a->last_id + 1 : 1;
	return a->last_id;
}

int authority_issue(struct authority *a, const struct svid_request *req, uint32_t *ret_id)
{
	int err = may_sign(a);
	uint32_t id;

	if (err)
		return err;
	id = next_id(a);
	err = sent(chan_put(a->keys, KY_ISSUE, id, .identity = req->identity, .kind = req->kind,
			    .spiffe_id = req->spiffe_id, .ttl = req->ttl, .key_type = req->key_type,
			    .dns_names = req->dns_names));
	if (err)
		return err;
	a->open++;
	*ret_id = id;
	return 0;
}

int authority_jwt(struct authority *a, const struct jwt_request *req, uint32_t *ret_id)
{
	int err = may_sign(a);
	uint32_t id;

	if (err)
		return err;
	id = next_id(a);
	err = sent(chan_put(a->keys, KY_JWT, id, .front = req->front, .order = req->order, .identity = req->identity,
			    .spiffe_id = req->spiffe_id, .issuer = req->issuer, .ttl = req->ttl, .alg = req->alg,
			    .audiences = req->audiences, .claims = req->claims));
	if (err)
		return err;
	a->open_jwts++;
	*ret_id = id;
	return 0;
}

int authority_sign(struct authority *a, uint32_t order, uint32_t identity, uint64_t generation, struct slice text,
		   uint32_t *ret_id)
{
	int err = may_sign(a);
	uint32_t id;

	if (err)
		return err;
	id = next_id(a);
	err = sent(chan_put(a->keys, KY_SIGN, id, .order = order, .identity = identity, .generation = generation,
			    .text = text));
	if (err)
		return err;
	a->open_signs++;
	*ret_id = id;
	return 0;
}

int authority_bind(struct authority *a, uint32_t front, const uint32_t *identities, size_t n)
{
	AUTO(buf) struct buf list = BUF_INIT(LIM_SET_IDENTITIES * 4);

	if (!a->keys || a->state != K_READY)
		return -ERR_NOT_READY;
	for (size_t i = 0; i < n; i++)
		buf_put_u32(&list, identities[i]);
	return sent(chan_put(a->keys, KY_BIND, 0, .front = front, .identities = buf_slice(&list)));
}

void authority_forget(struct authority *a, uint32_t identity)
{
	/* When it cannot be sent, svid-keys is gone and has forgotten already. */
	if (a->keys && chan_put(a->keys, KY_FORGET, 0, .identity = identity))
		log_debug(EV_AUTHORITY, KV("what", V_S("forget not sent")));
}

/* The names of the keys, as those who check tokens know them. */
static void put_kids(struct json *j, const char *name, struct slice jwks)
{
	AUTO(form) json_t *set = NULL;
	json_t *key;
	size_t i;

	if (jwks.len && form_load(jwks, &set) == -ENOMEM)
		buf_fail(j->b, -ENOMEM);
	json_open(j, name, '[');
	json_array_foreach(json_object_get(set, "keys"), i, key)
		json_str(j, NULL, json_string_value(json_object_get(key, "kid")));
	json_close(j, ']');
}

void authority_put_status(const struct authority *a, struct json *j)
{
	json_str(j, "state", a->err == 0 ? "ready" : a->err == -ERR_NOT_READY ? "starting" : "refused");
	json_str(j, "why", a->err ? err_text(a->err) : NULL);
	json_str(j, "kind", "embedded");
	json_time(j, "not_after", a->not_after);
	json_time(j, "last_signed", a->last_signed);
	put_kids(j, "jwt_keys", buf_slice(&a->jwks));
	if (a->config.wit)
		put_kids(j, "wit_keys", buf_slice(&a->wit_jwks));
	json_bool(j, "unstored", a->unstored.len);
}
