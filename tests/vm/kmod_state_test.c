// SPDX-License-Identifier: Apache-2.0
/* links: tests/lib/kmod_rig.c tests/lib/evidence_caller.c tests/lib/tree_rig.c */
/*
 * kmod_state_test.c - what svid.ko keeps: holders, images, records, the events' ring; who gets which, and when it goes.
 * Runs as root in the VM: tests/vm/module_test.sh. Next: kmod_stress_test.c.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/lib/kmod_rig.h"

#define SCOPE_ABSTRACT 1 /* LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET, Linux 6.12 */

static void own_image(struct svid_image *ret)
{
	assert_int_equal(seat_image(&seat, getpid(), 0, ret), 0);
}

/* Another fsuid and back: two changes of credentials. */
static void flip(void)
{
	setfsuid(1000);
	setfsuid(0);
}

static bool records_become(long want)
{
	return slab_becomes("svid_record", want);
}

/* ---- holders ---- */

static void hold_compares_and_replaces(void **state)
{
	struct svid_image img, other;
	uint32_t ten, eleven;

	(void)state;
	own_image(&img);
	other = img;
	other.exec_id++;
	assert_int_equal(seat_hold(&seat, &other, 10), -ESTALE);
	other = img;
	other.key.start++;
	assert_int_equal(seat_hold(&seat, &other, 10), -ESTALE);
	assert_int_equal(seat_unhold(&seat, &img.key), -ENOENT);
	assert_int_equal(seat_hold(&seat, &img, 10), 0);
	assert_int_equal(seat_hold(&seat, &img, 11), 0);
	ten = seat_word(10);
	eleven = seat_word(11);
	flip();
	assert_int_equal(seat_word(10), ten);
	assert_int_equal(seat_word(11), eleven + 2);
	assert_int_equal(seat_hold(&seat, &img, 12), -ESTALE);
	assert_int_equal(seat_unhold(&seat, &img.key), -ENOENT);
	flip();
	assert_int_equal(seat_word(11), eleven + 2);
	seat_drain(&seat);
}

