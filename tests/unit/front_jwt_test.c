// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/call_fixture.c */
/* front_jwt_test.c - FetchJWTSVID: what is asked, ordered, remembered, and forgotten. The test is svid-core and svid-keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/pb.h"
#include "tests/lib/call_fixture.h"

#define FETCH "/SpiffeWorkloadAPI/FetchJWTSVID"
#define LIFE 300 /* seconds */

/* "a,b" become two audiences; @id may be NULL. */
static struct answer *fetch_on(struct peer *p, const char *audiences, const char *id)
{
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);

	while (audiences && *audiences) {
		size_t n = strcspn(audiences, ",");

		pb_put(&b, 1, slice_of(audiences, n));
		audiences += n + (audiences[n] == ',');
	}
	pb_put(&b, 2, slice_str(id));
	return peer_send(p, FETCH, buf_slice(&b));
}

static struct answer *fetch(struct fixture *f, const char *audiences, const char *id)
{
	struct answer *a = fetch_on(f->p, audiences, id);

	peer_run(f->p);
	return a;
}

/* "id=token#hint id=token#hint" of the one message. */
static const char *tokens_of(const struct answer *a)
{
	static char text[4096];
	struct slice last = slice_of(NULL, 0);
	JWTSVIDResponse *r;
	size_t len = 0;

	assert_int_equal(a->grpc, GRPC_OK);
	assert_int_equal(messages(a, &last), 1);
	r = jwtsvidresponse__unpack(NULL, last.len, last.p);
	assert_non_null(r);
	text[0] = 0;
	for (size_t i = 0; i < r->n_svids; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%s#%s", i ? " " : "",
					r->svids[i]->spiffe_id + strlen("spiffe://td.test/"), r->svids[i]->svid,
					r->svids[i]->hint);
	jwtsvidresponse__free_unpacked(r, NULL);
	return text;
}

static void sign_all(struct fixture *f, size_t from)
{
	for (size_t i = from; i < f->n_orders; i++)
		fixture_sign(f, &f->orders[i], LIFE);
	peer_run(f->p);
}

static void refuse(struct fixture *f, size_t i, int err)
{
	assert_int_equal(tokens_refuse(&f->api, f->orders[i].order, err), 0);
	peer_run(f->p);
}

static void requests_that_no_token_can_answer_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int status;
		const char *text;
	} cases[] = {
		{ "", 0, GRPC_INVALID_ARGUMENT, "audience must be specified" }, /* nothing */
		{ "\x0a\0", 2, GRPC_INVALID_ARGUMENT, "audience must be specified" }, /* empty audience */
		{ "\x0a\1a\x0a\0", 5, GRPC_INVALID_ARGUMENT, "audience must be specified" }, /* one of two empty */
		{ "\x0a\1\xff", 3, GRPC_INVALID_ARGUMENT, "audience is not UTF-8 text" }, /* not UTF-8 */
		{ "\x0a\3a\0b", 5, GRPC_INVALID_ARGUMENT, "audience is not UTF-8 text" }, /* NUL */
		{ "\x0a\5ab", 4, GRPC_INVALID_ARGUMENT, "request cannot be parsed" }, /* cut */
		{ "\x0b\x0a\1a\x0c", 5, GRPC_INVALID_ARGUMENT, "request cannot be parsed" }, /* group */
		{ "\x0a\1a\x12\1x", 6, GRPC_INVALID_ARGUMENT, "requested SPIFFE ID is not valid" }, /* no SPIFFE ID */
		{ "\x0a\1a\x12\x0cspiffe://T/w", 17, GRPC_INVALID_ARGUMENT, "requested SPIFFE ID is not valid" }, /* upper case */
		{ "\x0a\1a\x12\x0cspiffe://t/w", 17, GRPC_PERMISSION_DENIED, "no identity issued" }, /* not entitled */
		{ "\x0a\1a\x12\x10spiffe://td.test", 21, GRPC_PERMISSION_DENIED, "no identity issued" }, /* trust domain */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer *a = peer_send(f->p, FETCH, slice_of(cases[i].bytes, cases[i].len));

		peer_run(f->p);
		assert_failed(a, cases[i].status, cases[i].text);
	}
	assert_int_equal(f->n_orders, 0);
}

