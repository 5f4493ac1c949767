// SPDX-License-Identifier: Apache-2.0
/* selector_test.c - each selector and rule against good and spoilt facts.
 * links: agent/core/selector.c agent/core/selector_facts.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/selector.h"
#include "tests/unit/policy_facts.h"

static struct sel_result try_selector(struct caller *c, const char *key, const char *value, struct buf *found)
{
	struct sel_value v = { 0 };
	struct selector s = { .id = term_selector_find(slice_str(key)), .values = &v, .n_values = 1 };
	struct eval e;
	struct sel_result r;

	assert_int_not_equal(s.id, SEL_COUNT);
	if (selector_set_value(s.id, slice_str(value), &v))
		fail_msg("%s does not take %s: %s", key, value, term_value_why(s.id, slice_str(value)));
	eval_init(&e, &c->f);
	r = selector_eval(&s, &e, found);
	mem_free(v.text);
	return r;
}

static bool matches(struct caller *c, const char *key, const char *value)
{
	struct sel_result r = try_selector(c, key, value, NULL);

	/* A refusal always has a reason. */
	assert_true(r.ok || *r.why);
	return r.ok;
}

static void nothing_but_the_value_matches(void **unused)
{
	static const struct {
		const char *key, *value, *other;
	} rows[] = {
		{ "unix:uid", "1000", "7" },	/* the effective one */
		{ "unix:gid", "1001", "8" },
		{ "process:uid", "1000", "0" },
		{ "process:gid", "1001", "27" },
		{ "unix:user", "alice", "alic" },
		{ "unix:group", "staff", "staff2" },
		{ "unix:supplementary_gid", "27", "0" },
		{ "unix:supplementary_group", "sudo", "staff" },
		{ "unix:path", "/usr/bin/app", "/usr/bin/ap" },
		{ "unix:sha256", CALLER_SHA256, OTHER_SHA256 },
		{ "process:binary:path", "glob:/usr/*/app", "glob:/usr/*" },
		{ "process:binary:path", "glob:/**/app", "glob:/**/ap" },
		{ "process:binary:name", "app", "bin" },
		{ "process:name", "glob:a*", "glob:b*" },
		{ "process:cmdline", "/usr/bin/app --serve", "app --serve" },
		{ "process:cmdline", "/usr/bin/app --serve x", "/usr/bin/app --serve x " },
		{ "process:cmdline", "glob:*--serve ?", "glob:*--serve" },
		{ "systemd:id", "app.service", "pp.service" },
		{ "kernel:cgroup", "glob:/system.slice/*", "glob:/user.slice/**" },
		{ "kernel:observed", "exec", "scan" },
		{ "kernel:user_namespace", "initial", "other" },
		{ "kernel:mount_namespace", "initial", "trusted" },
		{ "kernel:root", "same", "changed" },
		{ "kernel:loginuid", "unset", "0" },
		{ "kernel:no_new_privs", "false", "true" },
		{ "kernel:seccomp", "filter", "off" },
		{ "kernel:secure_exec", "false", "true" },
		{ "kernel:lsm_label", "unconfined", "unconfine" },
		{ "kernel:parent", "bash", "abcdefghijklmno" },
		{ "kernel:ancestor", "bash", "init" },
		{ "kernel:filesystem", "ext4", "xfs" },
		{ "kernel:filesystem", "0xef53", "0xef54" },
		{ "kernel:executable_uid", "0", "1000" },
	};
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (matches(&c, rows[i].key, rows[i].other))
			fail_msg("%s=%s matches", rows[i].key, rows[i].other);
		if (!matches(&c, rows[i].key, rows[i].value))
			fail_msg("%s=%s does not match", rows[i].key, rows[i].value);
	}
}

static void every_selector_is_tried_above(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	/* kernel:script needs another caller; with this count a new key must be added to the table. */
	assert_int_equal(SEL_COUNT, 30);
	assert_false(matches(&c, "kernel:script", "/usr/bin/app"));
	c.conn.image.flags |= SVID_IMG_SCRIPT;
	memcpy(c.conn.image.filename, "/opt/x.sh", 9);
	c.conn.image.filename_len = 9;
	assert_true(matches(&c, "kernel:script", "/opt/x.sh"));
	assert_false(matches(&c, "kernel:script", "/opt/x.s"));
	c.conn.image.flags |= SVID_IMG_PATH_TRUNC;
	assert_false(matches(&c, "kernel:script", "/opt/x.sh"));
}

