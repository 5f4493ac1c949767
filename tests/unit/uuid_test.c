/* SPDX-License-Identifier: Apache-2.0 */
/* uuid_test.c - names of directories are those that everybody else computes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "agent/base/uuid.h"

/* Expected: Python's uuid.uuid5(uuid.NAMESPACE_URL, ...). */
static void uuids_are_those_of_others(void **state)
{
	static const struct {
		const char *url, *uuid;
	} cases[] = {
		{ "", "1b4db7eb-4057-5ddf-91e0-36dec72071f5" },
		{ "spiffe://example.org/web", "85adbea5-f3f8-5f15-93d3-b07a0a85c9e9" },
		{ "spiffe://example.org/of-39-bytes-12345", "183b71d4-1a7e-5ab5-954b-e55f8821a753" },
		{ "spiffe://example.org/of-40-bytes-123456", "61b668c3-79ab-577b-aefe-bce73616d23c" },
		{ "spiffe://example.org/ns/default/sa/a-rather-long-service-account-name-that-takes-three-blocks-of-it/and/more",
		  "f1ed6bd7-1d19-54d0-abf4-b4056a2d929f" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[UUID_TEXT];

		uuid_of_url(slice_str(cases[i].url), text);
		assert_string_equal(text, cases[i].uuid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(uuids_are_those_of_others) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
