// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c tests/lib/busy.c */
/* front_test.c - the real svid-front, seccomp on, between a fake svid-core, a fake svid-keys and raw clients. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/clock.h"
#include "agent/ipc/lists.h"
#include "tests/lib/busy.h"
#include "tests/lib/front_rig.h"

static void client_gets_svids_and_every_rotation(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 2);
	assert_int_equal(s.messages, 1);
	rig_serve(&r, 2, 2);
	seen_read(&s, fd, 2);
	assert_int_equal(s.messages, 2);
	assert_int_equal(s.grpc_status, -1);
	close(fd);
	rig_expect_closed(&r, 1, 0);
	seen_done(&s);
	rig_stop(&r);
}

static void request_before_the_first_set_is_answered_by_it(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	fd = rig_connect(&r, 1, getpid());
	rig_fetch(fd);
	rig_serve(&r, 1, 1);
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	rig_leave(&r, &s, fd);
}

static void same_key_generation_is_asked_for_once(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 3);
	rig_set(&r, 1, 3); /* nothing new: no FK_GET, at once served */
	rig_expect_set(&r, 1, 0);
	rig_set(&r, 1, 2);
	rig_expect_set(&r, 1, 0);
	rig_stop(&r);
}

/* Its request may be here before F_END: "no identity" would be final for some clients. */
static void caller_that_could_not_be_decided_is_told_to_come_again(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	rig_serve(&r, 1, 0);
	r.conn_err = -ERR_NOT_READY;
	fd = rig_connect(&r, 1, getpid());
	rig_fetch(fd);
	seen_read(&s, fd, 1);
	assert_int_equal(s.grpc_status, GRPC_UNAVAILABLE);
	assert_int_equal(s.messages, 0);
	rig_leave(&r, &s, fd);
}

static void empty_set_is_permission_denied(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 0);
	assert_int_equal(s.grpc_status, GRPC_PERMISSION_DENIED);
	assert_int_equal(s.messages, 0);
	rig_leave(&r, &s, fd);
}

/* DESIGN.md 2.5: bytes of another process end the connection; nothing is answered to them. */
static void foreign_sender_ends_the_connection(void **state)
{
	struct seen s;
	struct rig r;
	pid_t child;
	int fd, status;

	(void)state;
	fd = rig_caller(&r, &s, 1);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		rig_fetch(fd);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	seen_to_end(&s, fd);
	assert_int_equal(s.data, 0);
	assert_int_equal(s.messages, 0);
	rig_expect_closed(&r, 1, -ERR_PERMIT);
	rig_leave(&r, &s, fd);
}

static void second_half_of_a_request_from_another_process_ends_it(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4096);
	struct seen s;
	struct rig r;
	pid_t child;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	rig_serve(&r, 1, 1);
	rig_request(&b, RIG_FETCH);
	fd = rig_connect(&r, 1, getpid());
	assert_int_equal(send(fd, b.data, b.len - 3, 0), (ssize_t)b.len - 3);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(send(fd, b.data + b.len - 3, 3, 0) == 3 ? 0 : 1);
	waitpid(child, NULL, 0);
	seen_to_end(&s, fd);
	assert_int_equal(s.data, 0);
	rig_expect_closed(&r, 1, -ERR_PERMIT);
	rig_leave(&r, &s, fd);
}

/* A21: descriptors in the client's bytes are never installed. */
static void passed_descriptors_end_the_connection(void **state)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control = { 0 };
	struct iovec iov = { .iov_base = "PRI", .iov_len = 3 };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	struct cmsghdr *cm = CMSG_FIRSTHDR(&mh);
	int fds[8], fd, before;
	struct rig r;

	(void)state;
	rig_start(&r);
	for (int i = 0; i < 8; i++)
		fds[i] = 2;
	cm->cmsg_level = SOL_SOCKET;
	cm->cmsg_type = SCM_RIGHTS;
	cm->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cm), fds, sizeof(fds));
	before = rig_descriptors(&r);
	fd = rig_connect(&r, 1, getpid());
	assert_int_equal(sendmsg(fd, &mh, 0), 3);
	rig_expect_closed(&r, 1, -ERR_PERMIT);
	assert_int_equal(rig_descriptors(&r), before);
	rig_closed(fd);
	close(fd);
	rig_stop(&r);
}

