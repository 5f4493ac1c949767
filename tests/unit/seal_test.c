/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/seal.c agent/keys/gcm.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* seal_test.c - sealed state opens with its own key for its own trust domain, and in no other way. */
#include "agent/keys/cert.h"
#include "agent/keys/seal.h"
#include "tests/unit/keys_case.h"

#define HALF (NOW + DAY / 2) /* when the second key of each use is made */
#define LAST (HALF + 77)
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

static void assert_same_ring(const struct ring *one, const struct ring *two)
{
	assert_int_equal(one->n, two->n);
	for (size_t i = 0; i < one->n; i++) {
		const struct signer *s = one->of[i], *t = two->of[i];

		assert_int_equal(EVP_PKEY_eq(s->key, t->key), 1);
		assert_int_equal(!s->cert, !t->cert);
		assert_true(!s->cert || X509_cmp(s->cert, t->cert) == 0);
		assert_string_equal(s->kid, t->kid);
		assert_int_equal(s->born, t->born);
		assert_int_equal(s->active, t->active);
		assert_int_equal(s->not_after, t->not_after);
		assert_true(t->kept); /* by whoever stored it */
	}
}

static void opens_to_the_same_authority(void **state)
{
	AUTO(authority) struct authority *a = NULL;

	(void)state;
	assert_int_equal(seal_open(buf_slice(&sealed), slice_of(key, sizeof(key)), slice_str(TD), &a), 0);
	assert_string_equal(a->trust_domain, TD);
	assert_int_equal(a->last_signature, LAST);
	assert_false(a->changed);
	for (size_t use = 0; use < SIGN_USES; use++) {
		assert_int_equal(a->rings[use].n, 2);
		assert_same_ring(&a->rings[use], &authority->rings[use]);
	}
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

/* AES-256-GCM as seal.c does it, so that a test can seal what seal.c does not write (any more). */
static void seal_by_hand(uint32_t version, const struct buf *plain)
{
	AUTO(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	AUTO(buf) struct buf aad = BUF_INIT(300);
	const uint8_t nonce[12] = { 9, 8, 7 };
	uint8_t out[8192], tag[16];
	int n, m;

	buf_put_str(&aad, "SVIDSEAL");
	buf_put_u32(&aad, version);
	buf_reset(&sealed);
	buf_put_slice(&sealed, buf_slice(&aad));
	buf_put(&sealed, nonce, sizeof(nonce));
	buf_put_str(&aad, TD);
	assert_true(plain->len < sizeof(out));
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &n, aad.data, (int)aad.len), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &n, plain->data, (int)plain->len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, out + n, &m), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, tag), 1);
	buf_put(&sealed, out, (size_t)(n + m));
	buf_put(&sealed, tag, sizeof(tag));
}

static const struct signer *first_ca(void)
{
	return authority->rings[SIGN_CA].of[0];
}

static void put_key(struct buf *plain, const struct signer *s)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	AUTO(secbytes) struct secbytes pkcs8 = { 0 };

	assert_int_equal(pkey_encode(s->key, &pkcs8), 0);
	if (s->cert)
		assert_int_equal(cert_put_der(s->cert, &der), 0);
	buf_put_blob(plain, secbytes_slice(&pkcs8));
	buf_put_blob(plain, buf_slice(&der));
}

static void put_head(struct buf *plain, const char *td)
{
	buf_put_blob(plain, slice_str(td));
	buf_put_u64(plain, LAST);
}

