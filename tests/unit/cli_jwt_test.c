/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/jwt.c agent/cli/jwt_verify.c agent/cli/jwk.c agent/cli/dump.c */
/* cli_jwt_test.c - svid reads JWT- and WIT-SVIDs as the strictest client would: each breach is named; so is each bad JWK. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/base64.h"
#include "agent/base/limits.h"
#include "agent/cli/jwk.h"
#include "agent/cli/jwt.h"

#define NOW 1790000000ll
#define ID "spiffe://example.org/web"
#define HEADER "{\"alg\":\"RS256\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define CLAIMS "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":1790000300,\"iat\":1790000000,\"jti\":\"x\"}"

static EVP_PKEY *key, *other_key;

static void put_token(struct buf *out, const char *header, const char *claims, size_t signature_len)
{
	static const uint8_t signature[256];

	base64_put(out, slice_str(header), BASE64_URL);
	buf_put_str(out, ".");
	base64_put(out, slice_str(claims), BASE64_URL);
	buf_put_str(out, ".");
	base64_put(out, slice_of(signature, signature_len), BASE64_URL);
}

static struct jwt_want wanted(void)
{
	static const char *const audiences[] = { "a", "b" };

	return (struct jwt_want){ .profile = JWT_SVID, .spiffe_id = slice_str(ID), .audiences = audiences, .n_audiences = 2 };
}

/* The report has a line that contains @want; NULL: it has none at all. */
static void says(const char *header, const char *claims, size_t signature_len, const struct jwt_want *w, const char *want)
{
	AUTO(jwt_report) struct jwt_report r = JWT_REPORT_INIT;
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);

	put_token(&token, header, claims, signature_len);
	assert_int_equal(jwt_inspect(buf_slice(&token), w, NOW, &r), 0);
	if (!want)
		assert_string_equal(buf_cstr(&r.problems), "");
	else if (!strstr(buf_cstr(&r.problems), want))
		fail_msg("no \"%s\" in: %s", want, buf_cstr(&r.problems));
}

static void good_token_has_no_problem(void **state)
{
	AUTO(jwt_report) struct jwt_report r = JWT_REPORT_INIT;
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	struct jwt_want w = wanted();

	(void)state;
	says(HEADER, CLAIMS, 256, &w, NULL);
	put_token(&token, HEADER, CLAIMS, 256);
	assert_int_equal(jwt_inspect(buf_slice(&token), &w, NOW, &r), 0);
	assert_int_equal(r.not_after, 1790000300);
	assert_int_equal(r.issued_at, NOW);
	assert_int_equal(r.not_before, 0);
	assert_string_equal(json_string_value(json_object_get(r.claims, "jti")), "x");
}

