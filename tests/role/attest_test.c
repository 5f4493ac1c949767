/* links: tests/role/attest_world.c agent/parent/spawn.c agent/parent/roles.c tests/lib/busy.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attest_test.c - the real svid-attest, sandbox on, with this test as svidd and as svid-core.
 * Must run as root (another user's processes are looked at). Next: agent/attest/README.md.
 */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/lists.h"
#include "agent/ipc/plan.h"
#include "kmod/uapi/svid.h"
#include "tests/lib/busy.h"
#include "tests/role/attest_world.h"

static void assert_slice(struct slice s, const char *want)
{
	if (!slice_eq_str(s, want))
		fail_msg("'%.*s' is not '%s'", (int)s.len, (const char *)s.p, want);
}

static void copy_file(const char *from, const char *to)
{
	char bytes[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	ssize_t n;

	assert_true(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		assert_int_equal(write(out, bytes, (size_t)n), n);
	close(in);
	close(out);
}

/* ---- what must be refused ---- */

static void unpermitted_messages_end_the_worker(void **state)
{
	(void)state;
	for (unsigned int type = 0; type < 160; type++) {
		void *s;
		struct world *w;

		if (msg_fds(type) != 0 || type == MSG_A_CANARY || type == MSG_A_CANARY_PROBE || type == MSG_A_IDENTIFY ||
		    type == MSG_A_OPEN)
			continue;
		assert_int_equal(world_setup(&s), 0);
		w = s;
		assert_int_equal(ipc_send(w->core, (uint16_t)type, 0, slice_of(NULL, 0), NULL, 0), 0);
		world_assert_refused(w);
		world_teardown(&s);
	}
}

static void malformed_question_ends_the_worker(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipc_send(w->core, MSG_A_IDENTIFY, 0, slice_of("12345678", 8), NULL, 0), 0);
	world_assert_refused(w);
}

static void trailing_bytes_end_the_worker(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct msg_A_IDENTIFY q = { .pid = 1 };

	msg_put_A_IDENTIFY(&body, &q);
	buf_put_u8(&body, 0);
	assert_int_equal(ipc_send(w->core, MSG_A_IDENTIFY, 0, buf_slice(&body), NULL, 0), 0);
	world_assert_refused(w);
}

static void half_a_group_ends_the_worker(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipc_put(w->core, A_IDENTIFY, 0, .pid = 1, .groups = slice_of("123", 3)), 0);
	world_assert_refused(w);
}

static void process_zero_ends_the_worker(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipc_put(w->core, A_IDENTIFY, 0, .pid = 0), 0);
	world_assert_refused(w);
}

static void probe_without_canary_ends_the_worker(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipc_put(w->core, A_CANARY_PROBE, 0), 0);
	world_assert_refused(w);
}

static void descriptor_with_a_question_ends_the_worker(void **state)
{
	struct world *w = *state;
	AUTO(buf) struct buf body = BUF_INIT(4096);
	struct msg_A_IDENTIFY q = { .pid = 1 };

	msg_put_A_IDENTIFY(&body, &q);
	assert_int_equal(ipc_send(w->core, MSG_A_IDENTIFY, 0, buf_slice(&body), &w->core, 1), 0);
	world_assert_refused(w);
}

static void question_from_svidd_ends_the_worker(void **state)
{
	struct world *w = *state;

	assert_int_equal(ipc_put(w->svidd, A_IDENTIFY, 0, .pid = 1), 0);
	world_assert_refused(w);
}

static void without_svidd_it_does_not_start(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, 2);
		dup2(null, FD_CHANNEL);
		execl(SVID_BIN "/svid-attest", "svid-attest", NULL);
		_exit(127);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void other_process_of_that_number_is_not_answered_for(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q;
	struct msg_A_IDENTITY a;

	world_run_victim(w, "/bin/sleep");
	q = world_question(w, "/bin/sleep");
	q.start += NS_PER_S / 100;
	a = world_ask(w, &q);
	assert_int_equal(a.path_err, -ESRCH);
	assert_int_equal(a.path.len, 0);
	q.pid = 0x3ffffff;
	assert_int_equal(world_ask(w, &q).path_err, -ESRCH);
}

