// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c */
/* front_feeds_test.c - watches of JWT bundles, WIT-SVIDs and WIT bundles: what they get, when, and how they end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/pb.h"
#include "tests/lib/call_fixture.h"

#define JWT_BUNDLES "/SpiffeWorkloadAPI/FetchJWTBundles"
#define WIT "/SpiffeWorkloadAPI/FetchWITSVID"
#define WIT_BUNDLES "/SpiffeWorkloadAPI/FetchWITBundles"

static struct answer *call(struct fixture *f, const char *path)
{
	struct answer *a = peer_call(f->p, path);

	peer_run(f->p);
	return a;
}

static struct answer *call_about(struct fixture *f, const char *path, const char *id)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct answer *a;

	pb_put(&b, 1, slice_str(id));
	a = peer_send(f->p, path, buf_slice(&b));
	peer_run(f->p);
	return a;
}

static void serve(struct fixture *f, struct test_set set)
{
	set.der_bytes = 100;
	test_api_set(&f->api, &set);
	peer_run(f->p);
}

/* Key and value of a map's only or first entry, field 1 of @message. */
static void assert_entry(struct slice *message, const char *key, const char *kid, const char *use)
{
	AUTO(buf) struct buf jwks = BUF_INIT(4096);
	struct pb_field f;
	struct slice parts[2];

	test_jwks(&jwks, kid, use);
	assert_true(pb_next(message, &f));
	assert_int_equal(f.number, 1);
	assert_int_equal(pb_strings(f.bytes, parts, 2), 0);
	assert_true(slice_eq_str(parts[0], key));
	assert_true(slice_eq(parts[1], buf_slice(&jwks)));
}

static void jwt_bundles_are_the_own_one_and_the_federated(void **state)
{
	struct fixture *f = *state;
	struct answer *a = call(f, JWT_BUNDLES);
	struct slice last = slice_of(NULL, 0);

	assert_int_equal(messages(a, &last), 1);
	assert_entry(&last, "spiffe://td.test", "own", "jwt-svid");
	assert_entry(&last, "spiffe://f0.test", "spiffe://f0.test", "jwt-svid");
	assert_int_equal(last.len, 0);
	assert_false(a->closed);
	serve(f, (struct test_set){ .version = 2, .n = 2, .n_fed = 1 }); /* other SVIDs, the same bundles */
	assert_int_equal(messages(a, &last), 1);
	serve(f, (struct test_set){ .version = 3, .n = 2 });
	assert_int_equal(messages(a, &last), 2);
	assert_entry(&last, "spiffe://td.test", "own", "jwt-svid");
	assert_int_equal(last.len, 0);
	serve(f, (struct test_set){ .version = 4 });
	assert_failed(a, GRPC_PERMISSION_DENIED, "no identity issued");
}

static void jwt_bundles_wait_until_svid_keys_has_keys(void **state)
{
	struct fixture *f = *state;
	struct answer *a, *b;
	struct slice last;

	api_done(&f->api);
	assert_int_equal(api_init(&f->api), 0);
	f->api.now = 9 * NS_PER_S;
	serve(f, (struct test_set){ .version = 1, .n = 1, .n_fed = 1, .no_jwks = true });
	a = call(f, JWT_BUNDLES);
	assert_int_equal(a->http, 0);
	f->api.now += LIM_SET_WAIT_MS * NS_PER_MS;
	b = call(f, JWT_BUNDLES);
	grpc_expire(&f->p->g);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
	serve(f, (struct test_set){ .version = 2, .n = 1 });
	assert_int_equal(messages(b, &last), 1);
	serve(f, (struct test_set){ .version = 3, .n = 1, .no_jwks = true }); /* nobody withdrew them */
	assert_int_equal(messages(b, &last), 1);
	assert_false(b->closed);
}

