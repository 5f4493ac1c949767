/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/leaf.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* leaf_test.c - every X509-SVID clause that binds an issuer, checked on what svid-keys signs, re-parsed. */
#include "agent/ipc/lists.h"
#include "agent/keys/leaf.h"
#include "tests/unit/keys_case.h"

static struct authority *authority;
static const struct signer *ca;

static X509 *parse(struct slice der)
{
	const unsigned char *at = der.p;
	X509 *cert = d2i_X509(NULL, &at, (long)der.len);

	assert_non_null(cert);
	assert_ptr_equal(at, der.p + der.len); /* a leaf alone: the root is no part of the chain */
	return cert;
}

static X509 *issue_with(enum key_type type, struct slice dns, uint32_t ttl, struct leaf *ret_leaf)
{
	struct leaf_spec spec = { .spiffe_id = slice_str(ID), .dns_names = dns, .ttl_s = ttl };
	AUTO(buf) struct buf chain = BUF_INIT(LIM_CHAIN);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	X509 *cert;

	assert_int_equal(pkey_generate(type, &key), 0);
	assert_int_equal(leaf_issue(authority, &spec, key, NOW, &chain, ret_leaf), 0);
	cert = parse(buf_slice(&chain));
	assert_int_equal(X509_check_private_key(cert, key), 1);
	return cert;
}

static X509 *issue(enum key_type type)
{
	struct leaf leaf;

	return issue_with(type, slice_of(NULL, 0), 3600, &leaf);
}

static bool is_critical(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	assert_true(at >= 0);
	assert_true(X509_get_ext_by_NID(cert, nid, at) < 0); /* once only */
	return X509_EXTENSION_get_critical(X509_get_ext(cert, at)) != 0;
}

/* X509-2-1, X509-3.1-1 */
static void leaf_has_exactly_one_uri_and_it_is_the_id(void **state)
{
	X509 *cert = issue(KEY_EC_P256);
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	const ASN1_IA5STRING *uri;

	(void)state;
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_URI);
	uri = sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier;
	assert_int_equal(ASN1_STRING_length(uri), strlen(ID));
	assert_memory_equal(ASN1_STRING_get0_data(uri), ID, strlen(ID));
	GENERAL_NAMES_free(names);
	X509_free(cert);
}

/* X509-2-3 */
static void dns_names_are_added_in_order(void **state)
{
	AUTO(buf) struct buf list = BUF_INIT(1024);
	GENERAL_NAMES *names;
	struct leaf leaf;
	X509 *cert;

	(void)state;
	list_put_str(&list, slice_str("web.example.org"));
	list_put_str(&list, slice_str("*.web.example.org"));
	cert = issue_with(KEY_EC_P256, buf_slice(&list), 60, &leaf);
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 3);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_URI);
	assert_int_equal(sk_GENERAL_NAME_value(names, 2)->type, GEN_DNS);
	assert_int_equal(X509_check_host(cert, "web.example.org", 0, 0, NULL), 1);
	GENERAL_NAMES_free(names);
	X509_free(cert);
}

/* X509-3.1-2: the SAN is critical if and only if there is no subject */
static void subject_is_there_and_differs_by_identity(void **state)
{
	struct leaf_spec spec = { .spiffe_id = slice_str("spiffe://example.org/other"), .ttl_s = 60 };
	AUTO(buf) struct buf chain = BUF_INIT(LIM_CHAIN);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	X509 *cert = issue(KEY_EC_P256), *other;
	struct leaf leaf;

	(void)state;
	assert_true(X509_NAME_entry_count(X509_get_subject_name(cert)) > 0);
	assert_int_equal(X509_NAME_get_index_by_NID(X509_get_subject_name(cert), NID_commonName, -1), -1);
	assert_false(is_critical(cert, NID_subject_alt_name));
	assert_int_equal(pkey_generate(KEY_EC_P256, &key), 0);
	assert_int_equal(leaf_issue(authority, &spec, key, NOW, &chain, &leaf), 0);
	other = parse(buf_slice(&chain));
	assert_int_not_equal(X509_NAME_cmp(X509_get_subject_name(cert), X509_get_subject_name(other)), 0);
	X509_free(other);
	X509_free(cert);
}

/* X509-4.1-3 */
static void basic_constraints_are_explicit_and_say_no_ca(void **state)
{
	X509 *cert = issue(KEY_EC_P256);
	BASIC_CONSTRAINTS *basic = X509_get_ext_d2i(cert, NID_basic_constraints, NULL, NULL);

	(void)state;
	assert_non_null(basic);
	assert_int_equal(basic->ca, 0);
	assert_null(basic->pathlen);
	assert_int_equal(X509_check_ca(cert), 0);
	BASIC_CONSTRAINTS_free(basic);
	X509_free(cert);
}

