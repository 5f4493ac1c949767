/* links: tests/role/proc.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isolation_test.c - a whole running svidd with its real programs, compared with the table of DESIGN.md
 * 1 through /proc: users, capabilities, sandbox, limits, descriptors. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/compiler.h"
#include "agent/base/limits.h"
#include "tests/role/proc.h"

#define IDS 48660
#define IDS_ARG "48660"
#define WAIT_MS 15000

#define NO_CAPS "\t0000000000000000"
#define PTRACE "\t0000000000080000" /* CAP_SYS_PTRACE */
#define READ "\t0000000000000004"   /* CAP_DAC_READ_SEARCH */

/* DESIGN.md 1, by hand and not from roles.c: the test must be able to disagree. */
static const struct expected {
	const char *program;
	unsigned int uid;
	const char *caps;      /* NULL: by kind of worker, below */
	bool may_fork;	      /* threads count too */
	unsigned int dev_null; /* descriptors 0.. that lead nowhere */
} table[] = {
	{ "svid-core", IDS, NO_CAPS, false, 2 },
	{ "svid-keys", IDS + 1, NO_CAPS, true, 2 },
	{ "svid-attest", IDS + 2, NULL, true, 2 },
	{ "svid-front", IDS + 3, NO_CAPS, false, 2 },
	{ "svid-undertaker", IDS + 5, NO_CAPS, false, 2 },
	{ "svid-cloud", IDS + 6, NO_CAPS, true, 2 }, /* libcurl looks names up in a thread */
};

static char dir[64];
static pid_t svidd;
static int log_fd = -1;

static void path_in(const char *name, char out[static 128])
{
	snprintf(out, 128, "%s/%s", dir, name);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	path_in(name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static NORETURN void exec_svidd(void)
{
	char config[128], policy[128], run[128], state[128], audit[128];
	const char *argv[] = { "svidd", "--config", config, "--policy-dir", policy, "--run-dir", run, "--state-dir", state,
			       "--audit", audit, "--ids", IDS_ARG, "--instance", "isolation-test",
			       "--remove-pins-at-exit", "--attestation", "socket", "--delivery", "none", NULL };

	path_in("svid.yaml", config);
	path_in("policy.d", policy);
	path_in("run", run);
	path_in("state", state);
	path_in("audit", audit);
	dup2(log_fd, 2);
	execv(SVID_BIN "/svidd", (char *const *)argv);
	_exit(127);
}

static bool is_logged(const char *text)
{
	static char all[1 << 18];
	ssize_t n = pread(log_fd, all, sizeof(all) - 1, 0);

	all[n < 0 ? 0 : n] = 0;
	return strstr(all, text);
}

static void show_log(void)
{
	char text[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(log_fd, text, sizeof(text), at)) > 0) {
		(void)!write(2, text, (size_t)n);
		at += n;
	}
}

/* Somebody who connects, so that a front is at work and not only spare. */
static int connect_public(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/public/api.sock", dir);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa));
}

/* "ready" is said of svidd: a role that came up last may still be on its way into the sandbox. */
static bool all_sandboxed(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		pid_t pid = proc_of_user(table[i].uid);

		if (!pid || !proc_is_sandboxed(pid))
			return false;
	}
	return true;
}