static void other_executable_is_not_answered_for(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q;
	struct msg_A_IDENTITY a;

	world_run_victim(w, "/bin/sleep");
	q = world_question(w, "/bin/cat");
	a = world_ask(w, &q);
	assert_int_equal(a.path_err, -ERR_CHANGED);
	assert_int_equal(a.path.len, 0);
	q = world_question(w, "/bin/sleep");
	q.dev ^= 1;
	assert_int_equal(world_ask(w, &q).path_err, -ERR_CHANGED);
}

static void deleted_executable_has_no_path(void **state)
{
	struct world *w = *state;
	char copy[64];
	struct msg_A_IDENTIFY q;

	snprintf(copy, sizeof(copy), "/tmp/svid-attest-%d", getpid());
	copy_file("/bin/sleep", copy);
	world_run_victim(w, copy);
	q = world_question(w, copy);
	assert_int_equal(world_ask(w, &q).path_err, 0);
	unlink(copy);
	assert_int_equal(world_ask(w, &q).path_err, -ENOENT);
}

static void file_called_deleted_has_its_path(void **state)
{
	struct world *w = *state;
	char copy[64];
	struct msg_A_IDENTIFY q;

	snprintf(copy, sizeof(copy), "/tmp/svid-attest-%d (deleted)", getpid());
	copy_file("/bin/sleep", copy);
	world_run_victim(w, copy);
	q = world_question(w, copy);
	assert_slice(world_ask(w, &q).path, copy);
	unlink(copy);
	assert_int_equal(world_ask(w, &q).path_err, -ENOENT);
}

static void memfd_has_no_path(void **state)
{
	struct world *w = *state;
	char path[64];
	struct msg_A_IDENTIFY q;
	int fd = memfd_create("m", 0);

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), fd);
	copy_file("/bin/sleep", path);
	fchmod(fd, 0755);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	world_run_victim(w, path);
	q = (struct msg_A_IDENTIFY){ .pid = (uint32_t)w->victim, .start = world_start(w->victim) };
	assert_int_equal(world_ask(w, &q).path_err, -ENOENT);
	close(fd);
}

/* ---- what must be answered ---- */

static void path_is_that_of_the_executable(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q;
	struct msg_A_IDENTITY a;
	struct stat st;
	char real[4096] = "";

	assert_non_null(realpath("/bin/sleep", real));
	world_run_victim(w, "/bin/sleep");
	q = world_question(w, "/bin/sleep");
	a = world_ask(w, &q);
	assert_int_equal(a.path_err, 0);
	assert_slice(a.path, real);
	assert_int_equal(stat(real, &st), 0);
	assert_int_equal(a.ino, st.st_ino);
	assert_int_equal(a.argv.len, 0);
}

static void generation_is_compared(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q;
	char copy[64];
	long got = 0;
	int fd;

	/* A new file: images of file systems have inodes of generation 0, which means "none". */
	snprintf(copy, sizeof(copy), "/tmp/svid-attest-%d", getpid());
	copy_file("/bin/sleep", copy);
	fd = open(copy, O_RDONLY | O_CLOEXEC);
	if (ioctl(fd, FS_IOC_GETVERSION, &got) < 0 || !(uint32_t)got)
		skip(); /* the file system under /tmp has none */
	close(fd);
	world_run_victim(w, copy);
	q = world_question(w, copy);
	q.generation = (uint32_t)got;
	assert_int_equal(world_ask(w, &q).path_err, 0);
	q.generation++;
	assert_int_equal(world_ask(w, &q).path_err, -ERR_CHANGED);
	unlink(copy);
}

static void names_are_those_of_the_databases(void **state)
{
	struct world *w = *state;
	const uint32_t groups[] = { 0, 4000000001u, 1 };
	struct msg_A_IDENTIFY q;
	struct msg_A_IDENTITY a;

	world_run_victim(w, "/bin/sleep");
	q = world_question(w, "/bin/sleep");
	q.uid = 1;
	q.gid = 0;
	q.groups = slice_of(groups, sizeof(groups));
	a = world_ask(w, &q);
	assert_int_equal(a.names_err, 0);
	assert_slice(a.user, "daemon");
	assert_slice(a.group, "root");
	assert_slice(list_get_str(&a.groups, 256), "root");
	assert_slice(list_get_str(&a.groups, 256), "");
	assert_slice(list_get_str(&a.groups, 256), "daemon");
	assert_int_equal(slice_end(&a.groups), 0);
}

