/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/audit_line.c agent/cli/jwt.c agent/cli/jwt_verify.c agent/cli/jwk.c agent/cli/dump.c agent/cli/exec.c */
/* cli_audit_test.c - which records `svid audit` shows, as what; and what `svid explain --exec` finds out of a path. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/cli/audit_line.h"
#include "agent/cli/exec.h"

#define ID "spiffe://td/web"
#define ALLOW "{\"time\":\"2026-11-22T10:00:00.123Z\",\"event\":\"decision\",\"decision\":\"allow\",\"identities\":[\"" ID \
	      "\",\"spiffe://td/b\"],\"pid\":7,\"path\":\"/bin/x\\u001b[2J\"}"
#define NONE "{\"time\":\"2026-11-22T10:00:01.000Z\",\"event\":\"decision\",\"decision\":\"none\",\"identities\":[],\"pid\":8}"
#define ISSUE "{\"time\":\"2026-11-22T10:00:02.000Z\",\"event\":\"issue\",\"spiffe_id\":\"" ID "\",\"serial\":\"ab\"}"
#define JWT_YES "{\"time\":\"2026-11-22T10:00:03.000Z\",\"event\":\"decision\",\"decision\":\"jwt\",\"allowed\":true," \
		"\"why\":null,\"spiffe_id\":\"" ID "\",\"audiences\":[\"a\",\"b\"]}"
#define JWT_NO "{\"time\":\"2026-11-22T10:00:04.000Z\",\"event\":\"decision\",\"decision\":\"jwt\",\"allowed\":false," \
	       "\"why\":\"ERR_AUDIENCE\",\"spiffe_id\":\"" ID "\"}"
#define FAILED "{\"time\":\"2026-11-22T10:00:05.000Z\",\"event\":\"issue_failed\",\"spiffe_id\":\"" ID "\"}"

static bool wanted(const char *text, int64_t since, const char *identity, bool denied)
{
	const struct audit_filter f = { .since = since, .identity = identity, .denied = denied };
	json_t *record = json_loads(text, 0, NULL);
	bool yes = audit_wanted(record, &f);

	json_decref(record);
	return yes;
}

static void denials_are_what_was_asked_for_and_not_given(void **state)
{
	(void)state;
	assert_true(wanted(NONE, 0, NULL, true));
	assert_true(wanted(JWT_NO, 0, NULL, true));
	assert_true(wanted(FAILED, 0, NULL, true));
	assert_false(wanted(ALLOW, 0, NULL, true));
	assert_false(wanted(ISSUE, 0, NULL, true));
	assert_false(wanted(JWT_YES, 0, NULL, true));
	assert_false(wanted("{}", 0, NULL, true));
}

static void identities_are_found_wherever_they_are_named(void **state)
{
	(void)state;
	assert_true(wanted(ALLOW, 0, "spiffe://td/b", false));
	assert_true(wanted(ISSUE, 0, ID, false));
	assert_false(wanted(ALLOW, 0, "spiffe://td/we", false));
	assert_false(wanted(NONE, 0, ID, false));
}

static void time_bounds_the_past(void **state)
{
	int64_t at;

	(void)state;
	assert_int_equal(audit_since("2026-11-22T10:00:02Z", 0, &at), 0);
	assert_false(wanted(NONE, at, NULL, false));
	assert_true(wanted(ISSUE, at, NULL, false));
	assert_false(wanted("{\"event\":\"x\"}", at, NULL, false));
	assert_false(wanted("{\"time\":\"yesterday\"}", at, NULL, false));
	assert_int_equal(audit_since("90s", 1000, &at), 0);
	assert_int_equal(at, 910);
	assert_int_equal(audit_since("2h", 10000, &at), 0);
	assert_int_equal(at, 2800);
	assert_int_equal(audit_since("1d", 86400, &at), 0);
	assert_int_equal(at, 0);
	for (size_t i = 0; i < 7; i++) {
		static const char *const bad[] = { "", "s", "-1s", "5", "1w", "2026-11-22", "2026-11-22T10:00:00+01:00" };

		assert_int_equal(audit_since(bad[i], 0, &at), -ERR_FORMAT);
	}
}

static void shows(const char *text, const char *want)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);
	json_t *record = json_loads(text, 0, NULL);

	audit_put(&out, record);
	assert_string_equal(buf_cstr(&out), want);
	json_decref(record);
}

static void records_become_lines_and_hostile_bytes_stay_bytes(void **state)
{
	(void)state;
	shows(ALLOW, "2026-11-22T10:00:00.123Z  decision allow  " ID ", spiffe://td/b  pid=7  path=/bin/x\\x1b[2J\n");
	shows(NONE, "2026-11-22T10:00:01.000Z  decision none   pid=8\n");
	shows(JWT_NO, "2026-11-22T10:00:04.000Z  decision jwt refused  " ID "  why=ERR_AUDIENCE\n");
	shows(JWT_YES, "2026-11-22T10:00:03.000Z  decision jwt    " ID "  audiences=a, b\n");
	shows("{\"event\":\"new\\n\",\"a\\u001b\":{\"b\":1,\"c\":[]}}", "-  new\\x0a         a\\x1b.b=1  a\\x1b.c=-\n");
}

static void executables_are_followed_and_read(void **state)
{
	char dir[] = "/tmp/svid-exec-XXXXXX", file[64], link[64];
	AUTO(buf) struct buf path = BUF_INIT(4096);
	AUTO(buf) struct buf hex = BUF_INIT(256);
	uint8_t digest[EXEC_DIGEST];
	size_t len;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/app", dir);
	snprintf(link, sizeof(link), "%s/link", dir);
	f = fopen(file, "we");
	fputs("abc", f);
	fclose(f);
	assert_int_equal(symlink("app", link), 0);
	assert_int_equal(exec_look(link, &path, digest, &len), 0);
	assert_string_equal(buf_cstr(&path), file);
	buf_put_hex(&hex, slice_of(digest, len));
	assert_string_equal(buf_cstr(&hex), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(exec_look(dir, &path, digest, &len), -ERR_FORMAT);
	assert_int_equal(exec_look("/nonexistent/x", &path, digest, &len), -ENOENT);
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0); /* must not be waited for */
	assert_int_equal(exec_look(file, &path, digest, &len), -ERR_FORMAT);
	unlink(file);
	unlink(link);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(denials_are_what_was_asked_for_and_not_given),
		cmocka_unit_test(identities_are_found_wherever_they_are_named),
		cmocka_unit_test(time_bounds_the_past),
		cmocka_unit_test(records_become_lines_and_hostile_bytes_stay_bytes),
		cmocka_unit_test(executables_are_followed_and_read),
	};

	return cmocka_run_group_tests_name("unit/cli_audit", tests, NULL, NULL);
}
