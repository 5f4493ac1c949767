/* SPDX-License-Identifier: Apache-2.0 */
/* audit_test.c - no record, no decision; a torn line costs one line.
 * links: agent/core/audit.c agent/core/json.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/core/audit.h"
#include "agent/core/json.h"

static int file(void)
{
	char name[] = "/tmp/svid-audit-XXXXXX";
	int fd = mkostemp(name, O_APPEND | O_CLOEXEC);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static size_t content(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	assert_true(n >= 0);
	text[n] = 0;
	return (size_t)n;
}

static void a_line_is_one_json_object(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct json j = JSON_INIT(&b);
	struct audit a;
	char text[512];
	json_t *root;

	(void)state;
	audit_init(&a, file(), AUDIT_REQUIRED);
	json_bytes(&j, "path", slice_of("a\n\"\xff", 4));
	json_u64(&j, "pid", 7);
	assert_int_equal(audit_write(&a, "decision", buf_slice(&b)), 0);
	assert_true(content(a.fd, text, sizeof(text)) > 0);
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "event")), "decision");
	assert_string_equal(json_string_value(json_object_get(root, "path")), "a\n\"\xef\xbf\xbd");
	assert_int_equal(json_integer_value(json_object_get(root, "pid")), 7);
	json_decref(root);
	audit_done(&a);
}

static void a_torn_line_of_another_life_is_ended_first(void **state)
{
	struct audit a;
	char text[512];
	int fd = file(), next = file();

	(void)state;
	assert_int_equal(write(fd, "{\"whole\":1}\n{\"torn", 18), 18);
	audit_init(&a, fd, AUDIT_REQUIRED);
	assert_int_equal(audit_write(&a, "resume", slice_of(NULL, 0)), 0);
	content(fd, text, sizeof(text));
	assert_non_null(strstr(text, "{\"torn\n{\"time\""));
	audit_reopen(&a, next); /* rotated: a new file begins with a line */
	assert_int_equal(audit_write(&a, "resume", slice_of(NULL, 0)), 0);
	content(next, text, sizeof(text));
	assert_int_equal(text[0], '{');
	assert_int_equal(a.lines, 2);
	audit_done(&a);
}

static void a_line_without_members_is_valid_too(void **state)
{
	struct audit a;
	char text[512];
	json_t *root;

	(void)state;
	audit_init(&a, file(), AUDIT_REQUIRED);
	assert_int_equal(audit_write(&a, "resume", slice_of(NULL, 0)), 0);
	content(a.fd, text, sizeof(text));
	root = json_loads(text, 0, NULL);
	assert_non_null(root);
	json_decref(root);
	audit_done(&a);
}

static void a_full_disk_refuses_when_required(void **state)
{
	struct audit a;

	(void)state;
	audit_init(&a, open("/dev/full", O_WRONLY | O_CLOEXEC), AUDIT_REQUIRED);
	assert_int_equal(audit_write(&a, "decision", slice_of(NULL, 0)), -ERR_AUDIT);
	assert_int_equal(a.failures, 1);
	assert_int_not_equal(a.err, 0);
	audit_done(&a);
}

static void a_full_disk_is_counted_when_best_effort(void **state)
{
	struct audit a;

	(void)state;
	audit_init(&a, open("/dev/full", O_WRONLY | O_CLOEXEC), AUDIT_BEST_EFFORT);
	assert_int_equal(audit_write(&a, "decision", slice_of(NULL, 0)), 0);
	assert_int_equal(a.failures, 1);
	audit_done(&a);
}

static void without_a_file_there_is_no_decision(void **state)
{
	struct audit a;

	(void)state;
	audit_init(&a, -1, AUDIT_REQUIRED);
	assert_int_equal(audit_write(&a, "decision", slice_of(NULL, 0)), -ERR_AUDIT);
}

static void a_line_that_is_too_long_is_refused_whole(void **state)
{
	static char big[LIM_AUDIT_LINE];
	struct audit a;
	char text[64];

	(void)state;
	memset(big, 'x', sizeof(big));
	audit_init(&a, file(), AUDIT_REQUIRED);
	assert_int_equal(audit_write(&a, "decision", slice_of(big, sizeof(big))), -ERR_AUDIT);
	assert_int_equal(content(a.fd, text, sizeof(text)), 0);
	audit_done(&a);
}

/* The file may grow to 100 bytes only: the first line is cut, the next begins on a line of its own. */
static void the_line_after_a_torn_one_is_whole(void **state)
{
	const struct rlimit small = { 100, RLIM_INFINITY }, big = { RLIM_INFINITY, RLIM_INFINITY };
	static char fields[200];
	struct audit a;
	char text[1024], *second;
	json_t *root;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	memset(fields, ' ', sizeof(fields));
	memcpy(fields, "\"a\":1", 5);
	audit_init(&a, file(), AUDIT_REQUIRED);
	setrlimit(RLIMIT_FSIZE, &small);
	assert_int_equal(audit_write(&a, "first", slice_of(fields, sizeof(fields))), -ERR_AUDIT);
	setrlimit(RLIMIT_FSIZE, &big);
	assert_int_equal(audit_write(&a, "second", slice_of(NULL, 0)), 0);
	content(a.fd, text, sizeof(text));
	second = strchr(text, '\n');
	assert_non_null(second);
	assert_int_equal(second - text, 100);
	root = json_loads(second + 1, 0, NULL);
	assert_non_null(root);
	json_decref(root);
	audit_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_one_json_object),
		cmocka_unit_test(a_torn_line_of_another_life_is_ended_first),
		cmocka_unit_test(a_line_without_members_is_valid_too),
		cmocka_unit_test(a_full_disk_refuses_when_required),
		cmocka_unit_test(a_full_disk_is_counted_when_best_effort),
		cmocka_unit_test(without_a_file_there_is_no_decision),
		cmocka_unit_test(a_line_that_is_too_long_is_refused_whole),
		cmocka_unit_test(the_line_after_a_torn_one_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