/* A5: the word changed before the answer: not one byte leaves, not even SETTINGS. */
static void changed_word_means_no_byte(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	for (uint64_t which = 0; which < 2; which++) {
		r.words[2 * 5 + which] = 1; /* what rig_connect() tells the front to expect */
		kill(r.pid, SIGSTOP);
		fd = rig_connect(&r, 5, getpid());
		rig_fetch(fd);
		r.words[2 * 5 + which] = 2;
		kill(r.pid, SIGCONT);
		seen_init(&s);
		seen_to_end(&s, fd);
		assert_int_equal(s.raw.len, 0);
		rig_expect_closed(&r, 5, -ERR_CHANGED);
		close(fd);
		seen_done(&s);
	}
	rig_stop(&r);
}

static void changed_word_means_no_push(void **state)
{
	struct seen s;
	struct rig r;
	size_t before;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 1);
	before = s.raw.len;
	r.words[3]++;
	rig_set(&r, 2, 1);
	rig_give_keys(&r, 1);
	seen_to_end(&s, fd);
	assert_int_equal(s.raw.len, before);
	rig_leave(&r, &s, fd);
}

static void end_message_ends_with_status_goaway_and_close(void **state)
{
	struct seen s;
	struct stopwatch watch;
	struct rig r;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 1);
	watch = stopwatch_start(r.pid);
	assert_int_equal(ipc_put(r.core, F_END, 0, .conn = 1, .err = -ERR_CHANGED), 0);
	seen_to_end(&s, fd);
	assert_in_range(stopwatch_ms(&watch), 0, LIM_CUT_MS);
	assert_int_equal(s.grpc_status, GRPC_UNAVAILABLE);
	assert_true(s.goaway);
	rig_expect_closed(&r, 1, -ERR_CHANGED);
	assert_int_equal(ipc_put(r.core, F_END, 0, .conn = 1, .err = -ERR_CHANGED), 0); /* crossing: no harm */
	rig_set(&r, 1, 1);
	rig_expect_set(&r, 1, 0);
	rig_leave(&r, &s, fd);
}

static void state_error_ends_streams_until_it_is_lifted(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 1);
	assert_int_equal(ipc_put(r.core, F_STATE, 0, .err = -ERR_EVIDENCE), 0);
	seen_read(&s, fd, 2);
	assert_int_equal(s.grpc_status, GRPC_UNAVAILABLE);
	assert_false(s.goaway);
	assert_int_equal(ipc_put(r.core, F_STATE, 0, .err = 0), 0);
	close(fd);
	rig_expect_closed(&r, 1, 0);
	fd = rig_connect(&r, 2, getpid());
	rig_fetch(fd);
	seen_done(&s);
	seen_init(&s);
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	rig_leave(&r, &s, fd);
}

static void without_core_streams_end_and_the_front_leaves(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	fd = rig_first(&r, &s, 1);
	close(r.core);
	r.core = -1;
	seen_to_end(&s, fd);
	assert_int_equal(s.grpc_status, GRPC_UNAVAILABLE);
	assert_int_equal(rig_exit_status(&r), 0);
	rig_leave(&r, &s, fd);
}

static void without_keys_the_old_answer_is_served(void **state)
{
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	rig_serve(&r, 1, 1);
	close(r.keys);
	r.keys = -1;
	busy_idle(r.pid);
	rig_set(&r, 2, 1);
	rig_expect_set(&r, 2, -ERR_CLOSED);
	rig_set(&r, 1, 1); /* the key is known */
	rig_expect_set(&r, 1, 0);
	fd = rig_connect(&r, 1, getpid());
	rig_fetch(fd);
	seen_read(&s, fd, 1);
	assert_int_equal(s.messages, 1);
	rig_leave(&r, &s, fd);
}

