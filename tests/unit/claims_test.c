// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/jose.c */
/* claims_test.c - claims as a Struct, read back with generated code: what was written means what the token said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "gen/workload.pb-c.h"
#include "tests/lib/jose.h"
#include "workloadapi/claims.h"

#define HEADER "{\"alg\":\"ES256\"}"
#define BASICS "\"sub\":\"spiffe://td.test/w\",\"exp\":2000"

/* JSON text again, members in the order of the answer. */
static void show(struct buf *b, const Google__Protobuf__Value *v);

static void show_struct(struct buf *b, const Google__Protobuf__Struct *s)
{
	buf_put_str(b, "{");
	for (size_t i = 0; i < s->n_fields; i++) {
		buf_printf(b, "%s%s:", i ? "," : "", s->fields[i]->key);
		show(b, s->fields[i]->value);
	}
	buf_put_str(b, "}");
}

static void show_list(struct buf *b, const Google__Protobuf__ListValue *l)
{
	buf_put_str(b, "[");
	for (size_t i = 0; i < l->n_values; i++) {
		buf_put_str(b, i ? "," : "");
		show(b, l->values[i]);
	}
	buf_put_str(b, "]");
}

static void show(struct buf *b, const Google__Protobuf__Value *v)
{
	switch (v->kind_case) {
	case GOOGLE__PROTOBUF__VALUE__KIND_NULL_VALUE:
		buf_put_str(b, "null");
		break;
	case GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE:
		buf_printf(b, "%.17g", v->number_value);
		break;
	case GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE:
		buf_printf(b, "'%s'", v->string_value);
		break;
	case GOOGLE__PROTOBUF__VALUE__KIND_BOOL_VALUE:
		buf_put_str(b, v->bool_value ? "true" : "false");
		break;
	case GOOGLE__PROTOBUF__VALUE__KIND_STRUCT_VALUE:
		show_struct(b, v->struct_value);
		break;
	case GOOGLE__PROTOBUF__VALUE__KIND_LIST_VALUE:
		show_list(b, v->list_value);
		break;
	default:
		fail_msg("a value of no kind");
	}
}

static int encode(const char *claims, bool all, struct message **ret_m)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	AUTO(jwt) struct jwt j = JWT_INIT;
	const char *why = "";
	int err;

	jose_token(&token, HEADER, claims, slice_str("s"));
	err = jwt_parse(buf_slice(&token), &j, &why);
	if (err == -ERR_REQUEST)
		fail_msg("%s: %s", claims, why);
	return err ? err : claims_encode(&j, all, ret_m);
}

static void expect(const char *claims, bool all, const char *shown)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	AUTO(message) struct message *m = NULL;
	ValidateJWTSVIDResponse *r;
	struct slice body;

	assert_int_equal(encode(claims, all, &m), 0);
	body = message_bytes(m);
	(void)slice_get_bytes(&body, GRPC_PREFIX);
	r = validate_jwtsvidresponse__unpack(NULL, body.len, body.p);
	assert_non_null(r);
	assert_string_equal(r->spiffe_id, "spiffe://td.test/w");
	assert_non_null(r->claims);
	show_struct(&b, r->claims);
	assert_string_equal(buf_cstr(&b), shown);
	validate_jwtsvidresponse__free_unpacked(r, NULL);
}

static void every_kind_of_value(void **state)
{
	(void)state;
	expect("{" BASICS ",\"aud\":[\"a\",\"b\"],\"n\":null,\"t\":true,\"f\":false,\"z\":0,\"s\":\"\",\"u\":\"\\u00e9\","
	       "\"l\":[],\"o\":{},\"d\":{\"l\":[1.5,\"x\",[{}],null]}}",
	       true,
	       "{sub:'spiffe://td.test/w',exp:2000,aud:['a','b'],n:null,t:true,f:false,z:0,s:'',u:'\xc3\xa9',"
	       "l:[],o:{},d:{l:[1.5,'x',[{}],null]}}");
}

static void aud_is_always_a_list(void **state)
{
	(void)state;
	expect("{" BASICS ",\"aud\":\"a\"}", true, "{sub:'spiffe://td.test/w',exp:2000,aud:['a']}");
	expect("{\"aud\":\"a\"," BASICS "}", false, "{aud:['a'],sub:'spiffe://td.test/w',exp:2000}");
}

static void large_numbers_are_doubles(void **state)
{
	(void)state;
	expect("{" BASICS ",\"aud\":\"a\",\"a\":9007199254740992,\"b\":18446744073709551616,\"c\":-1e300}", true,
	       "{sub:'spiffe://td.test/w',exp:2000,aud:['a'],a:9007199254740992,b:1.8446744073709552e+19,"
	       "c:-1.0000000000000001e+300}");
}

/* Workload API 6.2.3: what another trust domain says beyond that is not vouched for. */
static void foreign_tokens_are_filtered(void **state)
{
	(void)state;
	expect("{\"iss\":\"i\"," BASICS ",\"aud\":[\"a\"],\"iat\":1,\"nbf\":1,\"jti\":\"j\",\"groups\":[\"root\"]}", false,
	       "{sub:'spiffe://td.test/w',exp:2000,aud:['a']}");
}

static void names_are_taken_as_they_are(void **state)
{
	(void)state;
	expect("{" BASICS ",\"aud\":\"a\",\"\":1,\"a.b/c\":2}", true,
	       "{sub:'spiffe://td.test/w',exp:2000,aud:['a'],:1,a.b/c:2}");
}

/* Readers of protobuf count messages in messages, most to 100. */
static void the_deepest_claims_can_be_read(void **state)
{
	AUTO(buf) struct buf claims = BUF_INIT(1024);
	AUTO(message) struct message *m = NULL;

	(void)state;
	buf_put_str(&claims, "{" BASICS ",\"aud\":\"a\",\"x\":");
	for (int i = 1; i < LIM_JSON_DEPTH; i++)
		buf_put_str(&claims, "{\"x\":");
	buf_put_str(&claims, "1");
	for (int i = 0; i < LIM_JSON_DEPTH; i++)
		buf_put_str(&claims, "}");
	assert_int_equal(encode(buf_cstr(&claims), true, &m), 0);
	assert_true(LIM_JSON_DEPTH * 3 + 2 < 100);
}

static void no_memory_is_said(void **state)
{
	bool whole = false;

	(void)state;
	for (long n = 0; !whole; n++) {
		AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
		AUTO(jwt) struct jwt j = JWT_INIT;
		AUTO(message) struct message *m = NULL;
		const char *why;
		int err;

		jose_token(&token, HEADER, "{" BASICS ",\"aud\":\"a\",\"o\":{\"l\":[1,\"x\"]}}", slice_str("s"));
		assert_int_equal(jwt_parse(buf_slice(&token), &j, &why), 0);
		mem_fail_after(n);
		err = claims_encode(&j, true, &m);
		whole = !mem_fail_after(-1);
		assert_int_equal(err, whole ? 0 : -ENOMEM);
		assert_true(whole == (m != NULL));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_of_value),
		cmocka_unit_test(aud_is_always_a_list),
		cmocka_unit_test(large_numbers_are_doubles),
		cmocka_unit_test(foreign_tokens_are_filtered),
		cmocka_unit_test(names_are_taken_as_they_are),
		cmocka_unit_test(the_deepest_claims_can_be_read),
		cmocka_unit_test(no_memory_is_said),
	};

	return cmocka_run_group_tests_name("claims", tests, NULL, NULL);
}
