// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c tests/lib/sds_client.c */
/* sds_test.c - Envoy's secrets, state of the world: names, versions, acknowledgements, changes. Bytes in, bytes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/mem.h"
#include "tests/lib/sds_client.h"
#include "workloadapi/service.h"

static const char *const nobody[] = { NULL };

static void a_certificate_comes_with_its_key_as_pem(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, (const char *const[]){ "default", NULL });
	struct sds_heard h = sds_last(a, 1);

	assert_int_equal(h.n, 1);
	assert_true(slice_eq_str(h.type, SDS_TYPE));
	assert_true(h.version.len && h.nonce.len);
	assert_secret(&h, "default", SECRET_CERTIFICATE);
	assert_pem(sds_field(h.secret[0].content, 1, 2), "CERTIFICATE", 200, 1);
	assert_pem(sds_field(h.secret[0].content, 2, 2), "PRIVATE KEY", 64, 0x5e);
	assert_false(a->closed);
}

static void every_kind_of_name_is_answered_in_one_request(void **state)
{
	static const char *const names[] = { "default", "ROOTCA", "ALL", "spiffe://td.test/w0", "spiffe://td.test/w1",
					     "spiffe://td.test", "spiffe://f0.test", NULL };
	struct fixture *f = *state;
	struct sds_heard h = sds_last(sds_begin(f, names), 1);

	assert_int_equal(h.n, 7);
	for (size_t i = 0; i < 7; i++)
		assert_secret(&h, names[i], i == 0 || i == 3 || i == 4 ? SECRET_CERTIFICATE : SECRET_VALIDATION);
}

static void without_names_there_are_all_identities_and_bundles(void **state)
{
	static const char *const names[] = { "spiffe://td.test/w0", "spiffe://td.test/w1", "spiffe://td.test",
					     "spiffe://f0.test" };
	struct fixture *f = *state;
	struct sds_heard h = sds_last(sds_begin(f, nobody), 1);

	assert_int_equal(h.n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_secret(&h, names[i], i < 2 ? SECRET_CERTIFICATE : SECRET_VALIDATION);
}

static void unknown_names_are_left_out_and_end_nothing(void **state)
{
	static const char *const names[] = { "default", "ROOTCA", "file-root:system", "spiffe://td.test/other",
					     "spiffe://other.test", "", NULL };
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, names);
	struct sds_heard h = sds_last(a, 1);

	assert_int_equal(h.n, 2);
	assert_secret(&h, "default", SECRET_CERTIFICATE);
	assert_secret(&h, "ROOTCA", SECRET_VALIDATION);
	a = sds_begin(f, (const char *const[]){ "file-root:system", NULL });
	assert_int_equal(a->body.len, 0);
	assert_false(a->closed);
}

/* Istio asks for one after another on one stream, not always waiting. */
static void requests_that_do_not_wait_are_answered_one_by_one(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_STREAM);
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct sds_heard h;

	sds_put(&b, &(struct sds_says){ .names = (const char *const[]){ "default", NULL } });
	sds_put(&b, &(struct sds_says){ .names = (const char *const[]){ "ROOTCA", NULL } });
	sds_send(f->p, a, buf_slice(&b));
	h = sds_last(a, 2);
	assert_secret(&h, "ROOTCA", SECRET_VALIDATION);
}

static void a_rotation_is_one_answer_and_nothing_else_is(void **state)
{
	const struct test_set same = { .version = 1, .n = 2, .n_fed = 1, .der_bytes = 200 };
	const struct test_set next = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200 };
	const struct test_set more = { .version = 2, .n = 2, .n_fed = 2, .der_bytes = 200 };
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, (const char *const[]){ "default", "ROOTCA", NULL });
	struct sds_heard first = sds_last(a, 1), second;

	sds_serve(f, &same);
	(void)sds_last(a, 1);
	sds_serve(f, &next);
	second = sds_last(a, 2);
	assert_int_equal(second.n, 2);
	assert_pem(sds_field(second.secret[1].content, 1, 2), "CERTIFICATE", 200, 2);
	assert_false(slice_eq(first.version, second.version));
	assert_false(slice_eq(first.nonce, second.nonce));
	sds_serve(f, &more); /* nothing that this stream asked for */
	(void)sds_last(a, 2);
}

