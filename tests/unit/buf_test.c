/* SPDX-License-Identifier: Apache-2.0 */
/* buf_test.c - a buffer never passes its maximum, says its first error at the end, and escapes what it should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"

static void put_respects_max(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4);

	(void)state;
	buf_put_u32(&b, 1);
	assert_int_equal(buf_ok(&b), 0);
	buf_put_u8(&b, 2);
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
	assert_int_equal(b.len, 4);
}

static void failure_is_sticky(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(4);

	(void)state;
	buf_put_u64(&b, 1); /* does not fit */
	buf_put_u8(&b, 2);  /* would fit, but the message has a hole already */
	assert_int_equal(b.len, 0);
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
	buf_reset(&b);
	buf_put_u8(&b, 2);
	assert_int_equal(buf_ok(&b), 0);
}

static void maximum_zero_refuses_everything(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(0);

	(void)state;
	buf_put(&b, "", 0);
	assert_int_equal(buf_ok(&b), 0);
	buf_put_u8(&b, 0);
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
}

static void huge_reserve_does_not_wrap(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(SIZE_MAX);

	(void)state;
	buf_put_u8(&b, 1);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
}

static void no_memory_is_said(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);

	(void)state;
	mem_fail_after(0);
	buf_put_u8(&b, 1);
	mem_fail_after(-1);
	assert_int_equal(buf_ok(&b), -ENOMEM);
}

static void secret_content_is_wiped_by_reset(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT_SECRET(1 << 20);
	uint8_t *first;

	(void)state;
	buf_put_str(&b, "0123456789");
	first = b.data;
	buf_reset(&b);
	for (int i = 0; i < 10; i++)
		assert_int_equal(first[i], 0);
}

static void grows_over_many_puts(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);

	(void)state;
	for (unsigned int i = 0; i < 10000; i++)
		buf_put_u32(&b, i);
	assert_int_equal(buf_ok(&b), 0);
	for (struct slice s = buf_slice(&b); s.len;) {
		uint32_t at = (uint32_t)(40000 - s.len) / 4;

		assert_int_equal(slice_get_u32(&s), at);
	}
}

static void maximum_can_be_reached_exactly(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1000); /* no power of two */

	(void)state;
	for (int i = 0; i < 1000; i++)
		buf_put_u8(&b, 'x');
	assert_int_equal(buf_ok(&b), 0);
	assert_int_equal(b.len, 1000);
}

static void blob_comes_back(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);
	struct slice s;

	(void)state;
	buf_put_blob(&b, slice_str("hello"));
	buf_put_blob(&b, slice_str(""));
	s = buf_slice(&b);
	assert_true(slice_eq_str(slice_get_str(&s, 5), "hello"));
	assert_true(slice_eq_str(slice_get_str(&s, 5), ""));
	assert_int_equal(slice_end(&s), 0);
}

static void consume_drops_the_front(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);

	(void)state;
	buf_put_str(&b, "abcdef");
	buf_consume(&b, 2);
	assert_true(slice_eq_str(buf_slice(&b), "cdef"));
	buf_consume(&b, 99);
	assert_int_equal(b.len, 0);
}

static void cstr_needs_no_content(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(3);

	(void)state;
	assert_string_equal(buf_cstr(&b), "");
	buf_put_str(&b, "abc");
	assert_string_equal(buf_cstr(&b), ""); /* no room for the NUL: rather nothing than a part */
}

static void printf_is_bounded(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(6);

	(void)state;
	buf_printf(&b, "%d", 12345);
	assert_int_equal(buf_ok(&b), 0);
	assert_true(slice_eq_str(buf_slice(&b), "12345"));
	buf_printf(&b, "%d", 67);
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
}

static void assert_json(const char *in, size_t len, const char *want)
{
	AUTO(buf) struct buf b = BUF_INIT(1000);

	buf_put_json(&b, slice_of(in, len));
	assert_string_equal(buf_cstr(&b), want);
}

static void json_strings_are_valid_whatever_comes(void **state)
{
	(void)state;
	assert_json("", 0, "\"\"");
	assert_json("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	assert_json("\n\t\r\x01\x7f", 5, "\"\\n\\t\\u000d\\u0001\\u007f\"");
	assert_json("a\0b", 3, "\"a\\u0000b\"");
	assert_json("\xc3\xa9\xff" "x", 4, "\"\xc3\xa9\\ufffdx\"");
	assert_json("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\"");
}

/* Records and answers are looked at in terminals too: what moves cursors or turns lines around is not in them as it is. */
static void json_strings_do_nothing_to_a_terminal(void **state)
{
	(void)state;
	assert_json("\xc2\x80\xc2\x9b" "31m\xc2\xa0", 9, "\"\\u0080\\u009b31m\xc2\xa0\"");
	assert_json("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf", 12,
		    "\"\xe2\x80\xa7\\u2028\\u202e\xe2\x80\xaf\"");
	assert_json("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa", 12,
		    "\"\xe2\x81\xa5\\u2066\\u2069\xe2\x81\xaa\"");
	assert_json("\xe2\x80\x8e\xe2\x80\x8f", 6, "\"\\u200e\\u200f\"");
}

static void escapes_for_people_are_ascii(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(100);

	(void)state;
	buf_put_esc(&b, slice_of("a\x1b[\n\\\xff", 6));
	assert_string_equal(buf_cstr(&b), "a\\x1b[\\x0a\\\\\\xff");
}

static void hex_is_lower_case_and_may_fill_its_buffer(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(6);

	(void)state;
	buf_put_hex(&b, slice_of("\x00\xAB\x7f", 3));
	assert_int_equal(buf_ok(&b), 0);
	assert_memory_equal(b.data, "00ab7f", 6);
	buf_put_hex(&b, slice_of("\x01", 1));
	assert_int_equal(buf_ok(&b), -ERR_SIZE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_respects_max),
		cmocka_unit_test(failure_is_sticky),
		cmocka_unit_test(maximum_zero_refuses_everything),
		cmocka_unit_test(huge_reserve_does_not_wrap),
		cmocka_unit_test(no_memory_is_said),
		cmocka_unit_test(secret_content_is_wiped_by_reset),
		cmocka_unit_test(grows_over_many_puts),
		cmocka_unit_test(maximum_can_be_reached_exactly),
		cmocka_unit_test(blob_comes_back),
		cmocka_unit_test(consume_drops_the_front),
		cmocka_unit_test(cstr_needs_no_content),
		cmocka_unit_test(printf_is_bounded),
		cmocka_unit_test(json_strings_are_valid_whatever_comes),
		cmocka_unit_test(json_strings_do_nothing_to_a_terminal),
		cmocka_unit_test(escapes_for_people_are_ascii),
		cmocka_unit_test(hex_is_lower_case_and_may_fill_its_buffer),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
