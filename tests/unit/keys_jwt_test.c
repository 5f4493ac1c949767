/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/jwt.c agent/keys/wit.c agent/keys/jws.c agent/keys/verify.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* keys_jwt_test.c - JWT-SVIDs, WIT-SVIDs and their key sets, read back with a JSON library as a client would. */
#include "tests/unit/keys_case.h"

#include <jansson.h>

#include "agent/base/base64.h"
#include "agent/ipc/lists.h"
#include "agent/keys/jwt.h"
#include "agent/keys/verify.h"
#include "agent/keys/wit.h"

static struct authority *a;

/* A token taken apart. */
struct token {
	struct buf bytes;
	json_t *header, *claims;
	struct slice input, signature;
};

static void token_done(struct token *t)
{
	buf_done(&t->bytes);
	json_decref(t->header);
	json_decref(t->claims);
}

static json_t *part(struct slice *rest)
{
	AUTO(buf) struct buf raw = BUF_INIT(LIM_JWT);
	const uint8_t *dot = memchr(rest->p, '.', rest->len);
	json_t *json;

	assert_non_null(dot);
	assert_int_equal(base64_get(&raw, slice_get_bytes(rest, (size_t)(dot - rest->p)), BASE64_URL), 0);
	(void)slice_get_u8(rest);
	json = json_loadb((const char *)raw.data, raw.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	return json;
}

static void take_apart(struct token *t)
{
	struct slice rest = buf_slice(&t->bytes);

	t->header = part(&rest);
	t->claims = part(&rest);
	t->signature = rest;
	t->input = slice_of(t->bytes.data, (size_t)(rest.p - t->bytes.data) - 1);
}

static const char *text(json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	assert_non_null(s);
	return s;
}

static void number(json_t *jwk, const char *name, struct buf *out)
{
	assert_int_equal(base64_get(out, slice_str(text(jwk, name)), BASE64_URL), 0);
}

static uint32_t alg_of(const char *name)
{
	for (uint32_t alg = JWT_RS256; alg < JWT_ALG_COUNT; alg++)
		if (strcmp(jwt_alg_name(alg), name) == 0)
			return alg;
	return JWT_NONE;
}

static int verify(const struct token *t, json_t *jwk)
{
	bool rsa = strcmp(text(jwk, "kty"), "RSA") == 0;
	AUTO(buf) struct buf x = BUF_INIT(2048);
	AUTO(buf) struct buf y = BUF_INIT(2048);
	AUTO(buf) struct buf sig = BUF_INIT(2048);
	struct msg_FK_VERIFY m = { .alg = alg_of(text(t->header, "alg")), .curve = rsa ? CURVE_NONE : CURVE_P256 };

	number(jwk, rsa ? "n" : "x", &x);
	number(jwk, rsa ? "e" : "y", &y);
	assert_int_equal(base64_get(&sig, t->signature, BASE64_URL), 0);
	m.input = t->input;
	m.signature = buf_slice(&sig);
	m.a = buf_slice(&x);
	m.b = buf_slice(&y);
	return verify_signature(&m);
}

static json_t *key_set(bool wit, int64_t now)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_JWKS);
	json_t *json;

	assert_int_equal(wit ? authority_put_wit_jwks(a, now, &out) : authority_put_jwks(a, now, &out), 0);
	json = json_loadb((const char *)out.data, out.len, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(json);
	assert_int_equal(json_object_size(json), 1); /* plain: nothing but keys */
	return json;
}

static json_t *key_by_id(json_t *set, const char *kid)
{
	json_t *jwk, *found = NULL;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, jwk)
	{
		if (strcmp(text(jwk, "kid"), kid) == 0) {
			assert_null(found);
			found = jwk;
		}
	}
	return found;
}

static void put_audiences(struct buf *list, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list_put_str(list, slice_str(names[i]));
}

static int issue(enum jwt_alg alg, const char *issuer, const char *const *names, size_t n, uint32_t ttl, int64_t now,
		 struct token *t, struct jws *ret_jws)
{
	AUTO(buf) struct buf list = BUF_INIT(LIM_JWT_AUDIENCES);
	struct jwt_spec spec = { .spiffe_id = slice_str(ID), .issuer = slice_str(issuer), .ttl_s = ttl, .alg = alg };
	int err;

	put_audiences(&list, names, n);
	spec.audiences = buf_slice(&list);
	*t = (struct token){ .bytes = BUF_INIT(LIM_JWT) };
	err = jwt_issue(a, &spec, now, &t->bytes, ret_jws);
	if (err)
		assert_int_equal(t->bytes.len, 0);
	else
		take_apart(t);
	return err;
}

