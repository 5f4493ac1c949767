// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c */
/* grpc_test.c - a real HTTP/2 client session against the front's engine: calls, errors, watches, deadlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "gen/self.pb-c.h"
#include "tests/lib/call_fixture.h"

#define BUNDLES "/SpiffeWorkloadAPI/FetchX509Bundles"
#define WHOAMI "/svid.v1.Self/WhoAmI"
#define CHECK "/grpc.health.v1.Health/Check"
#define WATCH "/grpc.health.v1.Health/Watch"

static void fetch_gives_the_whole_state_and_stays_open(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID);
	X509SVIDResponse *r;

	peer_run(f->p);
	r = last_svids(a, 1);
	assert_int_equal(r->n_svids, 2);
	assert_string_equal(r->svids[0]->spiffe_id, "spiffe://td.test/w0");
	assert_int_equal(r->svids[0]->x509_svid.len, 200);
	assert_int_equal(r->svids[0]->x509_svid_key.len, 64);
	assert_int_equal(r->svids[0]->bundle.len, 64);
	assert_int_equal(r->n_federated_bundles, 1);
	assert_string_equal(r->federated_bundles[0]->key, "spiffe://f0.test");
	assert_false(a->closed);
	assert_int_equal(a->http, 200);
	assert_string_equal(a->type, "application/grpc");
	assert_int_equal(f->p->g.h2.n_streams, 1);
	x509_svidresponse__free_unpacked(r, NULL);
}

static void every_cut_of_the_bytes_gives_the_same_answer(void **state)
{
	struct fixture *f = *state;

	for (size_t chunk = 1; chunk < 40; chunk++) {
		struct peer *p = peer_new(&f->api, false);
		struct answer *a = peer_call(p, SVID);

		p->chunk = chunk;
		peer_run(p);
		x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
		assert_false(a->closed);
		peer_free(p);
	}
}

static void change_is_pushed_once_and_equal_bytes_never(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID), *b = peer_call(f->p, BUNDLES);
	struct slice last = slice_of(NULL, 0);

	peer_run(f->p);
	test_api_serve(&f->api, 1, 2, 200); /* the same again */
	peer_run(f->p);
	assert_int_equal(messages(a, &last), 1);
	test_api_serve(&f->api, 2, 2, 200); /* rotated: chains differ, bundles do not */
	peer_run(f->p);
	assert_int_equal(messages(a, &last), 2);
	assert_int_equal(messages(b, &last), 1);
}

static void bundles_hold_the_own_trust_domain(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, BUNDLES);
	struct slice last = slice_of(NULL, 0);
	X509BundlesResponse *r;

	peer_run(f->p);
	assert_int_equal(messages(a, &last), 1);
	r = x509_bundles_response__unpack(NULL, last.len, last.p);
	assert_non_null(r);
	assert_int_equal(r->n_bundles, 2);
	assert_string_equal(r->bundles[0]->key, "spiffe://td.test");
	x509_bundles_response__free_unpacked(r, NULL);
}

static void no_identity_is_permission_denied(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID), *b, *c;

	peer_run(f->p);
	api_publish(&f->api, FEED_SVIDS, NULL, -ERR_NO_IDENTITY, 0);
	api_publish(&f->api, FEED_BUNDLES, NULL, -ERR_NO_IDENTITY, 0);
	b = peer_call(f->p, SVID);
	c = peer_call(f->p, BUNDLES);
	peer_run(f->p);
	assert_failed(a, GRPC_PERMISSION_DENIED, "no identity issued"); /* open when the last one went */
	assert_failed(b, GRPC_PERMISSION_DENIED, "no identity issued");
	assert_failed(c, GRPC_PERMISSION_DENIED, "no identity issued");
}

static void requests_wait_for_the_first_set_but_not_for_ever(void **state)
{
	struct fixture *f = *state;
	struct api fresh;
	struct answer *a, *b;
	struct peer *p;

	(void)f;
	assert_int_equal(api_init(&fresh), 0);
	fresh.now = 50 * NS_PER_S;
	p = peer_new(&fresh, false);
	a = peer_call(p, SVID);
	peer_run(p);
	assert_int_equal(a->http, 0);
	assert_int_equal(grpc_due(&p->g), fresh.now + LIM_SET_WAIT_MS * NS_PER_MS);
	fresh.now += LIM_SET_WAIT_MS * NS_PER_MS;
	grpc_expire(&p->g);
	b = peer_call(p, SVID);
	peer_run(p);
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
	test_api_serve(&fresh, 1, 1, 100);
	peer_run(p);
	x509_svidresponse__free_unpacked(last_svids(b, 1), NULL);
	peer_free(p);
	api_done(&fresh);
}

