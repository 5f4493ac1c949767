/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_fault_test.c - one caller after another while the nth allocation fails at each step of the way: nothing breaks,
 * nobody else is hurt, and the next caller is served. svid-core's loop runs in this process, its siblings are core_world.c.
 * links: agent/core agent/db agent/sandbox tests/role/core_world.c tests/role/core_fronts.c tests/role/core_inside.c tests/role/core_clients.c agent/parent/spawn.c agent/parent/roles.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "tests/role/core_inside.h"

#define STEPS 12 /* turns of the loop from connect() to the end */
#define ALLOCATIONS 40

static struct world w;
static void forget_conns(void)
{
	for (size_t i = 0; i < w.n_conns; i++)
		if (w.conns[i].fd >= 0)
			close(w.conns[i].fd);
	w.n_conns = 0;
}

/* Served: a front has the connection and an SVID. */
static bool is_served(void)
{
	for (size_t i = 0; i < w.n_conns; i++)
		if (world_front_of(&w, w.conns[i].front)->entries == 1 && !w.conns[i].ended)
			return true;
	return false;
}

static void assert_next_is_served(int step, long nth)
{
	uint64_t until = clock_boot_ns() + 8 * NS_PER_S;
	int fd = world_client(&w);

	for (uint64_t again = clock_boot_ns() + NS_PER_S; !is_served() && clock_boot_ns() < until;) {
		inside_turn(&w, -1);
		if (clock_boot_ns() < again)
			continue;
		/* as a client does it: whoever was ended comes again */
		close(fd);
		fd = world_client(&w);
		again = clock_boot_ns() + NS_PER_S;
	}
	if (!is_served())
		fail_msg("not served after allocation %ld of step %d failed", nth, step);
	close(fd);
}

static void end_all(void)
{
	for (size_t i = 0; i < WORLD_FRONTS; i++)
		for (size_t k = 0; k < w.n_conns; k++)
			if (w.fronts[i].fd >= 0 && w.conns[k].front == w.fronts[i].number && w.conns[k].fd >= 0)
				(void)!ipc_put(w.fronts[i].fd, FR_CLOSED, 0, .conn = w.conns[k].number);
	forget_conns();
	for (int i = 0; i < 50 && inside.n_conns; i++)
		inside_turn(&w, -1);
}

/* Returns whether the allocation was reached. */
static bool try(int step, long nth)
{
	bool hit = false;
	int fd = world_client(&w);

	for (int i = 0; i < STEPS; i++)
		hit |= inside_turn(&w, i == step ? nth : -1);
	close(fd);
	end_all();
	assert_next_is_served(step, nth);
	end_all();
	return hit;
}

static void callers_are_served_whatever_allocation_failed_before(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++)
		for (long nth = 0; nth < ALLOCATIONS; nth++) {
			if (!try(step, nth))
				break;
			hits++;
		}
	assert_true(hits > 10);
	assert_int_equal(inside.n_conns, 0);
}

static void documents_come_into_force_whatever_allocation_failed_before(void **state)
{
	uint64_t generation;

	(void)state;
	for (long nth = 0; nth < 200; nth += 7) {
		bool hit = false;

		generation = docs_generation(inside.docs);
		compiler_run(&inside);
		for (int i = 0; i < 70 && docs_generation(inside.docs) == generation; i++)
			hit |= inside_turn(&w, nth);
		compiler_run(&inside);
		for (int i = 0; i < 400 && docs_generation(inside.docs) == generation; i++)
			inside_turn(&w, -1);
		for (int i = 0; i < 70; i++)
			inside_turn(&w, -1);
		assert_int_equal(policy_count(docs_policy(inside.docs), &(size_t){ 0 }), 1);
		if (!hit)
			break;
	}
}

#define CROWD 40

static size_t not_ended(void)
{
	size_t n = 0;

	for (size_t i = 0; i < w.n_conns; i++)
		n += !w.conns[i].ended;
	return n;
}

/* Counted in units of work, not in time: how long a turn takes is the machine's. */
static void documents_that_change_end_a_few_callers_in_each_turn(void **state)
{
	const char *before = w.documents;
	int fds[CROWD];
	unsigned int turns = 0;

	(void)state;
	for (size_t i = 0; i < CROWD; i++) {
		fds[i] = world_client(&w);
		inside_turn(&w, -1);
	}
	for (int i = 0; i < 1000 && w.n_conns < CROWD; i++)
		inside_turn(&w, -1);
	assert_int_equal(w.n_conns, CROWD);
	w.documents = "none {\"workloadID\":\"none\",\"selectors\":[{\"unix:uid\":[\"7\"]}]}";
	compiler_run(&inside);
	for (uint64_t was = docs_generation(inside.docs); docs_generation(inside.docs) == was;)
		inside_turn(&w, -1);
	for (bool over = false; !over; turns++) {
		struct budget b = BUDGET_INIT(500);
		size_t ended = inside.revoked;

		over = revoke_step(&inside, &b);
		assert_true(b.spent <= 1500);
		assert_in_range(inside.revoked - ended, 0, 3);
	}
	for (int i = 0; i < 200 && not_ended(); i++)
		inside_turn(&w, -1);
	assert_int_equal(not_ended(), 0);
	for (size_t i = 0; i < CROWD; i++)
		close(fds[i]);
	w.documents = before;
	compiler_run(&inside);
	for (uint64_t was = docs_generation(inside.docs); docs_generation(inside.docs) == was;)
		inside_turn(&w, -1);
	end_all();
}

static int setup(void **state)
{
	(void)state;
	if (geteuid() != 0)
		return -1;
	log_init("test", LOG_ERROR + (getenv("VERBOSE") ? 2 : 0));
	world_new(&w);
	w.ways.restart = true;
	inside_start(&w);
	for (int i = 0; i < 1000 && !w.ready; i++)
		inside_turn(&w, -1);
	return w.ready ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	world_free(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(callers_are_served_whatever_allocation_failed_before),
		cmocka_unit_test(documents_come_into_force_whatever_allocation_failed_before),
		cmocka_unit_test(documents_that_change_end_a_few_callers_in_each_turn),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