static const char *const one[] = { "api" };

/* JWT-2-1, JWT-2.1-1, JWT-2.2-1, JWT-2.3-1, JWT-1-2 */
static void header_has_alg_kid_and_typ_only(void **state)
{
	static const enum jwt_alg algs[] = { JWT_RS256, JWT_ES256 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		json_t *set = key_set(false, NOW), *jwk;
		struct token t;
		struct jws j;

		assert_int_equal(issue(algs[i], "", one, 1, 300, NOW, &t, &j), 0);
		assert_int_equal(json_object_size(t.header), 3);
		assert_string_equal(text(t.header, "alg"), jwt_alg_name(algs[i]));
		assert_string_equal(text(t.header, "typ"), "JWT");
		assert_string_equal(text(t.header, "kid"), j.kid);
		jwk = key_by_id(set, j.kid);
		assert_non_null(jwk);
		assert_string_equal(text(jwk, "alg"), jwt_alg_name(algs[i]));
		assert_int_equal(verify(&t, jwk), 0);
		json_decref(set);
		token_done(&t);
	}
}

/* JWT-3.1-1, JWT-3.2-1, JWT-3.3-1; spiffe.md 4.2 item 9 */
static void claims_are_what_was_ordered(void **state)
{
	static const char *const names[] = { "first", "second", "first" };
	struct token t;
	json_t *aud;
	struct jws j;

	(void)state;
	assert_int_equal(issue(JWT_RS256, "https://issuer.example/x", names, 3, 300, NOW, &t, &j), 0);
	assert_int_equal(json_object_size(t.claims), 6);
	assert_string_equal(text(t.claims, "sub"), ID);
	assert_string_equal(text(t.claims, "iss"), "https://issuer.example/x");
	assert_string_equal(text(t.claims, "jti"), j.jti);
	assert_int_equal(json_integer_value(json_object_get(t.claims, "iat")), NOW);
	assert_int_equal(json_integer_value(json_object_get(t.claims, "exp")), NOW + 300);
	assert_int_equal(j.issued_at, NOW);
	assert_int_equal(j.not_after, NOW + 300);
	aud = json_object_get(t.claims, "aud");
	assert_int_equal(json_array_size(aud), 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(json_string_value(json_array_get(aud, i)), names[i]);
	token_done(&t);
	assert_int_equal(issue(JWT_RS256, "", one, 1, 300, NOW, &t, &j), 0);
	assert_null(json_object_get(t.claims, "iss"));
	assert_true(json_is_array(json_object_get(t.claims, "aud"))); /* one audience is a list too */
	token_done(&t);
}

static void each_token_has_a_jti_of_its_own(void **state)
{
	char seen[32][JWS_JTI_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		struct token t;
		struct jws j;

		assert_int_equal(issue(JWT_ES256, "", one, 1, 300, NOW, &t, &j), 0);
		memcpy(seen[i], j.jti, sizeof(seen[i]));
		assert_int_equal(strspn(j.jti, "0123456789abcdef"), JWS_JTI_BYTES);
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(seen[k], seen[i]);
		token_done(&t);
	}
}

static void whatever_an_audience_is_it_stays_a_string(void **state)
{
	static const char *const names[] = { "\"],\"sub\":\"spiffe://example.org/admin\",\"x\":[\"", "\\", "\\u0022",
					     "a\nb\tc\r\x01\x7f", "</script>", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
					     " ", "{}", "\xe2\x80\xa8" };
	struct token t;
	struct jws j;
	json_t *aud;

	(void)state;
	assert_int_equal(issue(JWT_ES256, names[0], names, ARRAY_SIZE(names), 300, NOW, &t, &j), 0);
	aud = json_object_get(t.claims, "aud");
	assert_int_equal(json_array_size(aud), ARRAY_SIZE(names));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(json_string_value(json_array_get(aud, i)), names[i]);
	assert_string_equal(text(t.claims, "sub"), ID);
	assert_string_equal(text(t.claims, "iss"), names[0]);
	token_done(&t);
}

static int try_audiences(const char *const *names, size_t n)
{
	struct token t;
	struct jws j;
	int err = issue(JWT_ES256, "", names, n, 300, NOW, &t, &j);

	token_done(&t);
	return err;
}

/* JWT-3.2-1 */
static void bad_audiences_are_not_signed(void **state)
{
	static const char *const empty[] = { "a", "" }, *const broken[] = { "a\xff" }, *const surrogate[] = { "\xed\xa0\x80" };
	const char *many[LIM_AUDIENCES + 1];
	char longest[LIM_AUDIENCE + 2];
	const char *const at = longest;

	(void)state;
	assert_int_equal(try_audiences(NULL, 0), -ERR_FORMAT);
	assert_int_equal(try_audiences(empty, 1), 0);
	assert_int_equal(try_audiences(empty, 2), -ERR_FORMAT);
	assert_int_equal(try_audiences(broken, 1), -ERR_UTF8);
	assert_int_equal(try_audiences(surrogate, 1), -ERR_UTF8);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = "audience";
	assert_int_equal(try_audiences(many, LIM_AUDIENCES), 0);
	assert_int_equal(try_audiences(many, LIM_AUDIENCES + 1), -ERR_FORMAT);
	memset(longest, 'a', sizeof(longest));
	longest[LIM_AUDIENCE] = 0;
	assert_int_equal(try_audiences(&at, 1), 0);
	longest[LIM_AUDIENCE] = 'a';
	longest[LIM_AUDIENCE + 1] = 0;
	assert_int_equal(try_audiences(&at, 1), -ERR_FORMAT);
}

/* The most that a request may have fits; the most that escaping can make of it does not, and is an error. */
static void a_token_has_a_largest_size(void **state)
{
	const char *many[LIM_AUDIENCES];
	char longest[LIM_AUDIENCE + 1];

	(void)state;
	longest[LIM_AUDIENCE] = 0;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = longest;
	memset(longest, 'a', LIM_AUDIENCE);
	assert_int_equal(try_audiences(many, LIM_AUDIENCES), 0);
	memset(longest, 1, LIM_AUDIENCE);
	assert_int_equal(try_audiences(many, LIM_AUDIENCES), -ERR_SIZE);
}

static int try(const char *id, const char *issuer, uint32_t ttl, enum jwt_alg alg)
{
	AUTO(buf) struct buf list = BUF_INIT(LIM_JWT_AUDIENCES);
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	struct jwt_spec spec = { .spiffe_id = slice_str(id), .issuer = slice_str(issuer), .ttl_s = ttl, .alg = alg };
	struct jws j;
	int err;

	put_audiences(&list, one, 1);
	spec.audiences = buf_slice(&list);
	err = jwt_issue(a, &spec, NOW, &token, &j);
	assert_true(!err || !token.len);
	return err;
}

static void bad_orders_are_not_signed(void **state)
{
	static const char *const ids[] = { "", "spiffe://example.org", "spiffe://other.org/a", "spiffe://example.org/a/", "x" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(try(ids[i], "", 300, JWT_RS256), -ERR_SPIFFE_ID);
	assert_int_equal(try(ID, "\xff", 300, JWT_RS256), -ERR_UTF8);
	assert_int_equal(try(ID, "", 0, JWT_RS256), -ERR_FORMAT);
	assert_int_equal(try(ID, "", LIM_JWT_TTL_S + 1, JWT_RS256), -ERR_FORMAT);
	assert_int_equal(try(ID, "", LIM_JWT_TTL_S, JWT_RS256), 0);
	for (unsigned int alg = 0; alg <= JWT_ALG_COUNT; alg++)
		assert_int_equal(try(ID, "", 300, alg), alg == JWT_RS256 || alg == JWT_ES256 ? 0 : -ERR_FORMAT);
}

static void no_token_outlives_its_key(void **state)
{
	const int64_t late = NOW + 10 * DAY - 100;
	struct token t;
	struct jws j;

	(void)state;
	assert_int_equal(issue(JWT_RS256, "", one, 1, 300, late, &t, &j), 0);
	assert_int_equal(j.not_after, NOW + 10 * DAY);
	assert_int_equal(json_integer_value(json_object_get(t.claims, "exp")), NOW + 10 * DAY);
	token_done(&t);
	assert_int_equal(issue(JWT_RS256, "", one, 1, 300, NOW + 10 * DAY, &t, &j), -ERR_EXPIRED);
}

static void clock_set_back_is_refused(void **state)
{
	struct token t;
	struct jws j;

	(void)state;
	assert_int_equal(issue(JWT_RS256, "", one, 1, 300, NOW + 1000, &t, &j), 0);
	token_done(&t);
	assert_int_equal(issue(JWT_ES256, "", one, 1, 300, NOW + 699, &t, &j), -ERR_CLOCK);
	assert_int_equal(issue(JWT_ES256, "", one, 1, 300, NOW + 700, &t, &j), 0);
	token_done(&t);
}

static void missing_keys_are_not_ready(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_JWKS);
	struct authority *full = a;
	unsigned int slow;
	struct token t;
	struct jws j;

	(void)state;
	assert_int_equal(authority_new(slice_str(TD), &a), 0);
	assert_int_equal(authority_configure(a, &(struct authority_plan){ DAY, DAY, false }), 0);
	assert_int_equal(authority_advance(a, NOW, &slow), 0);
	authority_stored(a);
	assert_int_equal(issue(JWT_RS256, "", one, 1, 300, NOW, &t, &j), -ERR_NOT_READY);
	assert_int_equal(authority_put_jwks(a, NOW, &out), 0);
	assert_int_equal(out.len, 0); /* half of the algorithms would look like all there are */
	authority_free(a);
	a = full;
}

/* JWT-6.1-2 and what clients need of each key: spiffe.md 4.2 item 5 */
static void jwks_has_kid_kty_alg_and_numbers(void **state)
{
	json_t *set = key_set(false, NOW), *jwk;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(set, "keys")), 2);
	json_array_foreach(json_object_get(set, "keys"), i, jwk)
	{
		bool rsa = strcmp(text(jwk, "kty"), "RSA") == 0;
		AUTO(buf) struct buf n = BUF_INIT(2048);

		assert_int_equal(json_object_size(jwk), rsa ? 5 : 6);
		assert_int_equal(strlen(text(jwk, "kid")), JWK_KID_BYTES);
		assert_string_equal(text(jwk, "alg"), rsa ? "RS256" : "ES256");
		assert_null(json_object_get(jwk, "use"));
		assert_null(json_object_get(jwk, "d"));
		number(jwk, rsa ? "n" : "x", &n);
		assert_int_equal(n.len, rsa ? 256 : 32);
		if (rsa)
			assert_string_equal(text(jwk, "e"), "AQAB");
		else
			assert_string_equal(text(jwk, "crv"), "P-256");
	}
	json_decref(set);
}

