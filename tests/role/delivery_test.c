// SPDX-License-Identifier: Apache-2.0
/* links: tests/role/parent_fakes.c tests/role/parent_world.c */
/* delivery_test.c - where svidd shows the credential tree: mounts, what outlives whom, what cannot work. Roles are played. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/compiler.h"
#include "tests/role/parent_fakes.h"
#include "tests/role/parent_world.h"

#define OPCODE_INIT 26

static bool no_fuse(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return true;
	close(fd);
	return false;
}

/* How many mounts there are at the tree's place; the options and the number of the last one. */
static unsigned int mounts(const struct world *w, char options[static 256], unsigned int *ret_id)
{
	char line[1024], where[256], tree[128];
	FILE *f = fopen("/proc/self/mountinfo", "re");
	unsigned int n = 0, id;

	world_path(w, "run/credentials", tree);
	while (f && fgets(line, sizeof(line), f)) {
		const char *super = strstr(line, " - ");
		char opts[100];

		if (sscanf(line, "%u %*u %*s %*s %255s %99s", &id, where, opts) != 3 || strcmp(where, tree) != 0)
			continue;
		n++;
		*ret_id = id;
		snprintf(options, 256, "%s %.150s", opts, super ? super : "");
	}
	if (f)
		fclose(f);
	return n;
}

static void fuse_is_mounted_for_everybody_and_nothing_runs_from_it(void **state)
{
	struct world *w = *state;
	char options[256] = "", says[160];
	unsigned int id = 0;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_start(w);
	assert_int_equal(mounts(w, options, &id), 1);
	assert_non_null(strstr(options, "ro,nosuid"));
	assert_non_null(strstr(options, "nodev"));
	assert_non_null(strstr(options, "noexec"));
	assert_non_null(strstr(options, "fuse.svid svid-parent-test"));
	assert_non_null(strstr(options, "allow_other"));
	assert_non_null(strstr(options, "user_id=" IDS_ARG));
	world_wait(w, "FAKE core fuse opcode 26.", 1);
	snprintf(says, sizeof(says), "FAKE core tree <%s/run/credentials>.", w->dir);
	world_wait(w, says, 1);
	kill(w->svidd, SIGTERM);
	assert_int_equal(world_end(w), 0);
	assert_int_equal(mounts(w, options, &id), 0);
}

static void restart_of_core_keeps_the_mount(void **state)
{
	struct world *w = *state;
	char options[256];
	unsigned int before = 0, after = 1;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_start(w);
	assert_int_equal(mounts(w, options, &before), 1);
	world_tell_core(w, "exit 1");
	world_wait(w, "FAKE core go", 2);
	world_wait(w, "FAKE core fuse opcode -1.", 1); /* the same session: INIT was answered by the one before */
	assert_int_equal(mounts(w, options, &after), 1);
	assert_int_equal(before, after);
}

static void mount_of_a_svidd_that_was_killed_is_replaced(void **state)
{
	struct world *w = *state;
	char options[256];
	unsigned int before = 0, after = 0;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_start(w);
	kill(w->svidd, SIGKILL);
	world_end(w);
	assert_int_equal(mounts(w, options, &before), 1); /* and nobody answers there */
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 2);
	assert_int_equal(mounts(w, options, &after), 1);
	world_wait(w, "FAKE core fuse opcode 26.", 2); /* a new one, maybe with the old one's number */
}

static void mount_that_is_not_wanted_any_more_goes(void **state)
{
	struct world *w = *state;
	char options[256];
	unsigned int id = 0;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_start(w);
	kill(w->svidd, SIGKILL);
	world_end(w);
	w->delivery = "none";
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 2);
	assert_int_equal(mounts(w, options, &id), 0);
	world_wait(w, "FAKE core tree <>.", 1);
}

/* Takes the notices up to READY=1 and keeps the descriptors. */
static void be_systemd_until_ready(struct world *w)
{
	char text[64], want[64];
	int fd = -1;

	do {
		world_notice(w, text, &fd);
		for (size_t i = 0; i < WORLD_STORED; i++) {
			snprintf(want, sizeof(want), "FDSTORE=1\nFDNAME=%s", world_stored[i]);
			if (strcmp(text, want) == 0)
				w->stored[i] = fd;
		}
	} while (strncmp(text, "READY=1", 7) != 0);
}

