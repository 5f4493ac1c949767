// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c */
/* grpc_flow_test.c - a real HTTP/2 client session against the front's engine: windows, slow readers, stream counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "tests/lib/call_fixture.h"

/* A window of one byte at a time: every byte arrives, in order, and nothing is lost or doubled. */
static void tiny_windows_deliver_everything(void **state)
{
	const nghttp2_settings_entry tiny = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 };
	struct fixture *f = *state;
	struct answer *a;

	assert_int_equal(nghttp2_submit_settings(f->p->session, 0, &tiny, 1), 0);
	a = peer_call(f->p, SVID);
	peer_run(f->p);
	x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
}

/* The chain's filling says which version a message is of. */
static unsigned int version_of(struct slice message)
{
	X509SVIDResponse *r = x509_svidresponse__unpack(NULL, message.len, message.p);
	unsigned int version;

	assert_non_null(r);
	version = r->svids[0]->x509_svid.data[10];
	x509_svidresponse__free_unpacked(r, NULL);
	return version;
}

static void stalled_reader_gets_the_old_message_whole_then_the_newest(void **state)
{
	const nghttp2_settings_entry window = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100 };
	struct fixture *f = *state;
	struct peer *p = peer_new(&f->api, true);
	struct answer *a;
	struct slice s, last = slice_of(NULL, 0);

	assert_int_equal(nghttp2_submit_settings(p->session, 0, &window, 1), 0);
	peer_run(p);
	a = peer_call(p, SVID);
	peer_run(p);
	assert_int_equal(a->body.len, 100);
	assert_true(grpc_stuck(&p->g));
	for (uint64_t v = 2; v < 6; v++) {
		test_api_serve(&f->api, v, 2, 200);
		peer_run(p);
	}
	assert_int_equal(a->body.len, 100);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(nghttp2_submit_window_update(p->session, 0, peer_id(p, a), 100), 0);
		peer_run(p);
	}
	assert_int_equal(messages(a, &last), 2);
	assert_int_equal(version_of(last), 5);
	s = slice_of(a->body.data + 1, a->body.len - 1);
	assert_int_equal(version_of(slice_get_bytes(&s, slice_get_be32(&s))), 1);
	assert_false(grpc_stuck(&p->g));
	peer_free(p);
}

/* Trailers must not cut a message that is partly sent. */
static void end_waits_for_the_message_that_is_on_its_way(void **state)
{
	const nghttp2_settings_entry window = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100 };
	struct fixture *f = *state;
	struct peer *p = peer_new(&f->api, true);
	struct answer *a;

	assert_int_equal(nghttp2_submit_settings(p->session, 0, &window, 1), 0);
	peer_run(p);
	a = peer_call(p, SVID);
	peer_run(p);
	grpc_end(&p->g, -ERR_DRAIN);
	peer_run(p);
	assert_int_equal(a->grpc, -1);
	assert_int_equal(nghttp2_submit_window_update(p->session, 0, peer_id(p, a), 10000), 0);
	peer_run(p);
	assert_int_equal(a->grpc, GRPC_UNAVAILABLE);
	assert_false(a->data_after_trailers);
	x509_svidresponse__free_unpacked(last_svids(a, 1), NULL);
	peer_free(p);
}

static void cancelled_streams_leave_nothing(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 60; i++) {
		struct answer *a = peer_call(f->p, SVID);

		peer_run(f->p);
		assert_int_equal(nghttp2_submit_rst_stream(f->p->session, 0, peer_id(f->p, a), NGHTTP2_CANCEL), 0);
		peer_run(f->p);
		assert_int_equal(f->p->g.h2.n_streams, 0);
	}
	assert_int_equal(f->p->g.requests, 60);
}

static void more_streams_than_allowed_are_refused_not_served(void **state)
{
	struct fixture *f = *state;
	struct answer *a = NULL;

	for (int i = 0; i < LIM_STREAMS + 5; i++)
		a = peer_call(f->p, SVID);
	peer_run(f->p);
	assert_int_equal(f->p->g.h2.n_streams, LIM_STREAMS);
	assert_int_equal(a->http, 0); /* waits in the client, which knows our limit, or was refused */
	assert_int_equal(f->p->goaway, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)
		T(tiny_windows_deliver_everything),
		T(stalled_reader_gets_the_old_message_whole_then_the_newest),
		T(end_waits_for_the_message_that_is_on_its_way),
		T(cancelled_streams_leave_nothing),
		T(more_streams_than_allowed_are_refused_not_served),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
