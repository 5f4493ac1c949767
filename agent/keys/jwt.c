/* SPDX-License-Identifier: Apache-2.0 */
/* jwt.c - JWT-SVIDs of workloads: names checked once more, claims written, signed by jws.c. svid-keys; called by mint.c. */
#include "agent/keys/jwt.h"

#include "agent/base/limits.h"
#include "agent/ipc/lists.h"

static int use_of(enum jwt_alg alg, enum signer_use *ret_use)
{
	if (alg != JWT_RS256 && alg != JWT_ES256)
		return -ERR_FORMAT;
	*ret_use = alg == JWT_RS256 ? SIGN_JWT_RS256 : SIGN_JWT_ES256;
	return 0;
}

static int check(const struct authority *a, const struct jwt_spec *spec)
{
	int err = authority_check_id(a, spec->spiffe_id);

	if (err)
		return err;
	if (!slice_is_utf8(spec->issuer))
		return -ERR_UTF8;
	return spec->ttl_s && spec->ttl_s <= LIM_JWT_TTL_S ? 0 : -ERR_FORMAT;
}

/* JWT-SVID 3.2: never without an audience. All that were asked for are there: java and python demand it. */
static int put_audiences(struct buf *out, struct slice list)
{
	int n = 0;

	buf_put_str(out, "{\"aud\":[");
	for (; list.len; n++) {
		struct slice aud = list_get_str(&list, LIM_AUDIENCE);

		if (!slice_ok(&list) || !aud.len || n == LIM_AUDIENCES)
			return -ERR_FORMAT;
		if (!slice_is_utf8(aud))
			return -ERR_UTF8;
		if (n)
			buf_put_str(out, ",");
		buf_put_json(out, aud);
	}
	buf_put_str(out, "]");
	return n ? 0 : -ERR_FORMAT;
}

static int put_claims(struct buf *out, const struct jwt_spec *spec, const struct jws *j)
{
	int err = put_audiences(out, spec->audiences);

	buf_printf(out, ",\"exp\":%lld,\"iat\":%lld", (long long)j->not_after, (long long)j->issued_at);
	if (spec->issuer.len) {
		buf_put_str(out, ",\"iss\":");
		buf_put_json(out, spec->issuer);
	}
	buf_printf(out, ",\"jti\":\"%s\",\"sub\":", j->jti);
	buf_put_json(out, spec->spiffe_id);
	buf_put_slice(out, spec->claims);
	buf_put_str(out, "}");
	return err ? err : buf_ok(out);
}

int jwt_issue(struct authority *a, const struct jwt_spec *spec, int64_t now, struct buf *ret_token,
	      struct jws *ret_jws)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_JWT);
	const struct signer *signer;
	enum signer_use use;
	struct jws j;
	int err = use_of(spec->alg, &use);

	if (!err)
		err = check(a, spec);
	if (!err)
		err = authority_signer(a, use, now, &signer);
	if (!err)
		err = jws_start(signer, spec->ttl_s, now, &j);
	if (!err)
		err = put_claims(&claims, spec, &j);
	if (!err)
		err = jws_put(ret_token, signer, spec->alg, "JWT", buf_slice(&claims));
	if (err)
		return err;
	authority_signed(a, now);
	*ret_jws = j;
	return 0;
}
