// SPDX-License-Identifier: Apache-2.0
/*
 * A1: a connection outlives the process that made it, and its pid gets a new owner. Runs in svid-attack, started as
 * root only to choose the pid: an attacker without privilege forks until the number comes round again.
 */
#include <errno.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define RECYCLE_SETTLE_MS 200

/* One role, run as the plain user: the program at @path with this command on our socket. */
static void run_role(const struct options *o, const char *path, const char *command, int fd)
{
	become(o->uid);
	exec_as(path, command, word("fd", fd), word("wait", o->wait_ms), word_text("socket", o->socket),
		word_text("how", o->how), word("delay", strcmp(command, "hold") == 0 ? 2000 : 0), NULL);
}

static pid_t clone_as(pid_t wanted)
{
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};

	return syscall(SYS_clone3, &args, sizeof(args));
}

static pid_t start(const struct options *o, const char *path, const char *command, int fd)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		run_role(o, path, command, fd);
	return pid;
}

static pid_t recycle(const struct options *o, pid_t wanted, const char *path, const char *command, int fd)
{
	pid_t pid = clone_as(wanted);

	if (pid < 0 && errno == EPERM)
		skip("clone3 with set_tid is refused here");
	if (pid < 0)
		die("clone3");
	if (pid == 0)
		run_role(o, path, command, fd);
	return pid;
}

/* how=early: who connects also asks, and the agent looks only afterwards. */
static int a1(const struct options *o)
{
	const char *steal = is_how(o, "early") ? "read-fd-sync" : "ask-fd";
	bool reverse = is_variant(o, "reverse"), zombie = is_variant(o, "zombie");
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	pid_t first, second = 0, thief = 0;

	first = start(o, reverse ? o->trusted : o->evil, "connect-fd", fd);
	if (zombie) {
		siginfo_t info;

		waitid(P_PID, first, &info, WEXITED | WNOWAIT);
	} else {
		reap(first);
	}
	if (reverse)
		second = recycle(o, first, o->evil, steal, fd);
	else if (!zombie)
		second = recycle(o, first, o->trusted, "hold", fd);
	sleep_ms(RECYCLE_SETTLE_MS);
	if (!reverse)
		thief = start(o, o->evil, steal, fd);
	close(fd);
	reap(reverse ? second : thief);
	if (!reverse && second) {
		kill(second, SIGKILL);
		reap(second);
	}
	return 0;
}

/* Connects a descriptor that others hold too; stays when told how long. */
static int connect_fd(const struct options *o)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct request r;
	struct answer a;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", o->socket);
	if (connect(o->fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	if (is_how(o, "early")) {
		answer_init(&a);
		request_build(&r);
		client_send(o->fd, &a, r.bytes, r.len);
	}
	sleep_ms(o->delay_ms);
	return 0;
}

static int connect_exec(const struct options *o)
{
	connect_fd(o);
	exec_as(o->trusted, "hold", word("delay", 3000), NULL);
}

const struct command pid_recycle_commands[] = {
	{"a1", "connect, exit, another program gets the pid; variant=zombie|reverse; as root", a1},
	{"connect-fd", "connects an inherited descriptor", connect_fd},
	{"connect-exec", "the same, then execs trusted", connect_exec},
	{NULL, NULL, NULL},
};
