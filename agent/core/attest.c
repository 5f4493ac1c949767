// SPDX-License-Identifier: Apache-2.0
/*
 * attest.c - questions to svid-attest. A worker is synchronous: it has one question at a time, and one
 * that does not answer in time is killed rather than waited for. svid-core.
 */
#include "agent/core/attest.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/plan.h"

/* States of a worker's channel: which answer is permitted. */
enum {
	W_IDLE,
	W_IDENTIFY, /* this and the next two: 1 + enum attest_kind */
	W_OPEN,
	W_HASH,
	W_CANARY_UP,
	W_CANARY_HELD, /* the child is connected, nothing was asked */
	W_CANARY_PROBE,
};

struct attest_worker {
	struct attest *pool;
	uint32_t index;
	struct chan *chan; /* NULL: not there */
	unsigned int state;
	bool condemned; /* svidd was asked to kill it */
	struct loop_timer watchdog; /* for a question whose job was cancelled */
	struct attest_job *job;
	struct attest_canary *canary;
};

struct attest {
	struct loop *loop;
	const struct attest_ops *ops;
	void *owner;
	struct attest_worker workers[LIM_ATTEST_WORKERS];
	struct list queue;
	uint32_t last_caller; /* whose question was put last */
	struct attest_canary *wanted; /* gets the next idle worker */
	char path[108];		      /* that it connects to */
	struct attest_stats stats;
};

static void dispatch(struct attest *a);

static void set_state(struct attest_worker *w, unsigned int state)
{
	w->state = state;
	if (state == W_IDLE)
		loop_timer_stop(&w->watchdog);
	if (w->chan)
		chan_set_state(w->chan, state);
}

static void worker_kill(struct attest_worker *w)
{
	if (w->condemned || !w->chan)
		return;
	w->condemned = true;
	w->pool->ops->kill(w->pool->owner, w->index);
}

static void on_watchdog(struct loop_timer *t)
{
	worker_kill(container_of(t, struct attest_worker, watchdog));
}

