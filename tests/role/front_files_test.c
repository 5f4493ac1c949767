// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi tests/lib/workload.c tests/lib/front_rig.c */
/* front_files_test.c - files of the credential tree through the real svid-front, seccomp on. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/sealed.h"
#include "tests/lib/front_rig.h"

static void ask(struct rig *r, uint32_t order, uint32_t identity, uint32_t what)
{
	assert_int_equal(ipc_put(r->core, F_FILE, 0, .order = order, .identity = identity, .what = what), 0);
}

static void expect_file(struct rig *r, uint32_t order, const char *start)
{
	struct msg_FR_FILE f;
	struct chan_msg m;
	char text[LIM_IPC_INLINE];

	rig_receive(r, r->core, MSG_FR_FILE, &m);
	assert_int_equal(msg_get_FR_FILE(m.body, &f), 0);
	assert_int_equal(f.order, order);
	assert_int_equal(fcntl(m.fds[0], F_GET_SEALS), SEALED);
	assert_true(f.len < sizeof(text));
	assert_int_equal(pread(m.fds[0], text, sizeof(text), 0), f.len);
	assert_true(slice_starts(slice_of(text, f.len), slice_str(start)));
	ipc_msg_done(&m);
}

static void expect_none(struct rig *r, uint32_t order, int err)
{
	struct msg_FR_NOFILE f;
	struct chan_msg m;

	rig_receive(r, r->core, MSG_FR_NOFILE, &m);
	assert_int_equal(msg_get_FR_NOFILE(m.body, &f), 0);
	assert_int_equal(f.order, order);
	assert_int_equal(f.err, err);
}

static void each_file_comes_sealed_and_nothing_is_left_open(void **state)
{
	static const char *const starts[SVID_FILE_COUNT] = {
		[SVID_FILE_CERT] = "-----BEGIN CERTIFICATE-----\n",
		[SVID_FILE_KEY] = "-----BEGIN PRIVATE KEY-----\n",
		[SVID_FILE_BUNDLE] = "-----BEGIN CERTIFICATE-----\n",
		[SVID_FILE_CREDENTIAL_BUNDLE] = "-----BEGIN PRIVATE KEY-----\n",
		[SVID_FILE_BUNDLE_MAP] = "{\"trust_domains\":{\"td.test\":",
	};
	struct rig r;
	int open;

	(void)state;
	rig_start(&r);
	rig_serve(&r, 1, 2);
	usleep(20000); /* likewise the key's */
	open = rig_descriptors(&r);
	for (uint32_t i = 0; i < SVID_FILE_COUNT; i++) {
		ask(&r, i + 1, 2, i);
		expect_file(&r, i + 1, starts[i]);
	}
	ask(&r, 99, 3, SVID_FILE_CERT);
	expect_none(&r, 99, -ERR_NOT_FOUND);
	for (int i = 0; i < 1000 && rig_descriptors(&r) > open; i++)
		usleep(1000); /* it closes its own behind the answer */
	assert_true(rig_descriptors(&r) <= open);
	rig_stop(&r);
}

static void orders_wait_for_the_first_set_and_its_keys(void **state)
{
	struct chan_msg m;
	struct rig r;

	(void)state;
	rig_start(&r);
	ask(&r, 1, 1, SVID_FILE_KEY);
	rig_set(&r, 1, 1);
	ask(&r, 2, 1, SVID_FILE_CERT);
	rig_give_keys(&r, 1);
	rig_receive(&r, r.core, MSG_FR_SET, &m);
	expect_file(&r, 1, "-----BEGIN PRIVATE KEY-----\n");
	expect_file(&r, 2, "-----BEGIN CERTIFICATE-----\n");
	rig_stop(&r);
}

/* svid-core has its own deadline, but knows sooner this way. */
static void state_and_a_set_that_is_refused_answer_who_waits(void **state)
{
	struct chan_msg m;
	struct rig r;

	(void)state;
	rig_start(&r);
	ask(&r, 1, 1, SVID_FILE_KEY);
	assert_int_equal(ipc_put(r.core, F_STATE, 0, .err = -ERR_DRAIN), 0);
	expect_none(&r, 1, -ERR_DRAIN);
	ask(&r, 2, 1, SVID_FILE_KEY);
	expect_none(&r, 2, -ERR_DRAIN);
	assert_int_equal(ipc_put(r.core, F_STATE, 0, .err = 0), 0);
	ask(&r, 3, 1, SVID_FILE_KEY);
	rig_send_set(&r, &(struct test_set){ .version = 1, .n = 1, .der_bytes = 200 });
	rig_receive(&r, r.keys, MSG_FK_GET, &m);
	assert_int_equal(ipc_put(r.keys, FK_NOKEY, 0, .identity = 1, .kind = SVID_X509, .generation = 1,
				 .err = -ERR_NOT_FOUND), 0);
	rig_receive(&r, r.core, MSG_FR_SET, &m);
	expect_none(&r, 3, -ERR_NOT_FOUND);
	rig_stop(&r);
}

static void more_orders_than_may_wait_are_refused(void **state)
{
	struct rig r;

	(void)state;
	rig_start(&r);
	for (uint32_t i = 1; i <= LIM_TREE_READS; i++)
		ask(&r, i, 1, SVID_FILE_CERT);
	ask(&r, 7777, 1, SVID_FILE_CERT);
	expect_none(&r, 7777, -ERR_LIMIT);
	rig_serve(&r, 1, 1);
	for (uint32_t i = 1; i <= LIM_TREE_READS; i++)
		expect_file(&r, i, "-----BEGIN CERTIFICATE-----\n");
	rig_stop(&r);
}

static void what_core_cannot_mean_ends_the_front(void **state)
{
	static const struct msg_F_FILE wrong[] = { { .order = 0, .identity = 1 },
						   { .order = 1, .identity = 1, .what = SVID_FILE_COUNT } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct rig r;

		rig_start(&r);
		rig_serve(&r, 1, 1);
		ask(&r, wrong[i].order, wrong[i].identity, wrong[i].what);
		rig_closed(r.core);
		(void)rig_exit_status(&r);
		rig_stop(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_file_comes_sealed_and_nothing_is_left_open),
		cmocka_unit_test(orders_wait_for_the_first_set_and_its_keys),
		cmocka_unit_test(state_and_a_set_that_is_refused_answer_who_waits),
		cmocka_unit_test(more_orders_than_may_wait_are_refused),
		cmocka_unit_test(what_core_cannot_mean_ends_the_front),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
