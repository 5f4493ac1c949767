/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/authority.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* authority_test.c - the embedded root against the X509-SVID clauses for signing certificates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/keys/authority.h"
#include "agent/keys/pkey.h"

#define NOW 1790000000ll
#define YEAR (365u * 86400)

static struct authority *make(enum key_type type)
{
	struct authority *a = NULL;

	assert_int_equal(authority_create(slice_str("example.org"), type, YEAR, NOW, &a), 0);
	return a;
}

static X509 *reparse(struct authority *a)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	const unsigned char *at;
	X509 *cert;

	assert_int_equal(cert_put_der(a->cert, &der), 0);
	at = der.data;
	cert = d2i_X509(NULL, &at, (long)der.len);
	assert_non_null(cert);
	return cert;
}

static bool is_critical(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	assert_true(at >= 0);
	return X509_EXTENSION_get_critical(X509_get_ext(cert, at)) != 0;
}

/* X509-3.2-1, X509-3.2-2, X509-3.2-3 */
static void root_is_the_trust_domains_own_svid_without_a_path(void **state)
{
	struct authority *a = make(KEY_EC_P256);
	X509 *cert = reparse(a);
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const ASN1_IA5STRING *uri;

	(void)state;
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
	assert_int_equal(ASN1_STRING_length(uri), strlen("spiffe://example.org"));
	assert_memory_equal(ASN1_STRING_get0_data(uri), "spiffe://example.org", strlen("spiffe://example.org"));
	GENERAL_NAMES_free(names);
	X509_free(cert);
	authority_free(a);
}

/* X509-4.1-1, X509-4.1-2 */
static void root_is_a_ca_that_signs_leaves_only(void **state)
{
	struct authority *a = make(KEY_EC_P256);
	X509 *cert = reparse(a);

	(void)state;
	assert_int_equal(X509_check_ca(cert), 1);
	assert_true(is_critical(cert, NID_basic_constraints));
	assert_int_equal(X509_get_pathlen(cert), 0);
	X509_free(cert);
	authority_free(a);
}

/* X509-4.3-1 to 4.3-4, 4.3-9 */
static void root_signs_certificates_and_nothing_else(void **state)
{
	struct authority *a = make(KEY_EC_P256);
	X509 *cert = reparse(a);

	(void)state;
	assert_true(is_critical(cert, NID_key_usage));
	assert_int_equal(X509_get_key_usage(cert), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(X509_get_ext_by_NID(cert, NID_ext_key_usage, -1), -1);
	X509_free(cert);
	authority_free(a);
}

static void root_is_self_signed_and_identified(void **state)
{
	(void)state;
	for (enum key_type type = KEY_EC_P256; type <= KEY_EC_P384; type++) {
		struct authority *a = make(type);
		X509 *cert = reparse(a);

		assert_int_equal(X509_self_signed(cert, 1), 1);
		assert_non_null(X509_get0_subject_key_id(cert));
		assert_true(X509_NAME_entry_count(X509_get_subject_name(cert)) > 0);
		X509_free(cert);
		authority_free(a);
	}
}

static void two_roots_have_different_names_and_serials(void **state)
{
	struct authority *a = make(KEY_EC_P256), *b = make(KEY_EC_P256);

	(void)state;
	assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(a->cert), X509_get_subject_name(b->cert)), 0);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a->cert), X509_get0_serialNumber(b->cert)), 0);
	authority_free(a);
	authority_free(b);
}

static void root_lives_as_long_as_ordered(void **state)
{
	struct authority *a = make(KEY_EC_P256);

	(void)state;
	assert_int_equal(a->not_before, NOW - 30);
	assert_int_equal(a->not_after, NOW + YEAR);
	assert_int_equal(a->last_signature, NOW);
	authority_free(a);
}

