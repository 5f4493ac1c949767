/* links: agent/core/bounds.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* bounds_test.c - who may have how many connections, what an offence costs and how it is forgiven (A14). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/core/bounds.h"

static struct bounds b;
static uint64_t clock_ns;
static struct {
	int calls;
	enum bound_kind kind;
	uint64_t who, until;
} door;

static uint64_t now(void)
{
	return clock_ns;
}

static void on_door(void *owner, enum bound_kind kind, uint64_t who, uint64_t until)
{
	assert_ptr_equal(owner, &b);
	door.calls++;
	door.kind = kind;
	door.who = who;
	door.until = until;
}

static int setup(void **state)
{
	(void)state;
	clock_ns = 1000 * NS_PER_S;
	memset(&door, 0, sizeof(door));
	bounds_init(&b);
	b.now = now;
	b.door = on_door;
	b.owner = &b;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bounds_done(&b);
	return 0;
}

/* How many more (@kind, @who) gets; it has them afterwards. */
static uint32_t gets(enum bound_kind kind, uint64_t who, bool scarce)
{
	uint32_t n = 0;

	while (n < 100000 && bounds_get(&b, kind, who, scarce) == 0)
		n++;
	return n;
}

static void gives_back(enum bound_kind kind, uint64_t who, uint32_t n)
{
	while (n--)
		bounds_put(&b, kind, who);
}

static void one_caller_has_no_more_than_its_bound(void **state)
{
	(void)state;
	assert_int_equal(gets(BOUND_UID, 1000, false), LIM_CONNS_PER_UID);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), -ERR_LIMIT);
	assert_int_equal(b.refused[BOUND_UID], 2);
	gives_back(BOUND_UID, 1000, 1);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), 0);
}

static void callers_are_counted_apart(void **state)
{
	(void)state;
	assert_int_equal(gets(BOUND_NOBODY_UID, 1000, false), LIM_CONNS_ANON_EACH);
	assert_int_equal(gets(BOUND_NOBODY_UID, 1001, false), LIM_CONNS_ANON_EACH);
	assert_int_equal(gets(BOUND_NOBODY_USERNS, 1000, false), LIM_CONNS_ANON_EACH);
	assert_int_equal(bounds_get(&b, BOUND_UID, 1000, false), 0); /* who has an identity does not notice */
}

static void when_connections_are_scarce_a_good_share_is_enough(void **state)
{
	(void)state;
	assert_int_equal(gets(BOUND_UID, 1, true), LIM_CONNS_PER_UID / 8);
}

static void offences_shrink_a_bound_and_time_forgives_them(void **state)
{
	(void)state;
	for (int i = 0; i < BLAME_HALVES / BLAME_CLIENT; i++)
		bounds_blame(&b, BOUND_NOBODY_UID, 7, BLAME_CLIENT);
	assert_int_equal(gets(BOUND_NOBODY_UID, 7, false), LIM_CONNS_ANON_EACH / 2);
	assert_int_equal(gets(BOUND_NOBODY_UID, 8, false), LIM_CONNS_ANON_EACH);
	gives_back(BOUND_NOBODY_UID, 7, LIM_CONNS_ANON_EACH / 2); /* leaving forgives nothing */
	assert_int_equal(gets(BOUND_NOBODY_UID, 7, false), LIM_CONNS_ANON_EACH / 2);
	clock_ns += 20 * LIM_BLAME_HALF_MS * NS_PER_MS;
	assert_int_equal(gets(BOUND_NOBODY_UID, 7, false), LIM_CONNS_ANON_EACH / 2);
	assert_int_equal(bounds_count(&b, BOUND_NOBODY_UID, 7), LIM_CONNS_ANON_EACH);
}

static void the_worst_offender_keeps_a_little(void **state)
{
	(void)state;
	for (int i = 0; i < 1000000; i++)
		bounds_blame(&b, BOUND_NOBODY_UID, 7, BLAME_CLIENT);
	assert_int_equal(gets(BOUND_NOBODY_UID, 7, false), LIM_BLAME_LEAST);
	clock_ns += 200 * NS_PER_S;
	assert_true(gets(BOUND_NOBODY_UID, 7, false) > 0); /* not for ever, whatever it did */
}

static void programs_with_identity_keep_room_in_a_blamed_uid(void **state)
{
	(void)state;
	for (int i = 0; i < 100000; i++)
		bounds_blame(&b, BOUND_UID, 7, BLAME_CLIENT);
	assert_int_equal(gets(BOUND_UID, 7, false), LIM_CONNS_PER_UID / 16);
}

