/* SPDX-License-Identifier: Apache-2.0 */
/* slice_test.c - cursors fail once and stay failed; nothing is read beyond the end. agent/base/slice.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/slice.h"

#define BYTES(...) slice_of((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void get_beyond_the_end_fails(void **state)
{
	struct slice s = BYTES(1, 2, 3);

	(void)state;
	assert_int_equal(slice_get_u32(&s), 0);
	assert_false(slice_ok(&s));
	assert_int_equal(slice_end(&s), -ERR_SHORT);
}

static void failure_is_sticky(void **state)
{
	struct slice s = BYTES(1, 2, 3);

	(void)state;
	(void)slice_get_u32(&s);
	assert_int_equal(slice_get_u8(&s), 0); /* though a byte would be there */
	assert_int_equal(slice_get_bytes(&s, 1).len, 0);
	assert_int_equal(slice_end(&s), -ERR_SHORT);
}

static void left_over_bytes_are_an_error(void **state)
{
	struct slice s = BYTES(1, 2);

	(void)state;
	(void)slice_get_u8(&s);
	assert_int_equal(slice_end(&s), -ERR_TRAILING);
	(void)slice_get_u8(&s);
	assert_int_equal(slice_end(&s), 0);
}

static void huge_length_does_not_wrap(void **state)
{
	struct slice s = BYTES(0xff, 0xff, 0xff, 0xff, 'x');
	struct slice all = BYTES(1);

	(void)state;
	assert_int_equal(slice_get_blob(&s, SIZE_MAX).len, 0);
	assert_false(slice_ok(&s));
	assert_int_equal(slice_get_bytes(&all, SIZE_MAX).len, 0);
	assert_false(slice_ok(&all));
}

static void blob_respects_its_maximum(void **state)
{
	struct slice s = BYTES(3, 0, 0, 0, 'a', 'b', 'c');
	struct slice again = s;

	(void)state;
	assert_int_equal(slice_get_blob(&s, 2).len, 0);
	assert_false(slice_ok(&s));
	assert_int_equal(slice_get_blob(&again, 3).len, 3);
	assert_int_equal(slice_end(&again), 0);
}

static void string_with_nul_is_refused(void **state)
{
	struct slice s = BYTES(3, 0, 0, 0, 'a', 0, 'c');

	(void)state;
	assert_int_equal(slice_get_str(&s, 10).len, 0);
	assert_false(slice_ok(&s));
}

static void integers_are_little_endian(void **state)
{
	struct slice s = BYTES(1, 2, 1, 4, 3, 2, 1, 8, 7, 6, 5, 4, 3, 2, 1, 1, 2, 3, 4);

	(void)state;
	assert_int_equal(slice_get_u8(&s), 1);
	assert_int_equal(slice_get_u16(&s), 0x0102);
	assert_int_equal(slice_get_u32(&s), 0x01020304);
	assert_int_equal(slice_get_u64(&s), 0x0102030405060708ull);
	assert_int_equal(slice_get_be32(&s), 0x01020304);
	assert_int_equal(slice_end(&s), 0);
}

static void empty_slices_are_equal(void **state)
{
	(void)state;
	assert_true(slice_eq(slice_of(NULL, 0), slice_str("")));
	assert_true(slice_eq_str(slice_str(NULL), ""));
	assert_false(slice_eq_str(slice_str("a"), "b"));
	assert_false(slice_eq_str(slice_str("a"), "ab"));
	assert_true(slice_starts(slice_str("abc"), slice_str("ab")));
	assert_false(slice_starts(slice_str("ab"), slice_str("abc")));
}

static void utf8_is_what_rfc_3629_says(void **state)
{
	static const struct {
		const char *bytes;
		bool ok;
	} rows[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\xf4\x8f\xbf\xbf", true },
		{ "\x80", false },		/* continuation first */
		{ "\xc3", false },		/* cut short */
		{ "\xc0\xaf", false },		/* overlong */
		{ "\xe0\x80\xaf", false },	/* overlong */
		{ "\xf0\x80\x80\xaf", false },	/* overlong */
		{ "\xed\xa0\x80", false },	/* surrogate */
		{ "\xf4\x90\x80\x80", false },	/* beyond U+10FFFF */
		{ "\xf8\x88\x80\x80\x80", false },
		{ "\xff", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (slice_is_utf8(slice_str(rows[i].bytes)) != rows[i].ok)
			fail_msg("row %zu", i);
}

static void decimal_takes_digits_only(void **state)
{
	static const char *const bad[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1a", "18446744073709551616",
					   "99999999999999999999" };
	uint64_t n = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (slice_u64_dec(slice_str(bad[i]), &n) != -ERR_FORMAT)
			fail_msg("'%s' was taken", bad[i]);
	assert_int_equal(n, 7); /* outputs stay untouched */
	assert_int_equal(slice_u64_dec(slice_str("18446744073709551615"), &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(slice_u64_dec(slice_str("007"), &n), 0);
	assert_int_equal(n, 7);
}

static void dup_is_terminated(void **state)
{
	AUTO_FREE char *copy = slice_dup(BYTES('a', 'b'));

	(void)state;
	assert_string_equal(copy, "ab");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_beyond_the_end_fails),
		cmocka_unit_test(failure_is_sticky),
		cmocka_unit_test(left_over_bytes_are_an_error),
		cmocka_unit_test(huge_length_does_not_wrap),
		cmocka_unit_test(blob_respects_its_maximum),
		cmocka_unit_test(string_with_nul_is_refused),
		cmocka_unit_test(integers_are_little_endian),
		cmocka_unit_test(empty_slices_are_equal),
		cmocka_unit_test(utf8_is_what_rfc_3629_says),
		cmocka_unit_test(decimal_takes_digits_only),
		cmocka_unit_test(dup_is_terminated),
	};

	return cmocka_run_group_tests_name("slice", tests, NULL, NULL);
}
