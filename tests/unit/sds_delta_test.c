// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c tests/lib/sds_client.c */
/* sds_delta_test.c - Envoy's secrets, incremental: what changes is told, once, and what is not there is said to be gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>

#include "agent/base/mem.h"
#include "tests/lib/sds_client.h"

static const struct test_set rotated = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200, .nobody = true };
static const struct test_set lonely = { .version = 2, .n = 2, .n_fed = 0, .der_bytes = 200, .nobody = true };
static const struct test_set other = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200, .first = 1, .nobody = true };

static void say(struct fixture *f, struct answer *a, const char *const *names, const char *const *without)
{
	sds_say(f->p, a, &(struct sds_says){ .delta = true, .names = names, .without = without });
}

static struct answer *begin(struct fixture *f, const char *const *names)
{
	struct answer *a = sds_open(f->p, SDS_DELTA);

	say(f, a, names, NULL);
	return a;
}

static struct sds_heard last(const struct answer *a, size_t want)
{
	struct slice s = slice_of(NULL, 0);

	assert_int_equal(messages(a, &s), want);
	return sds_hear(s, true);
}

static void each_resource_has_its_name_and_version(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, (const char *const[]){ "default", "ROOTCA", NULL });
	struct sds_heard h = last(a, 1);

	assert_int_equal(h.n, 2);
	assert_int_equal(h.n_removed, 0);
	assert_secret(&h, "default", SECRET_CERTIFICATE);
	assert_secret(&h, "ROOTCA", SECRET_VALIDATION);
	assert_true(h.secret[0].version.len && h.secret[1].version.len && h.nonce.len && h.version.len);
}

static void only_what_changed_is_told(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, (const char *const[]){ "default", "ROOTCA", "ALL", NULL });
	struct sds_heard h = last(a, 1);

	sds_say(f->p, a, &(struct sds_says){ .delta = true, .ack = &h });
	(void)last(a, 1);
	sds_serve(f, &(struct test_set){ .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200 });
	h = last(a, 2);
	assert_int_equal(h.n, 1);
	assert_secret(&h, "default", SECRET_CERTIFICATE);
	sds_serve(f, &(struct test_set){ .version = 2, .n = 2, .n_fed = 0, .der_bytes = 200 });
	h = last(a, 3);
	assert_int_equal(h.n, 1);
	assert_secret(&h, "ALL", SECRET_VALIDATION);
	sds_serve(f, &(struct test_set){ .version = 2, .n = 2, .n_fed = 0, .der_bytes = 200, .wit = true });
	(void)last(a, 3);
}

static void what_is_not_there_is_removed_once_and_delivered_when_it_comes(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, (const char *const[]){ "default", "spiffe://td.test/w2", NULL });
	struct sds_heard h = last(a, 1);

	assert_int_equal(h.n, 1);
	assert_int_equal(h.n_removed, 1);
	assert_true(slice_eq_str(h.removed[0], "spiffe://td.test/w2"));
	sds_serve(f, &(struct test_set){ .version = 1, .n = 2, .n_fed = 2, .der_bytes = 200 });
	(void)last(a, 1);
	sds_serve(f, &other);
	h = last(a, 2);
	assert_int_equal(h.n, 2);
	assert_secret(&h, "spiffe://td.test/w2", SECRET_CERTIFICATE);
	sds_serve(f, &rotated);
	h = last(a, 3);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.n_removed, 1);
	assert_false(a->closed);
}

static void names_are_added_and_left_one_by_one(void **state)
{
	static const char *const root[] = { "ROOTCA", NULL }, *const svid[] = { "default", NULL };
	struct fixture *f = *state;
	struct answer *a = begin(f, svid);
	struct sds_heard h;

	say(f, a, root, NULL);
	h = last(a, 2);
	assert_int_equal(h.n, 1);
	assert_secret(&h, "ROOTCA", SECRET_VALIDATION);
	say(f, a, NULL, svid);
	(void)last(a, 2);
	sds_serve(f, &rotated);
	(void)last(a, 2);
	say(f, a, svid, NULL);
	assert_int_equal(last(a, 3).n, 1);
	say(f, a, svid, NULL); /* asked for again: forgotten */
	assert_int_equal(last(a, 4).n, 1);
	say(f, a, NULL, (const char *const[]){ "default", "ROOTCA", "never", NULL });
	sds_serve(f, &(struct test_set){ .version = 3, .n = 2, .n_fed = 0, .der_bytes = 200 });
	(void)last(a, 4);
}

