/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mint.c - JWT-SVIDs: svid-core decided and wrote it down, the token goes to the front or to svid-cloud, never to svid-core.
 * svid-keys; called by core.c.
 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/keys/jwt.h"
#include "agent/keys/keys.h"

static int give(struct keys *k, const struct msg_KY_JWT *m, const struct jws *j, int err, struct slice token)
{
	if (m->front == FRONT_CLOUD)
		return cloud_give_jwt(k, &(struct msg_CK_JWT){ .order = m->order, .err = err, .issued_at = j->issued_at,
				.not_after = j->not_after, .jti = slice_str(j->jti), .kid = slice_str(j->kid), .token = token });
	return front_give_jwt(k, m->front, &(struct msg_FK_JWT){ .order = m->order, .err = err,
			.issued_at = j->issued_at, .not_after = j->not_after, .token = token });
}

static int mint(struct keys *k, const struct msg_KY_JWT *m, struct jws *ret_jws)
{
	const struct jwt_spec spec = { .spiffe_id = m->spiffe_id, .issuer = m->issuer, .audiences = m->audiences,
				       .claims = m->claims, .ttl_s = m->ttl, .alg = (enum jwt_alg)m->alg };
	AUTO(buf) struct buf token = BUF_INIT_SECRET(LIM_JWT);
	struct jws j = { .issued_at = 0 };
	int err = jwt_issue(k->authority, &spec, clock_wall_s(), &token, &j);
	int sent = give(k, m, &j, err, buf_slice(&token));

	err = err ? err : sent;
	if (!err)
		*ret_jws = j;
	return err;
}

int mint_request(struct keys *k, uint32_t id, const struct msg_KY_JWT *m)
{
	struct jws j = { .issued_at = 0 };
	int err;

	if ((m->alg != JWT_RS256 && m->alg != JWT_ES256) || (m->claims.len && m->front != FRONT_CLOUD))
		return -ERR_FORMAT;
	err = m->front == FRONT_CLOUD ? 0 : front_may_have(k, m->front, m->identity);
	if (err == -ERR_PERMIT)
		return err;
	if (!err)
		err = mint(k, m, &j);
	if (err)
		log_warn(EV_ISSUE_FAILED, KV("identity", V_U(m->identity)), KV("spiffe_id", V_B(m->spiffe_id)),
			 KV("what", V_S("JWT")), KV("err", V_S(err_name(err))));
	return chan_put(k->core, KY_JWT_DONE, id, .err = err, .jti = slice_str(j.jti), .kid = slice_str(j.kid),
			.not_after = j.not_after);
}