static void a_doubtful_executable_has_no_path(void **unused)
{
	static const struct {
		uint32_t image, creds_off;
	} rows[] = {
		{ SVID_IMG_MEMFD, 0 },		 { SVID_IMG_DELETED, 0 },
		{ SVID_IMG_FS_UNPRIV, 0 },	 { SVID_IMG_MNT_USERNS, 0 },
		{ 0, SVID_CRED_USERNS_INIT },	 { 0, SVID_CRED_MNTNS_INIT },
		{ SVID_IMG_SCANNED, SVID_CRED_USERNS_INIT },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(caller) struct caller c = { 0 };

		caller_init(&c);
		c.conn.image.flags |= rows[i].image;
		c.conn.creds.flags &= ~rows[i].creds_off;
		assert_false(matches(&c, "unix:path", "/usr/bin/app"));
		assert_false(matches(&c, "process:binary:path", "glob:/**"));
		assert_false(matches(&c, "process:name", "app"));
		assert_false(matches(&c, "kernel:executable_uid", "0"));
		/* Only what the path rests on is in doubt. */
		assert_true(matches(&c, "unix:uid", "1000"));
	}
}

static void a_digest_that_is_not_known_does_not_match(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.sha256_why = "svid-attest ended while it was asked";
	assert_false(matches(&c, "unix:sha256", CALLER_SHA256)); /* whatever the value is */
	c.f.sha256 = slice_of(NULL, 0);
	assert_false(matches(&c, "unix:sha256", CALLER_SHA256));
	c.f.sha256_why = NULL;
	assert_false(matches(&c, "unix:sha256", CALLER_SHA256));
	assert_true(matches(&c, "unix:path", "/usr/bin/app"));
}

static void a_path_that_is_not_known_does_not_match(void **unused)
{
	static const char *const paths[] = { "", "app", "/usr/bin/app (deleted)", "/memfd:x (deleted)" };
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.path_err = -ERR_CHANGED;
	assert_false(matches(&c, "unix:path", "/usr/bin/app"));
	c.f.path_err = 0;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		c.f.path = slice_str(paths[i]);
		assert_false(matches(&c, "unix:path", "glob:/**"));
		assert_false(matches(&c, "process:name", "glob:*"));
	}
}

static void containers_of_the_initial_user_count(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.conn.creds.flags &= ~SVID_CRED_MNTNS_PID1;
	c.conn.creds.flags |= SVID_CRED_ROOT_DIFFERS;
	assert_true(matches(&c, "unix:path", "/usr/bin/app"));
	assert_true(matches(&c, "kernel:mount_namespace", "trusted"));
	assert_true(matches(&c, "kernel:root", "changed"));
}

static void a_scanned_process_keeps_its_path_but_not_its_arguments(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.conn.image.flags |= SVID_IMG_SCANNED;
	assert_true(matches(&c, "unix:path", "/usr/bin/app"));
	assert_false(matches(&c, "process:cmdline", "/usr/bin/app"));
	assert_true(matches(&c, "kernel:observed", "scan"));
}

static void truncated_arguments_never_match(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.conn.image.flags |= SVID_IMG_ARGV_TRUNC;
	assert_false(matches(&c, "process:cmdline", "/usr/bin/app"));
	c.conn.image.flags = 0;
	c.conn.image.argv_total++;
	assert_false(matches(&c, "process:cmdline", "/usr/bin/app"));
	c.conn.image.argv_len = c.conn.image.argv_total = SVID_ARGV_MAX + 1;
	assert_false(matches(&c, "process:cmdline", "/usr/bin/app"));
	c.conn.image.argv_len = c.conn.image.argv_total = 0;
	assert_false(matches(&c, "process:cmdline", "glob:*"));
}

