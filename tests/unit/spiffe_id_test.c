// SPDX-License-Identifier: Apache-2.0
/* spiffe_id_test.c - the SPIFFE ID grammar by clause.
 * links: */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/spiffe_id.h"

static void what_a_clause_forbids_is_refused(void **unused)
{
	static const struct {
		const char *clause, *id;
	} rows[] = {
		{ "ID-2-1", "" },
		{ "ID-2-1", "td/a" },
		{ "ID-2-1", "http://td/a" },
		{ "ID-2-1", "SPIFFE://td/a" },
		{ "ID-2-1", "spiffe:/td/a" },
		{ "ID-2-2", "spiffe://" },
		{ "ID-2-2", "spiffe:///a" },
		{ "ID-2-3", "spiffe://td?q" },
		{ "ID-2-3", "spiffe://td/a?q=1" },
		{ "ID-2-4", "spiffe://td#f" },
		{ "ID-2-4", "spiffe://td/a#f" },
		{ "ID-2.1-2", "spiffe://u@td/a" },
		{ "ID-2.1-3", "spiffe://td:80/a" },
		{ "ID-2.1-3", "spiffe://td:/a" },
		{ "ID-2.1-4", "spiffe://Td/a" },
		{ "ID-2.1-5", "spiffe://t d/a" },
		{ "ID-2.1-5", "spiffe://t\xc3\xa4/a" },
		{ "ID-2.1-5", "spiffe://[::1]/a" },
		{ "ID-2.1-6", "spiffe://t%64/a" },
		{ "ID-2.2-1", "spiffe://td/%61" },
		{ "ID-2.2-2", "spiffe://td//a" },
		{ "ID-2.2-2", "spiffe://td/a//b" },
		{ "ID-2.2-3", "spiffe://td/." },
		{ "ID-2.2-3", "spiffe://td/a/../b" },
		{ "ID-2.2-4", "spiffe://td/" },
		{ "ID-2.2-4", "spiffe://td/a/" },
		{ "ID-2.2-5", "spiffe://td/a b" },
		{ "ID-2.2-5", "spiffe://td/a\xc3\xa4" },
		{ "ID-2.2-5", "spiffe://td/a:b" },
		{ "ID-2.2-5", "spiffe://td/{a}" },
	};
	struct spiffe_id id = { .path = slice_str("untouched") };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (spiffe_id_parse(slice_str(rows[i].id), &id) != -ERR_SPIFFE_ID)
			fail_msg("%s: %s", rows[i].clause, rows[i].id);
		assert_non_null(spiffe_id_why(slice_str(rows[i].id)));
	}
	assert_true(slice_eq_str(id.path, "untouched"));
	assert_int_equal(spiffe_id_parse(slice_of("spiffe://td/a\0b", 15), &id), -ERR_SPIFFE_ID);
}

static void what_the_clauses_allow_is_taken_apart(void **unused)
{
	static const struct {
		const char *id, *td, *path;
	} rows[] = {
		{ "spiffe://td", "td", "" },
		{ "spiffe://example.org/a", "example.org", "/a" },
		{ "spiffe://1.2.3.4/a", "1.2.3.4", "/a" },	 /* ID-2.1-8 */
		{ "spiffe://-.._-/a", "-.._-", "/a" },		 /* ID-2.1-8 */
		{ "spiffe://td/.../a", "td", "/.../a" },	 /* ID-2.2-3 */
		{ "spiffe://td/A.b-C_9/x", "td", "/A.b-C_9/x" }, /* ID-2.2-5 */
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct spiffe_id id;

		assert_int_equal(spiffe_id_parse(slice_str(rows[i].id), &id), 0);
		assert_true(slice_eq_str(id.trust_domain, rows[i].td));
		assert_true(slice_eq_str(id.path, rows[i].path));
		assert_null(spiffe_id_why(slice_str(rows[i].id)));
	}
}

static void lengths_end_where_the_standard_says(void **unused)
{
	char text[LIM_SPIFFE_ID + 2];
	struct spiffe_id id;

	(void)unused;
	memset(text, 'a', sizeof(text));
	memcpy(text, "spiffe://td/", 12);
	assert_int_equal(spiffe_id_parse(slice_of(text, LIM_SPIFFE_ID), &id), 0); /* ID-2.3-1 */
	assert_int_equal(spiffe_id_parse(slice_of(text, LIM_SPIFFE_ID + 1), &id), -ERR_SIZE);
	memset(text, 'a', sizeof(text));
	memcpy(text, "spiffe://", 9);
	assert_int_equal(spiffe_id_parse(slice_of(text, 9 + 255), &id), 0); /* ID-2.3-3 */
	assert_int_equal(spiffe_id_parse(slice_of(text, 9 + 256), &id), -ERR_SPIFFE_ID);
}

static void parts_are_checked_alone(void **unused)
{
	(void)unused;
	assert_null(spiffe_td_why(slice_str("example.org")));
	assert_non_null(spiffe_td_why(slice_str("")));
	assert_non_null(spiffe_td_why(slice_str("a/b")));
	assert_null(spiffe_path_why(slice_str("")));
	assert_null(spiffe_path_why(slice_str("/a/b")));
	assert_non_null(spiffe_path_why(slice_str("a/b")));
	assert_non_null(spiffe_path_why(slice_str("/")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_clause_forbids_is_refused),
		cmocka_unit_test(what_the_clauses_allow_is_taken_apart),
		cmocka_unit_test(lengths_end_where_the_standard_says),
		cmocka_unit_test(parts_are_checked_alone),
	};

	return cmocka_run_group_tests_name("spiffe_id", tests, NULL, NULL);
}
