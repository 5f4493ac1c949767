/* links: tests/role/parent_fakes.c tests/role/proc.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parent_test.c - the real svidd with other children: this program plays every role when its name says
 * so (parent_fakes.c), reports what it was given, and does what the test tells it over admin.sock.
 * Must run as root. Next: agent/parent/README.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "tests/role/parent_fakes.h"
#include "tests/role/proc.h"

#define IDS 48620 /* nobody else's on a developer's machine */
#define IDS_ARG "48620"
#define WAIT_MS 8000

/* ---- the test's side ---- */

struct world {
	char dir[64];
	pid_t svidd;
	int log;
	int notify;
};

static void path_of(const struct world *w, const char *name, char out[static 128])
{
	snprintf(out, 128, "%s/%s", w->dir, name);
}

static void write_text(const struct world *w, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	path_of(w, name, path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void make_bin_dir(const struct world *w)
{
	static const char *const names[] = { "svid-core", "svid-keys", "svid-attest", "svid-front", "svid" };
	char self[256], path[128];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	assert_true(n > 0);
	self[n] = 0;
	path_of(w, "bin", path);
	assert_int_equal(mkdir(path, 0755), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/bin/%s", w->dir, names[i]);
		assert_int_equal(symlink(self, path), 0);
	}
}

static int setup(void **state)
{
	struct world *w = mem_new(struct world);
	char path[128];

	if (!w || geteuid() != 0)
		return -1;
	strncpy(w->dir, "/tmp/svid-parent-XXXXXX", sizeof(w->dir) - 1);
	assert_non_null(mkdtemp(w->dir));
	assert_int_equal(chmod(w->dir, 0755), 0);
	make_bin_dir(w);
	path_of(w, "policy.d", path);
	assert_int_equal(mkdir(path, 0755), 0);
	write_text(w, "svid.yaml", "kind: Agent\n");
	path_of(w, "log", path);
	w->log = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(w->log >= 0);
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char command[160];

	if (w->svidd) {
		kill(w->svidd, SIGKILL);
		waitpid(w->svidd, NULL, 0);
	}
	close(w->log);
	snprintf(command, sizeof(command), "%s", w->dir);
	mem_free(w);
	pid_t pid = fork();

	if (pid == 0) {
		execlp("rm", "rm", "-rf", command, NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

static NORETURN void exec_svidd(const struct world *w, const char *extra)
{
	char config[128], policy[128], run[128], state[128], audit[128], bin[128], notify_path[128];
	const char *argv[] = { "svidd", "--config", config, "--policy-dir", policy, "--run-dir", run, "--state-dir", state,
			       "--audit", audit, "--bin-dir", bin, "--ids", IDS_ARG, "--instance", "parent-test",
			       "--log-level", "debug", extra, extra ? "socket" : NULL, NULL };

	path_of(w, "svid.yaml", config);
	path_of(w, "policy.d", policy);
	path_of(w, "run", run);
	path_of(w, "state", state);
	path_of(w, "audit", audit);
	path_of(w, "bin", bin);
	path_of(w, "notify", notify_path);
	setenv("NOTIFY_SOCKET", notify_path, 1);
	dup2(w->log, 2);
	execv(SVID_BIN "/svidd", (char *const *)argv);
	_exit(127);
}

static void start_with(struct world *w, const char *extra)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", w->dir);
	unlink(sa.sun_path);
	w->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(w->notify, (struct sockaddr *)&sa, sizeof(sa)), 0);
	w->svidd = fork();
	if (w->svidd == 0)
		exec_svidd(w, extra);
	assert_true(w->svidd > 0);
}

static unsigned int count(const struct world *w, const char *text)
{
	static char all[1 << 20];
	ssize_t n = pread(w->log, all, sizeof(all) - 1, 0);
	unsigned int found = 0;

	assert_true(n >= 0);
	all[n] = 0;
	for (const char *p = all; (p = strstr(p, text)); p += strlen(text))
		found++;
	return found;
}

static void dump_log(const struct world *w)
{
	char text[4096];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(w->log, text, sizeof(text), at)) > 0) {
		(void)!write(2, text, (size_t)n);
		at += n;
	}
}

static void wait_count(const struct world *w, const char *text, unsigned int n)
{
	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (count(w, text) >= n)
			return;
		usleep(5000);
	}
	dump_log(w);
	fail_msg("never saw %u x '%s'", n, text);
}

static void start(struct world *w)
{
	start_with(w, "--attestation");
	wait_count(w, "event=\"ready\"", 1);
}

static void tell_core(const struct world *w, const char *word)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	unsigned int before = count(w, "FAKE core obeys");

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/private/admin.sock", w->dir);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_true(send(fd, word, strlen(word), 0) > 0);
	wait_count(w, "FAKE core obeys", before + 1);
	close(fd);
}

static int end_of(struct world *w)
{
	int status = -1;

	for (int ms = 0; ms < WAIT_MS; ms += 5) {
		if (waitpid(w->svidd, &status, WNOHANG) == w->svidd) {
			w->svidd = 0;
			return status;
		}
		usleep(5000);
	}
	dump_log(w);
	fail_msg("svidd did not end");
	return -1;
}

