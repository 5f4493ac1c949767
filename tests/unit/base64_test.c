/* SPDX-License-Identifier: Apache-2.0 */
/* base64_test.c - one content has one spelling: every other one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"

/* RFC 4648 section 10, and bytes that use the two letters that differ. */
static const struct {
	const char *bytes, *url, *std;
} vectors[] = {
	{ "", "", "" },
	{ "f", "Zg", "Zg==" },
	{ "fo", "Zm8", "Zm8=" },
	{ "foo", "Zm9v", "Zm9v" },
	{ "foob", "Zm9vYg", "Zm9vYg==" },
	{ "fooba", "Zm9vYmE", "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy", "Zm9vYmFy" },
	{ "\xfb\xff\xbf", "-_-_", "+/+/" },
};

static void one(const char *bytes, const char *text, enum base64 kind)
{
	AUTO(buf) struct buf b = BUF_INIT(64);

	base64_put(&b, slice_str(bytes), kind);
	assert_string_equal(buf_cstr(&b), text);
	buf_reset(&b);
	buf_put_u8(&b, '!'); /* what was there stays */
	assert_int_equal(base64_get(&b, slice_str(text), kind), 0);
	assert_int_equal(b.len, 1 + strlen(bytes));
	assert_memory_equal(b.data + 1, bytes, strlen(bytes));
}

static void vectors_go_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		one(vectors[i].bytes, vectors[i].url, BASE64_URL);
		one(vectors[i].bytes, vectors[i].std, BASE64_PLAIN);
	}
}

static void other_spellings_are_refused(void **state)
{
	static const struct {
		const char *text;
		enum base64 kind;
	} bad[] = {
		{ "Z", BASE64_URL }, { "Zm9vY", BASE64_URL }, { "Zg==", BASE64_URL }, { "Zg=", BASE64_URL },
		{ "Zh", BASE64_URL }, { "Zm9", BASE64_URL }, { "+/+/", BASE64_URL }, { "Zm 9v", BASE64_URL },
		{ "Zm9v\n", BASE64_URL }, { "Zm9v.", BASE64_URL }, { "Zg", BASE64_PLAIN }, { "Zg=", BASE64_PLAIN },
		{ "Z===", BASE64_PLAIN }, { "====", BASE64_PLAIN }, { "Zh==", BASE64_PLAIN }, { "Zm9=", BASE64_PLAIN },
		{ "-_-_", BASE64_PLAIN }, { "Zg==Zg==", BASE64_PLAIN }, { "Zm9v====", BASE64_PLAIN },
		{ "\xc3\xa9Zg", BASE64_URL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(buf) struct buf b = BUF_INIT(64);

		if (base64_get(&b, slice_str(bad[i].text), bad[i].kind) != -ERR_FORMAT)
			fail_msg("taken: %s", bad[i].text);
		assert_int_equal(b.len, 0);
	}
}

static void every_byte_comes_back(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(4096);
	AUTO(buf) struct buf back = BUF_INIT(4096);
	uint8_t all[256];

	(void)state;
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	for (size_t n = 0; n <= sizeof(all); n++) {
		buf_reset(&text);
		buf_reset(&back);
		base64_put(&text, slice_of(all, n), BASE64_URL);
		assert_int_equal(base64_get(&back, buf_slice(&text), BASE64_URL), 0);
		assert_true(slice_eq(buf_slice(&back), slice_of(all, n)));
	}
}

static void the_buffers_bound_holds(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(2);
	AUTO(buf) struct buf none = BUF_INIT(64);

	(void)state;
	assert_int_equal(base64_get(&b, slice_str("Zm9v"), BASE64_URL), -ERR_SIZE);
	mem_fail_after(0);
	assert_int_equal(base64_get(&none, slice_str("Zm9v"), BASE64_URL), -ENOMEM);
	assert_true(mem_fail_after(-1));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_go_both_ways),
		cmocka_unit_test(other_spellings_are_refused),
		cmocka_unit_test(every_byte_comes_back),
		cmocka_unit_test(the_buffers_bound_holds),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