static void version_one_opens_and_is_sealed_as_version_two(void **state)
{
	AUTO(buf) struct buf plain = BUF_INIT(8192);
	AUTO(authority) struct authority *a = NULL;
	AUTO(authority) struct authority *again = NULL;
	const struct signer *s;

	(void)state;
	put_head(&plain, TD);
	put_key(&plain, first_ca());
	seal_by_hand(1, &plain);
	assert_int_equal(seal_open(buf_slice(&sealed), slice_of(key, sizeof(key)), slice_str(TD), &a), 0);
	assert_int_equal(a->rings[SIGN_CA].n, 1);
	assert_same_ring(&a->rings[SIGN_CA], &(struct ring){ .of = { authority->rings[SIGN_CA].of[0] }, .n = 1 });
	assert_int_equal(a->last_signature, LAST);
	assert_true(a->changed);
	assert_int_equal(authority_signer(a, SIGN_CA, LAST, &s), 0); /* at once */

	assert_int_equal(authority_configure(a, &(struct authority_plan){ DAY, DAY, true }), 0);
	case_look(a, LAST); /* the missing keys are made, and the root's next, which is due */
	buf_reset(&sealed);
	assert_int_equal(seal_write(a, slice_of(key, sizeof(key)), &sealed), 0);
	assert_int_equal(sealed.data[VERSION_AT], 2);
	assert_int_equal(seal_open(buf_slice(&sealed), slice_of(key, sizeof(key)), slice_str(TD), &again), 0);
	assert_int_equal(again->rings[SIGN_CA].n, 2);
	for (size_t use = 0; use < SIGN_USES; use++)
		assert_same_ring(&again->rings[use], &a->rings[use]);
}

static void other_versions_are_refused(void **state)
{
	static const uint32_t versions[] = { 0, 3, 4, 256, 0x01000000, UINT32_MAX };
	AUTO(buf) struct buf plain = BUF_INIT(8192);

	(void)state;
	put_head(&plain, TD);
	put_key(&plain, first_ca());
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		seal_by_hand(versions[i], &plain);
		assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
	}
	seal_by_hand(1, &plain);
	assert_int_equal(open_as(key, sizeof(key), TD), 0);
	seal_by_hand(2, &plain); /* not what version 2 looks like */
	assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
}

static void put_signer(struct buf *plain, uint32_t use, int64_t born, const struct signer *s)
{
	buf_put_u32(plain, use);
	buf_put_u64(plain, (uint64_t)born);
	buf_put_u64(plain, (uint64_t)s->active);
	buf_put_u64(plain, (uint64_t)s->not_after);
	put_key(plain, s);
}

/* Whoever has the sealing key may be an older or a newer svid-keys; it is still no reason to take everything. */
static void keys_that_do_not_fit_their_use_are_refused(void **state)
{
	static const struct {
		uint32_t use;
		int64_t born;
		size_t cut;
		int err;
	} cases[] = { { SIGN_CA, NOW, 0, 0 },
		      { SIGN_CA, NOW, 1, -ERR_SEALED },
		      { SIGN_CA, -5, 0, -ERR_SEALED },
		      { SIGN_JWT_RS256, NOW, 0, -ERR_SEALED },
		      { SIGN_JWT_ES256, NOW, 0, -ERR_SEALED }, /* with a certificate */
		      { SIGN_USES, NOW, 0, -ERR_SEALED },
		      { UINT32_MAX, NOW, 0, -ERR_SEALED } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf) struct buf plain = BUF_INIT(8192);

		put_head(&plain, TD);
		put_signer(&plain, cases[i].use, cases[i].born, first_ca());
		plain.len -= cases[i].cut;
		seal_by_hand(2, &plain);
		assert_int_equal(open_as(key, sizeof(key), TD), cases[i].err);
	}
}

static void the_name_inside_counts_too(void **state)
{
	AUTO(buf) struct buf plain = BUF_INIT(8192);

	(void)state;
	put_head(&plain, "other.org");
	seal_by_hand(2, &plain);
	assert_int_equal(open_as(key, sizeof(key), TD), -ERR_SEALED);
}

static int set_up(void **state)
{
	(void)state;
	authority = case_authority(DAY, DAY, true);
	case_look(authority, HALF);
	authority_signed(authority, LAST);
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
		TEST(version_one_opens_and_is_sealed_as_version_two),
		TEST(other_versions_are_refused),
		TEST(keys_that_do_not_fit_their_use_are_refused),
		TEST(the_name_inside_counts_too),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/seal", tests, NULL, NULL);
}
