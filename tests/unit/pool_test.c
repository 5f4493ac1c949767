/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/pool.c */
/* pool_test.c - the rules of svid-keys' pool: bounded, cancelled only before the start, done on the loop. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/err.h"
#include "agent/keys/pool.h"

#define JOBS 8

static struct loop *loop;
static struct pool *pool;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static unsigned int n_done;

struct job {
	struct pool_job job;
	pthread_t worked_on;
	bool worked;
	bool done;
};

/* Works only while the gate is open, so that a test decides what waits. */
static void work(struct pool_job *j)
{
	struct job *job = container_of(j, struct job, job);

	pthread_mutex_lock(&gate);
	job->worked_on = pthread_self();
	job->worked = true;
	pthread_mutex_unlock(&gate);
}

static void done(struct pool_job *j)
{
	struct job *job = container_of(j, struct job, job);

	assert_true(job->worked);
	job->done = true;
	n_done++;
}

static void init(struct job *jobs, size_t n)
{
	n_done = 0;
	for (size_t i = 0; i < n; i++)
		jobs[i] = (struct job){ .job = { .work = work, .done = done } };
}

static void until(unsigned int n)
{
	for (int i = 0; i < 500 && n_done < n; i++)
		assert_int_equal(loop_once(loop, 100), 0);
	assert_int_equal(n_done, n);
}

static void jobs_are_done_on_the_loop_and_worked_elsewhere(void **state)
{
	struct job jobs[JOBS];

	(void)state;
	init(jobs, JOBS);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(pool_submit(pool, &jobs[i].job), 0);
	until(JOBS);
	for (size_t i = 0; i < JOBS; i++)
		assert_false(pthread_equal(jobs[i].worked_on, pthread_self()));
}

/* Both threads hold a job each, or are about to: what is beyond that waits. */
static size_t fill(struct job *jobs, size_t n)
{
	size_t i = 0;

	while (i < n && pool_submit(pool, &jobs[i].job) == 0)
		i++;
	return i;
}

static void queue_is_bounded(void **state)
{
	struct job jobs[64];
	size_t taken;

	(void)state;
	init(jobs, 64);
	pthread_mutex_lock(&gate);
	taken = fill(jobs, 64);
	assert_in_range(taken, JOBS, JOBS + 2);
	assert_int_equal(n_done, 0);
	pthread_mutex_unlock(&gate);
	until((unsigned int)taken);
	assert_int_equal(pool_submit(pool, &jobs[63].job), 0);
	until((unsigned int)taken + 1);
}

static void waiting_job_can_be_cancelled_and_a_finished_one_not(void **state)
{
	struct job jobs[JOBS];

	(void)state;
	init(jobs, JOBS);
	pthread_mutex_lock(&gate);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(pool_submit(pool, &jobs[i].job), 0);
	assert_true(pool_cancel(pool, &jobs[JOBS - 1].job));
	assert_false(pool_cancel(pool, &jobs[JOBS - 1].job));
	pthread_mutex_unlock(&gate);
	until(JOBS - 1);
	assert_false(jobs[JOBS - 1].worked);
	assert_false(pool_cancel(pool, &jobs[0].job));
}

static void ending_drops_what_waits_and_gives_back_what_ran(void **state)
{
	struct job jobs[JOBS];
	size_t worked = 0;

	(void)state;
	init(jobs, JOBS);
	for (size_t i = 0; i < JOBS; i++)
		assert_int_equal(pool_submit(pool, &jobs[i].job), 0);
	pool_free(pool);
	pool = NULL;
	for (size_t i = 0; i < JOBS; i++)
		worked += jobs[i].worked;
	assert_in_range(worked, 0, JOBS);
	assert_int_equal(n_done, worked); /* who lent a job gets it back */
}

static int set_up(void **state)
{
	(void)state;
	return loop_new(&loop) || pool_new(loop, 2, JOBS, &pool);
}

static int tear_down(void **state)
{
	(void)state;
	pool_free(pool);
	loop_free(loop);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(jobs_are_done_on_the_loop_and_worked_elsewhere),
		TEST(queue_is_bounded),
		TEST(waiting_job_can_be_cancelled_and_a_finished_one_not),
		TEST(ending_drops_what_waits_and_gives_back_what_ran),
	};

	return cmocka_run_group_tests_name("unit/pool", tests, NULL, NULL);
}
