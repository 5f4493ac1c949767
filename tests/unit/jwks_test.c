// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/jose.c */
/* jwks_test.c - JWK Sets: a validator ignores what it does not know, and clients get only what the strictest takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "tests/lib/jose.h"
#include "workloadapi/jwks.h"

/* What a row may name: $n 2048 bits, $s 2040 bits, $b 8200 bits, $x 32 bytes, $o 31 bytes, $p 48, $q 66. */
static void put_key_text(struct buf *b, const char *text)
{
	static const struct {
		char name;
		size_t bytes;
	} numbers[] = { { 'n', 256 }, { 's', 255 }, { 'b', 1025 }, { 'x', 32 }, { 'o', 31 }, { 'p', 48 }, { 'q', 66 } };
	uint8_t bytes[1025];

	memset(bytes, 0xa5, sizeof(bytes));
	for (; *text; text++) {
		if (*text != '$') {
			buf_put_u8(b, (uint8_t)*text);
			continue;
		}
		text++;
		for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
			if (numbers[i].name == *text)
				base64_put(b, slice_of(bytes, numbers[i].bytes), BASE64_URL);
	}
}

static struct jwks *parse(const char *text)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	struct jwks *j = NULL;

	put_key_text(&b, text);
	assert_int_equal(buf_ok(&b), 0);
	assert_int_equal(jwks_parse(buf_slice(&b), &j), 0);
	return j;
}

static const char *why_of(const char *text)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);

	put_key_text(&b, text);
	assert_int_equal(jwks_check(buf_slice(&b)), jwks_why(buf_slice(&b)) ? -ERR_FORMAT : 0);
	return jwks_why(buf_slice(&b));
}

#define KEYS(keys) "{\"keys\":[" keys "]}"
#define RSA(more) "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"AQAB\"" more "}"
#define EC(more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"$x\",\"y\":\"$x\"" more "}"
#define KID ",\"kid\":\"k\""

