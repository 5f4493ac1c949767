/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/keystore.c agent/keys/heap.c */
/* keystore_test.c - generations: the previous key stays exactly as long as somebody may still need it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/keys/keystore.h"

static struct loop *loop;
static struct keystore *store;

static uint64_t put(uint32_t identity, const char *text)
{
	struct secbytes key;
	uint64_t generation = 0;

	assert_int_equal(secbytes_new(strlen(text), &key), 0);
	memcpy(key.p, text, key.len);
	assert_int_equal(keystore_put(store, identity, SVID_X509, &key, &generation), 0);
	assert_null(key.p); /* it is the store's now */
	assert_true(generation > 0);
	return generation;
}

static bool has(struct keystore_hold *h, uint64_t generation, const char *text)
{
	struct slice got;

	return keystore_fetch(store, h, SVID_X509, generation, &got) == 0 && slice_eq_str(got, text);
}

static int fetch_err(struct keystore_hold *h, uint64_t generation)
{
	struct slice got;

	return keystore_fetch(store, h, SVID_X509, generation, &got);
}

static void newest_key_is_given(void **state)
{
	struct keystore_hold h;
	uint64_t one = put(1, "one");

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	assert_true(has(&h, one, "one"));
}

static void generations_are_never_given_twice(void **state)
{
	uint64_t a = put(1, "a"), b = put(2, "b"), c = put(1, "c");

	(void)state;
	keystore_forget(store, 1);
	assert_true(a < b && b < c && c < put(1, "d"));
}

static void previous_stays_until_every_holder_has_the_new_one(void **state)
{
	struct keystore_hold h1, h2;
	uint64_t one = put(1, "one"), two;

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h1), 0);
	assert_int_equal(keystore_hold(store, 1, &h2), 0);
	assert_true(has(&h1, one, "one"));
	two = put(1, "two");
	assert_true(has(&h1, two, "two"));
	assert_true(has(&h2, one, "one"));
	assert_true(has(&h2, two, "two"));
	assert_int_equal(fetch_err(&h1, one), -ERR_NOT_FOUND);
	assert_int_equal(fetch_err(&h2, one), -ERR_NOT_FOUND);
}

static void a_holder_that_leaves_is_not_waited_for(void **state)
{
	struct keystore_hold h1, h2;
	uint64_t one = put(1, "one"), two;

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h1), 0);
	assert_int_equal(keystore_hold(store, 1, &h2), 0);
	two = put(1, "two");
	assert_true(has(&h1, two, "two"));
	keystore_release(store, &h2);
	assert_int_equal(fetch_err(&h1, one), -ERR_NOT_FOUND);
	assert_true(has(&h1, two, "two"));
}

static void a_holder_that_left_after_fetching_does_not_stand_for_another(void **state)
{
	struct keystore_hold h1, h2;
	uint64_t one = put(1, "one"), two;

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h1), 0);
	assert_int_equal(keystore_hold(store, 1, &h2), 0);
	two = put(1, "two");
	assert_true(has(&h1, two, "two"));
	keystore_release(store, &h1);
	assert_true(has(&h2, one, "one"));
	assert_true(has(&h2, two, "two"));
}

static void only_two_generations_are_kept(void **state)
{
	struct keystore_hold h;
	uint64_t one = put(1, "one"), two, three;

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	two = put(1, "two");
	three = put(1, "three");
	assert_int_equal(fetch_err(&h, one), -ERR_NOT_FOUND);
	assert_true(has(&h, two, "two"));
	assert_true(has(&h, three, "three"));
}

static void generation_of_another_identity_is_not_found(void **state)
{
	struct keystore_hold h;
	uint64_t other = put(2, "other");

	(void)state;
	put(1, "mine");
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	assert_int_equal(fetch_err(&h, other), -ERR_NOT_FOUND);
	assert_int_equal(fetch_err(&h, 0), -ERR_NOT_FOUND);
	assert_int_equal(fetch_err(&h, UINT64_MAX), -ERR_NOT_FOUND);
}

