/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - the worker threads of svid-keys: one locked queue in, one list out, an eventfd in between. */
#include "agent/keys/pool.h"

#include <errno.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"

#define MAX_THREADS 4
#define STACK_BYTES (256u << 10) /* locked memory, so no more than it takes */

struct pool {
	pthread_mutex_t lock; /* covers everything down to stop */
	pthread_cond_t wake;
	struct list waiting;
	struct list finished;
	unsigned int n_waiting;
	bool stop;

	struct loop_watch watch;
	unsigned int max_jobs;
	pthread_t threads[MAX_THREADS];
	unsigned int n_threads;
};

static struct pool_job *next_job(struct pool *p)
{
	struct pool_job *job;

	while (list_empty(&p->waiting) && !p->stop)
		pthread_cond_wait(&p->wake, &p->lock);
	if (p->stop)
		return NULL;
	job = list_entry(p->waiting.next, struct pool_job, node);
	list_del(&job->node);
	p->n_waiting--;
	return job;
}

static void *run(void *arg)
{
	const uint64_t one = 1;
	struct pool *p = arg;
	struct pool_job *job;

	pthread_mutex_lock(&p->lock);
	while ((job = next_job(p))) {
		pthread_mutex_unlock(&p->lock);
		job->work(job);
		pthread_mutex_lock(&p->lock);
		list_add_tail(&p->finished, &job->node);
		/* A full counter wakes the loop as well as one more would. */
		if (write(p->watch.fd, &one, sizeof(one)) < 0)
			continue;
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static struct pool_job *next_finished(struct pool *p)
{
	struct pool_job *job = NULL;

	pthread_mutex_lock(&p->lock);
	if (!list_empty(&p->finished)) {
		job = list_entry(p->finished.next, struct pool_job, node);
		list_del(&job->node);
	}
	pthread_mutex_unlock(&p->lock);
	return job;
}

static void finish_all(struct pool *p)
{
	struct pool_job *job;

	while ((job = next_finished(p)))
		job->done(job);
}

static void on_finished(struct loop_watch *w, uint32_t events)
{
	struct pool *p = container_of(w, struct pool, watch);
	uint64_t count;

	(void)events;
	if (read(w->fd, &count, sizeof(count)) < 0)
		return;
	finish_all(p);
}

static int start_threads(struct pool *p, unsigned int n)
{
	pthread_attr_t attr;
	int err = -pthread_attr_init(&attr);

	if (err)
		return err;
	err = -pthread_attr_setstacksize(&attr, STACK_BYTES);
	while (!err && p->n_threads < n) {
		err = -pthread_create(&p->threads[p->n_threads], &attr, run, p);
		p->n_threads += !err;
	}
	pthread_attr_destroy(&attr);
	return err;
}

int pool_new(struct loop *loop, unsigned int n_threads, unsigned int max_jobs, struct pool **ret_pool)
{
	struct pool *p = mem_new(struct pool);
	int err;

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->wake, NULL);
	list_init(&p->waiting);
	list_init(&p->finished);
	p->max_jobs = max_jobs;
	p->watch.cb = on_finished;
	p->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	err = p->watch.fd < 0 ? -errno : loop_add(loop, &p->watch, EPOLLIN);
	if (!err)
		err = start_threads(p, n_threads < MAX_THREADS ? n_threads : MAX_THREADS);
	if (err) {
		pool_free(p);
		return err;
	}
	*ret_pool = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->wake);
	pthread_mutex_unlock(&p->lock);
	for (unsigned int i = 0; i < p->n_threads; i++)
		pthread_join(p->threads[i], NULL);
	finish_all(p);
	loop_del(&p->watch);
	if (p->watch.fd >= 0)
		close(p->watch.fd);
	pthread_cond_destroy(&p->wake);
	pthread_mutex_destroy(&p->lock);
	mem_free(p);
}

int pool_submit(struct pool *p, struct pool_job *job)
{
	int err = 0;

	pthread_mutex_lock(&p->lock);
	if (p->n_waiting >= p->max_jobs) {
		err = -ERR_LIMIT;
	} else {
		list_add_tail(&p->waiting, &job->node);
		p->n_waiting++;
		pthread_cond_signal(&p->wake);
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

bool pool_cancel(struct pool *p, struct pool_job *job)
{
	struct pool_job *other;
	bool found = false;

	pthread_mutex_lock(&p->lock);
	list_for_each(other, &p->waiting, node)
		found = found || other == job;
	if (found) {
		list_del(&job->node);
		p->n_waiting--;
	}
	pthread_mutex_unlock(&p->lock);
	return found;
}