int attest_new(struct loop *loop, const struct attest_ops *ops, void *owner, struct attest **ret_pool)
{
	struct attest *a = mem_new(struct attest);

	if (!a)
		return -ENOMEM;
	a->loop = loop;
	a->ops = ops;
	a->owner = owner;
	list_init(&a->queue);
	for (uint32_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		a->workers[i] = (struct attest_worker){ .pool = a, .index = i, .watchdog.cb = on_watchdog };
	*ret_pool = a;
	return 0;
}

void attest_free(struct attest *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		chan_free(a->workers[i].chan);
	mem_free(a);
}

static void job_finish(struct attest_job *job, const struct attest_answer *answer, int err)
{
	struct attest *a = job->pool;

	loop_timer_stop(&job->deadline);
	if (job->worker)
		job->worker->job = NULL;
	else
		a->stats.waiting--;
	job->worker = NULL;
	job->pool = NULL;
	list_del(&job->node);
	a->stats.answered += !err;
	job->done(job, answer, err);
}

/* @answer is NULL when the worker said that it cannot, and why. */
static void worker_answered(struct attest_worker *w, const struct attest_answer *answer, int err)
{
	set_state(w, W_IDLE);
	if (w->job) /* else it was cancelled meanwhile */
		job_finish(w->job, answer, err);
	dispatch(w->pool);
}

static int on_identity(struct chan *c, struct chan_msg *m)
{
	struct msg_A_IDENTITY answer;
	int err = msg_get_A_IDENTITY(m->body, &answer);

	if (err)
		return err;
	if (answer.path_err > 0 || answer.names_err > 0)
		return -ERR_FORMAT;
	worker_answered(chan_owner(c), &(struct attest_answer){ .identity = &answer }, 0);
	return 0;
}

static int on_opened(struct chan *c, struct chan_msg *m)
{
	struct msg_A_OPENED opened;
	int err = msg_get_A_OPENED(m->body, &opened);

	if (!err)
		worker_answered(chan_owner(c), &(struct attest_answer){ .fd = &m->fds[0] }, 0);
	return err;
}

static int on_not_opened(struct chan *c, struct chan_msg *m)
{
	struct msg_A_NOT_OPENED answer;
	int err = msg_get_A_NOT_OPENED(m->body, &answer);

	if (err)
		return err;
	if (answer.err >= 0)
		return -ERR_FORMAT;
	worker_answered(chan_owner(c), NULL, answer.err);
	return 0;
}

static int on_digested(struct chan *c, struct chan_msg *m)
{
	struct msg_A_DIGESTED answer;
	int err = msg_get_A_DIGESTED(m->body, &answer);

	if (err)
		return err;
	if (answer.err > 0 || answer.sha256.len != (answer.err ? 0 : 32))
		return -ERR_FORMAT;
	worker_answered(chan_owner(c), &(struct attest_answer){ .digested = &answer }, 0);
	return 0;
}

static int on_canary_up(struct chan *c, struct chan_msg *m)
{
	struct attest_worker *w = chan_owner(c);
	struct attest_canary *canary = w->canary;
	struct msg_A_CANARY_UP up;
	int err = msg_get_A_CANARY_UP(m->body, &up);

	if (err)
		return err;
	set_state(w, up.err ? W_IDLE : W_CANARY_HELD);
	if (up.err && canary) {
		loop_timer_stop(&canary->deadline);
		canary->worker = NULL;
		w->canary = NULL;
	}
	if (canary)
		canary->up(canary, up.err, up.pid);
	dispatch(w->pool);
	return 0;
}

static int on_canary_done(struct chan *c, struct chan_msg *m)
{
	struct attest_worker *w = chan_owner(c);
	struct attest_canary *canary = w->canary;
	struct msg_A_CANARY_DONE done;
	int err = msg_get_A_CANARY_DONE(m->body, &done);

	if (err)
		return err;
	set_state(w, W_IDLE);
	if (canary) {
		loop_timer_stop(&canary->deadline);
		w->canary = NULL;
		canary->worker = NULL;
		canary->done(canary, done.read_err);
	}
	dispatch(w->pool);
	return 0;
}

/* The question goes to another worker once; a question that kills two is not worth a third. */
static void job_orphaned(struct attest_worker *w)
{
	struct attest_job *job = w->job;

	w->job = NULL;
	if (!job)
		return;
	job->worker = NULL;
	w->pool->stats.waiting++;
	if (job->again) {
		job_finish(job, NULL, -ERR_CLOSED);
		return;
	}
	job->again = true;
	list_add_tail(&w->pool->queue, &job->node);
}

static void on_dead(struct chan *c, int err)
{
	struct attest_worker *w = chan_owner(c);
	struct attest_canary *canary = w->canary;

	w->pool->stats.deaths++;
	if (err != -ERR_CLOSED)
		w->pool->ops->kill(w->pool->owner, w->index);
	chan_free(c);
	w->chan = NULL;
	w->canary = NULL;
	set_state(w, W_IDLE);
	if (canary) {
		loop_timer_stop(&canary->deadline);
		canary->worker = NULL;
		canary->failed(canary, err);
	}
	job_orphaned(w);
	dispatch(w->pool);
}

static const struct chan_rule rules[] = {
	{ MSG_A_IDENTITY, 1u << W_IDENTIFY, on_identity },
	{ MSG_A_OPENED, 1u << W_OPEN, on_opened },
	{ MSG_A_NOT_OPENED, 1u << W_OPEN, on_not_opened },
	{ MSG_A_DIGESTED, 1u << W_HASH, on_digested },
	{ MSG_A_CANARY_UP, 1u << W_CANARY_UP, on_canary_up },
	{ MSG_A_CANARY_DONE, 1u << W_CANARY_PROBE, on_canary_done },
};

static const struct chan_ops chan_ops = {
	.peer = "svid-attest",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int attest_peer(struct attest *a, uint32_t index, int fd)
{
	struct attest_worker *w;
	int err;

	if (index >= LIM_ATTEST_WORKERS) {
		close(fd);
		return -ERR_FORMAT;
	}
	w = &a->workers[index];
	if (w->chan)
		on_dead(w->chan, -ERR_CLOSED);
	err = chan_new(a->loop, fd, &chan_ops, w, &w->chan);
	if (err)
		return err;
	w->condemned = false;
	set_state(w, W_IDLE);
	dispatch(a);
	return 0;
}

static bool hashes(const struct attest_job *job)
{
	return job->kind == ATTEST_HASH;
}

static struct attest_worker *idle_worker(struct attest *a, bool hasher)
{
	size_t end = hasher ? LIM_ATTEST_WORKERS : LIM_ATTEST_LOOKERS;

	for (size_t i = hasher ? LIM_ATTEST_LOOKERS : 0; i < end; i++) {
		struct attest_worker *w = &a->workers[i];

		if (w->chan && w->state == W_IDLE && !w->condemned)
			return w;
	}
	return NULL;
}

static int send_job(struct attest_worker *w, struct attest_job *job)
{
	static const uint16_t types[] = { MSG_A_IDENTIFY, MSG_A_OPEN, MSG_A_DIGEST };
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_INLINE);
	int err;

	if (job->kind == ATTEST_IDENTIFY)
		msg_put_A_IDENTIFY(&b, &job->ask);
	else if (job->kind == ATTEST_OPEN)
		msg_put_A_OPEN(&b, &job->open);
	else
		msg_put_A_DIGEST(&b, &job->digest);
	err = buf_ok(&b);
	return err ? err : chan_send(w->chan, types[job->kind], 0, buf_slice(&b), &job->fd, hashes(job));
}

/* One worker of each kind at least is there for others: a uid whose executables hang keeps one busy, not all. */
static bool has_worker(const struct attest *a, const struct attest_job *job)
{
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++) {
		const struct attest_job *other = a->workers[i].job;

		if (other && other->caller == job->caller && hashes(other) == hashes(job))
			return true;
	}
	return false;
}

