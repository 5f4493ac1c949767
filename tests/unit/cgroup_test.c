/* SPDX-License-Identifier: Apache-2.0 */
/* cgroup_test.c - from an inode number to a path without capabilities; which unit a path belongs to.
 * links: agent/core/cgroup.c agent/core/bounds.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/core/bounds.h"
#include "agent/core/cgroup.h"

static char root[64];
static struct cgroups *groups;

static const char *const dirs[] = { "a.slice", "a.slice/b.service", "a.slice/b.service/deep", "c" };

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

static uint64_t id_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(path_of(name), &st), 0);
	return st.st_ino;
}

static int setup(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/svid-cgroup-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdir(path_of(dirs[i]), 0755) < 0)
			return -1;
	return cgroups_new(root, &groups);
}

static int teardown(void **state)
{
	(void)state;
	cgroups_free(groups);
	for (size_t i = ARRAY_SIZE(dirs); i--;)
		rmdir(path_of(dirs[i]));
	return rmdir(root);
}

static void an_id_is_found_by_searching(void **state)
{
	struct slice path;

	(void)state;
	assert_int_equal(cgroups_path(groups, 0, id_of("a.slice/b.service/deep"), &path), 0);
	assert_true(slice_eq_str(path, "/a.slice/b.service/deep"));
	assert_int_equal(cgroups_path(groups, 0, id_of("c"), &path), 0);
	assert_true(slice_eq_str(path, "/c"));
	assert_int_equal(cgroups_path(groups, 0, id_of("."), &path), 0);
	assert_true(slice_eq_str(path, "/"));
}

static void what_was_found_is_remembered(void **state)
{
	uint64_t id = id_of("a.slice/b.service/deep");
	struct slice path;

	(void)state;
	assert_int_equal(cgroups_path(groups, 0, id, &path), 0);
	assert_int_equal(rmdir(path_of("a.slice/b.service/deep")), 0);
	assert_int_equal(cgroups_path(groups, 0, id, &path), 0);
	assert_int_equal(mkdir(path_of("a.slice/b.service/deep"), 0755), 0);
}

static void a_hint_of_another_directory_is_not_believed(void **state)
{
	struct slice path;

	(void)state;
	/* This process is somewhere else entirely: its /proc/self/cgroup names nothing below our root. */
	assert_int_equal(cgroups_path(groups, getpid(), id_of("c"), &path), 0);
	assert_true(slice_eq_str(path, "/c"));
}

static void unknown_ids_do_not_buy_endless_searches(void **state)
{
	struct slice path;
	int err = 0;

	(void)state;
	for (int i = 0; i < 10 && err != -EBUSY; i++)
		err = cgroups_path(groups, 0, 0xdeadbeefcafe + (uint64_t)i, &path);
	assert_int_equal(err, -EBUSY);
}

static void the_unit_is_the_first_part_that_is_no_slice(void **state)
{
	static const struct {
		const char *path, *unit;
	} cases[] = {
		{ "/system.slice/app.service", "app.service" },
		{ "/system.slice/app.service/sub.service", "app.service" },
		{ "/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1.service" },
		{ "/user.slice/user-0.slice/session-1.scope", "session-1.scope" },
		{ "/user.slice/user-1000.slice/user@1000.service/app.slice/trusted.service", "user@1000.service" },
		{ "/system.slice/_cgroup.service", "cgroup.service" },
		{ "/machine/lxc", "" },
		{ "/lxc/trusted.service", "" },
		{ "/system.slice", "" },
		{ "/.service", "" },
		{ "/", "" },
		{ "", "" },
		{ "//app.service", "app.service" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (!slice_eq_str(cgroup_unit(slice_str(cases[i].path)), cases[i].unit))
			fail_msg("%s", cases[i].path);
}

static void bounds_count_each_caller_apart(void **state)
{
	struct bounds b;

	(void)state;
	bounds_init(&b);
	b.max[BOUND_UID] = 8;
	for (int i = 0; i < 8; i++)
		assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), 0);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), -ERR_LIMIT);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1001, false), 0);
	assert_int_equal(bounds_get(&b, BOUND_CGROUP, 1000, false), 0);
	bounds_put(&b, BOUND_UID, 1000);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), 0);
	assert_int_equal(b.refused[BOUND_UID], 1);
	bounds_done(&b);
}

static void when_connections_are_scarce_nobody_gets_more_than_a_share(void **state)
{
	struct bounds b;

	(void)state;
	bounds_init(&b);
	b.max[BOUND_UID] = 16;
	assert_int_equal(bounds_get(&b, BOUND_UID, 1, true), 0);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1, true), 0);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1, true), -ERR_LIMIT);
	assert_int_equal(bounds_get(&b, BOUND_UID, 2, true), 0);
	bounds_done(&b);
}

static void a_caller_that_leaves_is_forgotten(void **state)
{
	struct bounds b;

	(void)state;
	bounds_init(&b);
	assert_int_equal(bounds_get(&b, BOUND_USERNS, 7, false), 0);
	assert_int_equal(bounds_count(&b, BOUND_USERNS, 7), 1);
	bounds_put(&b, BOUND_USERNS, 7);
	assert_int_equal(bounds_count(&b, BOUND_USERNS, 7), 0);
	bounds_put(&b, BOUND_USERNS, 7);
	assert_int_equal(bounds_count(&b, BOUND_USERNS, 7), 0);
	bounds_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_id_is_found_by_searching, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_found_is_remembered, setup, teardown),
		cmocka_unit_test_setup_teardown(a_hint_of_another_directory_is_not_believed, setup, teardown),
		cmocka_unit_test_setup_teardown(unknown_ids_do_not_buy_endless_searches, setup, teardown),
		cmocka_unit_test(the_unit_is_the_first_part_that_is_no_slice),
		cmocka_unit_test(bounds_count_each_caller_apart),
		cmocka_unit_test(when_connections_are_scarce_nobody_gets_more_than_a_share),
		cmocka_unit_test(a_caller_that_leaves_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
