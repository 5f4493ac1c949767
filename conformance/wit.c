/* SPDX-License-Identifier: Apache-2.0 */
/* wit.c - WIT-SVID.md where the operator offers that profile (--wit), Unimplemented where not. svid-conformance. */
#include <errno.h>

#include "conformance/tokens.h"

enum { ID = TOKEN_ID, TOKEN = TOKEN_TEXT, KEY, HINT }; /* fields of WITSVID */

static enum verdict is_unimplemented(struct run *r)
{
	return r->wit ? not_offered(r) : want_status(r, r->test->arg, 12);
}

static enum verdict every_wit(struct run *r)
{
	return r->wit ? tokens_each(r, run_answer(r, ANSWER_WIT)) : not_offered(r);
}

static enum verdict is_jws(struct run *r, const struct token *t, const struct slice *svid)
{
	(void)r;
	(void)t;
	(void)svid;
	return PASS;
}

static enum verdict header_is(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *typ = token_text(t->header, "typ"), *kid = token_text(t->header, "kid");

	(void)svid;
	if (!typ || strcmp(typ, "wit+jwt") != 0)
		return fail(r, "typ is %s", typ ? typ : "missing");
	if (!kid || !*kid)
		return fail(r, "no kid");
	if (!alg_is_allowed(token_text(t->header, "alg")))
		return fail(r, "alg is not one of the nine");
	return json_object_size(t->header) == 3 ? PASS : fail(r, "further header parameters");
}

static enum verdict cnf_is(struct run *r, const struct token *t, const struct slice *svid)
{
	const json_t *jwk = json_object_get(json_object_get(t->claims, "cnf"), "jwk");
	EVP_PKEY *key = jwk_key(jwk);
	bool fine = key != NULL;

	(void)svid;
	EVP_PKEY_free(key);
	if (!fine)
		return fail(r, "cnf.jwk is missing or no key");
	if (json_object_get(jwk, "d"))
		return fail(r, "cnf.jwk has a private part");
	return alg_is_allowed(token_text(jwk, "alg")) ? PASS : fail(r, "cnf.jwk.alg is not one of the nine");
}

static enum verdict has_no_aud(struct run *r, const struct token *t, const struct slice *svid)
{
	(void)svid;
	return json_object_get(t->claims, "aud") ? fail(r, "aud is there") : PASS;
}

static enum verdict has_no_discovery(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *iss = token_text(t->claims, "iss");

	(void)svid;
	return iss && strncmp(iss, "https://", 8) == 0 ? fail(r, "iss %s looks discoverable", iss) : PASS;
}

static enum verdict jti_is_long(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *jti = token_text(t->claims, "jti");

	(void)svid;
	if (!json_object_get(t->claims, "jti"))
		return PASS;
	return jti && strlen(jti) >= 16 ? PASS : fail(r, "a jti of less than 16 bytes");
}

/* The private key is the one that cnf names. */
static enum verdict key_is_its(struct run *r, const struct token *t, const struct slice *svid)
{
	AUTO_JSON json_t *jwk = json_of(svid[KEY]);
	EVP_PKEY *own = jwk_private(jwk), *named = jwk_key(json_object_get(json_object_get(t->claims, "cnf"), "jwk"));
	bool fine = own && named && EVP_PKEY_eq(own, named) == 1;

	EVP_PKEY_free(own);
	EVP_PKEY_free(named);
	return fine ? PASS : fail(r, "wit_svid_key is not the private key of cnf.jwk");
}

static enum verdict is_signed(struct run *r, const struct token *t, const struct slice *svid)
{
	return token_is_signed(r, t, svid[ID], run_answer(r, ANSWER_WIT_BUNDLES));
}

static enum verdict is_no_jwt_svid(struct run *r, const struct token *t, const struct slice *svid)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf request = BUF_INIT(1 << 17);
	int err = call_connect(r, &c);

	(void)t;
	put_text(&request, 1, slice_str("one"));
	put_text(&request, 2, svid[TOKEN]);
	if (!err)
		err = call_send(&c, &validate_jwt, buf_slice(&request), UNTIL_END);
	return !err && c.p->grpc_status == 3 ? PASS : fail(r, "ValidateJWTSVID: %s", reply_text(err, c.p));
}

static enum verdict ids_are(struct run *r)
{
	return r->wit ? tokens_ids(r, run_answer(r, ANSWER_WIT)) : not_offered(r);
}

static enum verdict hints_are_unique(struct run *r)
{
	return r->wit ? tokens_hints(r, run_answer(r, ANSWER_WIT), HINT) : not_offered(r);
}

/* Whether one of @keys other than @but has that kid; a server may publish keys without any. */
static bool has_kid(const json_t *keys, const char *kid, const json_t *but)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *jwk = json_array_get(keys, i);
		const char *its = token_text(jwk, "kid");

		if (jwk != but && its && strcmp(its, kid) == 0)
			return true;
	}
	return false;
}

