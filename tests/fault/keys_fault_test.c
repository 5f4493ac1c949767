/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/seal.c agent/keys/leaf.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c agent/keys/keystore.c */
/*
 * keys_fault_test.c - each allocation in turn fails, ours and libcrypto's (heap.c sends those through
 * mem.h): the work ends with an error, leaves no half result, and succeeds when memory is back.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/ipc/lists.h"
#include "agent/keys/keystore.h"
#include "agent/keys/leaf.h"
#include "agent/keys/pkey.h"
#include "agent/keys/seal.h"

#define NOW 1790000000ll
#define TD "example.org"
#define MAX_STEPS 20000
#define STRIDE 13

static const uint8_t seal_key[SEAL_KEY_BYTES] = { 7 };
static struct authority *authority;
static struct loop *loop;

static int create(void)
{
	AUTO(authority) struct authority *a = NULL;
	int err = authority_create(slice_str(TD), KEY_EC_P256, 86400, NOW, &a);

	assert_true((err == 0) == (a != NULL));
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
		err = keystore_put(s, 1, &one, &generation);
	if (!err)
		err = keystore_put(s, 1, &two, &generation);
	if (!err)
		err = keystore_fetch(s, &hold, generation, &got);
	keystore_free(s);
	return err;
}

/*
 * The nth allocation fails, for n = 0, 1, ... until the work gets by without it. After the first
 * hundreds, which are ours and the start of each libcrypto call, every STRIDE-th is enough (ALL=1: each).
 */
static void each_allocation_fails(int (*work)(void))
{
	const char *all = getenv("ALL");
	long stride = all && *all ? 1 : STRIDE;
	long n;

	assert_int_equal(work(), 0); /* what libcrypto allocates once is there now */
	for (n = 0; n < MAX_STEPS; n += n < 200 ? 1 : stride) {
		int err;

		mem_fail_after(n);
		err = work();
		if (!mem_fail_after(-1)) {
			assert_int_equal(err, 0);
			break;
		}
		/* libcrypto may get by without some allocation; what it may not is break. */
		assert_true(err == 0 || err == -ENOMEM || err == -ERR_CRYPTO || err == -ERR_SEALED);
		assert_int_equal(work(), 0);
	}
	assert_in_range(n, 1, MAX_STEPS - 1);
	print_message("%ld allocations\n", n);
}

static void creating_an_authority(void **state)
{
	(void)state;
	each_allocation_fails(create);
}

static void sealing_and_opening(void **state)
{
	(void)state;
	each_allocation_fails(seal_and_open);
}

static void issuing_a_leaf(void **state)
{
	(void)state;
	each_allocation_fails(issue);
}

static void keeping_keys(void **state)
{
	(void)state;
	each_allocation_fails(store_keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(creating_an_authority),
		cmocka_unit_test(sealing_and_opening),
		cmocka_unit_test(issuing_a_leaf),
		cmocka_unit_test(keeping_keys),
	};
	bool locked;
	int failed;

	if (heap_init(1u << 20, &locked) || loop_new(&loop) ||
	    authority_create(slice_str(TD), KEY_EC_P256, 86400, NOW, &authority))
		return 2;
	failed = cmocka_run_group_tests_name("fault/keys", tests, NULL, NULL);
	authority_free(authority);
	loop_free(loop);
	return failed;
}