static void second_connection_of_a_process_shares_its_holder(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SEAT_PATH };
	struct svid_mailbox box[2];
	int s[2], fd[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		s[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(s[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
		fd[i] = seat_accept(&seat);
		assert_int_equal(seat_ask(&seat, fd[i], SVID_OP_ATTACH, 20 + i, 30 + i, &box[i]), 0);
		assert_int_equal(box[i].held, i == 0);
		assert_int_equal(box[i].holder_slot, 30);
		assert_int_equal(box[i].conn.holder_slot, 30);
		assert_int_equal(box[i].conn.conn_slot, 20 + i);
	}
	assert_int_equal(seat_unhold(&seat, &box[0].conn.image.key), 0);
	for (int i = 0; i < 2; i++) {
		close(fd[i]);
		close(s[i]);
	}
}

static void adopting_makes_no_holder(void **state)
{
	struct svid_mailbox box;
	struct visit v;

	(void)state;
	visit_open(&seat, &v, 20, 30);
	assert_int_equal(seat_unhold(&seat, &v.box.conn.image.key), 0);
	assert_int_equal(seat_ask(&seat, v.fd, SVID_OP_ADOPT, 21, 0, &box), 0);
	assert_int_equal(box.conn.conn_slot, 21);
	assert_int_equal(box.held, 0);
	assert_int_equal(seat_unhold(&seat, &v.box.conn.image.key), -ENOENT);
	visit_close(&v);
}

/* ---- events ---- */

static void full_ring_loses_events_and_says_so(void **state)
{
	uint64_t lost = seat.stats->n[SVID_STAT_RING], first, seq;
	struct svid_event e;
	struct svid_image img;
	int n = 0;

	(void)state;
	seat_drain(&seat);
	first = seat.stats->event_seq + 1;
	own_image(&img);
	assert_int_equal(seat_hold(&seat, &img, 10), 0);
	for (int i = 0; i < SVID_DEV_EVENTS / 2 + 50; i++)
		flip();
	assert_int_equal(seat.stats->n[SVID_STAT_RING], lost + 100);
	for (seq = first; read(seat.ev, &e, sizeof(e)) == sizeof(e); seq++, n++)
		assert_int_equal(e.seq, seq);
	assert_int_equal(n, SVID_DEV_EVENTS);
	flip();
	assert_int_equal(seat_event(&seat, 0, &e), 0);
	assert_int_equal(e.seq, first + SVID_DEV_EVENTS + 100);
	assert_int_equal(seat_unhold(&seat, &img.key), 0);
	seat_drain(&seat);
}

static void reads_take_whole_events(void **state)
{
	struct svid_event e[4];
	struct svid_image img;

	(void)state;
	own_image(&img);
	assert_int_equal(seat_hold(&seat, &img, 10), 0);
	assert_int_equal(read(seat.ev, e, sizeof(e)), -1);
	assert_int_equal(errno, EAGAIN);
	flip();
	flip();
	assert_int_equal(read(seat.ev, e, sizeof(e[0]) - 1), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(syscall(SYS_read, seat.ev, 8UL, sizeof(e[0])), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(read(seat.ev, e, sizeof(e[0]) * 3 + 5), 3 * sizeof(e[0]));
	assert_int_equal(e[2].seq, e[0].seq + 2);
	assert_int_equal(e[0].by.tgid, getpid());
	assert_int_equal(read(seat.ev, e, sizeof(e)), sizeof(e[0]));
	assert_int_equal(seat_unhold(&seat, &img.key), 0);
}

static void *flip_later(void *unused)
{
	(void)unused;
	usleep(200000);
	flip();
	return NULL;
}

static void blocking_read_waits(void **state)
{
	struct svid_event e;
	struct svid_image img;
	pthread_t t;

	(void)state;
	own_image(&img);
	assert_int_equal(seat_hold(&seat, &img, 10), 0);
	assert_int_equal(fcntl(seat.ev, F_SETFL, 0), 0);
	assert_int_equal(pthread_create(&t, NULL, flip_later, NULL), 0);
	assert_int_equal(read(seat.ev, &e, sizeof(e)), sizeof(e));
	assert_int_equal(e.type, SVID_EVENT_CRED);
	pthread_join(t, NULL);
	assert_int_equal(fcntl(seat.ev, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(seat_unhold(&seat, &img.key), 0);
	seat_drain(&seat);
}

/* ---- images ---- */

static void process_older_than_the_module_is_scanned(void **state)
{
	struct svid_image img, mine;

	(void)state;
	assert_int_equal(seat_image(&seat, 1, 0, &img), 0);
	assert_true(img.flags & SVID_IMG_SCANNED && img.flags & SVID_IMG_ARGV_TRUNC && img.flags & SVID_IMG_ENV_TRUNC);
	assert_int_equal(img.argv_len, 0);
	assert_int_equal(img.exec_time, 0);
	assert_true(img.exe.ino != 0);
	own_image(&mine); /* it loaded the module */
	assert_true(mine.flags & SVID_IMG_SCANNED);
	assert_true(mine.n_ancestors >= 1);
	assert_int_equal(mine.ancestors[0].key.tgid, getppid());
	assert_int_equal(seat_image(&seat, 2, 0, &img), -ENOENT); /* kthreadd */
	assert_int_equal(seat_image(&seat, getpid(), mine.key.start + 1, &img), -ENOENT);
	assert_int_equal(seat_image(&seat, 4000000, 0, &img), -ENOENT);
}

static void child_has_its_parents_image(void **state)
{
	struct svid_image mine, child;
	int p[2], status;
	pid_t pid;
	char c;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		close(p[1]);
		_exit((int)read(p[0], &c, 1));
	}
	own_image(&mine);
	assert_int_equal(seat_image(&seat, pid, 0, &child), 0);
	assert_int_equal(child.exec_id, mine.exec_id);
	assert_int_equal(child.flags, mine.flags | SVID_IMG_FORKED);
	assert_int_equal(child.ancestors[0].key.tgid, getpid());
	assert_int_equal(child.ancestors[0].exec_id, mine.exec_id);
	assert_memory_equal(&child.exe, &mine.exe, sizeof(mine.exe));
	assert_int_equal(child.key.tgid, pid);
	close(p[0]);
	close(p[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(seat_image(&seat, pid, 0, &child), -ENOENT);
}

/* A vfork child borrows its parent's memory: who looks into one has looked into the other. */
static void looking_into_a_vfork_child_marks_its_parent(void **state)
{
	struct svid_image img;
	pid_t pid, child;
	int p[2], status;

	(void)state;
	assert_int_equal(pipe(p), 0);
	pid = fork();
	if (pid == 0) {
		child = vfork();
		if (child == 0) {
			child = getpid();
			(void)!write(p[1], &child, sizeof(child));
			pause();
			_exit(0);
		}
		_exit(0);
	}
	assert_int_equal(read(p[0], &child, sizeof(child)), sizeof(child));
	assert_int_equal(ptrace(PTRACE_SEIZE, child, NULL, NULL), 0);
	assert_int_equal(seat_image(&seat, pid, 0, &img), 0);
	assert_true(img.flags & SVID_IMG_TRACED);
	kill(child, SIGKILL);
	waitpid(child, NULL, __WALL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	own_image(&img);
	assert_int_equal(img.flags & SVID_IMG_TRACED, 0);
	close(p[0]);
	close(p[1]);
}

/* ---- the reader's record ---- */

static void *other_fsuid(void *arg)
{
	int *ready = arg;

	setfsuid(1234);
	__atomic_store_n(&ready[1], (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&ready[0], __ATOMIC_SEQ_CST))
		usleep(1000);
	return NULL;
}

static void reader_is_the_thread(void **state)
{
	int ready[2] = { 0, 0 };
	struct svid_conn conn;
	pthread_t t;

	(void)state;
	assert_int_equal(seat_reader(&seat, getpid(), &conn), 0);
	assert_int_equal(conn.image.key.tgid, getpid());
	assert_int_equal(conn.creds.ids.fsuid, 0);
	assert_int_equal(conn.tier, SVID_TIER_KMOD);
	assert_true(conn.flags & SVID_CONN_VALID);
	assert_int_equal(conn.listener, 0);
	assert_int_equal(pthread_create(&t, NULL, other_fsuid, ready), 0);
	while (!__atomic_load_n(&ready[1], __ATOMIC_SEQ_CST))
		usleep(1000);
	assert_int_equal(seat_reader(&seat, ready[1], &conn), 0);
	assert_int_equal(conn.creds.ids.fsuid, 1234);
	assert_int_equal(conn.tid, ready[1]);
	assert_int_equal(conn.image.key.tgid, getpid());
	__atomic_store_n(&ready[0], 1, __ATOMIC_SEQ_CST);
	pthread_join(t, NULL);
	assert_int_equal(seat_reader(&seat, 0, &conn), -ESRCH);
	assert_int_equal(seat_reader(&seat, -1, &conn), -ESRCH);
	assert_int_equal(seat_reader(&seat, 4000000, &conn), -ESRCH);
	assert_int_equal(seat_reader(&seat, 2, &conn), -ENOENT);
	assert_int_equal(seat_reader(&seat, 1, &conn), 0);
	assert_true(conn.creds.flags & SVID_CRED_MNTNS_PID1 && !(conn.creds.flags & SVID_CRED_ROOT_DIFFERS));
}

static int in_pid_namespace(void *global)
{
	struct svid_conn conn;

	while (!__atomic_load_n((pid_t *)global, __ATOMIC_SEQ_CST))
		usleep(1000);
	if (seat_reader(&seat, 1, &conn) != 0)
		return 1;
	if (conn.image.key.tgid != (uint32_t)*(pid_t *)global)
		return 2;
	return seat_reader(&seat, *(pid_t *)global + 1000, &conn) == -ESRCH ? 0 : 3;
}

static void reader_is_numbered_as_the_caller_sees_it(void **state)
{
	pid_t *global = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	static char stack[65536];
	pid_t pid = clone(in_pid_namespace, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, global);
	int status;

	(void)state;
	assert_true(pid > 0);
	__atomic_store_n(global, pid, __ATOMIC_SEQ_CST);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	munmap(global, 4096);
}

/* ---- records go ---- */

static void records_go_with_their_connections(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = SEAT_PATH };
	struct seat other;
	int s[40];

	(void)state;
	assert_true(records_become(0));
	for (int i = 0; i < 40; i++) {
		s[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(s[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	assert_true(records_become(40));
	for (int i = 0; i < 20; i++)
		close(seat_accept(&seat));
	assert_true(records_become(20));
	for (int i = 0; i < 40; i++)
		close(s[i]);
	assert_true(records_become(20)); /* their accepted ends wait in the backlog */
	for (int i = 0; i < 20; i++)
		close(seat_accept(&seat));
	assert_true(records_become(0));
	seat_take(&other, "/tmp/kmod-other.sock");
	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", other.path);
	for (int i = 0; i < 10; i++) {
		s[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(s[i], (struct sockaddr *)&sa, sizeof(sa)), 0);
	}
	assert_true(records_become(10));
	close(other.ev); /* still mapped: its files go with the last mapping */
	other.ev = -1;
	assert_true(records_become(10));
	seat_leave(&other);
	assert_true(records_become(0));
	for (int i = 0; i < 10; i++)
		close(s[i]);
}

static int connect_sandboxed(const struct sockaddr_un *sa, socklen_t len)
{
	struct {
		uint64_t fs, net, scoped;
	} rules = { .scoped = SCOPE_ABSTRACT };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);

	if (fd < 0)
		return 77;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_landlock_restrict_self, fd, 0))
		return 1;
	if (connect(s, (const struct sockaddr *)sa, len) == 0 || errno != EPERM)
		return 2;
	sleep(1);
	return 0;
}

/* Another LSM refuses after our probe has run. */
static void refused_connect_leaves_nothing(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX, .sun_path = "\0kmod-abstract" };
	socklen_t len = offsetof(struct sockaddr_un, sun_path) + 14;
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct svid_dev_listen msg = { .size = sizeof(msg), .fd = l };
	uint64_t before = seat.stats->n[SVID_STAT_CONNECTS];
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(l, 5), 0);
	assert_int_equal(ioctl(seat.ev, SVID_IOC_LISTEN, &msg), 0);
	pid = fork();
	if (pid == 0)
		_exit(connect_sandboxed(&sa, len));
	for (int i = 0; i < 200 && seat.stats->n[SVID_STAT_CONNECTS] == before && waitpid(pid, &status, WNOHANG) == 0; i++)
		usleep(5000);
	assert_true(records_become(0)); /* the client's socket is still there */
	if (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, ECHILD);
	close(l);
	if (WEXITSTATUS(status) == 77) {
		print_message("Linux 6.1: no LSM of its own refuses such a connect\n");
		return;
	}
	assert_int_equal(status, 0);
	assert_int_equal(seat.stats->n[SVID_STAT_CONNECTS], before + 1);
	assert_true(records_become(0));
}

static void nothing_was_missed(void **state)
{
	(void)state;
	for (int i = 0; i < SVID_STAT_LOSSES; i++)
		if (i != SVID_STAT_RING && i != SVID_STAT_PEER && i != SVID_STAT_NO_RECORD)
			assert_int_equal(seat.stats->n[i], 0);
	assert_true(seat.stats->n[SVID_STAT_SCANNED] > 1);
	assert_true(seat.stats->n[SVID_STAT_FORKS] > 1);
	assert_true(seat.stats->n[SVID_STAT_EXITS] > 1);
	assert_true(seat.stats->exec_seq > 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hold_compares_and_replaces),
		cmocka_unit_test(second_connection_of_a_process_shares_its_holder),
		cmocka_unit_test(adopting_makes_no_holder),
		cmocka_unit_test(full_ring_loses_events_and_says_so),
		cmocka_unit_test(reads_take_whole_events),
		cmocka_unit_test(blocking_read_waits),
		cmocka_unit_test(process_older_than_the_module_is_scanned),
		cmocka_unit_test(child_has_its_parents_image),
		cmocka_unit_test(looking_into_a_vfork_child_marks_its_parent),
		cmocka_unit_test(reader_is_the_thread),
		cmocka_unit_test(reader_is_numbered_as_the_caller_sees_it),
		cmocka_unit_test(records_go_with_their_connections),
		cmocka_unit_test(refused_connect_leaves_nothing),
		cmocka_unit_test(nothing_was_missed),
	};

	caller_main(argc, argv);
	return cmocka_run_group_tests_name("kmod_state", tests, seat_setup, seat_teardown);
}
