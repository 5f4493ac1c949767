// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/jose.c */
/* jwt_test.c - a JWT-SVID to the letter: each way to be wrong has its sentence, and what is right is taken. */
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
#include "workloadapi/jwt.h"

#define HEADER "{\"alg\":\"ES256\",\"kid\":\"k\",\"typ\":\"JWT\"}"
#define SUB "\"sub\":\"spiffe://td.test/w\""
#define CLAIMS "{" SUB ",\"aud\":[\"a\"],\"exp\":2000}"
#define SIGNATURE "\x01\x02\x03"

static const struct slice sig = { .p = (const uint8_t *)SIGNATURE, .len = 3 };

/* The sentence for a token; NULL: it is taken. */
static const char *parse(struct slice token)
{
	AUTO(jwt) struct jwt j = JWT_INIT;
	const char *why = NULL;
	int err = jwt_parse(token, &j, &why);

	assert_true(err == 0 || err == -ERR_REQUEST);
	assert_true((err == 0) == (why == NULL));
	return why;
}

static const char *parse_parts(const char *header, const char *claims)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);

	jose_token(&b, header, claims, sig);
	return parse(buf_slice(&b));
}

struct row {
	const char *json;
	const char *why; /* NULL: taken */
};

static void check_row(const char *why, const struct row *r)
{
	if (!why && !r->why)
		return;
	if (!why || !r->why || strcmp(why, r->why))
		fail_msg("%s: \"%s\" instead of \"%s\"", r->json, why ? why : "taken", r->why ? r->why : "taken");
}

#define BAD_ALG "token alg is not one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512"

