/* SPDX-License-Identifier: Apache-2.0 */
/* loop_test.c - watches and timers: order, removal inside a batch, reuse of descriptor numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/loop.h"

#define MS NS_PER_MS

struct one {
	struct loop_watch watch;
	struct loop_timer timer;
	int pipe[2];
	unsigned int calls;
	struct one *victim; /* removed by the callback */
	struct one *other;
	uint64_t rearm;
};

static unsigned int order[64], n_order;
static struct loop *loop;

static int make_loop(void **state)
{
	(void)state;
	n_order = 0;
	return loop_new(&loop);
}

static int free_loop(void **state)
{
	(void)state;
	loop_free(loop);
	loop = NULL;
	return 0;
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct one *o = container_of(w, struct one, watch);

	assert_true(events & EPOLLIN);
	o->calls++;
	if (o->victim)
		loop_del(&o->victim->watch);
}

static void one_init(struct one *o)
{
	*o = (struct one){ .calls = 0 };
	assert_int_equal(pipe2(o->pipe, O_CLOEXEC | O_NONBLOCK), 0);
	o->watch = (struct loop_watch){ .fd = o->pipe[0], .cb = on_ready };
	assert_int_equal(loop_add(loop, &o->watch, EPOLLIN), 0);
}

static void one_done(struct one *o)
{
	loop_del(&o->watch);
	close(o->pipe[0]);
	close(o->pipe[1]);
}

static void poke(struct one *o)
{
	assert_int_equal(write(o->pipe[1], "x", 1), 1);
}

static void bad_descriptor_is_refused(void **state)
{
	struct loop_watch w = { .fd = -1, .cb = on_ready };

	(void)state;
	assert_int_equal(loop_add(loop, &w, EPOLLIN), -EBADF);
	loop_del(&w); /* was not added: nothing happens */
}

