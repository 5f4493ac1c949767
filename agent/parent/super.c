// SPDX-License-Identifier: Apache-2.0
/*
 * super.c - lives of the children: start, watch by pidfd, start again with back-off, stop in order.
 * A child that ends takes nobody with it, but for the fronts of a dead svid-core. svidd only.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/leak.h"
#include "agent/base/mem.h"
#include "agent/parent/parent.h"

#define HEALTHY_NS (10 * NS_PER_S)
#define DELAY_FIRST (100 * NS_PER_MS)
#define DELAY_MAX (30 * NS_PER_S)
#define STALE_NS (500 * NS_PER_MS) /* fronts of a dead svid-core end by themselves, or are ended */
#define TERM_NS NS_PER_S /* from hanging up to SIGKILL */

static void advance_stop(struct svidd *d);
static void start(struct child *c);

static const char *const level_names[] = { "error", "warn", "info", "debug" };

int super_launch(struct svidd *d, struct launch *l, pid_t *ret_pid)
{
	char log_arg[16], index_arg[24];
	bool compiles = l->role == ROLE_POLICY;
	const char *options[] = { log_arg, index_arg, d->o.debug_sandbox ? "--sandbox=log" : NULL,
				  leak_arg(compiles ? "svid-compile" : roles[l->role].program) };
	const char *argv[2 + ARRAY_SIZE(options) + 1] = { roles[l->role].program, compiles ? "compile" : NULL };
	size_t n = compiles ? 2 : 1;

	snprintf(log_arg, sizeof(log_arg), "--log=%s", level_names[d->o.log_level]);
	snprintf(index_arg, sizeof(index_arg), "--index=%u", l->index);
	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i])
			argv[n++] = options[i];
	l->argv = argv;
	l->exec_fd = d->exec_fds[l->role];
	l->who = d->who[l->role];
	return launch(l, ret_pid);
}

void super_kill(struct child *c)
{
	if (c->pid)
		kill(c->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

/* A crash or a refusal slows the next start down. SIGKILL comes from an administrator, from memory
 * pressure, or from us for a deadline: no loop that an attacker can drive, so the wait stays short. */
static uint64_t next_delay(struct child *c, int status)
{
	uint64_t delay;

	if (clock_boot_ns() - c->started >= HEALTHY_NS)
		c->delay = 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL && c->delay > DELAY_FIRST)
		c->delay = DELAY_FIRST;
	delay = c->delay;
	c->delay = delay ? delay * 2 : DELAY_FIRST;
	if (c->delay > DELAY_MAX)
		c->delay = DELAY_MAX;
	return delay;
}

static void restart_later(struct child *c, int status)
{
	uint64_t delay = next_delay(c, status);

	if (delay)
		log_warn(EV_CHILD_BACKOFF, KV("child", V_S(role_name_of(c->role))), KV("index", V_U(c->index)),
			 KV("ms", V_U(delay / NS_PER_MS)));
	if (loop_timer_in(c->d->loop, &c->restart, delay))
		log_fatal("restart timer", -ENOMEM);
}

static void on_restart(struct loop_timer *t)
{
	start(container_of(t, struct child, restart));
}

static void log_exit(const struct child *c, int status)
{
	enum log_level level = c->role == ROLE_FRONT || c->role == ROLE_POLICY || c->d->phase != PHASE_RUN ? LOG_DEBUG : LOG_WARN;

	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM)
		level = LOG_ERROR;
	LOG_AT(level, EV_CHILD_EXIT, KV("child", V_S(role_name_of(c->role))), KV("index", V_U(c->index)),
	       KV("pid", V_I(c->pid)), KV("signal", V_I(WIFSIGNALED(status) ? WTERMSIG(status) : 0)),
	       KV("status", V_I(WIFEXITED(status) ? WEXITSTATUS(status) : 0)),
	       KV("lived_ms", V_U((clock_boot_ns() - c->started) / NS_PER_MS)));
}

/* Whoever debugs may be slow, and so is a role that looks for leaks at its end. */
static uint64_t patience(const struct svidd *d, uint64_t ns)
{
	return d->o.debug_sandbox ? 20 * ns : ns;
}

