/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/watch_items.c agent/cli/jwt.c agent/cli/jwt_verify.c agent/cli/jwk.c agent/cli/dump.c agent/cli/x509.c agent/cli/pb_struct.c tests/lib/certs.c */
/* cli_watch_test.c - what `svid watch` says of one message after another, and the claims of ValidateJWTSVID as JSON. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/base64.h"
#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/pb.h"
#include "agent/cli/pb_struct.h"
#include "agent/cli/watch_items.h"
#include "tests/lib/certs.h"

static EVP_PKEY *key;

static void diff_is(const struct watch_items *before, const struct watch_items *now, bool as_json, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);

	watch_items_diff(&out, before, now, as_json);
	assert_string_equal(buf_cstr(&out), want);
}

static void put_entry(struct buf *out, uint32_t number, const char *name, const char *value)
{
	AUTO(buf) struct buf entry = BUF_INIT(1 << 16);

	pb_put(&entry, 1, slice_str(name));
	pb_put(&entry, 2, slice_str(value));
	pb_put(out, number, buf_slice(&entry));
}

static int read_jwks(const char *a, const char *b, struct watch_items *ret_items)
{
	AUTO(buf) struct buf m = BUF_INIT(1 << 16);

	if (a)
		put_entry(&m, 1, "spiffe://a", a);
	if (b)
		put_entry(&m, 1, "spiffe://b", b);
	return watch_items_read(WATCH_JWT_BUNDLES, buf_slice(&m), NULL, 0, ret_items);
}

#define ONE "{\"keys\":[{\"kid\":\"k1\"}]}"
#define TWO "{\"keys\":[{\"kid\":\"k1\"},{\"kid\":\"k\\u001b2\"}]}"

static void changes_are_named_and_sameness_too(void **state)
{
	AUTO(watch_items) struct watch_items none = { 0 };
	AUTO(watch_items) struct watch_items first = { 0 };
	AUTO(watch_items) struct watch_items second = { 0 };

	(void)state;
	assert_int_equal(read_jwks(ONE, ONE, &first), 0);
	assert_int_equal(read_jwks(NULL, TWO, &second), 0);
	diff_is(&none, &first, false, "bundle of spiffe://a new: keys k1; bundle of spiffe://b new: keys k1");
	diff_is(&first, &first, false, "the same as before");
	diff_is(&none, &none, false, "nothing in it");
	diff_is(&first, &second, false, "bundle of spiffe://b changed: keys k1, k\\x1b2; bundle of spiffe://a gone");
	diff_is(&first, &second, true,
		"{\"name\": \"bundle of spiffe://b\", \"change\": \"changed\", \"is\": \"keys k1, k\\u001b2\"}, "
		"{\"name\": \"bundle of spiffe://a\", \"change\": \"gone\", \"is\": \"keys k1\"}");
	diff_is(&first, &first, true, "");
}

static void bundles_that_are_none_are_called_a_problem(void **state)
{
	AUTO(watch_items) struct watch_items none = { 0 };
	AUTO(watch_items) struct watch_items w = { 0 };

	(void)state;
	assert_int_equal(read_jwks("{", "{\"keys\":[]}", &w), 0);
	diff_is(&none, &w, false, "bundle of spiffe://a new: PROBLEM: no JWK Set; bundle of spiffe://b new: no keys");
}

static void malformed_messages_are_an_error(void **state)
{
	static const char *const bad[] = { "\x0a\x05x", "\x0a", "\x08\x01", "\x0a\x02\x0a\x05", "\x0b", "\xff\xff\xff\xff" };
	struct watch_items w;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		for (unsigned int kind = 0; kind < WATCH_KINDS; kind++)
			if (kind != WATCH_BUNDLES || i != 3)
				assert_int_equal(watch_items_read(kind, slice_str(bad[i]), NULL, 0, &w), -ERR_FORMAT);
}

static void more_than_any_agent_has_is_refused(void **state)
{
	AUTO(buf) struct buf m = BUF_INIT(1 << 20);
	struct watch_items w;

	(void)state;
	for (int i = 0; i < 1025; i++) {
		char name[64];

		snprintf(name, sizeof(name), "spiffe://td%d", i);
		put_entry(&m, 1, name, ONE);
	}
	assert_int_equal(watch_items_read(WATCH_JWT_BUNDLES, buf_slice(&m), NULL, 0, &w), -ERR_LIMIT);
}

static void put_x509(struct buf *m, const char *id, int64_t until)
{
	const struct cert_form form = { "URI:spiffe://td/web", "critical,CA:TRUE", "critical,digitalSignature,keyCertSign", NULL,
					-30, until };
	AUTO(buf) struct buf der = BUF_INIT(1 << 16);
	AUTO(buf) struct buf svid = BUF_INIT(1 << 16);
	X509 *cert = cert_make(&form, 1790000000, key, "x", NULL, key);

	cert_put(&der, cert);
	pb_put(&svid, 1, slice_str(id));
	pb_put(&svid, 2, buf_slice(&der));
	pb_put(&svid, 3, slice_str("no key"));
	pb_put(&svid, 4, buf_slice(&der));
	pb_put(m, 1, buf_slice(&svid));
	X509_free(cert);
}

static void x509_svids_show_serial_expiry_bundle_and_problems(void **state)
{
	AUTO(watch_items) struct watch_items none = { 0 };
	AUTO(watch_items) struct watch_items w = { 0 };
	AUTO(buf) struct buf m = BUF_INIT(1 << 16);
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	(void)state;
	put_x509(&m, "spiffe://td/web", 100);
	put_x509(&m, "spiffe://td/web2", 50);
	assert_int_equal(watch_items_read(WATCH_X509, buf_slice(&m), NULL, 0, &w), 0);
	assert_int_equal(w.n, 3); /* the bundle of a trust domain once */
	assert_int_equal(w.not_after, 1790000050);
	watch_items_diff(&out, &none, &w, false);
	assert_non_null(strstr(buf_cstr(&out), "spiffe://td/web new: serial 1267 until 2026-09-21T14:15:00Z"));
	assert_non_null(strstr(buf_cstr(&out), "bundle of spiffe://td new: 1 certificate"));
	assert_non_null(strstr(buf_cstr(&out), "PROBLEM: the key is not"));
}

