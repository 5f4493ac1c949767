/* SPDX-License-Identifier: Apache-2.0 */
/* tokens.c - see tokens.h. svid-conformance; asked by jwt.c and wit.c. */
#include "conformance/tokens.h"

#include <time.h>

enum verdict tokens_each(struct run *r, const struct items *svids)
{
	token_check *check = (token_check *)(uintptr_t)r->test->arg;
	enum verdict v = PASS;

	if (!svids)
		return FAIL;
	for (size_t i = 0; i < svids->n && v == PASS; i++) {
		AUTO(token) struct token t = { 0 };

		if (token_parse(svids->at[i][TOKEN_TEXT], &t))
			return fail(r, "svid %zu is not three parts of base64url with JSON objects", i);
		v = check(r, &t, svids->at[i]);
	}
	return svids->n ? v : fail(r, "no svids");
}

enum verdict token_has_sub(struct run *r, const struct token *t, const struct slice *svid)
{
	const char *sub = token_text(t->claims, "sub");

	return sub && slice_eq_str(svid[TOKEN_ID], sub) ? PASS : fail(r, "sub is %s", sub ? sub : "missing");
}

enum verdict token_has_exp(struct run *r, const struct token *t, const struct slice *svid)
{
	const json_t *exp = json_object_get(t->claims, "exp");

	(void)svid;
	if (!json_is_integer(exp))
		return fail(r, "exp is missing or no integer");
	return json_integer_value(exp) > time(NULL) ? PASS : fail(r, "exp is over");
}

json_t *bundle_of(const struct items *bundles, struct slice trust_domain)
{
	for (size_t i = 0; bundles && i < bundles->n; i++) {
		if (slice_eq(bundles->at[i][BUNDLE_NAME], trust_domain))
			return json_of(bundles->at[i][BUNDLE_JWKS]);
	}
	return NULL;
}

enum verdict token_is_signed(struct run *r, const struct token *t, struct slice id, const struct items *bundles)
{
	AUTO_JSON json_t *jwks = bundle_of(bundles, trust_domain_of(id));
	const char *kid = token_text(t->header, "kid");
	enum verdict v = fail(r, "no key of the own bundle has kid %s", kid ? kid : "(none)");
	size_t k;
	json_t *jwk;

	json_array_foreach(json_object_get(jwks, "keys"), k, jwk) {
		const char *its = token_text(jwk, "kid");
		EVP_PKEY *key = its && kid && strcmp(its, kid) == 0 ? jwk_key(jwk) : NULL;

		if (key)
			v = token_verifies(t, key) ? PASS : fail(r, "the signature is not that of key %s", kid);
		EVP_PKEY_free(key);
	}
	return v;
}

enum verdict tokens_ids(struct run *r, const struct items *svids)
{
	const struct svid_response *x = svids ? run_svids(r) : NULL;

	if (!x)
		return FAIL;
	for (size_t i = 0; i < svids->n && i < x->n_svids; i++) {
		if (!slice_eq(svids->at[i][TOKEN_ID], x->svids[i].spiffe_id))
			return fail(r, "svid %zu is of another identity than the X509-SVID there", i);
	}
	return svids->n == x->n_svids ? PASS : fail(r, "%zu svids, %zu X509-SVIDs", svids->n, x->n_svids);
}

enum verdict tokens_hints(struct run *r, const struct items *svids, unsigned int hint)
{
	for (size_t i = 0; svids && i < svids->n; i++) {
		for (size_t k = 0; k < i; k++) {
			if (svids->at[i][hint].len && slice_eq(svids->at[i][hint], svids->at[k][hint]))
				return fail(r, "svids %zu and %zu have one hint", k, i);
		}
	}
	return svids ? PASS : FAIL;
}