static void state_error_ends_streams_and_new_requests(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID), *b, *c;

	peer_run(f->p);
	api_set_state(&f->api, -ERR_EVIDENCE);
	b = peer_call(f->p, BUNDLES);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "kernel evidence is not whole");
	assert_failed(b, GRPC_UNAVAILABLE, "kernel evidence is not whole");
	api_set_state(&f->api, 0);
	c = peer_call(f->p, SVID);
	peer_run(f->p);
	x509_svidresponse__free_unpacked(last_svids(c, 1), NULL);
}

static void expired_svids_are_not_sent(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID);

	f->api.feeds[FEED_SVIDS].expires = clock_wall_s() - 1;
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_UNAVAILABLE);
	assert_int_equal(a->body.len, 0);
}

static void end_of_connection_is_trailers_then_goaway(void **state)
{
	struct fixture *f = *state;
	struct answer *a = peer_call(f->p, SVID), *b = peer_call(f->p, WATCH);

	peer_run(f->p);
	grpc_end(&f->p->g, -ERR_CHANGED);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "the caller changed after it connected");
	assert_int_equal(b->grpc, GRPC_UNAVAILABLE);
	assert_int_equal(f->p->goaway, NGHTTP2_NO_ERROR);
	assert_int_equal(f->p->g.h2.n_streams, 0);
}

/* The same question again, on another connection, has an answer. */
static void whoami_ends_with_unavailable_when_the_identity_is_withdrawn(void **state)
{
	struct fixture *f = *state;
	struct answer *a, *b;

	grpc_set_whoami(&f->p->g, NULL); /* svid-core did not say it yet */
	a = peer_call(f->p, WHOAMI);
	b = peer_call(f->p, SVID);
	peer_run(f->p);
	grpc_end(&f->p->g, -ERR_NO_IDENTITY);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "the identities of the caller changed");
	assert_failed(b, GRPC_PERMISSION_DENIED, "no identity issued");
}

struct header_case {
	const char *what;
	struct fields extra[3];
	int status; /* grpc-status; -1: a message */
	const char *text;
};