static enum verdict keys_are(struct run *r, const json_t *keys, const json_t *jwt_keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *jwk = json_array_get(keys, i);
		const char *kid = token_text(jwk, "kid"), *use = token_text(jwk, "use");

		if (!kid || (use && strcmp(use, "wit-svid") != 0))
			return fail(r, "key %zu has no kid, or another use", i);
		if (has_kid(keys, kid, jwk))
			return fail(r, "kid %s is of two keys", kid);
		if (has_kid(jwt_keys, kid, NULL))
			return fail(r, "kid %s is a JWT key's too", kid);
	}
	return PASS;
}

static enum verdict bundles_are(struct run *r)
{
	const struct items *bundles = r->wit ? run_answer(r, ANSWER_WIT_BUNDLES) : NULL;
	const struct items *jwt = bundles ? run_answer(r, ANSWER_JWT_BUNDLES) : NULL;
	const struct svid_response *x = jwt ? run_svids(r) : NULL;
	enum verdict v = PASS;
	bool own = false;

	if (!x || !x->n_svids)
		return r->wit ? FAIL : not_offered(r);
	for (size_t i = 0; i < bundles->n && v == PASS; i++) {
		struct slice name = bundles->at[i][BUNDLE_NAME];
		AUTO_JSON json_t *jwks = json_of(bundles->at[i][BUNDLE_JWKS]);
		AUTO_JSON json_t *jwt_jwks = bundle_of(jwt, name);
		const json_t *keys = json_object_get(jwks, "keys");

		own |= slice_eq(name, trust_domain_of(x->svids[0].spiffe_id));
		v = json_is_array(keys) ? keys_are(r, keys, json_object_get(jwt_jwks, "keys")) :
					  fail(r, "bundle %zu is no JWK Set", i);
	}
	return v != PASS || own ? v : fail(r, "the own trust domain is missing");
}

static enum verdict denied(struct run *r)
{
	return r->wit ? want_status(r, r->test->arg, 7) : not_offered(r);
}

#define EVERY(clause, what, check) { clause, what, MODE_IDENTITY, every_wit, (const void *)(check) }

const struct test wit_tests[] = {
	{ "WA-7-1", "FetchWITSVID without the profile: Unimplemented", MODE_BOTH, is_unimplemented, &fetch_wit },
	{ "WA-7-1", "FetchWITBundles without the profile: Unimplemented", MODE_BOTH, is_unimplemented, &fetch_wit_bundles },
	EVERY("WIT-1-1", "a compact JWS", is_jws),
	EVERY("WIT-2.1-1", "kid is there", header_is),
	EVERY("WIT-2.2-1", "typ is wit+jwt", header_is),
	EVERY("WIT-2.3-1", "alg is one of the nine", header_is),
	EVERY("WIT-2.4-1", "no further header parameters", header_is),
	EVERY("WIT-3.1-1", "sub is the SPIFFE ID", token_has_sub),
	EVERY("WIT-3.2-1", "cnf has a public key", cnf_is),
	EVERY("WIT-3.2-3", "cnf.jwk.alg is one of the nine", cnf_is),
	EVERY("WIT-3.3-1", "jti is long enough to be unique", jti_is_long),
	EVERY("WIT-3.4-1", "exp is there and ahead", token_has_exp),
	EVERY("WIT-3.7-1", "iss is not made for discovery", has_no_discovery),
	EVERY("WIT-3.8-1", "no aud", has_no_aud),
	EVERY("WIT-4-1", "signed by a key of the own WIT bundle", is_signed),
	EVERY("WIT-4-2", "ValidateJWTSVID does not take a WIT-SVID as a bearer token", is_no_jwt_svid),
	EVERY("WA-7.2.1-5", "wit_svid_key is the private key of cnf.jwk", key_is_its),
	{ "WIT-2.1-3", "kid is unique over JWT and WIT keys", MODE_IDENTITY, bundles_are, NULL },
	{ "WIT-6.1-1", "use, if there, is wit-svid", MODE_IDENTITY, bundles_are, NULL },
	{ "WIT-6.1-2", "kid is there, unique over the whole bundle", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.1-1", "without spiffe_id: one for every identity", MODE_IDENTITY, ids_are, NULL },
	{ "WA-7.2.1-2", "one svid at least", MODE_IDENTITY, ids_are, NULL },
	{ "WA-7.2.1-3", "hints are unique", MODE_IDENTITY, hints_are_unique, NULL },
	{ "WA-7.2.2-1", "the own trust domain's WIT bundle is there", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.2-2", "each JWK has a unique kid", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.1-4", "no identity: PermissionDenied", MODE_NONE, denied, &fetch_wit },
	{ "WA-7.2.2-3", "not entitled to WIT bundles: PermissionDenied", MODE_NONE, denied, &fetch_wit_bundles },
	{ 0 },
};