static void jwt_svids_show_kid_jti_and_expiry(void **state)
{
	static const char *const audiences[] = { "a" };
	AUTO(watch_items) struct watch_items none = { 0 };
	AUTO(watch_items) struct watch_items w = { 0 };
	AUTO(buf) struct buf token = BUF_INIT(1 << 16);
	AUTO(buf) struct buf m = BUF_INIT(1 << 16);
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	(void)state;
	base64_put(&token, slice_str("{\"alg\":\"RS256\",\"kid\":\"k\"}"), BASE64_URL);
	buf_put_str(&token, ".");
	base64_put(&token, slice_str("{\"sub\":\"spiffe://td/web\",\"aud\":[\"a\"],\"exp\":4000000000,\"jti\":\"j\"}"),
		   BASE64_URL);
	buf_put_str(&token, ".AAAA");
	put_entry(&m, 1, "spiffe://td/web", buf_cstr(&token));
	assert_int_equal(watch_items_read(WATCH_JWT, buf_slice(&m), audiences, 1, &w), 0);
	assert_int_equal(w.not_after, 4000000000);
	watch_items_diff(&out, &none, &w, false);
	assert_string_equal(buf_cstr(&out), "spiffe://td/web new: kid k jti j until 2096-10-02T07:06:40Z");
	/* Nothing of the token itself is kept. */
	assert_null(strstr(w.all[0].value, "ey"));
}

static void struct_is(const char *bytes, size_t len, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);

	if (!want) {
		assert_int_equal(pb_struct_json(&out, slice_of(bytes, len)), -ERR_FORMAT);
		return;
	}
	assert_int_equal(pb_struct_json(&out, slice_of(bytes, len)), 0);
	assert_string_equal(buf_cstr(&out), want);
}
#define BYTES(s) s, sizeof(s) - 1

static void claims_become_json(void **state)
{
	(void)state;
	struct_is(BYTES(""), "{}");
	struct_is(BYTES("\x0a\x08\x0a\x01s\x12\x03\x1a\x01x"), "{\"s\": \"x\"}");
	struct_is(BYTES("\x0a\x0e\x0a\x01n\x12\x09\x11\0\0\0\0\0\0\x45\x40"), "{\"n\": 42}");
	struct_is(BYTES("\x0a\x0e\x0a\x01n\x12\x09\x11\0\0\0\0\0\0\xf8\x3f"), "{\"n\": 1.5}");
	struct_is(BYTES("\x0a\x0e\x0a\x01n\x12\x09\x11\0\0\0\0\0\0\xf0\x7f"), "{\"n\": null}");
	struct_is(BYTES("\x0a\x07\x0a\x01" "b\x12\x02\x20\x01"), "{\"b\": true}");
	struct_is(BYTES("\x0a\x07\x0a\x01z\x12\x02\x08\x00"), "{\"z\": null}");
	struct_is(BYTES("\x0a\x03\x0a\x01z"), "{\"z\": null}");
	struct_is(BYTES("\x0a\x11\x0a\x01l\x12\x0c\x32\x0a\x0a\x03\x1a\x01x\x0a\x03\x1a\x01y"), "{\"l\": [\"x\", \"y\"]}");
	struct_is(BYTES("\x0a\x0b\x0a\x01o\x12\x06\x2a\x04\x0a\x02\x0a\x00"), "{\"o\": {\"\": null}}");
	struct_is(BYTES("\x0a\x07\x0a\x01" "b\x12\x02\x18\x01"), NULL);
	struct_is(BYTES("\x0a\x07\x0a\x01" "b\x12\x02\x3a\x01"), NULL);
	struct_is(BYTES("\x08\x01"), NULL);
	struct_is(BYTES("\x0a\x08\x0a\x01s\x12\x03\x1a\x01"), NULL);
}

static void depth_of_claims_is_bounded(void **state)
{
	AUTO(buf) struct buf m = BUF_INIT(1 << 20);
	AUTO(buf) struct buf out = BUF_INIT(1 << 20);

	(void)state;
	for (int i = 0; i < 200; i++) {
		AUTO(buf) struct buf value = BUF_INIT(1 << 20);
		AUTO(buf) struct buf entry = BUF_INIT(1 << 20);

		pb_put(&value, 5, buf_slice(&m));
		pb_put(&entry, 1, slice_str("k"));
		pb_put(&entry, 2, buf_slice(&value));
		buf_reset(&m);
		pb_put(&m, 1, buf_slice(&entry));
	}
	assert_int_equal(pb_struct_json(&out, buf_slice(&m)), -ERR_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(changes_are_named_and_sameness_too),
		cmocka_unit_test(bundles_that_are_none_are_called_a_problem),
		cmocka_unit_test(malformed_messages_are_an_error),
		cmocka_unit_test(more_than_any_agent_has_is_refused),
		cmocka_unit_test(x509_svids_show_serial_expiry_bundle_and_problems),
		cmocka_unit_test(jwt_svids_show_kid_jti_and_expiry),
		cmocka_unit_test(claims_become_json),
		cmocka_unit_test(depth_of_claims_is_bounded),
	};
	int failed;

	key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	failed = cmocka_run_group_tests_name("unit/cli_watch", tests, NULL, NULL);
	EVP_PKEY_free(key);
	return failed;
}
