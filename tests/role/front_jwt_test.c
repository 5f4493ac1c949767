// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/* front_jwt_test.c - orders of JWT-SVIDs through the real svid-front, seccomp on, and keys of WIT-SVIDs. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/base/pb.h"
#include "agent/ipc/lists.h"
#include "tests/lib/front_rig.h"

#define FETCH "/SpiffeWorkloadAPI/FetchJWTSVID"
#define WIT "/SpiffeWorkloadAPI/FetchWITSVID"

static int fetch(struct rig *r, uint64_t conn, const char *audience)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	int fd = rig_connect(r, conn, getpid());

	pb_put(&b, 1, slice_str(audience));
	rig_call(fd, FETCH, buf_slice(&b));
	return fd;
}

static struct msg_FR_JWT expect_order(struct rig *r, uint64_t conn, uint32_t identity, const char *audience)
{
	struct msg_FR_JWT o;
	struct chan_msg m;
	struct slice list;

	rig_receive(r, r->core, MSG_FR_JWT, &m);
	assert_int_equal(msg_get_FR_JWT(m.body, &o), 0);
	assert_int_equal(o.conn, conn);
	assert_int_equal(o.identity, identity);
	list = o.audiences;
	assert_true(slice_eq_str(list_get_str(&list, LIM_AUDIENCE), audience));
	assert_int_equal(list.len, 0);
	return o;
}

static int sign(struct rig *r, uint32_t order, const char *token)
{
	int64_t now = clock_wall_s();

	return ipc_put(r->keys, FK_JWT, 0, .order = order, .issued_at = now, .not_after = now + 300,
		       .token = slice_str(token));
}

static void expect_status(int fd, int status)
{
	struct seen s;

	seen_init(&s);
	seen_read(&s, fd, SIZE_MAX);
	assert_int_equal(s.grpc_status, status);
	assert_int_equal(s.messages, status == GRPC_OK);
	seen_done(&s);
	close(fd);
}

static void silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 50), 0);
}

static void order_goes_to_core_and_its_token_to_everybody_who_waits(void **state)
{
	struct msg_FR_JWT o;
	struct rig r;
	int a, b;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	a = fetch(&r, 1, "x");
	o = expect_order(&r, 1, 1, "x");
	b = fetch(&r, 2, "x");
	usleep(20000);
	silent(r.core); /* one order */
	assert_int_equal(sign(&r, o.order, "a.b.c"), 0);
	expect_status(a, GRPC_OK);
	expect_status(b, GRPC_OK);
	rig_expect_closed(&r, 1, 0);
	rig_expect_closed(&r, 2, 0);
	a = fetch(&r, 3, "x");
	expect_status(a, GRPC_OK);
	rig_expect_closed(&r, 3, 0);
	silent(r.core);
	rig_stop(&r);
}

static void refusal_of_core_is_the_answer(void **state)
{
	struct msg_FR_JWT o;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	fd = fetch(&r, 1, "x");
	o = expect_order(&r, 1, 1, "x");
	assert_int_equal(ipc_put(r.core, F_NOJWT, 0, .order = o.order, .err = -ERR_AUDIENCE), 0);
	expect_status(fd, GRPC_PERMISSION_DENIED);
	rig_expect_closed(&r, 1, 0);
	fd = fetch(&r, 2, "x");
	o = expect_order(&r, 2, 1, "x");
	assert_int_equal(ipc_put(r.keys, FK_JWT, 0, .order = o.order, .err = -ERR_CRYPTO), 0);
	expect_status(fd, GRPC_UNAVAILABLE);
	rig_stop(&r);
}

/* A5 with a wait in the middle. */
static void changed_word_while_waiting_means_no_byte(void **state)
{
	struct msg_FR_JWT o;
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	rig_serve(&r, 1, 1);
	fd = fetch(&r, 1, "x");
	o = expect_order(&r, 1, 1, "x");
	r.words[3]++;
	assert_int_equal(sign(&r, o.order, "a.b.c"), 0);
	seen_to_end(&s, fd);
	assert_int_equal(s.data, 0);
	rig_expect_closed(&r, 1, -ERR_CHANGED);
	rig_leave(&r, &s, fd);
}

static void caller_that_leaves_while_waiting_is_forgotten(void **state)
{
	struct msg_FR_JWT o;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	fd = fetch(&r, 1, "x");
	o = expect_order(&r, 1, 1, "x");
	close(fd);
	rig_expect_closed(&r, 1, 0);
	assert_int_equal(sign(&r, o.order, "a.b.c"), 0);
	assert_int_equal(sign(&r, o.order, "a.b.c"), 0); /* late: no harm */
	fd = fetch(&r, 2, "x");
	expect_status(fd, GRPC_OK);
	rig_expect_closed(&r, 2, 0);
	assert_int_equal(ipc_put(r.core, F_NOJWT, 0, .order = o.order, .err = -ERR_RATE), 0); /* likewise */
	fd = fetch(&r, 3, "x");
	expect_status(fd, GRPC_OK);
	rig_stop(&r);
}

static void silence_ends_in_unavailable(void **state)
{
	uint64_t start;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	start = clock_boot_ns();
	fd = fetch(&r, 1, "x");
	expect_order(&r, 1, 1, "x");
	expect_status(fd, GRPC_UNAVAILABLE);
	assert_true(clock_boot_ns() - start >= LIM_JWT_WAIT_MS * NS_PER_MS);
	rig_stop(&r);
}