static void headers(void **state)
{
	static const struct row rows[] = {
		{ "{\"alg\":\"RS256\"}", NULL }, /* JV-22: kid and typ are optional */
		{ "{\"alg\":\"RS384\",\"typ\":\"JOSE\"}", NULL },
		{ "{\"alg\":\"RS512\"}", NULL },
		{ "{\"alg\":\"ES256\"}", NULL },
		{ "{\"alg\":\"ES384\"}", NULL },
		{ "{\"alg\":\"ES512\"}", NULL },
		{ "{\"alg\":\"PS256\"}", NULL },
		{ "{\"alg\":\"PS384\"}", NULL },
		{ "{\"alg\":\"PS512\"}", NULL },
		{ "{\"alg\":\"ES256\",\"x\":{\"y\":1},\"jku\":\"http://h/\"}", NULL }, /* RFC 7515 4.2, 4.3: ignored */
		{ " {\"alg\" : \"ES256\"} ", NULL },
		{ "", "token header is not a JSON object" },
		{ "[]", "token header is not a JSON object" },
		{ "\"ES256\"", "token header is not a JSON object" },
		{ "{\"alg\":\"ES256\"", "token header is not a JSON object" },
		{ "{\"alg\":\"ES256\"}x", "token header is not a JSON object" },
		{ "{\"alg\":\"ES256\\u0000\"}", "token header is not a JSON object" },
		{ "{\"alg\":\"ES256\",\"x\":\"\xff\"}", "token header is not a JSON object" },
		{ "{\"alg\":\"ES256\",\"alg\":\"ES256\"}", "token header has a member twice" },
		{ "{\"alg\":\"ES256\",\"x\":{\"y\":1,\"y\":2}}", "token header has a member twice" },
		{ "{\"alg\":\"ES256\",\"x\":[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]}", "token header is nested too deep" },
		{ "{}", "token header has no alg" },
		{ "{\"Alg\":\"ES256\"}", "token header has no alg" },
		{ "{\"alg\":\"none\"}", BAD_ALG },
		{ "{\"alg\":\"HS256\"}", BAD_ALG },
		{ "{\"alg\":\"HS512\"}", BAD_ALG },
		{ "{\"alg\":\"EdDSA\"}", BAD_ALG },
		{ "{\"alg\":\"ES256K\"}", BAD_ALG },
		{ "{\"alg\":\"es256\"}", BAD_ALG },
		{ "{\"alg\":\"\"}", BAD_ALG },
		{ "{\"alg\":1}", BAD_ALG },
		{ "{\"alg\":null}", BAD_ALG },
		{ "{\"alg\":[\"ES256\"]}", BAD_ALG },
		{ "{\"alg\":\"none\",\"crit\":[\"x\"]}", BAD_ALG }, /* JWT-SVID 2.1: alg comes first */
		{ "{\"alg\":\"ES256\",\"crit\":[\"x\"],\"x\":1}", "token header has crit" },
		{ "{\"alg\":\"ES256\",\"crit\":[\"b64\"],\"b64\":false}", "token header has crit" },
		{ "{\"alg\":\"ES256\",\"crit\":[]}", "token header has crit" },
		{ "{\"alg\":\"ES256\",\"typ\":\"jwt\"}", "token typ is neither JWT nor JOSE" },
		{ "{\"alg\":\"ES256\",\"typ\":\"wit+jwt\"}", "token typ is neither JWT nor JOSE" },
		{ "{\"alg\":\"ES256\",\"typ\":\"\"}", "token typ is neither JWT nor JOSE" },
		{ "{\"alg\":\"ES256\",\"typ\":null}", "token typ is neither JWT nor JOSE" },
		{ "{\"alg\":\"ES256\",\"typ\":[\"JWT\"]}", "token typ is neither JWT nor JOSE" },
		{ "{\"alg\":\"ES256\",\"kid\":1}", "token kid is not a string" },
		{ "{\"alg\":\"ES256\",\"kid\":null}", "token kid is not a string" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(parse_parts(rows[i].json, CLAIMS), &rows[i]);
}

#define OF_ID(id) "{\"sub\":\"" id "\",\"aud\":\"a\",\"exp\":2000}"
#define OF_AUD(aud) "{" SUB ",\"exp\":2000,\"aud\":" aud "}"
#define OF_DATES(dates) "{" SUB ",\"aud\":\"a\"," dates "}"
#define BAD_SUB "token sub is not a SPIFFE ID"

static void check_claims(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(parse_parts(HEADER, rows[i].json), &rows[i]);
}

static void claims(void **state)
{
	static const struct row rows[] = {
		{ CLAIMS, NULL },
		{ OF_ID("spiffe://td_1.-/A.b-c_D/..."), NULL }, /* ID-2 */
		{ OF_ID("spiffe://10.1.2.3/w"), NULL },
		{ OF_AUD("\"a\""), NULL }, /* JV-10 */
		{ OF_AUD("[\"b\",\"a\",\"\"]"), NULL },
		{ OF_DATES("\"exp\":2000.5,\"nbf\":1,\"iat\":0"), NULL },
		{ OF_DATES("\"exp\":2e3,\"iat\":9000"), NULL }, /* RFC 7519 4.1.6: iat limits nothing */
		{ OF_DATES("\"exp\":253402300799"), NULL },
		{ "{" SUB ",\"aud\":\"a\",\"exp\":2000,\"iss\":\"i\",\"jti\":\"j\",\"x\":{\"y\":[null,true,1e300]}}", NULL },
		{ "", "token claims are not a JSON object" },
		{ "[" CLAIMS "]", "token claims are not a JSON object" },
		{ "{" SUB ",\"aud\":\"a\",\"exp\":1e999}", "token claims are not a JSON object" },
		{ "{" SUB ",\"aud\":\"a\",\"exp\":NaN}", "token claims are not a JSON object" },
		{ "{" SUB "," SUB ",\"aud\":\"a\",\"exp\":2000}", "token claims have a member twice" },
		{ "{" SUB ",\"aud\":\"a\",\"exp\":2000,\"x\":[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]}",
		  "token claims are nested too deep" },
		{ "{\"aud\":\"a\",\"exp\":2000}", "token has no sub" },
		{ "{\"sub\":1,\"aud\":\"a\",\"exp\":2000}", "token sub is not a string" },
		{ "{\"sub\":[\"spiffe://td.test/w\"],\"aud\":\"a\",\"exp\":2000}", "token sub is not a string" },
		{ "{" SUB ",\"exp\":2000}", "token has no aud" },
		{ OF_AUD("null"), "token aud is neither a string nor a list" },
		{ OF_AUD("1"), "token aud is neither a string nor a list" },
		{ OF_AUD("{\"a\":\"a\"}"), "token aud is neither a string nor a list" },
		{ OF_AUD("[]"), "token aud is an empty list" },
		{ OF_AUD("[\"a\",1]"), "token aud has a value that is not a string" },
		{ OF_AUD("[[\"a\"]]"), "token aud has a value that is not a string" },
		{ "{" SUB ",\"aud\":\"a\"}", "token has no exp" },
		{ OF_DATES("\"exp\":\"2000\""), "token exp is not a number" },
		{ OF_DATES("\"exp\":null"), "token exp is not a number" },
		{ OF_DATES("\"exp\":true"), "token exp is not a number" },
		{ OF_DATES("\"exp\":-1"), "token exp is out of range" },
		{ OF_DATES("\"exp\":253402300800"), "token exp is out of range" },
		{ OF_DATES("\"exp\":1e300"), "token exp is out of range" },
		{ OF_DATES("\"exp\":2000,\"nbf\":\"1\""), "token nbf is not a number" },
		{ OF_DATES("\"exp\":2000,\"nbf\":-1"), "token nbf is out of range" },
		{ OF_DATES("\"exp\":2000,\"iat\":[1]"), "token iat is not a number" },
		{ OF_DATES("\"exp\":2000,\"iat\":1e18"), "token iat is out of range" },
		{ OF_DATES("\"exp\":2000,\"iss\":1"), "token iss is not a string" },
		{ OF_DATES("\"exp\":2000,\"jti\":{}"), "token jti is not a string" },
	};

	(void)state;
	check_claims(rows, ARRAY_SIZE(rows));
}

/* JV-19, ID-1 */
static void claims_of_whom(void **state)
{
	static const struct row rows[] = {
		{ OF_ID(""), BAD_SUB },
		{ OF_ID("me"), BAD_SUB },
		{ OF_ID("https://td.test/w"), BAD_SUB },
		{ OF_ID("spiffe:///a"), BAD_SUB },
		{ OF_ID("spiffe://td:8080/a"), BAD_SUB },
		{ OF_ID("spiffe://u@td/a"), BAD_SUB },
		{ OF_ID("spiffe://td/a?x=1"), BAD_SUB },
		{ OF_ID("spiffe://td/a#f"), BAD_SUB },
		{ OF_ID("spiffe://td/%41"), BAD_SUB },
		{ OF_ID("spiffe://td/a//b"), BAD_SUB },
		{ OF_ID("spiffe://td/a/./b"), BAD_SUB },
		{ OF_ID("spiffe://td/a/../b"), BAD_SUB },
		{ OF_ID("spiffe://td/a/"), BAD_SUB },
		{ OF_ID("spiffe://td/a!b"), BAD_SUB },
		{ OF_ID("spiffe://t$d/a"), BAD_SUB },
		{ OF_ID("spiffe://TD.test/w"), BAD_SUB }, /* ID-2.1-4 */
		{ OF_ID("SPIFFE://td.test/w"), BAD_SUB },
		{ OF_ID("spiffe://td.test"), "token sub is the SPIFFE ID of a trust domain, not of a workload" },
	};

	(void)state;
	check_claims(rows, ARRAY_SIZE(rows));
}

static void a_bad_sub_says_what_is_wrong_with_it(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);
	AUTO(jwt) struct jwt j = JWT_INIT;
	const char *why;

	(void)state;
	jose_token(&b, HEADER, OF_ID("spiffe://td/a/"), sig);
	assert_int_equal(jwt_parse(buf_slice(&b), &j, &why), -ERR_REQUEST);
	assert_string_equal(j.detail, "empty path segment or trailing slash");
}

/* JV-24, JV-25: "H" and "C" stand for a good header and good claims. */
static void compact_forms(void **state)
{
	static const char three[] = "token is not of three parts with dots between them";
	static const struct row rows[] = {
		{ "H.C.AQID", NULL },
		{ "", three },
		{ "x", three },
		{ "H.C", three },
		{ "H.C.AQID.AQID", three },
		{ "H.k.i.C.AQID", three }, /* a JWE */
		{ "..", "token header is not a JSON object" },
		{ "{\"payload\":\"C\",\"signatures\":[{\"protected\":\"H\",\"signature\":\"AQID\"}]}", three },
		{ "H=.C.AQID", "token header is not base64url without padding" },
		{ " H.C.AQID", "token header is not base64url without padding" },
		{ "!.C.AQID", "token header is not base64url without padding" },
		{ "H..AQID", "token claims are not a JSON object" },
		{ "H.C=.AQID", "token claims are not base64url without padding" },
		{ "H.C\n.AQID", "token claims are not base64url without padding" },
		{ "H.+.AQID", "token claims are not base64url without padding" },
		{ "H.C.", "token has no signature" },
		{ "H.C.AQID ", "token signature is not base64url without padding" },
		{ "H.C.AQID\n", "token signature is not base64url without padding" },
		{ "H.C.AQI=", "token signature is not base64url without padding" },
		{ "H.C.AQJ", "token signature is not base64url without padding" }, /* bits left over */
		{ "H.C.A", "token signature is not base64url without padding" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);

		for (const char *p = rows[i].json; *p; p++) {
			if (*p == 'H')
				base64_put(&b, slice_str(HEADER), BASE64_URL);
			else if (*p == 'C')
				base64_put(&b, slice_str(CLAIMS), BASE64_URL);
			else
				buf_put_u8(&b, (uint8_t)*p);
		}
		check_row(parse(buf_slice(&b)), &rows[i]);
	}
}

static void sizes_are_bounded(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	static uint8_t big[LIM_JWT];

	(void)state;
	jose_token(&b, HEADER, CLAIMS, slice_of(big, 1024)); /* RSA of 8192 bits */
	assert_null(parse(buf_slice(&b)));
	buf_reset(&b);
	jose_token(&b, HEADER, CLAIMS, slice_of(big, 1025));
	assert_string_equal(parse(buf_slice(&b)), "token signature is longer than that of any algorithm");
	buf_reset(&b);
	jose_token(&b, HEADER, CLAIMS, slice_of(big, sizeof(big)));
	assert_string_equal(parse(buf_slice(&b)), "token is larger than 64 KiB");
}

static void a_sub_of_2048_bytes_is_taken(void **state)
{
	AUTO(buf) struct buf json = BUF_INIT(8192);
	size_t prefix = strlen("spiffe://td.test/");

	(void)state;
	buf_put_str(&json, "{\"aud\":\"a\",\"exp\":1,\"sub\":\"spiffe://td.test/");
	for (size_t i = prefix; i < LIM_SPIFFE_ID; i++)
		buf_put_u8(&json, 'w');
	buf_put_str(&json, "\"}");
	assert_null(parse_parts(HEADER, buf_cstr(&json)));
}

static void what_was_read_is_there(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);
	AUTO(buf) struct buf input = BUF_INIT(LIM_JWT);
	AUTO(jwt) struct jwt j = JWT_INIT;
	const char *why;

	(void)state;
	jose_token(&b, HEADER, OF_DATES("\"exp\":2000.25,\"nbf\":1500"), sig);
	jose_input(&input, HEADER, OF_DATES("\"exp\":2000.25,\"nbf\":1500"));
	assert_int_equal(jwt_parse(buf_slice(&b), &j, &why), 0);
	assert_int_equal(j.alg, JWT_ES256);
	assert_true(j.has_kid && slice_eq_str(j.kid, "k"));
	assert_true(slice_eq(j.input, buf_slice(&input)));
	assert_true(slice_eq(buf_slice(&j.signature), sig));
	assert_true(slice_eq_str(j.sub, "spiffe://td.test/w"));
	assert_true(slice_eq_str(j.id.trust_domain, "td.test"));
	assert_true(j.exp == 2000.25 && j.nbf == 1500);
}