static void bad_orders_make_no_root(void **state)
{
	static const char *const bad[] = { "", "Example.org", "a b", "a/b", "a:1", "\xc3\xa9" };
	struct authority *a = NULL;
	char longest[LIM_TRUST_DOMAIN + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(authority_create(slice_str(bad[i]), KEY_EC_P256, YEAR, NOW, &a), -ERR_SPIFFE_ID);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(authority_create(slice_str(longest), KEY_EC_P256, YEAR, NOW, &a), -ERR_SPIFFE_ID);
	assert_int_equal(authority_create(slice_str("a"), KEY_EC_P256, 0, NOW, &a), -ERR_FORMAT);
	assert_int_equal(authority_create(slice_str("a"), KEY_EC_P256, LIM_CA_TTL_S + 1, NOW, &a), -ERR_FORMAT);
	assert_int_equal(authority_create(slice_str("a"), KEY_RSA_2048, YEAR, NOW, &a), -ERR_FORMAT);
	assert_int_equal(authority_create(slice_str("a"), (enum key_type)77, YEAR, NOW, &a), -ERR_FORMAT);
	assert_null(a);
	longest[LIM_TRUST_DOMAIN] = 0;
	assert_int_equal(authority_create(slice_str(longest), KEY_EC_P256, YEAR, NOW, &a), 0);
	authority_free(a);
}

static int restore(struct authority *of, EVP_PKEY *key, const char *td, size_t cut)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	AUTO(authority) struct authority *again = NULL;
	int err;

	assert_int_equal(cert_put_der(of->cert, &der), 0);
	EVP_PKEY_up_ref(key);
	err = authority_restore(slice_str(td), key, slice_of(der.data, der.len - cut), NOW + 5, &again);
	if (!err)
		assert_int_equal(again->last_signature, NOW + 5);
	return err;
}

static void only_what_belongs_together_is_restored(void **state)
{
	struct authority *a = make(KEY_EC_P256), *b = make(KEY_EC_P256);

	(void)state;
	assert_int_equal(restore(a, a->key, "example.org", 0), 0);
	assert_int_equal(restore(a, b->key, "example.org", 0), -ERR_SEALED);
	assert_int_equal(restore(a, a->key, "other.org", 0), -ERR_SEALED);
	assert_int_equal(restore(a, a->key, "example.org", 1), -ERR_SEALED);
	authority_free(a);
	authority_free(b);
}

static void time_of_last_signature_never_goes_back(void **state)
{
	struct authority *a = make(KEY_EC_P256);

	(void)state;
	authority_signed(a, NOW + 10);
	authority_signed(a, NOW + 5);
	assert_int_equal(a->last_signature, NOW + 10);
	assert_int_equal(authority_may_sign(a, NOW + 10 - AUTHORITY_CLOCK_SLACK_S), 0);
	assert_int_equal(authority_may_sign(a, NOW + 9 - AUTHORITY_CLOCK_SLACK_S), -ERR_CLOCK);
	assert_int_equal(authority_may_sign(a, a->not_after), -ERR_EXPIRED);
	authority_free(a);
}

static void keys_survive_encoding_and_live_on_the_secure_heap(void **state)
{
	(void)state;
	for (enum key_type type = 0; type < KEY_TYPE_COUNT; type++) {
		AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
		AUTO(EVP_PKEY) EVP_PKEY *again = NULL;
		AUTO(secbytes) struct secbytes pkcs8 = { 0 };

		assert_int_equal(pkey_generate(type, &key), 0);
		assert_int_equal(pkey_encode(key, &pkcs8), 0);
		assert_int_equal(CRYPTO_secure_allocated(pkcs8.p), 1);
		assert_int_equal(pkey_decode(secbytes_slice(&pkcs8), &again), 0);
		assert_int_equal(EVP_PKEY_eq(key, again), 1);
		EVP_PKEY_free(again);
		again = NULL;
		assert_int_equal(pkey_decode(slice_of(pkcs8.p, pkcs8.len - 1), &again), -ERR_CRYPTO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(root_is_the_trust_domains_own_svid_without_a_path),
		cmocka_unit_test(root_is_a_ca_that_signs_leaves_only),
		cmocka_unit_test(root_signs_certificates_and_nothing_else),
		cmocka_unit_test(root_is_self_signed_and_identified),
		cmocka_unit_test(two_roots_have_different_names_and_serials),
		cmocka_unit_test(root_lives_as_long_as_ordered),
		cmocka_unit_test(bad_orders_make_no_root),
		cmocka_unit_test(only_what_belongs_together_is_restored),
		cmocka_unit_test(time_of_last_signature_never_goes_back),
		cmocka_unit_test(keys_survive_encoding_and_live_on_the_secure_heap),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/authority", tests, NULL, NULL);
}
