// SPDX-License-Identifier: Apache-2.0
/* conn.c - socket I/O of one client connection. svid-front. */
#include "workloadapi/conn.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/ipc/plan.h"
#include "workloadapi/encode.h"

#define READ_BYTES (32u << 10)
#define READS 4	    /* per wake-up: one busy client must not hold the loop */
#define PIECES 32   /* of one send */
#define SLACK_NS NS_PER_MS

/* One thread, one read at a time: the bytes are taken in before the next read. */
static uint8_t read_buffer[READ_BYTES];

void conn_drop(struct conn *c, int err)
{
	/* svid-core holds a duplicate of the descriptor: only shutdown ends a connection that the client did not. */
	if (err)
		(void)shutdown(c->watch.fd, SHUT_RDWR);
	loop_del(&c->watch);
	loop_timer_stop(&c->timer);
	close(c->watch.fd);
	c->env->closed(c->env, c, err);
	grpc_done(&c->g);
	mem_free(c);
}

/* Both words still hold what they held when svid-core attested the caller. */
static bool is_valid(const struct conn *c)
{
	const uint32_t *w = c->env->words;

	return __atomic_load_n(&w[c->conn_slot], __ATOMIC_ACQUIRE) == c->conn_value &&
	       __atomic_load_n(&w[c->holder_slot], __ATOMIC_ACQUIRE) == c->holder_value;
}

/* Room for exactly one ucred: no descriptor can be installed in us, and a flood of them shows (K2). */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct ucred))];
};

static bool is_from(const struct conn *c, struct msghdr *mh)
{
	struct cmsghdr *cm = CMSG_FIRSTHDR(mh);
	struct ucred cred;

	if (mh->msg_flags & MSG_CTRUNC || !cm || cm->cmsg_level != SOL_SOCKET ||
	    cm->cmsg_type != SCM_CREDENTIALS || cm->cmsg_len != CMSG_LEN(sizeof(cred)))
		return false;
	memcpy(&cred, CMSG_DATA(cm), sizeof(cred));
	return cred.pid > 0 && (uint32_t)cred.pid == c->pid;
}