static void arguments_are_compared_as_bytes(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	caller_args(&c, "a\xff\n\0b", 6);
	assert_true(matches(&c, "process:cmdline", "a\xff\n b"));
	assert_false(matches(&c, "process:cmdline", "a\xff\nb"));
}

static void names_that_cannot_be_found_do_not_match(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.names_err = -ETIMEDOUT;
	assert_false(matches(&c, "unix:user", "alice"));
	assert_false(matches(&c, "unix:group", "staff"));
	assert_false(matches(&c, "unix:supplementary_group", "sudo"));
	assert_true(matches(&c, "unix:supplementary_gid", "27"));
	c.f.names_err = 0;
	c.f.user = slice_str("");
	assert_false(matches(&c, "unix:user", "alice"));
	c.f.groups = slice_of("\xff\xff", 2);
	assert_false(matches(&c, "unix:supplementary_group", "sudo"));
}

static void groups_beyond_the_record_are_said_to_be_unknown(void **unused)
{
	AUTO(caller) struct caller c = { 0 };
	struct sel_result r;

	(void)unused;
	caller_init(&c);
	c.conn.creds.flags |= SVID_CRED_GROUPS_TRUNC;
	c.conn.creds.ngroups = 100000;
	assert_true(matches(&c, "unix:supplementary_gid", "27"));
	r = try_selector(&c, "unix:supplementary_gid", "5555", NULL);
	assert_false(r.ok);
	assert_string_equal(r.why, "it has more groups than the record holds");
}

static void an_unknown_cgroup_does_not_match(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.cgroup_err = -ENOENT;
	assert_false(matches(&c, "systemd:id", "app.service"));
	assert_false(matches(&c, "kernel:cgroup", "glob:/**"));
}

static void an_incomplete_record_matches_nothing(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.conn.flags &= ~SVID_CONN_VALID;
	assert_false(matches(&c, "unix:uid", "1000"));
	assert_false(matches(&c, "systemd:id", "app.service"));
	assert_false(matches(&c, "kernel:observed", "exec"));
}

static void socket_mode_knows_only_what_proc_knows(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.tier = TIER_SOCKET;
	c.conn.flags = 0;
	c.conn.creds.flags = 0;
	assert_true(matches(&c, "unix:path", "/usr/bin/app"));
	assert_true(matches(&c, "process:cmdline", "/usr/bin/app"));
	assert_true(matches(&c, "unix:uid", "1000"));
	assert_true(matches(&c, "kernel:cgroup", "/system.slice/app.service"));
	assert_false(matches(&c, "kernel:observed", "exec"));
	assert_false(matches(&c, "kernel:user_namespace", "other"));
	assert_false(matches(&c, "kernel:no_new_privs", "false"));
}

static void what_was_found_is_shown(void **unused)
{
	AUTO(caller) struct caller c = { 0 };
	AUTO(buf) struct buf found = BUF_INIT(1000);

	(void)unused;
	caller_init(&c);
	assert_true(try_selector(&c, "unix:supplementary_gid", "27", &found).ok);
	assert_string_equal(buf_cstr(&found), "27, 1001");
	buf_reset(&found);
	assert_true(try_selector(&c, "kernel:filesystem", "ext4", &found).ok);
	assert_string_equal(buf_cstr(&found), "ext4");
	buf_reset(&found);
	assert_false(try_selector(&c, "unix:user", "bob", &found).ok);
	assert_string_equal(buf_cstr(&found), "alice");
}

static bool kept(struct caller *c, unsigned int rule, bool is_default)
{
	struct sel_result r = rule_eval(rule, is_default, &c->f);

	assert_true(r.ok || *r.why);
	return r.ok;
}

static void any_trace_breaks_not_traced(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	assert_true(kept(&c, RULE_NOT_TRACED, true));
	assert_true(kept(&c, RULE_NOT_TRACED, false));
	c.conn.image.flags = SVID_IMG_TRACED;
	assert_false(kept(&c, RULE_NOT_TRACED, true));
	c.conn.image.flags = 0;
	c.conn.creds.flags |= SVID_CRED_TRACED_NOW;
	assert_false(kept(&c, RULE_NOT_TRACED, true));
}

