// SPDX-License-Identifier: Apache-2.0
/* docs_slices_test.c - eighteen thousand documents come into force in turns of bounded work: counted in units, not time.
 * links: agent/core/docs.c agent/core/docs_apply.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/docs_rows.c agent/core/docs_settings.c agent/core/docs_save.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/core/docs.h"
#include "agent/ipc/msg.h"
#include "tests/lib/docs_say.h"

#define MANY 18000
#define UNITS (BUDGET_TURN / 2)
#define OVERDRAFT 8192 /* units that one item of work may take beyond what was left */
#define FILE_NAME "svid.yaml"

static char dir[64];
static struct state *st;
static struct docs *d;

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/svid-slices-XXXXXX");
	if (!mkdtemp(dir) || state_open(dir, &st))
		return -1;
	return docs_new(st, &d);
}

static int teardown(void **unused)
{
	(void)unused;
	docs_free(d);
	state_close(st);
	return docs_dir_end(dir);
}

#define SEND(NAME, ...) DOCS_SAY(d, NAME, __VA_ARGS__)

static void begin(void)
{
	docs_begin(d);
	assert_int_equal(SEND(PC_FILE, .file = slice_str(FILE_NAME), .parsed = 1), 0);
	assert_int_equal(SEND(PC_DOC, .file = slice_str(FILE_NAME), .kind = slice_str("Agent"), .name = slice_str("agent"),
			      .json = slice_str("{\"trustDomain\":\"example.org\"}")), 0);
}

/* In an order that is nobody's. */
static uint32_t shuffled(uint32_t i)
{
	return i * 7919u % MANY;
}

static void send_many(uint32_t n, const char *suffix)
{
	char name[64], json[256];

	begin();
	for (uint32_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "doc-%05u", shuffled(i));
		snprintf(json, sizeof(json), "{\"workloadID\":\"w/%u%s\",\"selectors\":[{\"unix:uid\":[\"%u\"]}]}",
			 shuffled(i), suffix, shuffled(i));
		assert_int_equal(SEND(PC_DOC, .file = slice_str(FILE_NAME), .kind = slice_str("WorkloadIdentity"),
				      .name = slice_str(name), .json = slice_str(json)), 0);
	}
	assert_int_equal(SEND(PC_DONE, .documents = n + 1), 0);
}

static size_t in_force(void)
{
	size_t stale;

	return policy_count(docs_policy(d), &stale);
}

/* One turn of at most UNITS; returns what it really was. */
static size_t turn(bool *ret_changed)
{
	struct budget b = BUDGET_INIT(UNITS);

	if (docs_busy(d))
		assert_int_equal(docs_step(d, &b, ret_changed), 0);
	else
		docs_tidy(d, &b);
	assert_true(b.spent > 0);
	assert_true(b.spent <= UNITS + OVERDRAFT);
	return b.spent;
}

static unsigned int until_in_force(void)
{
	unsigned int turns = 0;

	for (bool changed = false; !changed; turns++)
		(void)turn(&changed);
	return turns;
}

static unsigned int until_tidy(void)
{
	unsigned int turns = 0;
	bool changed = false;

	for (; docs_untidy(d); turns++)
		(void)turn(&changed);
	assert_false(changed);
	return turns;
}

static void no_turn_is_longer_than_its_share(void **state)
{
	(void)state;
	send_many(MANY, "");
	assert_true(until_in_force() > MANY * 200 / UNITS);
	assert_int_equal(in_force(), MANY);
	assert_true(until_tidy() > 10);
	send_many(MANY, "-x"); /* all are others now */
	assert_true(until_in_force() > MANY * 200 / UNITS);
	assert_true(until_tidy() > 10);
	send_many(1, ""); /* and withdrawn */
	assert_true(until_in_force() > 10);
	assert_int_equal(in_force(), 1);
	assert_true(until_tidy() > 10);
}

