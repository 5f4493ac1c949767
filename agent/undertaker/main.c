// SPDX-License-Identifier: Apache-2.0
/*
 * main.c - svid-undertaker: closes connections for svid-core, because the last close() of a socket also closes what its
 * client queued in it, and may last as long as that client likes (A21). It can do nothing else, holds one connection at
 * a time and is killed when it hangs. Descriptor 3 leads to svid-core.
 */
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/plan.h"
#include "agent/sandbox/sandbox.h"

#define ALARM_US 200 /* what one client's lingering socket may cost the next one */

static const struct sandbox_call calls[] = {
	SANDBOX_BASE,
	CALL_IF("setitimer", 0, SB_INT, ITIMER_REAL),
};

static const struct sandbox_plan plan = { .calls = calls, .n_calls = ARRAY_SIZE(calls) };

static void on_alarm(int number)
{
	(void)number;
}

/* Several, because one that comes just before the wait would end nothing. */
static void alarms(int us)
{
	const struct itimerval each = { .it_interval.tv_usec = us, .it_value.tv_usec = us };

	setitimer(ITIMER_REAL, &each, NULL);
}

struct held {
	int fds[LIM_BURY_AT_ONCE];
	unsigned int n;
};

/* A lingering close waits for its peer only until a signal is there, and so does everything else that is well behaved. */
static int close_all(struct held *h)
{
	alarms(ALARM_US);
	while (h->n)
		close(h->fds[--h->n]);
	alarms(0);
	return ipc_put(FD_CHANNEL, U_CLOSED, 0);
}

static int handle(struct chan_msg *m, struct held *h)
{
	if (m->body.len)
		return -ERR_TRAILING;
	if (m->type == MSG_U_CLOSE && h->n)
		return close_all(h);
	if (m->type != MSG_U_TAKE || h->n == ARRAY_SIZE(h->fds))
		return -ERR_PERMIT;
	h->fds[h->n++] = m->fds[0];
	m->fds[0] = -1;
	return 0;
}

static int serve(void)
{
	struct buf scratch = BUF_INIT(LIM_IPC_INLINE + 64);
	struct held held = { .n = 0 };
	struct chan_msg m;
	int err = 0;

	while (!err) {
		err = ipc_recv(FD_CHANNEL, &scratch, &m);
		if (err)
			break;
		err = handle(&m, &held);
		ipc_msg_done(&m);
	}
	buf_done(&scratch);
	return err;
}

int main(int argc, char **argv)
{
	const struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	int err;

	(void)role_start(argc, argv, "svid-undertaker", 1);
	err = sigaction(SIGALRM, &sa, NULL) < 0 ? -errno : sandbox_enter(&plan);
	if (!err)
		err = serve();
	/* What is held goes with us: a process that ends waits for no peer. */
	if (err != -ERR_CLOSED)
		log_fatal("undertaker", err);
	_exit(role_end(0));
}
