// SPDX-License-Identifier: Apache-2.0
/*
 * A10, A17: what only a user namespace gives, used from outside of one, or the other way round: a mount that another
 * process made, and credentials that a ring remembers. Runs in svid-attack as evil; borrow-ask as trusted.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/client.h"

extern char **environ;

/* In its own namespaces evil lies over trusted; it lives as long as the pipe. */
static void hold_mount(const struct options *o, int ready, int leash)
{
	char c = 0;

	enter_user_ns(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(o->evil, o->trusted, NULL, MS_BIND, NULL))
		die("bind mount");
	if (write(ready, &c, 1) != 1 || read(leash, &c, 1) < 0)
		die("pipe");
	_exit(0);
}

/* Executed through /proc/PID/root, in the initial namespaces: the file is evil, its name is trusted's. */
static int a10_outside(const struct options *o)
{
	int ready[2], leash[2];
	char path[512], c;
	pid_t pid;

	if (pipe2(ready, O_CLOEXEC) || pipe(leash))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		close(leash[1]);
		hold_mount(o, ready[1], leash[0]);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		_exit(0); /* the child said why */
	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, o->trusted);
	exec_as(path, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL);
}

/* What a ring needs to be used by whoever inherits it. */
struct borrowed {
	struct io_uring_params params;
	int ring_fd;
	int personality;
};

static int make_ring(void)
{
	int fd = memfd_create("borrowed", 0);
	struct borrowed *b;
	struct io_uring ring;
	int err;

	if (fd < 0 || ftruncate(fd, sizeof(*b)))
		die("memfd");
	b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (b == MAP_FAILED)
		die("mmap");
	err = io_uring_queue_init_params(8, &ring, &b->params);
	if (err)
		skip("io_uring is refused here");
	b->personality = io_uring_register_personality(&ring);
	b->ring_fd = dup(ring.ring_fd);
	if (b->personality < 0 || b->ring_fd < 0)
		die("personality");
	return fd;
}

/* The jail's libraries are the attacker's: whatever they do runs in a process whose executable is trusted. how= is it. */
static int a17_personality(const struct options *o)
{
	int ring = make_ring();
	int exe = open(o->trusted, O_RDONLY | O_CLOEXEC);
	const char *name = strrchr(o->socket, '/') + 1;
	char dir[256];
	char *argv[] = {(char *)o->trusted, "borrow-ask", strdup(word_text("socket", name)), strdup(word("wait", o->wait_ms)),
			strdup(word("fd", ring)), NULL};

	snprintf(dir, sizeof(dir), "%.*s", (int)(name - o->socket), o->socket);
	enter_user_ns(0);
	if (exe < 0 || chdir(dir) || chroot(o->how))
		die("chroot");
	syscall(SYS_execveat, exe, "", argv, environ, AT_EMPTY_PATH);
	die("execveat");
}

static int done(struct io_uring *ring, struct io_uring_sqe *sqe, int personality)
{
	struct io_uring_cqe *cqe;
	int n;

	sqe->personality = personality;
	n = io_uring_submit_and_wait(ring, 1);
	if (n < 0 || io_uring_peek_cqe(ring, &cqe))
		return n < 0 ? n : -EIO;
	n = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return n;
}

static void ask_as(struct io_uring *ring, int fd, int personality, struct answer *a)
{
	static uint8_t bytes[16384];
	struct io_uring_sqe *sqe;
	struct request r;
	int n;

	request_build(&r);
	sqe = io_uring_get_sqe(ring);
	io_uring_prep_send(sqe, fd, r.bytes, r.len, 0);
	n = done(ring, sqe, personality);
	if (n < 0)
		answer_ended(a, -1, -n);
	while (!answer_over(a)) {
		sqe = io_uring_get_sqe(ring);
		io_uring_prep_recv(sqe, fd, bytes, sizeof(bytes), 0);
		n = done(ring, sqe, personality);
		if (n > 0)
			answer_feed(a, bytes, n);
		else
			answer_ended(a, n < 0 ? -1 : 0, -n);
	}
}

static int borrow_ask(const struct options *o)
{
	struct borrowed *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct io_uring ring = {0};
	struct io_uring_sqe *sqe;
	static struct answer a;
	int n;

	if (b == MAP_FAILED || io_uring_queue_mmap(b->ring_fd, &b->params, &ring))
		die("inherited ring");
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", o->socket);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&sa, sizeof(sa));
	n = done(&ring, sqe, b->personality);
	if (n < 0) {
		errno = -n;
		die("connect");
	}
	answer_init(&a);
	ask_as(&ring, fd, b->personality, &a);
	answer_say("thief", &a);
	return 0;
}

const struct command borrowed_commands[] = {
	{"a10-outside", "evil, mounted over trusted by a child in its own namespaces, executed from outside", a10_outside},
	{"a17-personality", "trusted in a user namespace and how=JAIL, connecting by an outsider's ring", a17_personality},
	{"borrow-ask", "(second half of a17-personality)", borrow_ask},
	{NULL, NULL, NULL},
};
