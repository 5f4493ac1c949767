/* SPDX-License-Identifier: Apache-2.0 */
/* core.c - what svid-core may ask for: load the authority first, then bind fronts, order and forget SVIDs. svid-keys. */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/keys/keys.h"
#include "agent/keys/root.h"
#include "agent/keys/seal.h"

enum core_state { CORE_EMPTY, CORE_LOADED };

#define IN(state) (1u << (state))

/* Never a new authority where a sealed one was given: a lost key must be seen by a person (DESIGN.md 5). */
static int load(struct keys *k, const struct msg_KY_LOAD *m, struct authority **ret_authority)
{
	const struct authority_plan plan = { .ca_ttl_s = m->ca_ttl, .jwt_ttl_s = m->jwt_key_ttl, .wit = m->wit != 0 };
	AUTO(authority) struct authority *a = NULL;
	int err;

	if (!k->seal_key.len)
		return -ERR_NOT_READY;
	if (!m->sealed.len && !m->may_create)
		return -ERR_NOT_FOUND;
	err = m->sealed.len ? seal_open(m->sealed, secbytes_slice(&k->seal_key), m->trust_domain, &a)
			    : authority_new(m->trust_domain, &a);
	if (!err)
		err = authority_configure(a, &plan);
	if (err)
		return err;
	*ret_authority = take(&a);
	return 0;
}

static int start(struct keys *k, uint32_t id, struct authority *a)
{
	int err;

	/* A core that was restarted with an older copy of its state must not turn our clock rule back. */
	authority_signed(a, k->last_signature);
	k->authority = a;
	k->nobody_ca = (struct buf)BUF_INIT(LIM_NOBODY_CA);
	err = root_of_nobody(clock_wall_s(), &k->nobody_ca);
	if (!err)
		err = rotate_start(k, id);
	if (err) {
		rotate_stop(k);
		buf_done(&k->nobody_ca);
		k->authority = NULL;
	}
	return err;
}

static int on_load(struct chan *c, struct chan_msg *m)
{
	AUTO(authority) struct authority *a = NULL;
	const struct signer *signer;
	struct keys *k = chan_owner(c);
	struct msg_KY_LOAD load_m;
	int err = msg_get_KY_LOAD(m->body, &load_m);

	if (err)
		return err;
	err = load(k, &load_m, &a);
	if (!err)
		err = start(k, m->id, a);
	if (err) {
		log_error(EV_AUTHORITY, KV("what", V_S("not loaded")), KV("err", V_S(err_name(err))));
		return chan_put(c, KY_LOADED, m->id, .err = err);
	}
	err = authority_signer(take(&a), SIGN_CA, clock_wall_s(), &signer);
	log_info(EV_AUTHORITY, KV("trust_domain", V_B(load_m.trust_domain)),
		 KV("what", V_S(load_m.sealed.len ? "opened" : "created")), KV("may_sign", V_S(err_name(err))));
	chan_set_state(c, CORE_LOADED);
	return 0;
}

static int on_stored(struct chan *c, struct chan_msg *m)
{
	struct msg_KY_STORED stored;
	int err = msg_get_KY_STORED(m->body, &stored);

	if (!err)
		rotate_stored(chan_owner(c), stored.serial);
	return err;
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

static int on_issue(struct chan *c, struct chan_msg *m)
{
	struct keys *k = chan_owner(c);
	struct msg_KY_ISSUE order;
	int err = msg_get_KY_ISSUE(m->body, &order);

	if (err)
		return err;
	rotate_now(k);
	err = issue_request(k, m->id, &order);
	rotate_seal(k);
	return err;
}

static int mint(struct keys *k, uint32_t id, const struct msg_KY_JWT *order)
{
	int err;

	rotate_now(k);
	err = mint_request(k, id, order);
	rotate_seal(k);
	return err;
}

static int on_jwt(struct chan *c, struct chan_msg *m)
{
	struct msg_KY_JWT order;
	int err = msg_get_KY_JWT(m->body, &order);

	if (err)
		return err;
	return order.front == FRONT_CLOUD ? turn_take(chan_owner(c), m) : mint(chan_owner(c), m->id, &order);
}

static int on_sign(struct chan *c, struct chan_msg *m)
{
	return turn_take(chan_owner(c), m);
}

static int sign(struct keys *k, uint32_t id, struct slice body)
{
	struct msg_KY_SIGN order;
	int err = msg_get_KY_SIGN(body, &order);

	if (err)
		return err;
	err = cloud_sign(k, &order);
	return err == -ERR_FORMAT ? err : chan_put(k->core, KY_SIGN_DONE, id, .err = err);
}

int turn_do(struct keys *k, uint16_t type, uint32_t id, struct slice body)
{
	struct msg_KY_JWT order;
	int err;

	if (type == MSG_KY_SIGN)
		return sign(k, id, body);
	err = msg_get_KY_JWT(body, &order);
	return err ? err : mint(k, id, &order);
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
	{ MSG_KY_STORED, IN(CORE_LOADED), on_stored },
	{ MSG_KY_BIND, IN(CORE_EMPTY) | IN(CORE_LOADED), on_bind },
	{ MSG_KY_ISSUE, IN(CORE_LOADED), on_issue },
	{ MSG_KY_JWT, IN(CORE_LOADED), on_jwt },
	{ MSG_KY_SIGN, IN(CORE_LOADED), on_sign },
	{ MSG_KY_FORGET, IN(CORE_LOADED), on_forget },
};

/* Core going away is normal: svidd brings another. Core breaking the rules is not. */
void core_broke(struct keys *k, int err)
{
	core_drop(k);
	if (err != -ERR_CLOSED)
		keys_stop(k, err);
}

static void on_dead(struct chan *c, int err)
{
	core_broke(chan_owner(c), err);
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
	turn_drop_all(k);
	rotate_stop(k);
	buf_done(&k->nobody_ca);
	front_drop_all(k);
	keystore_clear(k->store);
	chan_free(k->core);
	k->core = NULL;
	if (k->authority && k->authority->last_signature > k->last_signature)
		k->last_signature = k->authority->last_signature;
	authority_free(k->authority);
	k->authority = NULL;
}