static void without_keys_nothing_can_be_signed(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	fd = fetch(&r, 1, "x");
	expect_order(&r, 1, 1, "x");
	close(r.keys);
	r.keys = -1;
	expect_status(fd, GRPC_UNAVAILABLE);
	rig_expect_closed(&r, 1, 0);
	fd = fetch(&r, 2, "x");
	expect_status(fd, GRPC_UNAVAILABLE);
	rig_expect_closed(&r, 2, 0); /* no order before it */
	rig_stop(&r);
}

static void broken_tokens_end_the_keys_channel(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		int64_t now = clock_wall_s();
		struct msg_FR_JWT o;
		struct rig r;
		int fd;

		rig_start(&r);
		rig_serve(&r, 1, 1);
		fd = fetch(&r, 1, "x");
		o = expect_order(&r, 1, 1, "x");
		if (i == 0)
			assert_int_equal(sign(&r, o.order, "no token"), 0);
		else if (i == 1) /* never ordered */
			assert_int_equal(sign(&r, o.order + 1, "a.b.c"), 0);
		else if (i == 2)
			assert_int_equal(sign(&r, 0, "a.b.c"), 0);
		else if (i == 3) /* cut */
			assert_int_equal(ipc_send(r.keys, MSG_FK_JWT, 0, slice_of("\1\0\0\0", 4), NULL, 0), 0);
		else
			assert_int_equal(ipc_put(r.keys, FK_JWT, 0, .order = o.order, .issued_at = now, .not_after = now - 1,
						 .token = slice_str("a.b.c")), 0);
		rig_closed(r.keys);
		expect_status(fd, GRPC_UNAVAILABLE);
		rig_stop(&r);
	}
}

static void broken_refusals_end_the_front(void **state)
{
	(void)state;
	for (int i = 0; i < 4; i++) {
		struct msg_FR_JWT o;
		struct rig r;
		int fd;

		rig_start(&r);
		rig_serve(&r, 1, 1);
		fd = fetch(&r, 1, "x");
		o = expect_order(&r, 1, 1, "x");
		if (i == 0) /* never ordered */
			assert_int_equal(ipc_put(r.core, F_NOJWT, 0, .order = o.order + 1, .err = -ERR_RATE), 0);
		else if (i == 1)
			assert_int_equal(ipc_put(r.core, F_NOJWT, 0, .order = 0, .err = -ERR_RATE), 0);
		else if (i == 2) /* no refusal */
			assert_int_equal(ipc_put(r.core, F_NOJWT, 0, .order = o.order, .err = 0), 0);
		else
			assert_int_equal(ipc_send(r.core, MSG_F_NOJWT, 0, slice_of("\1\0\0\0", 4), NULL, 0), 0);
		assert_int_equal(rig_exit_status(&r), 0);
		close(fd);
		rig_stop(&r);
	}
}

static void expect_key(struct rig *r, uint32_t kind, bool refuse)
{
	struct msg_FK_GET get;
	struct chan_msg m;

	rig_receive(r, r->keys, MSG_FK_GET, &m);
	assert_int_equal(msg_get_FK_GET(m.body, &get), 0);
	assert_int_equal(get.kind, kind);
	if (refuse)
		assert_int_equal(ipc_put(r->keys, FK_NOKEY, 0, .identity = get.identity, .kind = get.kind,
					 .generation = get.generation, .err = -ERR_NOT_FOUND), 0);
	else
		assert_int_equal(rig_key(r->keys, &get), 0);
}

static void keys_of_wit_svids_are_asked_for_by_their_kind(void **state)
{
	const struct test_set set = { .version = 1, .n = 1, .der_bytes = 100, .wit = true };
	const struct test_set later = { .version = 2, .n = 1, .der_bytes = 100, .wit = true };
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	rig_send_set(&r, &set);
	expect_key(&r, SVID_X509, false);
	expect_key(&r, SVID_WIT, false);
	rig_expect_set(&r, 1, 0);
	fd = rig_connect(&r, 1, getpid());
	rig_call(fd, WIT, slice_of(NULL, 0));
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	rig_send_set(&r, &later);
	expect_key(&r, SVID_X509, false);
	expect_key(&r, SVID_WIT, true);
	rig_expect_set(&r, 2, -ERR_NOT_FOUND);
	rig_send_set(&r, &later);
	expect_key(&r, SVID_WIT, false);
	rig_expect_set(&r, 2, 0);
	seen_read(&s, fd, 2);
	assert_int_equal(s.messages, 2);
	rig_leave(&r, &s, fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_goes_to_core_and_its_token_to_everybody_who_waits),
		cmocka_unit_test(refusal_of_core_is_the_answer),
		cmocka_unit_test(changed_word_while_waiting_means_no_byte),
		cmocka_unit_test(caller_that_leaves_while_waiting_is_forgotten),
		cmocka_unit_test(silence_ends_in_unavailable),
		cmocka_unit_test(without_keys_nothing_can_be_signed),
		cmocka_unit_test(broken_tokens_end_the_keys_channel),
		cmocka_unit_test(broken_refusals_end_the_front),
		cmocka_unit_test(keys_of_wit_svids_are_asked_for_by_their_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
