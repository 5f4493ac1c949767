// SPDX-License-Identifier: Apache-2.0
/*
 * requests.c - what svid-core may ask of root: messages of fixed size, each number checked here.
 * Anything else ends svid-core (super.c starts it again). svidd only.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/parent/parent.h"

#define NOT_STARTED (127 << 8) /* wait(2) status of a child that could not be started */

static void report(struct svidd *d, enum role_id role, unsigned int index, int status)
{
	int err;

	if (!d->core.chan)
		return;
	err = chan_put(d->core.chan, P_EXIT, 0, .role = role, .index = index, .status = (uint32_t)status);
	if (err)
		super_kill(&d->core); /* its picture of the fronts would be wrong from now on */
}

void requests_exit(struct child *c, int status)
{
	report(c->d, c->role, c->index, status);
}

static int on_ready(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_READY ready;
	int err = msg_get_C_READY(m->body, &ready);

	if (err || d->core.ready)
		return err ? err : -ERR_PERMIT;
	d->core.ready = d->core_was_ready = true;
	log_info(EV_READY, KV("tier", V_S(tier_name(evidence_tier(d->evidence)))), KV("socket", V_S(d->t.public_path)));
	notify("READY=1");
	return 0;
}

static struct child *front_by_number(struct svidd *d, unsigned int number)
{
	for (size_t i = 0; i < FRONT_SLOTS; i++)
		if (d->fronts[i].pid && d->fronts[i].life == d->core_life && d->fronts[i].index == number)
			return &d->fronts[i];
	return NULL;
}

static struct child *free_front(struct svidd *d)
{
	struct child *found = NULL;
	unsigned int alive = 0;

	for (size_t i = 0; i < FRONT_SLOTS; i++) {
		alive += d->fronts[i].pid && d->fronts[i].life == d->core_life;
		if (!d->fronts[i].pid)
			found = &d->fronts[i];
	}
	return alive < LIM_FRONTS ? found : NULL;
}

struct front_fds {
	int core[2], keys[2], log[2]; /* [1] is the front's */
};

static void front_fds_autoclean(struct front_fds *f)
{
	int *all[] = { f->core, f->keys, f->log };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		for (int j = 0; j < 2; j++)
			if (all[i][j] >= 0)
				close(all[i][j]);
}