static void until_the_last_turn_the_old_ones_hold(void **state)
{
	bool changed = false;

	(void)state;
	send_many(100, "");
	(void)until_in_force();
	send_many(MANY, "-x");
	while (!changed) {
		assert_int_equal(in_force(), 100);
		assert_non_null(policy_by_spiffe_id(docs_policy(d), slice_str("spiffe://example.org/w/0")));
		(void)turn(&changed);
	}
	assert_int_equal(in_force(), MANY);
	assert_null(policy_by_spiffe_id(docs_policy(d), slice_str("spiffe://example.org/w/0")));
}

/* What is sent while another run is in the making comes after it; of several the last complete one. */
static void a_run_that_comes_meanwhile_is_next(void **state)
{
	bool changed = false;

	(void)state;
	send_many(5000, "");
	(void)turn(&changed);
	send_many(500, "-a");
	(void)turn(&changed);
	send_many(20, "-b");
	docs_begin(d);
	docs_end(d, "svid compile was killed"); /* says less than the one that waits */
	assert_false(changed);
	(void)until_in_force();
	assert_int_equal(in_force(), 5000);
	(void)until_in_force();
	assert_int_equal(in_force(), 20);
	(void)until_tidy();
	assert_false(docs_busy(d));
	assert_int_equal(docs_generation(d), 2);
}

static int count_doc(void *arg, const struct state_doc *doc)
{
	(void)doc;
	(*(size_t *)arg)++;
	return 0;
}

static size_t stored(void)
{
	size_t n = 0;

	assert_int_equal(state_each_doc(st, count_doc, &n), 0);
	return n;
}

static void what_was_half_written_is_finished_by_the_next(void **state)
{
	bool changed = false;

	(void)state;
	send_many(2000, "");
	(void)until_in_force();
	for (int i = 0; i < 5; i++)
		(void)turn(&changed);
	assert_in_range(stored(), 1, 1999);
	send_many(700, "-x");
	(void)until_in_force();
	(void)until_tidy();
	assert_int_equal(stored(), 701);
}

static void what_is_the_same_is_not_written_again(void **state)
{
	(void)state;
	send_many(2000, "");
	(void)until_in_force();
	(void)until_tidy();
	assert_int_equal(state_begin(st), 0); /* a transaction of its own would fail now */
	send_many(2000, "");
	(void)until_in_force();
	(void)until_tidy();
	assert_int_equal(state_commit(st), 0);
	(void)docs_errors(d, &(size_t){ 0 });
	assert_int_equal(stored(), 2001);
}

struct pair {
	int key, place;
};

static int by_key(const void *a, const void *b)
{
	return ((const struct pair *)a)->key - ((const struct pair *)b)->key;
}

static void sorting_in_pieces_is_sorting(void **state)
{
	static struct pair v[1000];

	(void)state;
	for (size_t n = 0; n < ARRAY_SIZE(v); n += n < 70 ? 1 : 311) {
		struct sorter s;

		for (size_t i = 0; i < n; i++)
			v[i] = (struct pair){ rand() % 50, (int)i };
		assert_int_equal(sorter_init(&s, v, n, sizeof(v[0]), by_key), 0);
		for (bool over = false; !over;) {
			struct budget b = BUDGET_INIT(7);

			over = sorter_step(&s, &b);
			assert_true(b.spent <= 7 + n);
		}
		sorter_done(&s);
		for (size_t i = 1; i < n; i++)
			assert_true(v[i - 1].key < v[i].key || (v[i - 1].key == v[i].key && v[i - 1].place < v[i].place));
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_turn_is_longer_than_its_share),
		T(until_the_last_turn_the_old_ones_hold),
		T(a_run_that_comes_meanwhile_is_next),
		T(what_was_half_written_is_finished_by_the_next),
		T(what_is_the_same_is_not_written_again),
		T(sorting_in_pieces_is_sorting),
	};

	return cmocka_run_group_tests_name("docs_slices", tests, NULL, NULL);
}