static void each_breach_of_a_jwt_is_named(void **state)
{
	static const struct {
		const char *header, *claims;
		size_t signature;
		const char *want;
	} cases[] = {
		{ "{\"alg\":\"none\",\"kid\":\"k\"}", CLAIMS, 256, "alg is none" },
		{ "{\"alg\":\"HS256\",\"kid\":\"k\"}", CLAIMS, 256, "alg is none" },
		{ "{\"kid\":\"k\"}", CLAIMS, 256, "alg is none" },
		{ "{\"alg\":\"RS256\"}", CLAIMS, 256, "kid is missing" },
		{ "{\"alg\":\"RS256\",\"kid\":\"k\",\"typ\":\"wit+jwt\"}", CLAIMS, 256, "neither JWT nor JOSE" },
		{ "{\"alg\":\"RS256\",\"kid\":\"k\",\"jku\":\"x\"}", CLAIMS, 256, "another parameter" },
		{ "{\"alg\":\"ES256\",\"kid\":\"k\"}", CLAIMS, 63, "as long as" },
		{ HEADER, CLAIMS, 0, "signature is missing" },
		{ HEADER, "{\"aud\":[\"a\",\"b\"],\"exp\":1790000300}", 256, "sub is missing" },
		{ HEADER, "{\"sub\":\"spiffe://example.org\",\"aud\":\"a\",\"exp\":1790000300}", 256, "has no path" },
		{ HEADER, "{\"sub\":\"spiffe://example.org/x\",\"aud\":\"a\",\"exp\":1790000300}", 256, "not the SPIFFE ID" },
		{ HEADER, "{\"sub\":\"" ID "\",\"exp\":1790000300}", 256, "aud is missing" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[],\"exp\":1790000300}", 256, "aud is missing" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":\"a\",\"exp\":1790000300}", 256, "aud lacks" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"b\",7,\"ab\"],\"exp\":1790000300}", 256, "aud lacks" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"]}", 256, "exp is missing" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":\"1790000300\"}", 256, "exp is not a time" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":1e300}", 256, "exp is not a time" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":1790000000}", 256, "expired" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":1790000300,\"nbf\":1790000001}", 256, "not yet" },
		{ HEADER, "{\"sub\":\"" ID "\",\"aud\":[\"a\",\"b\"],\"exp\":1790000300,\"iat\":1790000001}", 256, "iat is in" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct jwt_want w = wanted();

		says(cases[i].header, cases[i].claims, cases[i].signature, &w, cases[i].want);
	}
}

static void what_is_no_compact_jws_is_an_error(void **state)
{
	static const char *const bad[] = { "", ".", "..", "a.b", "e30.e30", "e30.e30.x.y", "e30.W10.", "W10.e30.", "e30=.e30.",
					   "e30.e3 0.", "eyJhIjoxLCJhIjoyfQ.e30." /* a member twice */ };
	struct jwt_want w = wanted();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(jwt_report) struct jwt_report r = JWT_REPORT_INIT;

		assert_int_equal(jwt_inspect(slice_str(bad[i]), &w, NOW, &r), -ERR_FORMAT);
	}
}

/* A private JWK: the public members of @public with the d of @private. */
static void put_jwk(struct buf *out, EVP_PKEY *public, EVP_PKEY *private)
{
	AUTO(bignum) BIGNUM *d = NULL;
	uint8_t raw[32];

	buf_put_str(out, "{\"alg\":\"ES256\", ");
	assert_int_equal(jwk_put_public(out, public), 0);
	if (private) {
		assert_int_equal(EVP_PKEY_get_bn_param(private, OSSL_PKEY_PARAM_PRIV_KEY, &d), 1);
		assert_int_equal(BN_bn2binpad(d, raw, sizeof(raw)), sizeof(raw));
		buf_put_str(out, ", \"d\": \"");
		base64_put(out, slice_of(raw, sizeof(raw)), BASE64_URL);
		buf_put_str(out, "\"");
	}
	buf_put_str(out, "}");
}

static void wit_says(const char *claims_end, EVP_PKEY *bound, EVP_PKEY *own_public, EVP_PKEY *own_private, const char *want)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_JWT);
	AUTO(buf) struct buf jwk = BUF_INIT(LIM_JWT);
	struct jwt_want w = { .profile = WIT_SVID, .spiffe_id = slice_str(ID) };

	buf_put_str(&claims, "{\"sub\":\"" ID "\",\"exp\":1790000300");
	if (bound) {
		buf_put_str(&claims, ",\"cnf\":{\"jwk\":");
		put_jwk(&claims, bound, NULL);
		buf_put_str(&claims, "}");
	}
	buf_put_str(&claims, claims_end);
	put_jwk(&jwk, own_public, own_private);
	w.key = buf_slice(&jwk);
	says("{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"wit+jwt\"}", buf_cstr(&claims), 64, &w, want);
}

