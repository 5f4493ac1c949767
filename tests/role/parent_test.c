/* links: tests/role/parent_fakes.c tests/role/parent_world.c tests/role/proc.c tests/lib/busy.c */
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
#include <netinet/in.h>
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
#include "tests/lib/busy.h"
#include "tests/role/parent_fakes.h"
#include "tests/role/parent_world.h"
#include "tests/role/proc.h"

static void gives_core_everything_in_order(void **state)
{
	struct world *w = *state;
	char text[64];

	world_start(w);
	for (int kind = FD_KIND_PUBLIC; kind <= FD_KIND_AUDIT; kind++) {
		snprintf(text, sizeof(text), "FAKE core fd kind %d arg 0.", kind);
		assert_int_equal(world_count(w, text), 1);
	}
	world_wait(w, "FAKE core heard keys-0.", 1);
	world_wait(w, "FAKE core heard attest-0.", LIM_ATTEST_WORKERS);
	world_wait(w, "FAKE keys sealing key of 32 bytes.", 1);
	assert_int_equal(world_count(w, "FAKE core go tier 5 "), 1);
}

static void listeners_outlive_svidd_in_systemds_store(void **state)
{
	static const char *const notices[] = { "FDSTOREREMOVE=1\nFDNAME=public", "FDSTORE=1\nFDNAME=public",
					       "FDSTOREREMOVE=1\nFDNAME=admin", "FDSTORE=1\nFDNAME=admin", "READY=1" };
	struct world *w = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fds[ARRAY_SIZE(notices)], client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[64];

	world_be_systemd(w);
	world_start(w);
	for (size_t i = 0; i < ARRAY_SIZE(notices); i++) {
		world_notice(w, text, &fds[i]);
		assert_string_equal(text, notices[i]);
		assert_int_equal(fds[i] >= 0, i == 1 || i == 3);
	}
	w->stored[0] = fds[1];
	w->stored[1] = fds[3];
	world_wait(w, "event=\"ready\"", 1);
	kill(w->svidd, SIGKILL);
	world_end(w);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/public/api.sock", w->dir);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)), 0); /* waits, is not refused */
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 2);
	world_tell_core(w, "compile"); /* by the stored admin.sock */
	world_wait(w, "FAKE compiler fds", 1);
	assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), 1); /* still queued in the same listener */
	close(client);
}

static void roles_inherit_the_planned_descriptors_only(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "spawn 1");
	world_tell_core(w, "compile");
	world_wait(w, "FAKE core fds 0 1 2 3.", 1);
	world_wait(w, "FAKE keys fds 0 1 2 3.", 1);
	world_wait(w, "FAKE front fds 0 1 2 3 4 5.", 1);
	world_wait(w, "FAKE compiler fds 0 1 2 3 4 5.", 1);
}

static void roles_have_their_user_and_capabilities(void **state)
{
	static const char *const none = "\t0000000000000000", *const attest = "\t00000000000c0004";
	static const char *const sets[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "spawn 1");
	world_wait(w, "FAKE front fds", 1);
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

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front heard core-for-7.", 1);
	world_wait(w, "FAKE front heard keys-for-7.", 1);
}

static void new_keys_serves_old_fronts(void **state)
{
	struct world *w = *state;
	pid_t front;

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front heard keys-for-7.", 1);
	front = proc_of_user(IDS + 3);
	kill(proc_of_user(IDS + 1), SIGKILL);
	world_wait(w, "FAKE core peer role 1 index 0.", 2);
	world_wait(w, "FAKE front heard keys-for-7.", 2);
	world_wait(w, "FAKE core exit role 1 index 0 status 9.", 1);
	assert_int_equal(proc_of_user(IDS + 3), front);
	assert_int_equal(world_count(w, "FAKE core go"), 1);
}

static void new_core_is_served_and_old_fronts_end(void **state)
{
	struct world *w = *state;
	struct stopwatch watch;

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front heard keys-for-7.", 1);
	watch = stopwatch_start(w->svidd);
	kill(proc_of_user(IDS), SIGKILL);
	world_wait(w, "FAKE core go", 2);
	assert_in_range(stopwatch_ms(&watch), 0, 2000);
	proc_wait_no_user(IDS + 3); /* though it ignores the end of its channel */
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE core front 7 pid", 2);
	world_wait(w, "FAKE front heard keys-for-7.", 2);
	assert_int_equal(world_count(w, "FAKE keys sealing key"), 1);
}

