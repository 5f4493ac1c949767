// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c */
/* front_parts_test.c - the small parts of svid-front: header fields, timeouts, send queue, sets, answers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/ipc/msg.h"
#include "gen/workload.pb-c.h"
#include "tests/lib/workload.h"
#include "workloadapi/der.h"
#include "workloadapi/encode.h"

static void timeouts_of_all_six_units(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns; /* 0: refused */
	} cases[] = {
		{ "1H", 3600 * NS_PER_S }, { "2M", 120 * NS_PER_S }, { "3S", 3 * NS_PER_S },
		{ "2981m", 2981 * NS_PER_MS }, { "2998225u", 2998225000ull }, { "7n", 7 },
		{ "99999999H", 99999999ull * 3600 * NS_PER_S > UINT64_MAX / 2 ? UINT64_MAX / 2 : 0 },
		{ "00000001n", 1 }, { "99999999n", 99999999 }, { "123456789n", 0 }, { "", 0 }, { "n", 0 },
		{ "5", 0 }, { "5s", 0 }, { "5h", 0 }, { "-5S", 0 }, { "+5S", 0 }, { "5 S", 0 }, { " 5S", 0 },
		{ "0x5S", 0 }, { "5SS", 0 }, { "5.5S", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ns = 0;
		int err = request_timeout(slice_str(cases[i].text), &ns);

		if (cases[i].ns ? err || ns != cases[i].ns : !err && strcmp(cases[i].text, "99999999H") != 0)
			fail_msg("%s: %d, %llu", cases[i].text, err, (unsigned long long)ns);
	}
}

static void zero_timeout_is_a_timeout(void **state)
{
	uint64_t ns = 1;

	(void)state;
	assert_int_equal(request_timeout(slice_str("0S"), &ns), 0);
	assert_int_equal(ns, 0);
}

struct field_case {
	const char *what;
	struct fields fields[6];
	bool malformed;
};

static const struct field_case field_cases[] = {
	{ "good", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "te", "trailers" } }, false },
	{ "raw path authority", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" },
	  { ":authority", "/run/x.sock" } }, false },
	{ "empty authority", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { ":authority", "" } },
	  false },
	{ "no method", { { ":scheme", "http" }, { ":path", "/x" } }, true },
	{ "no scheme", { { ":method", "POST" }, { ":path", "/x" } }, true },
	{ "no path", { { ":method", "POST" }, { ":scheme", "http" } }, true },
	{ "empty path", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "" } }, true },
	{ "path without slash", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "x" } }, true },
	{ "path twice", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { ":path", "/x" } }, true },
	{ "authority twice", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { ":authority", "a" },
	  { ":authority", "a" } }, true },
	{ "unknown pseudo field", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { ":x", "y" } }, true },
	{ "response pseudo field", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" },
	  { ":status", "200" } }, true },
	{ "pseudo field after others", { { ":method", "POST" }, { ":scheme", "http" }, { "a", "b" }, { ":path", "/x" } },
	  true },
	{ "upper case", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "Te", "trailers" } }, true },
	{ "empty name", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "", "v" } }, true },
	{ "connection", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "connection", "close" } },
	  true },
	{ "transfer-encoding", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" },
	  { "transfer-encoding", "chunked" } }, true },
	{ "te: gzip", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "te", "gzip" } }, true },
	{ "line feed in a value", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "a", "b\nc" } },
	  true },
	{ "space around a value", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "a", " b" } }, true },
	{ "content-type twice", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" },
	  { "content-type", "application/grpc" }, { "content-type", "application/grpc" } }, true },
	{ "timeout twice", { { ":method", "POST" }, { ":scheme", "http" }, { ":path", "/x" }, { "grpc-timeout", "1S" },
	  { "grpc-timeout", "1S" } }, true },
};

static struct request request_of(const struct fields *f)
{
	struct request r = { .method = NULL };

	for (; f->name; f++)
		request_field(&r, slice_str(f->name), slice_str(f->value));
	return r;
}

static void header_fields_are_checked_as_http2_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(field_cases); i++) {
		struct request r = request_of(field_cases[i].fields);

		if (request_malformed(&r) != field_cases[i].malformed)
			fail_msg("%s", field_cases[i].what);
	}
}