/* X509-4.3-1, 4.3-2, 4.3-5, 4.3-6, 4.3-7, 4.3-8 */
static void key_usage_is_critical_and_fits_the_key(void **state)
{
	static const struct {
		enum key_type type;
		uint32_t usage;
	} cases[] = { { KEY_EC_P256, KU_DIGITAL_SIGNATURE },
		      { KEY_EC_P384, KU_DIGITAL_SIGNATURE },
		      { KEY_RSA_2048, KU_DIGITAL_SIGNATURE | KU_KEY_ENCIPHERMENT } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		X509 *cert = issue(cases[i].type);

		assert_true(is_critical(cert, NID_key_usage));
		assert_int_equal(X509_get_key_usage(cert), cases[i].usage);
		X509_free(cert);
	}
}

/* X509-4.4-1, 4.4-3 */
static void extended_usage_is_server_and_client(void **state)
{
	X509 *cert = issue(KEY_EC_P256);

	(void)state;
	(void)is_critical(cert, NID_ext_key_usage);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SSL_SERVER | XKU_SSL_CLIENT);
	X509_free(cert);
}

/* X509-5.1-1 as every client does it */
static void path_to_the_root_is_valid_in_strict_mode(void **state)
{
	X509_STORE *store = X509_STORE_new();

	(void)state;
	assert_int_equal(X509_STORE_add_cert(store, ca->cert), 1);
	for (enum key_type type = 0; type < KEY_TYPE_COUNT; type++) {
		static const int purposes[] = { X509_PURPOSE_SSL_SERVER, X509_PURPOSE_SSL_CLIENT };
		X509 *cert = issue(type);

		for (size_t i = 0; i < ARRAY_SIZE(purposes); i++) {
			X509_STORE_CTX *ctx = X509_STORE_CTX_new();

			assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
			X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
			X509_STORE_CTX_set_time(ctx, 0, NOW);
			X509_STORE_CTX_set_purpose(ctx, purposes[i]);
			assert_int_equal(X509_verify_cert(ctx), 1);
			X509_STORE_CTX_free(ctx);
		}
		X509_free(cert);
	}
	X509_STORE_free(store);
}

static void key_identifiers_link_leaf_and_root(void **state)
{
	X509 *cert = issue(KEY_EC_P256);

	(void)state;
	assert_non_null(X509_get0_subject_key_id(cert));
	assert_int_equal(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(cert),
					       X509_get0_subject_key_id(ca->cert)), 0);
	X509_free(cert);
}

static void serial_is_128_bit_positive_and_never_the_same(void **state)
{
	uint8_t seen[16][CERT_SERIAL_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seen); i++) {
		struct leaf leaf;
		X509 *cert = issue_with(KEY_EC_P256, slice_of(NULL, 0), 60, &leaf);
		const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

		assert_int_equal(ASN1_STRING_type(serial), V_ASN1_INTEGER); /* not negative */
		assert_int_equal(ASN1_STRING_length(serial), CERT_SERIAL_BYTES);
		assert_memory_equal(ASN1_STRING_get0_data(serial), leaf.serial, CERT_SERIAL_BYTES);
		memcpy(seen[i], leaf.serial, CERT_SERIAL_BYTES);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(seen[i], seen[j], CERT_SERIAL_BYTES);
		X509_free(cert);
	}
}

static void validity_is_backdated_and_as_ordered(void **state)
{
	struct leaf leaf;
	int64_t before, after;
	X509 *cert = issue_with(KEY_EC_P256, slice_of(NULL, 0), 3600, &leaf);

	(void)state;
	assert_int_equal(cert_times(cert, &before, &after), 0);
	assert_int_equal(before, NOW - 30);
	assert_int_equal(after, NOW + 3600);
	assert_int_equal(leaf.not_before, before);
	assert_int_equal(leaf.not_after, after);
	X509_free(cert);
}

static void validity_never_outlives_the_authority(void **state)
{
	struct leaf leaf;
	X509 *cert = issue_with(KEY_EC_P256, slice_of(NULL, 0), 90 * 86400, &leaf);

	(void)state;
	assert_int_equal(leaf.not_after, ca->not_after);
	X509_free(cert);
}

static int try(const char *id, const char *dns, uint32_t ttl, int64_t now)
{
	AUTO(buf) struct buf chain = BUF_INIT(LIM_CHAIN);
	AUTO(buf) struct buf list = BUF_INIT(4096);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	struct leaf_spec spec = { .spiffe_id = slice_str(id), .ttl_s = ttl };
	struct leaf leaf;
	int err;

	if (dns)
		list_put_str(&list, slice_str(dns));
	spec.dns_names = buf_slice(&list);
	assert_int_equal(pkey_generate(KEY_EC_P256, &key), 0);
	err = leaf_issue(authority, &spec, key, now, &chain, &leaf);
	if (err)
		assert_int_equal(chain.len, 0);
	return err;
}

