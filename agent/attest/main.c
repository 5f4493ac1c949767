// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid-attest: wait, do one thing, answer. svidd is on descriptor 3 and hands over the pair
 * with svid-core. A message that does not fit ends the worker; svidd starts another.
 * The first LIM_ATTEST_LOOKERS workers look, the others hash: each kind has the capability and the calls of its own.
 */
#include "agent/attest/attest.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <unistd.h>

#include "agent/ipc/plan.h"

struct worker {
	bool hashes;
	int core; /* -1 until A_CORE, and after svid-core's end */
	struct canary canary;
	struct buf scratch;
};

static int set_core(struct worker *w, int fd)
{
	canary_end(&w->canary);
	if (w->core >= 0)
		close(w->core);
	w->core = fd;
	return 0;
}

static void names_init(struct names_answer *n)
{
	*n = (struct names_answer){
		.user = BUF_INIT(256),
		.group = BUF_INIT(256),
		.groups = BUF_INIT(32768),
	};
}

static void names_answer_autoclean(struct names_answer *n)
{
	buf_done(&n->user);
	buf_done(&n->group);
	buf_done(&n->groups);
}

static int on_identify(struct worker *w, struct chan_msg *m)
{
	static struct exe_answer exe;
	AUTO(names_answer) struct names_answer names = { .err = 0 };
	AUTO(buf) struct buf argv = BUF_INIT(4096);
	struct msg_A_IDENTIFY ask;
	uint32_t around = 0;
	int around_err = 0;
	int err = msg_get_A_IDENTIFY(m->body, &ask);

	if (err)
		return err;
	if (ask.pid == 0 || ask.pid > INT32_MAX || ask.groups.len % 4)
		return -ERR_FORMAT;
	names_init(&names);
	exe_identify(&ask, &exe);
	names_lookup(&ask, &names);
	if (ask.start == 0 && !exe.err)
		exe.err = exe_argv(ask.pid, &argv);
	if (ask.around)
		around_err = around_look(ask.pid, ask.start, &around);
	return ipc_put(w->core, A_IDENTITY, m->id, .path_err = exe.err, .path = slice_str(exe.path), .dev = exe.dev,
		       .ino = exe.ino, .names_err = names.err, .user = buf_slice(&names.user),
		       .group = buf_slice(&names.group), .groups = buf_slice(&names.groups),
		       .argv = buf_slice(&argv), .around_err = around_err, .around = around);
}

static int on_open(struct worker *w, struct chan_msg *m)
{
	AUTO(fd) int fd = -1;
	struct msg_A_OPEN ask;
	int err = msg_get_A_OPEN(m->body, &ask);

	if (err)
		return err;
	if (ask.pid == 0 || ask.pid > INT32_MAX)
		return -ERR_FORMAT;
	err = exe_open(&ask, &fd);
	if (err)
		return ipc_put(w->core, A_NOT_OPENED, m->id, .err = err);
	return ipc_put_fds(w->core, A_OPENED, m->id, &fd, 1);
}

static int on_digest(struct worker *w, struct chan_msg *m)
{
	struct digest_answer answer;
	struct msg_A_DIGEST ask;
	int err = msg_get_A_DIGEST(m->body, &ask);

	if (err)
		return err;
	digest_make(&ask, m->fds[0], &answer);
	return ipc_put(w->core, A_DIGESTED, m->id, .err = answer.err, .settled = answer.settled,
		       .sha256 = slice_of(answer.sha256, answer.len));
}

static int on_canary(struct worker *w, struct chan_msg *m)
{
	const int not_for_child[] = { FD_CHANNEL, w->core };
	struct msg_A_CANARY ask;
	int err = msg_get_A_CANARY(m->body, &ask);

	if (err)
		return err;
	if (w->canary.pid)
		return -ERR_PERMIT;
	err = canary_start(&w->canary, ask.public_path, not_for_child, ARRAY_SIZE(not_for_child));
	return ipc_put(w->core, A_CANARY_UP, m->id, .err = err, .pid = (uint32_t)w->canary.pid);
}