static void content_types_of_grpc(void **state)
{
	static const struct {
		const char *type;
		bool grpc;
	} cases[] = {
		{ "application/grpc", true }, { "application/grpc+proto", true },
		{ "application/grpc;charset=utf-8", true }, { "application/grpc+json", false },
		{ "application/grpc-web", false }, { "application/grpcfoo", false }, { "text/plain", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct request r = { .method = NULL };

		request_field(&r, slice_str("content-type"), slice_str(cases[i].type));
		if (r.grpc != cases[i].grpc)
			fail_msg("%s", cases[i].type);
	}
}

static struct message *message_of(const char *text)
{
	struct message *m;
	uint8_t *to;

	assert_int_equal(message_new(strlen(text), true, &to, &m), 0);
	memcpy(to, text, strlen(text));
	return m;
}

static void take_all(struct out *o, size_t step, struct buf *ret)
{
	struct iovec iov[3];

	while (out_iov(o, iov, 3)) {
		size_t n = step < iov[0].iov_len ? step : iov[0].iov_len;

		buf_put(ret, iov[0].iov_base, n);
		out_sent(o, n);
	}
}

static void queue_keeps_the_order_for_every_cut(void **state)
{
	struct message *m = message_of("shared");

	(void)state;
	for (size_t step = 1; step < 12; step++) {
		AUTO(buf) struct buf got = BUF_INIT(4096);
		struct out o;

		out_init(&o);
		for (int i = 0; i < 5; i++) {
			out_bytes(&o, "<", 1);
			out_bytes(&o, "head>", 5);
			out_message(&o, m, GRPC_PREFIX, 6);
			out_message(&o, m, GRPC_PREFIX + 2, 2);
		}
		take_all(&o, step, &got);
		assert_int_equal(got.len, 5 * 14);
		for (int i = 0; i < 5; i++)
			assert_memory_equal(got.data + 14 * (size_t)i, "<head>sharedar", 14);
		assert_true(out_empty(&o));
		assert_null(o.own.data);
		assert_null(o.parts);
		out_done(&o);
	}
	message_unref(m);
}

static void queue_that_is_never_emptied_does_not_grow_for_ever(void **state)
{
	struct out o;

	(void)state;
	out_init(&o);
	out_bytes(&o, "first", 5);
	for (size_t i = 0; i < 10 * LIM_CONN_OUT; i++) {
		out_bytes(&o, "x", 1);
		out_sent(&o, 1);
		assert_int_equal(out_ok(&o), 0);
	}
	for (size_t i = 0; i < LIM_CONN_OUT; i++)
		out_bytes(&o, "x", 1);
	assert_int_equal(out_ok(&o), -ERR_SIZE);
	out_done(&o);
}

static void der_is_counted_or_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, n;
	} cases[] = {
		{ "", 0, 0 }, { "\x30\x00", 2, 1 }, { "\x30\x00\x30\x01x", 5, 2 }, { "\x30\x01", 2, 0 },
		{ "\x31\x00", 2, 0 }, { "\x30\x80\x00\x00", 4, 0 }, { "\x30\x81\x01x", 4, 1 },
		{ "\x30\x82\x00\x01x", 5, 1 }, { "\x30\x85\x00\x00\x00\x00\x01x", 8, 0 }, { "\x30", 1, 0 },
		{ "\x30\x84\xff\xff\xff\xff", 6, 0 }, { "\x30\x00junk", 6, 0 }, { "-----BEGIN", 10, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (der_count(slice_of(cases[i].bytes, cases[i].len)) != cases[i].n)
			fail_msg("case %zu", i);
}

#define DER "\x30\x03\x02\x01\x05"

struct parts {
	struct buf entries, federated;
};

static void put_identity(struct parts *p, const char *id, const char *hint, const char *chain)
{
	struct set_entry e = { .identity = (uint32_t)p->entries.len + 1, .generation = 1, .not_after = 4102444800,
			       .spiffe_id = slice_str(id), .hint = slice_str(hint), .chain = slice_str(chain) };

	list_put_entry(&p->entries, &e);
}

#define NUMBER "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define JWKS(kid)                                                                                             \
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"jwt-svid\",\"kid\":\"" kid "\",\"x\":\"" NUMBER \
	"\",\"y\":\"" NUMBER "\"}]}"

static void put_federated(struct parts *p, const char *id, const char *der, const char *jwks)
{
	struct fed_bundle f = { .trust_domain_id = slice_str(id), .bundle = slice_str(der), .jwks = slice_str(jwks) };

	list_put_fed(&p->federated, &f);
}

static struct parts parts_new(void)
{
	return (struct parts){ .entries = BUF_INIT(1u << 20), .federated = BUF_INIT(1u << 20) };
}

static struct set *set_of(struct parts *p, const char *domain, const char *bundle)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);
	struct msg_F_SET m = { .version = 1, .trust_domain = slice_str(domain), .bundle = slice_str(bundle),
			       .entries = buf_slice(&p->entries), .federated = buf_slice(&p->federated) };
	struct set *s;

	msg_put_F_SET(&b, &m);
	assert_int_equal(buf_ok(&b), 0);
	assert_int_equal(set_new(buf_slice(&b), &s), 0);
	buf_done(&p->entries);
	buf_done(&p->federated);
	return s;
}