static void unknown_user_is_no_error(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q;
	struct msg_A_IDENTITY a;

	world_run_victim(w, "/bin/sleep");
	q = world_question(w, "/bin/sleep");
	q.uid = q.gid = 4000000001u;
	a = world_ask(w, &q);
	assert_int_equal(a.names_err, 0);
	assert_int_equal(a.user.len + a.group.len, 0);
}

static void socket_mode_gets_argv(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q = { 0 };
	struct msg_A_IDENTITY a;

	world_run_victim(w, "/bin/sleep");
	q.pid = (uint32_t)w->victim;
	a = world_ask(w, &q);
	assert_int_equal(a.path_err, 0);
	assert_true(slice_eq(a.argv, slice_of("victim\0" "30", 10)));
}

static void namespaces_are_told_when_asked_for(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q = { .around = 1 };
	struct msg_A_IDENTITY a;
	pid_t child = fork();
	int status;

	if (child == 0) {
		status = setgid(65534) || setuid(65534) || unshare(CLONE_NEWUSER);
		raise(status ? SIGKILL : SIGSTOP);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	if (!WIFSTOPPED(status))
		skip(); /* no user namespaces for unprivileged users here */
	q.pid = (uint32_t)child;
	a = world_ask(w, &q);
	assert_int_equal(a.around_err, 0);
	assert_int_equal(a.around & (SVID_CRED_USERNS_INIT | SVID_CRED_ROOT_DIFFERS), 0);
	q.pid = (uint32_t)w->worker;
	a = world_ask(w, &q);
	assert_int_equal(a.around_err, 0);
	assert_true(a.around & SVID_CRED_MNTNS_PID1);
	q.around = 0;
	assert_int_equal(world_ask(w, &q).around, 0);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	q.around = 1;
	q.pid = (uint32_t)child;
	assert_int_equal(world_ask(w, &q).around_err, -ESRCH);
}

static void next_core_is_served_after_the_first_is_gone(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q = { .pid = (uint32_t)getpid() };

	close(w->core);
	w->core = -1;
	busy_idle(w->worker);
	world_give_core(w);
	assert_int_equal(world_ask(w, &q).path_err, 0);
}

static void worker_ends_with_svidd(void **state)
{
	struct world *w = *state;
	int status;

	shutdown(w->svidd, SHUT_RDWR);
	status = world_worker_status(w);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- the canary ---- */

static int listener(char path[static 108])
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, 108, "/tmp/svid-attest-%d.sock", getpid());
	unlink(path);
	strncpy(sa.sun_path, path, sizeof(sa.sun_path) - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(chmod(path, 0777), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static struct msg_A_CANARY_UP canary_up(struct world *w, const char *path)
{
	struct msg_A_CANARY_UP up = { 0 };
	struct chan_msg m;

	assert_int_equal(ipc_put(w->core, A_CANARY, 7, .public_path = slice_str(path)), 0);
	assert_int_equal(world_receive(w, w->core, &m), 0);
	assert_int_equal(m.type, MSG_A_CANARY_UP);
	assert_int_equal(msg_get_A_CANARY_UP(m.body, &up), 0);
	return up;
}

static int canary_done(struct world *w)
{
	struct msg_A_CANARY_DONE done = { 0 };
	struct chan_msg m;

	assert_int_equal(ipc_put(w->core, A_CANARY_PROBE, 8), 0);
	assert_int_equal(world_receive(w, w->core, &m), 0);
	assert_int_equal(m.type, MSG_A_CANARY_DONE);
	assert_int_equal(msg_get_A_CANARY_DONE(m.body, &done), 0);
	return done.read_err;
}

static void canary_is_connected_by_a_child_and_read_by_the_worker(void **state)
{
	struct world *w = *state;
	char path[108];
	int fd = listener(path), conn;
	struct msg_A_CANARY_UP up = canary_up(w, path);
	struct ucred peer;
	socklen_t len = sizeof(peer);

	assert_int_equal(up.err, 0);
	conn = accept(fd, NULL, NULL);
	assert_int_equal(getsockopt(conn, SOL_SOCKET, SO_PEERCRED, &peer, &len), 0);
	assert_int_equal(peer.pid, up.pid);
	assert_true(up.pid != (uint32_t)w->worker);
	assert_int_equal(send(conn, "x", 1, 0), 1);
	assert_int_equal(canary_done(w), 0); /* no provider here: the byte is seen */
	assert_int_equal(kill((pid_t)up.pid, 0), -1);
	assert_int_equal(recv(conn, path, 1, 0), -1); /* unread byte at the other end's close: reset */
	close(conn);
	close(fd);
}

static void canary_without_bytes_says_eagain(void **state)
{
	struct world *w = *state;
	char path[108];
	int fd = listener(path);

	assert_int_equal(canary_up(w, path).err, 0);
	assert_int_equal(canary_done(w), -EAGAIN);
	assert_int_equal(canary_up(w, path).err, 0); /* and again */
	assert_int_equal(canary_done(w), -EAGAIN);
	close(fd);
	unlink(path);
}

static void canary_without_listener_says_so(void **state)
{
	struct world *w = *state;
	struct msg_A_IDENTIFY q = { .pid = (uint32_t)getpid() };

	assert_int_equal(canary_up(w, "/tmp/svid-attest-nobody").err, -ENOENT);
	assert_int_equal(world_ask(w, &q).path_err, 0);
}

static void question_during_a_canary_ends_worker_and_child(void **state)
{
	struct world *w = *state;
	char path[108];
	int fd = listener(path);
	struct msg_A_CANARY_UP up = canary_up(w, path);

	assert_int_equal(ipc_put(w->core, A_IDENTIFY, 0, .pid = 1), 0);
	world_assert_refused(w);
	for (int ms = 0; ms < WAIT_MS && kill((pid_t)up.pid, 0) == 0; ms += 5)
		usleep(5000);
	assert_int_equal(kill((pid_t)up.pid, 0), -1);
	close(fd);
}

/* ---- the sandbox ---- */

static void sandbox_is_on(void **state)
{
	struct world *w = *state;
	char path[64], line[256];
	unsigned int seen = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", w->worker);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		seen += !strcmp(line, "Seccomp:\t2\n") + !strcmp(line, "NoNewPrivs:\t1\n");
	fclose(f);
	assert_int_equal(seen, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(unpermitted_messages_end_the_worker),
		TEST(malformed_question_ends_the_worker),
		TEST(trailing_bytes_end_the_worker),
		TEST(half_a_group_ends_the_worker),
		TEST(process_zero_ends_the_worker),
		TEST(probe_without_canary_ends_the_worker),
		TEST(descriptor_with_a_question_ends_the_worker),
		TEST(question_from_svidd_ends_the_worker),
		cmocka_unit_test(without_svidd_it_does_not_start),
		TEST(other_process_of_that_number_is_not_answered_for),
		TEST(other_executable_is_not_answered_for),
		TEST(deleted_executable_has_no_path),
		TEST(file_called_deleted_has_its_path),
		TEST(memfd_has_no_path),
		TEST(path_is_that_of_the_executable),
		TEST(generation_is_compared),
		TEST(names_are_those_of_the_databases),
		TEST(unknown_user_is_no_error),
		TEST(socket_mode_gets_argv),
		TEST(namespaces_are_told_when_asked_for),
		TEST(next_core_is_served_after_the_first_is_gone),
		TEST(worker_ends_with_svidd),
		TEST(canary_is_connected_by_a_child_and_read_by_the_worker),
		TEST(canary_without_bytes_says_eagain),
		TEST(canary_without_listener_says_so),
		TEST(question_during_a_canary_ends_worker_and_child),
		TEST(sandbox_is_on),
	};

	return cmocka_run_group_tests_name("attest", tests, NULL, NULL);
}
