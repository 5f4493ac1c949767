/* SPDX-License-Identifier: Apache-2.0 */
/* wit.c - WIT-SVID.md where the operator offers that profile (--wit), Unimplemented where not. svid-conformance. */
#include <errno.h>
#include <time.h>

#include "conformance/jose.h"
#include "conformance/run.h"

enum { ID = 1, TOKEN, KEY, HINT }; /* fields of WITSVID */
enum { NAME = 1, JWKS };	   /* fields of a map entry */

static enum verdict is_unimplemented(struct run *r)
{
	return r->wit ? not_offered(r) : want_status(r, r->test->arg, 12);
}

typedef enum verdict wit_check(struct run *r, const struct token *t, const struct slice *svid);

static enum verdict every_wit(struct run *r)
{
	const struct items *svids = r->wit ? run_answer(r, ANSWER_WIT) : NULL;
	enum verdict v = PASS;

	if (!svids)
		return r->wit ? FAIL : not_offered(r);
	for (size_t i = 0; i < svids->n && v == PASS; i++) {
		AUTO(token) struct token t = { 0 };

		if (token_parse(svids->at[i][TOKEN], &t))
			return fail(r, "wit_svid %zu is not a compact JWS of JSON objects", i);
		v = ((wit_check *)(uintptr_t)r->test->arg)(r, &t, svids->at[i]);
	}
	return svids->n ? v : fail(r, "no WIT-SVID");
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

static enum verdict sub_is(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *sub = token_text(t->claims, "sub");

	return sub && slice_eq_str(svid[ID], sub) ? PASS : fail(r, "sub is %s", sub ? sub : "missing");
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

static enum verdict times_are(struct run *r, const struct token *t, const struct slice *svid)
{
	const json_t *exp = json_object_get(t->claims, "exp");

	(void)svid;
	return json_is_integer(exp) && json_integer_value(exp) > time(NULL) ? PASS : fail(r, "exp is missing or over");
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
	const struct items *bundles = run_answer(r, ANSWER_WIT_BUNDLES);
	const char *kid = token_text(t->header, "kid");

	for (size_t i = 0; bundles && i < bundles->n; i++) {
		bool own = slice_eq(bundles->at[i][NAME], trust_domain_of(svid[ID]));
		AUTO_JSON json_t *jwks = own ? json_of(bundles->at[i][JWKS]) : NULL;
		size_t k;
		json_t *jwk;

		json_array_foreach(json_object_get(jwks, "keys"), k, jwk) {
			const char *its = token_text(jwk, "kid");
			EVP_PKEY *key = its && kid && strcmp(its, kid) == 0 ? jwk_key(jwk) : NULL;
			bool fine = key && token_verifies(t, key);

			EVP_PKEY_free(key);
			if (fine)
				return PASS;
		}
	}
	return fail(r, "no key of the own WIT bundle verifies it");
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

static enum verdict every_id_has_one(struct run *r)
{
	const struct items *s = r->wit ? run_answer(r, ANSWER_WIT) : NULL;
	const struct svid_response *x = s ? run_svids(r) : NULL;

	if (!x)
		return r->wit ? FAIL : not_offered(r);
	for (size_t i = 0; i < s->n && i < x->n_svids; i++) {
		if (!slice_eq(s->at[i][ID], x->svids[i].spiffe_id))
			return fail(r, "svid %zu is of another identity than the X509-SVID there", i);
		for (size_t k = 0; k < i; k++) {
			if (s->at[i][HINT].len && slice_eq(s->at[i][HINT], s->at[k][HINT]))
				return fail(r, "svids %zu and %zu have one hint", k, i);
		}
	}
	return s->n == x->n_svids ? PASS : fail(r, "%zu WIT-SVIDs, %zu X509-SVIDs", s->n, x->n_svids);
}

static enum verdict bundles_are(struct run *r)
{
	const struct items *bundles = r->wit ? run_answer(r, ANSWER_WIT_BUNDLES) : NULL;
	const struct items *jwt = bundles ? run_answer(r, ANSWER_JWT_BUNDLES) : NULL;
	const struct svid_response *x = jwt ? run_svids(r) : NULL;
	bool own = false;

	if (!x || !x->n_svids)
		return r->wit ? FAIL : not_offered(r);
	for (size_t i = 0; i < bundles->n; i++) {
		AUTO_JSON json_t *jwks = json_of(bundles->at[i][JWKS]);
		AUTO_JSON json_t *others = i < jwt->n ? json_of(jwt->at[i][JWKS]) : NULL;
		const json_t *keys = json_object_get(jwks, "keys"), *theirs = json_object_get(others, "keys");

		own |= slice_eq(bundles->at[i][NAME], trust_domain_of(x->svids[0].spiffe_id));
		if (!json_is_array(keys))
			return fail(r, "bundle %zu is no JWK Set", i);
		for (size_t k = 0; k < json_array_size(keys); k++) {
			const char *kid = token_text(json_array_get(keys, k), "kid");
			const char *use = token_text(json_array_get(keys, k), "use");

			if (!kid || (use && strcmp(use, "wit-svid") != 0))
				return fail(r, "key %zu has no kid, or another use", k);
			for (size_t j = 0; j < json_array_size(theirs); j++) {
				if (strcmp(kid, token_text(json_array_get(theirs, j), "kid")) == 0)
					return fail(r, "kid %s is a JWT key's too", kid);
			}
		}
	}
	return own ? PASS : fail(r, "the own trust domain is missing");
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
	EVERY("WIT-3.1-1", "sub is the SPIFFE ID", sub_is),
	EVERY("WIT-3.2-1", "cnf has a public key", cnf_is),
	EVERY("WIT-3.2-3", "cnf.jwk.alg is one of the nine", cnf_is),
	EVERY("WIT-3.3-1", "jti is long enough to be unique", jti_is_long),
	EVERY("WIT-3.4-1", "exp is there and ahead", times_are),
	EVERY("WIT-3.7-1", "iss is not made for discovery", has_no_discovery),
	EVERY("WIT-3.8-1", "no aud", has_no_aud),
	EVERY("WIT-4-1", "signed by a key of the own WIT bundle", is_signed),
	EVERY("WIT-4-2", "ValidateJWTSVID does not take a WIT-SVID as a bearer token", is_no_jwt_svid),
	EVERY("WA-7.2.1-5", "wit_svid_key is the private key of cnf.jwk", key_is_its),
	{ "WIT-2.1-3", "kid is unique over JWT and WIT keys", MODE_IDENTITY, bundles_are, NULL },
	{ "WIT-6.1-1", "use, if there, is wit-svid", MODE_IDENTITY, bundles_are, NULL },
	{ "WIT-6.1-2", "kid is there, unique over the whole bundle", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.1-1", "without spiffe_id: one for every identity", MODE_IDENTITY, every_id_has_one, NULL },
	{ "WA-7.2.1-2", "one svid at least", MODE_IDENTITY, every_id_has_one, NULL },
	{ "WA-7.2.1-3", "hints are unique", MODE_IDENTITY, every_id_has_one, NULL },
	{ "WA-7.2.2-1", "the own trust domain's WIT bundle is there", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.2-2", "each JWK has a unique kid", MODE_IDENTITY, bundles_are, NULL },
	{ "WA-7.2.1-4", "no identity: PermissionDenied", MODE_NONE, denied, &fetch_wit },
	{ "WA-7.2.2-3", "not entitled to WIT bundles: PermissionDenied", MODE_NONE, denied, &fetch_wit_bundles },
	{ 0 },
};