static void only_the_default_is_waived_and_only_where_nothing_can_be_seen(void **unused)
{
	static const unsigned int tiers[] = { TIER_BPF_LSM, TIER_BPF_FENTRY, TIER_KMOD, TIER_BPF_TP, TIER_SOCKET };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(tiers); i++) {
		bool blind = tiers[i] == TIER_BPF_TP || tiers[i] == TIER_SOCKET;
		AUTO(caller) struct caller c = { 0 };

		caller_init(&c);
		c.f.tier = tiers[i];
		c.conn.flags &= ~SVID_CONN_SEES_TRACE;
		assert_int_equal(kept(&c, RULE_NOT_TRACED, true), blind);
		assert_int_equal(rule_eval(RULE_NOT_TRACED, true, &c.f).waived, blind);
		assert_false(kept(&c, RULE_NOT_TRACED, false));
		c.conn.creds.flags |= SVID_CRED_TRACED_NOW; /* seen after all */
		assert_false(kept(&c, RULE_NOT_TRACED, true));
	}
}

static void loader_variables_break_the_rules_that_name_them(void **unused)
{
	static const struct {
		uint32_t flag;
		bool preload, clean;
	} rows[] = {
		{ SVID_IMG_LD_PRELOAD, false, false },	    { SVID_IMG_LD_AUDIT, false, false },
		{ SVID_IMG_LD_LIBRARY_PATH, false, false }, { SVID_IMG_ENV_TRUNC, false, false },
		{ SVID_IMG_ENV_OTHER, true, false },	    { 0, true, true },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(caller) struct caller c = { 0 };

		caller_init(&c);
		c.conn.image.flags = rows[i].flag;
		assert_int_equal(kept(&c, RULE_NO_PRELOAD, true), rows[i].preload);
		assert_int_equal(kept(&c, RULE_NO_PRELOAD, false), rows[i].preload);
		assert_int_equal(kept(&c, RULE_CLEAN_ENV, false), rows[i].clean);
	}
}

static void a_written_rule_is_not_kept_by_a_process_older_than_svidd(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	assert_true(kept(&c, RULE_OBSERVED_EXEC, false));
	c.conn.image.flags = SVID_IMG_SCANNED;
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++)
		assert_false(kept(&c, rule, false));
	assert_false(kept(&c, RULE_COUNT, true));
}