/* Fronts see their channel to svid-core close and end; one that does not is ended (A22). */
static void core_gone(struct svidd *d)
{
	int err = evidence_core(d->evidence, 0);

	if (err)
		log_error(EV_PROVIDER, KV("what", V_S("core's number not withdrawn")), KV("err", V_S(err_name(err))));
	loop_timer_stop(&d->core_silent);
	d->cloud_wanted = false;
	super_kill(&d->policy);
	d->compile_again = false;
	if (loop_timer_in(d->loop, &d->stale_fronts, patience(d, STALE_NS)))
		log_fatal("timer", -ENOMEM);
}

static void on_stale_fronts(struct loop_timer *t)
{
	struct svidd *d = container_of(t, struct svidd, stale_fronts);

	for (size_t i = 0; i < FRONT_SLOTS; i++)
		if (d->fronts[i].pid && (d->fronts[i].life != d->core_life || !d->core.pid))
			super_kill(&d->fronts[i]);
}

/* Before svid-core was ready for the first time its death means that this cannot work at all. */
static bool is_hopeless(const struct child *c)
{
	return !c->d->core_was_ready && (c->role == ROLE_CORE || (c->role == ROLE_KEYS && !c->ready));
}

static void after_exit(struct child *c, int status)
{
	struct svidd *d = c->d;

	if (c->role == ROLE_CORE)
		core_gone(d);
	else if (c->role != ROLE_FRONT || c->life == d->core_life)
		requests_exit(c, status);
	if (c->role == ROLE_POLICY) {
		loop_timer_stop(&d->policy_deadline);
		if (d->compile_again)
			requests_compile(d);
	}
	if (d->phase != PHASE_RUN) {
		advance_stop(d);
	} else if (is_hopeless(c)) {
		d->exit_code = 1;
		super_stop(d, true);
	} else if (c->role != ROLE_FRONT && c->role != ROLE_POLICY) {
		restart_later(c, status);
	}
}

static void on_exit_event(struct loop_watch *w, uint32_t events)
{
	struct child *c = container_of(w, struct child, exit);
	int status;

	(void)events;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return;
	log_exit(c, status);
	loop_del(&c->exit);
	close(c->exit.fd);
	chan_free(c->chan);
	c->chan = NULL;
	c->pid = 0;
	c->ready = false;
	if (c->keys_fd >= 0)
		close(c->keys_fd);
	c->keys_fd = -1;
	after_exit(c, status);
}

int super_watch(struct child *c, pid_t pid)
{
	int err = 0;

	c->exit = (struct loop_watch){ .fd = (int)syscall(SYS_pidfd_open, pid, 0), .cb = on_exit_event };
	if (c->exit.fd < 0)
		err = -errno;
	if (!err)
		err = loop_add(c->d->loop, &c->exit, EPOLLIN);
	if (err) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		if (c->exit.fd >= 0)
			close(c->exit.fd);
		return err;
	}
	c->pid = pid;
	c->started = clock_boot_ns();
	log_debug(EV_CHILD_START, KV("child", V_S(role_name_of(c->role))), KV("index", V_U(c->index)), KV("pid", V_I(pid)));
	return 0;
}

static int on_worker_ready(struct chan *c, struct chan_msg *m)
{
	struct child *w = chan_owner(c);

	if (m->body.len || w->ready)
		return -ERR_FORMAT;
	w->ready = true;
	return 0;
}

static void on_worker_dead(struct chan *c, int err)
{
	struct child *w = chan_owner(c);

	(void)err;
	w->chan = NULL;
	chan_free(c);
	super_kill(w);
}

static const struct chan_rule keys_rules[] = { { MSG_K_READY, 1, on_worker_ready } };
static const struct chan_ops keys_ops = { "svid-keys", keys_rules, 1, on_worker_dead };
static const struct chan_rule attest_rules[] = { { MSG_A_READY, 1, on_worker_ready } };
static const struct chan_ops attest_ops = { "svid-attest", attest_rules, 1, on_worker_dead };

static int send_sealing_key(struct svidd *d)
{
	/* The offset is shared with the reader before this one. */
	if (lseek(d->t.sealing_key, 0, SEEK_SET) < 0)
		return -errno;
	return chan_put_fds(d->keys.chan, K_SEAL, 0, &d->t.sealing_key, 1);
}

/* Those of the svid-core before end with their channel; being reaped starts them anew. */
static void start_undertakers(struct svidd *d)
{
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		if (!d->undertakers[i].pid && !loop_timer_armed(&d->undertakers[i].restart))
			start(&d->undertakers[i]);
}