static void count_one(void *arg, const struct bound_view *v)
{
	struct bound_view *last = arg;
	uint32_t n = last->n;

	*last = *v;
	last->n = n + 1;
}

static void status_shows_who_is_blamed_and_nobody_else(void **state)
{
	struct bound_view last = { .n = 0 };

	(void)state;
	assert_int_equal(bounds_get(&b, BOUND_UID, 1, false), 0);
	bounds_blame(&b, BOUND_CGROUP, 77, BLAME_HALVES);
	bounds_each(&b, count_one, &last);
	assert_int_equal(last.n, 1);
	assert_int_equal(last.kind, BOUND_CGROUP);
	assert_int_equal(last.who, 77);
	assert_int_equal(last.blame, BLAME_HALVES);
	assert_int_equal(last.may_have, LIM_CONNS_PER_CGROUP / 2);
	clock_ns += 60 * LIM_BLAME_HALF_MS * NS_PER_MS;
	last.n = 0;
	bounds_each(&b, count_one, &last);
	assert_int_equal(last.n, 0);
}

static void offenders_remembered_are_bounded(void **state)
{
	(void)state;
	for (uint64_t who = 0; who < 4 * LIM_BOUNDS_KEPT; who++)
		bounds_blame(&b, BOUND_UID, who, BLAME_CLIENT);
	assert_int_equal(b.n_idle, LIM_BOUNDS_KEPT);
	clock_ns += 60 * LIM_BLAME_HALF_MS * NS_PER_MS;
	for (uint64_t who = 0; who < LIM_BOUNDS_KEPT; who++) { /* forgiven ones make room as others come and go */
		assert_int_equal(bounds_get(&b, BOUND_UID, 1000000 + who, false), 0);
		bounds_blame(&b, BOUND_UID, 1000000 + who, BLAME_CLIENT);
		bounds_put(&b, BOUND_UID, 1000000 + who);
	}
	assert_true(b.n_idle <= LIM_BOUNDS_KEPT);
}

static void the_kernel_refuses_who_is_over_until_one_leaves(void **state)
{
	(void)state;
	b.max[BOUND_CGROUP] = 16;
	assert_int_equal(gets(BOUND_CGROUP, 77, false), 16);
	assert_int_equal(door.calls, 1);
	assert_int_equal(door.kind, BOUND_CGROUP);
	assert_int_equal(door.who, 77);
	assert_int_equal(door.until, clock_ns + LIM_DOOR_MS * NS_PER_MS);
	bounds_put(&b, BOUND_CGROUP, 77);
	assert_int_equal(door.calls, 2);
	assert_int_equal(door.until, 0);
	bounds_put(&b, BOUND_CGROUP, 77);
	assert_int_equal(door.calls, 2); /* it is open */
}

static void the_kernel_never_refuses_a_uid_for_its_callers_without_identity(void **state)
{
	(void)state;
	gets(BOUND_NOBODY_UID, 1000, false);
	gets(BOUND_NOBODY_CGROUP, 77, false);
	gets(BOUND_NOBODY_USERNS, 1000, false);
	assert_int_equal(door.calls, 0);
}

static void what_was_never_taken_cannot_be_given_back(void **state)
{
	(void)state;
	bounds_put(&b, BOUND_UID, 5);
	bounds_blame(&b, BOUND_UID, 5, BLAME_CLIENT);
	bounds_put(&b, BOUND_UID, 5);
	assert_int_equal(bounds_count(&b, BOUND_UID, 5), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T(one_caller_has_no_more_than_its_bound),
		T(callers_are_counted_apart),
		T(when_connections_are_scarce_a_good_share_is_enough),
		T(offences_shrink_a_bound_and_time_forgives_them),
		T(the_worst_offender_keeps_a_little),
		T(programs_with_identity_keep_room_in_a_blamed_uid),
		T(status_shows_who_is_blamed_and_nobody_else),
		T(offenders_remembered_are_bounded),
		T(the_kernel_refuses_who_is_over_until_one_leaves),
		T(the_kernel_never_refuses_a_uid_for_its_callers_without_identity),
		T(what_was_never_taken_cannot_be_given_back),
	};

	return cmocka_run_group_tests_name("bounds", tests, NULL, NULL);
}