static void refused_key_keeps_the_old_set(void **state)
{
	struct msg_FK_GET get;
	struct chan_msg m;
	struct rig r;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 1);
	rig_set(&r, 2, 1);
	rig_receive(&r, r.keys, MSG_FK_GET, &m);
	assert_int_equal(msg_get_FK_GET(m.body, &get), 0);
	assert_int_equal(ipc_put(r.keys, FK_NOKEY, 0, .identity = get.identity, .generation = get.generation,
				 .err = -ERR_NOT_FOUND), 0);
	rig_expect_set(&r, 2, -ERR_NOT_FOUND);
	rig_serve(&r, 3, 1);
	rig_stop(&r);
}

static void whoami_is_what_core_says_and_asked_for_once(void **state)
{
	struct msg_FR_WHOAMI ask;
	struct chan_msg m;
	struct seen s;
	struct rig r;
	int fd;

	(void)state;
	rig_start(&r);
	seen_init(&s);
	fd = rig_connect(&r, 9, getpid());
	assert_int_equal(rig_try_call(fd, "/svid.v1.Self/WhoAmI"), 0);
	rig_receive(&r, r.core, MSG_FR_WHOAMI, &m);
	assert_int_equal(msg_get_FR_WHOAMI(m.body, &ask), 0);
	assert_int_equal(ask.conn, 9);
	assert_int_equal(ipc_put(r.core, F_WHOAMI, 0, .conn = 9, .json = slice_str("{\"pid\":7}")), 0);
	seen_read(&s, fd, 2);
	assert_int_equal(s.messages, 1);
	assert_int_equal(s.grpc_status, GRPC_OK);
	assert_int_equal(ipc_put(r.core, F_WHOAMI, 0, .conn = 77, .json = slice_str("{}")), 0); /* gone: no harm */
	close(fd);
	rig_expect_closed(&r, 9, 0);
	fd = rig_connect(&r, 10, getpid());
	assert_int_equal(ipc_put(r.core, F_WHOAMI, 0, .conn = 10, .json = slice_str("{}")), 0); /* not asked for */
	assert_int_equal(rig_exit_status(&r), 0);
	rig_leave(&r, &s, fd);
}

static void garbage_of_one_client_harms_no_other(void **state)
{
	uint8_t noise[4096];
	struct seen s;
	struct rig r;
	int fd, bad;

	(void)state;
	fd = rig_first(&r, &s, 1);
	for (uint64_t i = 0; i < 50; i++) {
		for (size_t k = 0; k < sizeof(noise); k++)
			noise[k] = (uint8_t)clock_random(256);
		bad = rig_connect(&r, 2, getpid());
		assert_int_equal(send(bad, noise, sizeof(noise), MSG_NOSIGNAL), sizeof(noise));
		rig_closed(bad);
		close(bad);
		rig_expect_closed(&r, 2, -ERR_REQUEST);
	}
	rig_serve(&r, 2, 1);
	seen_read(&s, fd, 2);
	assert_int_equal(s.messages, 2);
	rig_leave(&r, &s, fd);
}

/* Permit table: everything that svid-core may not say to a front ends the front. */
static void unpermitted_message_of_core_ends_the_front(void **state)
{
	(void)state;
	for (uint16_t type = 0; type < 160; type++) {
		struct rig r;
		int fd = -1;

		if (type >= MSG_F_SET && type <= MSG_F_NOJWT)
			continue;
		if (msg_fds(type) > 1)
			continue;
		rig_start(&r);
		if (msg_fds(type) == 1)
			fd = dup(2);
		assert_int_equal(ipc_send(r.core, type, 0, slice_of(NULL, 0), &fd, fd >= 0), 0);
		assert_int_equal(rig_exit_status(&r), 0);
		if (fd >= 0)
			close(fd);
		rig_stop(&r);
	}
}

