/* SPDX-License-Identifier: Apache-2.0 */
/* busy.c - what /proc says of processes that wait: for a CPU, or for events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/busy.h"

#define WAIT_MS 20000

static bool read_line(pid_t pid, const char *name, char line[static 256])
{
	char path[64];
	bool there;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	f = fopen(path, "r");
	there = f && fgets(line, 256, f);
	if (f)
		fclose(f);
	return there;
}

/* The second number: ns in the run queue. A kernel without it, or a process that is gone, waited for nothing. */
static uint64_t waited(pid_t pid)
{
	uint64_t ran, ns = 0;
	char line[256];

	if (!pid || !read_line(pid, "schedstat", line) || sscanf(line, "%" SCNu64 " %" SCNu64, &ran, &ns) != 2)
		return 0;
	return ns;
}

struct stopwatch stopwatch_start(pid_t pid)
{
	return (struct stopwatch){ .pid = pid, .began = clock_boot_ns(), .waited = waited(pid) + waited(getpid()) };
}

uint64_t stopwatch_ms(const struct stopwatch *s)
{
	uint64_t ns = clock_boot_ns() - s->began, more = waited(s->pid) + waited(getpid());

	more = more > s->waited ? more - s->waited : 0;
	return (ns > more ? ns - more : 0) / NS_PER_MS;
}

/* "running", or the number of the system call that it is in. */
static bool is_waiting(pid_t pid)
{
	static const long calls[] = {
		SYS_epoll_pwait, SYS_ppoll,
#ifdef SYS_epoll_wait
		SYS_epoll_wait, SYS_poll,
#endif
	};
	char line[256], *end;
	long call;

	if (!read_line(pid, "syscall", line))
		return false;
	call = strtol(line, &end, 10);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if (end != line && call == calls[i])
			return true;
	return false;
}

void busy_idle(pid_t pid)
{
	for (int ms = 0; ms < WAIT_MS; ms++, usleep(1000))
		if (is_waiting(pid))
			return;
	fail_msg("process %d is never idle", pid);
}