static void gives_core_everything_in_order(void **state)
{
	struct world *w = *state;
	char text[64];
	ssize_t n;

	start(w);
	for (int kind = FD_KIND_PUBLIC; kind <= FD_KIND_AUDIT; kind++) {
		snprintf(text, sizeof(text), "FAKE core fd kind %d arg 0.", kind);
		assert_int_equal(count(w, text), 1);
	}
	wait_count(w, "FAKE core heard keys-0.", 1);
	wait_count(w, "FAKE core heard attest-0.", LIM_ATTEST_WORKERS);
	wait_count(w, "FAKE keys sealing key of 32 bytes.", 1);
	assert_int_equal(count(w, "FAKE core go tier 5 "), 1);
	n = recv(w->notify, text, sizeof(text) - 1, 0);
	assert_int_equal(n, 7);
	assert_memory_equal(text, "READY=1", 7);
}

static void roles_inherit_the_planned_descriptors_only(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 1");
	tell_core(w, "compile");
	wait_count(w, "FAKE core fds 0 1 2 3.", 1);
	wait_count(w, "FAKE keys fds 0 1 2 3.", 1);
	wait_count(w, "FAKE front fds 0 1 2 3 4 5.", 1);
	wait_count(w, "FAKE compiler fds 0 1 2 3 4 5.", 1);
}

static void roles_have_their_user_and_capabilities(void **state)
{
	static const char *const none = "\t0000000000000000", *const attest = "\t0000000000080004";
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 1");
	wait_count(w, "FAKE front fds", 1);
	for (unsigned int offset = 0; offset < 4; offset++) {
		pid_t pid = proc_of_user(IDS + offset);
		char ids[64];

		assert_true(pid > 0);
		snprintf(ids, sizeof(ids), "\t%u\t%u\t%u\t%u", IDS + offset, IDS + offset, IDS + offset, IDS + offset);
		proc_assert_status(pid, "Uid:", ids);
		proc_assert_status(pid, "Gid:", ids);
		proc_assert_status(pid, "Groups:", "\t ");
		proc_assert_status(pid, "NoNewPrivs:", "\t1");
		for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
			proc_assert_status(pid, sets[i], offset == 2 ? attest : none);
	}
}

static void front_is_joined_to_core_and_keys(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front heard core-for-7.", 1);
	wait_count(w, "FAKE front heard keys-for-7.", 1);
}

static void new_keys_serves_old_fronts(void **state)
{
	struct world *w = *state;
	pid_t front;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front heard keys-for-7.", 1);
	front = proc_of_user(IDS + 3);
	kill(proc_of_user(IDS + 1), SIGKILL);
	wait_count(w, "FAKE core peer role 1 index 0.", 2);
	wait_count(w, "FAKE front heard keys-for-7.", 2);
	wait_count(w, "FAKE core exit role 1 index 0 status 9.", 1);
	assert_int_equal(proc_of_user(IDS + 3), front);
	assert_int_equal(count(w, "FAKE core go"), 1);
}

static void new_core_is_served_and_old_fronts_end(void **state)
{
	struct world *w = *state;
	uint64_t t0;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front fds", 1);
	t0 = clock_boot_ns();
	kill(proc_of_user(IDS), SIGKILL);
	wait_count(w, "FAKE core go", 2);
	assert_true(clock_boot_ns() - t0 < NS_PER_S);
	proc_wait_no_user(IDS + 3); /* though it ignores the end of its channel */
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE core front 7 pid", 2);
	wait_count(w, "FAKE front heard keys-for-7.", 2);
	assert_int_equal(count(w, "FAKE keys sealing key"), 1);
}

static void core_that_breaks_the_protocol_is_replaced(void **state)
{
	static const char *const bad[] = { "bytes", "message 18", "message 9999", "message 64", "message 17",
					   "kill 0", "kill 201", "kill 207", "kill 101", "kill 9900" };
	struct world *w = *state;
	unsigned int n = 1;

	start(w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int before = proc_of_user(IDS);
		unsigned int expect_kill = strcmp(bad[i], "kill 201") ? 1 : 0; /* attest 1 is a worker that is there */

		tell_core(w, bad[i]);
		n += expect_kill;
		wait_count(w, "FAKE core go", n);
		assert_int_equal(proc_of_user(IDS) == before, !expect_kill);
	}
}

static void drained_before_stop_is_refused(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "message 20"); /* wrong length */
	wait_count(w, "FAKE core go", 2);
}

static void front_numbers_are_not_given_twice(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE core front 7 pid", 1);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE core go", 2);
}

static void killed_front_is_reported(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front fds", 1);
	tell_core(w, "kill 307");
	wait_count(w, "FAKE core exit role 3 index 7 status 9.", 1);
	tell_core(w, "kill 307"); /* gone already: no fault */
	assert_int_equal(count(w, "FAKE core go"), 1);
}

static void hangup_compiles(void **state)
{
	struct world *w = *state;

	start(w);
	kill(w->svidd, SIGHUP);
	wait_count(w, "FAKE compiler fds", 1);
	wait_count(w, "FAKE core exit role 4 index 0 status 0.", 1);
}