static void audiences_have_limits(void **state)
{
	AUTO(buf) struct buf many = BUF_INIT(1u << 20);
	static char text[LIM_AUDIENCE + 2];
	struct fixture *f = *state;
	struct answer *a;

	memset(text, 'a', LIM_AUDIENCE + 1);
	assert_failed(fetch(f, text, NULL), GRPC_INVALID_ARGUMENT, "audience is longer than its limit");
	text[LIM_AUDIENCE] = 0;
	a = fetch(f, text, "spiffe://td.test/w0");
	sign_all(f, 0);
	assert_string_equal(tokens_of(a), "w0=o1.1.s#");
	for (int i = 0; i <= LIM_AUDIENCES; i++) {
		if (i == LIM_AUDIENCES) { /* the last one fits */
			a = fetch(f, buf_cstr(&many), "spiffe://td.test/w0");
			assert_int_equal(f->n_orders, 2);
			sign_all(f, 1);
			assert_string_equal(tokens_of(a), "w0=o2.1.s#");
		}
		buf_printf(&many, "%saud%d", i ? "," : "", i);
	}
	assert_failed(fetch(f, buf_cstr(&many), NULL), GRPC_INVALID_ARGUMENT, "too many audiences");
}

static void all_identities_come_in_order_with_their_hints(void **state)
{
	const struct test_set set = { .version = 2, .n = 3, .der_bytes = 100, .hints = true };
	struct fixture *f = *state;
	struct answer *a;

	test_api_set(&f->api, &set);
	a = fetch(f, "x", NULL);
	assert_int_equal(f->n_orders, 3);
	assert_int_equal(a->http, 0);
	fixture_sign(f, &f->orders[2], LIFE); /* whatever order they come in */
	fixture_sign(f, &f->orders[0], LIFE);
	fixture_sign(f, &f->orders[1], LIFE);
	assert_int_equal(f->pushed, 1);
	peer_run(f->p);
	assert_string_equal(tokens_of(a), "w0=o1.1.s#h0 w1=o2.2.s#h1 w2=o3.3.s#h2");
	a = fetch(f, "x", NULL);
	assert_string_equal(tokens_of(a), "w0=o1.1.s#h0 w1=o2.2.s#h1 w2=o3.3.s#h2");
	assert_string_equal(tokens_of(fetch(f, "x", "spiffe://td.test/w1")), "w1=o2.2.s#h1");
	assert_int_equal(f->n_orders, 3);
}

static void order_and_doubles_of_audiences_do_not_matter(void **state)
{
	static const char *const same[] = { "b,a,c", "c,b,a", "a,a,b,c,b", "c,c,a,b" };
	struct fixture *f = *state;

	fetch(f, "a,b,c", "spiffe://td.test/w0");
	assert_string_equal(f->orders[0].audiences, "a,b,c");
	sign_all(f, 0);
	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		assert_string_equal(tokens_of(fetch(f, same[i], "spiffe://td.test/w0")), "w0=o1.1.s#");
	fetch(f, "c,b,a,b", "spiffe://td.test/w1");
	assert_string_equal(f->orders[1].audiences, "a,b,c");
	fetch(f, "a,b", "spiffe://td.test/w0");
	fetch(f, "ab,c", "spiffe://td.test/w0");
	fetch(f, "a,bc", "spiffe://td.test/w0");
	assert_int_equal(f->n_orders, 5);
}

static void remembered_for_half_of_its_life(void **state)
{
	struct fixture *f = *state;
	uint64_t start = f->api.now;

	fetch(f, "x", "spiffe://td.test/w0");
	sign_all(f, 0);
	f->api.now = start + LIFE / 2 * NS_PER_S - 1;
	assert_string_equal(tokens_of(fetch(f, "x", "spiffe://td.test/w0")), "w0=o1.1.s#");
	f->api.now++;
	fetch(f, "x", "spiffe://td.test/w0");
	assert_int_equal(f->n_orders, 2);
	sign_all(f, 1);
	assert_string_equal(tokens_of(fetch(f, "x", "spiffe://td.test/w0")), "w0=o2.1.s#");
	assert_int_equal(f->n_orders, 2);
}