static int start(void **state)
{
	char path[128];

	(void)state;
	if (geteuid() != 0)
		return -1;
	snprintf(dir, sizeof(dir), "/tmp/svid-isolation-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		return -1;
	path_in("policy.d", path);
	mkdir(path, 0755);
	/* The port is for svid-cloud: with nothing to do it would not run. Who has it already does not disturb. */
	write_file("svid.yaml", "apiVersion: svid/v1alpha1\nkind: Agent\nmetadata:\n  name: agent\n"
				"spec:\n  trustDomain: isolation.test\n  oidc:\n    port: 48667\n");
	path_in("log", path);
	log_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	svidd = fork();
	if (svidd == 0)
		exec_svidd();
	for (int ms = 0; ms < WAIT_MS; ms += 10, usleep(10000))
		if (is_logged("role=svidd event=\"ready\"") && all_sandboxed())
			return connect_public();
	show_log();
	return -1;
}

static int stop(void **state)
{
	int status = -1;
	pid_t pid;

	(void)state;
	kill(svidd, SIGTERM);
	waitpid(svidd, &status, 0);
	pid = fork();
	if (pid == 0) {
		execlp("rm", "rm", "-rf", dir, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return status;
}

static pid_t running(const struct expected *e)
{
	pid_t pid = proc_of_user(e->uid);
	char want[32];

	if (!pid)
		fail_msg("%s is not running", e->program);
	snprintf(want, sizeof(want), "\t%s", e->program);
	proc_assert_status(pid, "Name:", want);
	return pid;
}

static void users_are_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		pid_t pid = running(&table[i]);
		char want[64];

		snprintf(want, sizeof(want), "\t%u\t%u\t%u\t%u", table[i].uid, table[i].uid, table[i].uid, table[i].uid);
		proc_assert_status(pid, "Uid:", want);
		proc_assert_status(pid, "Gid:", want);
		proc_assert_status(pid, "Groups:", "\t ");
	}
}

static void capabilities_equal_the_table(void **state)
{
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		for (size_t s = 0; table[i].caps && s < ARRAY_SIZE(sets); s++)
			proc_assert_status(running(&table[i]), sets[s], table[i].caps);
}

/* Who may read files can name none but its own descriptors. */
static void assert_root_is_own_descriptors(pid_t pid)
{
	char path[64], want[64], root[128] = "";

	snprintf(path, sizeof(path), "/proc/%d/root", pid);
	snprintf(want, sizeof(want), "/proc/%d/fd", pid);
	assert_true(readlink(path, root, sizeof(root) - 1) > 0);
	assert_string_equal(root, want);
}

/* Who has both may read svid-keys' memory: no worker has. */
static void workers_have_half_of_the_capabilities_each(void **state)
{
	unsigned int lookers = 0, hashers = 0, others = 0;
	DIR *proc = opendir("/proc");
	struct dirent *e;

	(void)state;
	while ((e = readdir(proc))) {
		pid_t pid = (pid_t)strtoul(e->d_name, NULL, 10);
		char name[128], permitted[128], effective[128];

		if (!pid || !proc_runs_as(e->d_name, IDS + 2))
			continue;
		proc_status(pid, "Name:", name);
		proc_status(pid, "CapPrm:", permitted);
		proc_status(pid, "CapEff:", effective);
		if (strcmp(name, "\tsvid-attest"))
			continue;
		assert_string_equal(permitted, effective);
		proc_assert_status(pid, "CapInh:", NO_CAPS);
		proc_assert_status(pid, "CapAmb:", NO_CAPS);
		lookers += !strcmp(effective, PTRACE);
		hashers += !strcmp(effective, READ);
		if (!strcmp(effective, READ))
			assert_root_is_own_descriptors(pid);
		others += strcmp(effective, PTRACE) && strcmp(effective, READ);
	}
	closedir(proc);
	assert_int_equal(others, 0);
	assert_true(lookers >= LIM_ATTEST_LOOKERS); /* a canary's child may be there */
	assert_int_equal(hashers, LIM_ATTEST_HASHERS);
}

static void sandbox_is_on_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		proc_assert_status(running(&table[i]), "NoNewPrivs:", "\t1");
		proc_assert_status(running(&table[i]), "Seccomp:", "\t2");
	}
}

/* What is around this test, a container for example, may have some of its own. */
static void svid_cloud_has_the_filter_of_families(void **state)
{
	char around[128], n[128];
	unsigned long filters;

	(void)state;
	proc_status(getpid(), "Seccomp_filters:", around);
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		proc_status(running(&table[i]), "Seccomp_filters:", n);
		filters = strtoul(n, NULL, 10) - strtoul(around, NULL, 10);
		assert_int_equal(filters, strcmp(table[i].program, "svid-cloud") ? 1 : 2);
	}
}

/* The kernel gives /proc/PID of a process that is not dumpable to root. */
static void nobody_is_dumpable(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char path[64];
		struct stat st;

		snprintf(path, sizeof(path), "/proc/%d/environ", running(&table[i]));
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_uid, 0);
	}
}

