// SPDX-License-Identifier: Apache-2.0
/* links: agent/base/mem.c */
/* uapi_test.c - the layout that BPF, module and agent agree on: sizes are asserted in the header itself, offsets here. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "agent/ipc/plan.h"
#include "kmod/uapi/svid.h"

static void sixty_four_bit_fields_are_aligned(void **state)
{
	(void)state;
	assert_int_equal(offsetof(struct svid_image, exe) % 8, 0);
	assert_int_equal(offsetof(struct svid_image, ancestors) % 8, 0);
	assert_int_equal(offsetof(struct svid_conn, connect_time) % 8, 0);
	assert_int_equal(offsetof(struct svid_conn, creds) % 8, 0);
	assert_int_equal(offsetof(struct svid_conn, image) % 8, 0);
	assert_int_equal(offsetof(struct svid_creds, cap_inheritable) % 8, 0);
	assert_int_equal(offsetof(struct svid_mailbox, conn) % 8, 0);
	assert_int_equal(offsetof(struct svid_event, key) % 8, 0);
}

/* Offsets that a pinned map of an older svidd relies on: a change here needs a new SVID_SCHEMA_VERSION. */
static void offsets_of_schema_2(void **state)
{
	(void)state;
	assert_int_equal(SVID_SCHEMA_VERSION, 2);
	assert_int_equal(offsetof(struct svid_image, exec_id), 16);
	assert_int_equal(offsetof(struct svid_image, change), 24);
	assert_int_equal(offsetof(struct svid_image, flags), 40);
	assert_int_equal(offsetof(struct svid_image, exe), 48);
	assert_int_equal(offsetof(struct svid_image, ancestors), 136);
	assert_int_equal(offsetof(struct svid_image, filename), 456);
	assert_int_equal(offsetof(struct svid_image, argv), 840);
	assert_int_equal(offsetof(struct svid_conn, creds), 144);
	assert_int_equal(offsetof(struct svid_conn, image), 536);
	assert_int_equal(offsetof(struct svid_config, abi), 0);
	assert_int_equal(offsetof(struct svid_config, schema), 4);
}

/* The header stands alone, so its numbers and those of agent/ipc cannot include each other. */
static void tiers_are_numbered_as_in_plan_h(void **state)
{
	(void)state;
	assert_int_equal(SVID_TIER_NONE, TIER_AUTO);
	assert_int_equal(SVID_TIER_LSM, TIER_BPF_LSM);
	assert_int_equal(SVID_TIER_FENTRY, TIER_BPF_FENTRY);
	assert_int_equal(SVID_TIER_KMOD, TIER_KMOD);
	assert_int_equal(SVID_TIER_TP, TIER_BPF_TP);
	assert_int_equal(SVID_TIER_SOCKET, TIER_SOCKET);
	assert_int_equal(SVID_TIER_COUNT, TIER_COUNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sixty_four_bit_fields_are_aligned),
		cmocka_unit_test(offsets_of_schema_2),
		cmocka_unit_test(tiers_are_numbered_as_in_plan_h),
	};

	return cmocka_run_group_tests_name("uapi", tests, NULL, NULL);
}