static void systemd_keeps_the_mount_alive(void **state)
{
	struct world *w = *state;
	char options[256];
	unsigned int before = 0, after = 1;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_be_systemd(w);
	world_start(w);
	be_systemd_until_ready(w);
	for (size_t i = 0; i < WORLD_STORED; i++)
		assert_true(w->stored[i] > 0);
	assert_int_equal(mounts(w, options, &before), 1);
	kill(w->svidd, SIGTERM); /* a restart begins so */
	assert_int_equal(world_end(w), 0);
	assert_int_equal(mounts(w, options, &after), 1);
	assert_int_equal(before, after);
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 2);
	assert_int_equal(mounts(w, options, &after), 1);
	assert_int_equal(before, after);
	assert_int_equal(world_count(w, "FAKE core fuse opcode 26."), 1);
	world_wait(w, "FAKE core fuse opcode -1.", 1);
}

static void stored_device_without_its_mount_is_not_used(void **state)
{
	struct world *w = *state;
	char options[256], tree[128];
	unsigned int id = 0;

	if (no_fuse())
		skip();
	w->delivery = "fuse";
	world_be_systemd(w);
	world_start(w);
	be_systemd_until_ready(w);
	kill(w->svidd, SIGKILL);
	world_end(w);
	world_path(w, "run/credentials", tree);
	assert_int_equal(umount2(tree, MNT_DETACH), 0);
	world_start_with(w, "--attestation");
	world_wait(w, "event=\"ready\"", 2);
	assert_int_equal(mounts(w, options, &id), 1);
	world_wait(w, "FAKE core fuse opcode 26.", 2);
}

static void put_another_mount_there(const struct world *w)
{
	char path[128];

	world_path(w, "run", path);
	assert_int_equal(mkdir(path, 0755), 0);
	world_path(w, "run/credentials", path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(mount("tmpfs", path, "tmpfs", 0, "size=4k"), 0);
}

static void what_others_mounted_there_stays(void **state)
{
	struct world *w = *state;
	char options[256] = "";
	unsigned int id = 0;

	w->delivery = "auto";
	put_another_mount_there(w);
	world_start(w);
	if (world_count(w, "delivery=\"sysfs\""))
		skip();
	world_wait(w, "something else is mounted there", 1);
	world_wait(w, "FAKE core tree <>.", 1);
	assert_int_equal(mounts(w, options, &id), 1);
	assert_non_null(strstr(options, "tmpfs"));
	kill(w->svidd, SIGTERM);
	assert_int_equal(world_end(w), 0);
	assert_int_equal(mounts(w, options, &id), 1);
}

static void named_delivery_that_cannot_work_ends_svidd(void **state)
{
	struct world *w = *state;
	int status;

	w->delivery = "fuse";
	put_another_mount_there(w);
	world_start_with(w, "--attestation");
	status = world_end(w);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(world_count(w, "choose another --tree-dir"), 1);
}

static void tree_of_the_module_needs_the_module(void **state)
{
	struct world *w = *state;
	int status;

	if (access("/dev/svid", F_OK) == 0)
		skip();
	w->delivery = "sysfs";
	world_start_with(w, "--attestation");
	status = world_end(w);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(world_count(w, "modprobe svid"), 1);
}

static void directory_of_another_user_is_a_trap(void **state)
{
	struct world *w = *state;
	char path[128], options[256];
	unsigned int id = 0;

	if (no_fuse())
		skip();
	w->delivery = "auto";
	world_path(w, "run", path);
	assert_int_equal(mkdir(path, 0755), 0);
	world_path(w, "run/credentials", path);
	assert_int_equal(mkdir(path, 0755), 0);
	assert_int_equal(chown(path, IDS + 9, IDS + 9), 0);
	world_start(w);
	if (world_count(w, "delivery=\"sysfs\""))
		skip();
	assert_int_equal(mounts(w, options, &id), 0);
	world_wait(w, "FAKE core tree <>.", 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(fuse_is_mounted_for_everybody_and_nothing_runs_from_it),
		TEST(restart_of_core_keeps_the_mount),
		TEST(mount_of_a_svidd_that_was_killed_is_replaced),
		TEST(mount_that_is_not_wanted_any_more_goes),
		TEST(systemd_keeps_the_mount_alive),
		TEST(stored_device_without_its_mount_is_not_used),
		TEST(what_others_mounted_there_stays),
		TEST(named_delivery_that_cannot_work_ends_svidd),
		TEST(tree_of_the_module_needs_the_module),
		TEST(directory_of_another_user_is_a_trap),
	};
	bool is_role;
	int code = fake_role(argc, argv, &is_role);

	return is_role ? code : cmocka_run_group_tests(tests, NULL, NULL);
}