static void malformed_message_of_core_ends_the_front(void **state)
{
	struct rig r;
	int fd;

	(void)state;
	for (int i = 0; i < 6; i++) {
		AUTO(buf) struct buf b = BUF_INIT(4096);
		struct msg_F_CONN conn = { .conn = 1, .pid = 1, .conn_slot = i == 0 ? SVID_WORDS : 1,
					   .holder_slot = i == 1 ? UINT32_MAX : 1 };

		rig_start(&r);
		fd = dup(2);
		msg_put_F_CONN(&b, &conn);
		if (i < 2)
			assert_int_equal(ipc_send(r.core, MSG_F_CONN, 0, buf_slice(&b), &fd, 1), 0);
		else if (i == 2) /* without its descriptor */
			assert_int_equal(ipc_send(r.core, MSG_F_CONN, 0, buf_slice(&b), NULL, 0), 0);
		else if (i == 3) /* cut */
			assert_int_equal(ipc_send(r.core, MSG_F_CONN, 0, slice_of(b.data, b.len - 1), &fd, 1), 0);
		else if (i == 4) /* bytes left over */
			assert_int_equal(ipc_send(r.core, MSG_F_STATE, 0, slice_of("12345", 5), NULL, 0), 0);
		else /* an entry list that ends in the middle */
			assert_int_equal(ipc_put(r.core, F_SET, 0, .version = 1,
						 .entries = slice_of("abc", 3)), 0);
		assert_int_equal(rig_exit_status(&r), 0);
		close(fd);
		rig_stop(&r);
	}
}

static void key_that_nobody_asked_for_ends_the_keys_channel(void **state)
{
	struct rig r;
	int fd = dup(2);

	(void)state;
	rig_start(&r);
	assert_int_equal(ipc_put_fds(r.keys, FK_KEY, 0, &fd, 1, .identity = 1, .generation = 1, .len = 64), 0);
	rig_closed(r.keys);
	rig_set(&r, 1, 1);
	rig_expect_set(&r, 1, -ERR_CLOSED);
	close(fd);
	rig_stop(&r);
}

static void set_that_would_poison_a_client_is_refused(void **state)
{
	AUTO(buf) struct buf list = BUF_INIT(4096);
	struct set_entry e = { .identity = 1, .generation = 1, .not_after = 4102444800,
			       .spiffe_id = slice_str("spiffe://td.test/w"), .chain = slice_of("", 0) };
	struct rig r;

	(void)state;
	rig_start(&r);
	list_put_entry(&list, &e);
	assert_int_equal(ipc_put(r.core, F_SET, 0, .version = 4, .trust_domain = slice_str("td.test"),
				 .bundle = slice_of("\x30\0", 2), .entries = buf_slice(&list)), 0);
	rig_expect_set(&r, 4, -ERR_FORMAT);
	rig_serve(&r, 5, 1);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(client_gets_svids_and_every_rotation),
		cmocka_unit_test(request_before_the_first_set_is_answered_by_it),
		cmocka_unit_test(same_key_generation_is_asked_for_once),
		cmocka_unit_test(caller_that_could_not_be_decided_is_told_to_come_again),
		cmocka_unit_test(empty_set_is_permission_denied),
		cmocka_unit_test(foreign_sender_ends_the_connection),
		cmocka_unit_test(second_half_of_a_request_from_another_process_ends_it),
		cmocka_unit_test(passed_descriptors_end_the_connection),
		cmocka_unit_test(changed_word_means_no_byte),
		cmocka_unit_test(changed_word_means_no_push),
		cmocka_unit_test(end_message_ends_with_status_goaway_and_close),
		cmocka_unit_test(state_error_ends_streams_until_it_is_lifted),
		cmocka_unit_test(without_core_streams_end_and_the_front_leaves),
		cmocka_unit_test(without_keys_the_old_answer_is_served),
		cmocka_unit_test(refused_key_keeps_the_old_set),
		cmocka_unit_test(whoami_is_what_core_says_and_asked_for_once),
		cmocka_unit_test(garbage_of_one_client_harms_no_other),
		cmocka_unit_test(unpermitted_message_of_core_ends_the_front),
		cmocka_unit_test(malformed_message_of_core_ends_the_front),
		cmocka_unit_test(key_that_nobody_asked_for_ends_the_keys_channel),
		cmocka_unit_test(set_that_would_poison_a_client_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
