// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/ca.c */
/* files_test.c - svid/ files of the credential tree: what is in each, when there is none, and keys read out of certificates. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
#include <jansson.h>
#include <cmocka.h>

#include "agent/base/base64.h"
#include "agent/base/mem.h"
#include "agent/base/sealed.h"
#include "tests/lib/ca.h"
#include "tests/lib/workload.h"
#include "workloadapi/der.h"
#include "workloadapi/files.h"

struct world {
	struct api api;
	struct buf ca;
	char text[LIM_TREE_FILE];
};

static int set_up(void **state)
{
	static struct world w;

	w = (struct world){ .ca = BUF_INIT(8192) };
	assert_int_equal(api_init(&w.api), 0);
	ca_some(&w.ca);
	*state = &w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	api_done(&w->api);
	buf_done(&w->ca);
	return 0;
}

static void serve(struct world *w, struct test_set set)
{
	set.version = 7;
	set.der_bytes = 200;
	set.ca = buf_slice(&w->ca);
	test_api_set(&w->api, &set);
}

/* The whole file as text, through the descriptor that svid-core gets. */
static struct slice read_file(struct world *w, uint32_t identity, uint32_t what)
{
	uint32_t len = 0;
	int fd = -1;

	assert_int_equal(files_make(&w->api, identity, what, &fd, &len), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS), SEALED);
	assert_int_equal(lseek(fd, 0, SEEK_END), len);
	assert_int_equal(pread(fd, w->text, sizeof(w->text) - 1, 0), len);
	assert_true(write(fd, "x", 1) < 0);
	close(fd);
	w->text[len] = '\0';
	return slice_of(w->text, len);
}

/* One block of PEM off the front, as OpenSSL reads it: it must hold @der. */
static void expect_pem(BIO *in, const char *label, struct slice der)
{
	char *name, *header;
	uint8_t *bytes;
	long len;

	assert_int_equal(PEM_read_bio(in, &name, &header, &bytes, &len), 1);
	assert_string_equal(name, label);
	assert_string_equal(header, "");
	assert_int_equal(len, der.len);
	assert_memory_equal(bytes, der.p, der.len);
	OPENSSL_free(name);
	OPENSSL_free(header);
	OPENSSL_free(bytes);
}

static void expect_end(BIO *in)
{
	char left[1];

	assert_int_equal(BIO_read(in, left, 1), 0);
	BIO_free(in);
}

static BIO *open_text(struct slice text)
{
	BIO *in = BIO_new_mem_buf(text.p, (int)text.len);

	assert_non_null(in);
	assert_int_equal(text.p[text.len - 1], '\n');
	return in;
}

static void each_file_holds_what_its_name_says(void **state)
{
	AUTO(buf) struct buf chain = BUF_INIT(256), key = BUF_INIT(256);
	struct world *w = *state;
	BIO *in;

	test_der(&chain, 200, 7);
	test_der(&key, 64, 0x5e);
	serve(w, (struct test_set){ .n = 2, .n_fed = 1 });
	in = open_text(read_file(w, 2, SVID_FILE_CERT));
	expect_pem(in, "CERTIFICATE", buf_slice(&chain));
	expect_end(in);
	in = open_text(read_file(w, 2, SVID_FILE_KEY));
	expect_pem(in, "PRIVATE KEY", buf_slice(&key));
	expect_end(in);
	in = open_text(read_file(w, 2, SVID_FILE_BUNDLE));
	expect_pem(in, "CERTIFICATE", buf_slice(&w->ca));
	expect_end(in);
	in = open_text(read_file(w, 2, SVID_FILE_CREDENTIAL_BUNDLE));
	expect_pem(in, "PRIVATE KEY", buf_slice(&key));
	expect_pem(in, "CERTIFICATE", buf_slice(&chain));
	expect_end(in);
}

static void expect_number(const json_t *jwk, const char *member, EVP_PKEY *key, const char *param)
{
	AUTO(buf) struct buf bytes = BUF_INIT(1024);
	BIGNUM *want = NULL, *got;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &want), 1);
	assert_int_equal(base64_get(&bytes, slice_str(json_string_value(json_object_get(jwk, member))), BASE64_URL), 0);
	got = BN_bin2bn(bytes.data, (int)bytes.len, NULL);
	assert_int_equal(BN_cmp(want, got), 0);
	if (EVP_PKEY_is_a(key, "EC")) /* RFC 7518 6.2.1.2: the whole size of a coordinate */
		assert_int_equal(bytes.len, (EVP_PKEY_get_bits(key) + 7) / 8);
	else
		assert_true(bytes.data[0]);
	BN_free(want);
	BN_free(got);
}

static const json_t *only_key(const json_t *map, const char *domain)
{
	const json_t *keys = json_object_get(json_object_get(json_object_get(map, "trust_domains"), domain), "keys");

	assert_int_equal(json_array_size(keys), 1);
	return json_array_get(keys, 0);
}