/* A21: a client can make close() in svid-core as slow as it likes where the kernel lets descriptors through. */
static void core_that_falls_silent_is_replaced(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "alive"); /* and never again */
	sleep(LIM_CORE_SILENT_MS / 1000);
	world_wait(w, "FAKE core go", 2);
	assert_int_equal(world_count(w, "its loop stands still"), 1);
}

static void undertakers_are_given_to_core_and_replaced(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_wait(w, "FAKE undertaker fds 0 1 2 3.", LIM_UNDERTAKERS);
	world_wait(w, "FAKE core peer role 5 index 1.", 1);
	world_tell_core(w, "kill 501");
	world_wait(w, "FAKE core exit role 5 index 1 status 9.", 1);
	world_wait(w, "FAKE core peer role 5 index 1.", 2);
	assert_int_equal(world_count(w, "FAKE core peer role 5 index 0."), 1);
	kill(proc_of_user(IDS), SIGKILL); /* each belongs to one svid-core */
	world_wait(w, "FAKE core peer role 5 index 0.", 2);
	world_wait(w, "FAKE core peer role 5 index 1.", 3);
}

/* It runs when svid-core wants it, and belongs to that svid-core; a new svid-keys serves the old one. */
static void cloud_is_joined_to_core_and_keys_and_replaced(void **state)
{
	struct world *w = *state;
	pid_t cloud;

	world_start(w);
	assert_int_equal(world_count(w, "FAKE cloud"), 0);
	world_tell_core(w, "cloud");
	world_wait(w, "FAKE cloud fds 0 1 2 3 4 5 6.", 1);
	world_wait(w, "FAKE core peer role 6 index 0.", 1);
	world_wait(w, "FAKE core heard cloud-0.", 1);
	world_wait(w, "FAKE cloud heard keys-for-cloud-0.", 1);
	assert_int_equal(world_count(w, "FAKE cloud listens on 0."), 1);
	cloud = proc_of_user(IDS + 6);
	proc_assert_status(cloud, "CapPrm:", "\t0000000000000000");
	kill(proc_of_user(IDS + 1), SIGKILL);
	world_wait(w, "FAKE cloud heard keys-for-cloud-0.", 2);
	assert_int_equal(proc_of_user(IDS + 6), cloud);
	world_tell_core(w, "kill 600");
	world_wait(w, "FAKE core exit role 6 index 0 status 9.", 1);
	world_wait(w, "FAKE core peer role 6 index 0.", 2);
	world_wait(w, "FAKE cloud heard keys-for-cloud-0.", 3);
	kill(proc_of_user(IDS), SIGKILL);
	world_wait(w, "FAKE core go", 2);
	proc_wait_no_user(IDS + 6);
	world_tell_core(w, "compile"); /* something that takes a turn */
	world_wait(w, "FAKE compiler fds", 1);
	assert_int_equal(world_count(w, "FAKE cloud fds"), 2);
	world_tell_core(w, "cloud");
	world_wait(w, "FAKE cloud heard keys-for-cloud-0.", 4);
}

static uint16_t free_port(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	close(fd);
	return ntohs(sa.sin_port);
}

static void cloud_gets_the_listener_of_the_oidc_documents(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct world *w = *state;
	char text[64];
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_port = htons(free_port());
	snprintf(text, sizeof(text), "port: %u\n", ntohs(sa.sin_port));
	world_write(w, "svid.yaml", text);
	world_start(w);
	assert_int_equal(connect(client, (struct sockaddr *)&sa, sizeof(sa)), 0); /* waits, is not refused */
	world_tell_core(w, "cloud");
	snprintf(text, sizeof(text), "FAKE cloud listens on %u.", ntohs(sa.sin_port));
	world_wait(w, text, 1);
	kill(proc_of_user(IDS + 6), SIGKILL);
	world_wait(w, text, 2);
	assert_int_equal(send(client, "x", 1, MSG_NOSIGNAL), 1);
	close(client);
}

static void core_that_breaks_the_protocol_is_replaced(void **state)
{
	static const char *const bad[] = { "bytes", "message 18", "message 9999", "message 64", "message 17",
					   "kill 0", "kill 201", "kill 207", "kill 101", "kill 502", "kill 9900" };
	struct world *w = *state;
	unsigned int n = 1;

	world_start(w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int before = proc_of_user(IDS);
		unsigned int expect_kill = strcmp(bad[i], "kill 201") ? 1 : 0; /* attest 1 is a worker that is there */

		world_tell_core(w, bad[i]);
		n += expect_kill;
		world_wait(w, "FAKE core go", n);
		assert_int_equal(proc_of_user(IDS) == before, !expect_kill);
	}
}