static int on_probe(struct worker *w, struct chan_msg *m)
{
	struct msg_A_CANARY_PROBE ask;
	int read_err;
	int err = msg_get_A_CANARY_PROBE(m->body, &ask);

	if (err)
		return err;
	if (!w->canary.pid)
		return -ERR_PERMIT;
	read_err = canary_probe(&w->canary);
	canary_end(&w->canary);
	return ipc_put(w->core, A_CANARY_DONE, m->id, .read_err = read_err);
}

static int from_core(struct worker *w, struct chan_msg *m)
{
	if (w->hashes)
		return m->type == MSG_A_DIGEST ? on_digest(w, m) : -ERR_PERMIT;
	/* While a canary sings nothing else is permitted: it would hold the child's exit up. */
	switch (m->type) {
	case MSG_A_IDENTIFY:
		return w->canary.pid ? -ERR_PERMIT : on_identify(w, m);
	case MSG_A_OPEN:
		return w->canary.pid ? -ERR_PERMIT : on_open(w, m);
	case MSG_A_CANARY:
		return on_canary(w, m);
	case MSG_A_CANARY_PROBE:
		return on_probe(w, m);
	default:
		return -ERR_PERMIT;
	}
}

static int from_svidd(struct worker *w, struct chan_msg *m)
{
	struct msg_A_CORE ask;
	int err = m->type == MSG_A_CORE ? msg_get_A_CORE(m->body, &ask) : -ERR_PERMIT;

	if (err)
		return err;
	err = set_core(w, m->fds[0]);
	m->fds[0] = -1;
	return err;
}

static int receive(struct worker *w, int fd, int (*handle)(struct worker *w, struct chan_msg *m))
{
	struct chan_msg m;
	int err = ipc_recv(fd, &w->scratch, &m);

	if (err)
		return err;
	err = handle(w, &m);
	if (err && err != -ERR_CLOSED)
		log_error(EV_IPC, KV("message", V_S(msg_name(m.type))), KV("err", V_S(err_name(err))));
	ipc_msg_done(&m);
	return err;
}

static int serve_once(struct worker *w)
{
	struct pollfd p[2] = { { .fd = FD_CHANNEL, .events = POLLIN }, { .fd = w->core, .events = POLLIN } };
	int err;

	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	if (p[0].revents)
		return receive(w, FD_CHANNEL, from_svidd);
	if (!p[1].revents)
		return 0;
	err = receive(w, w->core, from_core);
	/* svid-core ended: the next one comes by A_CORE. */
	return err == -ERR_CLOSED ? set_core(w, -1) : err;
}

static int lock_in_looker(void)
{
	int err = keep_capability(CAP_SYS_PTRACE); /* before NSS modules run */

	if (err)
		return err;
	names_warm_up();
	return sandbox_enter(&looker_plan);
}

static int lock_in_hasher(void)
{
	int err = digest_warm_up();

	if (!err)
		err = leave_file_system();
	if (!err)
		err = keep_capability(CAP_DAC_READ_SEARCH);
	return err ? err : sandbox_enter(&hasher_plan);
}

int main(int argc, char **argv)
{
	struct worker w = { .core = -1, .canary = { -1, -1, 0 }, .scratch = BUF_INIT(LIM_IPC_BODY) };
	int err;

	w.hashes = role_start(argc, argv, "svid-attest", 1).index >= LIM_ATTEST_LOOKERS;
	err = w.hashes ? lock_in_hasher() : lock_in_looker();
	if (err)
		log_fatal("sandbox", err);
	err = ipc_put(FD_CHANNEL, A_READY, 0);
	while (!err)
		err = serve_once(&w);
	if (err != -ERR_CLOSED)
		log_fatal("worker", err);
	canary_end(&w.canary);
	buf_done(&w.scratch);
	return role_end(0); /* svidd is gone */
}
