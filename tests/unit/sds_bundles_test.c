// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c tests/lib/sds_client.c tests/lib/ca.c */
/* sds_bundles_test.c - what Envoys are told to trust: forms, peers, settings, and what becomes of bundles that are gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/lib/ca.h"
#include "tests/lib/sds_client.h"

static struct slice config_of(const struct sds_heard *h)
{
	struct slice extension = sds_field(h->secret[0].content, 12, 0), any;

	assert_true(slice_eq_str(sds_field(extension, 1, 0), "envoy.tls.cert_validator.spiffe"));
	any = sds_field(extension, 2, 0);
	assert_true(slice_eq_str(sds_field(any, 1, 0), "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
						       "SPIFFECertValidatorConfig"));
	return sds_field(any, 2, 0);
}

static struct sds_heard first_of(struct fixture *f, const struct sds_says *says)
{
	struct answer *a = sds_open(f->p, SDS_STREAM);

	sds_say(f->p, a, says);
	return sds_last(a, 1);
}

/* Envoy keeps what it was told by name: only something else makes it let go. */
static void a_bundle_that_is_gone_is_replaced_by_one_of_nobody(void **state)
{
	const struct test_set with = { .version = 1, .n = 2, .n_fed = 1, .der_bytes = 200, .nobody = true };
	const struct test_set without = { .version = 1, .n = 2, .n_fed = 0, .der_bytes = 200, .nobody = true };
	struct fixture *f = *state;
	struct answer *a, *all, *later;
	struct sds_heard h;

	sds_serve(f, &with);
	a = sds_begin(f, (const char *const[]){ "spiffe://f0.test", NULL });
	all = sds_begin(f, (const char *const[]){ "ALL", NULL });
	assert_int_equal(sds_last(a, 1).n, 1);
	sds_serve(f, &without);
	h = sds_last(a, 2);
	assert_pem(sds_field(sds_nth(config_of(&h), 1, 0), 2, 2), "CERTIFICATE", 64, TEST_NOBODY);
	h = sds_last(all, 2);
	assert_int_equal(sds_count(config_of(&h), 1), 1);
	later = sds_begin(f, (const char *const[]){ "spiffe://f0.test", NULL });
	assert_int_equal(sds_last(later, 1).n, 1);
	sds_serve(f, &with);
	h = sds_last(a, 3);
	assert_pem(sds_field(sds_nth(config_of(&h), 1, 0), 2, 2), "CERTIFICATE", 64, 0xca);
	assert_int_equal(sds_count((h = sds_last(all, 3), config_of(&h)), 1), 2);
}

/* It comes back with the version of another front. */
static void a_client_that_holds_a_bundle_of_before_lets_go_of_it(void **state)
{
	const struct test_set set = { .version = 1, .n = 1, .n_fed = 0, .der_bytes = 200, .nobody = true };
	struct fixture *f = *state;
	struct answer *a;
	struct sds_heard h;

	sds_serve(f, &set);
	a = sds_open(f->p, SDS_STREAM);
	sds_say(f->p, a, &(struct sds_says){ .names = (const char *const[]){ "spiffe://f0.test", "x", NULL }, .version = "77" });
	h = sds_last(a, 1);
	assert_int_equal(h.n, 1);
	assert_pem(sds_field(sds_nth(config_of(&h), 1, 0), 2, 2), "CERTIFICATE", 64, TEST_NOBODY);
}

static void policy_says_whom_a_proxy_accepts(void **state)
{
	const struct test_set set = { .version = 1, .n = 1, .der_bytes = 200, .peers = true };
	struct fixture *f = *state;
	struct sds_heard h;
	struct slice exact, prefix;

	sds_serve(f, &set);
	h = sds_last(sds_begin(f, (const char *const[]){ "ROOTCA", NULL }), 1);
	assert_int_equal(sds_count(h.secret[0].content, 15), 2);
	exact = sds_nth(h.secret[0].content, 15, 0);
	prefix = sds_nth(h.secret[0].content, 15, 1);
	assert_true(slice_eq(slice_of(exact.p, 2), slice_str("\x08\x03")));
	assert_true(slice_eq_str(sds_field(exact, 2, 1), "spiffe://td.test/peer"));
	assert_true(slice_eq_str(sds_field(prefix, 2, 2), "spiffe://td.test/ns/"));
}

