// SPDX-License-Identifier: Apache-2.0
/*
 * A12: code or data put into the trusted program by one that may trace it. Runs in svid-attack as evil; the victim is
 * "victim" of caller.c. Preloaded libraries come from preload/evil.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static char yes[8] = "yes";

static bool by_ptrace(const struct options *o)
{
	long value;

	memcpy(&value, yes, sizeof(value));
	if (ptrace(PTRACE_ATTACH, o->pid, NULL, NULL))
		return false;
	waitpid(o->pid, NULL, 0);
	if (ptrace(PTRACE_POKEDATA, o->pid, (void *)o->addr, (void *)value))
		return false;
	return ptrace(PTRACE_DETACH, o->pid, NULL, NULL) == 0;
}

static bool by_mem(const struct options *o)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", o->pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd >= 0 && pwrite(fd, yes, sizeof(yes), o->addr) == sizeof(yes);
}

static bool by_writev(const struct options *o)
{
	struct iovec from = {.iov_base = yes, .iov_len = sizeof(yes)};
	struct iovec to = {.iov_base = (void *)o->addr, .iov_len = sizeof(yes)};

	return process_vm_writev(o->pid, &from, 1, &to, 1, 0) == sizeof(yes);
}

static int trace(const struct options *o)
{
	bool done = is_variant(o, "mem") ? by_mem(o) : is_variant(o, "writev") ? by_writev(o) : by_ptrace(o);

	if (!done && (errno == EPERM || errno == EACCES))
		skip("tracing is refused here (yama)");
	if (!done)
		die("trace");
	say("traced: yes");
	return 0;
}

/* Traced from its first instruction on, then let go: as a debugger that was there before. */
static int trace_start(const struct options *o)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
			die("PTRACE_TRACEME");
		exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), NULL);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) < 0)
		die("fork");
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		die("PTRACE_DETACH");
	say("injected: yes");
	reap(pid);
	return 0;
}

const struct command tracing_commands[] = {
	{"trace", "writes into pid= at addr=; variant=mem|writev, else ptrace (A12)", trace},
	{"trace-start", "starts trusted under ptrace and lets it go (A12)", trace_start},
	{NULL, NULL, NULL},
};
