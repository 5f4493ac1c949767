/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree_fault_test.c - reads in the credential tree, and names that follow documents, while the nth allocation of svid-core
 * fails: every reader has an answer, nobody has another's file, and the next one is served.
 * links: agent/core agent/db agent/sandbox tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_inside.c tests/role/core_module.c tests/lib/tree_queue.c agent/parent/spawn.c agent/parent/roles.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "tests/role/core_module.h"

#define STEPS 8 /* turns of the loop from a read to its answer */
#define ALLOCATIONS 40
#define CERT "self/svid/cert.pem"
#define ROOT_DOC "root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}"

static struct world w;
static pid_t root;

static uint32_t answer_of(uint64_t id)
{
	uint64_t until = clock_boot_ns() + (LIM_TREE_WAIT_MS + 3000) * NS_PER_MS;

	while (!module.answers[id].there && clock_boot_ns() < until)
		inside_turn(&w, -1);
	assert_true(module.answers[id].there);
	assert_true(module.answers[id].err || strstr(module.answers[id].text, "what 0"));
	return module.answers[id].err;
}

static void assert_is_served(int step, long nth)
{
	uint64_t until = clock_boot_ns() + 8 * NS_PER_S;
	uint32_t err;

	do
		err = answer_of(module_ask(root, 0, CERT));
	while (err == ETIMEDOUT && clock_boot_ns() < until);
	if (err)
		fail_msg("not served after allocation %ld of step %d failed", nth, step);
}

static void readers_are_answered_whatever_allocation_failed(void **state)
{
	unsigned int hits = 0;

	(void)state;
	for (int step = 0; step < STEPS; step++)
		for (long nth = 0; nth < ALLOCATIONS; nth++) {
			uint64_t id = module_ask(root, 0, CERT);
			bool hit = false;

			for (int i = 0; i < STEPS; i++)
				hit |= inside_turn(&w, i == step ? nth : -1);
			answer_of(id);
			assert_is_served(step, nth);
			if (!hit)
				break;
			hits++;
		}
	assert_true(hits > 5);
	print_message("%u allocations failed\n", hits);
}

static void apply(const char *documents, long nth)
{
	uint64_t was = docs_generation(inside.docs);
	struct tree_stats s;

	w.documents = documents;
	compiler_run(&inside);
	INSIDE_UNTIL(docs_generation(inside.docs) != was, inside_turn(&w, -1));
	do {
		inside_turn(&w, nth);
		tree_get_stats(inside.tree, &s);
	} while (!s.complete);
}

/* An identity whose files could not be made has them a second later; the others have theirs at once. */
static void names_follow_whatever_allocation_failed(void **state)
{
	struct tree_stats s;
	size_t left_out = 0;

	(void)state;
	for (long nth = 0; nth < 30; nth++) {
		apply(ROOT_DOC "\nother {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"7\"]}]}", nth);
		tree_get_stats(inside.tree, &s);
		assert_int_equal(s.identities + s.left_out, 2);
		assert_int_equal(s.files, (s.identities + 1) * SVID_FILE_COUNT);
		assert_int_equal(module.names + s.not_shown, s.files);
		left_out += s.left_out;
		for (uint64_t until = clock_boot_ns() + 8 * NS_PER_S; s.identities < 2 && clock_boot_ns() < until;) {
			inside_turn(&w, -1);
			tree_get_stats(inside.tree, &s);
		}
		assert_int_equal(s.identities, 2);
		apply(ROOT_DOC, -1);
		tree_get_stats(inside.tree, &s);
		assert_int_equal(s.files, 2 * SVID_FILE_COUNT);
	}
	assert_true(left_out > 3);
	assert_is_served(0, 0);
}

/* `attestation: socket`, and the module says who asks: what it knows more exactly than /proc is the same process all the same. */
static void readers_are_who_the_module_says(void **state)
{
	pid_t other = module_reader(0);

	(void)state;
	assert_is_served(0, 0);
	assert_int_equal(answer_of(module_ask_as(root, other, 0, CERT)), ETIMEDOUT); /* it is gone, and nobody waits */
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
}

static int setup(void **state)
{
	struct tree_stats s = { .reads = 0 };

	(void)state;
	if (geteuid() != 0)
		return -1;
	log_init("test", LOG_ERROR + (getenv("VERBOSE") ? 2 : 0));
	root = module_reader(0);
	world_new(&w);
	w.ways.restart = true;
	inside_start(&w);
	module_start();
	for (int i = 0; i < 3000 && !(w.ready && s.complete); i++) {
		inside_turn(&w, -1);
		tree_get_stats(inside.tree, &s);
	}
	return w.ready && s.complete ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	kill(root, SIGKILL);
	waitpid(root, NULL, 0);
	world_free(&w);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(readers_are_who_the_module_says),
		cmocka_unit_test(readers_are_answered_whatever_allocation_failed),
		cmocka_unit_test(names_follow_whatever_allocation_failed),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