static void names_and_form_are_a_setting(void **state)
{
	const struct test_set set = { .version = 1, .n = 1, .der_bytes = 200, .sds_svid = "me", .sds_bundle = "mine",
				      .sds_all = "every", .sds_flags = SDS_PLAIN_CA };
	const struct test_set map = { .version = 1, .n = 1, .der_bytes = 200, .sds_svid = "me", .sds_bundle = "mine",
				      .sds_all = "every", .sds_flags = SDS_BUNDLE_MAP };
	struct fixture *f = *state;
	struct answer *a, *b;
	struct sds_heard h;

	sds_serve(f, &set);
	a = sds_begin(f, (const char *const[]){ "me", "mine", "every", "default", "ROOTCA", "ALL", NULL });
	h = sds_last(a, 1);
	assert_int_equal(h.n, 2);
	assert_secret(&h, "me", SECRET_CERTIFICATE);
	assert_secret(&h, "mine", SECRET_VALIDATION);
	b = sds_begin(f, (const char *const[]){ "mine", NULL });
	h = sds_last(b, 1);
	assert_int_equal(sds_count(h.secret[0].content, 1), 1);
	sds_serve(f, &map);
	assert_int_equal(sds_last(a, 2).n, 3);
	h = sds_last(b, 2);
	assert_int_equal(sds_count(config_of(&h), 2), 1);
}

static void bundles_are_for_the_validator_each_with_its_domain(void **state)
{
	struct fixture *f = *state;
	struct sds_heard h = sds_last(sds_begin(f, (const char *const[]){ "ALL", NULL }), 1);
	struct slice config = config_of(&h);

	assert_int_equal(sds_count(config, 1), 2);
	assert_true(slice_eq_str(sds_field(sds_nth(config, 1, 0), 1, 0), "td.test"));
	assert_true(slice_eq_str(sds_field(sds_nth(config, 1, 1), 1, 0), "f0.test"));
	assert_pem(sds_field(sds_nth(config, 1, 1), 2, 2), "CERTIFICATE", 64, 0xca);
	h = sds_last(sds_begin(f, (const char *const[]){ "spiffe://f0.test", NULL }), 1);
	assert_int_equal(sds_count(config_of(&h), 1), 1);
	assert_true(slice_eq_str(sds_field(sds_nth(config_of(&h), 1, 0), 1, 0), "f0.test"));
}

static void the_node_may_ask_for_another_form(void **state)
{
	static const char *const root[] = { "ROOTCA", NULL };
	static const char map[] = "{\"trust_domains\":{\"td.test\":{\"keys\":["
				  "{\"use\":\"x509-svid\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"";
	AUTO(buf) struct buf ca = BUF_INIT(4096);
	struct test_set set = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200 };
	struct fixture *f = *state;
	struct sds_heard h;

	h = first_of(f, &(struct sds_says){ .names = root, .key = "disable_spiffe_cert_validation", .value = "true" });
	assert_pem(sds_field(h.secret[0].content, 1, 2), "CERTIFICATE", 64, 0xca);
	assert_int_equal(sds_count(h.secret[0].content, 12), 0);
	h = first_of(f, &(struct sds_says){ .names = root, .key = "disable_spiffe_cert_validation", .value = "nonsense" });
	assert_int_equal(sds_count(h.secret[0].content, 12), 1);
	h = first_of(f, &(struct sds_says){ .names = root, .minor = 17 });
	assert_int_equal(sds_count(h.secret[0].content, 12), 0);
	ca_some(&ca);
	set.ca = buf_slice(&ca);
	sds_serve(f, &set);
	h = first_of(f, &(struct sds_says){ .names = root, .key = "spiffe_bundle_map", .value = "true", .minor = 36 });
	assert_true(slice_starts(sds_field(config_of(&h), 2, 2), slice_str(map)));
	h = first_of(f, &(struct sds_says){ .names = root, .key = "spiffe_bundle_map", .value = "true", .minor = 35 });
	assert_int_equal(sds_count(config_of(&h), 1), 1);
}

/* The validator keeps trust domains apart; without it one could speak for another. */
static void all_bundles_are_never_one_heap_of_roots(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_STREAM);

	sds_say(f->p, a, &(struct sds_says){ .names = (const char *const[]){ "ALL", NULL },
					     .key = "disable_spiffe_cert_validation", .value = "1" });
	assert_int_equal(a->body.len, 0);
	assert_false(a->closed);
}

static void the_node_of_the_first_request_counts_for_the_stream(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_STREAM);
	struct sds_heard h;

	sds_say(f->p, a, &(struct sds_says){ .names = (const char *const[]){ "ROOTCA", NULL },
					     .key = "disable_spiffe_cert_validation", .value = "true" });
	h = sds_last(a, 1);
	sds_say(f->p, a, &(struct sds_says){ .names = (const char *const[]){ "spiffe://td.test", NULL }, .ack = &h });
	h = sds_last(a, 2);
	assert_int_equal(sds_count(h.secret[0].content, 12), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bundle_that_is_gone_is_replaced_by_one_of_nobody),
		TEST(a_client_that_holds_a_bundle_of_before_lets_go_of_it),
		TEST(policy_says_whom_a_proxy_accepts),
		TEST(names_and_form_are_a_setting),
		TEST(bundles_are_for_the_validator_each_with_its_domain),
		TEST(the_node_may_ask_for_another_form),
		TEST(all_bundles_are_never_one_heap_of_roots),
		TEST(the_node_of_the_first_request_counts_for_the_stream),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