static void security_header_is_needed_exactly_once(void **state)
{
	static const struct header_case cases[] = {
		{ "missing", { { NULL, NULL } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "True", { { "workload.spiffe.io", "True" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "TRUE", { { "workload.spiffe.io", "TRUE" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "1", { { "workload.spiffe.io", "1" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "empty", { { "workload.spiffe.io", "" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "true,true", { { "workload.spiffe.io", "true,true" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "twice", { { "workload.spiffe.io", "true" }, { "workload.spiffe.io", "true" } },
		  GRPC_INVALID_ARGUMENT, NULL },
		{ "other name", { { "workload.spiffe.io2", "true" } }, GRPC_INVALID_ARGUMENT, NULL },
		{ "right", { { "workload.spiffe.io", "true" } }, -1, NULL },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fields fields[] = {
			{ ":method", "POST" }, { ":scheme", "http" }, { ":path", SVID },
			{ "content-type", "application/grpc" }, cases[i].extra[0],
			cases[i].extra[0].name ? cases[i].extra[1] : cases[i].extra[0], { NULL, NULL },
		};
		struct answer *a = peer_request(f->p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));

		peer_run(f->p);
		if (cases[i].status < 0)
			assert_int_equal(a->grpc, -1);
		else
			assert_failed(a, cases[i].status, "security header missing from request");
		assert_int_equal(a->body.len > 0, cases[i].status < 0);
	}
}

static void security_header_is_checked_before_the_caller(void **state)
{
	static const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", "/SpiffeWorkloadAPI/FetchWITSVID" },
		{ "content-type", "application/grpc" }, { NULL, NULL },
	};
	struct fixture *f = *state;
	struct answer *a;

	api_publish(&f->api, FEED_SVIDS, NULL, -ERR_NO_IDENTITY, 0);
	a = peer_request(f->p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));
	peer_run(f->p);
	assert_failed(a, GRPC_INVALID_ARGUMENT, "security header missing from request");
}

static void unimplemented_methods_say_so(void **state)
{
	static const struct {
		const char *path, *text;
	} cases[] = {
		{ "/SpiffeWorkloadAPI/FetchWITSVID", "fetching WIT-SVIDs is not implemented" },
		{ "/SpiffeWorkloadAPI/FetchWITBundles", "fetching WIT-SVIDs is not implemented" },
		{ "/SpiffeWorkloadAPI/Nothing", "unknown method" },
		{ "/spiffeworkloadapi/FetchX509SVID", "unknown method" },
		{ "/SpiffeWorkloadAPI/FetchX509SVID/", "unknown method" },
		{ "/", "unknown method" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer *a = peer_call(f->p, cases[i].path);

		peer_run(f->p);
		assert_failed(a, GRPC_UNIMPLEMENTED, cases[i].text);
	}
}

static void whoami_needs_neither_identity_nor_header(void **state)
{
	static const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", WHOAMI },
		{ "content-type", "application/grpc+proto" }, { NULL, NULL },
	};
	struct fixture *f = *state;
	struct slice last = slice_of(NULL, 0);
	Svid__V1__WhoAmIResponse *r;
	struct answer *a;

	api_publish(&f->api, FEED_SVIDS, NULL, -ERR_NO_IDENTITY, 0);
	api_set_state(&f->api, -ERR_EVIDENCE);
	a = peer_request(f->p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));
	peer_run(f->p);
	assert_int_equal(a->grpc, GRPC_OK);
	assert_true(a->closed);
	assert_int_equal(messages(a, &last), 1);
	r = svid__v1__who_am_iresponse__unpack(NULL, last.len, last.p);
	assert_non_null(r);
	assert_memory_equal(r->json.data, "{\"pid\":1}", 9);
	svid__v1__who_am_iresponse__free_unpacked(r, NULL);
}

static void health_follows_the_state(void **state)
{
	static const uint8_t unknown[] = { 0, 0, 0, 0, 3, 0x0a, 1, 'x' };
	static const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", CHECK },
		{ "content-type", "application/grpc" }, { NULL, NULL },
	};
	struct fixture *f = *state;
	static const char *const here[] = { "", "SpiffeWorkloadAPI", "grpc.health.v1.Health", "svid.v1.Self",
					    "envoy.service.secret.v3.SecretDiscoveryService" };
	struct answer *check = peer_call(f->p, CHECK), *watch = peer_call(f->p, WATCH), *none, *named[ARRAY_SIZE(here)];
	struct slice last = slice_of(NULL, 0);

	peer_run(f->p);
	assert_int_equal(messages(check, &last), 1);
	assert_memory_equal(last.p, "\x08\x01", 2);
	assert_int_equal(check->grpc, GRPC_OK);
	api_set_state(&f->api, -ERR_DRAIN);
	none = peer_request(f->p, fields, slice_of(unknown, sizeof(unknown)));
	for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
		AUTO(buf) struct buf b = BUF_INIT(256);

		pb_put(&b, 1, slice_str(here[i]));
		named[i] = peer_send(f->p, CHECK, buf_slice(&b));
	}
	peer_run(f->p);
	assert_int_equal(messages(watch, &last), 2);
	assert_memory_equal(last.p, "\x08\x02", 2);
	assert_int_equal(watch->grpc, -1);
	assert_failed(none, GRPC_NOT_FOUND, "unknown service");
	for (size_t i = 0; i < ARRAY_SIZE(here); i++) {
		assert_int_equal(named[i]->grpc, GRPC_OK);
		assert_int_equal(messages(named[i], &last), 1);
		assert_memory_equal(last.p, "\x08\x02", 2);
	}
}

static void authority_is_never_looked_at(void **state)
{
	static const char *const values[] = { "localhost", "run%2Fspire%2Fagent.sock", "x", "a:1", "/tmp/agent.sock", "" };
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		const struct fields fields[] = {
			{ ":method", "POST" }, { ":scheme", "http" }, { ":path", SVID },
			{ ":authority", values[i] }, { "content-type", "application/grpc" },
			{ "workload.spiffe.io", "true" }, { NULL, NULL },
		};
		struct answer *a = peer_request(f->p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));

		peer_run(f->p);
		x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
	}
}

static struct answer *with_body(struct fixture *f, const char *encoding, const void *body, size_t len)
{
	const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", SVID },
		{ "content-type", "application/grpc" }, { "workload.spiffe.io", "true" },
		{ encoding ? "grpc-encoding" : "x", encoding ? encoding : "y" }, { NULL, NULL },
	};
	struct answer *a = peer_request(f->p, fields, slice_of(body, len));

	peer_run(f->p);
	return a;
}

static void broken_request_bodies_are_refused(void **state)
{
	static const struct {
		const char *what, *encoding, *body;
		size_t len;
		int status;
	} cases[] = {
		{ "none", NULL, "", 0, GRPC_INTERNAL },
		{ "half a prefix", NULL, "\0\0\0", 3, GRPC_INTERNAL },
		{ "less than announced", NULL, "\0\0\0\0\2\0", 6, GRPC_INTERNAL },
		{ "two messages", NULL, "\0\0\0\0\0\0\0\0\0\0", 10, GRPC_INTERNAL },
		{ "compressed, encoding not said", NULL, "\1\0\0\0\0", 5, GRPC_INTERNAL },
		{ "compressed, identity", "identity", "\1\0\0\0\0", 5, GRPC_INTERNAL },
		{ "compressed, gzip", "gzip", "\1\0\0\0\0", 5, GRPC_UNIMPLEMENTED },
		{ "flag of 2", NULL, "\2\0\0\0\0", 5, GRPC_INTERNAL },
		{ "no protobuf", NULL, "\0\0\0\0\1\xff", 6, GRPC_INVALID_ARGUMENT },
		{ "announces 4 GiB", NULL, "\0\xff\xff\xff\xff", 5, GRPC_RESOURCE_EXHAUSTED },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer *a = with_body(f, cases[i].encoding, cases[i].body, cases[i].len);

		assert_int_equal(a->grpc, cases[i].status);
		assert_int_equal(a->body.len, 0);
		assert_int_equal(f->p->g.buffered, 0);
	}
}

static void largest_request_is_taken_and_one_byte_more_is_not(void **state)
{
	struct fixture *f = *state;
	AUTO(buf) struct buf body = BUF_INIT(1u << 20);
	struct answer *a;

	/* An unknown length-delimited field fills the message: 1 byte tag, 3 bytes length, the rest. */
	buf_put_u8(&body, 0);
	buf_put_be32(&body, LIM_GRPC_MESSAGE);
	buf_put(&body, "\x7a\xfc\xff\x03", 4);
	while (body.len < GRPC_PREFIX + LIM_GRPC_MESSAGE)
		buf_put_u8(&body, 'x');
	assert_int_equal(buf_ok(&body), 0);
	a = with_body(f, NULL, body.data, body.len);
	x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
	body.data[4]++;
	buf_put_u8(&body, 'x');
	a = with_body(f, NULL, body.data, body.len);
	assert_int_equal(a->grpc, GRPC_RESOURCE_EXHAUSTED);
	assert_int_equal(f->p->g.h2.recv_window > 0, 1);
}

static void deadlines_are_kept(void **state)
{
	struct fixture *f = *state;
	const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", SVID },
		{ "content-type", "application/grpc" }, { "workload.spiffe.io", "true" },
		{ "grpc-timeout", "2500m" }, { NULL, NULL },
	};
	struct answer *a = peer_request(f->p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));

	peer_run(f->p);
	assert_int_equal(grpc_due(&f->p->g), f->api.now + 2500 * NS_PER_MS);
	f->api.now += 2499 * NS_PER_MS;
	grpc_expire(&f->p->g);
	peer_run(f->p);
	assert_false(a->closed);
	f->api.now += NS_PER_MS;
	grpc_expire(&f->p->g);
	peer_run(f->p);
	x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
	assert_failed(a, GRPC_DEADLINE_EXCEEDED, "deadline exceeded");
	assert_int_equal(grpc_due(&f->p->g), UINT64_MAX);
}

