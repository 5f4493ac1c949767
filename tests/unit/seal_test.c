/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/seal.c agent/keys/authority.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* seal_test.c - sealed state opens with its own key for its own trust domain, and in no other way. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/keys/seal.h"

#define NOW 1790000000ll
#define TD "example.org"
#define MAGIC_AT 0
#define VERSION_AT 8
#define NONCE_AT 12
#define CIPHER_AT 24

static uint8_t key[SEAL_KEY_BYTES] = { 1, 2, 3 };
static struct authority *authority;
static struct buf sealed = BUF_INIT(LIM_SEALED);

static int open_as(const uint8_t *with, size_t len, const char *td)
{
	AUTO(authority) struct authority *a = NULL;
	int err = seal_open(buf_slice(&sealed), slice_of(with, len), slice_str(td), &a);

	if (err)
		assert_null(a);
	return err;
}

static void opens_to_the_same_authority(void **state)
{
	AUTO(authority) struct authority *a = NULL;

	(void)state;
	assert_int_equal(seal_open(buf_slice(&sealed), slice_of(key, sizeof(key)), slice_str(TD), &a), 0);
	assert_int_equal(X509_cmp(a->cert, authority->cert), 0);
	assert_int_equal(EVP_PKEY_eq(a->key, authority->key), 1);
	assert_string_equal(a->trust_domain, TD);
	assert_int_equal(a->last_signature, NOW + 77);
	assert_int_equal(a->not_after, authority->not_after);
}

static void tampering_is_noticed_in_every_byte(void **state)
{
	(void)state;
	for (size_t i = 0; i < sealed.len; i++) {
		sealed.data[i] ^= 0x01;
		assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
		sealed.data[i] ^= 0x01;
	}
	assert_int_equal(open_as(key, sizeof(key), TD), 0);
}

static void each_part_is_guarded(void **state)
{
	const size_t parts[] = { MAGIC_AT, VERSION_AT, NONCE_AT, CIPHER_AT, sealed.len - 1 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		sealed.data[parts[i]] ^= 0x80;
		assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
		sealed.data[parts[i]] ^= 0x80;
	}
}

static void cut_and_lengthened_blobs_are_refused(void **state)
{
	AUTO(authority) struct authority *a = NULL;

	(void)state;
	for (size_t n = 0; n < sealed.len; n++)
		assert_int_equal(seal_open(slice_of(sealed.data, n), slice_of(key, sizeof(key)), slice_str(TD), &a),
				 -ERR_SEALED);
	buf_put_u8(&sealed, 0);
	assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
}

static void wrong_key_is_refused(void **state)
{
	uint8_t other[SEAL_KEY_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(key); i++) {
		memcpy(other, key, sizeof(key));
		other[i] ^= 0x10;
		assert_int_equal(open_as(other, sizeof(other), TD), -ERR_SEALED);
	}
	assert_int_equal(open_as(key, 16, TD), -ERR_SEALED);
	assert_int_equal(open_as(key, 0, TD), -ERR_SEALED);
}

static void wrong_trust_domain_is_refused(void **state)
{
	(void)state;
	assert_int_equal(open_as(key, sizeof(key), "example.or"), -ERR_SEALED);
	assert_int_equal(open_as(key, sizeof(key), "example.orgg"), -ERR_SEALED);
	assert_int_equal(open_as(key, sizeof(key), ""), -ERR_SEALED);
}

static void same_state_never_seals_to_the_same_bytes(void **state)
{
	AUTO(buf) struct buf again = BUF_INIT(LIM_SEALED);

	(void)state;
	assert_int_equal(seal_write(authority, slice_of(key, sizeof(key)), &again), 0);
	assert_int_equal(again.len, sealed.len);
	assert_memory_not_equal(again.data + NONCE_AT, sealed.data + NONCE_AT, 12);
	assert_memory_not_equal(again.data + CIPHER_AT, sealed.data + CIPHER_AT, 32);
}

static void sealing_needs_a_whole_key(void **state)
{
	AUTO(buf) struct buf again = BUF_INIT(LIM_SEALED);

	(void)state;
	assert_int_equal(seal_write(authority, slice_of(key, 31), &again), -ERR_SEALED);
	assert_int_equal(again.len, 0);
}

/* Memory that held the key or the certificate's neighbours must not show through the blob. */
static void blob_does_not_contain_names(void **state)
{
	(void)state;
	assert_null(memmem(sealed.data, sealed.len, TD, strlen(TD)));
}

static int set_up(void **state)
{
	int err;

	(void)state;
	err = authority_create(slice_str(TD), KEY_EC_P256, 86400, NOW, &authority);
	if (err)
		return err;
	authority_signed(authority, NOW + 77);
	return seal_write(authority, slice_of(key, sizeof(key)), &sealed);
}

static int tear_down(void **state)
{
	(void)state;
	authority_free(authority);
	buf_done(&sealed);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_to_the_same_authority),
		TEST(tampering_is_noticed_in_every_byte),
		TEST(each_part_is_guarded),
		TEST(cut_and_lengthened_blobs_are_refused),
		TEST(wrong_key_is_refused),
		TEST(wrong_trust_domain_is_refused),
		TEST(same_state_never_seals_to_the_same_bytes),
		TEST(sealing_needs_a_whole_key),
		TEST(blob_does_not_contain_names),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/seal", tests, NULL, NULL);
}