/* The joined answer lives as long as the part that ends first. */
static void joined_answer_ends_with_its_first_part(void **state)
{
	struct fixture *f = *state;

	fetch(f, "x", NULL);
	fixture_sign(f, &f->orders[0], LIFE);
	fixture_sign(f, &f->orders[1], LIFE / 3);
	f->api.now += LIFE / 6 * NS_PER_S;
	fetch(f, "x", NULL);
	assert_int_equal(f->n_orders, 3);
	assert_int_equal(f->orders[2].identity, 2);
}

static void one_order_however_many_wait(void **state)
{
	struct fixture *f = *state;
	struct peer *other = peer_new(&f->api, false);
	struct answer *a = fetch(f, "x", "spiffe://td.test/w0"), *b = fetch(f, "x", "spiffe://td.test/w0");
	struct answer *c = fetch_on(other, "x", NULL);

	peer_run(other);
	assert_int_equal(f->n_orders, 2);
	sign_all(f, 0);
	peer_run(other);
	assert_string_equal(tokens_of(a), "w0=o1.1.s#");
	assert_string_equal(tokens_of(b), "w0=o1.1.s#");
	assert_string_equal(tokens_of(c), "w0=o1.1.s# w1=o2.2.s#");
	assert_int_equal(f->pushed, 3);
	peer_free(other);
}

static void identities_that_may_not_have_the_audience_are_left_out(void **state)
{
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", NULL), *one;

	refuse(f, 0, -ERR_AUDIENCE);
	sign_all(f, 1);
	assert_string_equal(tokens_of(a), "w1=o2.2.s#");
	one = fetch(f, "x", "spiffe://td.test/w0");
	refuse(f, 2, -ERR_AUDIENCE);
	assert_failed(one, GRPC_PERMISSION_DENIED, "audience not allowed for this identity");
	a = fetch(f, "y", NULL);
	refuse(f, 3, -ERR_AUDIENCE);
	refuse(f, 4, -ERR_AUDIENCE);
	assert_failed(a, GRPC_PERMISSION_DENIED, "audience not allowed for this identity");
}

static void other_refusals_fail_the_call(void **state)
{
	static const struct {
		int err, status;
		const char *text;
	} cases[] = {
		{ -ERR_RATE, GRPC_UNAVAILABLE, "rate limit exceeded" },
		{ -ERR_CRYPTO, GRPC_UNAVAILABLE, "agent is not ready" },
		{ -ERR_CLOCK, GRPC_UNAVAILABLE, "the clock is behind the last signature" },
		{ -ERR_NO_IDENTITY, GRPC_PERMISSION_DENIED, "no identity issued" },
		{ -5, GRPC_UNAVAILABLE, "agent is not ready" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer *a = fetch(f, "x", NULL);
		size_t n = f->n_orders;

		/* From svid-core the first, from svid-keys the other: w1 is remembered from the first turn on. */
		refuse(f, i ? n - 1 : 0, cases[i].err);
		if (!i)
			sign_all(f, 1);
		assert_failed(a, cases[i].status, cases[i].text);
	}
	assert_int_equal(f->n_orders, 1 + ARRAY_SIZE(cases));
}

static void what_cannot_be_ordered_is_unavailable_at_once(void **state)
{
	struct fixture *f = *state;

	f->refuse = -ERR_NOT_READY;
	assert_failed(fetch(f, "x", NULL), GRPC_UNAVAILABLE, "agent is not ready");
	f->refuse = 0;
	sign_all(f, 0);
	fetch(f, "x", "spiffe://td.test/w0");
	assert_int_equal(f->n_orders, 1);
}

static void open_orders_are_bounded(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (int i = 0; i < LIM_JWT_ORDERS; i++) {
		snprintf(name, sizeof(name), "aud%d", i);
		fetch(f, name, "spiffe://td.test/w0");
	}
	assert_int_equal(f->n_orders, LIM_JWT_ORDERS);
	assert_failed(fetch(f, "more", "spiffe://td.test/w0"), GRPC_UNAVAILABLE, "rate limit exceeded");
	fetch(f, "aud7", "spiffe://td.test/w0"); /* ordered already */
	assert_int_equal(f->n_orders, LIM_JWT_ORDERS);
	fixture_sign(f, &f->orders[7], LIFE);
	fetch(f, "more", "spiffe://td.test/w0");
	assert_int_equal(f->n_orders, LIM_JWT_ORDERS + 1);
}

static void no_answer_in_time_is_unavailable_and_a_late_one_is_no_fault(void **state)
{
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", "spiffe://td.test/w0"), *b;

	assert_int_equal(grpc_due(&f->p->g), f->api.now + LIM_JWT_WAIT_MS * NS_PER_MS);
	f->api.now += LIM_JWT_WAIT_MS * NS_PER_MS;
	grpc_expire(&f->p->g);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
	b = fetch(f, "x", "spiffe://td.test/w0"); /* the first order is lost: another one */
	assert_int_equal(f->n_orders, 2);
	fixture_sign(f, &f->orders[0], LIFE);
	peer_run(f->p);
	assert_int_equal(b->http, 0);
	fixture_sign(f, &f->orders[1], LIFE);
	peer_run(f->p);
	assert_string_equal(tokens_of(b), "w0=o2.1.s#");
}

static void cancelled_calls_wait_no_more(void **state)
{
	struct fixture *f = *state;
	struct peer *other = peer_new(&f->api, false);
	struct answer *a = fetch(f, "x", NULL);

	assert_int_equal(nghttp2_submit_rst_stream(f->p->session, 0, peer_id(f->p, a), NGHTTP2_CANCEL), 0);
	peer_run(f->p);
	assert_int_equal(f->p->g.h2.n_streams, 0);
	fetch_on(other, "x", NULL);
	peer_run(other);
	assert_int_equal(f->n_orders, 2);
	peer_free(other); /* the connection is gone while it waits */
	sign_all(f, 0);
	assert_int_equal(f->pushed, 0);
	assert_string_equal(tokens_of(fetch(f, "x", NULL)), "w0=o1.1.s# w1=o2.2.s#");
}

static void end_of_the_connection_ends_the_wait(void **state)
{
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", "spiffe://td.test/w0");

	grpc_end(&f->p->g, -ERR_CHANGED);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "the caller changed after it connected");
	sign_all(f, 0);
	assert_int_equal(f->pushed, 0);
}