static void other_ids_are_not_signed(void **state)
{
	static const char *const bad[] = {
		"", "spiffe://", "spiffe://example.org", "spiffe://example.org/", "spiffe://example.org/a/",
		"spiffe://example.org//a", "spiffe://example.org/a/../b", "spiffe://example.org/.", "spiffe://example.org/a b",
		"spiffe://example.org/\xc3\xa9", "spiffe://example.org/a%2fb", "spiffe://example.org/a?b", "spiffe://other.org/a",
		"spiffe://example.orgx/a", "spiffe://Example.org/a", "SPIFFE://example.org/a", "https://example.org/a",
		"spiffe://user@example.org/a", "spiffe://example.org:80/a",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(try(bad[i], NULL, 60, NOW), -ERR_SPIFFE_ID);
	assert_int_equal(try("spiffe://example.org/A-z_0.9/...", NULL, 60, NOW), 0);
}

static void longest_id_is_signed_and_one_more_is_not(void **state)
{
	char id[LIM_SPIFFE_ID + 2];

	(void)state;
	memset(id, 'a', sizeof(id));
	memcpy(id, "spiffe://example.org/", 21);
	id[LIM_SPIFFE_ID] = 0;
	assert_int_equal(try(id, NULL, 60, NOW), 0);
	id[LIM_SPIFFE_ID] = 'a';
	id[LIM_SPIFFE_ID + 1] = 0;
	assert_int_equal(try(id, NULL, 60, NOW), -ERR_SPIFFE_ID);
}

static void other_dns_names_are_not_signed(void **state)
{
	static const char *const bad[] = { "", ".", "a..b", "-a", "a-", "a b", "a_b", "*", "*.", "a.*.b", "a/b", "\xc3\xa9.org" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(try(ID, bad[i], 60, NOW), -ERR_FORMAT);
}

static void ttl_has_bounds(void **state)
{
	(void)state;
	assert_int_equal(try(ID, NULL, 0, NOW), -ERR_FORMAT);
	assert_int_equal(try(ID, NULL, LIM_SVID_TTL_S + 1, NOW), -ERR_FORMAT);
	assert_int_equal(try(ID, NULL, 1, NOW), 0);
}

static void clock_set_back_is_refused_until_it_is_right_again(void **state)
{
	(void)state;
	assert_int_equal(try(ID, NULL, 60, NOW + 1000), 0);
	assert_int_equal(try(ID, NULL, 60, NOW + 1000 - 301), -ERR_CLOCK);
	assert_int_equal(try(ID, NULL, 60, NOW + 1000 - 300), 0);
	assert_int_equal(try(ID, NULL, 60, NOW + 1000), 0);
}

/* Before svid-core was given the key to store, a crash would leave a leaf that nobody can verify. */
static void a_key_that_is_not_kept_does_not_sign(void **state)
{
	AUTO(authority) struct authority *a = NULL;
	const struct signer *s = NULL;
	unsigned int slow;

	(void)state;
	assert_int_equal(authority_new(slice_str(TD), &a), 0);
	assert_int_equal(authority_configure(a, &(struct authority_plan){ DAY, DAY, false }), 0);
	assert_int_equal(authority_signer(a, SIGN_CA, NOW, &s), -ERR_NOT_READY);
	assert_int_equal(authority_advance(a, NOW, &slow), 0);
	assert_int_equal(authority_signer(a, SIGN_CA, NOW, &s), -ERR_NOT_READY);
	authority_stored(a);
	assert_int_equal(authority_signer(a, SIGN_CA, NOW, &s), 0);
}

static void expired_authority_does_not_sign(void **state)
{
	(void)state;
	assert_int_equal(try(ID, NULL, 60, ca->not_after), -ERR_EXPIRED);
	assert_int_equal(try(ID, NULL, 60, ca->not_after - 1), 0);
}

static int make_authority(void **state)
{
	(void)state;
	authority = case_authority(30 * DAY, DAY, false);
	ca = case_signer(authority, SIGN_CA, NOW);
	return 0;
}

static int drop_authority(void **state)
{
	(void)state;
	authority_free(authority);
	authority = NULL;
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_authority, drop_authority)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(leaf_has_exactly_one_uri_and_it_is_the_id),
		TEST(dns_names_are_added_in_order),
		TEST(subject_is_there_and_differs_by_identity),
		TEST(basic_constraints_are_explicit_and_say_no_ca),
		TEST(key_usage_is_critical_and_fits_the_key),
		TEST(extended_usage_is_server_and_client),
		TEST(path_to_the_root_is_valid_in_strict_mode),
		TEST(key_identifiers_link_leaf_and_root),
		TEST(serial_is_128_bit_positive_and_never_the_same),
		TEST(validity_is_backdated_and_as_ordered),
		TEST(validity_never_outlives_the_authority),
		TEST(other_ids_are_not_signed),
		TEST(longest_id_is_signed_and_one_more_is_not),
		TEST(other_dns_names_are_not_signed),
		TEST(ttl_has_bounds),
		TEST(clock_set_back_is_refused_until_it_is_right_again),
		TEST(expired_authority_does_not_sign),
		TEST(a_key_that_is_not_kept_does_not_sign),
	};

	return cmocka_run_group_tests_name("unit/leaf", tests, NULL, NULL);
}
