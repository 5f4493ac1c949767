/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/seal.c agent/keys/gcm.c agent/keys/leaf.c agent/keys/jwt.c agent/keys/wit.c agent/keys/jws.c agent/keys/verify.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c agent/keys/keystore.c tests/lib/fault.c */
/*
 * keys_fault_test.c - each allocation in turn fails, ours and libcrypto's (heap.c sends those through
 * mem.h): the work ends with an error, leaves no half result, and succeeds when memory is back.
 */
#include "tests/unit/keys_case.h"

#include "agent/ipc/lists.h"
#include "agent/keys/jwt.h"
#include "agent/keys/keystore.h"
#include "agent/keys/leaf.h"
#include "agent/keys/root.h"
#include "agent/keys/seal.h"
#include "agent/keys/verify.h"
#include "agent/keys/wit.h"
#include "tests/lib/fault.h"

#define STRIDE 13

static const uint8_t seal_key[SEAL_KEY_BYTES] = { 7 };
static struct authority *authority;
static struct loop *loop;

/* A step that was cut short goes on when it is tried again, and until then nothing half-made is published. */
static int advance(struct authority *a, int64_t now)
{
	unsigned int slow = 0;
	int err = authority_advance(a, now, &slow);

	if (!err && slow)
		err = authority_adopt(a, SIGN_JWT_RS256, case_rsa(), now);
	return err;
}

static int rotate(void)
{
	AUTO(authority) struct authority *a = NULL;
	AUTO(buf) struct buf bundle = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS);
	int err = authority_new(slice_str(TD), &a);

	if (!err)
		err = authority_configure(a, &(struct authority_plan){ DAY, DAY, true });
	if (!err)
		err = advance(a, NOW);
	if (!err)
		err = advance(a, NOW + DAY / 2);
	if (!err)
		err = authority_put_bundle(a, NOW, &bundle);
	if (!err)
		err = authority_put_jwks(a, NOW, &jwks);
	for (size_t use = 0; !err && use < SIGN_USES; use++)
		assert_int_equal(a->rings[use].n, 2);
	return err;
}

static int make_nobody(void)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_NOBODY_CA);
	int err = root_of_nobody(NOW, &der);

	assert_true(err || der.len);
	return err;
}

static int seal_and_open(void)
{
	AUTO(authority) struct authority *a = NULL;
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	int err = seal_write(authority, slice_of(seal_key, sizeof(seal_key)), &sealed);

	if (!err)
		err = seal_open(buf_slice(&sealed), slice_of(seal_key, sizeof(seal_key)), slice_str(TD), &a);
	assert_true((err == 0) == (a != NULL));
	return err;
}

static int issue(void)
{
	AUTO(buf) struct buf chain = BUF_INIT(LIM_CHAIN);
	AUTO(buf) struct buf dns = BUF_INIT(1024);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(secbytes) struct secbytes pkcs8 = { 0 };
	struct leaf_spec spec = { .spiffe_id = slice_str("spiffe://" TD "/web"), .ttl_s = 60 };
	struct leaf leaf;
	int err;

	list_put_str(&dns, slice_str("web.example.org"));
	err = buf_ok(&dns);
	spec.dns_names = buf_slice(&dns);
	if (!err)
		err = pkey_generate(KEY_EC_P256, &key);
	if (!err)
		err = leaf_issue(authority, &spec, key, NOW, &chain, &leaf);
	if (!err)
		err = pkey_encode(key, &pkcs8);
	assert_true(err || pkcs8.p);
	return err;
}

static int mint(void)
{
	AUTO(buf) struct buf audiences = BUF_INIT(1024);
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	struct jwt_spec spec = { .spiffe_id = slice_str(ID), .ttl_s = 60, .alg = JWT_ES256 };
	struct jws j;
	int err;

	list_put_str(&audiences, slice_str("api"));
	err = buf_ok(&audiences);
	spec.audiences = buf_slice(&audiences);
	if (!err)
		err = jwt_issue(authority, &spec, NOW, &token, &j);
	spec.alg = JWT_RS256;
	if (!err)
		err = jwt_issue(authority, &spec, NOW, &token, &j);
	return err;
}