static void poisonous_sets_are_refused(void **state)
{
	static const struct {
		const char *what, *id, *chain, *domain, *bundle;
		int err;
	} cases[] = {
		{ "good", "spiffe://td/w", DER, "td", DER, 0 },
		{ "no path", "spiffe://td", DER, "td", DER, -ERR_SPIFFE_ID },
		{ "root path", "spiffe://td/", DER, "td", DER, -ERR_SPIFFE_ID },
		{ "empty id", "", DER, "td", DER, -ERR_SPIFFE_ID },
		{ "foreign trust domain", "spiffe://tdx/w", DER, "td", DER, -ERR_SPIFFE_ID },
		{ "empty chain", "spiffe://td/w", "", "td", DER, -ERR_FORMAT },
		{ "PEM chain", "spiffe://td/w", "-----BEGIN", "td", DER, -ERR_FORMAT },
		{ "17 certificates", "spiffe://td/w", DER DER DER DER DER DER DER DER DER DER DER DER DER DER DER DER DER,
		  "td", DER, -ERR_FORMAT },
		{ "empty own bundle", "spiffe://td/w", DER, "td", "", -ERR_FORMAT },
		{ "no trust domain", "spiffe:///w", DER, "", DER, -ERR_FORMAT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(set) struct set *s = NULL;
		struct parts p = parts_new();
		int err;

		put_identity(&p, cases[i].id, "", cases[i].chain);
		s = set_of(&p, cases[i].domain, cases[i].bundle);
		err = set_check(s);
		if (err != cases[i].err)
			fail_msg("%s: %s", cases[i].what, err_name(err));
	}
}

static void second_identity_with_a_hint_loses_it(void **state)
{
	AUTO(set) struct set *s = NULL;
	struct parts p = parts_new();

	(void)state;
	put_identity(&p, "spiffe://td/a", "one", DER);
	put_identity(&p, "spiffe://td/b", "one", DER);
	put_identity(&p, "spiffe://td/c", "", DER);
	put_identity(&p, "spiffe://td/d", "", DER);
	put_identity(&p, "spiffe://td/e", "\xff", DER);
	s = set_of(&p, "td", DER);
	assert_int_equal(set_check(s), 0);
	assert_string_equal(s->ids[0].hint, "one");
	for (int i = 1; i < 5; i++)
		assert_string_equal(s->ids[i].hint, "");
}

static bool has(const struct message *m, const char *text)
{
	struct slice b = message_bytes(m);

	return memmem(b.p, b.len, text, strlen(text)) != NULL;
}

/* Neither answer gets an empty bundle, which java-spiffe and py-spiffe take for the end of everything. */
static void bad_federated_bundles_are_left_out_alone(void **state)
{
	AUTO(set) struct set *s = NULL;
	AUTO(message) struct message *x509 = NULL;
	AUTO(message) struct message *jwt = NULL;
	struct parts p = parts_new();

	(void)state;
	put_identity(&p, "spiffe://td/a", "", DER);
	put_federated(&p, "spiffe://jwt-only.test", "", JWKS("k"));
	put_federated(&p, "spiffe://good.test", DER, JWKS("k"));
	put_federated(&p, "spiffe://td", DER, JWKS("k"));
	put_federated(&p, "spiffe://good.test", DER DER, JWKS("k"));
	put_federated(&p, "good.test", DER, JWKS("k"));
	put_federated(&p, "spiffe://nothing.test", "", "");
	put_federated(&p, "spiffe://pem.test", "-----BEGIN", "");
	put_federated(&p, "spiffe://x509-only.test", DER, "");
	put_federated(&p, "spiffe://no-kid.test", DER, JWKS(""));
	put_federated(&p, "spiffe://okp.test", DER, "{\"keys\":[{\"kty\":\"OKP\",\"kid\":\"a\",\"use\":\"jwt-svid\"}]}");
	put_federated(&p, "spiffe://no-json.test", DER, "{\"keys\":[");
	put_federated(&p, "spiffe://pem-and-jwt.test", "-----BEGIN", JWKS("k"));
	s = set_of(&p, "td", DER);
	s->own.jwks = slice_str(JWKS("own"));
	assert_int_equal(set_check(s), 0);
	assert_int_equal(encode_x509_bundles(s, &x509), 0);
	assert_int_equal(encode_jwt_bundles(s, &jwt), 0);
	for (size_t i = 0; i < s->n_feds; i++) {
		const char *name = s->feds[i].trust_domain_id;
		bool in_x509 = strstr("spiffe://good.test spiffe://x509-only.test spiffe://no-kid.test spiffe://okp.test "
				      "spiffe://no-json.test", name);
		bool in_jwt = strstr("spiffe://good.test spiffe://jwt-only.test spiffe://pem-and-jwt.test", name);

		if (has(x509, name) != in_x509 || has(jwt, name) != in_jwt)
			fail_msg("%s: %d %d", name, has(x509, name), has(jwt, name));
	}
	assert_int_equal(s->n_feds, 7);
	assert_true(has(jwt, "spiffe://td") && has(x509, "spiffe://td"));
	assert_false(has(x509, "pem") || has(x509, "nothing") || has(jwt, "nothing") || has(x509, "jwt-only"));
}

static void too_many_federated_bundles_give_way_to_the_svid(void **state)
{
	AUTO(buf) struct buf big = BUF_INIT(1u << 20);
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);
	AUTO(set) struct set *s = NULL;
	AUTO(message) struct message *m = NULL;
	struct parts p = parts_new();
	struct msg_F_SET set = { .trust_domain = slice_str("td") };
	struct secret *key = secret_new(5);

	(void)state;
	assert_non_null(key);
	memcpy(secret_bytes(key), DER, 5);
	for (int i = 0; i < 15; i++)
		test_der(&big, 65000, 1);
	for (int i = 0; i < 16; i++) /* 64 chains of 64 KB would be refused; a big bundle in each identity is not */
		put_identity(&p, "spiffe://td/a", "", DER);
	put_federated(&p, "spiffe://f.test", DER, "");
	set.bundle = buf_slice(&big);
	set.entries = buf_slice(&p.entries);
	set.federated = buf_slice(&p.federated);
	msg_put_F_SET(&b, &set);
	assert_int_equal(set_new(buf_slice(&b), &s), 0);
	assert_int_equal(set_check(s), 0);
	struct secret *keys[16];
	for (int i = 0; i < 16; i++)
		keys[i] = key;
	assert_int_equal(encode_x509_svids(s, keys, &m), -ERR_SIZE);
	s->n_ids = 4;
	assert_int_equal(encode_x509_svids(s, keys, &m), 0);
	assert_true(message_bytes(m).len <= LIM_GRPC_RESPONSE + GRPC_PREFIX);
	s->n_ids = 16;
	secret_free(key);
	buf_done(&p.entries);
	buf_done(&p.federated);
}

