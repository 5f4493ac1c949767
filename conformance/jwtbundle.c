/* SPDX-License-Identifier: Apache-2.0 */
/* jwtbundle.c - the JWK Sets of FetchJWTBundles: what a publisher of keys must do. svid-conformance; its watch: conn.c. */
#include <errno.h>

#include "conformance/tokens.h"

typedef enum verdict set_check(struct run *r, const json_t *jwks, struct slice name);

static enum verdict every_set(struct run *r, set_check *check)
{
	const struct items *bundles = run_answer(r, ANSWER_JWT_BUNDLES);
	enum verdict v = PASS;

	if (!bundles)
		return FAIL;
	for (size_t i = 0; i < bundles->n && v == PASS; i++) {
		AUTO_JSON json_t *jwks = json_of(bundles->at[i][BUNDLE_JWKS]);

		if (!jwks)
			return fail(r, "bundle %zu is no JSON object", i);
		v = check(r, jwks, bundles->at[i][BUNDLE_NAME]);
	}
	return bundles->n ? v : fail(r, "no bundle");
}

typedef enum verdict key_check(struct run *r, const json_t *jwk);

static enum verdict every_key(struct run *r, key_check *check)
{
	const struct items *bundles = run_answer(r, ANSWER_JWT_BUNDLES);
	enum verdict v = PASS;

	if (!bundles)
		return FAIL;
	for (size_t i = 0; i < bundles->n && v == PASS; i++) {
		AUTO_JSON json_t *jwks = json_of(bundles->at[i][BUNDLE_JWKS]);
		size_t k;
		json_t *jwk;

		json_array_foreach(json_object_get(jwks, "keys"), k, jwk) {
			if (v == PASS)
				v = check(r, jwk);
		}
	}
	return v;
}

static enum verdict has_keys(struct run *r, const json_t *jwks, struct slice name)
{
	(void)name;
	return json_is_array(json_object_get(jwks, "keys")) ? PASS : fail(r, "no \"keys\" array");
}

static enum verdict tb_4_1_3_1(struct run *r)
{
	return every_set(r, has_keys);
}

/* The clients of four languages take no other member for granted, so a plain JWK Set it is (spire#1904). */
static enum verdict is_plain(struct run *r, const json_t *jwks, struct slice name)
{
	(void)name;
	return json_object_size(jwks) == 1 ? PASS : fail(r, "members besides \"keys\"");
}

static enum verdict wa_6_2_2_3(struct run *r)
{
	enum verdict v = every_set(r, has_keys);

	return v == PASS ? every_set(r, is_plain) : v;
}

static enum verdict has_unique_kids(struct run *r, const json_t *jwks, struct slice name)
{
	const json_t *keys = json_object_get(jwks, "keys");

	(void)name;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const char *kid = token_text(json_array_get(keys, i), "kid");

		if (!kid || !*kid)
			return fail(r, "key %zu has no kid", i);
		for (size_t k = 0; k < i; k++) {
			if (strcmp(kid, token_text(json_array_get(keys, k), "kid")) == 0)
				return fail(r, "two keys have kid %s", kid);
		}
	}
	return PASS;
}

static enum verdict jwt_6_1_2(struct run *r)
{
	return every_set(r, has_unique_kids);
}

/* Workload API bundles may leave "use" out; a bundle that has it must have the right one. */
static enum verdict has_use(struct run *r, const json_t *jwk)
{
	const json_t *use = json_object_get(jwk, "use");

	if (!use || (json_is_string(use) && strcmp(json_string_value(use), "jwt-svid") == 0))
		return json_object_get(jwk, "x5c") ? fail(r, "x5c in a JWT key") : PASS;
	return fail(r, "use is %s", json_is_string(use) ? json_string_value(use) : "no text");
}

static enum verdict jwt_6_1_1(struct run *r)
{
	return every_key(r, has_use);
}

static enum verdict is_rsa_or_ec(struct run *r, const json_t *jwk)
{
	const char *kty = token_text(jwk, "kty");
	EVP_PKEY *key = jwk_key(jwk);
	bool fine = key != NULL;

	EVP_PKEY_free(key);
	return fine ? PASS : fail(r, "a key with kty %s is no RSA or EC key", kty ? kty : "(none)");
}

static enum verdict tb_4_2_1_1(struct run *r)
{
	return every_key(r, is_rsa_or_ec);
}