static void limit_is(pid_t pid, const char *name, const char *want)
{
	char path[64], line[256];
	bool seen = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/limits", pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		const char *soft = line + 26; /* the second column */

		if (strncmp(line, name, strlen(name)))
			continue;
		seen = true;
		if (strcspn(soft, " ") != strlen(want) || strncmp(soft, want, strlen(want)))
			fail_msg("pid %d: %s is not %s: %s", pid, name, want, line);
	}
	fclose(f);
	assert_true(seen);
}

static void limits_are_tight(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		limit_is(running(&table[i]), "Max core file size", "0");
#ifndef SVID_SAN
		if (!table[i].may_fork)
			limit_is(running(&table[i]), "Max processes", "0");
#endif
	}
}

static void environment_is_empty(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char path[64], byte;
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/environ", running(&table[i]));
		fd = open(path, O_RDONLY | O_CLOEXEC);
		assert_true(fd >= 0);
		assert_true(read(fd, &byte, 1) <= 0);
		close(fd);
	}
}

/* No descriptor of a role leads to a file of the file system, but those that the table of plan.h names. */
static void check_fd(const struct expected *e, const char *path, unsigned int fd)
{
	static const char *const fine[] = { "socket:", "pipe:", "anon_inode:", "/memfd:", "/dev/null" };
	char to[256];
	ssize_t n = readlink(path, to, sizeof(to) - 1);

	assert_true(n > 0);
	to[n] = 0;
	if (fd < e->dev_null)
		assert_string_equal(to, "/dev/null");
	for (size_t i = 0; i < ARRAY_SIZE(fine); i++)
		if (!strncmp(to, fine[i], strlen(fine[i])))
			return;
	if (!strncmp(to, dir, strlen(dir)) && (e->uid == IDS || fd == 2))
		return; /* svid-core: state, audit, policy directory; all: the log */
	if (e->uid == IDS + 6 && !strncmp(to, dir, strlen(dir)) && strstr(to, "/state-cloud"))
		return; /* its cache */
	if (e->uid == IDS && !strncmp(to, "/sys/fs/cgroup", 14))
		return; /* paths of groups by number */
	fail_msg("%s has descriptor %u on %s", e->program, fd, to);
}

static void descriptors_lead_nowhere_else(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(table); i++) {
		char path[64], one[400];
		struct dirent *entry;
		DIR *fds;

		snprintf(path, sizeof(path), "/proc/%d/fd", running(&table[i]));
		fds = opendir(path);
		assert_non_null(fds);
		while ((entry = readdir(fds)))
			if (entry->d_name[0] != '.') {
				snprintf(one, sizeof(one), "%s/%s", path, entry->d_name);
				check_fd(&table[i], one, (unsigned int)strtoul(entry->d_name, NULL, 10));
			}
		closedir(fds);
	}
}

static void svidd_is_the_only_root(void **state)
{
	char path[64], children[512] = "";
	FILE *f;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", svidd, svidd);
	f = fopen(path, "r");
	assert_non_null(f);
	assert_non_null(fgets(children, sizeof(children), f));
	fclose(f);
	for (char *p = children; *p && *p != '\n';) {
		pid_t pid = (pid_t)strtoul(p, &p, 10);
		char uid[128];

		proc_status(pid, "Uid:", uid);
		assert_true(strtoul(uid, NULL, 10) >= IDS);
		while (*p == ' ')
			p++;
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(users_are_their_own),
		cmocka_unit_test(capabilities_equal_the_table),
		cmocka_unit_test(workers_have_half_of_the_capabilities_each),
		cmocka_unit_test(sandbox_is_on_everywhere),
		cmocka_unit_test(svid_cloud_has_the_filter_of_families),
		cmocka_unit_test(nobody_is_dumpable),
		cmocka_unit_test(limits_are_tight),
		cmocka_unit_test(environment_is_empty),
		cmocka_unit_test(descriptors_lead_nowhere_else),
		cmocka_unit_test(svidd_is_the_only_root),
	};

	return cmocka_run_group_tests_name("isolation", tests, start, stop);
}