static void drained_before_stop_is_refused(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "message 20"); /* wrong length */
	world_wait(w, "FAKE core go", 2);
}

static void front_numbers_are_not_given_twice(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE core front 7 pid", 1);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE core go", 2);
}

static void killed_front_is_reported(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front fds", 1);
	world_tell_core(w, "kill 307");
	world_wait(w, "FAKE core exit role 3 index 7 status 9.", 1);
	world_tell_core(w, "kill 307"); /* gone already: no fault */
	assert_int_equal(world_count(w, "FAKE core go"), 1);
}

static void hangup_compiles(void **state)
{
	struct world *w = *state;

	world_start(w);
	kill(w->svidd, SIGHUP);
	world_wait(w, "FAKE compiler fds", 1);
	world_wait(w, "FAKE core exit role 4 index 0 status 0.", 1);
}

static void hangup_opens_the_audit_log_anew(void **state)
{
	struct world *w = *state;
	char path[128], away[128];

	world_start(w);
	world_path(w, "audit", path);
	world_path(w, "audit.1", away);
	assert_int_equal(rename(path, away), 0);
	kill(w->svidd, SIGHUP);
	world_wait(w, "FAKE core fd kind 4 arg 0.", 2); /* FD_KIND_AUDIT */
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0755), 0); /* cannot be one: the former goes on being used */
	kill(w->svidd, SIGHUP);
	world_wait(w, "FAKE compiler fds", 2);
	assert_int_equal(world_count(w, "FAKE core fd kind 4 arg 0."), 2);
	assert_int_equal(world_count(w, "FAKE core go"), 1);
}

static void term_drains_and_ends_with_zero(void **state)
{
	struct world *w = *state;
	char path[128];

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front fds", 1);
	kill(w->svidd, SIGTERM);
	assert_int_equal(world_end(w), 0);
	assert_int_equal(world_count(w, "FAKE core stop."), 1);
	for (unsigned int offset = 0; offset < 6; offset++)
		assert_int_equal(proc_of_user(IDS + offset), 0);
	world_path(w, "run/public/api.sock", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void core_that_never_drains_is_stopped(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "nodrain");
	kill(w->svidd, SIGTERM);
	assert_int_equal(world_end(w), 0);
}

static void second_term_does_not_wait(void **state)
{
	struct world *w = *state;
	struct stopwatch watch;

	world_start(w);
	world_tell_core(w, "nodrain");
	watch = stopwatch_start(w->svidd);
	kill(w->svidd, SIGTERM);
	world_wait(w, "FAKE core stop.", 1);
	kill(w->svidd, SIGTERM);
	assert_int_equal(world_end(w), 0);
	assert_in_range(stopwatch_ms(&watch), 0, LIM_DRAIN_MS - 1);
}

static void nothing_outlives_a_killed_svidd(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_tell_core(w, "spawn 7");
	world_wait(w, "FAKE front fds", 1);
	kill(w->svidd, SIGKILL);
	world_end(w);
	for (unsigned int offset = 0; offset < 6; offset++)
		proc_wait_no_user(IDS + offset);
}

static void crash_loop_backs_off(void **state)
{
	struct world *w = *state;
	uint64_t t0;

	world_start(w);
	for (unsigned int i = 0; i < 3; i++) {
		world_tell_core(w, "exit 1");
		world_wait(w, "FAKE core go", i + 2);
	}
	t0 = clock_boot_ns();
	world_tell_core(w, "exit 1");
	world_wait(w, "FAKE core go", 5);
	assert_true(clock_boot_ns() - t0 >= 350 * NS_PER_MS);
}

static void socket_tier_of_the_file_needs_the_flag(void **state)
{
	struct world *w = *state;

	world_start_with(w, NULL);
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	assert_int_equal(world_count(w, "FAKE core"), 0);
	assert_true(world_count(w, "--allow-socket-attestation") > 0);
}

static void missing_policy_directory_is_said(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "policy.d", path);
	rmdir(path);
	world_start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	assert_true(world_count(w, path) > 0);
}