/* The token says aud, exp and nbf; @audience and @now are the validator's. */
static void times_and_audiences(void **state)
{
	static const struct {
		const char *claims, *audience;
		double now;
		const char *why;
	} rows[] = {
		{ OF_AUD("\"a\""), "a", 1999.9, NULL },
		{ OF_AUD("[\"other\",\"a\"]"), "a", 0, NULL }, /* JV-9 */
		{ OF_AUD("\"a\""), "a", 2000, "token has expired" }, /* no leeway */
		{ OF_AUD("\"a\""), "a", 3000, "token has expired" },
		{ OF_AUD("\"a\""), "b", 0, "token is not for this audience" },
		{ OF_AUD("\"ab\""), "a", 0, "token is not for this audience" },
		{ OF_AUD("\"A\""), "a", 0, "token is not for this audience" },
		{ OF_AUD("[\"a \",\"\"]"), "a", 0, "token is not for this audience" },
		{ OF_DATES("\"exp\":2000,\"nbf\":1000"), "a", 1000, NULL },
		{ OF_DATES("\"exp\":2000,\"nbf\":1000"), "a", 1000 - LIM_JWT_NBF_S, NULL },
		{ OF_DATES("\"exp\":2000,\"nbf\":1000"), "a", 999.9 - LIM_JWT_NBF_S, "token is not valid yet" }, /* JV-13 */
		{ OF_DATES("\"exp\":2000,\"iat\":1900"), "a", 1000, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);
		AUTO(jwt) struct jwt j = JWT_INIT;
		struct row r = { rows[i].claims, rows[i].why };
		const char *why;

		jose_token(&b, HEADER, rows[i].claims, sig);
		assert_int_equal(jwt_parse(buf_slice(&b), &j, &why), 0);
		check_row(jwt_why_not(&j, slice_str(rows[i].audience), rows[i].now), &r);
	}
}

static void no_memory_is_not_a_broken_token(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_JWT);
	bool whole = false;

	(void)state;
	jose_token(&b, HEADER, CLAIMS, sig);
	for (long n = 0; !whole; n++) {
		AUTO(jwt) struct jwt j = JWT_INIT;
		const char *why = NULL;
		int err;

		mem_fail_after(n);
		err = jwt_parse(buf_slice(&b), &j, &why);
		whole = !mem_fail_after(-1);
		assert_int_equal(err, whole ? 0 : -ENOMEM);
		assert_null(why);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers),
		cmocka_unit_test(claims),
		cmocka_unit_test(claims_of_whom),
		cmocka_unit_test(a_bad_sub_says_what_is_wrong_with_it),
		cmocka_unit_test(compact_forms),
		cmocka_unit_test(sizes_are_bounded),
		cmocka_unit_test(a_sub_of_2048_bytes_is_taken),
		cmocka_unit_test(what_was_read_is_there),
		cmocka_unit_test(times_and_audiences),
		cmocka_unit_test(no_memory_is_not_a_broken_token),
	};

	return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
