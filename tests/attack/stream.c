// SPDX-License-Identifier: Apache-2.0
/*
 * A4, A20, A22: a stream that was right when it began. What the process becomes afterwards must end it, whether its
 * front listens or not. Runs in svid-attack as the trusted program; a fork of it keeps the descriptor and watches.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* Times are of CLOCK_MONOTONIC; the test subtracts. Reading would be a use of the connection, poll() is none. */
static void watch(int fd, int wait_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	if (poll(&p, 1, wait_ms) > 0)
		say("closed-at: %lld", (long long)now_us());
	else
		say("closed-at: never");
}

/* What was pushed since: everything before was read by the stream's owner. */
static void collect(const struct options *o, int fd)
{
	struct answer a;

	answer_init(&a);
	sync_point("pushed");
	client_read(fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
}

static int open_stream(const struct options *o)
{
	int fd = client_open(o->socket);
	struct answer a;

	answer_init(&a);
	client_ask(fd, &a, o->wait_ms);
	answer_say("before", &a);
	/* the acknowledgement of our settings may be behind the answer */
	sleep_ms(50);
	a.messages = 0;
	client_read(fd, &a, 50, false);
	return fd;
}

static void *exec_thread(void *arg)
{
	const struct options *o = arg;

	exec_as(o->words[0], "hold", word("delay", 3000), NULL);
	return NULL;
}

static void act(const struct options *o)
{
	pthread_t thread;

	if (is_variant(o, "exit") || is_variant(o, "inflight"))
		_exit(0);
	if (is_variant(o, "exec"))
		exec_thread((void *)o);
	if (pthread_create(&thread, NULL, exec_thread, (void *)o))
		die("pthread_create");
	pthread_join(thread, NULL);
}

static void await_hangup(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
}

/* The owner goes away, or becomes another image; the watcher, a child, sees the pipe close at that moment. */
static int a4_gone(const struct options *o)
{
	int fd = open_stream(o), gone[2], pair[2];
	bool in_flight = is_variant(o, "inflight");

	if (pipe2(gone, O_CLOEXEC) || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("pipe");
	if (fork()) {
		if (in_flight)
			pass_fd(pair[0], fd);
		sync_point("streaming");
		act(o);
	}
	close(gone[1]);
	if (in_flight)
		close(fd);
	await_hangup(gone[0]);
	say("event-at: %lld", (long long)now_us());
	if (in_flight) {
		sleep_ms(20); /* it is in no process now */
		fd = receive_fd(pair[1]);
	}
	watch(fd, o->wait_ms / 2);
	collect(o, fd);
	return 0;
}

/* The owner exits, and a process that shares its descriptors, which so stay as they are, watches. */
static int a4_files(const struct options *o)
{
	int fd = open_stream(o), owner = syscall(SYS_pidfd_open, getpid(), 0);
	pid_t pid = owner < 0 ? -1 : syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		die("clone");
	if (pid) {
		sync_point("streaming");
		_exit(0);
	}
	await_hangup(owner);
	say("event-at: %lld", (long long)now_us());
	watch(fd, o->wait_ms / 2);
	collect(o, fd);
	return 0;
}

/* The owner stays and changes: ids, a namespace, a cgroup (which the test does), or only what it is entitled to. */
static int a4_changed(const struct options *o)
{
	int fd = open_stream(o);

	sync_point("streaming");
	say("event-at: %lld", (long long)now_us());
	if (is_variant(o, "setuid"))
		become(o->uid);
	if (is_variant(o, "userns"))
		enter_user_ns(0);
	watch(fd, o->wait_ms / 2);
	collect(o, fd);
	return 0;
}

/* A20: a holder that causes events. fd is set from the second round on. */
static int noisy(const struct options *o)
{
	int fd = o->fd < 0 ? open_stream(o) : o->fd;

	if (o->fd < 0) {
		sync_point("streaming");
		keep_open(fd);
	}
	if (is_variant(o, "ids")) {
		for (int i = 0; i < o->count; i++)
			if (seteuid(i % 2 ? 0 : o->uid))
				die("seteuid");
	} else if (o->count > 1) {
		exec_as(o->words[0], "noisy", word("count", o->count - 1), word("fd", fd), NULL);
	}
	say("noise: made");
	return 0;
}

const struct command stream_commands[] = {
	{"a4-gone", "the stream's owner leaves; variant=exit|inflight|exec|thread-exec", a4_gone},
	{"a4-files", "the stream's owner leaves, who shares its descriptors stays", a4_files},
	{"a4-changed", "the stream's owner changes; variant=setuid|userns|watch", a4_changed},
	{"noisy", "a holder that causes count events; variant=ids: by its ids, else by execve", noisy},
	{NULL, NULL, NULL},
};
