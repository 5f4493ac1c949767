/* SPDX-License-Identifier: Apache-2.0 */
/* wit.c - WIT-SVIDs of workloads, signed by jws.c. svid-keys; called by issue.c. */
#include "agent/keys/wit.h"

#include "agent/base/limits.h"

#define ALG JWT_ES256 /* what fits WIT_KEY_TYPE */

static int check(const struct authority *a, struct slice spiffe_id, uint32_t ttl_s)
{
	if (!a->plan.wit)
		return -ERR_PROFILE;
	if (!ttl_s || ttl_s > LIM_SVID_TTL_S)
		return -ERR_FORMAT;
	return authority_check_id(a, spiffe_id);
}

/* No aud (WIT-SVID 3.8), no iss: the trust domain is in sub. */
static int put_claims(struct buf *out, struct slice spiffe_id, EVP_PKEY *key, const struct jws *j)
{
	int err;

	buf_put_str(out, "{\"cnf\":{\"jwk\":");
	err = jwk_put(out, key, NULL, NULL, ALG);
	buf_printf(out, "},\"exp\":%lld,\"iat\":%lld,\"jti\":\"%s\",\"sub\":", (long long)j->not_after,
		   (long long)j->issued_at, j->jti);
	buf_put_json(out, spiffe_id);
	buf_put_str(out, "}");
	return err ? err : buf_ok(out);
}

int wit_issue(struct authority *a, struct slice spiffe_id, uint32_t ttl_s, EVP_PKEY *key, int64_t now,
	      struct buf *ret_token, struct jws *ret_jws)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_JWT);
	const struct signer *signer;
	struct jws j;
	int err = check(a, spiffe_id, ttl_s);

	if (!err)
		err = authority_signer(a, SIGN_WIT, now, &signer);
	if (!err)
		err = jws_start(signer, ttl_s, now, &j);
	if (!err)
		err = put_claims(&claims, spiffe_id, key, &j);
	if (!err)
		err = jws_put(ret_token, signer, signer_alg(SIGN_WIT), "wit+jwt", buf_slice(&claims));
	if (err)
		return err;
	authority_signed(a, now);
	*ret_jws = j;
	return 0;
}

int wit_encode(EVP_PKEY *key, struct secbytes *ret_json)
{
	return jwk_private(key, ALG, ret_json);
}