#define N_7638 /* the example of RFC 7638 3.1 */ \
	"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjB" \
	"ZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8" \
	"KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_" \
	"xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"

static EVP_PKEY *rsa_public(const char *n_text)
{
	AUTO(OSSL_PARAM_BLD) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	AUTO(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
	AUTO(buf) struct buf raw = BUF_INIT(512);
	AUTO(BIGNUM) BIGNUM *n = NULL;
	AUTO(OSSL_PARAM) OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;

	assert_int_equal(base64_get(&raw, slice_str(n_text), BASE64_URL), 0);
	n = BN_bin2bn(raw.data, (int)raw.len, NULL);
	assert_int_equal(OSSL_PARAM_BLD_push_BN(build, "n", n), 1);
	assert_int_equal(OSSL_PARAM_BLD_push_uint(build, "e", 65537), 1);
	params = OSSL_PARAM_BLD_to_param(build);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	return key;
}

static void kid_is_the_thumbprint_of_rfc_7638(void **state)
{
	EVP_PKEY *key = rsa_public(N_7638);
	char kid[JWK_KID_BYTES + 1];

	(void)state;
	assert_int_equal(jwk_kid(key, kid), 0);
	assert_string_equal(kid, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	EVP_PKEY_free(key);
}

static struct token wit_of(EVP_PKEY *key, uint32_t ttl, int64_t now, struct jws *ret_jws)
{
	struct token t = { .bytes = BUF_INIT(LIM_JWT) };

	assert_int_equal(wit_issue(a, slice_str(ID), ttl, key, now, &t.bytes, ret_jws), 0);
	take_apart(&t);
	return t;
}

/* WIT-2.1-1, 2.2-1, 2.3-1, 2.4-1, 3.1-1, 3.2-1, 3.2-3, 3.4-1, 3.7-1, 3.8-1, 6.1-1, 6.1-2 */
static void wit_is_as_the_profile_wants_it(void **state)
{
	json_t *set = key_set(true, NOW), *jwts = key_set(false, NOW), *jwk, *cnf;
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	struct token t;
	struct jws j;

	(void)state;
	assert_int_equal(pkey_generate(WIT_KEY_TYPE, &key), 0);
	t = wit_of(key, 3600, NOW, &j);
	assert_int_equal(json_object_size(t.header), 3);
	assert_string_equal(text(t.header, "typ"), "wit+jwt");
	assert_string_equal(text(t.header, "alg"), "ES256");
	jwk = key_by_id(set, text(t.header, "kid"));
	assert_non_null(jwk);
	assert_string_equal(text(jwk, "use"), "wit-svid");
	assert_null(key_by_id(jwts, text(t.header, "kid")));
	assert_int_equal(verify(&t, jwk), 0);
	assert_int_equal(json_object_size(t.claims), 5);
	assert_string_equal(text(t.claims, "sub"), ID);
	assert_string_equal(text(t.claims, "jti"), j.jti);
	assert_int_equal(json_integer_value(json_object_get(t.claims, "iat")), NOW);
	assert_int_equal(json_integer_value(json_object_get(t.claims, "exp")), NOW + 3600);
	cnf = json_object_get(json_object_get(t.claims, "cnf"), "jwk");
	assert_string_equal(text(cnf, "alg"), "ES256");
	assert_null(json_object_get(cnf, "d"));
	token_done(&t);
	json_decref(set);
	json_decref(jwts);
}

static void private_jwk_belongs_to_the_token(void **state)
{
	static const char *const names[] = { "kty", "crv", "x", "y", "alg" };
	AUTO(secbytes) struct secbytes text_of_key = { 0 };
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(buf) struct buf d = BUF_INIT(64);
	AUTO(BIGNUM) BIGNUM *secret = NULL;
	json_t *jwk, *cnf;
	struct token t;
	struct jws j;
	uint8_t raw[32];

	(void)state;
	assert_int_equal(pkey_generate(WIT_KEY_TYPE, &key), 0);
	t = wit_of(key, 3600, NOW, &j);
	assert_int_equal(wit_encode(key, &text_of_key), 0);
	assert_int_equal(CRYPTO_secure_allocated(text_of_key.p), 1);
	jwk = json_loadb((const char *)text_of_key.p, text_of_key.len, JSON_REJECT_DUPLICATES, NULL);
	assert_int_equal(json_object_size(jwk), 6);
	cnf = json_object_get(json_object_get(t.claims, "cnf"), "jwk");
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_string_equal(text(jwk, names[i]), text(cnf, names[i]));
	number(jwk, "d", &d);
	assert_int_equal(d.len, 32);
	assert_int_equal(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PRIV_KEY, &secret), 1);
	assert_int_equal(BN_bn2binpad(secret, raw, 32), 32);
	assert_memory_equal(d.data, raw, 32);
	json_decref(jwk);
	token_done(&t);
}

static void bad_wit_orders_are_not_signed(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_JWT);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(secbytes) struct secbytes jwk = { 0 };
	AUTO(EVP_PKEY) EVP_PKEY *rsa = case_rsa();
	struct jws j;

	(void)state;
	assert_int_equal(pkey_generate(WIT_KEY_TYPE, &key), 0);
	assert_int_equal(wit_issue(a, slice_str("spiffe://other.org/x"), 60, key, NOW, &out, &j), -ERR_SPIFFE_ID);
	assert_int_equal(wit_issue(a, slice_str("spiffe://example.org"), 60, key, NOW, &out, &j), -ERR_SPIFFE_ID);
	assert_int_equal(wit_issue(a, slice_str(ID), 0, key, NOW, &out, &j), -ERR_FORMAT);
	assert_int_equal(wit_issue(a, slice_str(ID), LIM_SVID_TTL_S + 1, key, NOW, &out, &j), -ERR_FORMAT);
	assert_int_equal(wit_issue(a, slice_str(ID), 60, key, NOW - 301, &out, &j), -ERR_CLOCK);
	assert_int_equal(wit_encode(rsa, &jwk), -ERR_CRYPTO);
	assert_int_equal(wit_issue(a, slice_str(ID), 20 * DAY, key, NOW, &out, &j), 0);
	assert_int_equal(j.not_after, NOW + 10 * DAY);
	buf_reset(&out);
	assert_int_equal(authority_configure(a, &(struct authority_plan){ 10 * DAY, 10 * DAY, false }), 0);
	assert_int_equal(wit_issue(a, slice_str(ID), 60, key, NOW, &out, &j), -ERR_PROFILE);
	assert_int_equal(out.len, 0);
}

static int set_up(void **state)
{
	(void)state;
	a = case_authority(10 * DAY, 10 * DAY, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	authority_free(a);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(header_has_alg_kid_and_typ_only),
		TEST(claims_are_what_was_ordered),
		TEST(each_token_has_a_jti_of_its_own),
		TEST(whatever_an_audience_is_it_stays_a_string),
		TEST(bad_audiences_are_not_signed),
		TEST(a_token_has_a_largest_size),
		TEST(bad_orders_are_not_signed),
		TEST(no_token_outlives_its_key),
		TEST(clock_set_back_is_refused),
		TEST(missing_keys_are_not_ready),
		TEST(jwks_has_kid_kty_alg_and_numbers),
		TEST(kid_is_the_thumbprint_of_rfc_7638),
		TEST(wit_is_as_the_profile_wants_it),
		TEST(private_jwk_belongs_to_the_token),
		TEST(bad_wit_orders_are_not_signed),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/keys_jwt", tests, NULL, NULL);
}