static int introduce(struct child *c)
{
	struct svidd *d = c->d;
	int err;

	switch (c->role) {
	case ROLE_CORE:
		d->core_life++;
		err = evidence_core(d->evidence, c->pid); /* before it has any descriptor */
		if (!err)
			err = links_core(d);
		if (!err)
			start_undertakers(d);
		return err;
	case ROLE_KEYS:
		err = send_sealing_key(d);
		return err ? err : links_keys(d);
	default:
		return links_attest(c);
	}
}

/* It belongs to one svid-core; we keep nothing of it but its number. */
static int start_undertaker(struct child *c)
{
	int pair[2];
	struct launch l = { .role = c->role, .index = c->index, .fds = &pair[1], .n_fds = 1, .log_fd = STDERR_FILENO };
	pid_t pid;
	int err;

	if (!c->d->core.chan)
		return 0; /* svid-core's start comes here again */
	err = links_pair(pair);
	if (err)
		return err;
	err = super_launch(c->d, &l, &pid);
	close(pair[1]);
	if (!err)
		err = super_watch(c, pid);
	if (!err)
		err = links_undertaker(c, pair[0]);
	close(pair[0]);
	return err;
}

static int try_start(struct child *c)
{
	struct svidd *d = c->d;
	const struct chan_ops *ops = c->role == ROLE_CORE ? &core_ops : c->role == ROLE_KEYS ? &keys_ops : &attest_ops;
	void *owner = c->role == ROLE_CORE ? (void *)d : (void *)c;
	int pair[2];
	struct launch l = { .role = c->role, .index = c->index, .fds = &pair[1], .n_fds = 1, .log_fd = STDERR_FILENO };
	pid_t pid;
	int err = links_pair(pair);

	if (err)
		return err;
	err = super_launch(d, &l, &pid);
	close(pair[1]);
	if (!err)
		err = super_watch(c, pid);
	if (err) {
		close(pair[0]);
		return err;
	}
	err = chan_new(d->loop, pair[0], ops, owner, &c->chan);
	return err ? err : introduce(c);
}

/* It belongs to one svid-core, which says that it wants it. */
static int start_cloud(struct child *c)
{
	int core, err;

	if (!c->d->core.chan || !c->d->cloud_wanted)
		return 0;
	err = cloud_launch(c, &core);
	if (err)
		return err;
	err = links_cloud(c, core);
	close(core);
	return err;
}

void super_want_cloud(struct svidd *d)
{
	d->cloud_wanted = true;
	if (!d->cloud.pid && !loop_timer_armed(&d->cloud.restart))
		start(&d->cloud);
}

static int start_one(struct child *c)
{
	switch (c->role) {
	case ROLE_UNDERTAKER:
		return start_undertaker(c);
	case ROLE_CLOUD:
		return start_cloud(c);
	default:
		return try_start(c);
	}
}

static void start(struct child *c)
{
	int err = start_one(c);

	if (!err)
		return;
	log_error(EV_CHILD_START, KV("child", V_S(role_name_of(c->role))), KV("index", V_U(c->index)),
		  KV("err", V_S(err_name(err))));
	if (c->pid)
		super_kill(c); /* its exit starts it again */
	else
		restart_later(c, 0);
}

static void on_policy_deadline(struct loop_timer *t)
{
	struct svidd *d = container_of(t, struct svidd, policy_deadline);

	log_error(EV_POLICY, KV("what", V_S("compiler killed: deadline")));
	super_kill(&d->policy);
}

static void on_core_silent(struct loop_timer *t)
{
	struct svidd *d = container_of(t, struct svidd, core_silent);

	log_error(EV_CHILD_KILL, KV("child", V_S("svid-core")), KV("why", V_S("its loop stands still")));
	super_kill(&d->core);
}

static void child_init(struct svidd *d, struct child *c, enum role_id role, unsigned int index)
{
	*c = (struct child){ .d = d, .role = role, .index = index, .keys_fd = -1, .restart.cb = on_restart };
}

static void on_stop_timer(struct loop_timer *t);