static void state_error_ends_waits_and_refuses(void **state)
{
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", "spiffe://td.test/w0");

	api_set_state(&f->api, -ERR_EVIDENCE);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "kernel evidence is not whole");
	sign_all(f, 0);
	assert_failed(fetch(f, "x", "spiffe://td.test/w0"), GRPC_UNAVAILABLE, "kernel evidence is not whole");
	api_set_state(&f->api, 0);
	assert_string_equal(tokens_of(fetch(f, "x", "spiffe://td.test/w0")), "w0=o1.1.s#");
}

static void request_waits_for_the_first_set_but_not_for_ever(void **state)
{
	struct fixture *f = *state;
	struct answer *a, *b;

	api_done(&f->api);
	assert_int_equal(api_init(&f->api), 0);
	f->api.now = 50 * NS_PER_S;
	a = fetch(f, "x", NULL);
	assert_int_equal(a->http, 0);
	f->api.now += LIM_SET_WAIT_MS * NS_PER_MS;
	b = fetch(f, "x", "");
	assert_int_equal(grpc_due(&f->p->g), f->api.now);
	grpc_expire(&f->p->g);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
	test_api_serve(&f->api, 1, 0, 100);
	peer_run(f->p);
	assert_failed(b, GRPC_PERMISSION_DENIED, "no identity issued");
}

static void request_waits_for_the_first_keys_of_a_new_authority(void **state)
{
	struct test_set set = { .version = 2, .n = 1, .der_bytes = 100, .no_jwks = true };
	struct fixture *f = *state;
	const struct api_ops *ops = f->api.ops;
	struct answer *a, *b;

	api_done(&f->api);
	assert_int_equal(api_init(&f->api), 0);
	f->api.ops = ops;
	test_api_set(&f->api, &set);
	a = fetch(f, "x", NULL);
	b = fetch(f, NULL, NULL);
	assert_int_equal(a->http, 0);
	assert_int_equal(f->n_orders, 0);
	assert_failed(b, GRPC_INVALID_ARGUMENT, "audience must be specified");
	set = (struct test_set){ .version = 3, .n = 1, .der_bytes = 100 };
	test_api_set(&f->api, &set);
	peer_run(f->p);
	assert_int_equal(f->n_orders, 1);
	sign_all(f, 0);
	assert_int_equal(a->grpc, GRPC_OK);
}

