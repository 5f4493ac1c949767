/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* authority_test.c - the embedded root against the X509-SVID clauses for signing certificates. */
#include "agent/keys/cert.h"
#include "tests/unit/keys_case.h"

#define YEAR (365u * DAY)

static struct authority *make(void)
{
	return case_authority(YEAR, DAY, false);
}

static const struct signer *ca_of(const struct authority *a)
{
	return a->rings[SIGN_CA].of[0];
}

static X509 *reparse(struct authority *a)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	const unsigned char *at;
	X509 *cert;

	assert_int_equal(authority_put_bundle(a, NOW, &der), 0);
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
	struct authority *a = make();
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
	struct authority *a = make();
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
	struct authority *a = make();
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
	struct authority *a = make();
	X509 *cert = reparse(a);

	(void)state;
	assert_int_equal(X509_self_signed(cert, 1), 1);
	assert_non_null(X509_get0_subject_key_id(cert));
	assert_true(X509_NAME_entry_count(X509_get_subject_name(cert)) > 0);
	X509_free(cert);
	authority_free(a);
}

static void two_roots_have_different_names_and_serials(void **state)
{
	struct authority *a = make(), *b = make();
	X509 *one = ca_of(a)->cert, *two = ca_of(b)->cert;

	(void)state;
	assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(one), X509_get_subject_name(two)), 0);
	assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(one), X509_get0_serialNumber(two)), 0);
	authority_free(a);
	authority_free(b);
}

static void root_lives_as_long_as_ordered(void **state)
{
	struct authority *a = make();
	int64_t before, after;

	(void)state;
	assert_int_equal(cert_times(ca_of(a)->cert, &before, &after), 0);
	assert_int_equal(before, NOW - 30);
	assert_int_equal(after, NOW + YEAR);
	assert_int_equal(ca_of(a)->not_after, after);
	assert_int_equal(a->last_signature, NOW);
	authority_free(a);
}

