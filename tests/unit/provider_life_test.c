// SPDX-License-Identifier: Apache-2.0
/* links: agent/parent/bpf.c agent/parent/bpf_tier.c agent/parent/bpf_pin.c agent/parent/bpf_why.c agent/parent/module.c agent/core/provider.c agent/core/provider_attach.c agent/core/provider_bpf.c agent/core/provider_kmod.c agent/core/provider_socket.c tests/lib/evidence_caller.c tests/lib/evidence_world.c */
/* provider_life_test.c - core without privileges, losses, restarts of svidd and of core. See also provider_change_test.c. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "kmod/uapi/svid_dev.h"
#include "tests/lib/evidence_world.h"

#define NOBODY 65534

/* K16: everything core does, as nobody and without a capability. Exit code 0, or the number of the step that failed. */
static int nobodys_core(void)
{
	struct provider_fds fds = world_fds(world.kernel);
	struct provider_ticket t;
	struct provider *q = NULL;
	struct svid_conn conn;
	struct caller c = caller_start(world.path, NULL, NULL);
	int fd;

	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (provider_open(&fds, &q) != 0)
		return 2;
	if (caller_do(&c, CALLER_CONNECT) != 0)
		return 3;
	fd = world_accept();
	if (provider_attach(q, fd, &conn, &t) != 0 || conn.creds.ids.uid != 0)
		return 4;
	if (provider_poll(q) != 0 || !provider_valid(q, &t))
		return 5;
	if (caller_do(&c, CALLER_EXEC) != 0 || provider_valid(q, &t))
		return 6;
	world.p = q;
	world_drain();
	if (world.last.type != SVID_EVENT_EXEC)
		return 7;
	provider_detach(q, &t);
	provider_free(q);
	return 0;
}

static void core_needs_no_capability(void **state)
{
	int status = 0, go[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(pipe(go), 0);
	pid = fork();
	if (pid == 0) {
		(void)!read(go[0], &byte, 1);
		_exit(nobodys_core());
	}
	world_set_core(pid);
	assert_int_equal(write(go[1], "g", 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	world_set_core(getpid());
	assert_int_equal(WIFEXITED(status) ? WEXITSTATUS(status) : 99, 0);
	close(go[0]);
	close(go[1]);
}

/* A20: what does not fit is counted, and the words do not depend on it. */
static void overrun_of_the_ring_is_counted(void **state)
{
	const int moves = world_tier_is(SVID_TIER_KMOD) ? SVID_DEV_EVENTS + 100 : 4000; /* more than there is room for */
	struct provider_health h;
	char root[128];
	struct guest g;

	(void)state;
	NEED_KERNEL();
	if (!world_cgroup2(root, sizeof(root)))
		skip();
	guest_open(&g);
	provider_recover(world.p);
	for (int i = 0; i < moves; i++)
		assert_int_equal(world_cgroup_move(root, g.c.pid), 0);
	provider_health(world.p, &h);
	assert_true(h.lost_events > 0);
	world_drain();
	assert_int_equal(world.events + h.lost_events, moves);
	provider_recover(world.p);
	provider_health(world.p, &h);
	assert_int_equal(h.lost_events, 0);
	assert_int_equal(h.lost_records, 0);
	guest_close(&g);
}

/* A20, K8: only in a VM (tests/vm/evidence_test.sh), the switch is the whole machine's. */
static void silenced_trampolines_are_noticed(void **state)
{
	static const int said[SVID_TIER_COUNT] = {
		[SVID_TIER_LSM] = -ERR_EVIDENCE,
		[SVID_TIER_FENTRY] = -ERR_EVIDENCE,
		[SVID_TIER_KMOD] = -ENOENT, /* the file answers, but nobody saw the connection */
	};
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(system("echo 0 >/proc/sys/kernel/ftrace_enabled"), 0);
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(world.p, fd, 1, &conn), said[provider_tier(world.p)]);
	assert_int_equal(system("echo 1 >/proc/sys/kernel/ftrace_enabled"), 0);
	caller_end(&c);
	close(fd);
}

/* Programs keep recording while there is no svidd; the next one takes over maps and records. */
static void restart_is_no_gap(void **state)
{
	struct bpf_options opt = world_options("unit-pins", true);
	struct bpf_report report;
	struct provider_fds fds;
	struct provider *q = NULL;
	struct bpf *b = NULL;
	struct svid_conn conn;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(bpf_unpin("unit-pins"), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), 0);
	assert_false(report.reused);
	assert_int_equal(bpf_tag_listener(b, world.listener, 9), 0);
	bpf_free(b);
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), 0);
	assert_true(report.reused);
	fds = world_fds(b);
	assert_int_equal(provider_open(&fds, &q), 0);
	assert_int_equal(bpf_set_core(b, getpid()), 0);
	fd = world_accept();
	assert_int_equal(provider_adopt(q, fd, 1, &conn), 0);
	assert_int_equal(conn.image.flags & SVID_IMG_SCANNED, 0);
	provider_free(q);
	bpf_free(b);
	assert_int_equal(bpf_unpin("unit-pins"), 0);
	assert_int_not_equal(access("/sys/fs/bpf/svid-unit-pins", F_OK), 0);
	caller_end(&c);
	close(fd);
}