/* The oldest, but callers take turns: who asks without end makes nobody else wait for all of it (A14). */
static struct attest_job *next_job(struct attest *a, bool hasher)
{
	struct attest_job *job, *oldest = NULL;

	list_for_each(job, &a->queue, node) {
		if (hashes(job) != hasher || has_worker(a, job))
			continue;
		if (job->caller != a->last_caller)
			return job;
		if (!oldest)
			oldest = job;
	}
	return oldest;
}

static void start_canary(struct attest *a, struct attest_worker *w)
{
	struct attest_canary *c = a->wanted;

	if (chan_put(w->chan, A_CANARY, 0, .public_path = slice_str(a->path))) {
		worker_kill(w);
		return;
	}
	a->wanted = NULL;
	c->worker = w;
	w->canary = c;
	set_state(w, W_CANARY_UP);
}

static uint64_t time_of(const struct attest_job *job)
{
	return (hashes(job) ? LIM_DIGEST_MS : LIM_ATTEST_MS) * NS_PER_MS;
}

static void job_start(struct attest_worker *w, struct attest_job *job)
{
	struct attest *a = w->pool;

	list_del(&job->node);
	if (send_job(w, job)) {
		list_add_tail(&a->queue, &job->node);
		worker_kill(w);
		return;
	}
	a->stats.waiting--;
	a->last_caller = job->caller;
	job->worker = w;
	job->started = clock_boot_ns();
	w->job = job;
	set_state(w, W_IDENTIFY + job->kind);
	/*
	 * The queue before it must not count against a worker: killing one for what it has not had time to do would leave
	 * less for the next (A14). No memory: the time of before stays.
	 */
	(void)!loop_timer_in(a->loop, &job->deadline, time_of(job));
}

static void dispatch(struct attest *a)
{
	struct attest_worker *w;
	struct attest_job *job;

	while (a->wanted && (w = idle_worker(a, false)))
		start_canary(a, w);
	for (int hasher = 0; hasher < 2; hasher++)
		while ((job = next_job(a, hasher)) && (w = idle_worker(a, hasher)))
			job_start(w, job);
}

/* Once for waiting, once for the answer. */
static void on_deadline(struct loop_timer *t)
{
	struct attest_job *job = container_of(t, struct attest_job, deadline);
	struct attest *a = job->pool;

	a->stats.deadlines++;
	if (job->worker)
		worker_kill(job->worker);
	log_warn(EV_ATTEST, KV("uid", V_U(job->caller)), KV("what", V_S(hashes(job) ? "digest" : "process")),
		 KV("err", V_S("deadline")));
	job_finish(job, NULL, -ERR_DEADLINE);
}

static bool over_share(const struct attest *a, uint32_t caller)
{
	const struct attest_job *job;
	unsigned int n = 0;

	if (a->stats.waiting >= LIM_ATTEST_QUEUE)
		return true;
	list_for_each(job, &a->queue, node)
		n += job->caller == caller;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		n += a->workers[i].job && a->workers[i].job->caller == caller;
	return n >= LIM_ATTEST_PER_UID;
}

void attest_about(struct attest_job *job, const struct svid_conn *r, pid_t pid, bool compare)
{
	uint32_t n = r->creds.ngroups < SVID_GROUPS_MAX ? r->creds.ngroups : SVID_GROUPS_MAX;

	memcpy(job->groups, r->creds.groups, n * sizeof(job->groups[0]));
	job->kind = ATTEST_IDENTIFY;
	job->ask = (struct msg_A_IDENTIFY){
		.pid = (uint32_t)pid,
		.start = compare ? r->image.key.start : 0,
		.dev = compare ? r->image.exe.dev : 0,
		.ino = compare ? r->image.exe.ino : 0,
		.generation = compare ? r->image.exe.generation : 0,
		.uid = r->creds.ids.euid,
		.gid = r->creds.ids.egid,
		.groups = slice_of(job->groups, n * sizeof(job->groups[0])),
	};
}