static void globs_follow_their_rules(void **unused)
{
	static const struct {
		const char *pattern, *text;
		bool path, ok;
	} rows[] = {
		{ "", "", true, true },
		{ "", "a", true, false },
		{ "*", "", true, true },
		{ "*", "a/b", true, false },
		{ "*", "a/b", false, true },
		{ "**", "a/b", true, true },
		{ "a?c", "abc", true, true },
		{ "a?c", "a/c", true, false },
		{ "a?c", "a/c", false, true },
		{ "/a/*/c", "/a/b/c", true, true },
		{ "/a/*/c", "/a/b/x/c", true, false },
		{ "/a/**/c", "/a/b/x/c", true, true },
		{ "/a/**/c", "/a/c", true, false },
		{ "**/*x", "a/b/cx", true, true },
		{ "**/*x/y", "a/x/b/cx/y", true, true },
		{ "**a*b", "xaxb/axb", true, true },
		{ "*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", true, false },
		{ "[ab]", "a", true, false },
		{ "a*", "a", true, true },
		{ "*b", "a", true, false },
		{ "/opt/*/bin/**", "/opt/x/bin/y/z", true, true },
		{ "/opt/*/bin/**", "/opt/x/y/bin/z", true, false },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (glob_match(slice_str(rows[i].pattern), slice_str(rows[i].text), rows[i].path) != rows[i].ok)
			fail_msg("%s on %s (%d)", rows[i].pattern, rows[i].text, rows[i].path);
}

static void values_that_could_never_match_are_refused(void **unused)
{
	static const struct {
		const char *key, *value;
	} rows[] = {
		{ "unix:uid", "" },		     { "unix:uid", "-1" },
		{ "unix:uid", "4294967296" },	     { "unix:uid", "01" },
		{ "unix:uid", "root" },		     { "unix:uid", "glob:1*" },
		{ "unix:path", "bin/x" },	     { "unix:path", "/a/../b" },
		{ "unix:path", "/a/./b" },	     { "unix:path", "/a//b" },
		{ "unix:path", "/a/" },		     { "unix:path", "/a*" },
		{ "unix:path", "/a (deleted)" },     { "unix:path", "glob:" },
		{ "unix:path", "glob:a/*" },	     { "process:name", "a/b" },
		{ "systemd:id", "app" },	     { "systemd:id", "a/b.service" },
		{ "unix:sha256", "e3b0c442" },
		{ "unix:sha256", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855" },
		{ "unix:sha256", "glob:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7" },
		{ "unix:sha256", CALLER_SHA256 "0" },
		{ "kernel:observed", "Exec" },	     { "kernel:observed", "exec|scan" },
		{ "kernel:ancestor", "abcdefghijklmnop" }, { "kernel:filesystem", "ext9" },
		{ "kernel:filesystem", "0x" },	     { "kernel:loginuid", "none" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (!term_value_why(term_selector_find(slice_str(rows[i].key)), slice_str(rows[i].value)))
			fail_msg("%s takes %s", rows[i].key, rows[i].value);
	assert_non_null(term_value_why(SEL_UNIX_USER, slice_of("a\0b", 3)));
	assert_non_null(term_value_why(SEL_COUNT, slice_str("x")));
}

static void keys_of_others_are_refused_with_a_reason(void **unused)
{
	(void)unused;
	assert_non_null(term_selector_refused(slice_str("k8s:ns")));
	assert_non_null(term_selector_refused(slice_str("docker:label:a")));
	assert_non_null(term_selector_refused(slice_str("process:binary:sha256")));
	assert_null(term_selector_refused(slice_str("unix:sha2567")));
	assert_null(term_selector_refused(slice_str("foo")));
}

static void dns_names_are_checked(void **unused)
{
	static const char *const bad[] = { "", ".", "a.", ".a", "a..b", "-a", "a-", "A", "a_b", "*.a", "1.2.3.4", "a b" };
	static const char *const good[] = { "a", "a.b", "1a.b-c.x9", "123.a" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (!term_dns_why(slice_str(bad[i])))
			fail_msg("'%s' is taken", bad[i]);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_null(term_dns_why(slice_str(good[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_but_the_value_matches),
		cmocka_unit_test(every_selector_is_tried_above),
		cmocka_unit_test(a_doubtful_executable_has_no_path),
		cmocka_unit_test(a_digest_that_is_not_known_does_not_match),
		cmocka_unit_test(a_path_that_is_not_known_does_not_match),
		cmocka_unit_test(containers_of_the_initial_user_count),
		cmocka_unit_test(a_scanned_process_keeps_its_path_but_not_its_arguments),
		cmocka_unit_test(truncated_arguments_never_match),
		cmocka_unit_test(arguments_are_compared_as_bytes),
		cmocka_unit_test(names_that_cannot_be_found_do_not_match),
		cmocka_unit_test(groups_beyond_the_record_are_said_to_be_unknown),
		cmocka_unit_test(an_unknown_cgroup_does_not_match),
		cmocka_unit_test(an_incomplete_record_matches_nothing),
		cmocka_unit_test(socket_mode_knows_only_what_proc_knows),
		cmocka_unit_test(what_was_found_is_shown),
		cmocka_unit_test(any_trace_breaks_not_traced),
		cmocka_unit_test(only_the_default_is_waived_and_only_where_nothing_can_be_seen),
		cmocka_unit_test(loader_variables_break_the_rules_that_name_them),
		cmocka_unit_test(a_written_rule_is_not_kept_by_a_process_older_than_svidd),
		cmocka_unit_test(globs_follow_their_rules),
		cmocka_unit_test(values_that_could_never_match_are_refused),
		cmocka_unit_test(keys_of_others_are_refused_with_a_reason),
		cmocka_unit_test(dns_names_are_checked),
	};

	return cmocka_run_group_tests_name("selector", tests, NULL, NULL);
}
