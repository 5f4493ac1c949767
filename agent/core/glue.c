// SPDX-License-Identifier: Apache-2.0
/* glue.c - what the pools and tables call back, in one place: none of them knows another. svid-core. */
#include <errno.h>

#include "agent/base/log.h"
#include "agent/core/core.h"

static void on_attest_kill(void *owner, uint32_t index)
{
	parent_kill(owner, ROLE_ATTEST, index);
}

static const struct attest_ops attest_ops = { .kill = on_attest_kill };

static void on_authority_changed(void *owner)
{
	struct core *c = owner;
	int err = authority_err(c->auth);

	if (!err) {
		fronts_bind(c->fronts);
		identities_ready(c->ids);
		fronts_push(c->fronts, 0);
		cloud_authority_changed(c->cloud);
	}
	/* What fronts hold stays good while svid-keys comes back: only callers that cannot be served yet wait. */
	if (!err || err != -ERR_NOT_READY || !c->ready)
		hold_set(c, HOLD_AUTHORITY, err);
}

static void on_authority_issued(void *owner, uint32_t identity, enum svid_kind kind, uint32_t id, int err,
				const struct svid_issued *svid)
{
	struct core *c = owner;

	identities_issued(c->ids, identity, kind, id, err, svid);
}

static void on_authority_jwt_done(void *owner, uint32_t id, int err, const struct jwt_issued *jwt)
{
	struct core *c = owner;

	if (!cloud_jwt_done(c->cloud, id, err, jwt))
		jwt_done(c, id, err, jwt);
}

static void on_authority_sign_done(void *owner, uint32_t id, int err)
{
	struct core *c = owner;

	cloud_sign_done(c->cloud, id, err);
}

static void on_authority_lost(void *owner)
{
	struct core *c = owner;

	fronts_keys_lost(c->fronts);
	identities_lost(c->ids);
	jwts_lost(c);
	cloud_keys_lost(c->cloud);
}

static void on_authority_kill(void *owner)
{
	parent_kill(owner, ROLE_KEYS, 0);
}

static const struct authority_ops authority_ops = {
	.changed = on_authority_changed,
	.issued = on_authority_issued,
	.jwt_done = on_authority_jwt_done,
	.sign_done = on_authority_sign_done,
	.lost = on_authority_lost,
	.kill = on_authority_kill,
};

static void on_identity_changed(void *owner, uint32_t number)
{
	struct core *c = owner;

	fronts_push(c->fronts, number);
}

static const struct identities_ops identities_ops = { .changed = on_identity_changed };

static int on_front_spawn(void *owner, uint32_t number)
{
	struct core *c = owner;

	return chan_put(c->parent, C_SPAWN_FRONT, 0, .number = number);
}

static void on_front_kill(void *owner, uint32_t number)
{
	parent_kill(owner, ROLE_FRONT, number);
}

/* Each connection is given back once; what was forgotten already (cut, and the front was late) is no fault. */
static int on_front_closed(void *owner, const struct idset *set, uint64_t number, int err, uint32_t requests)
{
	struct core *c = owner;
	struct conn *conn = conn_by_number(c, number);

	if (!conn)
		return conn_was(c, number) ? 0 : -ERR_PERMIT;
	if (conn->set != set || conn->state < CONN_SERVED)
		return -ERR_PERMIT;
	log_debug(EV_CONN, KV("connection", V_U(number)), KV("pid", V_I(conn->pid)), KV("requests", V_U(requests)),
		  KV("err", V_S(err_name(err))));
	conn_blame(conn, err);
	conn_free(conn);
	return 0;
}

/* Once per connection: a front that was taken over must not make us work for nothing. */
static int on_front_asked(void *owner, const struct idset *set, uint64_t number, struct buf *json)
{
	struct core *c = owner;
	struct conn *conn = conn_by_number(c, number);

	if (!conn)
		return conn_was(c, number) ? 0 : -ERR_PERMIT;
	if (conn->set != set || conn->state < CONN_SERVED || conn->told_whoami)
		return -ERR_PERMIT;
	conn->told_whoami = true;
	if (conn->asker.decision)
		decision_whoami(conn->asker.decision, json);
	else
		buf_printf(json, "{\"identities\":[],\"evidence\":\"%s\"}",
			   conn->unrecorded ? "the kernel did not record this connection" : "the agent could not decide");
	return 0;
}

static int on_front_jwt(void *owner, const struct idset *set, const struct jwt_ask *ask, int *ret_refusal)
{
	return jwt_order(owner, set, ask, ret_refusal);
}

static void on_front_end(void *owner, struct conn *conn, int err)
{
	(void)owner;
	conn_revoke(conn, err);
}

static void on_front_lost(void *owner, struct conn *conn)
{
	(void)owner;
	conn_free(conn);
}

static const struct fronts_ops fronts_ops = {
	.spawn = on_front_spawn,
	.kill = on_front_kill,
	.closed = on_front_closed,
	.end = on_front_end,
	.lost = on_front_lost,
	.asked = on_front_asked,
	.jwt = on_front_jwt,
};

static void on_undertaker_kill(void *owner, uint32_t index)
{
	parent_kill(owner, ROLE_UNDERTAKER, index);
}

static void on_door(void *owner, enum bound_kind kind, uint64_t who, uint64_t until)
{
	static const uint32_t kinds[] = { [BOUND_UID] = SVID_WHO_UID, [BOUND_CGROUP] = SVID_WHO_CGROUP,
					  [BOUND_USERNS] = SVID_WHO_USERNS };
	struct core *c = owner;
	struct svid_who w = { .id = who, .kind = kinds[kind] };

	provider_door(c->provider, &w, until);
}

int core_make_parts(struct core *c)
{
	int err = attest_new(c->loop, &attest_ops, c, &c->attest);

	jwts_init(&c->jwts);
	if (!err)
		err = digests_new(c->loop, c->attest, &c->digests);
	if (!err)
		err = authority_new(c->loop, c->state, &authority_ops, c, &c->auth);
	if (!err)
		err = identities_new(c->loop, c->auth, &c->audit, &identities_ops, c, &c->ids);
	if (!err)
		err = bundles_new(c->state, &c->bundles);
	if (!err)
		err = fronts_new(c->loop, c->ids, c->auth, c->bundles, &fronts_ops, c, &c->fronts);
	if (!err)
		err = docs_new(c->state, &c->docs);
	if (!err)
		err = conns_new(c);
	if (!err)
		err = cloud_new(c, &c->cloud);
	decisions_init(&c->decisions);
	if (!err)
		err = nobodies_init(c);
	bounds_init(&c->bounds);
	c->bounds.door = on_door;
	c->bounds.owner = c;
	bury_init(&c->bury, c->loop, c->plan.listen_public, on_undertaker_kill, c);
	return err;
}
