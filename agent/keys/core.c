/* SPDX-License-Identifier: Apache-2.0 */
/* core.c - what svid-core may ask for: load the authority first, then bind fronts, order and forget SVIDs. svid-keys. */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/keys/keys.h"
#include "agent/keys/seal.h"

enum core_state { CORE_EMPTY, CORE_LOADED };

#define IN(state) (1u << (state))
#define RESEAL_S 60 /* a crash forgets at most this much of the clock rule */

/* Never a new authority where a sealed one was given: a lost key must be seen by a person (DESIGN.md 5). */
static int load(struct keys *k, const struct msg_KY_LOAD *m, struct authority **ret_authority)
{
	if (!k->seal_key.len)
		return -ERR_NOT_READY;
	if (m->sealed.len)
		return seal_open(m->sealed, secbytes_slice(&k->seal_key), m->trust_domain, ret_authority);
	if (!m->may_create)
		return -ERR_NOT_FOUND;
	return authority_create(m->trust_domain, KEY_EC_P256, m->ca_ttl, clock_wall_s(), ret_authority);
}

static int tell_loaded(struct keys *k, uint32_t id, bool store)
{
	struct authority *a = k->authority;
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	int err = cert_put_der(a->cert, &der);

	if (!err && store)
		err = seal_write(a, secbytes_slice(&k->seal_key), &sealed);
	if (err)
		return err;
	k->sealed_at = a->last_signature;
	return chan_put(k->core, KY_LOADED, id, .bundle = buf_slice(&der), .not_after = a->not_after,
			.sealed = buf_slice(&sealed));
}

static int on_load(struct chan *c, struct chan_msg *m)
{
	AUTO(authority) struct authority *a = NULL;
	struct keys *k = chan_owner(c);
	struct msg_KY_LOAD load_m;
	int err = msg_get_KY_LOAD(m->body, &load_m);

	if (err)
		return err;
	err = load(k, &load_m, &a);
	if (!err) {
		/* A core that was restarted with an older copy of its state must not turn our clock rule back. */
		authority_signed(a, k->last_signature);
		k->last_signature = a->last_signature;
		k->authority = a;
		err = tell_loaded(k, m->id, !load_m.sealed.len);
		k->authority = err ? NULL : take(&a);
	}
	if (err) {
		log_error(EV_AUTHORITY, KV("what", V_S("not loaded")), KV("err", V_S(err_name(err))));
		return chan_put(c, KY_LOADED, m->id, .err = err);
	}
	err = authority_may_sign(k->authority, clock_wall_s());
	log_info(EV_AUTHORITY, KV("trust_domain", V_B(load_m.trust_domain)),
		 KV("what", V_S(load_m.sealed.len ? "opened" : "created")), KV("may_sign", V_S(err_name(err))));
	chan_set_state(c, CORE_LOADED);
	return 0;
}

static int on_bind(struct chan *c, struct chan_msg *m)
{
	struct keys *k = chan_owner(c);
	struct msg_KY_BIND bind;
	int err = msg_get_KY_BIND(m->body, &bind);

	if (err)
		return err;
	err = front_bind(k, bind.front, bind.identities);
	if (err == -ERR_PERMIT || err == -ERR_FORMAT)
		return err;
	if (err)
		log_warn(EV_FRONT, KV("front", V_U(bind.front)), KV("not_bound", V_S(err_name(err))));
	return 0;
}

/* So that a restart of the machine does not forget the newest signature. */
static int reseal(struct keys *k)
{
	if (k->authority->last_signature < k->sealed_at + RESEAL_S)
		return 0;
	return tell_loaded(k, 0, true);
}

static int on_issue(struct chan *c, struct chan_msg *m)
{
	struct keys *k = chan_owner(c);
	struct msg_KY_ISSUE order;
	int err = msg_get_KY_ISSUE(m->body, &order);

	if (!err)
		err = issue_request(k, m->id, &order);
	if (err)
		return err;
	err = reseal(k);
	if (err)
		log_warn(EV_AUTHORITY, KV("what", V_S("not sealed again")), KV("err", V_S(err_name(err))));
	return 0;
}

static int on_forget(struct chan *c, struct chan_msg *m)
{
	struct keys *k = chan_owner(c);
	struct msg_KY_FORGET forget;
	int err = msg_get_KY_FORGET(m->body, &forget);

	if (err)
		return err;
	issue_cancel(k, forget.identity);
	keystore_forget(k->store, forget.identity);
	return 0;
}

static const struct chan_rule rules[] = {
	{ MSG_KY_LOAD, IN(CORE_EMPTY), on_load },
	{ MSG_KY_BIND, IN(CORE_EMPTY) | IN(CORE_LOADED), on_bind },
	{ MSG_KY_ISSUE, IN(CORE_LOADED), on_issue },
	{ MSG_KY_FORGET, IN(CORE_LOADED), on_forget },
};

/* Core going away is normal: svidd brings another. Core breaking the rules is not. */
static void on_dead(struct chan *c, int err)
{
	struct keys *k = chan_owner(c);

	core_drop(k);
	if (err != -ERR_CLOSED)
		keys_stop(k, err);
}

static const struct chan_ops ops = {
	.peer = "svid-core", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead
};

int core_attach(struct keys *k, int fd)
{
	/* svidd sends K_CORE before any front of the new core, so all that is here is the old one's. */
	core_drop(k);
	return chan_new(k->loop, fd, &ops, k, &k->core);
}

void core_drop(struct keys *k)
{
	/* Numbers of fronts and identities are core's: the next core starts counting afresh. */
	issue_drop_all(k);
	front_drop_all(k);
	keystore_clear(k->store);
	chan_free(k->core);
	k->core = NULL;
	authority_free(k->authority);
	k->authority = NULL;
}