static void bad_names_have_no_authority(void **state)
{
	static const char *const bad[] = { "", "Example.org", "a b", "a/b", "a:1", "\xc3\xa9" };
	struct authority *a = NULL;
	char longest[LIM_TRUST_DOMAIN + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(authority_new(slice_str(bad[i]), &a), -ERR_SPIFFE_ID);
	memset(longest, 'a', sizeof(longest));
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(authority_new(slice_str(longest), &a), -ERR_SPIFFE_ID);
	assert_null(a);
	longest[LIM_TRUST_DOMAIN] = 0;
	assert_int_equal(authority_new(slice_str(longest), &a), 0);
	authority_free(a);
}

static void lives_have_bounds(void **state)
{
	static const struct {
		uint32_t ca, jwt;
		int err;
	} cases[] = {
		{ 0, DAY, -ERR_FORMAT }, { 3, DAY, -ERR_FORMAT }, { 4, 4, 0 }, { DAY, 3, -ERR_FORMAT },
		{ LIM_CA_TTL_S, LIM_JWT_KEY_TTL_S, 0 }, { LIM_CA_TTL_S + 1, DAY, -ERR_FORMAT },
		{ DAY, LIM_JWT_KEY_TTL_S + 1, -ERR_FORMAT }, { DAY, 0, -ERR_FORMAT },
	};
	struct authority *a = NULL;

	(void)state;
	assert_int_equal(authority_new(slice_str(TD), &a), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(authority_configure(a, &(struct authority_plan){ cases[i].ca, cases[i].jwt, true }),
				 cases[i].err);
	authority_free(a);
}

static int restore(enum signer_use use, EVP_PKEY *key, const struct signer *cert_of, const char *td, size_t cut)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	AUTO(authority) struct authority *again = NULL;

	if (cert_of)
		assert_int_equal(cert_put_der(cert_of->cert, &der), 0);
	EVP_PKEY_up_ref(key);
	assert_int_equal(authority_new(slice_str(td), &again), 0);
	return authority_restore(again, use, key, slice_of(der.data, der.len - cut), NOW, NOW, NOW + YEAR);
}

static void only_what_belongs_together_is_restored(void **state)
{
	struct authority *a = make(), *b = make();
	EVP_PKEY *rsa = a->rings[SIGN_JWT_RS256].of[0]->key, *ec = ca_of(a)->key;
	AUTO(EVP_PKEY) EVP_PKEY *p384 = NULL;

	(void)state;
	assert_int_equal(pkey_generate(KEY_EC_P384, &p384), 0);
	assert_int_equal(restore(SIGN_CA, ec, ca_of(a), TD, 0), 0);
	assert_int_equal(restore(SIGN_CA, ca_of(b)->key, ca_of(a), TD, 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_CA, ec, ca_of(a), "other.org", 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_CA, ec, ca_of(a), TD, 1), -ERR_SEALED);
	assert_int_equal(restore(SIGN_CA, ec, NULL, TD, 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_JWT_ES256, ec, NULL, TD, 0), 0);
	assert_int_equal(restore(SIGN_JWT_ES256, ec, ca_of(a), TD, 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_JWT_ES256, rsa, NULL, TD, 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_JWT_ES256, p384, NULL, TD, 0), -ERR_SEALED);
	assert_int_equal(restore(SIGN_JWT_RS256, rsa, NULL, TD, 0), 0);
	assert_int_equal(restore(SIGN_JWT_RS256, ec, NULL, TD, 0), -ERR_SEALED);
	authority_free(a);
	authority_free(b);
}

static int restore_times(struct authority *a, EVP_PKEY *key, int64_t born, int64_t active, int64_t not_after)
{
	EVP_PKEY_up_ref(key);
	return authority_restore(a, SIGN_JWT_ES256, key, slice_of(NULL, 0), born, active, not_after);
}

static void times_in_disorder_are_not_restored(void **state)
{
	struct authority *a = make(), *again = NULL;
	EVP_PKEY *key = ca_of(a)->key;

	(void)state;
	assert_int_equal(authority_new(slice_str(TD), &again), 0);
	assert_int_equal(restore_times(again, key, 10, 9, 20), -ERR_SEALED);
	assert_int_equal(restore_times(again, key, 10, 20, 20), -ERR_SEALED);
	assert_int_equal(restore_times(again, key, 20, 20, 10), -ERR_SEALED);
	assert_int_equal(restore_times(again, key, INT64_MIN, 0, INT64_MAX), -ERR_SEALED);
	assert_int_equal(restore_times(again, key, 10, 10, 20), 0);
	assert_int_equal(restore_times(again, key, 9, 10, 20), -ERR_SEALED);
	for (int i = 1; i < RING_MAX; i++)
		assert_int_equal(restore_times(again, key, 10, 10, 20), 0);
	assert_int_equal(restore_times(again, key, 10, 10, 20), -ERR_SEALED);
	authority_free(again);
	authority_free(a);
}

static void time_of_last_signature_never_goes_back(void **state)
{
	struct authority *a = make();
	const struct signer *s;

	(void)state;
	authority_signed(a, NOW + 10);
	authority_signed(a, NOW + 5);
	assert_int_equal(a->last_signature, NOW + 10);
	assert_int_equal(authority_signer(a, SIGN_CA, NOW + 10 - AUTHORITY_CLOCK_SLACK_S, &s), 0);
	assert_int_equal(authority_signer(a, SIGN_CA, NOW + 9 - AUTHORITY_CLOCK_SLACK_S, &s), -ERR_CLOCK);
	assert_int_equal(authority_signer(a, SIGN_JWT_RS256, NOW + 9 - AUTHORITY_CLOCK_SLACK_S, &s), -ERR_CLOCK);
	assert_int_equal(authority_signer(a, SIGN_CA, ca_of(a)->not_after, &s), -ERR_EXPIRED);
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
		cmocka_unit_test(bad_names_have_no_authority),
		cmocka_unit_test(lives_have_bounds),
		cmocka_unit_test(only_what_belongs_together_is_restored),
		cmocka_unit_test(times_in_disorder_are_not_restored),
		cmocka_unit_test(time_of_last_signature_never_goes_back),
		cmocka_unit_test(keys_survive_encoding_and_live_on_the_secure_heap),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/authority", tests, NULL, NULL);
}