static void without_the_profile_wit_is_unimplemented(void **state)
{
	struct fixture *f = *state;

	assert_failed(call(f, WIT), GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	assert_failed(call_about(f, WIT, "spiffe://td.test/w0"), GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	assert_failed(call(f, WIT_BUNDLES), GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	serve(f, (struct test_set){ .version = 2 }); /* also for callers without identity */
	assert_failed(call(f, WIT), GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	assert_failed(call(f, WIT_BUNDLES), GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
}

static void assert_wits(const struct answer *a, size_t n_messages, size_t n_svids, const char *first_id, const char *token)
{
	struct slice last = slice_of(NULL, 0);
	WITSVIDResponse *r;

	assert_int_equal(messages(a, &last), n_messages);
	assert_false(a->closed);
	r = witsvidresponse__unpack(NULL, last.len, last.p);
	assert_non_null(r);
	assert_int_equal(r->n_svids, n_svids);
	assert_string_equal(r->svids[0]->spiffe_id, first_id);
	assert_string_equal(r->svids[0]->wit_svid, token);
	assert_string_equal(r->svids[0]->wit_svid_key, TEST_WIT_KEY);
	assert_string_equal(r->svids[0]->hint, "h0");
	witsvidresponse__free_unpacked(r, NULL);
}

static void wit_svids_of_all_identities_or_of_one(void **state)
{
	struct fixture *f = *state;
	struct answer *all, *one;

	serve(f, (struct test_set){ .version = 5, .n = 2, .hints = true, .wit = true });
	all = call(f, WIT);
	one = call_about(f, WIT, "spiffe://td.test/w0");
	assert_wits(all, 1, 2, "spiffe://td.test/w0", "wit.0.5");
	assert_wits(one, 1, 1, "spiffe://td.test/w0", "wit.0.5");
	serve(f, (struct test_set){ .version = 5, .n = 3, .hints = true, .wit = true }); /* w0 is the same */
	assert_wits(all, 2, 3, "spiffe://td.test/w0", "wit.0.5");
	assert_wits(one, 1, 1, "spiffe://td.test/w0", "wit.0.5");
	serve(f, (struct test_set){ .version = 6, .n = 1, .hints = true, .wit = true });
	assert_wits(all, 3, 1, "spiffe://td.test/w0", "wit.0.6");
	assert_wits(one, 2, 1, "spiffe://td.test/w0", "wit.0.6");
	serve(f, (struct test_set){ .version = 7, .n = 1, .hints = true, .wit = true, .no_wits = true });
	assert_wits(one, 2, 1, "spiffe://td.test/w0", "wit.0.6"); /* not there is not withdrawn */
	assert_wits(all, 3, 1, "spiffe://td.test/w0", "wit.0.6");
}

static void wit_of_an_identity_that_is_not_there_is_denied(void **state)
{
	struct fixture *f = *state;
	struct answer *one, *all;

	serve(f, (struct test_set){ .version = 1, .n = 1, .hints = true, .wit = true });
	assert_failed(call_about(f, WIT, "spiffe://td.test/w9"), GRPC_PERMISSION_DENIED, "no identity issued");
	assert_failed(call_about(f, WIT, "w0"), GRPC_INVALID_ARGUMENT, "requested SPIFFE ID is not valid");
	one = call_about(f, WIT, "spiffe://td.test/w0");
	all = call(f, WIT);
	serve(f, (struct test_set){ .version = 1, .n = 1, .first = 1, .hints = true, .wit = true });
	assert_failed(one, GRPC_PERMISSION_DENIED, "no identity issued");
	assert_wits(all, 2, 1, "spiffe://td.test/w1", "wit.1.1");
	serve(f, (struct test_set){ .version = 2, .wit = true });
	assert_failed(all, GRPC_PERMISSION_DENIED, "no identity issued");
	assert_failed(call(f, WIT_BUNDLES), GRPC_PERMISSION_DENIED, "no identity issued");
}

static void wit_svids_wait_until_one_is_issued(void **state)
{
	struct fixture *f = *state;
	struct answer *all, *one;

	api_done(&f->api);
	assert_int_equal(api_init(&f->api), 0);
	f->api.now = 9 * NS_PER_S;
	serve(f, (struct test_set){ .version = 1, .n = 2, .hints = true, .wit = true, .no_wits = true });
	all = call(f, WIT);
	one = call_about(f, WIT, "spiffe://td.test/w0");
	assert_int_equal(all->http, 0);
	assert_int_equal(one->http, 0);
	assert_int_equal(grpc_due(&f->p->g), f->api.now + LIM_SET_WAIT_MS * NS_PER_MS);
	serve(f, (struct test_set){ .version = 2, .n = 2, .hints = true, .wit = true });
	assert_wits(all, 1, 2, "spiffe://td.test/w0", "wit.0.2");
	assert_wits(one, 1, 1, "spiffe://td.test/w0", "wit.0.2");
}

static void wit_bundle_is_the_own_one(void **state)
{
	struct fixture *f = *state;
	struct answer *a;
	struct slice last = slice_of(NULL, 0);

	serve(f, (struct test_set){ .version = 1, .n = 1, .n_fed = 1, .wit = true });
	a = call(f, WIT_BUNDLES);
	assert_int_equal(messages(a, &last), 1);
	assert_entry(&last, "spiffe://td.test", "wit", "wit-svid");
	assert_int_equal(last.len, 0);
	assert_false(a->closed);
}

static void switched_off_profile_ends_the_watches(void **state)
{
	struct fixture *f = *state;
	struct answer *a, *b, *c;

	serve(f, (struct test_set){ .version = 1, .n = 1, .wit = true });
	a = call(f, WIT);
	b = call(f, WIT_BUNDLES);
	c = call_about(f, WIT, "spiffe://td.test/w0");
	serve(f, (struct test_set){ .version = 1, .n = 1 });
	assert_failed(a, GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	assert_failed(b, GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
	assert_failed(c, GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(jwt_bundles_are_the_own_one_and_the_federated),
		T(jwt_bundles_wait_until_svid_keys_has_keys),
		T(without_the_profile_wit_is_unimplemented),
		T(wit_svids_of_all_identities_or_of_one),
		T(wit_of_an_identity_that_is_not_there_is_denied),
		T(wit_svids_wait_until_one_is_issued),
		T(wit_bundle_is_the_own_one),
		T(switched_off_profile_ends_the_watches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