static void term_drains_and_ends_with_zero(void **state)
{
	struct world *w = *state;
	char path[128];

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front fds", 1);
	kill(w->svidd, SIGTERM);
	assert_int_equal(end_of(w), 0);
	assert_int_equal(count(w, "FAKE core stop."), 1);
	for (unsigned int offset = 0; offset < 5; offset++)
		assert_int_equal(proc_of_user(IDS + offset), 0);
	path_of(w, "run/public/api.sock", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void core_that_never_drains_is_stopped(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "nodrain");
	kill(w->svidd, SIGTERM);
	assert_int_equal(end_of(w), 0);
}

static void second_term_does_not_wait(void **state)
{
	struct world *w = *state;
	uint64_t t0;

	start(w);
	tell_core(w, "nodrain");
	t0 = clock_boot_ns();
	kill(w->svidd, SIGTERM);
	wait_count(w, "FAKE core stop.", 1);
	kill(w->svidd, SIGTERM);
	assert_int_equal(end_of(w), 0);
	assert_true(clock_boot_ns() - t0 < NS_PER_S);
}

static void nothing_outlives_a_killed_svidd(void **state)
{
	struct world *w = *state;

	start(w);
	tell_core(w, "spawn 7");
	wait_count(w, "FAKE front fds", 1);
	kill(w->svidd, SIGKILL);
	end_of(w);
	for (unsigned int offset = 0; offset < 5; offset++)
		proc_wait_no_user(IDS + offset);
}

static void crash_loop_backs_off(void **state)
{
	struct world *w = *state;
	uint64_t t0;

	start(w);
	for (unsigned int i = 0; i < 3; i++) {
		tell_core(w, "exit 1");
		wait_count(w, "FAKE core go", i + 2);
	}
	t0 = clock_boot_ns();
	tell_core(w, "exit 1");
	wait_count(w, "FAKE core go", 5);
	assert_true(clock_boot_ns() - t0 >= 350 * NS_PER_MS);
}

static void socket_tier_of_the_file_needs_the_flag(void **state)
{
	struct world *w = *state;

	start_with(w, NULL);
	assert_int_equal(WEXITSTATUS(end_of(w)), 1);
	assert_int_equal(count(w, "FAKE core"), 0);
	assert_true(count(w, "--allow-socket-attestation") > 0);
}

static void missing_policy_directory_is_said(void **state)
{
	struct world *w = *state;
	char path[128];

	path_of(w, "policy.d", path);
	rmdir(path);
	start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(end_of(w)), 1);
	assert_true(count(w, path) > 0);
}

static void readable_sealing_key_is_refused(void **state)
{
	struct world *w = *state;
	char path[128];

	path_of(w, "state", path);
	assert_int_equal(mkdir(path, 0700), 0);
	write_text(w, "state/sealing.key", "0123456789abcdef0123456789abcdef");
	path_of(w, "state/sealing.key", path);
	chmod(path, 0644);
	start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(end_of(w)), 1);
	assert_int_equal(count(w, "FAKE core"), 0);
	chmod(path, 0400);
	start(w);
}

static void foreign_run_directory_is_refused(void **state)
{
	struct world *w = *state;
	char path[128];

	path_of(w, "run", path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, IDS, IDS), 0);
	start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(end_of(w)), 1);
}

static void second_svidd_is_refused(void **state)
{
	struct world *w = *state;
	struct world other = *w;

	start(w);
	start_with(&other, "--attestation");
	assert_int_equal(WEXITSTATUS(end_of(&other)), 1);
	assert_true(count(w, "EBUSY") > 0);
}

static void sockets_have_their_modes(void **state)
{
	struct world *w = *state;
	struct stat st;
	char path[128];

	start(w);
	path_of(w, "run/public/api.sock", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0777);
	path_of(w, "run/private/admin.sock", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	path_of(w, "state", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01770);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, IDS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(gives_core_everything_in_order),
		TEST(roles_inherit_the_planned_descriptors_only),
		TEST(roles_have_their_user_and_capabilities),
		TEST(front_is_joined_to_core_and_keys),
		TEST(new_keys_serves_old_fronts),
		TEST(new_core_is_served_and_old_fronts_end),
		TEST(core_that_breaks_the_protocol_is_replaced),
		TEST(drained_before_stop_is_refused),
		TEST(front_numbers_are_not_given_twice),
		TEST(killed_front_is_reported),
		TEST(hangup_compiles),
		TEST(term_drains_and_ends_with_zero),
		TEST(core_that_never_drains_is_stopped),
		TEST(second_term_does_not_wait),
		TEST(nothing_outlives_a_killed_svidd),
		TEST(crash_loop_backs_off),
		TEST(socket_tier_of_the_file_needs_the_flag),
		TEST(missing_policy_directory_is_said),
		TEST(readable_sealing_key_is_refused),
		TEST(foreign_run_directory_is_refused),
		TEST(second_svidd_is_refused),
		TEST(sockets_have_their_modes),
	};
	bool is_role;
	int status = fake_role(argc, argv, &is_role);

	return is_role ? status : cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
