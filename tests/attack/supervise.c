// SPDX-License-Identifier: Apache-2.0
/*
 * A12: a library put into the trusted program without variable and without tracer. Whoever starts a program may start it
 * below a seccomp listener of his own, which answers its openat() with a descriptor of his choice. Runs in svid-attack as evil.
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

/* how= is the library. The child shares our descriptors until its exec: so the listener is ours. */
static int a12_listener(const struct options *o)
{
	int library = open(o->how, O_RDONLY | O_CLOEXEC), told[2], listener;
	pid_t pid;

	if (library < 0 || pipe2(told, O_CLOEXEC))
		die(o->how);
	pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0)
		die("clone");
	if (pid == 0) {
		listener = listen_on(SYS_openat);
		if (listener < 0)
			skip("a seccomp listener is refused here");
		if (write(told[1], &listener, sizeof(listener)) != sizeof(listener))
			die("pipe");
		exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), NULL);
	}
	if (read(told[0], &listener, sizeof(listener)) != sizeof(listener))
		die("pipe");
	supervise(listener, library);
	reap(pid);
	return 0;
}

const struct command supervise_commands[] = {
	{"a12-listener", "starts trusted below a seccomp listener that gives it the library how= (A12)", a12_listener},
	{NULL, NULL, NULL},
};
