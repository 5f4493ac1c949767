/* SPDX-License-Identifier: Apache-2.0 */
/*
 * issue.c - orders of svid-core for X.509-SVIDs and WIT-SVIDs: EC keys are made in line, RSA keys in the pool;
 * what is signed is always signed on the loop. svid-keys.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/keys/keys.h"
#include "agent/keys/leaf.h"
#include "agent/keys/pkey.h"
#include "agent/keys/wit.h"

/* One order. Owns copies of its strings: the message is gone before an RSA key is there. */
struct issue {
	struct pool_job job;
	struct list node; /* in keys->jobs */
	struct keys *keys;
	uint32_t id; /* of the request */
	uint32_t identity;
	enum svid_kind kind;
	enum key_type type;
	uint32_t ttl_s;
	struct buf spiffe_id;
	struct buf dns_names;
	bool cancelled; /* no answer wanted any more */
	EVP_PKEY *key;	/* what work() made */
	int err;
};

static void issue_free(struct issue *o)
{
	list_del(&o->node);
	EVP_PKEY_free(o->key);
	buf_done(&o->spiffe_id);
	buf_done(&o->dns_names);
	mem_free(o);
}

static int issue_new(struct keys *k, uint32_t id, const struct msg_KY_ISSUE *m, struct issue **ret_issue)
{
	struct issue *o = mem_new(struct issue);
	int err;

	if (!o)
		return -ENOMEM;
	list_init(&o->node);
	o->keys = k;
	o->id = id;
	o->identity = m->identity;
	o->kind = (enum svid_kind)m->kind;
	o->type = o->kind == SVID_WIT ? WIT_KEY_TYPE : (enum key_type)m->key_type;
	o->ttl_s = m->ttl;
	o->spiffe_id = (struct buf)BUF_INIT(LIM_SPIFFE_ID);
	o->dns_names = (struct buf)BUF_INIT(LIM_DNS_NAMES * (LIM_DNS_NAME + 4u));
	buf_put_slice(&o->spiffe_id, m->spiffe_id);
	buf_put_slice(&o->dns_names, m->dns_names);
	err = buf_ok(&o->spiffe_id);
	if (!err)
		err = buf_ok(&o->dns_names);
	if (err) {
		issue_free(o);
		return err;
	}
	*ret_issue = o;
	return 0;
}

static int answer_err(struct issue *o, int err)
{
	log_warn(EV_ISSUE_FAILED, KV("identity", V_U(o->identity)), KV("spiffe_id", V_B(buf_slice(&o->spiffe_id))),
		 KV("err", V_S(err_name(err))));
	return chan_put(o->keys->core, KY_ISSUED, o->id, .identity = o->identity, .kind = o->kind, .err = err);
}

/* What came of an order, as core hears of it. */
struct issued {
	struct buf chain;
	int64_t not_before, not_after;
	struct buf serial;
	struct secbytes key;
};

static void issued_autoclean(struct issued *d)
{
	buf_done(&d->chain);
	buf_done(&d->serial);
	secbytes_done(&d->key);
}

static int make_leaf(struct issue *o, struct issued *d)
{
	struct leaf_spec spec = { .spiffe_id = buf_slice(&o->spiffe_id), .dns_names = buf_slice(&o->dns_names),
				  .ttl_s = o->ttl_s };
	struct leaf leaf;
	int err = leaf_issue(o->keys->authority, &spec, o->key, clock_wall_s(), &d->chain, &leaf);

	if (err)
		return err;
	d->not_before = leaf.not_before;
	d->not_after = leaf.not_after;
	buf_put(&d->serial, leaf.serial, sizeof(leaf.serial));
	err = buf_ok(&d->serial);
	return err ? err : pkey_encode(o->key, &d->key);
}

static int make_wit(struct issue *o, struct issued *d)
{
	struct jws j;
	int err = wit_issue(o->keys->authority, buf_slice(&o->spiffe_id), o->ttl_s, o->key, clock_wall_s(), &d->chain, &j);

	if (err)
		return err;
	d->not_before = j.issued_at;
	d->not_after = j.not_after;
	buf_put_str(&d->serial, j.jti);
	err = buf_ok(&d->serial);
	return err ? err : wit_encode(o->key, &d->key);
}

/* Sign, then keep the key, then tell core: a front can never ask for what is not there yet. */
static int finish(struct issue *o)
{
	AUTO(issued) struct issued d = { .chain = BUF_INIT(LIM_CHAIN), .serial = BUF_INIT(JWS_JTI_BYTES) };
	struct keys *k = o->keys;
	uint64_t generation;
	int err = o->err;

	if (!err)
		err = o->kind == SVID_WIT ? make_wit(o, &d) : make_leaf(o, &d);
	if (!err)
		err = keystore_put(k->store, o->identity, o->kind, &d.key, &generation);
	if (err)
		return answer_err(o, err);
	return chan_put(k->core, KY_ISSUED, o->id, .identity = o->identity, .kind = o->kind, .generation = generation,
			.not_before = d.not_before, .not_after = d.not_after, .serial = buf_slice(&d.serial),
			.chain = buf_slice(&d.chain));
}

static void on_work(struct pool_job *job)
{
	struct issue *o = container_of(job, struct issue, job);

	o->err = pkey_generate(o->type, &o->key);
}

static void on_done(struct pool_job *job)
{
	struct issue *o = container_of(job, struct issue, job);

	/* The keys may have followed each other while this one was made. */
	if (!o->cancelled)
		rotate_now(o->keys);
	/* A full channel condemns itself; there is nobody else to tell. */
	if (!o->cancelled && finish(o))
		log_warn(EV_ISSUE_FAILED, KV("identity", V_U(o->identity)), KV("err", V_S("core does not take answers")));
	issue_free(o);
}

int issue_request(struct keys *k, uint32_t id, const struct msg_KY_ISSUE *m)
{
	const struct signer *signer;
	struct issue *o;
	int err;

	if (m->kind >= SVID_KINDS || m->key_type >= KEY_TYPE_COUNT)
		return -ERR_FORMAT;
	err = issue_new(k, id, m, &o);
	if (err)
		return chan_put(k->core, KY_ISSUED, id, .identity = m->identity, .kind = m->kind, .err = err);
	/* Before a second is spent on a key that must not be used. */
	if (o->kind == SVID_X509)
		o->err = authority_signer(k->authority, SIGN_CA, clock_wall_s(), &signer);
	if (!o->err && pkey_is_slow(o->type)) {
		o->job = (struct pool_job){ .work = on_work, .done = on_done };
		list_add_tail(&k->jobs, &o->node);
		o->err = pool_submit(k->pool, &o->job);
		if (!o->err)
			return 0;
	} else if (!o->err) {
		on_work(&o->job);
	}
	err = finish(o);
	issue_free(o);
	return err;
}

static void drop(struct keys *k, struct issue *o)
{
	o->cancelled = true;
	if (pool_cancel(k->pool, &o->job))
		issue_free(o);
}

void issue_cancel(struct keys *k, uint32_t identity)
{
	struct issue *o, *tmp;

	list_for_each_safe(o, tmp, &k->jobs, node)
		if (o->identity == identity)
			drop(k, o);
}

void issue_drop_all(struct keys *k)
{
	struct issue *o, *tmp;

	list_for_each_safe(o, tmp, &k->jobs, node)
		drop(k, o);
}