void attest_about_file(struct attest_job *job, const struct svid_image *img, pid_t pid, bool compare)
{
	const struct svid_exe *exe = &img->exe;

	job->kind = ATTEST_OPEN;
	job->open = (struct msg_A_OPEN){ .pid = (uint32_t)pid };
	if (!compare)
		return;
	job->open.start = img->key.start;
	job->open.dev = exe->dev;
	job->open.ino = exe->ino;
	job->open.generation = exe->generation;
	job->open.size = exe->size;
	job->open.mtime_sec = exe->mtime_sec;
	job->open.mtime_nsec = exe->mtime_nsec;
	job->open.ctime_sec = exe->ctime_sec;
	job->open.ctime_nsec = exe->ctime_nsec;
}

void attest_take_proc(struct svid_image *img, const struct msg_A_IDENTITY *m)
{
	img->exe.ino = m->ino;
	img->exe.dev = (uint32_t)m->dev;
	img->argv_total = (uint32_t)m->argv.len;
	img->argv_len = m->argv.len < SVID_ARGV_MAX ? (uint32_t)m->argv.len : SVID_ARGV_MAX;
	if (img->argv_len)
		memcpy(img->argv, m->argv.p, img->argv_len);
	if (m->argv.len > SVID_ARGV_MAX)
		img->flags |= SVID_IMG_ARGV_TRUNC;
}

int attest_ask(struct attest *a, struct attest_job *job)
{
	int err;

	list_init(&job->node);
	job->pool = NULL;
	job->worker = NULL;
	job->again = false;
	job->started = 0;
	if (over_share(a, job->caller)) {
		a->stats.refused++;
		return -ERR_LIMIT;
	}
	job->deadline.cb = on_deadline;
	err = loop_timer_in(a->loop, &job->deadline, time_of(job));
	if (err)
		return err;
	job->pool = a;
	a->stats.asked++;
	a->stats.waiting++;
	list_add_tail(&a->queue, &job->node);
	dispatch(a);
	return 0;
}

void attest_also_for(struct attest_job *job, uint32_t caller)
{
	uint32_t was = job->caller;

	if (!job->pool || job->worker || !has_worker(job->pool, job))
		return;
	job->caller = caller;
	if (has_worker(job->pool, job)) {
		job->caller = was;
		return;
	}
	(void)!loop_timer_in(job->pool->loop, &job->deadline, time_of(job)); /* no memory: the time of before stays */
	dispatch(job->pool);
}

void attest_cancel(struct attest_job *job)
{
	if (!job->pool)
		return;
	loop_timer_stop(&job->deadline);
	if (!job->worker) {
		job->pool->stats.waiting--;
	} else { /* its answer will come and go nowhere */
		job->worker->job = NULL;
		if (loop_timer_in(job->pool->loop, &job->worker->watchdog, time_of(job)))
			worker_kill(job->worker);
	}
	list_del(&job->node);
	job->worker = NULL;
	job->pool = NULL;
}

static void on_canary_deadline(struct loop_timer *t)
{
	struct attest_canary *c = container_of(t, struct attest_canary, deadline);

	c->pool->stats.deadlines++;
	attest_canary_cancel(c);
	c->failed(c, -ERR_DEADLINE);
}

int attest_canary(struct attest *a, struct attest_canary *c, const char *path)
{
	int err;

	if (a->wanted || strlen(path) >= sizeof(a->path))
		return a->wanted ? -EBUSY : -ENAMETOOLONG;
	memcpy(a->path, path, strlen(path) + 1);
	c->pool = a;
	c->worker = NULL;
	c->deadline.cb = on_canary_deadline;
	err = loop_timer_in(a->loop, &c->deadline, 2 * LIM_ATTEST_MS * NS_PER_MS);
	if (err)
		return err;
	a->wanted = c;
	dispatch(a);
	return 0;
}

int attest_canary_probe(struct attest_canary *c)
{
	struct attest_worker *w = c->worker;
	int err;

	if (!w || w->state != W_CANARY_HELD)
		return -ERR_PERMIT;
	err = chan_send(w->chan, MSG_A_CANARY_PROBE, 0, slice_of(NULL, 0), NULL, 0);
	if (!err)
		set_state(w, W_CANARY_PROBE);
	return err;
}

void attest_canary_cancel(struct attest_canary *c)
{
	struct attest_worker *w = c->worker;

	loop_timer_stop(&c->deadline);
	if (c->pool && c->pool->wanted == c)
		c->pool->wanted = NULL;
	c->worker = NULL;
	if (!w)
		return;
	w->canary = NULL;
	worker_kill(w);
}

void attest_get_stats(const struct attest *a, struct attest_stats *ret_stats)
{
	*ret_stats = a->stats;
	ret_stats->workers = 0;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		ret_stats->workers += a->workers[i].chan != NULL;
}