static void an_acknowledgement_is_not_answered_and_neither_is_a_refusal(void **state)
{
	static const char *const names[] = { "default", NULL };
	const struct test_set next = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200 };
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, names);
	struct sds_heard h = sds_last(a, 1);

	sds_say(f->p, a, &(struct sds_says){ .names = names, .ack = &h });
	(void)sds_last(a, 1);
	for (int i = 0; i < 3; i++)
		sds_say(f->p, a, &(struct sds_says){ .names = names, .ack = &h, .refuse = "no\nthanks" });
	(void)sds_last(a, 1);
	sds_serve(f, &next);
	(void)sds_last(a, 2);
	assert_false(a->closed);
}

static void other_names_are_answered_and_stale_requests_are_not(void **state)
{
	static const char *const one[] = { "default", NULL }, *const two[] = { "ROOTCA", "default", NULL };
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, one);
	struct sds_heard first = sds_last(a, 1), second;

	sds_say(f->p, a, &(struct sds_says){ .names = two, .ack = &first });
	second = sds_last(a, 2);
	assert_int_equal(second.n, 2);
	sds_say(f->p, a, &(struct sds_says){ .names = one, .ack = &first });
	(void)sds_last(a, 2);
	sds_say(f->p, a, &(struct sds_says){ .names = (const char *const[]){ "default", "ROOTCA", "default", NULL },
					     .ack = &second });
	(void)sds_last(a, 2);
	sds_say(f->p, a, &(struct sds_says){ .names = one });
	assert_int_equal(sds_last(a, 3).n, 1);
	sds_say(f->p, a, &(struct sds_says){ .names = nobody });
	(void)sds_last(a, 3);
}

static void another_type_ends_that_stream_alone(void **state)
{
	struct fixture *f = *state;
	struct answer *good = sds_begin(f, (const char *const[]){ "default", NULL });
	struct answer *bad = sds_open(f->p, SDS_STREAM);

	sds_say(f->p, bad, &(struct sds_says){ .names = nobody, .type = "type.googleapis.com/envoy.config.cluster.v3.Cluster" });
	assert_failed(bad, GRPC_INVALID_ARGUMENT, "type_url is not that of secrets");
	assert_false(good->closed);
	assert_int_equal(sds_last(good, 1).n, 1);
}

static void fields_of_other_versions_are_skipped(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_STREAM);
	AUTO(buf) struct buf m = BUF_INIT(4096);
	AUTO(buf) struct buf b = BUF_INIT(4096);

	pb_put(&m, 7, slice_str("\x0a\x01x"));
	pb_put_varint(&m, 99, 5);
	pb_put_double(&m, 1000, 1.5);
	pb_put(&m, 3, slice_str("default"));
	buf_put_u8(&b, 0);
	buf_put_be32(&b, (uint32_t)m.len);
	buf_put_slice(&b, buf_slice(&m));
	sds_send(f->p, a, buf_slice(&b));
	assert_int_equal(sds_last(a, 1).n, 1);
}

static void malformed_requests_end_their_stream(void **state)
{
	static const char *const bad[] = { "\x1a", "\x1a\x02\xff\xfe", "\x18\x01", "\x32\x01\x12" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct answer *a = sds_open(f->p, SDS_STREAM);
		AUTO(buf) struct buf b = BUF_INIT(64);

		buf_put_u8(&b, 0);
		buf_put_be32(&b, (uint32_t)strlen(bad[i]));
		buf_put_str(&b, bad[i]);
		sds_send(f->p, a, buf_slice(&b));
		assert_failed(a, GRPC_INVALID_ARGUMENT, "request cannot be parsed");
	}
}

static void too_many_names_end_their_stream(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_open(f->p, SDS_STREAM);
	AUTO(buf) struct buf m = BUF_INIT(8192);
	AUTO(buf) struct buf b = BUF_INIT(8192);

	for (size_t i = 0; i <= LIM_SDS_NAMES; i++)
		pb_put(&m, 3, slice_str("default"));
	buf_put_u8(&b, 0);
	buf_put_be32(&b, (uint32_t)m.len);
	buf_put_slice(&b, buf_slice(&m));
	sds_send(f->p, a, buf_slice(&b));
	assert_failed(a, GRPC_INVALID_ARGUMENT, "more or longer names than their limit");
}

