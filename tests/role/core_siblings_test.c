/* links: tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_case.c */
/* links: agent/parent/spawn.c agent/parent/roles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_siblings_test.c - a sibling of svid-core that breaks the rules, or dies, is killed or replaced while svid-core
 * and everybody else go on. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/role/core_case.h"

/* A caller of each of two sets; then the first one's front says @type with @body. */
static void front_says(uint16_t type, struct slice body)
{
	unsigned int kills;
	int mine, others;
	uint32_t bad;
	pid_t pid;

	w.documents = TWO_USERS;
	world_start(&w, NULL);
	mine = world_client(&w);
	others = world_client_as(&w, OTHER_UID, &pid);
	conn_at(1);
	bad = w.conns[0].front == w.conns[1].front ? 0 : conn_at(0)->front;
	kills = w.kills;
	assert_int_equal(ipc_send(front_of(conn_at(0))->fd, type, 0, body, NULL, 0), 0);
	world_until(&w, w.kills == kills + 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_true(w.last_kill.index == bad || w.last_kill.index == w.conns[1].front);
	close(w.conns[0].fd);
	close(w.conns[1].fd);
	w.conns[0].fd = w.conns[1].fd = -1;
	assert_core_is_well();
	assert_int_equal(w.kills, kills + 1);
	end_child(pid, others);
	close(mine);
}

static void a_front_that_closes_a_strangers_connection_is_killed(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	struct msg_FR_CLOSED m = { .conn = UINT64_MAX };

	(void)state;
	msg_put_FR_CLOSED(&b, &m);
	front_says(MSG_FR_CLOSED, buf_slice(&b));
}

static void a_front_that_acknowledges_what_was_never_sent_is_killed(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	struct msg_FR_SET m = { .version = 99 };

	(void)state;
	msg_put_FR_SET(&b, &m);
	front_says(MSG_FR_SET, buf_slice(&b));
}

static void a_front_that_asks_twice_who_a_caller_is_is_killed(void **state)
{
	struct msg_FR_WHOAMI m;
	AUTO(buf) struct buf b = BUF_INIT(64);
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	whoami_at(0);
	m.conn = w.conns[0].number;
	msg_put_FR_WHOAMI(&b, &m);
	assert_int_equal(ipc_send(front_of(conn_at(0))->fd, MSG_FR_WHOAMI, 0, buf_slice(&b), NULL, 0), 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_core_is_well();
	close(fd);
}

static void a_front_that_sends_a_short_message_is_killed(void **state)
{
	(void)state;
	front_says(MSG_FR_CLOSED, slice_str("abc"));
}

static void a_front_that_speaks_for_svid_keys_is_killed(void **state)
{
	(void)state;
	front_says(MSG_KY_ISSUED, slice_str(""));
}

static void a_front_that_is_ready_twice_is_killed(void **state)
{
	(void)state;
	front_says(MSG_FR_READY, slice_str(""));
}

static void the_streams_of_other_sets_do_not_notice_a_killed_front(void **state)
{
	int mine, others;
	pid_t pid;

	(void)state;
	w.documents = TWO_USERS;
	world_start(&w, NULL);
	mine = world_client(&w);
	conn_at(0);
	others = world_client_as(&w, OTHER_UID, &pid);
	conn_at(1);
	assert_int_equal(ipc_send(front_of(&w.conns[0])->fd, MSG_FR_READY, 0, slice_of(NULL, 0), NULL, 0), 0);
	close(w.conns[0].fd);
	w.conns[0].fd = -1;
	assert_true(world_is_closed(&w, mine, 2000));
	assert_false(world_is_closed(&w, others, 200));
	assert_false(w.conns[1].ended);
	end_child(pid, others);
	close(mine);
}

static void a_set_gets_another_front_when_its_own_dies(void **state)
{
	uint32_t first;
	int a, b;

	(void)state;
	world_start(&w, NULL);
	a = world_client(&w);
	first = conn_at(0)->front;
	world_until(&w, front_of(&w.conns[0])->version == 1);
	close(front_of(&w.conns[0])->fd);
	front_of(&w.conns[0])->fd = -1;
	close(w.conns[0].fd);
	w.conns[0].fd = -1;
	assert_true(world_is_closed(&w, a, 2000));
	b = world_client(&w);
	assert_int_not_equal(conn_at(1)->front, first);
	world_until(&w, front_of(&w.conns[1])->version > 0);
	assert_int_equal(w.issues, 1);
	close(a);
	close(b);
}

/* One that was taken over says "closed" and keeps its descriptor: nobody would watch over that caller any more. */
static void a_connection_that_a_front_gave_back_is_over_whatever_it_kept(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	assert_int_equal(ipc_put(front_of(&w.conns[0])->fd, FR_CLOSED, 0, .conn = w.conns[0].number), 0);
	assert_true(world_is_closed(&w, fd, 1000));
	assert_core_is_well();
	close(fd);
}

/* The same by closing its channel: it has to be dead before long, and can use what it kept no more. */
static void a_front_that_leaves_keeps_no_connection_and_is_killed_when_it_stays(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	close(front_of(&w.conns[0])->fd);
	front_of(&w.conns[0])->fd = -1;
	assert_true(world_is_closed(&w, fd, 1000));
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_int_equal(w.last_kill.index, w.conns[0].front);
	assert_core_is_well();
	close(fd);
}

static void a_front_that_never_gets_ready_is_killed(void **state)
{
	(void)state;
	w.ways.front_never_ready = true;
	world_start(&w, NULL);
	for (int i = 0; i < 80 && !w.kills; i++)
		world_step(&w, 100);
	assert_true(w.kills > 0);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
}

static void a_worker_that_answers_unasked_is_killed(void **state)
{
	(void)state;
	world_start(&w, NULL);
	assert_int_equal(ipc_put(w.attest[0], A_IDENTITY, 0, .path = slice_str("/usr/bin/trusted")), 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_ATTEST);
	assert_int_equal(w.last_kill.index, 0);
	assert_core_is_well();
}

static void a_worker_that_is_silent_is_killed_and_its_caller_told_to_come_again(void **state)
{
	uint64_t start = clock_boot_ns();
	int fd;

	(void)state;
	w.ways.attest_silent = true;
	w.documents = "app {\"workloadID\":\"app\",\"selectors\":[{\"process:binary:path\":[\"/usr/bin/app\"]}]}";
	world_start(&w, NULL);
	fd = world_client(&w);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_ATTEST);
	assert_true(clock_boot_ns() - start >= LIM_ATTEST_MS * NS_PER_MS);
	world_until(&w, conn_at(0)->ended);
	assert_int_equal(err_status(w.conns[0].end_err), GRPC_UNAVAILABLE);
	assert_core_is_well();
	close(fd);
}

static void keys_that_answer_unasked_are_killed(void **state)
{
	(void)state;
	world_start(&w, NULL);
	assert_int_equal(ipc_put(w.keys, KY_ISSUED, 1, .identity = 1, .generation = 1, .not_after = 9,
				 .chain = slice_str("x")), 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_KEYS);
	assert_true(w.core != 0);
}

static void a_compiler_that_sends_something_else_is_killed(void **state)
{
	int pair[2] = { -1, -1 };

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(ipc_put_fds(w.svidd, P_PEER, 0, &pair[1], 1, .role = ROLE_POLICY), 0);
	close(pair[1]);
	assert_int_equal(ipc_send(pair[0], MSG_KY_FORGET, 0, slice_str("...."), NULL, 0), 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_POLICY);
	assert_core_is_well();
	close(pair[0]);
}

/* ---- svid-undertaker ---- */

/* A connection that the fake front never read from: its byte is still queued, so it is not closed in place. */
static int leave_one_unread(void)
{
	int fd = world_client(&w);

	conn_at(w.n_conns ? w.n_conns - 1 : 0);
	return fd;
}

static void a_connection_with_something_in_it_goes_to_an_undertaker(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = leave_one_unread();
	w.documents = "";
	world_recompile(&w);
	world_until(&w, w.buried == 1);
	assert_int_equal(w.taken, 1);
	assert_true(world_is_closed(&w, fd, 1000));
	assert_core_is_well();
	close(fd);
}

static void undertakers_that_hang_are_killed_and_nobody_waits(void **state)
{
	int fds[LIM_UNDERTAKERS + 1];

	(void)state;
	w.ways.undertakers_hang = w.ways.restart = true;
	world_start(&w, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		fds[i] = world_client(&w);
		conn_at(i);
	}
	w.documents = "";
	world_recompile(&w);
	world_until(&w, w.taken == LIM_UNDERTAKERS);
	assert_core_is_well(); /* while both hold one and a third waits */
	world_until(&w, w.kills == LIM_UNDERTAKERS);
	assert_int_equal(w.last_kill.role, ROLE_UNDERTAKER);
	w.ways.undertakers_hang = false;
	world_until(&w, w.taken > LIM_UNDERTAKERS && w.buried);
	assert_core_is_well();
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		close(fds[i]);
}

static void an_undertaker_that_answers_unasked_is_killed(void **state)
{
	(void)state;
	world_start(&w, NULL);
	assert_int_equal(ipc_put(w.undertakers[0], U_CLOSED, 0), 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_UNDERTAKER);
	assert_int_equal(w.last_kill.index, 0);
	assert_core_is_well();
}

/* svid-core's duplicate must be the last one, or the front is who waits in close(). */
static void a_front_that_keeps_what_was_cut_is_killed(void **state)
{
	int fd;

	(void)state;
	w.ways.front_ignores_end = true;
	world_start(&w, NULL);
	fd = leave_one_unread();
	w.documents = "";
	world_recompile(&w);
	assert_true(world_is_closed(&w, fd, 2000));
	assert_int_equal(w.taken, 0);
	for (int i = 0; i < LIM_FRONT_STALL_MS / 10 && !w.kills; i++)
		world_step(&w, 10);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	world_until(&w, w.buried == 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_front_that_closes_a_strangers_connection_is_killed),
		T(a_front_that_acknowledges_what_was_never_sent_is_killed),
		T(a_front_that_asks_twice_who_a_caller_is_is_killed),
		T(a_front_that_sends_a_short_message_is_killed),
		T(a_front_that_speaks_for_svid_keys_is_killed),
		T(a_front_that_is_ready_twice_is_killed),
		T(the_streams_of_other_sets_do_not_notice_a_killed_front),
		T(a_set_gets_another_front_when_its_own_dies),
		T(a_connection_that_a_front_gave_back_is_over_whatever_it_kept),
		T(a_front_that_leaves_keeps_no_connection_and_is_killed_when_it_stays),
		T(a_front_that_never_gets_ready_is_killed),
		T(a_worker_that_answers_unasked_is_killed),
		T(a_worker_that_is_silent_is_killed_and_its_caller_told_to_come_again),
		T(keys_that_answer_unasked_are_killed),
		T(a_compiler_that_sends_something_else_is_killed),
		T(a_connection_with_something_in_it_goes_to_an_undertaker),
		T(undertakers_that_hang_are_killed_and_nobody_waits),
		T(an_undertaker_that_answers_unasked_is_killed),
		T(a_front_that_keeps_what_was_cut_is_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