static void wit_svid_must_be_bound_to_its_key(void **state)
{
	struct jwt_want w = { .profile = WIT_SVID, .spiffe_id = slice_str(ID) };

	(void)state;
	wit_says("}", key, key, key, NULL);
	wit_says("}", other_key, key, key, "does not belong to the key in cnf");
	wit_says("}", key, key, other_key, "private key cannot be used: its private part");
	wit_says("}", key, key, NULL, "private key cannot be used");
	wit_says("}", NULL, key, key, "cnf.jwk is missing");
	wit_says(",\"aud\":\"x\"}", key, key, key, "must not");
	says(HEADER, CLAIMS, 256, &w, "typ is not wit+jwt");
}

static int read_key(const char *text, bool private_too, const char **ret_why)
{
	AUTO(pkey) EVP_PKEY *read = NULL;
	json_t *jwk = json_loads(text, 0, NULL);
	int err;

	assert_non_null(jwk);
	err = jwk_key(jwk, private_too, &read, ret_why);
	json_decref(jwk);
	return err;
}

static void keys_come_back_as_they_went(void **state)
{
	static const char *const groups[] = { "P-256", "P-384", "P-521" };

	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(groups); i++) {
		AUTO(buf) struct buf text = BUF_INIT(LIM_JWT);
		AUTO(pkey) EVP_PKEY *made = i < ARRAY_SIZE(groups) ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", groups[i]) :
								     EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
		AUTO(pkey) EVP_PKEY *read = NULL;
		const char *why = NULL;
		json_t *jwk;

		buf_put_str(&text, "{");
		assert_int_equal(jwk_put_public(&text, made), 0);
		buf_put_str(&text, "}");
		jwk = json_loads(buf_cstr(&text), 0, NULL);
		assert_true(jwk_is_known(jwk));
		assert_false(jwk_is_private(jwk));
		assert_int_equal(jwk_key(jwk, false, &read, &why), 0);
		assert_int_equal(EVP_PKEY_eq(read, made), 1);
		json_decref(jwk);
	}
}

static void bad_keys_are_refused_with_a_reason(void **state)
{
	static const char *const bad[] = {
		"{}", "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AAAA\"}", "{\"kty\":\"EC\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-192\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\",\"y\":\"AAAA\"}",
		/* of the right length, and not on the curve */
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
		"\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}",
		"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "{\"kty\":\"RSA\",\"n\":7,\"e\":\"AQAB\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const char *why = NULL;

		assert_int_equal(read_key(bad[i], false, &why), -ERR_FORMAT);
		assert_non_null(why);
	}
}

static void sign(struct buf *out, EVP_PKEY *with, const char *digest, bool pss, struct slice input)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;
	unsigned char raw[1024];
	size_t len = sizeof(raw);

	assert_int_equal(EVP_DigestSignInit_ex(ctx, &how, digest, NULL, NULL, with, NULL), 1);
	if (pss) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, raw, &len, input.p, input.len), 1);
	EVP_MD_CTX_free(ctx);
	if (EVP_PKEY_is_a(with, "EC")) {
		const unsigned char *at = raw;
		ECDSA_SIG *both = d2i_ECDSA_SIG(NULL, &at, (long)len);
		int half = (EVP_PKEY_get_bits(with) + 7) / 8;

		assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(both), raw, half), half);
		assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(both), raw + half, half), half);
		len = 2 * (size_t)half;
		ECDSA_SIG_free(both);
	}
	base64_put(out, slice_of(raw, len), BASE64_URL);
}