/* Envoy 1.40 sends 61 KB of its extensions with each request. */
static void what_nobody_reads_of_a_node_is_not_kept(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);
	struct answer *a[8];

	sds_put(&b, &(struct sds_says){ .names = (const char *const[]){ "default", NULL }, .extensions = 4000,
					.key = "disable_spiffe_cert_validation", .value = "true" });
	assert_true(b.len > 3 * LIM_GRPC_MESSAGE);
	f->p->chunk = 999;
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		a[i] = sds_open(f->p, SDS_STREAM);
		sds_send(f->p, a[i], slice_of(b.data, b.len - 10));
	}
	assert_true(f->p->g.buffered < 8 * 512);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		sds_send(f->p, a[i], slice_of(b.data + b.len - 10, 10));
		assert_int_equal(sds_last(a[i], 1).n, 1);
	}
	assert_int_equal(f->p->g.buffered, 0);
}

static void one_answer_is_shared_by_all_that_ask_alike(void **state)
{
	static const char *const ab[] = { "default", "ROOTCA", NULL }, *const ba[] = { "ROOTCA", "default", NULL };
	struct fixture *f = *state;
	struct sds_ask *ask = NULL;
	size_t asks = 0;

	for (int i = 0; i < 20; i++)
		assert_int_equal(sds_last(sds_begin(f, i % 2 ? ab : ba), 1).n, 2);
	for (size_t i = 0; i < SDS_BUCKETS; i++) {
		struct sds_ask *each;

		list_for_each(each, &f->api.sds.asks[i], node) {
			ask = each;
			asks++;
		}
	}
	assert_int_equal(asks, 1);
	assert_int_equal(ask->refs, 20);
	assert_int_equal(ask->view->refs, 21);
}

static void without_an_identity_there_is_nothing_but_by_policy(void **state)
{
	const struct test_set none = { .version = 2 }, open = { .version = 3, .sds_flags = SDS_BUNDLES_FOR_NOBODY };
	static const char *const names[] = { "default", "ROOTCA", "spiffe://td.test", NULL };
	struct fixture *f = *state;
	AUTO(buf) struct buf b = BUF_INIT(1024);
	struct answer *a, *all, *once;

	sds_serve(f, &none);
	a = sds_begin(f, names);
	all = sds_begin(f, nobody);
	assert_int_equal(a->body.len + all->body.len, 0);
	sds_message(&b, &(struct sds_says){ .names = names });
	f->p->hold = false;
	once = peer_send(f->p, SDS_FETCH, buf_slice(&b));
	peer_run(f->p);
	assert_failed(once, GRPC_PERMISSION_DENIED, "no identity issued");
	sds_serve(f, &open);
	assert_int_equal(sds_last(a, 1).n, 2);
	assert_int_equal(sds_last(all, 1).n, 1);
	assert_false(a->closed || all->closed);
}

static void fetch_answers_once_and_is_done(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);
	struct answer *a;

	sds_message(&b, &(struct sds_says){ .names = (const char *const[]){ "default", "x", NULL }, .extensions = 1000 });
	a = peer_send(f->p, SDS_FETCH, buf_slice(&b));
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_OK);
	assert_int_equal(sds_last(a, 1).n, 1);
}

static void a_state_that_serves_nobody_ends_streams_as_it_says(void **state)
{
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, (const char *const[]){ "default", NULL });

	api_set_state(&f->api, -ERR_EVIDENCE);
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_UNAVAILABLE);
	assert_true(a->closed);
}

/* Its caller could not be decided about: what it would get here says nothing about it. */
static void a_refused_connection_is_told_to_come_again(void **state)
{
	struct fixture *f = *state;
	struct answer *a;

	f->p->g.refused = -ERR_NOT_READY;
	a = sds_begin(f, (const char *const[]){ "default", NULL });
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
}