/* One key each. @usable: a validator takes it. @why: NULL when clients may have it. */
static const struct row {
	const char *key;
	bool usable;
	const char *why;
} rows[] = {
	{ RSA(KID), true, NULL },
	{ RSA(KID ",\"use\":\"jwt-svid\",\"alg\":\"PS512\",\"x\":1"), true, NULL },
	{ RSA(KID ",\"use\":\"sig\""), true, NULL },
	{ EC(KID), true, NULL },
	{ EC(KID ",\"alg\":\"ES256\",\"key_ops\":[\"verify\"]"), true, NULL },
	{ "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"$p\",\"y\":\"$p\"" KID "}", true, NULL },
	{ "{\"kty\":\"EC\",\"crv\":\"P-521\",\"x\":\"$q\",\"y\":\"$q\"" KID "}", true, NULL },
	{ "{\"kty\":\"RSA\",\"n\":\"AAAA$n\",\"e\":\"AAEAAQ\"" KID "}", true, NULL }, /* zeros in front */
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"Aw\"" KID "}", true, NULL },
	{ RSA(""), true, "a key has no kid" },
	{ RSA(",\"kid\":\"\""), true, "a key has no kid" },
	{ RSA(KID ",\"d\":\"AQ\""), true, "a key is a private one" },
	{ EC(KID ",\"x5c\":[\"MA==\"]"), true, "a key comes with a certificate" },
	{ RSA(",\"kid\":7"), false, "the kid of a key is not a string" },
	{ "7", false, "a key is not a JSON object" },
	{ "{}", false, "the type of a key is neither RSA nor EC" },
	{ RSA(KID ",\"use\":\"x509-svid\""), false, "a key is of another use" }, /* JB-5 */
	{ RSA(KID ",\"use\":\"wit-svid\""), false, "a key is of another use" },
	{ RSA(KID ",\"use\":\"enc\""), false, "a key is of another use" },
	{ RSA(KID ",\"use\":1"), false, "a key is of another use" },
	{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"$x\"" KID "}", false, "the type of a key is neither RSA nor EC" },
	{ "{\"kty\":\"oct\",\"k\":\"$x\"" KID "}", false, "the type of a key is neither RSA nor EC" },
	{ "{\"kty\":\"AKP\",\"pub\":\"$x\"" KID "}", false, "the type of a key is neither RSA nor EC" },
	{ "{\"kty\":1" KID "}", false, "the type of a key is neither RSA nor EC" },
	{ RSA(KID ",\"alg\":\"ES256\""), false, "the alg of a key is not one that its type has in JWT-SVID" },
	{ RSA(KID ",\"alg\":\"RSA-OAEP\""), false, "the alg of a key is not one that its type has in JWT-SVID" },
	{ RSA(KID ",\"alg\":256"), false, "the alg of a key is not one that its type has in JWT-SVID" },
	{ EC(KID ",\"alg\":\"ES384\""), false, "the alg of a key is not one that its type has in JWT-SVID" },
	{ EC(KID ",\"alg\":\"none\""), false, "the alg of a key is not one that its type has in JWT-SVID" },
	{ "{\"kty\":\"RSA\",\"e\":\"AQAB\"" KID "}", false, "a key lacks a number" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\"" KID "}", false, "a key lacks a number" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":65537" KID "}", false, "a key lacks a number" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n=\",\"e\":\"AQAB\"" KID "}", false, "a number of a key is malformed" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n+\",\"e\":\"AQAB\"" KID "}", false, "a number of a key is malformed" },
	{ "{\"kty\":\"RSA\",\"n\":\"$s\",\"e\":\"AQAB\"" KID "}", false,
	  "an RSA key has fewer than 2048 or more than 8192 bits" },
	{ "{\"kty\":\"RSA\",\"n\":\"$b\",\"e\":\"AQAB\"" KID "}", false,
	  "an RSA key has fewer than 2048 or more than 8192 bits" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"AQ\"" KID "}", false,
	  "the exponent of an RSA key is not odd, or not between 3 and 2^31" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"AA\"" KID "}", false,
	  "the exponent of an RSA key is not odd, or not between 3 and 2^31" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"AQAA\"" KID "}", false,
	  "the exponent of an RSA key is not odd, or not between 3 and 2^31" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"gAAAAQ\"" KID "}", false,
	  "the exponent of an RSA key is not odd, or not between 3 and 2^31" },
	{ "{\"kty\":\"RSA\",\"n\":\"$n\",\"e\":\"AQAAAAE\"" KID "}", false,
	  "the exponent of an RSA key is not odd, or not between 3 and 2^31" },
	{ "{\"kty\":\"EC\",\"x\":\"$x\",\"y\":\"$x\"" KID "}", false,
	  "the curve of a key is not one of P-256, P-384, P-521" },
	{ "{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"$x\",\"y\":\"$x\"" KID "}", false,
	  "the curve of a key is not one of P-256, P-384, P-521" },
	{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"$x\"" KID "}", false, "a key lacks a number" },
	{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"$o\",\"y\":\"$x\"" KID "}", false,
	  "a coordinate of a key is not as long as its curve wants it" },
	{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"$x\",\"y\":\"$p\"" KID "}", false,
	  "a coordinate of a key is not as long as its curve wants it" },
	{ "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"$x\",\"y\":\"$x\"" KID "}", false,
	  "a coordinate of a key is not as long as its curve wants it" },
};

static void each_key_is_judged_for_both(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 20);
		AUTO(jwks) struct jwks *j = NULL;
		const char *why;

		buf_printf(&b, KEYS("%s"), rows[i].key);
		j = parse(buf_cstr(&b));
		why = why_of(buf_cstr(&b));
		if ((j->n_keys == 1) != rows[i].usable)
			fail_msg("%s: %zu keys", rows[i].key, j->n_keys);
		if ((why != NULL) != (rows[i].why != NULL) || (why && strcmp(why, rows[i].why)))
			fail_msg("%s: %s", rows[i].key, why ? why : "good");
	}
}

/* JB-6: the rest of the set goes on being used. */
static void one_unknown_key_does_not_spoil_the_others(void **state)
{
	const char *text = KEYS("{\"kty\":\"OKP\",\"kid\":\"o\"}," EC(",\"kid\":\"a\"") ",7," RSA(",\"kid\":\"b\""));
	AUTO(jwks) struct jwks *j = parse(text);

	(void)state;
	assert_int_equal(j->n_keys, 2);
	assert_string_equal(j->keys[0].kid, "a");
	assert_string_equal(j->keys[1].kid, "b");
	assert_string_equal(why_of(text), "the type of a key is neither RSA nor EC");
}

static void two_keys_with_one_kid_are_not_for_clients(void **state)
{
	(void)state;
	assert_string_equal(why_of(KEYS(EC(KID) "," RSA(KID))), "two keys have one kid");
	assert_null(why_of(KEYS(EC(KID) "," RSA(",\"kid\":\"K\""))));
}