static void wrong_http_is_answered_as_http(void **state)
{
	struct fixture *f = *state;
	const struct fields get[] = {
		{ ":method", "GET" }, { ":scheme", "http" }, { ":path", SVID }, { NULL, NULL },
	};
	const struct fields json[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", SVID },
		{ "content-type", "application/json" }, { NULL, NULL },
	};
	struct answer *a = peer_request(f->p, get, slice_of("", 0));
	struct answer *b = peer_request(f->p, json, slice_of("", 0));

	peer_run(f->p);
	assert_int_equal(a->http, 405);
	assert_int_equal(b->http, 415);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		T(fetch_gives_the_whole_state_and_stays_open),
		T(every_cut_of_the_bytes_gives_the_same_answer),
		T(change_is_pushed_once_and_equal_bytes_never),
		T(bundles_hold_the_own_trust_domain),
		T(no_identity_is_permission_denied),
		T(requests_wait_for_the_first_set_but_not_for_ever),
		T(state_error_ends_streams_and_new_requests),
		T(expired_svids_are_not_sent),
		T(end_of_connection_is_trailers_then_goaway),
		T(security_header_is_needed_exactly_once),
		T(security_header_is_checked_before_the_caller),
		T(unimplemented_methods_say_so),
		T(whoami_needs_neither_identity_nor_header),
		T(whoami_ends_with_unavailable_when_the_identity_is_withdrawn),
		T(health_follows_the_state),
		T(authority_is_never_looked_at),
		T(broken_request_bodies_are_refused),
		T(largest_request_is_taken_and_one_byte_more_is_not),
		T(deadlines_are_kept),
		T(wrong_http_is_answered_as_http),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