/* A client that has nothing more to say still follows. */
static void half_closed_streams_go_on(void **state)
{
	const struct test_set next = { .version = 2, .n = 2, .n_fed = 1, .der_bytes = 200 };
	struct fixture *f = *state;
	AUTO(buf) struct buf b = BUF_INIT(1024);
	struct answer *a;

	f->p->hold = false;
	sds_message(&b, &(struct sds_says){ .names = (const char *const[]){ "default", NULL } });
	a = peer_send(f->p, SDS_STREAM, buf_slice(&b));
	peer_run(f->p);
	(void)sds_last(a, 1);
	sds_serve(f, &next);
	(void)sds_last(a, 2);
	assert_false(a->closed);
}

static void an_expired_certificate_is_not_there(void **state)
{
	const struct test_set old = { .version = 2, .n = 2, .der_bytes = 200, .expired = true };
	struct fixture *f = *state;
	struct answer *a = sds_begin(f, (const char *const[]){ "default", "ROOTCA", NULL }), *b;

	sds_serve(f, &old);
	(void)sds_last(a, 1);
	b = sds_begin(f, (const char *const[]){ "default", "ROOTCA", NULL });
	assert_int_equal(sds_last(b, 1).n, 1);
	assert_false(a->closed);
}

/* Keys are gone from memory when the last stream that was to be sent them is. */
static void nothing_is_kept_for_streams_that_are_gone(void **state)
{
	struct fixture *f = *state;

	(void)sds_begin(f, (const char *const[]){ "default", NULL });
	peer_free(f->p);
	f->p = peer_new(&f->api, false);
	for (size_t i = 0; i < SDS_BUCKETS; i++)
		assert_true(list_empty(&f->api.sds.asks[i]));
}

/* One stream whose @nth allocation fails in the engine; whether it was reached. What is sent is whole. */
static bool one_life(struct fixture *f, long nth, bool delta)
{
	const struct test_set set = { .version = 2 + (uint64_t)nth % 2, .n = 2, .n_fed = 1, .der_bytes = 200 };
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct slice s = slice_of(NULL, 0);
	struct answer *a;
	bool hit;

	peer_free(f->p);
	f->p = peer_new(&f->api, false);
	test_api_set(&f->api, &set);
	a = sds_open(f->p, delta ? SDS_DELTA : SDS_STREAM);
	assert_non_null(buf_reserve(&a->sent, 4096));
	sds_put(&b, &(struct sds_says){ .delta = delta, .extensions = 20,
					.names = (const char *const[]){ "default", "spiffe://f0.test", "ALL", NULL } });
	peer_run(f->p);
	mem_fail_after(nth);
	sds_send(f->p, a, buf_slice(&b));
	hit = mem_fail_after(-1);
	assert_int_equal(messages(a, &s), hit ? a->body.len != 0 : 1);
	return hit;
}

static void every_allocation_may_fail(void **state)
{
	for (int delta = 0; delta < 2; delta++) {
		long n = 0;

		while (one_life(*state, n, delta))
			n++;
		assert_true(n > 8);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_certificate_comes_with_its_key_as_pem),
		TEST(every_kind_of_name_is_answered_in_one_request),
		TEST(without_names_there_are_all_identities_and_bundles),
		TEST(unknown_names_are_left_out_and_end_nothing),
		TEST(requests_that_do_not_wait_are_answered_one_by_one),
		TEST(a_rotation_is_one_answer_and_nothing_else_is),
		TEST(an_acknowledgement_is_not_answered_and_neither_is_a_refusal),
		TEST(other_names_are_answered_and_stale_requests_are_not),
		TEST(another_type_ends_that_stream_alone),
		TEST(fields_of_other_versions_are_skipped),
		TEST(malformed_requests_end_their_stream),
		TEST(too_many_names_end_their_stream),
		TEST(what_nobody_reads_of_a_node_is_not_kept),
		TEST(one_answer_is_shared_by_all_that_ask_alike),
		TEST(without_an_identity_there_is_nothing_but_by_policy),
		TEST(fetch_answers_once_and_is_done),
		TEST(a_state_that_serves_nobody_ends_streams_as_it_says),
		TEST(a_refused_connection_is_told_to_come_again),
		TEST(half_closed_streams_go_on),
		TEST(an_expired_certificate_is_not_there),
		TEST(nothing_is_kept_for_streams_that_are_gone),
		TEST(every_allocation_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
