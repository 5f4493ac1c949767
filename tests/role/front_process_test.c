// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/* front_process_test.c - what the real svid-front may do and hold, and what a connection that only watches costs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/lib/front_rig.h"

static long anonymous_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "Anonymous:", 10))
			kib = strtol(line + 10, NULL, 10);
	fclose(f);
	return kib;
}

/* DESIGN.md 13: 8 KB per open stream in all; the front's own part is asserted here. */
static void watching_connection_costs_little_memory(void **state)
{
	enum { CONNS = 2000 };
	struct rlimit files = { CONNS + 100, CONNS + 100 };
	int *fds = calloc(CONNS, sizeof(*fds));
	long before, each;
	struct rig r;

	(void)state;
	assert_non_null(fds);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		skip();
	rig_start(&r);
	rig_serve(&r, 1, 1);
	before = anonymous_kib(r.pid);
	for (int i = 0; i < CONNS; i++) {
		struct seen s;

		seen_init(&s);
		fds[i] = rig_connect(&r, (uint64_t)i + 1, getpid());
		rig_fetch(fds[i]);
		seen_read(&s, fds[i], 1);
		assert_int_equal(s.messages, 1);
		seen_done(&s);
	}
	each = (anonymous_kib(r.pid) - before) * 1024 / CONNS;
	print_message("idle front %ld KiB of its own, then %ld bytes per watching connection\n", before, each);
#ifndef SVID_SAN
	assert_true(each < 2048);
#endif
	for (int i = 0; i < CONNS; i++)
		close(fds[i]);
	free(fds);
	rig_stop(&r);
}

static void status_line(pid_t pid, const char *key, char *out, size_t len)
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	out[0] = 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			snprintf(out, len, "%s", line + strlen(key));
	fclose(f);
}

static void sandbox_is_on(void **state)
{
	char text[256];
	struct rig r;

	(void)state;
	rig_start(&r);
	status_line(r.pid, "Seccomp:\t", text, sizeof(text));
	assert_string_equal(text, "2\n");
	status_line(r.pid, "NoNewPrivs:\t", text, sizeof(text));
	assert_string_equal(text, "1\n");
	/* 0, 1, 2, core, keys, epoll: the words are mapped and their descriptor closed. */
	assert_int_equal(rig_descriptors(&r), 6);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sandbox_is_on),
		cmocka_unit_test(watching_connection_costs_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