static uint32_t map_number(const struct bpf *b)
{
	struct bpf_map_info info = {0};
	uint32_t len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(bpf_map_fd(b, SVID_MAP_IMAGES), &info, &len), 0);
	return info.id;
}

/* An svidd that was killed between its first pin and its last one: nobody knows what was missed since. */
static void half_made_pins_are_not_taken_over(void **state)
{
	struct bpf_options opt = world_options("unit-half", true);
	struct bpf_report report;
	struct svid_config cfg;
	struct bpf *b = NULL;
	uint32_t zero = 0, before;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(bpf_unpin("unit-half"), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), 0);
	assert_int_equal(bpf_map_lookup_elem(bpf_map_fd(b, SVID_MAP_CONFIG), &zero, &cfg), 0);
	assert_int_equal(cfg.ready, 1);
	cfg.ready = 0;
	assert_int_equal(bpf_map_update_elem(bpf_map_fd(b, SVID_MAP_CONFIG), &zero, &cfg, BPF_ANY), 0);
	before = map_number(b);
	bpf_free(b);
	assert_int_equal(bpf_open(&opt, &report, &b), 0);
	assert_false(report.reused);
	assert_int_not_equal(map_number(b), before);
	bpf_free(b);
	assert_int_equal(bpf_unpin("unit-half"), 0);
}

/* Where bpffs was mounted with the kernel's own mode, 01777, anybody can make that directory first. */
static void pins_are_not_kept_in_a_directory_of_others(void **state)
{
	static const char dir[] = "/sys/fs/bpf/svid-unit-others";
	struct bpf_options opt = world_options("unit-others", true);
	struct bpf_report report;
	struct bpf *b = NULL;

	(void)state;
	NEED_KERNEL();
	assert_int_equal(bpf_unpin("unit-others"), 0);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(chown(dir, 64190, 64190), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), -ERR_PROVIDER);
	assert_non_null(strstr(report.why[SVID_TIER_NONE], dir));
	assert_int_equal(chown(dir, 0, 0), 0);
	assert_int_equal(chmod(dir, 0722), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), -ERR_PROVIDER);
	assert_int_equal(chmod(dir, 0700), 0);
	assert_int_equal(bpf_open(&opt, &report, &b), 0);
	bpf_free(b);
	assert_int_equal(bpf_unpin("unit-others"), 0);
}

/* The file outlives svidd (in systemd's store) and each core; of the one before there are neither holders nor events. */
static void kept_evidence_file_is_no_gap(void **state)
{
	struct svid_conn conn;
	struct provider_fds fds;
	struct provider_ticket t;
	struct guest before;
	struct caller c;
	int fd;

	(void)state;
	NEED_KERNEL();
	guest_open(&before);
	provider_free(world.p);
	c = caller_start(world.path, NULL, NULL);
	assert_int_equal(caller_do(&c, CALLER_CONNECT), 0);
	assert_int_equal(caller_do(&before.c, CALLER_EXEC), 0);
	fds = world_fds(NULL);
	assert_int_equal(provider_open(&fds, &world.p), 0);
	world_drain();
	assert_int_equal(world.events, 0);
	assert_false(provider_valid(world.p, &before.t));
	fd = world_accept();
	assert_int_equal(provider_attach(world.p, fd, &conn, &t), 0);
	assert_true(provider_valid(world.p, &t));
	provider_detach(world.p, &t);
	caller_end(&c);
	close(fd);
	caller_end(&before.c);
	close(before.fd);
}

static void instance_names_cannot_leave_their_directory(void **state)
{
	static const char *const bad[] = { "", "a/b", "..", "a b" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(bpf_unpin(bad[i]), -EINVAL);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(core_needs_no_capability),
		cmocka_unit_test(overrun_of_the_ring_is_counted),
		cmocka_unit_test(instance_names_cannot_leave_their_directory),
	};
	/* What is kept over a restart: maps and links, or the evidence file. */
	const struct CMUnitTest bpf_tests[] = {
		cmocka_unit_test(restart_is_no_gap),
		cmocka_unit_test(half_made_pins_are_not_taken_over),
		cmocka_unit_test(pins_are_not_kept_in_a_directory_of_others),
	};
	const struct CMUnitTest module_tests[] = { cmocka_unit_test(kept_evidence_file_is_no_gap) };
	const struct CMUnitTest vm_tests[] = { cmocka_unit_test(silenced_trampolines_are_noticed) };
	const char *tier = getenv("SVID_TEST_TIER");
	int failed;

	caller_main(argc, argv);
	failed = cmocka_run_group_tests_name("provider_life", tests, world_up, world_down);
	if (tier && strcmp(tier, "kmod") == 0)
		failed += cmocka_run_group_tests_name("provider_life_module", module_tests, world_up, world_down);
	else
		failed += cmocka_run_group_tests_name("provider_life_bpf", bpf_tests, world_up, world_down);
	if (getenv("VM"))
		failed += cmocka_run_group_tests_name("provider_life_vm", vm_tests, world_up, world_down);
	return failed;
}