static enum verdict has_known_members(struct run *r, const json_t *jwk)
{
	static const char *const known[] = { "kty", "kid", "use", "alg", "n", "e", "crv", "x", "y", "key_ops" };
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)jwk, name, value) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			found |= strcmp(name, known[i]) == 0;
		if (!found)
			return fail(r, "a key has \"%s\"", name);
	}
	return PASS;
}

static enum verdict tb_4_2_1(struct run *r)
{
	return every_key(r, has_known_members);
}

static enum verdict has_no_private_part(struct run *r, const json_t *jwk)
{
	static const char *const secret[] = { "d", "p", "q", "dp", "dq", "qi", "k", "oth" };

	for (size_t i = 0; i < ARRAY_SIZE(secret); i++) {
		if (json_object_get(jwk, secret[i]))
			return fail(r, "a published key has \"%s\"", secret[i]);
	}
	return PASS;
}

static enum verdict pub_1(struct run *r)
{
	return every_key(r, has_no_private_part);
}

static enum verdict wa_6_2_2_2(struct run *r)
{
	const struct items *bundles = run_answer(r, ANSWER_JWT_BUNDLES);
	const struct svid_response *svids = bundles ? run_svids(r) : NULL;
	bool found = false;

	if (!svids || !svids->n_svids)
		return FAIL;
	for (size_t i = 0; i < bundles->n; i++)
		found |= slice_eq(bundles->at[i][BUNDLE_NAME], trust_domain_of(svids->svids[0].spiffe_id));
	return found ? PASS : fail(r, "the own trust domain is missing");
}

static enum verdict wa_2_1(struct run *r)
{
	const struct items *s = run_answer(r, ANSWER_JWT_BUNDLES);

	if (!s)
		return FAIL;
	return s->unknown ? fail(r, "field %u is not in the .proto", s->unknown) : PASS;
}

static enum verdict end_1(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = ask(r, &c, &fetch_jwt_bundles, slice_of(NULL, 0), NULL);

	if (err)
		return fail(r, "no message: %s", reply_text(err, c.p));
	err = wire_wait(&c.w, c.id, UNTIL_END, 1000);
	return err == -ETIMEDOUT ? PASS : fail(r, "the watch ended by itself: %s", reply_text(err, c.p));
}

static enum verdict repeats_nothing(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct slice m;
	int err = ask(r, &c, &fetch_jwt_bundles, slice_of(NULL, 0), NULL);

	if (err)
		return fail(r, "no message: %s", reply_text(err, c.p));
	err = wire_wait(&c.w, c.id, UNTIL_END, 1000);
	return reply_message(c.p, &m) == -EAGAIN ? PASS : fail(r, "a second message without a change");
}

const struct test bundle_tests[] = {
	{ "WA-6.2.2-2", "the own trust domain's JWT bundle is there", MODE_IDENTITY, wa_6_2_2_2, NULL },
	{ "WA-6.2.2-3", "each bundle is a plain JWK Set", MODE_IDENTITY, wa_6_2_2_3, NULL },
	{ "WA-6.2.2-4", "no key of another use", MODE_IDENTITY, jwt_6_1_1, NULL },
	{ "JWT-6.1-1", "one JWK per key; use, if there, is jwt-svid", MODE_IDENTITY, jwt_6_1_1, NULL },
	{ "JWT-6.1-2", "each key has a kid of its own", MODE_IDENTITY, jwt_6_1_2, NULL },
	{ "TB-4-1", "JSON objects that are JWK Sets", MODE_IDENTITY, tb_4_1_3_1, NULL },
	{ "TB-4.1.3-1", "keys is there", MODE_IDENTITY, tb_4_1_3_1, NULL },
	{ "TB-4.2.1-1", "kty is there, and the key is whole", MODE_IDENTITY, tb_4_2_1_1, NULL },
	{ "TB-4.2-1", "no members that the standards do not define", MODE_IDENTITY, tb_4_2_1, NULL },
	{ "PUB-1", "no private part is published", MODE_IDENTITY, pub_1, NULL },
	{ "CL-15", "only RSA and EC keys (java, go-jose)", MODE_IDENTITY, tb_4_2_1_1, NULL },
	{ "WA-2-1", "JWTBundlesResponse has the .proto's fields only", MODE_IDENTITY, wa_2_1, NULL },
	{ "END-1", "a JWT bundle watch does not end by itself", MODE_IDENTITY, end_1, NULL },
	{ "WA-4.3-2", "a JWT bundle watch does not repeat itself", MODE_IDENTITY, repeats_nothing, NULL },
	{ 0 },
};