static void whole_documents(void **state)
{
	static const struct {
		const char *text;
		int err;
	} docs[] = {
		{ KEYS(""), 0 }, /* JB-7 */
		{ "{\"keys\":[],\"spiffe_sequence\":1,\"spiffe_refresh_hint\":60,\"x\":[]}", 0 },
		{ "", -ERR_FORMAT },
		{ "{}", -ERR_FORMAT },
		{ "[]", -ERR_FORMAT },
		{ "{\"keys\":null}", -ERR_FORMAT },
		{ "{\"keys\":{}}", -ERR_FORMAT },
		{ "{\"keys\":[],\"keys\":[]}", -ERR_FORMAT },
		{ "{\"keys\":[]}{}", -ERR_FORMAT },
		{ "{\"keys\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", -ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(docs); i++) {
		AUTO(jwks) struct jwks *j = NULL;
		int err = jwks_parse(slice_str(docs[i].text), &j);

		if (err != docs[i].err)
			fail_msg("%s: %s", docs[i].text, err_name(err));
		assert_int_equal(jwks_check(slice_str(docs[i].text)), err ? -ERR_FORMAT : 0);
		assert_int_equal(j ? j->n_keys : 0, 0);
	}
}

static void sizes_are_bounded(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	AUTO(jwks) struct jwks *j = NULL;

	(void)state;
	buf_put_str(&b, "{\"keys\":[");
	for (size_t i = 0; i <= LIM_JWKS_KEYS; i++)
		buf_put_str(&b, i ? ",{}" : "{}");
	buf_put_str(&b, "]}");
	assert_int_equal(jwks_parse(buf_slice(&b), &j), -ERR_SIZE);
	buf_reset(&b);
	buf_put_str(&b, "{\"keys\":[]}");
	while (b.len <= LIM_JWKS)
		buf_put_u8(&b, ' ');
	assert_int_equal(jwks_parse(buf_slice(&b), &j), -ERR_SIZE);
	assert_int_equal(jwks_check(buf_slice(&b)), -ERR_FORMAT);
}

static void wit_sets_have_their_own_use(void **state)
{
	AUTO(buf) struct buf wit = BUF_INIT(8192);
	AUTO(buf) struct buf jwt = BUF_INIT(8192);

	(void)state;
	put_key_text(&wit, KEYS(EC(KID ",\"use\":\"wit-svid\"")));
	put_key_text(&jwt, KEYS(EC(KID ",\"use\":\"jwt-svid\"")));
	assert_int_equal(jwks_check_wit(buf_slice(&wit)), 0);
	assert_int_equal(jwks_check_wit(buf_slice(&jwt)), -ERR_FORMAT);
	assert_int_equal(jwks_check(buf_slice(&jwt)), 0);
}

/* The nine of JWT-SVID 2.1 against both types of key, with and without an alg of the key's own. */
static void algorithms_fit_their_keys(void **state)
{
	AUTO(jwks) struct jwks *j = parse(KEYS(RSA("") "," EC("") "," RSA(",\"alg\":\"RS384\"")));

	(void)state;
	for (uint32_t alg = JWT_NONE; alg < JWT_ALG_COUNT; alg++) {
		const char *name = jwt_alg_name(alg);
		bool rsa = alg != JWT_NONE && (name[0] == 'R' || name[0] == 'P');

		assert_int_equal(jwk_fits(&j->keys[0], alg), rsa);
		assert_int_equal(jwk_fits(&j->keys[1], alg), alg == JWT_ES256);
		assert_int_equal(jwk_fits(&j->keys[2], alg), alg == JWT_RS384);
	}
}

static void no_memory_is_not_a_bad_set(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(8192);
	bool whole = false;

	(void)state;
	put_key_text(&b, KEYS(EC(KID) "," RSA(",\"kid\":\"b\"")));
	for (long n = 0; !whole; n++) {
		AUTO(jwks) struct jwks *j = NULL;
		int err;

		mem_fail_after(n);
		err = jwks_parse(buf_slice(&b), &j);
		whole = !mem_fail_after(-1);
		assert_int_equal(err, whole ? 0 : -ENOMEM);
		assert_int_equal(j ? j->n_keys : 0, whole ? 2 : 0);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_key_is_judged_for_both),
		cmocka_unit_test(one_unknown_key_does_not_spoil_the_others),
		cmocka_unit_test(two_keys_with_one_kid_are_not_for_clients),
		cmocka_unit_test(whole_documents),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(wit_sets_have_their_own_use),
		cmocka_unit_test(algorithms_fit_their_keys),
		cmocka_unit_test(no_memory_is_not_a_bad_set),
	};

	return cmocka_run_group_tests_name("jwks", tests, NULL, NULL);
}