static void forgotten_keys_are_gone_and_holders_stay(void **state)
{
	struct keystore_hold h;
	uint64_t one = put(1, "one");

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	keystore_forget(store, 1);
	assert_int_equal(fetch_err(&h, one), -ERR_NOT_FOUND);
	assert_true(has(&h, put(1, "again"), "again"));
}

/* A WIT-SVID is renewed in its own time: that must not end the X.509-SVID's key, nor lend it. */
static void kinds_have_generations_of_their_own(void **state)
{
	uint64_t x509 = put(1, "x509"), wit;
	struct keystore_hold h;
	struct secbytes key;
	struct slice got;

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(secbytes_new(3, &key), 0);
		memcpy(key.p, "wit", 3);
		assert_int_equal(keystore_put(store, 1, SVID_WIT, &key, &wit), 0);
	}
	assert_true(has(&h, x509, "x509"));
	assert_int_equal(fetch_err(&h, wit), -ERR_NOT_FOUND);
	assert_int_equal(keystore_fetch(store, &h, SVID_WIT, wit, &got), 0);
	assert_true(slice_eq_str(got, "wit"));
	assert_int_equal(keystore_fetch(store, &h, SVID_WIT, x509, &got), -ERR_NOT_FOUND);
	keystore_forget(store, 1);
	assert_int_equal(keystore_fetch(store, &h, SVID_WIT, wit, &got), -ERR_NOT_FOUND);
	assert_int_equal(fetch_err(&h, x509), -ERR_NOT_FOUND);
	keystore_release(store, &h);
	assert_int_equal(keystore_count(store), 0);
}

static void nothing_stays_behind(void **state)
{
	struct keystore_hold h;

	(void)state;
	put(1, "one");
	put(1, "two");
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	assert_int_equal(keystore_hold(store, 2, &h), 0);
	keystore_release(store, &h);
	assert_int_equal(keystore_count(store), 1);
	keystore_clear(store);
	h.identity = 1;
	keystore_release(store, &h);
	assert_int_equal(keystore_count(store), 0);
	keystore_forget(store, 99);
}

static void one_holder_cannot_fetch_without_end(void **state)
{
	struct keystore_hold h, other;
	uint64_t one = put(1, "one");

	(void)state;
	assert_int_equal(keystore_hold(store, 1, &h), 0);
	assert_int_equal(keystore_hold(store, 1, &other), 0);
	for (int i = 0; i < LIM_KEY_FETCHES; i++)
		assert_true(has(&h, one, "one"));
	assert_int_equal(fetch_err(&h, one), -ERR_LIMIT);
	assert_true(has(&other, one, "one"));
	assert_true(has(&h, put(1, "two"), "two"));
}

static void identities_are_bounded(void **state)
{
	struct keystore_hold h;

	(void)state;
	for (uint32_t i = 0; i < LIM_IDENTITIES; i++)
		assert_int_equal(keystore_hold(store, i, &h), 0);
	assert_int_equal(keystore_hold(store, LIM_IDENTITIES, &h), -ERR_LIMIT);
	assert_int_equal(keystore_hold(store, 1, &h), 0);
}

static int set_up(void **state)
{
	(void)state;
	return loop_new(&loop) || keystore_new(loop, &store);
}

static int tear_down(void **state)
{
	(void)state;
	keystore_free(store);
	loop_free(loop);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(newest_key_is_given),
		TEST(generations_are_never_given_twice),
		TEST(previous_stays_until_every_holder_has_the_new_one),
		TEST(a_holder_that_leaves_is_not_waited_for),
		TEST(a_holder_that_left_after_fetching_does_not_stand_for_another),
		TEST(only_two_generations_are_kept),
		TEST(generation_of_another_identity_is_not_found),
		TEST(forgotten_keys_are_gone_and_holders_stay),
		TEST(kinds_have_generations_of_their_own),
		TEST(nothing_stays_behind),
		TEST(one_holder_cannot_fetch_without_end),
		TEST(identities_are_bounded),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/keystore", tests, NULL, NULL);
}