/* The problem with a token that @with signed, whose key of that kid in the bundle is @published. */
static const char *verdict(const char *alg, const char *digest, bool pss, EVP_PKEY *with, EVP_PKEY *published, const char *kid)
{
	AUTO(buf) struct buf header = BUF_INIT(4096);
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWT);
	json_t *object = json_pack("{ssss}", "alg", alg, "kid", "k");
	const char *why;

	buf_printf(&header, "{\"alg\":\"%s\",\"kid\":\"k\"}", alg);
	base64_put(&token, buf_slice(&header), BASE64_URL);
	buf_put_str(&token, ".e30");
	sign(&header, with, digest, pss, buf_slice(&token));
	buf_put_str(&token, ".");
	buf_consume(&header, strlen(alg) + strlen("{\"alg\":\"\",\"kid\":\"k\"}"));
	buf_put_slice(&token, buf_slice(&header));
	buf_printf(&jwks, "{\"keys\":[{\"kid\":\"else\"},{\"kid\":\"%s\",", kid);
	assert_int_equal(jwk_put_public(&jwks, published), 0);
	buf_put_str(&jwks, "}]}");
	why = jwt_signature_why(buf_slice(&token), object, buf_slice(&jwks));
	json_decref(object);
	return why;
}

static void signatures_of_each_algorithm_are_checked(void **state)
{
	static const struct {
		const char *alg, *digest, *group; /* group NULL: RSA */
		bool pss;
	} cases[] = { { "RS256", "SHA256", NULL, false }, { "RS384", "SHA384", NULL, false }, { "RS512", "SHA512", NULL, false },
		      { "PS256", "SHA256", NULL, true },  { "PS384", "SHA384", NULL, true },  { "PS512", "SHA512", NULL, true },
		      { "ES256", "SHA256", "P-256", false }, { "ES384", "SHA384", "P-384", false },
		      { "ES512", "SHA512", "P-521", false } };
	AUTO(pkey) EVP_PKEY *rsa = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(pkey) EVP_PKEY *ec = cases[i].group ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", cases[i].group) : NULL;
		EVP_PKEY *with = ec ? ec : rsa;
		const char *alg = cases[i].alg, *digest = cases[i].digest;

		assert_null(verdict(alg, digest, cases[i].pss, with, with, "k"));
		assert_non_null(strstr(verdict(alg, digest, cases[i].pss, with, with, "other"), "no key in the bundle"));
		assert_non_null(verdict(alg, digest, cases[i].pss, with, ec ? rsa : key, "k"));
		assert_non_null(verdict(alg, strcmp(digest, "SHA256") ? "SHA256" : "SHA384", cases[i].pss, with, with, "k"));
	}
	assert_non_null(strstr(verdict("ES256", "SHA256", false, key, other_key, "k"), "does not verify"));
	assert_non_null(strstr(verdict("PS256", "SHA256", false, rsa, rsa, "k"), "does not verify"));
	assert_non_null(strstr(verdict("RS256", "SHA256", false, key, key, "k"), "does not fit"));
	assert_non_null(verdict("none", "SHA256", false, key, key, "k"));
	assert_non_null(jwt_signature_why(slice_str(""), NULL, slice_str("")));
}

static void claims_are_shown_for_people(void **state)
{
	static const struct {
		const char *json, *want;
	} cases[] = { { "\"x\"", "x" }, { "[\"a\",\"b\"]", "a, b" }, { "[1,\"b\",{}]", "1, b, {}" }, { "{\"k\":1}", "{\"k\":1}" },
		      { "true", "true" }, { "null", "null" }, { "[]", "" } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf) struct buf out = BUF_INIT(LIM_JWT);
		json_t *v = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);

		jwt_claim(&out, v);
		assert_string_equal(buf_cstr(&out), cases[i].want);
		json_decref(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_token_has_no_problem),
		cmocka_unit_test(each_breach_of_a_jwt_is_named),
		cmocka_unit_test(what_is_no_compact_jws_is_an_error),
		cmocka_unit_test(wit_svid_must_be_bound_to_its_key),
		cmocka_unit_test(keys_come_back_as_they_went),
		cmocka_unit_test(bad_keys_are_refused_with_a_reason),
		cmocka_unit_test(signatures_of_each_algorithm_are_checked),
		cmocka_unit_test(claims_are_shown_for_people),
	};
	int failed;

	key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	other_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	failed = cmocka_run_group_tests_name("unit/cli_jwt", tests, NULL, NULL);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other_key);
	return failed;
}
