// SPDX-License-Identifier: Apache-2.0
/*
 * A17: the same calls made by other threads of the kernel's or of our own. The trusted program must be served whichever
 * way it goes, and the connect-fork-exec of A2 must fail whichever way it goes. Runs in svid-attack.
 */
#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/ways.h"

#define EXEC_SETTLE_MS 300

static enum ring_mode mode_of(const struct options *o)
{
	return is_variant(o, "worker") ? RING_WORKER : is_variant(o, "sqpoll") ? RING_SQPOLL : RING_INLINE;
}

static void ring_send(const struct options *o, int fd, struct answer *a)
{
	struct request r;
	ssize_t n;

	request_build(&r);
	n = ring_move(fd, r.bytes, r.len, true, mode_of(o));
	if (n < 0)
		answer_ended(a, n, errno);
}

static void ring_read(const struct options *o, int fd, struct answer *a)
{
	uint8_t bytes[16384];
	ssize_t n;

	while (!answer_over(a)) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, o->wait_ms) == 0)
			break;
		n = ring_move(fd, bytes, sizeof(bytes), false, mode_of(o));
		if (n > 0)
			answer_feed(a, bytes, n);
		else
			answer_ended(a, n, errno);
	}
}

struct job {
	const struct options *o;
	int fd;
	struct answer *a;
};

static void *thread_connect(void *arg)
{
	struct job *j = arg;

	j->fd = client_open(j->o->socket);
	return NULL;
}

static void *thread_send(void *arg)
{
	struct job *j = arg;
	struct request r;

	request_build(&r);
	client_send(j->fd, j->a, r.bytes, r.len);
	return NULL;
}

static void in_thread(void *(*f)(void *), struct job *j)
{
	pthread_t t;

	if (pthread_create(&t, NULL, f, j))
		die("pthread_create");
	pthread_join(t, NULL);
}

/* One thread connects and ends, another sends and ends, the first of all reads. */
static void threads_ask(const struct options *o, const char *who)
{
	struct answer a;
	struct job j = {.o = o, .fd = -1, .a = &a};

	answer_init(&a);
	in_thread(thread_connect, &j);
	in_thread(thread_send, &j);
	client_read(j.fd, &a, o->wait_ms, false);
	answer_say(who, &a);
}

static void rings_ask(const struct options *o, const char *who)
{
	int fd = ring_connect(o->socket, mode_of(o));
	struct answer a;

	answer_init(&a);
	ring_send(o, fd, &a);
	ring_read(o, fd, &a);
	answer_say(who, &a);
}

static int a17_honest(const struct options *o)
{
	if (is_variant(o, "threads"))
		threads_ask(o, o->who);
	else
		rings_ask(o, o->who);
	return 0;
}

/* The request has the right stamp, the agent is kept from looking: see ask_later() in fork_exec.c. */

static int a17(const struct options *o)
{
	struct answer a;
	struct job j = {.o = o, .fd = -1, .a = &a};
	bool threads = is_variant(o, "threads");

	answer_init(&a);
	if (threads)
		in_thread(thread_connect, &j);
	else
		j.fd = ring_connect(o->socket, mode_of(o));
	if (fork() == 0) {
		sleep_ms(EXEC_SETTLE_MS);
		sync_point("replaced");
		if (threads)
			client_read(j.fd, &a, o->wait_ms, true);
		else
			ring_read(o, j.fd, &a);
		answer_say("thief", &a);
		_exit(0);
	}
	if (threads)
		in_thread(thread_send, &j);
	else
		ring_send(o, j.fd, &a);
	exec_as(o->trusted, "hold", word("delay", 1500), NULL);
}

/* A ring with a polling thread, shared with a child: requests would run as the parent, if it still had the ring. */
static int a17_shared(const struct options *o)
{
	struct io_uring_params params = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 5000};
	int fd = client_open(o->socket), err;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	struct request r;
	struct answer a;
	struct __kernel_timespec limit = {.tv_sec = 1};

	answer_init(&a);
	request_build(&r);
	err = io_uring_queue_init_params(8, &ring, &params);
	if (err)
		skip("io_uring is disabled here");
	if (fork())
		exec_as(o->trusted, "hold", word("delay", 1500), NULL);
	sleep_ms(EXEC_SETTLE_MS);
	io_uring_prep_send(io_uring_get_sqe(&ring), fd, r.bytes, r.len, MSG_NOSIGNAL);
	err = io_uring_submit(&ring);
	if (err >= 0)
		err = io_uring_wait_cqe_timeout(&ring, &cqe, &limit);
	if (err < 0)
		answer_ended(&a, -1, -err);
	client_read(fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
	return 0;
}

const struct command io_uring_commands[] = {
	{"a17-honest", "the honest caller; variant=inline|worker|sqpoll|threads", a17_honest},
	{"a17", "connect, fork, the parent execs trusted; the same variants", a17},
	{"a17-shared", "a polling ring shared with a child outlives the parent's image", a17_shared},
	{NULL, NULL, NULL},
};
