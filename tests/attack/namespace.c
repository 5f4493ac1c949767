// SPDX-License-Identifier: Apache-2.0
/*
 * A1, A10: numbers and paths that are trusted's in a view of pids or of the file system that the attacker made. Needs no
 * privilege where users may make user namespaces. Runs in svid-attack as evil.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static int a10_bind(const struct options *o)
{
	enter_user_ns(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make private");
	if (mount(o->evil, o->trusted, NULL, MS_BIND, NULL))
		die("bind mount");
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL);
}

/* The working directory stays outside the jail: that is how the socket is reached. how= is the jail. */
static int a10_chroot(const struct options *o)
{
	char dir[256];
	int n = snprintf(dir, sizeof(dir), "%s", o->socket);

	while (n > 1 && dir[n - 1] != '/')
		n--;
	dir[n - 1] = 0;
	enter_user_ns(0);
	if (chdir(dir) || chroot(o->how))
		die("chroot");
	exec_as(o->trusted, "fetch", word_text("socket", o->socket + n), word("wait", o->wait_ms), "who=thief", NULL);
}

/* Root of nothing puts a layer of his own over the folder of trusted: how= is one that holds evil by that name. */
static int a10_overlay(const struct options *o)
{
	const char *slash = strrchr(o->trusted, '/');
	char folder[256], layers[600];

	snprintf(folder, sizeof(folder), "%.*s", (int)(slash - o->trusted), o->trusted);
	snprintf(layers, sizeof(layers), "lowerdir=%s:%s,userxattr", o->how, folder);
	enter_user_ns(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make private");
	if (mount("overlay", folder, "overlay", 0, layers)) {
		if (errno == EPERM || errno == ENODEV)
			skip("users may not mount overlayfs here");
		die("overlay");
	}
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL);
}

/* The real trusted program, with a library of evil's (evil=) over one that it loads (how=). */
static int a10_library(const struct options *o)
{
	enter_user_ns(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make private");
	if (mount(o->evil, o->how, NULL, MS_BIND, NULL))
		die("bind mount");
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), NULL);
}

/* Process 1 of its own pid namespace may choose pids there: it takes the one that trusted has outside. */
static void ask_as_namesake(const struct options *o)
{
	pid_t wanted = o->pid;
	struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&wanted, .set_tid_size = 1};
	pid_t pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0 && errno == EPERM)
		skip("clone3 with set_tid is refused here");
	if (pid < 0)
		die("clone3");
	if (pid == 0) {
		if (getpid() != o->pid)
			die("not the namesake");
		exec_as(o->evil, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL);
	}
	reap(pid);
	_exit(0);
}

static int a1_namesake(const struct options *o)
{
	pid_t pid;

	enter_user_ns(CLONE_NEWPID);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0)
		ask_as_namesake(o);
	reap(pid);
	return 0;
}

const struct command namespace_commands[] = {
	{"a10-bind", "evil is mounted over trusted in its own mount namespace", a10_bind},
	{"a10-chroot", "evil is at the trusted path below how=JAIL", a10_chroot},
	{"a10-overlay", "evil lies over trusted in a layer of its own overlayfs", a10_overlay},
	{"a10-library", "trusted in own namespaces, evil= over its library how=", a10_library},
	{"a1-namesake", "evil with the number pid= in a pid namespace of its own", a1_namesake},
	{NULL, NULL, NULL},
};
