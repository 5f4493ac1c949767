// SPDX-License-Identifier: Apache-2.0
/*
 * A3: the trusted program's connection in another program's hands: inherited, passed by SCM_RIGHTS (taken out of the
 * message when its sender is gone: inflight), stolen by pidfd_getfd, or in a table of descriptors that two processes
 * share; used by every way of ways.c. Runs in svid-attack: "a3" as trusted, "a3-thief" as evil.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/ways.h"

#define ANSWER_QUEUED_MS 300

void pass_fd(int over, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte = 'x';
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	if (sendmsg(over, &msg, 0) != 1)
		die("SCM_RIGHTS");
}

int receive_fd(int over)
{
	char control[CMSG_SPACE(sizeof(int))] = {0}, byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(over, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		die("SCM_RIGHTS");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

int steal_fd(int number)
{
	int pidfd = syscall(SYS_pidfd_open, getppid(), 0);
	int fd = pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, number, 0);

	if (fd < 0 && errno == EPERM)
		skip("pidfd_getfd is refused here (yama)");
	if (fd < 0)
		die("pidfd_getfd");
	return fd;
}

static int a3_thief(const struct options *o);

/* No exec: a process of its own, of the same program, with the very same descriptors. */
static pid_t spawn_in_files(const struct options *o, int fd)
{
	pid_t pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	struct options child = *o;

	child.fd = fd;
	if (pid == 0)
		_exit(a3_thief(&child));
	if (pid < 0)
		die("clone");
	return pid;
}

/* The trusted side: connect, ask when the thief is only to read, and let the descriptor out. */
static int a3(const struct options *o)
{
	bool thief_asks = way_find(o->how)->sends, passes = is_variant(o, "passed") || is_variant(o, "inflight");
	int fd = client_open(o->socket), pair[2] = {-1, -1};
	struct request r;
	struct answer a;
	pid_t pid;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	answer_init(&a);
	request_build(&r);
	if (!thief_asks)
		client_send(fd, &a, r.bytes, r.len);
	if (passes && socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		die("socketpair");
	if (passes && fcntl(pair[0], F_SETFD, FD_CLOEXEC))
		die("F_SETFD");
	if (is_variant(o, "inherited"))
		keep_open(fd);
	pid = is_variant(o, "files") ? spawn_in_files(o, fd) :
	      spawn_as(o->evil, "a3-thief", word_text("variant", o->variant), word_text("how", o->how),
		       word("fd", passes ? pair[1] : fd), word("wait", o->wait_ms), NULL);
	if (passes)
		pass_fd(pair[0], fd);
	if (is_variant(o, "inflight")) {
		sleep_ms(ANSWER_QUEUED_MS);
		return 0;
	}
	reap(pid);
	return 0;
}

/* Until nobody holds the other end of the pair. */
static void await_end(int fd)
{
	struct pollfd p = {.fd = fd};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

static int obtain(const struct options *o)
{
	if (is_variant(o, "inflight"))
		await_end(o->fd);
	if (is_variant(o, "passed") || is_variant(o, "inflight"))
		return receive_fd(o->fd);
	if (is_variant(o, "inherited") || is_variant(o, "files"))
		return o->fd;
	return steal_fd(o->fd);
}

static void receive(const struct way *w, int fd, struct answer *a, int wait_ms)
{
	int64_t end = now_us() + wait_ms * 1000LL;
	uint8_t bytes[16384];
	ssize_t n;

	while (!answer_over(a)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int left = (end - now_us()) / 1000;

		if (left <= 0 || poll(&p, 1, left) == 0)
			return;
		n = w->move(fd, bytes, sizeof(bytes));
		if (n > 0)
			answer_feed(a, bytes, n);
		else
			answer_ended(a, n, errno);
		if (w->peeks)
			return;
	}
}

void say_after(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};
	int64_t start = now_us();

	if (poll(&p, 1, wait_ms) > 0)
		say("after: cut %lld us", (long long)(now_us() - start));
	else
		say("after: open");
}

static int a3_thief(const struct options *o)
{
	const struct way *w = way_find(o->how);
	int fd = obtain(o);
	struct request r;
	struct answer a;
	ssize_t n;

	answer_init(&a);
	request_build(&r);
	if (w->sends) {
		n = w->move(fd, r.bytes, r.len);
		if (n != (ssize_t)r.len)
			answer_ended(&a, n, errno);
		a.closed = false;
		client_read(fd, &a, o->wait_ms, true);
	} else {
		sleep_ms(ANSWER_QUEUED_MS);
		receive(w, fd, &a, o->wait_ms);
	}
	answer_say("thief", &a);
	say_after(fd, 500);
	return 0;
}

const struct command fd_pass_commands[] = {
	{"a3", "trusted loses its descriptor; variant=inherited|passed|inflight|stolen|files how=WAY", a3},
	{"a3-thief", "(second half of a3)", a3_thief},
	{NULL, NULL, NULL},
};
