/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/oidc/oidc_documents.c */
/* oidc_documents_test.c - the discovery document and the key set: what each cloud needs in them, and nothing that one refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/oidc/oidc_documents.h"

static const char keys[] =
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"a\",\"alg\":\"RS256\",\"n\":\"AQ\",\"e\":\"AQAB\"},"
	"{\"kty\":\"EC\",\"kid\":\"b\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"AQ\",\"y\":\"Ag\","
	"\"use\":\"jwt-svid\",\"d\":\"private\",\"x5c\":[\"c\"],\"key_ops\":[\"verify\"]}]}";

static json_t *parsed(struct buf *b)
{
	json_t *doc = json_loads(buf_cstr(b), JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(doc);
	return doc;
}

static const char *text(const json_t *doc, const char *name)
{
	return json_string_value(json_object_get(doc, name));
}

static void discovery_names_issuer_and_keys(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(8192);
	json_t *doc;

	(void)state;
	assert_int_equal(oidc_put_discovery(slice_str("https://oidc.example.org/a"), &b), 0);
	doc = parsed(&b);
	assert_string_equal(text(doc, "issuer"), "https://oidc.example.org/a");
	assert_string_equal(text(doc, "jwks_uri"), "https://oidc.example.org/a/keys");
	for (size_t i = 0; i < 3; i++) {
		static const char *const lists[] = { "response_types_supported", "subject_types_supported",
						     "id_token_signing_alg_values_supported" };

		assert_true(json_array_size(json_object_get(doc, lists[i])) > 0);
	}
	json_decref(doc);
}

static void only_https_is_an_issuer(void **state)
{
	static const char *const bad[] = { "", "http://oidc.example.org", "oidc.example.org", "HTTPS://oidc.example.org" };
	AUTO(buf) struct buf b = BUF_INIT(8192);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(oidc_put_discovery(slice_str(bad[i]), &b), -ERR_FORMAT);
	assert_int_equal(b.len, 0);
}

/* Entra wants "use":"sig"; Google takes no member that it does not know; and a private part is never one. */
static void keys_have_use_sig_and_nothing_unknown(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(8192);
	json_t *doc, *key;
	size_t i;

	(void)state;
	assert_int_equal(oidc_put_keys(slice_str(keys), &b), 0);
	doc = parsed(&b);
	assert_int_equal(json_array_size(json_object_get(doc, "keys")), 2);
	json_array_foreach(json_object_get(doc, "keys"), i, key) {
		assert_string_equal(text(key, "use"), "sig");
		assert_string_equal(text(key, "kid"), i ? "b" : "a");
		assert_null(json_object_get(key, "d"));
		assert_null(json_object_get(key, "x5c"));
		assert_null(json_object_get(key, "key_ops"));
		assert_int_equal(json_object_size(key), i ? 7 : 6);
	}
	assert_string_equal(text(json_array_get(json_object_get(doc, "keys"), 1), "y"), "Ag");
	json_decref(doc);
}

static void no_keys_is_not_an_empty_set(void **state)
{
	static const char *const bad[] = { "[]", "{}", "{\"keys\":{}}", "{\"keys\":[", "null", "\xff" };
	AUTO(buf) struct buf b = BUF_INIT(8192);

	(void)state;
	assert_int_equal(oidc_put_keys(slice_str(""), &b), -ERR_NOT_READY);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(oidc_put_keys(slice_str(bad[i]), &b), -ERR_FORMAT);
}

static void what_does_not_fit_is_said(void **state)
{
	AUTO(buf) struct buf small = BUF_INIT(64), long_issuer = BUF_INIT(8192), b = BUF_INIT(16384);

	(void)state;
	assert_int_equal(oidc_put_keys(slice_str(keys), &small), -ERR_SIZE);
	buf_put_str(&long_issuer, "https://");
	for (int i = 0; i < 5000; i++)
		buf_put_u8(&long_issuer, 'a');
	assert_int_equal(oidc_put_discovery(buf_slice(&long_issuer), &b), -ERR_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(discovery_names_issuer_and_keys),
		cmocka_unit_test(only_https_is_an_issuer),
		cmocka_unit_test(keys_have_use_sig_and_nothing_unknown),
		cmocka_unit_test(no_keys_is_not_an_empty_set),
		cmocka_unit_test(what_does_not_fit_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
