// SPDX-License-Identifier: Apache-2.0
/* bundles_test.c - bundles of foreign trust domains: order, sequence, limits, and what a broken disk changes.
 * links: agent/core/bundles.c agent/core/state.c agent/db agent/core/state_docs.c agent/core/state_bundles.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/core/bundles.h"
#include "agent/core/rate.h"

#define CERT "\x30\x03\x02\x01\x01"

static char dir[64];
static struct state *st;
static struct bundles *b;

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/svid-bundles-XXXXXX");
	if (!mkdtemp(dir) || state_open(dir, &st))
		return -1;
	return bundles_new(st, &b);
}

static int teardown(void **unused)
{
	char path[128];

	(void)unused;
	bundles_free(b);
	state_close(st);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	return rmdir(dir);
}

static int set(const char *td, const char *der, uint64_t sequence, bool *ret_changed)
{
	const struct state_bundle in = { .trust_domain = slice_str(td), .der = slice_str(der), .sequence = sequence };
	const char *why = NULL;
	int err = bundles_set(b, &in, "example.org", ret_changed, &why);

	assert_true(!err == !why);
	return err;
}

static void they_are_in_the_order_of_their_names(void **state)
{
	static const char *const names[] = { "m.example", "a.example", "z.example", "a.exampl", "n.example" };
	const char *before = "";
	bool changed;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_int_equal(set(names[i], CERT, 1, &changed), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_true(strcmp(before, bundles_at(b, i)->trust_domain) < 0);
		before = bundles_at(b, i)->trust_domain;
		assert_int_equal(bundles_find(b, slice_str(before)), i);
	}
	assert_null(bundles_at(b, ARRAY_SIZE(names)));
	assert_int_equal(bundles_find(b, slice_str("b.example")), LIM_FOREIGN_BUNDLES);
	assert_int_equal(bundles_find(b, slice_str("")), LIM_FOREIGN_BUNDLES);
}

static void a_sequence_does_not_go_back(void **state)
{
	uint64_t serial;
	bool changed;

	(void)state;
	assert_int_equal(set("a.example", CERT, 7, &changed), 0);
	serial = bundles_at(b, 0)->serial;
	assert_int_equal(set("a.example", CERT CERT, 6, &changed), -ERR_EXISTS);
	assert_int_equal(bundles_at(b, 0)->der.len, 5);
	assert_int_equal(set("a.example", CERT, 7, &changed), 0);
	assert_false(changed);
	assert_int_equal(bundles_at(b, 0)->serial, serial);
	assert_int_equal(set("a.example", CERT CERT, 8, &changed), 0);
	assert_true(changed);
	assert_int_not_equal(bundles_at(b, 0)->serial, serial);
}

static void there_are_so_many_and_no_more(void **state)
{
	char name[32];
	bool changed;

	(void)state;
	assert_int_equal(state_begin(st), 0); /* one write instead of a thousand */
	for (unsigned int i = 0; i < LIM_FOREIGN_BUNDLES; i++) {
		snprintf(name, sizeof(name), "td%u.example", i);
		assert_int_equal(set(name, CERT, 1, &changed), 0);
	}
	assert_int_equal(set("one-more.example", CERT, 1, &changed), -ERR_LIMIT);
	assert_int_equal(set("td3.example", CERT CERT, 2, &changed), 0); /* another version of one is no more */
	assert_int_equal(state_commit(st), 0);
	bundles_free(b);
	b = NULL;
	assert_int_equal(bundles_new(st, &b), 0);
	assert_non_null(bundles_at(b, LIM_FOREIGN_BUNDLES - 1));
}

static void what_is_not_stored_is_not_used(void **state)
{
	const char *why = NULL;
	bool changed;

	(void)state;
	assert_int_equal(set("a.example", CERT, 1, &changed), 0);
	state_close(st);
	st = NULL;
	bundles_free(b);
	b = NULL;
	assert_int_equal(state_open(dir, &st), 0);
	assert_int_equal(bundles_new(st, &b), 0);
	assert_int_equal(bundles_at(b, 0)->sequence, 1);
	assert_int_equal(bundles_remove(b, slice_str("b.example"), &why), -ERR_NOT_FOUND);
	assert_non_null(why);
	assert_int_equal(bundles_remove(b, slice_str("a.example"), &why), 0);
	assert_null(bundles_at(b, 0));
}

static void certificates_are_counted_by_their_lengths(void **state)
{
	static const struct {
		const char *der;
		size_t len;
		long n;
	} rows[] = {
		{ "", 0, 0 },
		{ CERT, 5, 1 },
		{ CERT CERT CERT, 15, 3 },
		{ "\x30\x81\x01x", 4, 1 },
		{ "\x30\x82\x00\x01x", 5, 1 },
		{ "\x30\x80", 2, -1 },	   /* no length */
		{ "\x30\x84\x00\x00\x00\x01x", 7, -1 },
		{ "\x30\x03\x02\x01", 4, -1 }, /* cut */
		{ "\x31\x00", 2, -1 },
		{ "\x30", 1, -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (bundle_certs(slice_of(rows[i].der, rows[i].len)) != rows[i].n)
			fail_msg("row %zu", i);
}

/* The other bound of what one set may ask for. */
static void a_bucket_gives_its_burst_and_then_its_rate(void **state)
{
	struct bucket k;
	uint64_t now;
	unsigned int n = 0;

	(void)state;
	bucket_init(&k, 10, 20);
	now = k.at;
	while (bucket_take_at(&k, now))
		n++;
	assert_int_equal(n, 20);
	assert_false(bucket_take_at(&k, now + NS_PER_S / 20));
	assert_true(bucket_take_at(&k, now + NS_PER_S / 10));
	assert_false(bucket_take_at(&k, now + NS_PER_S / 10));
	for (n = 0; bucket_take_at(&k, now + 3600 * NS_PER_S);)
		n++;
	assert_int_equal(n, 20);
	assert_true(bucket_take_at(&k, UINT64_MAX)); /* a long sleep does not overflow */
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(they_are_in_the_order_of_their_names),
		T(a_sequence_does_not_go_back),
		T(there_are_so_many_and_no_more),
		T(what_is_not_stored_is_not_used),
		T(certificates_are_counted_by_their_lengths),
		T(a_bucket_gives_its_burst_and_then_its_rate),
	};

	return cmocka_run_group_tests_name("bundles", tests, NULL, NULL);
}