static void missing_or_broken_keys_are_no_answer(void **state)
{
	AUTO(set) struct set *s = NULL;
	struct parts p = parts_new();
	struct message *m;
	struct secret *keys[1] = { NULL };

	(void)state;
	put_identity(&p, "spiffe://td/a", "", DER);
	s = set_of(&p, "td", DER);
	assert_int_equal(encode_x509_svids(s, keys, &m), -ERR_FORMAT);
	keys[0] = secret_new(5);
	assert_int_equal(encode_x509_svids(s, keys, &m), -ERR_FORMAT); /* zeros are no DER */
	secret_free(keys[0]);
}

static void cut_set_is_a_broken_sender(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);

	(void)state;
	test_set_body(&b, 1, 2, 2, 100);
	for (size_t n = 0; n < b.len; n++) {
		struct set *s;

		assert_int_not_equal(set_new(slice_of(b.data, n), &s), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timeouts_of_all_six_units),
		cmocka_unit_test(zero_timeout_is_a_timeout),
		cmocka_unit_test(header_fields_are_checked_as_http2_says),
		cmocka_unit_test(content_types_of_grpc),
		cmocka_unit_test(queue_keeps_the_order_for_every_cut),
		cmocka_unit_test(queue_that_is_never_emptied_does_not_grow_for_ever),
		cmocka_unit_test(der_is_counted_or_refused),
		cmocka_unit_test(poisonous_sets_are_refused),
		cmocka_unit_test(second_identity_with_a_hint_loses_it),
		cmocka_unit_test(bad_federated_bundles_are_left_out_alone),
		cmocka_unit_test(too_many_federated_bundles_give_way_to_the_svid),
		cmocka_unit_test(missing_or_broken_keys_are_no_answer),
		cmocka_unit_test(cut_set_is_a_broken_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