void super_start(struct svidd *d)
{
	d->stale_fronts.cb = on_stale_fronts;
	d->policy_deadline.cb = on_policy_deadline;
	d->core_silent.cb = on_core_silent;
	d->stop_timer.cb = on_stop_timer;
	child_init(d, &d->policy, ROLE_POLICY, 0);
	child_init(d, &d->core, ROLE_CORE, 0);
	child_init(d, &d->keys, ROLE_KEYS, 0);
	child_init(d, &d->cloud, ROLE_CLOUD, 0);
	for (unsigned int i = 0; i < LIM_UNDERTAKERS; i++)
		child_init(d, &d->undertakers[i], ROLE_UNDERTAKER, i);
	start(&d->keys);
	for (unsigned int i = 0; i < LIM_ATTEST_WORKERS; i++) {
		child_init(d, &d->attest[i], ROLE_ATTEST, i);
		start(&d->attest[i]);
	}
	start(&d->core);
}

static void for_each(struct svidd *d, void (*fn)(struct child *c))
{
	fn(&d->core);
	for (size_t i = 0; i < FRONT_SLOTS; i++)
		fn(&d->fronts[i]);
	fn(&d->policy);
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		fn(&d->attest[i]);
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		fn(&d->undertakers[i]);
	fn(&d->cloud);
	fn(&d->keys);
}

/* Everybody ends by itself when its channel closes; a front and an undertaker by that to svid-core. */
static void hang_up(struct child *c)
{
	chan_free(take(&c->chan));
	if (c->pid && c->role == ROLE_POLICY) /* which reads nothing */
		kill(c->pid, SIGTERM);
}

static void no_restart(struct child *c)
{
	loop_timer_stop(&c->restart);
}

static bool any_alive(const struct svidd *d)
{
	if (d->core.pid || d->keys.pid || d->policy.pid || d->cloud.pid)
		return true;
	for (size_t i = 0; i < LIM_ATTEST_WORKERS; i++)
		if (d->attest[i].pid)
			return true;
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		if (d->undertakers[i].pid)
			return true;
	for (size_t i = 0; i < FRONT_SLOTS; i++)
		if (d->fronts[i].pid)
			return true;
	return false;
}

static void stop_in(struct svidd *d, uint64_t ns)
{
	if (loop_timer_in(d->loop, &d->stop_timer, patience(d, ns)))
		log_fatal("stop timer", -ENOMEM);
}

/* Called at every exit and time-out while stopping. */
static void advance_stop(struct svidd *d)
{
	if (d->phase <= PHASE_STOP_CORE && !d->core.pid) {
		d->phase = PHASE_STOP_REST;
		for_each(d, hang_up);
		stop_in(d, TERM_NS);
	}
	if (d->phase == PHASE_STOP_REST && !any_alive(d))
		loop_stop(d->loop);
}

static void on_stop_timer(struct loop_timer *t)
{
	struct svidd *d = container_of(t, struct svidd, stop_timer);

	if (d->phase == PHASE_DRAIN)
		super_drained(d);
	else if (d->phase == PHASE_STOP_CORE)
		super_kill(&d->core);
	else
		for_each(d, super_kill);
}

void super_drained(struct svidd *d)
{
	if (d->phase != PHASE_DRAIN)
		return;
	d->phase = PHASE_STOP_CORE;
	hang_up(&d->core);
	stop_in(d, TERM_NS);
	advance_stop(d);
}

void super_stop(struct svidd *d, bool hard)
{
	hard = hard || d->phase != PHASE_RUN || !d->core.chan;
	log_info(EV_STOP, KV("drain", V_U(!hard)));
	notify("STOPPING=1");
	for_each(d, no_restart);
	if (!hard && chan_put(d->core.chan, P_STOP, 0))
		hard = true;
	if (hard) {
		d->phase = PHASE_STOP_REST;
		for_each(d, super_kill);
		advance_stop(d);
		return;
	}
	d->phase = PHASE_DRAIN;
	stop_in(d, LIM_DRAIN_MS * NS_PER_MS);
}

static void dump(struct child *c)
{
	if (c->pid)
		log_info(EV_CHILD_START, KV("child", V_S(role_name_of(c->role))), KV("index", V_U(c->index)),
			 KV("pid", V_I(c->pid)), KV("ready", V_U(c->ready)), KV("delay_ms", V_U(c->delay / NS_PER_MS)));
}

void super_dump(struct svidd *d)
{
	for_each(d, dump);
}

static void forget(struct child *c)
{
	chan_free(take(&c->chan));
}

void super_free(struct svidd *d)
{
	for_each(d, forget);
	mem_free(take(&d->fronts));
}