static void removed_watch_is_not_called_in_the_same_batch(void **state)
{
	struct one a, b;

	(void)state;
	one_init(&a);
	one_init(&b);
	a.victim = &b;
	b.victim = &a;
	poke(&a);
	poke(&b);
	assert_int_equal(loop_once(loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	one_done(&a);
	one_done(&b);
}

static struct one fresh;

/* Close the victim and open something else under its number, as a busy server does. */
static void on_replace(struct loop_watch *w, uint32_t events)
{
	struct one *o = container_of(w, struct one, watch);
	int number = o->victim->pipe[0];

	(void)events;
	o->calls++;
	loop_del(&o->victim->watch);
	close(number);
	fresh = (struct one){ .calls = 0 };
	assert_int_equal(pipe2(fresh.pipe, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(fresh.pipe[0], number);
	fresh.watch = (struct loop_watch){ .fd = number, .cb = on_ready };
	assert_int_equal(loop_add(loop, &fresh.watch, EPOLLIN), 0);
	o->watch.cb = on_ready;
	o->victim = NULL;
}

static void stale_event_does_not_reach_the_next_owner_of_the_number(void **state)
{
	struct one a, b;

	(void)state;
	one_init(&a);
	one_init(&b);
	a.victim = &b;
	b.victim = &a;
	a.watch.cb = b.watch.cb = on_replace;
	poke(&a);
	poke(&b);
	assert_int_equal(loop_once(loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(fresh.calls, 0);
	poke(&fresh);
	assert_int_equal(loop_once(loop, 0), 0);
	assert_int_equal(fresh.calls, 1); /* the control: it does hear its own */
	one_done(&fresh);
	if (a.calls > 1 || a.watch.slot)
		one_done(&a);
	else
		one_done(&b);
}

static void mod_changes_what_is_heard(void **state)
{
	struct one a;

	(void)state;
	one_init(&a);
	poke(&a);
	assert_int_equal(loop_mod(&a.watch, 0), 0);
	assert_int_equal(loop_once(loop, 0), 0);
	assert_int_equal(a.calls, 0);
	assert_int_equal(loop_mod(&a.watch, EPOLLIN), 0);
	assert_int_equal(loop_once(loop, 0), 0);
	assert_int_equal(a.calls, 1);
	one_done(&a);
}

static void many_watches_share_the_loop(void **state)
{
	static struct one many[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		one_init(&many[i]);
	for (size_t i = 0; i < ARRAY_SIZE(many); i += 2)
		one_done(&many[i]);
	for (size_t i = 0; i < ARRAY_SIZE(many); i += 2)
		one_init(&many[i]);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		poke(&many[i]);
	for (int batch = 0; batch < 8; batch++)
		assert_int_equal(loop_once(loop, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(many); i++) {
		assert_true(many[i].calls > 0);
		one_done(&many[i]);
	}
}

static void on_timer(struct loop_timer *t)
{
	struct one *o = container_of(t, struct one, timer);

	o->calls++;
	if (n_order < ARRAY_SIZE(order))
		order[n_order++] = (unsigned int)(o->rearm ? 0 : o->pipe[0]);
	if (o->other)
		loop_timer_stop(&o->other->timer);
	if (o->rearm)
		assert_int_equal(loop_timer_in(loop, t, o->rearm), 0);
}

static void timers_fire_in_order_of_time(void **state)
{
	static const unsigned int ms[] = { 9, 3, 7, 1, 5, 8, 2, 6, 4 };
	struct one timers[ARRAY_SIZE(ms)];
	uint64_t due[ARRAY_SIZE(ms) + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ms); i++) {
		timers[i] = (struct one){ .timer.cb = on_timer, .pipe = { (int)ms[i], 0 } };
		assert_int_equal(loop_timer_in(loop, &timers[i].timer, ms[i] * 2 * MS), 0);
		due[ms[i]] = timers[i].timer.due;
	}
	while (n_order < ARRAY_SIZE(ms))
		assert_int_equal(loop_once(loop, 1000), 0);
	/* By when they were due: this process may have been away between two of the lines above. */
	for (size_t i = 1; i < ARRAY_SIZE(ms); i++)
		assert_true(due[order[i - 1]] <= due[order[i]]);
}

static void heap_stays_a_heap_under_random_use(void **state)
{
	static struct one t[300];
	unsigned int armed = 0;

	(void)state;
	srand(7);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		t[i] = (struct one){ .timer.cb = on_timer, .pipe = { 1, 0 } };
	for (int i = 0; i < 5000; i++) {
		struct one *o = &t[(size_t)rand() % ARRAY_SIZE(t)];

		if (rand() % 3)
			assert_int_equal(loop_timer_in(loop, &o->timer, (uint64_t)(rand() % 10) * MS), 0);
		else
			loop_timer_stop(&o->timer);
	}
	for (size_t i = 0; i < ARRAY_SIZE(t); i++)
		armed += loop_timer_armed(&t[i].timer);
	usleep(20000);
	assert_int_equal(loop_once(loop, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(t); i++) {
		assert_false(loop_timer_armed(&t[i].timer));
		armed -= t[i].calls;
	}
	assert_int_equal(armed, 0); /* each armed one once, each stopped one never */
}

static void timer_is_not_early(void **state)
{
	struct one a = { .timer.cb = on_timer };
	uint64_t t0 = clock_boot_ns();

	(void)state;
	assert_int_equal(loop_timer_in(loop, &a.timer, 30 * MS), 0);
	while (!a.calls)
		assert_int_equal(loop_once(loop, 1000), 0);
	assert_true(clock_boot_ns() - t0 >= 30 * MS);
}

static void stopped_timer_stays_silent_even_when_due(void **state)
{
	struct one a = { .timer.cb = on_timer }, b = { .timer.cb = on_timer };

	(void)state;
	a.other = &b;
	b.other = &a;
	assert_int_equal(loop_timer_in(loop, &a.timer, 0), 0);
	assert_int_equal(loop_timer_in(loop, &b.timer, 0), 0);
	assert_int_equal(loop_once(loop, 10), 0);
	assert_int_equal(a.calls + b.calls, 1);
}

static void timer_at_zero_does_not_hold_the_loop(void **state)
{
	struct one a = { .timer.cb = on_timer, .rearm = 1 };

	(void)state;
	assert_int_equal(loop_timer_in(loop, &a.timer, 0), 0);
	assert_int_equal(loop_once(loop, 0), 0); /* returns: the test's time-out is the assertion */
	assert_true(a.calls >= 1 && a.calls < 1000);
	loop_timer_stop(&a.timer);
}

static void on_stop(struct loop_timer *t)
{
	loop_stop(t->loop);
}

static void run_ends_at_stop(void **state)
{
	struct loop_timer t = { .cb = on_stop };

	(void)state;
	assert_int_equal(loop_timer_in(loop, &t, MS), 0);
	assert_int_equal(loop_run(loop), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_loop, free_loop)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(bad_descriptor_is_refused),
		TEST(removed_watch_is_not_called_in_the_same_batch),
		TEST(stale_event_does_not_reach_the_next_owner_of_the_number),
		TEST(mod_changes_what_is_heard),
		TEST(many_watches_share_the_loop),
		TEST(timers_fire_in_order_of_time),
		TEST(heap_stays_a_heap_under_random_use),
		TEST(timer_is_not_early),
		TEST(stopped_timer_stays_silent_even_when_due),
		TEST(timer_at_zero_does_not_hold_the_loop),
		TEST(run_ends_at_stop),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
