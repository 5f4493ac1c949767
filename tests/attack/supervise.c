// SPDX-License-Identifier: Apache-2.0
/*
 * A12: a library put into the trusted program without variable and without tracer. Whoever starts a program may start it
 * below a seccomp listener of his own, which answers its openat() with a descriptor of his choice, or below a filter that
 * says it is done: then the answer is 0, his descriptor 0. Runs in svid-attack as evil.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define FIRST_LIBRARY 2 /* the loader's first openat() is its cache, the second the first library it needs: libnghttp2 */

static int listen_on(int nr)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS");
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
}

static void go_on(int listener, uint64_t id)
{
	struct seccomp_notif_resp r = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

	/* ENOENT: it was killed meanwhile */
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r) && errno != ENOENT)
		die("NOTIF_SEND");
}

static void give(int listener, uint64_t id, int fd)
{
	struct seccomp_notif_addfd a = {.id = id, .srcfd = fd, .flags = SECCOMP_ADDFD_FLAG_SEND, .newfd_flags = O_CLOEXEC};

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) < 0)
		die("NOTIF_ADDFD");
}

/* Until the program ends: then poll() says POLLHUP alone. */
static void supervise(int listener, int library)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};
	struct seccomp_notif n;

	for (int calls = 1; poll(&p, 1, -1) > 0 && p.revents & POLLIN; calls++) {
		memset(&n, 0, sizeof(n));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
			continue;
		if (calls == FIRST_LIBRARY)
			give(listener, n.id, library);
		else
			go_on(listener, n.id);
	}
}

static void exec_trusted(const struct options *o)
{
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), NULL);
}

/* Trusted in a child that shares our descriptors until its exec: so the listener is ours. */
static pid_t start_below(const struct options *o, int *ret_listener)
{
	int told[2], listener;
	pid_t pid;

	if (pipe2(told, O_CLOEXEC))
		die("pipe");
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		listener = listen_on(SYS_openat);
		if (listener < 0)
			skip("a seccomp listener is refused here");
		if (write(told[1], &listener, sizeof(listener)) != sizeof(listener))
			die("pipe");
		exec_trusted(o);
	}
	if (read(told[0], ret_listener, sizeof(*ret_listener)) != sizeof(*ret_listener))
		die("pipe");
	return pid;
}

static int library_open(const struct options *o)
{
	int library = open(o->how, O_RDONLY | O_CLOEXEC);

	if (library < 0)
		die(o->how);
	return library;
}

/* how= is the library. */
static int a12_listener(const struct options *o)
{
	int library = library_open(o), listener;
	pid_t pid = start_below(o, &listener);

	supervise(listener, library);
	reap(pid);
	return 0;
}

/* Where the loader keeps the path of the first library: always there when nothing is at random. */
static uint64_t path_of_first_library(const struct options *o)
{
	struct seccomp_notif n;
	int listener, calls;
	pid_t pid = start_below(o, &listener);

	for (calls = 1;; calls++) {
		memset(&n, 0, sizeof(n));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
			die("NOTIF_RECV");
		if (calls == FIRST_LIBRARY)
			break;
		go_on(listener, n.id);
	}
	kill(pid, SIGKILL);
	reap(pid);
	close(listener);
	return n.data.args[1];
}

/* A filter by which the openat() of a path at @path has the errno @error; @computed: and says so by its accumulator. */
static int filter_set(uint64_t path, unsigned int error, bool computed)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)path, 0, 2),
		BPF_STMT(BPF_LD | BPF_IMM, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | (computed ? BPF_A : BPF_K), SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog);
}

/* how= is the library; variant=computed: the answer is not in the filter; variant=honest: refuses something else, as units do. */
static int a12_filter(const struct options *o)
{
	bool honest = is_variant(o, "honest");
	uint64_t path = 0;

	if (personality(ADDR_NO_RANDOMIZE) < 0)
		die("personality");
	if (!honest)
		path = path_of_first_library(o);
	if (dup2(library_open(o), STDIN_FILENO) < 0)
		die("dup2");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || filter_set(path, honest ? EPERM : 0, is_variant(o, "computed")))
		die("filter");
	exec_trusted(o);
	return 0;
}

const struct command supervise_commands[] = {
	{"a12-listener", "starts trusted below a seccomp listener that gives it the library how= (A12)", a12_listener},
	{"a12-filter", "starts trusted below a filter that says it opened the library how=; variant=computed|honest", a12_filter},
	{NULL, NULL, NULL},
};
