// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c tests/lib/jose.c */
/*
 * front_validate_test.c - ValidateJWTSVID in the real svid-front, in its cage: JSON is parsed there, svid-keys (here: the test)
 * checks signatures, answers late, wrongly, or never. And tools may ask what is served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/base/pb.h"
#include "tests/lib/front_rig.h"
#include "tests/lib/jose.h"

#define METHOD "/SpiffeWorkloadAPI/ValidateJWTSVID"
#define HEADER "{\"alg\":\"ES256\",\"kid\":\"own\"}"
#define CLAIMS_START "{\"sub\":\"spiffe://td.test/w\",\"aud\":\"a\",\"exp\":4102444800,\"pad\":\""

/* A token with @pad bytes of ballast in its claims. */
static void put_token(struct buf *b, size_t pad)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_JWT);

	buf_put_str(&claims, CLAIMS_START);
	for (size_t i = 0; i < pad; i++)
		buf_put_u8(&claims, 'x');
	buf_put_str(&claims, "\"}");
	jose_token(b, HEADER, buf_cstr(&claims), slice_str("signature"));
}

static int call(struct rig *r, uint64_t number, size_t pad)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	AUTO(buf) struct buf m = BUF_INIT(LIM_JWT);
	int fd = rig_connect(r, number, getpid());

	put_token(&token, pad);
	pb_put(&m, 1, slice_str("a"));
	pb_put(&m, 2, buf_slice(&token));
	rig_call(fd, METHOD, buf_slice(&m));
	return fd;
}

static void expect_question(struct rig *r, size_t pad, struct msg_FK_VERIFY *ret_m)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	struct chan_msg m;

	put_token(&token, pad);
	rig_receive(r, r->keys, MSG_FK_VERIFY, &m);
	assert_int_equal(msg_get_FK_VERIFY(m.body, ret_m), 0);
	assert_int_equal(ret_m->alg, JWT_ES256);
	assert_int_equal(ret_m->curve, CURVE_P256);
	assert_true(slice_eq_str(ret_m->signature, "signature"));
	assert_true(slice_starts(buf_slice(&token), ret_m->input));
	ipc_msg_done(&m);
}

static void say(struct rig *r, uint32_t order, int err)
{
	assert_int_equal(ipc_put(r->keys, FK_VERIFIED, 0, .order = order, .err = err), 0);
}

static void expect_status(int fd, int status, size_t messages)
{
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, SIZE_MAX);
	assert_int_equal(s.grpc_status, status);
	assert_int_equal(s.messages, messages);
	seen_done(&s);
	close(fd);
}

static int start(void **state)
{
	static struct rig r;

	rig_start(&r);
	rig_serve(&r, 1, 1);
	*state = &r;
	return 0;
}

static int stop(void **state)
{
	rig_stop(*state);
	return 0;
}

/* The second one is larger than a datagram between programs: it travels as a sealed memfd. */
static void tokens_of_any_size_are_checked(void **state)
{
	static const size_t pads[] = { 0, 40000 };
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(pads) / sizeof(pads[0]); i++) {
		struct msg_FK_VERIFY m;
		int fd = call(r, i + 1, pads[i]);

		expect_question(r, pads[i], &m);
		say(r, m.order, 0);
		expect_status(fd, GRPC_OK, 1);
	}
}

static void a_bad_signature_is_an_invalid_argument(void **state)
{
	struct rig *r = *state;
	struct msg_FK_VERIFY m;
	int fd = call(r, 1, 0);

	expect_question(r, 0, &m);
	say(r, m.order, -ERR_SIGNATURE);
	expect_status(fd, GRPC_INVALID_ARGUMENT, 0);
}

/* A client that left is nobody's answer, and the next one is served. */
static void answers_after_the_client_left_harm_nobody(void **state)
{
	struct rig *r = *state;
	struct msg_FR_CLOSED closed;
	struct msg_FK_VERIFY m;
	struct chan_msg msg;
	int fd = call(r, 1, 0);

	expect_question(r, 0, &m);
	close(fd);
	rig_receive(r, r->core, MSG_FR_CLOSED, &msg);
	assert_int_equal(msg_get_FR_CLOSED(msg.body, &closed), 0);
	say(r, m.order, 0);
	say(r, m.order, 0);
	fd = call(r, 2, 0);
	expect_question(r, 0, &m);
	say(r, m.order, 0);
	expect_status(fd, GRPC_OK, 1);
}

/* Keys that answer what nobody asked are not svid-keys any more: without them there is nothing to be checked. */
static void an_answer_to_nothing_ends_the_channel(void **state)
{
	struct rig *r = *state;
	int fd;

	say(r, 7, 0);
	rig_closed(r->keys);
	fd = call(r, 1, 0);
	expect_status(fd, GRPC_UNAVAILABLE, 0);
}

static void keys_that_end_leave_nobody_waiting(void **state)
{
	struct rig *r = *state;
	struct msg_FK_VERIFY m;
	int fd = call(r, 1, 0);

	expect_question(r, 0, &m);
	close(r->keys);
	r->keys = -1;
	expect_status(fd, GRPC_UNAVAILABLE, 0);
}

static void tools_may_ask_what_is_served(void **state)
{
	static const char *const paths[] = { "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
					     "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo" };
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		int fd = rig_connect(r, i + 1, getpid());

		rig_call(fd, paths[i], slice_of("\x3a\0", 2)); /* list_services */
		expect_status(fd, GRPC_OK, 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(tokens_of_any_size_are_checked),
		TEST(a_bad_signature_is_an_invalid_argument),
		TEST(answers_after_the_client_left_harm_nobody),
		TEST(an_answer_to_nothing_ends_the_channel),
		TEST(keys_that_end_leave_nobody_waiting),
		TEST(tools_may_ask_what_is_served),
	};

	return cmocka_run_group_tests_name("front_validate", tests, NULL, NULL);
}