static void identity_that_leaves_takes_its_tokens_along(void **state)
{
	const struct test_set later = { .version = 2, .n = 2, .first = 1, .der_bytes = 100 };
	struct fixture *f = *state;
	struct answer *a, *b;

	fetch(f, "x", NULL);
	sign_all(f, 0);
	a = fetch(f, "y", "spiffe://td.test/w0");
	b = fetch(f, "y", "spiffe://td.test/w1");
	test_api_set(&f->api, &later); /* w0 is gone, w2 is new */
	assert_int_equal(f->pushed, 2);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "the identities of the caller changed");
	assert_int_equal(b->http, 0);
	sign_all(f, 2);
	assert_string_equal(tokens_of(b), "w1=o4.2.s#");
	assert_failed(fetch(f, "x", "spiffe://td.test/w0"), GRPC_PERMISSION_DENIED, "no identity issued");
	assert_string_equal(tokens_of(fetch(f, "x", "spiffe://td.test/w1")), "w1=o2.2.s#");
	a = fetch(f, "x", NULL);
	assert_int_equal(f->n_orders, 5);
	sign_all(f, 4);
	assert_string_equal(tokens_of(a), "w1=o2.2.s# w2=o5.3.s#");
}

/* One part was there already when its identity changed: nobody gets it any more, now or out of the cache. */
static void what_was_signed_before_a_change_is_not_joined_after_it(void **state)
{
	const struct test_set later = { .version = 2, .n = 2, .first = 1, .der_bytes = 100 };
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", NULL);

	fixture_sign(f, &f->orders[0], LIFE);
	test_api_set(&f->api, &later); /* w0 is gone, w2 is new */
	fixture_sign(f, &f->orders[1], LIFE);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "the identities of the caller changed");
	a = fetch(f, "x", NULL);
	sign_all(f, 2);
	assert_string_equal(tokens_of(a), "w1=o2.2.s# w2=o3.3.s#");
}

/* A rotation of the X.509-SVIDs is no reason to sign all tokens again. */
static void same_identities_keep_their_tokens(void **state)
{
	struct fixture *f = *state;

	fetch(f, "x", NULL);
	sign_all(f, 0);
	test_api_serve(&f->api, 2, 2, 200);
	assert_string_equal(tokens_of(fetch(f, "x", NULL)), "w0=o1.1.s# w1=o2.2.s#");
	assert_int_equal(f->n_orders, 2);
}

static void cache_is_bounded_and_forgets_what_was_not_used_for_longest(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (int i = 0; i <= LIM_JWT_CACHE; i++) {
		struct peer *p = peer_new(&f->api, false); /* a session of the test has few streams */

		snprintf(name, sizeof(name), "aud%d", i);
		fetch_on(p, name, "spiffe://td.test/w0");
		peer_run(p);
		fixture_sign(f, &f->orders[f->n_orders - 1], LIFE);
		if (i == LIM_JWT_CACHE - 1) {
			fetch_on(p, "aud0", "spiffe://td.test/w0");
			peer_run(p);
		}
		peer_free(p);
	}
	assert_int_equal(f->n_orders, LIM_JWT_CACHE + 1);
	assert_int_equal(f->api.tokens.n_ready, LIM_JWT_CACHE);
	assert_string_equal(tokens_of(fetch(f, "aud0", "spiffe://td.test/w0")), "w0=o1.1.s#");
	fetch(f, "aud1", "spiffe://td.test/w0");
	assert_int_equal(f->n_orders, LIM_JWT_CACHE + 2);
}

static void large_tokens_are_remembered_up_to_a_number_of_bytes(void **state)
{
	static uint8_t large[LIM_JWT];
	struct fixture *f = *state;
	int64_t now = clock_wall_s();
	char name[16];

	memset(large, 'a', sizeof(large));
	large[10] = large[20] = '.';
	for (int i = 0; i < 300; i++) {
		struct peer *p = peer_new(&f->api, false);
		struct msg_FK_JWT m = { .issued_at = now, .not_after = now + LIFE, .token = slice_of(large, sizeof(large)) };

		snprintf(name, sizeof(name), "aud%d", i);
		fetch_on(p, name, "spiffe://td.test/w0");
		peer_run(p);
		m.order = f->orders[i].order;
		assert_int_equal(tokens_answer(&f->api, &m), 0);
		peer_free(p);
	}
	assert_in_range(f->api.tokens.bytes, LIM_JWT_CACHE_BYTES - 2 * LIM_JWT, LIM_JWT_CACHE_BYTES);
}

