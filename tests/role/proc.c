/* SPDX-License-Identifier: Apache-2.0 */
/* proc.c - looking at running programs through /proc, for the role tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/role/proc.h"

#define WAIT_MS 8000

bool proc_runs_as(const char *name, unsigned int uid)
{
	char path[300], line[128];
	bool alive = true, same = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/status", name);
	f = fopen(path, "r");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "State:\tZ", 8))
			alive = false;
		if (!strncmp(line, "Uid:", 4))
			same = strtoul(line + 4, NULL, 10) == uid;
	}
	fclose(f);
	return alive && same;
}

pid_t proc_of_user(unsigned int uid)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	pid_t found = 0;

	while ((e = readdir(dir)) && !found)
		if (e->d_name[0] >= '1' && e->d_name[0] <= '9' && proc_runs_as(e->d_name, uid))
			found = (pid_t)strtoul(e->d_name, NULL, 10);
	closedir(dir);
	return found;
}

void proc_wait_no_user(unsigned int uid)
{
	for (int ms = 0; ms < WAIT_MS && proc_of_user(uid); ms += 5)
		usleep(5000);
	assert_int_equal(proc_of_user(uid), 0);
}

bool proc_is_sandboxed(pid_t pid)
{
	char path[64], line[256];
	bool filtered = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		filtered = filtered || !strcmp(line, "Seccomp:\t2\n");
	if (f)
		fclose(f);
	return filtered;
}

void proc_status(pid_t pid, const char *key, char out[static 128])
{
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	out[0] = 0;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			snprintf(out, 128, "%.100s", line + strlen(key));
	fclose(f);
	out[strcspn(out, "\n")] = 0;
}

void proc_assert_status(pid_t pid, const char *key, const char *want)
{
	char got[128];

	proc_status(pid, key, got);
	if (strcmp(got, want))
		fail_msg("pid %d %s '%s', not '%s'", pid, key, got, want);
}
