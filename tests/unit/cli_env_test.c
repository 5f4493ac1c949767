/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/env_form.c */
/* cli_env_test.c - variables as they will be pasted: what a value holds is the value in each form, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/cli/env_form.h"

#define TREE "/run/svid/credentials"

static const char *const values[] = {
	"plain", "", "two words", "it's", "'", "''''", "$HOME", "$(id)", "`id`", "a\\nb", "\\", "\"q\"", "%h %%", "* ? [a]", "~",
	"a;b|c&d", "#no", "!!", "arn:aws:iam::1:role/x+=,.@-_y", "{\"a\":\"b\"}", "x=y=z", " ends ", "$$ $(A)$", "-n",
};

static void put(const char *form, const char *tree, const char *value, struct buf *out)
{
	struct env_vars e = { .v = { { slice_str("X"), slice_str(value) } }, .n = 1, .tree = tree };

	env_form_put(env_form_at(form), &e, out);
	assert_int_equal(buf_ok(out), 0);
}

/* What a shell of this machine makes of it. */
static void run(const char *script, char *got, size_t size)
{
	FILE *f = popen(script, "r");
	size_t n;

	assert_non_null(f);
	n = fread(got, 1, size - 1, f);
	got[n] = 0;
	assert_int_equal(pclose(f), 0);
}

static void a_shell_reads_each_value_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		AUTO(buf) struct buf out = BUF_INIT(4096);
		char got[256];

		put("sh", TREE, values[i], &out);
		buf_put_str(&out, "printf '%s' \"$X\"");
		run(buf_cstr(&out), got, sizeof(got));
		assert_string_equal(got, values[i]);
	}
}

static void a_quoted_word_is_one_word_of_a_shell(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		AUTO(buf) struct buf out = BUF_INIT(4096);
		char got[256], want[256];

		buf_put_str(&out, "set -- ");
		quote_shell(&out, slice_str(values[i]));
		buf_put_str(&out, " end; printf '%s/%s' \"$1\" \"$#\"");
		run(buf_cstr(&out), got, sizeof(got));
		snprintf(want, sizeof(want), "%s/2", values[i]);
		assert_string_equal(got, want);
	}
}

static void gives(const char *form, const char *value, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(4096);

	put(form, TREE, value, &out);
	assert_non_null(strstr(buf_cstr(&out), want));
}

static void systemd_sees_no_specifier_and_no_end_of_the_string(void **state)
{
	(void)state;
	gives("systemd", "a%h\\\"b c", "[Service]\nEnvironment=\"X=a%%h\\\\\\\"b c\"\n");
	gives("systemd", "$HOME 'x'", "Environment=\"X=$HOME 'x'\"\n"); /* Environment= expands no variables */
}

static void compose_and_kubernetes_replace_nothing(void **state)
{
	(void)state;
	gives("compose", "$A ${B} 50%: #x", "      X: \"$$A $${B} 50%: #x\"\n");
	gives("k8s", "$A $(B) \"q\\", "        - name: X\n          value: \"$A $$(B) \\\"q\\\\\"\n");
	gives("k8s", "$$(B)", "value: \"$$$(B)\"\n");
}

static void containers_mount_the_tree_unless_it_is_in_sysfs(void **state)
{
	static const char *const containers[] = { "compose", "k8s" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(containers); i++) {
		AUTO(buf) struct buf fuse = BUF_INIT(4096);
		AUTO(buf) struct buf sysfs = BUF_INIT(4096);

		put(containers[i], TREE, "v", &fuse);
		put(containers[i], "/sys/kernel/svid/credentials", "v", &sysfs);
		assert_non_null(strstr(buf_cstr(&fuse), "\"" TREE "\""));
		assert_null(strstr(buf_cstr(&sysfs), "/sys/"));
	}
	gives("sh", "v", "export X=v\n");
}

static void notes_are_comments_whatever_is_in_them(void **state)
{
	struct env_vars e = { .tree = TREE, .note = slice_str("one\n\x1b[2J\rtwo\n") };
	AUTO(buf) struct buf out = BUF_INIT(4096);

	(void)state;
	env_form_put(env_form_at("sh"), &e, &out);
	assert_string_equal(buf_cstr(&out), "# one\n# \\x1b[2J\\x0dtwo\n");
}

static void reads(const char *text, int want, size_t n)
{
	struct env_vars e = { .n = 0 };

	assert_int_equal(env_read(slice_str(text), &e), want);
	if (!want)
		assert_int_equal(e.n, n);
}

static void what_is_no_variable_is_refused(void **state)
{
	AUTO(buf) struct buf many = BUF_INIT(4096);

	(void)state;
	reads("", 0, 0);
	reads("A=b\nB_2=c=d\n", 0, 2);
	reads("A=b", 0, 1);
	reads("A=", 0, 1);
	reads("A\n", -ERR_FORMAT, 0);
	reads("=b\n", -ERR_FORMAT, 0);
	reads("a=b\n", -ERR_FORMAT, 0);
	reads("2A=b\n", -ERR_FORMAT, 0);
	reads("A B=c\n", -ERR_FORMAT, 0);
	reads("A;id=c\n", -ERR_FORMAT, 0);
	reads("\n", -ERR_FORMAT, 0);
	reads("A=\x1b[2J\n", -ERR_FORMAT, 0);
	reads("A=b\r\n", -ERR_FORMAT, 0);
	reads("A=\xc3\xa9\n", -ERR_FORMAT, 0);
	for (int i = 0; i <= ENV_VARS_MAX; i++)
		buf_put_str(&many, "A=b\n");
	reads(buf_cstr(&many), -ERR_LIMIT, 0);
}

static void each_form_is_known_by_its_name(void **state)
{
	(void)state;
	assert_non_null(env_form_at("sh"));
	assert_null(env_form_at("bash"));
	assert_null(env_form_at(""));
	assert_string_equal(env_form_names(), "sh systemd compose k8s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shell_reads_each_value_back),
		cmocka_unit_test(a_quoted_word_is_one_word_of_a_shell),
		cmocka_unit_test(systemd_sees_no_specifier_and_no_end_of_the_string),
		cmocka_unit_test(compose_and_kubernetes_replace_nothing),
		cmocka_unit_test(containers_mount_the_tree_unless_it_is_in_sysfs),
		cmocka_unit_test(notes_are_comments_whatever_is_in_them),
		cmocka_unit_test(what_is_no_variable_is_refused),
		cmocka_unit_test(each_form_is_known_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
