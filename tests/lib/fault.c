/* SPDX-License-Identifier: Apache-2.0 */
/* fault.c - see fault.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "agent/base/mem.h"
#include "tests/lib/fault.h"

#define MAX_STEPS 100000

void fault_each(int (*work)(void), long stride, bool (*is_fine)(int err))
{
	const char *all = getenv("ALL");
	long n;

	if (all && *all)
		stride = 1;
	assert_int_equal(work(), 0); /* what a library allocates once is there now */
	for (n = 0; n < MAX_STEPS; n += n < 200 ? 1 : n < 4000 ? stride : 7 * stride) {
		int err;

		mem_fail_after(n);
		err = work();
		if (!mem_fail_after(-1)) {
			assert_int_equal(err, 0);
			break;
		}
		if (!is_fine(err))
			fail_msg("allocation %ld: %d", n, err);
		assert_int_equal(work(), 0);
	}
	assert_in_range(n, 1, MAX_STEPS - 1); /* it allocates, or this tests nothing */
	print_message("%ld allocations\n", n);
}