static void a_client_that_comes_back_is_told_what_it_lacks(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, (const char *const[]){ "default", "ROOTCA", NULL });
	struct sds_heard h = last(a, 1);
	AUTO_FREE char *old = slice_dup(h.secret[0].version);
	const char *const have[] = { "ROOTCA", old, "default", "12", "x", "13", NULL };

	assert_true(slice_eq_str(h.secret[0].name, "ROOTCA"));
	a = sds_open(f->p, SDS_DELTA);
	sds_say(f->p, a, &(struct sds_says){ .delta = true, .have = have,
					     .names = (const char *const[]){ "default", "ROOTCA", "x", NULL } });
	h = last(a, 1);
	assert_int_equal(h.n, 1);
	assert_secret(&h, "default", SECRET_CERTIFICATE);
	assert_int_equal(h.n_removed, 1);
	assert_true(slice_eq_str(h.removed[0], "x"));
}

static void a_bundle_that_is_gone_is_replaced_not_removed(void **state)
{
	struct fixture *f = *state;
	struct answer *a;
	struct sds_heard h;

	sds_serve(f, &rotated);
	a = begin(f, (const char *const[]){ "spiffe://f0.test", "spiffe://never.test", NULL });
	h = last(a, 1);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.n_removed, 1);
	sds_serve(f, &lonely);
	h = last(a, 2);
	assert_int_equal(h.n, 1);
	assert_int_equal(h.n_removed, 0);
	assert_secret(&h, "spiffe://f0.test", SECRET_VALIDATION);
}

static void everything_shrinks_and_grows(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, NULL), *star = begin(f, (const char *const[]){ "*", NULL });
	struct sds_heard h = last(a, 1);

	assert_int_equal(h.n, 4);
	assert_int_equal(last(star, 1).n, 4);
	sds_serve(f, &(struct test_set){ .version = 1, .n = 1, .n_fed = 0, .der_bytes = 200 });
	h = last(a, 2);
	assert_int_equal(h.n, 0);
	assert_int_equal(h.n_removed, 2);
	assert_int_equal(last(star, 2).n_removed, 2);
	say(f, star, NULL, (const char *const[]){ "*", NULL });
	sds_serve(f, &(struct test_set){ .version = 1, .n = 2, .n_fed = 1, .der_bytes = 200 });
	assert_int_equal(last(a, 3).n, 2);
	(void)last(star, 2);
}

static void a_refusal_is_not_answered(void **state)
{
	struct fixture *f = *state;
	struct answer *a = begin(f, (const char *const[]){ "default", NULL });
	struct sds_heard h = last(a, 1);

	sds_say(f->p, a, &(struct sds_says){ .delta = true, .ack = &h, .refuse = "no" });
	(void)last(a, 1);
	assert_false(a->closed);
}

static void streams_share_the_change(void **state)
{
	struct fixture *f = *state;
	struct answer *a[10];
	struct sds_ask *ask = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		a[i] = begin(f, (const char *const[]){ "default", NULL });
	for (size_t i = 0; i < SDS_BUCKETS; i++)
		if (!list_empty(&f->api.sds.asks[i]))
			ask = list_entry(f->api.sds.asks[i].next, struct sds_ask, node);
	assert_non_null(ask);
	assert_int_equal(ask->refs, ARRAY_SIZE(a));
	sds_serve(f, &rotated);
	assert_int_equal(ask->view->refs, ARRAY_SIZE(a) + 1);
	assert_int_equal(ask->view->from->refs, 1);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		(void)last(a[i], 2);
}

static void too_many_names_in_all_end_the_stream(void **state)
{
	struct fixture *f = *state;
	char names[130][16];
	const char *list[131] = { NULL };
	struct answer *a;

	for (size_t i = 0; i < 130; i++) {
		snprintf(names[i], sizeof(names[i]), "name%zu", i);
		list[i] = names[i];
	}
	a = begin(f, list);
	assert_false(a->closed);
	for (size_t i = 0; i < 130; i++)
		names[i][0] = 'N';
	say(f, a, list, NULL);
	assert_failed(a, GRPC_INVALID_ARGUMENT, "more or longer names than their limit");
}

static void another_type_ends_the_stream(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_DELTA);

	sds_say(f->p, a, &(struct sds_says){ .delta = true, .type = "type.googleapis.com/x" });
	assert_failed(a, GRPC_INVALID_ARGUMENT, "type_url is not that of secrets");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_resource_has_its_name_and_version),
		TEST(only_what_changed_is_told),
		TEST(what_is_not_there_is_removed_once_and_delivered_when_it_comes),
		TEST(names_are_added_and_left_one_by_one),
		TEST(a_client_that_comes_back_is_told_what_it_lacks),
		TEST(a_bundle_that_is_gone_is_replaced_not_removed),
		TEST(everything_shrinks_and_grows),
		TEST(a_refusal_is_not_answered),
		TEST(streams_share_the_change),
		TEST(too_many_names_in_all_end_the_stream),
		TEST(another_type_ends_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
