// SPDX-License-Identifier: Apache-2.0
/* server.c - the Workload API's listener: accept, count, nothing else before the bounds agree (K23). svid-core. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

#define PAUSE_NS (100 * NS_PER_MS)

static void on_turned_away(struct grave *g)
{
	mem_free(g);
}

static void turn_away(struct core *c, int fd)
{
	struct grave *g = mem_new(struct grave);

	c->refused++;
	if (!g) {
		close(fd);
		return;
	}
	*g = (struct grave){ .fd = fd, .over = on_turned_away };
	bury(&c->bury, g);
}

/* Over a bound the socket is closed at once: no answer is cheaper than any answer. */
static void take_one(struct core *c, int fd)
{
	struct ucred uc = { 0 };
	socklen_t len = sizeof(uc);
	struct conn *conn;
	int err = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) < 0 ? -errno : 0;

	c->accepted++;
	if (!err)
		err = conn_new(c, fd, uc.pid, uc.uid, &conn);
	if (!err) {
		conn_start(conn);
		return;
	}
	provider_leave(c->provider, fd);
	turn_away(c, fd);
	log_warn(EV_LIMIT, KV("what", V_S("connections")), KV("uid", V_U(uc.uid)), KV("err", V_S(err_name(err))));
}

static void on_resume(struct loop_timer *t)
{
	struct core *c = container_of(t, struct core, accept_retry);

	if (loop_add(c->loop, &c->accept, EPOLLIN))
		log_fatal("listener", -ENOMEM);
}

/* Out of descriptors or memory: accepting again at once would only spin. */
static void pause_accepting(struct core *c, int err)
{
	log_error(EV_LIMIT, KV("what", V_S("accept")), KV("err", V_S(err_name(err))));
	loop_del(&c->accept);
	if (loop_timer_in(c->loop, &c->accept_retry, PAUSE_NS))
		log_fatal("listener", -ENOMEM);
}

static void on_accept(struct loop_watch *w, uint32_t events)
{
	struct core *c = container_of(w, struct core, accept);

	(void)events;
	for (int i = 0; i < LIM_ACCEPT_BATCH; i++) {
		int fd;

		if (bury_is_full(&c->bury)) {
			pause_accepting(c, -ERR_LIMIT);
			return;
		}
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take_one(c, fd);
			continue;
		}
		if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
			pause_accepting(c, -errno);
		return;
	}
}

int server_start(struct core *c)
{
	c->accept = (struct loop_watch){ .fd = c->plan.listen_public, .cb = on_accept };
	c->accept_retry.cb = on_resume;
	return loop_add(c->loop, &c->accept, EPOLLIN);
}