static int make_front_fds(struct front_fds *f)
{
	int pipe_fds[2];
	int err = links_pair(f->core);

	if (!err)
		err = links_pair(f->keys);
	/* Not blocking: a front that logs faster than svid-core reads loses lines, not time. */
	if (!err && pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		err = -errno;
	if (err)
		return err;
	f->log[0] = pipe_fds[0];
	f->log[1] = pipe_fds[1];
	return 0;
}

static int launch_front(struct svidd *d, unsigned int number, const struct front_fds *f, pid_t *ret_pid)
{
	const int fds[] = { f->core[1], f->keys[1], evidence_words(d->evidence) };
	/* Debugging, what it says after svid-core's end counts as well. */
	struct launch l = { .role = ROLE_FRONT, .index = number, .fds = fds, .n_fds = ARRAY_SIZE(fds),
			    .log_fd = d->o.debug_sandbox ? STDERR_FILENO : f->log[1] };

	return super_launch(d, &l, ret_pid);
}

/* svid-keys hears of the front before the front can run into it; svid-core hears of it last. */
static int announce_front(struct child *c, const struct front_fds *f)
{
	const int fds[] = { f->core[0], f->log[0] };
	struct svidd *d = c->d;

	if (d->keys.chan && chan_put_fds(d->keys.chan, K_FRONT, 0, &c->keys_fd, 1, .number = c->index))
		super_kill(&d->keys);
	return chan_put_fds(d->core.chan, P_FRONT, 0, fds, 2, .number = c->index, .pid = (uint32_t)c->pid);
}

static int spawn_front(struct svidd *d, unsigned int number)
{
	AUTO(front_fds) struct front_fds f = { { -1, -1 }, { -1, -1 }, { -1, -1 } };
	struct child *c = free_front(d);
	pid_t pid;
	int err = c ? make_front_fds(&f) : -ERR_LIMIT;

	if (!err)
		err = launch_front(d, number, &f, &pid);
	if (err)
		return err;
	*c = (struct child){ .d = d, .role = ROLE_FRONT, .index = number, .life = d->core_life, .keys_fd = f.keys[0] };
	f.keys[0] = -1;
	err = super_watch(c, pid);
	if (err)
		close(c->keys_fd);
	else if (announce_front(c, &f))
		super_kill(&d->core); /* one that does not know its fronts is of no use */
	return err;
}

static int on_spawn_front(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_SPAWN_FRONT ask;
	int err = msg_get_C_SPAWN_FRONT(m->body, &ask);

	if (err)
		return err;
	if (front_by_number(d, ask.number))
		return -ERR_EXISTS;
	err = d->phase > PHASE_DRAIN ? -ERR_DRAIN : spawn_front(d, ask.number);
	if (!err)
		return 0;
	log_warn(EV_FRONT, KV("number", V_U(ask.number)), KV("err", V_S(err_name(err))));
	report(d, ROLE_FRONT, ask.number, NOT_STARTED);
	return 0;
}

/* Who may be killed on request. A front that is gone already was faster, which is no fault. */
static int on_kill(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_KILL ask;
	struct child *victim = NULL;
	int err = msg_get_C_KILL(m->body, &ask);

	if (err)
		return err;
	if (ask.role == ROLE_FRONT)
		victim = front_by_number(d, ask.index);
	else if (ask.role == ROLE_ATTEST && ask.index < LIM_ATTEST_WORKERS)
		victim = &d->attest[ask.index];
	else if (ask.role == ROLE_KEYS && ask.index == 0)
		victim = &d->keys;
	else if (ask.role == ROLE_POLICY && ask.index == 0)
		victim = &d->policy;
	else if (ask.role == ROLE_CLOUD && ask.index == 0)
		victim = &d->cloud;
	else if (ask.role == ROLE_UNDERTAKER && ask.index < LIM_UNDERTAKERS)
		victim = &d->undertakers[ask.index];
	else
		return -ERR_FORMAT;
	if (victim)
		super_kill(victim);
	return 0;
}

static int launch_compiler(struct svidd *d, int pair_end, pid_t *ret_pid)
{
	int fds[] = { pair_end, -1, -1 };
	struct launch l = { .role = ROLE_POLICY, .fds = fds, .n_fds = ARRAY_SIZE(fds), .log_fd = STDERR_FILENO };
	int err = boot_policy_fds(&d->o, &fds[1], &fds[2]);

	if (err)
		return err;
	err = super_launch(d, &l, ret_pid);
	close(fds[1]);
	close(fds[2]);
	return err;
}

static int start_compiler(struct svidd *d)
{
	int pair[2];
	pid_t pid;
	int err = links_pair(pair);

	if (err)
		return err;
	err = launch_compiler(d, pair[1], &pid);
	if (!err)
		err = super_watch(&d->policy, pid);
	if (!err)
		err = loop_timer_in(d->loop, &d->policy_deadline, LIM_COMPILE_MS * NS_PER_MS);
	if (!err)
		err = chan_put_fds(d->core.chan, P_PEER, 0, &pair[0], 1, .role = ROLE_POLICY, .pid = (uint32_t)pid);
	close(pair[0]);
	close(pair[1]);
	return err;
}

void requests_compile(struct svidd *d)
{
	int err;

	d->compile_again = d->policy.pid != 0;
	if (d->compile_again || !d->core.chan || d->phase != PHASE_RUN)
		return;
	err = start_compiler(d);
	if (!err)
		return;
	log_error(EV_POLICY, KV("what", V_S("compiler not started")), KV("err", V_S(err_name(err))));
	if (!d->policy.pid)
		report(d, ROLE_POLICY, 0, NOT_STARTED);
}

static int on_compile(struct chan *c, struct chan_msg *m)
{
	struct msg_C_COMPILE ask;
	int err = msg_get_C_COMPILE(m->body, &ask);

	if (!err)
		requests_compile(chan_owner(c));
	return err;
}

static int on_alive(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_ALIVE alive;
	int err = msg_get_C_ALIVE(m->body, &alive);

	return err ? err : loop_timer_in(d->loop, &d->core_silent, LIM_CORE_SILENT_MS * NS_PER_MS);
}

static int on_cloud(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_CLOUD ask;
	int err = msg_get_C_CLOUD(m->body, &ask);

	if (!err && d->phase == PHASE_RUN)
		super_want_cloud(d);
	return err;
}

static int on_drained(struct chan *c, struct chan_msg *m)
{
	struct svidd *d = chan_owner(c);
	struct msg_C_DRAINED done;
	int err = msg_get_C_DRAINED(m->body, &done);

	if (err || d->phase < PHASE_DRAIN)
		return err ? err : -ERR_PERMIT;
	super_drained(d);
	return 0;
}

static void on_dead(struct chan *c, int err)
{
	struct svidd *d = chan_owner(c);

	if (d->phase == PHASE_RUN && err != -ERR_CLOSED)
		log_error(EV_IPC, KV("peer", V_S("svid-core")), KV("err", V_S(err_name(err))));
	d->core.chan = NULL;
	chan_free(c);
	super_kill(&d->core);
}

static const struct chan_rule rules[] = {
	{ MSG_C_READY, 1, on_ready },	  { MSG_C_SPAWN_FRONT, 1, on_spawn_front },
	{ MSG_C_KILL, 1, on_kill },	  { MSG_C_COMPILE, 1, on_compile },
	{ MSG_C_DRAINED, 1, on_drained }, { MSG_C_ALIVE, 1, on_alive },
	{ MSG_C_CLOUD, 1, on_cloud },
};

const struct chan_ops core_ops = {
	.peer = "svid-core", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead,
};