static int issue_wit(void)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(secbytes) struct secbytes jwk = { 0 };
	struct jws j;
	int err = pkey_generate(WIT_KEY_TYPE, &key);

	if (!err)
		err = wit_issue(authority, slice_str(ID), 60, key, NOW, &token, &j);
	assert_true(!err == (token.len > 0));
	if (!err)
		err = wit_encode(key, &jwk);
	assert_true(!err == (jwk.p != NULL));
	return err;
}

/* Out of memory is never a good signature; a bad one stays bad. */
static int verify(void)
{
	static const uint8_t one[256] = { 0xff, [255] = 1 }, e[] = { 1, 0, 1 };
	struct msg_FK_VERIFY m = { .alg = JWT_RS256, .input = slice_str("x"), .signature = slice_of(one, sizeof(one)),
				   .a = slice_of(one, sizeof(one)), .b = slice_of(e, sizeof(e)) };
	int err = verify_signature(&m);

	assert_true(err == -ERR_SIGNATURE || err == -ERR_CRYPTO || err == -ERR_FORMAT);
	m = (struct msg_FK_VERIFY){ .alg = JWT_ES256, .curve = CURVE_P256, .input = slice_str("x"),
				    .signature = slice_of(one, 64), .a = slice_of(one, 32), .b = slice_of(one, 32) };
	err = verify_signature(&m);
	assert_true(err == -ERR_SIGNATURE || err == -ERR_CRYPTO || err == -ERR_FORMAT);
	return 0;
}

static int store_keys(void)
{
	struct keystore *s = NULL;
	struct keystore_hold hold;
	AUTO(secbytes) struct secbytes one = { 0 };
	AUTO(secbytes) struct secbytes two = { 0 };
	uint64_t generation;
	struct slice got;
	int err = keystore_new(loop, &s);

	if (!err)
		err = secbytes_new(16, &one);
	if (!err)
		err = secbytes_new(16, &two);
	if (!err)
		err = keystore_hold(s, 1, &hold);
	if (!err)
		err = keystore_put(s, 1, SVID_WIT, &one, &generation);
	if (!err)
		err = keystore_put(s, 1, SVID_WIT, &two, &generation);
	if (!err)
		err = keystore_fetch(s, &hold, SVID_WIT, generation, &got);
	keystore_free(s);
	return err;
}

/* libcrypto may get by without some allocation; what it may not is break. */
static bool is_fine(int err)
{
	return err == 0 || err == -ENOMEM || err == -ERR_CRYPTO || err == -ERR_SEALED;
}

static void making_and_rotating_keys(void **state)
{
	(void)state;
	fault_each(rotate, STRIDE, is_fine);
}

static void making_a_ca_that_trusts_nobody(void **state)
{
	(void)state;
	fault_each(make_nobody, STRIDE, is_fine);
}

static void minting_jwts(void **state)
{
	(void)state;
	fault_each(mint, STRIDE, is_fine);
}

static void issuing_a_wit(void **state)
{
	(void)state;
	fault_each(issue_wit, STRIDE, is_fine);
}

static void verifying(void **state)
{
	(void)state;
	fault_each(verify, STRIDE, is_fine);
}

static void sealing_and_opening(void **state)
{
	(void)state;
	fault_each(seal_and_open, STRIDE, is_fine);
}

static void issuing_a_leaf(void **state)
{
	(void)state;
	fault_each(issue, STRIDE, is_fine);
}

static void keeping_keys(void **state)
{
	(void)state;
	fault_each(store_keys, STRIDE, is_fine);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(making_and_rotating_keys),
		cmocka_unit_test(making_a_ca_that_trusts_nobody),
		cmocka_unit_test(minting_jwts),
		cmocka_unit_test(issuing_a_wit),
		cmocka_unit_test(verifying),
		cmocka_unit_test(sealing_and_opening),
		cmocka_unit_test(issuing_a_leaf),
		cmocka_unit_test(keeping_keys),
	};
	bool locked;
	int failed;

	if (heap_init(1u << 20, &locked) || loop_new(&loop))
		return 2;
	authority = case_authority(DAY, DAY, true);
	failed = cmocka_run_group_tests_name("fault/keys", tests, NULL, NULL);
	authority_free(authority);
	loop_free(loop);
	return failed;
}