/* What is there, proven to be the caller's: bytes in read_buffer, 0 for not now, negative: the connection is over. */
static ssize_t take_in(struct conn *c, size_t len, int flags)
{
	union control control;
	struct iovec iov = { .iov_base = read_buffer, .iov_len = len };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(c->watch.fd, &mh, flags | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	return is_from(c, &mh) ? n : -ERR_PERMIT;
}

/*
 * One read into the engine. 1: there may be more; 0: not now; negative: the connection is over. Whoever takes a message
 * with descriptors closes them, for as long as the sender likes (A21): look first, then take no more than was seen.
 */
static int read_some(struct conn *c)
{
	ssize_t n = c->looks_first ? take_in(c, sizeof(read_buffer), MSG_PEEK) : (ssize_t)sizeof(read_buffer);

	if (n > 0)
		n = take_in(c, (size_t)n, 0);
	if (n <= 0)
		return (int)n;
	if (h2_in(&c->g.h2, slice_of(read_buffer, (size_t)n)))
		return 0; /* flush() says goodbye, then run() closes */
	return (size_t)n == sizeof(read_buffer);
}

/* 0: everything is on its way or must wait. The words are compared before every single write. */
static int flush(struct conn *c)
{
	struct iovec iov[PIECES];
	struct msghdr mh = { .msg_iov = iov };
	ssize_t n;

	for (;;) {
		int err = c->g.h2.err ? 0 : h2_pump(&c->g.h2);

		/* A queue that failed may hold a frame head without its payload: send nothing of it. */
		if (err == -ENOMEM || out_ok(&c->g.h2.out))
			return err ? err : -ENOMEM;
		mh.msg_iovlen = out_iov(&c->g.h2.out, iov, PIECES);
		if (!mh.msg_iovlen)
			return 0;
		if (!is_valid(c))
			return -ERR_CHANGED;
		n = sendmsg(c->watch.fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		c->progress = c->env->api->now;
		out_sent(&c->g.h2.out, (size_t)n);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t conn_due(const struct conn *c)
{
	uint64_t due = grpc_due(&c->g);

	if (c->end_due)
		return c->end_due;
	if (!c->g.requests)
		due = earlier(due, c->opened + LIM_FIRST_REQUEST_MS * NS_PER_MS);
	if (!out_empty(&c->g.h2.out) || grpc_stuck(&c->g))
		due = earlier(due, c->progress + LIM_STALL_MS * NS_PER_MS);
	return due;
}

/* Watch and timer follow the state. While the socket takes no more, nothing more is read either. */
static int rearm(struct conn *c)
{
	bool blocked = !out_empty(&c->g.h2.out);
	uint64_t due = conn_due(c), now = c->env->api->now;
	uint32_t events = blocked ? EPOLLOUT : EPOLLIN;
	int err = 0;

	if (!c->watch.slot) /* only after the first answer, which is what the client waits for */
		err = loop_add(c->env->loop, &c->watch, events);
	else if (blocked != c->blocked)
		err = loop_mod(&c->watch, events);
	if (err)
		return err;
	c->blocked = blocked;
	if (due == UINT64_MAX)
		loop_timer_stop(&c->timer);
	else if (!loop_timer_armed(&c->timer) || c->timer.due < due || c->timer.due - due > SLACK_NS)
		return loop_timer_in(c->env->loop, &c->timer, due > now ? due - now : 0);
	return 0;
}

/* What client and kernel say about the end; the first that is not 0 counts. */
static int why_over(const struct conn *c)
{
	if (c->g.h2.err)
		return c->g.h2.err;
	if (c->end_due && out_empty(&c->g.h2.out) && !c->g.h2.n_streams)
		return c->end_err;
	return 0;
}

static void step(struct conn *c, int err)
{
	if (!err)
		err = flush(c);
	if (!err && c->g.whoami_wanted && !c->asked) {
		c->asked = true;
		c->env->ask(c->env, c);
	}
	if (!err)
		err = why_over(c);
	if (!err)
		err = rearm(c);
	if (err)
		conn_drop(c, err == -ERR_CLOSED || err == -ECONNRESET || err == -EPIPE ? 0 : err);
}

void conn_run(struct conn *c)
{
	int more = 1;

	c->env->api->now = clock_boot_ns();
	for (int i = 0; i < READS && more > 0; i++)
		more = read_some(c);
	step(c, more < 0 ? more : 0);
}

void conn_poke(struct conn *c)
{
	c->env->api->now = clock_boot_ns();
	step(c, 0);
}

void conn_whoami(struct conn *c, struct slice json)
{
	struct message *m = NULL;
	int err = encode_whoami(json, &m);

	c->env->api->now = clock_boot_ns();
	if (!err)
		grpc_set_whoami(&c->g, m);
	step(c, err);
}

void conn_end(struct conn *c, int err)
{
	if (c->end_due)
		return;
	c->env->api->now = clock_boot_ns();
	c->end_due = c->env->api->now + LIM_END_MS * NS_PER_MS;
	c->end_err = err;
	grpc_end(&c->g, err);
	step(c, 0);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct conn *c = container_of(w, struct conn, watch);

	if (events & EPOLLIN || (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLOUT)))
		conn_run(c);
	else
		conn_poke(c);
}

static void on_timer(struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, timer);
	uint64_t now = clock_boot_ns();

	c->env->api->now = now;
	if (c->end_due && c->end_due <= now) {
		conn_drop(c, c->end_err);
		return;
	}
	grpc_expire(&c->g);
	if (!c->end_due && !c->g.requests && c->opened + LIM_FIRST_REQUEST_MS * NS_PER_MS <= now)
		conn_end(c, -ERR_DEADLINE);
	else if (grpc_stuck(&c->g) || !out_empty(&c->g.h2.out))
		step(c, c->progress + LIM_STALL_MS * NS_PER_MS <= now ? -ERR_LIMIT : 0);
	else
		step(c, 0);
}

/*
 * Whether messages with descriptors can be in this socket (before Linux 6.16, or where svidd could not refuse them).
 * Urgent bytes are then taken in line: a plain read would drop them, and with them their descriptors, unseen.
 */
static bool may_carry(int fd)
{
	int on = 1;
	socklen_t len = sizeof(on);

	if (getsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &on, &len) == 0 && !on)
		return false;
	on = 1;
	(void)setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on));
	return true;
}

static void fill(struct conn *c, const struct msg_F_CONN *m)
{
	c->number = m->conn;
	c->pid = m->pid;
	c->conn_slot = m->conn_slot;
	c->conn_value = m->conn_value;
	c->holder_slot = m->holder_slot;
	c->holder_value = m->holder_value;
	c->timer.cb = on_timer;
	c->opened = c->progress = clock_boot_ns();
	list_init(&c->node);
}

int conn_new(struct conn_env *env, int fd, const struct msg_F_CONN *m, struct conn **ret_c)
{
	struct conn *c = mem_new(struct conn);

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->env = env;
	c->watch = (struct loop_watch){ .fd = fd, .cb = on_ready };
	c->looks_first = may_carry(fd);
	fill(c, m);
	grpc_init(&c->g, env->api);
	c->g.refused = m->err;
	*ret_c = c;
	return 0;
}
