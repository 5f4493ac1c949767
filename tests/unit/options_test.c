/* links: agent/parent/options.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* options_test.c - svidd's command line: what it refuses, what it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/parent/parent.h"

static int parse(const char *a, const char *b, struct options *o)
{
	char *argv[] = { (char *)(uintptr_t)"svidd", (char *)(uintptr_t)a, (char *)(uintptr_t)b, NULL };

	return options_parse(!a ? 1 : !b ? 2 : 3, argv, o);
}

static void bad_command_lines_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{ "--unknown", NULL },
		{ "config", NULL },
		{ "--config", NULL },
		{ "--config", "" },
		{ "--config=x", NULL },
		{ "--ids", "0" },
		{ "--ids", "-1" },
		{ "--ids", "1x" },
		{ "--ids", "2147483647" }, /* no room for the other roles */
		{ "--attestation", "best" },
		{ "--attestation", "" },
		{ "--delivery", "nfs" },
		{ "--tree-dir", "" },
		{ "--log-level", "loud" },
		{ "--instance", "../x" },
		{ "--instance", "a/b" },
		{ "--instance", "012345678901234567890123456789012" },
		{ "--help", "extra" },
	};
	struct options o = { .ids = 7 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (parse(rows[i][0], rows[i][1], &o) != -EINVAL)
			fail_msg("'%s %s' was taken", rows[i][0], rows[i][1] ? rows[i][1] : "");
	assert_int_equal(o.ids, 7); /* untouched */
}

static void defaults_are_those_an_operator_relies_on(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse(NULL, NULL, &o), 0);
	assert_string_equal(o.config_path, "/etc/svid/svid.yaml");
	assert_string_equal(o.policy_dir, "/etc/svid/policy.d");
	assert_string_equal(o.run_dir, "/run/svid");
	assert_string_equal(o.state_dir, "/var/lib/svid");
	assert_int_equal(o.tier, TIER_AUTO);
	assert_int_equal(o.ids, 0);
	assert_false(o.allow_socket);
	assert_false(o.debug_sandbox);
}

static void every_tier_and_delivery_can_be_named(void **state)
{
	struct options o;

	(void)state;
	for (unsigned int tier = 0; tier < TIER_COUNT; tier++) {
		assert_int_equal(parse("--attestation", tier_name(tier), &o), 0);
		assert_int_equal(o.tier, tier);
	}
	for (unsigned int how = 0; how < DELIVERY_COUNT; how++) {
		assert_int_equal(parse("--delivery", delivery_name(how), &o), 0);
		assert_int_equal(o.delivery, how);
	}
}

static void values_land_where_they_belong(void **state)
{
	struct options o;

	(void)state;
	assert_int_equal(parse("--ids", "61000", &o), 0);
	assert_int_equal(o.ids, 61000);
	assert_int_equal(parse("--log-level", "debug", &o), 0);
	assert_int_equal(o.log_level, LOG_DEBUG);
	assert_int_equal(parse("--instance", "test_1-a", &o), 0);
	assert_string_equal(o.instance, "test_1-a");
	assert_int_equal(parse("--debug-sandbox", "--help", &o), 0);
	assert_true(o.debug_sandbox && o.help);
}

/* What is said about wrong command lines is not part of this test's output. */
static int quiet(void **state)
{
	static int saved;

	saved = fcntl(2, F_DUPFD_CLOEXEC, 3);
	*state = &saved;
	return dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2) < 0 ? -1 : 0;
}

static int loud(void **state)
{
	return dup2(*(int *)*state, 2) < 0 ? -1 : 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bad_command_lines_are_refused, quiet, loud),
		cmocka_unit_test(defaults_are_those_an_operator_relies_on),
		cmocka_unit_test(every_tier_and_delivery_can_be_named),
		cmocka_unit_test(values_land_where_they_belong),
	};

	return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
