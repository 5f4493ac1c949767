/* links: agent/parent/spawn.c agent/parent/roles.c tests/lib/busy.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * undertaker_test.c - the real svid-undertaker, sandbox on, with this test as svid-core: what is slow to close does not
 * hold it, what it is not told it does not do. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "agent/parent/launch.h"
#include "tests/lib/busy.h"

#define IDS 48690
#define WAIT_MS 5000
#define LINGER_S 30

static struct {
	pid_t pid;
	int core; /* our end */
	struct buf scratch;
} w;

static int setup(void **state)
{
	static const char *const argv[] = { "svid-undertaker", "--index=0", "--log=warn", NULL };
	int pair[2];
	struct launch l = { .role = ROLE_UNDERTAKER, .who = { IDS, IDS }, .fds = &pair[1], .n_fds = 1, .argv = argv };

	(void)state;
	w.scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	l.exec_fd = open(SVID_BIN "/svid-undertaker", O_PATH | O_CLOEXEC);
	l.log_fd = getenv("VERBOSE") ? 2 : open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(l.exec_fd >= 0 && l.log_fd >= 0);
	assert_int_equal(launch(&l, &w.pid), 0);
	close(pair[1]);
	close(l.exec_fd);
	if (l.log_fd != 2)
		close(l.log_fd);
	w.core = pair[0];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (w.pid) {
		kill(w.pid, SIGKILL);
		waitpid(w.pid, NULL, 0);
	}
	if (w.core >= 0)
		close(w.core);
	buf_done(&w.scratch);
	return 0;
}

static int status_of_its_end(void)
{
	int status;

	for (int ms = 0; ms < WAIT_MS; ms += 5, usleep(5000))
		if (waitpid(w.pid, &status, WNOHANG) == w.pid) {
			w.pid = 0;
			return status;
		}
	fail_msg("it did not end");
	return -1;
}

static void give(int fd)
{
	assert_int_equal(ipc_put_fds(w.core, U_TAKE, 0, &fd, 1), 0);
	close(fd);
}

/* Milliseconds until it says closed. */
static uint64_t closes(void)
{
	struct pollfd p = { .fd = w.core, .events = POLLIN };
	struct stopwatch watch = stopwatch_start(w.pid);
	struct chan_msg m;

	assert_int_equal(ipc_put(w.core, U_CLOSE, 0), 0);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(ipc_recv(w.core, &w.scratch, &m), 0);
	assert_int_equal(m.type, MSG_U_CLOSED);
	return stopwatch_ms(&watch);
}

/* Whoever closes it last waits LINGER_S, because *@ret_peer takes nothing. */
static int lingering(int *ret_peer)
{
	const struct linger linger = { .l_onoff = 1, .l_linger = LINGER_S };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	static char bytes[65536];

	assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	assert_true(connect(fd, (struct sockaddr *)&at, len) == 0 || errno == EINPROGRESS);
	*ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(*ret_peer >= 0);
	close(listener);
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	return fd;
}

/* A connection as a client leaves it: @n messages with a lingering socket in each. */
static int loaded(int n)
{
	int pair[2], fd, peer;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (int i = 0; i < n; i++) {
		char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
		struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
		struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
				     .msg_controllen = sizeof(control) };
		struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

		fd = lingering(&peer); /* the peer stays open and unread until the test ends */
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
		assert_int_equal(sendmsg(pair[0], &mh, 0), 1);
		close(fd);
	}
	close(pair[0]);
	return pair[1];
}

static void a_connection_is_closed_when_told_and_not_before(void **state)
{
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	give(pair[1]);
	usleep(50000);
	assert_int_equal(read(pair[0], &byte, 1), -1);
	assert_int_equal(errno, EAGAIN);
	closes();
	assert_int_equal(read(pair[0], &byte, 1), 0);
	close(pair[0]);
}

static void lingering_sockets_do_not_hold_it(void **state)
{
	(void)state;
	give(loaded(1));
	assert_in_range(closes(), 0, 1000);
	give(loaded(20));
	assert_in_range(closes(), 0, 1000);
	for (int i = 0; i < LIM_BURY_AT_ONCE; i++)
		give(loaded(1));
	assert_in_range(closes(), 0, 1000);
	give(loaded(0));
	closes();
}

/* Proof that the test's connection is what it says: the same in this process takes as long as the sender likes. */
static void without_it_the_same_close_waits(void **state)
{
	pid_t pid;
	int fd;

	(void)state;
	fd = loaded(1);
	pid = fork();
	if (pid == 0) {
		usleep(100000);
		close(fd);
		_exit(0);
	}
	close(fd); /* not the last one */
	usleep(600000);
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid); /* at once: a process that ends does not linger */
}

static void killed_with_a_loaded_connection_it_is_gone_at_once(void **state)
{
	struct stopwatch watch;

	(void)state;
	give(loaded(3));
	watch = stopwatch_start(w.pid);
	kill(w.pid, SIGKILL);
	status_of_its_end();
	assert_in_range(stopwatch_ms(&watch), 0, 1000);
}

static void it_ends_with_its_channel(void **state)
{
	(void)state;
	give(loaded(1));
	close(w.core);
	w.core = -1;
	assert_int_equal(status_of_its_end(), 0);
}

static void what_it_is_not_asked_for_ends_it(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	(void)state;
	assert_int_equal(ipc_put(w.core, U_CLOSE, 0), 0); /* nothing is held */
	assert_int_not_equal(status_of_its_end(), 0);
	teardown(NULL);
	setup(NULL);
	for (int i = 0; i <= LIM_BURY_AT_ONCE; i++) /* one too many */
		give(dup(fd));
	assert_int_not_equal(status_of_its_end(), 0);
	teardown(NULL);
	setup(NULL);
	assert_int_equal(ipc_put(w.core, C_READY, 0), 0);
	assert_int_not_equal(status_of_its_end(), 0);
	close(fd);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(a_connection_is_closed_when_told_and_not_before),
		T(lingering_sockets_do_not_hold_it),
		T(without_it_the_same_close_waits),
		T(killed_with_a_loaded_connection_it_is_gone_at_once),
		T(it_ends_with_its_channel),
		T(what_it_is_not_asked_for_ends_it),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("svid-undertaker", tests, NULL, NULL);
}