static void broken_answers_condemn_who_sent_them(void **state)
{
	static const char *const tokens[] = { "", "a", "a.b", "a.b.c.d", "a.b c.d", "a.b=.c", "a.b\n.c", "a.\xff.c" };
	struct fixture *f = *state;
	int64_t now = clock_wall_s();
	struct msg_FK_JWT m = { .order = 1, .issued_at = now, .not_after = now + LIFE, .token = slice_str("a.b.c") };
	struct answer *a;

	assert_int_equal(tokens_answer(&f->api, &m), -ERR_PERMIT); /* nothing was ordered */
	assert_int_equal(tokens_refuse(&f->api, 1, -ERR_RATE), -ERR_PERMIT);
	a = fetch(f, "x", "spiffe://td.test/w0");
	m.order = 0;
	assert_int_equal(tokens_answer(&f->api, &m), -ERR_PERMIT);
	m.order = 2;
	assert_int_equal(tokens_answer(&f->api, &m), -ERR_PERMIT);
	m.order = 1;
	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		m.token = slice_str(tokens[i]);
		assert_int_equal(tokens_answer(&f->api, &m), -ERR_FORMAT);
	}
	m.token = slice_str("a.b.c");
	m.not_after = now;
	assert_int_equal(tokens_answer(&f->api, &m), -ERR_FORMAT);
	m.not_after = now + LIM_JWT_TTL_S + 1;
	assert_int_equal(tokens_answer(&f->api, &m), -ERR_FORMAT);
	assert_int_equal(tokens_refuse(&f->api, 1, 0), -ERR_FORMAT);
	assert_int_equal(a->http, 0);
	fixture_sign(f, &f->orders[0], LIFE);
	fixture_sign(f, &f->orders[0], LIFE); /* as late as an answer can be */
	peer_run(f->p);
	assert_string_equal(tokens_of(a), "w0=o1.1.s#");
}

static void without_keys_everybody_who_waits_hears_it(void **state)
{
	struct fixture *f = *state;
	struct answer *a = fetch(f, "x", NULL), *b = fetch(f, "y", "spiffe://td.test/w1");

	tokens_fail(&f->api, -ERR_NOT_READY);
	peer_run(f->p);
	assert_failed(a, GRPC_UNAVAILABLE, "agent is not ready");
	assert_failed(b, GRPC_UNAVAILABLE, "agent is not ready");
	assert_int_equal(f->api.tokens.n_open, 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(requests_that_no_token_can_answer_are_refused),
		T(audiences_have_limits),
		T(all_identities_come_in_order_with_their_hints),
		T(order_and_doubles_of_audiences_do_not_matter),
		T(remembered_for_half_of_its_life),
		T(joined_answer_ends_with_its_first_part),
		T(one_order_however_many_wait),
		T(identities_that_may_not_have_the_audience_are_left_out),
		T(other_refusals_fail_the_call),
		T(what_cannot_be_ordered_is_unavailable_at_once),
		T(open_orders_are_bounded),
		T(no_answer_in_time_is_unavailable_and_a_late_one_is_no_fault),
		T(cancelled_calls_wait_no_more),
		T(end_of_the_connection_ends_the_wait),
		T(state_error_ends_waits_and_refuses),
		T(request_waits_for_the_first_set_but_not_for_ever),
		T(request_waits_for_the_first_keys_of_a_new_authority),
		T(identity_that_leaves_takes_its_tokens_along),
		T(same_identities_keep_their_tokens),
		T(what_was_signed_before_a_change_is_not_joined_after_it),
		T(cache_is_bounded_and_forgets_what_was_not_used_for_longest),
		T(large_tokens_are_remembered_up_to_a_number_of_bytes),
		T(broken_answers_condemn_who_sent_them),
		T(without_keys_everybody_who_waits_hears_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
