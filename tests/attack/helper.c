// SPDX-License-Identifier: Apache-2.0
/*
 * A13 with helpers[]: a program that a WorkloadCredential lets read for the identified process that started it. Who did start
 * it, and what is it really? Runs in svid-attack. how= is the helper, file= what it reads.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define SETTLE_MS 300

static void be_helper(const struct options *o)
{
	exec_as(o->how, "tree-read", word_text("file", o->file), "who=thief", NULL);
}

static void become_evil(const struct options *o, const char *command)
{
	exec_as(o->evil, command, word_text("file", o->file), word_text("how", o->how), NULL);
}

/* What the child does that was forked by who is (or is not) identified. */
static void child(const struct options *o)
{
	pid_t parent = getppid();

	if (is_variant(o, "again"))
		exec_as(o->how, "tree-read", "variant=fork", word_text("file", o->file), "who=thief", NULL);
	if (is_variant(o, "preload") && setenv("LD_PRELOAD", "libm.so.6", 1))
		die("setenv");
	if (is_variant(o, "userns"))
		enter_user_ns(0);
	if (is_variant(o, "traced") && ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		die("PTRACE_TRACEME");
	if (is_variant(o, "clone-parent"))
		become_evil(o, "helper-sibling");
	if (is_variant(o, "within"))
		become_evil(o, "helper-become");
	while (is_variant(o, "orphan") && getppid() == parent)
		sleep_ms(10);
	if (is_variant(o, "replaced") || is_variant(o, "late"))
		sleep_ms(2 * SETTLE_MS);
	be_helper(o);
}

/* Let a child go that stopped in its execve. */
static void let_go(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && ptrace(PTRACE_DETACH, pid, NULL, NULL))
		die("PTRACE_DETACH");
}

static pid_t start(const struct options *o)
{
	pid_t pid = is_variant(o, "vfork") ? vfork() : fork();

	if (pid < 0)
		die("fork");
	if (pid == 0)
		child(o);
	return pid;
}

static void *start_in_thread(void *arg)
{
	reap(start(arg));
	return NULL;
}

static int helper_run(const struct options *o)
{
	pthread_t thread;
	pid_t pid;

	if (is_variant(o, "thread")) {
		if (pthread_create(&thread, NULL, start_in_thread, (void *)o) || pthread_join(thread, NULL))
			die("pthread_create");
		return 0;
	}
	pid = start(o);
	if (is_variant(o, "orphan")) {
		sleep_ms(SETTLE_MS); /* it knows us */
		_exit(0);
	}
	if (is_variant(o, "replaced"))
		exec_as(o->evil, "hold", word("delay", o->wait_ms), NULL);
	if (is_variant(o, "late"))
		exec_as(o->trusted, "hold", word("delay", o->wait_ms), NULL);
	if (is_variant(o, "traced"))
		let_go(pid);
	reap(pid);
	return 0;
}

/* Evil that trusted started makes itself a brother: the kernel then calls trusted his parent. */
static int helper_sibling(const struct options *o)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid < 0)
		die("clone");
	if (pid == 0)
		be_helper(o);
	sleep_ms(o->wait_ms / 2); /* it is not ours to wait for */
	return 0;
}

static int helper_become(const struct options *o)
{
	be_helper(o);
	return 3;
}

const struct command helper_commands[] = {
	{"helper-run", "starts the helper how= for file=; variant=thread|vfork|again|preload|userns|traced|orphan|replaced|late",
	 helper_run},
	{"helper-sibling", "(second half of variant=clone-parent)", helper_sibling},
	{"helper-become", "(second half of variant=within)", helper_become},
	{NULL, NULL, NULL},
};