static void readable_sealing_key_is_refused(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "state", path);
	assert_int_equal(mkdir(path, 0700), 0);
	world_write(w, "state/sealing.key", "0123456789abcdef0123456789abcdef");
	world_path(w, "state/sealing.key", path);
	chmod(path, 0644);
	world_start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	assert_int_equal(world_count(w, "FAKE core"), 0);
	chmod(path, 0400);
	world_start(w);
}

static void foreign_run_directory_is_refused(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "run", path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, IDS, IDS), 0);
	world_start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
}

static void core_that_cannot_start_ends_svidd(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "bin/svid-core", path);
	unlink(path);
	assert_int_equal(symlink("/bin/false", path), 0);
	world_start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	for (unsigned int offset = 0; offset < 6; offset++)
		proc_wait_no_user(IDS + offset);
}

static void missing_program_is_said(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "bin/svid-keys", path);
	unlink(path);
	world_start_with(w, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	assert_true(world_count(w, "program=\"svid-keys\"") > 0);
}

static void systemd_credential_is_the_sealing_key(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "creds", path);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("CREDENTIALS_DIRECTORY", path, 1);
	world_write(w, "creds/svid-sealing-key", "0123456789abcdef0123456789abcdef");
	world_path(w, "creds/svid-sealing-key", path);
	chmod(path, 0400);
	world_start(w);
	unsetenv("CREDENTIALS_DIRECTORY");
	world_wait(w, "FAKE keys sealing key of 32 bytes.", 1);
	world_path(w, "state/sealing.key", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void damaged_credential_is_not_replaced(void **state)
{
	struct world *w = *state;
	char path[128];

	world_path(w, "creds", path);
	assert_int_equal(mkdir(path, 0700), 0);
	setenv("CREDENTIALS_DIRECTORY", path, 1);
	world_write(w, "creds/svid-sealing-key", "short");
	world_path(w, "creds/svid-sealing-key", path);
	chmod(path, 0400);
	world_start_with(w, "--attestation");
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(WEXITSTATUS(world_end(w)), 1);
	world_path(w, "state/sealing.key", path);
	assert_int_equal(access(path, F_OK), -1);
}

static void second_svidd_is_refused(void **state)
{
	struct world *w = *state;
	struct world other = *w;

	world_start(w);
	world_start_with(&other, "--attestation");
	assert_int_equal(WEXITSTATUS(world_end(&other)), 1);
	assert_true(world_count(w, "EBUSY") > 0);
}

static void sockets_have_their_modes(void **state)
{
	struct world *w = *state;
	struct stat st;
	char path[128];

	world_start(w);
	world_path(w, "run/public/api.sock", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0777);
	world_path(w, "run/private/admin.sock", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	world_path(w, "state", path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 01770);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, IDS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(gives_core_everything_in_order),
		TEST(listeners_outlive_svidd_in_systemds_store),
		TEST(roles_inherit_the_planned_descriptors_only),
		TEST(roles_have_their_user_and_capabilities),
		TEST(front_is_joined_to_core_and_keys),
		TEST(new_keys_serves_old_fronts),
		TEST(new_core_is_served_and_old_fronts_end),
		TEST(core_that_falls_silent_is_replaced),
		TEST(undertakers_are_given_to_core_and_replaced),
		TEST(cloud_is_joined_to_core_and_keys_and_replaced),
		TEST(cloud_gets_the_listener_of_the_oidc_documents),
		TEST(core_that_breaks_the_protocol_is_replaced),
		TEST(drained_before_stop_is_refused),
		TEST(front_numbers_are_not_given_twice),
		TEST(killed_front_is_reported),
		TEST(hangup_compiles),
		TEST(hangup_opens_the_audit_log_anew),
		TEST(term_drains_and_ends_with_zero),
		TEST(core_that_never_drains_is_stopped),
		TEST(second_term_does_not_wait),
		TEST(nothing_outlives_a_killed_svidd),
		TEST(crash_loop_backs_off),
		TEST(socket_tier_of_the_file_needs_the_flag),
		TEST(missing_policy_directory_is_said),
		TEST(readable_sealing_key_is_refused),
		TEST(foreign_run_directory_is_refused),
		TEST(core_that_cannot_start_ends_svidd),
		TEST(missing_program_is_said),
		TEST(systemd_credential_is_the_sealing_key),
		TEST(damaged_credential_is_not_replaced),
		TEST(second_svidd_is_refused),
		TEST(sockets_have_their_modes),
	};
	bool is_role;
	int status = fake_role(argc, argv, &is_role);

	return is_role ? status : cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
