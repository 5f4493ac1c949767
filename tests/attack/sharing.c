// SPDX-License-Identifier: Apache-2.0
/*
 * A2, A3, A7: what processes and threads share while one of them connects, asks or ends: a table of descriptors without
 * being one process, a ring's fixed files, a thread group whose first thread is gone. Runs in svid-attack.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/ways.h"

#define SETTLE_MS 300

static int shared_fd = -1;

/* In its parent's memory and descriptors, yet a process: what it connects stays in the parent's table when it execs. */
static int ask_for_parent(void *arg)
{
	const struct options *o = arg;
	struct request r;
	struct answer a;

	shared_fd = client_open(o->socket);
	answer_init(&a);
	request_build(&r);
	client_send(shared_fd, &a, r.bytes, r.len);
	exec_as(o->trusted, "hold", word("delay", 3000), NULL);
}

/* A2 the other way round: the child asks and becomes trusted, the parent has the answer. */
static int a2_files(const struct options *o)
{
	static char stack[1 << 17] __attribute__((aligned(16)));
	int flags = CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD;
	struct answer a;
	pid_t pid = clone(ask_for_parent, stack + sizeof(stack), flags, (void *)o);

	if (pid < 0)
		die("clone");
	sleep_ms(SETTLE_MS);
	sync_point("replaced");
	answer_init(&a);
	client_read(shared_fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
	kill(pid, SIGKILL);
	reap(pid);
	return 0;
}

struct ring_file {
	struct io_uring_params params;
	int ring_fd;
};

/* A3: trusted's connection as file 0 of a ring that its child inherits; it is in no table of the child's. how= as in ways.c */
static int a3_ring(const struct options *o)
{
	int fd = client_open(o->socket), memory = memfd_create("ring", 0);
	struct ring_file *shared;
	struct io_uring ring;
	struct request r;
	struct answer a;

	if (memory < 0 || ftruncate(memory, sizeof(*shared)))
		die("memfd");
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (io_uring_queue_init_params(8, &ring, &shared->params))
		skip("io_uring is refused here");
	if (io_uring_register_files(&ring, &fd, 1))
		die("register_files");
	shared->ring_fd = dup(ring.ring_fd);
	answer_init(&a);
	request_build(&r);
	if (!is_how(o, "send"))
		client_send(fd, &a, r.bytes, r.len);
	reap(spawn_as(o->evil, "a3-ring-thief", word_text("how", o->how), word("fd", memory), word("wait", o->wait_ms), NULL));
	say_after(fd, 500);
	return 0;
}

static int run(struct io_uring *ring, struct io_uring_sqe *sqe, int wait_ms)
{
	struct __kernel_timespec limit = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000L};
	struct io_uring_cqe *cqe;
	int n;

	sqe->flags |= IOSQE_FIXED_FILE;
	n = io_uring_submit(ring);
	if (n >= 0)
		n = io_uring_wait_cqe_timeout(ring, &cqe, &limit);
	if (n < 0)
		return n;
	n = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return n;
}

static int a3_ring_thief(const struct options *o)
{
	struct ring_file *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	static uint8_t bytes[16384];
	struct io_uring ring = {0};
	struct request r;
	struct answer a;
	int n = 0;

	if (shared == MAP_FAILED || io_uring_queue_mmap(shared->ring_fd, &shared->params, &ring))
		die("inherited ring");
	sleep_ms(SETTLE_MS);
	answer_init(&a);
	request_build(&r);
	if (is_how(o, "send")) {
		io_uring_prep_send(io_uring_get_sqe(&ring), 0, r.bytes, r.len, MSG_NOSIGNAL);
		n = run(&ring, ring.sq.sqes, o->wait_ms);
		if (n < 0)
			answer_ended(&a, -1, -n);
	}
	while (!answer_over(&a) && n != -ETIME) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		io_uring_prep_recv(sqe, 0, bytes, sizeof(bytes), 0);
		n = run(&ring, sqe, o->wait_ms);
		if (n > 0)
			answer_feed(&a, bytes, n);
		else if (n != -ETIME)
			answer_ended(&a, n < 0 ? -1 : 0, -n);
	}
	answer_say("thief", &a);
	return 0;
}

static void *ask_alone(void *arg)
{
	const struct options *o = arg;
	struct answer a;

	sleep_ms(50); /* the first thread is gone by now */
	answer_init(&a);
	client_ask(client_open(o->socket), &a, o->wait_ms);
	answer_say(o->who, &a);
	_exit(0);
}

/* A thread asks, on behalf of a process whose first thread has ended. */
static int leaderless(const struct options *o)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, ask_alone, (void *)o))
		die("pthread_create");
	pthread_exit(NULL);
}

static void *exec_fetch(void *arg)
{
	const struct options *o = arg;

	sleep_ms(50);
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), word_text("who", o->who), NULL);
	return NULL;
}

/* trusted= is executed by a thread; variant=leaderless: the first one has ended by then. */
static int thread_start(const struct options *o)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, exec_fetch, (void *)o))
		die("pthread_create");
	if (is_variant(o, "leaderless"))
		pthread_exit(NULL);
	pthread_join(thread, NULL);
	return 3;
}

const struct command sharing_commands[] = {
	{"a2-files", "a child in the same files connects, asks and execs trusted; the parent reads", a2_files},
	{"a3-ring", "trusted's connection as a fixed file of an inherited ring; how=send|recv", a3_ring},
	{"a3-ring-thief", "(second half of a3-ring)", a3_ring_thief},
	{"leaderless", "the honest caller whose first thread has ended", leaderless},
	{"thread-start", "the honest caller, executed by a thread; variant=leaderless", thread_start},
	{NULL, NULL, NULL},
};