/* RFC 7518 6, SPIFFE Trust Domain and Bundle 4.2: what strict readers such as go-jose ask of a JWK. */
static void map_has_whole_keys_of_every_type(void **state)
{
	static const char *const types[] = { "P-256", "P-384", "P-521", "RSA" };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		EVP_PKEY *key = ca_key(types[i]);
		bool rsa = EVP_PKEY_is_a(key, "RSA");
		const json_t *jwk;
		json_t *map;

		buf_reset(&w->ca);
		ca_put(&w->ca, key);
		serve(w, (struct test_set){ .n = 1, .n_fed = 1 });
		(void)read_file(w, 1, SVID_FILE_BUNDLE_MAP);
		map = json_loads(w->text, JSON_REJECT_DUPLICATES, NULL);
		assert_int_equal(json_object_size(json_object_get(map, "trust_domains")), 2);
		assert_non_null(only_key(map, "f0.test"));
		jwk = only_key(map, "td.test");
		assert_string_equal(json_string_value(json_object_get(jwk, "use")), "x509-svid");
		assert_string_equal(json_string_value(json_object_get(jwk, "kty")), rsa ? "RSA" : "EC");
		assert_int_equal(json_array_size(json_object_get(jwk, "x5c")), 1);
		assert_null(json_object_get(jwk, "kid"));
		if (!rsa)
			assert_string_equal(json_string_value(json_object_get(jwk, "crv")), types[i]);
		expect_number(jwk, rsa ? "n" : "x", key, rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X);
		expect_number(jwk, rsa ? "e" : "y", key, rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y);
		json_decref(map);
		EVP_PKEY_free(key);
	}
}

static void certificate_with_a_key_of_another_type_is_left_out_of_the_map(void **state)
{
	struct world *w = *state;
	EVP_PKEY *key = ca_key("ED25519");
	json_t *map;

	ca_put(&w->ca, key); /* beside the one of P-256 */
	serve(w, (struct test_set){ .n = 1 });
	(void)read_file(w, 1, SVID_FILE_BUNDLE_MAP);
	map = json_loads(w->text, JSON_REJECT_DUPLICATES, NULL);
	assert_string_equal(json_string_value(json_object_get(only_key(map, "td.test"), "crv")), "P-256");
	json_decref(map);
	(void)read_file(w, 1, SVID_FILE_BUNDLE);
	assert_non_null(strstr(strstr(w->text, "BEGIN") + 1, "BEGIN")); /* both are in bundle.pem */
	EVP_PKEY_free(key);
}

static void expect_none(struct world *w, uint32_t identity, uint32_t what, int why)
{
	uint32_t len = 77;
	int fd = -1;

	assert_int_equal(files_make(&w->api, identity, what, &fd, &len), why);
	assert_int_equal(fd, -1);
	assert_int_equal(len, 77);
}

static void there_is_no_file_without_an_svid_in_force(void **state)
{
	struct world *w = *state;

	expect_none(w, 1, SVID_FILE_CERT, -ERR_NOT_READY);
	serve(w, (struct test_set){ .n = 1 });
	expect_none(w, 2, SVID_FILE_CERT, -ERR_NOT_FOUND);
	expect_none(w, 1, SVID_FILE_COUNT, -ERR_NOT_FOUND);
	api_set_state(&w->api, -ERR_DRAIN);
	expect_none(w, 1, SVID_FILE_CERT, -ERR_DRAIN);
	api_set_state(&w->api, 0);
	(void)read_file(w, 1, SVID_FILE_CERT);
	serve(w, (struct test_set){ .n = 1, .expired = true });
	for (uint32_t what = 0; what < SVID_FILE_COUNT; what++)
		expect_none(w, 1, what, -ERR_NOT_READY);
}

/* Every truncation, and every byte turned: an answer, and never one beyond the bytes. */
static void damaged_certificates_give_no_key_or_one_inside_of_them(void **state)
{
	struct world *w = *state;
	size_t len = w->ca.len;
	uint8_t *copy;

	for (size_t i = 0; i < 2 * len; i++) {
		size_t n = i < len ? i : len;
		struct der_key k;

		copy = mem_calloc(1, n + !n); /* of its own size: the sanitizer sees the byte beyond */
		assert_non_null(copy);
		memcpy(copy, w->ca.data, n);
		if (i >= len)
			copy[i - len] ^= 0xff;
		if (!der_public_key(slice_of(copy, n), &k))
			assert_true(i >= len && k.a.p > copy && k.b.p + k.b.len <= copy + n);
		mem_free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_file_holds_what_its_name_says, set_up, tear_down),
		cmocka_unit_test_setup_teardown(map_has_whole_keys_of_every_type, set_up, tear_down),
		cmocka_unit_test_setup_teardown(certificate_with_a_key_of_another_type_is_left_out_of_the_map, set_up, tear_down),
		cmocka_unit_test_setup_teardown(there_is_no_file_without_an_svid_in_force, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damaged_certificates_give_no_key_or_one_inside_of_them, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
