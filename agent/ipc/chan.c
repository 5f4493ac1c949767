// SPDX-License-Identifier: Apache-2.0
/*
 * chan.c - a channel in a loop: permit table in, bounded queue out. Any role with a loop.
 * The bytes of a message are in wire.c.
 */
#include "agent/ipc/chan.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"

#define BATCH 64 /* messages per wake-up: one busy sibling must not hold the loop */

struct queued {
	struct list node;
	uint16_t type;
	uint32_t id;
	int fds[LIM_IPC_FDS];
	unsigned int n_fds;
	size_t len;
	uint8_t body[];
};

struct chan {
	struct loop *loop;
	struct loop_watch watch;
	struct loop_timer condemn; /* delivers dead() from the loop, never from inside chan_send() */
	const struct chan_ops *ops;
	void *owner;
	struct list queue;
	size_t queued_bytes;
	size_t queued_fds;
	uint64_t taken; /* queued messages that left */
	struct buf scratch;
	unsigned int state;
	int err;   /* why it is condemned */
	bool secret; /* what was queued is wiped; scratch knows it too */
	bool paused; /* what came behind this message waits for the loop's next turn */
	bool busy; /* inside a handler: chan_free() is put off */
	bool freed;
};

void *chan_owner(struct chan *c)
{
	return c->owner;
}

void chan_set_state(struct chan *c, unsigned int state)
{
	c->state = state;
}

void chan_keep_secret(struct chan *c)
{
	c->secret = true;
	c->scratch.secret = true;
}

bool chan_idle(const struct chan *c)
{
	return list_empty(&c->queue);
}

uint64_t chan_taken(const struct chan *c)
{
	return c->taken;
}

/* What it takes: of small ones most is not their body. */
static size_t cost_of(size_t len)
{
	return sizeof(struct queued) + len;
}

void chan_pause(struct chan *c)
{
	c->paused = true;
}

static void queued_free(struct chan *c, struct queued *q)
{
	list_del(&q->node);
	if (c->secret)
		mem_wipe(q->body, q->len);
	for (unsigned int i = 0; i < q->n_fds; i++)
		close(q->fds[i]);
	mem_free(q);
}

static void drop_queue(struct chan *c)
{
	struct queued *q, *tmp;

	list_for_each_safe(q, tmp, &c->queue, node)
		queued_free(c, q);
}

static void release(struct chan *c)
{
	loop_del(&c->watch);
	loop_timer_stop(&c->condemn);
	drop_queue(c);
	if (c->watch.fd >= 0)
		close(c->watch.fd);
	buf_done(&c->scratch);
	mem_free(c);
}

void chan_free(struct chan *c)
{
	if (!c)
		return;
	if (!c->busy) {
		release(c);
		return;
	}
	/* Descriptors that wait are duplicates: whoever frees a channel must be able to know that they are gone. */
	drop_queue(c);
	c->freed = true;
}

/* Close now, tell the owner. The owner may free the channel inside dead(). */
static void die(struct chan *c, int err)
{
	loop_del(&c->watch);
	loop_timer_stop(&c->condemn);
	if (c->watch.fd >= 0)
		close(c->watch.fd);
	c->watch.fd = -1;
	c->err = err;
	c->ops->dead(c, err);
}

static void on_condemn(struct loop_timer *t)
{
	struct chan *c = container_of(t, struct chan, condemn);

	c->busy = true;
	die(c, c->err);
	c->busy = false;
	if (c->freed)
		release(c);
}

static int condemn(struct chan *c, int err)
{
	c->err = err;
	/* No memory for the timer: the end of the stream brings the loop here as well. */
	if (loop_timer_in(c->loop, &c->condemn, 0))
		(void)shutdown(c->watch.fd, SHUT_RDWR);
	return err;
}

static const struct chan_rule *rule_of(const struct chan *c, uint16_t type)
{
	for (size_t i = 0; i < c->ops->n_rules; i++)
		if (c->ops->rules[i].type == type && c->ops->rules[i].states & 1u << c->state)
			return &c->ops->rules[i];
	return NULL;
}

static int receive_one(struct chan *c)
{
	const struct chan_rule *rule;
	struct chan_msg m;
	int err = ipc_recv(c->watch.fd, &c->scratch, &m);

	if (err)
		return err;
	rule = rule_of(c, m.type);
	err = rule ? rule->handle(c, &m) : -ERR_PERMIT;
	if (err && !c->freed)
		log_error(EV_IPC, KV("peer", V_S(c->ops->peer)), KV("message", V_S(msg_name(m.type))),
			  KV("err", V_S(err_name(err))));
	ipc_msg_done(&m);
	if (c->secret)
		buf_reset(&c->scratch);
	return err == -EAGAIN ? -ERR_FORMAT : err;
}

static int flush(struct chan *c)
{
	while (!list_empty(&c->queue)) {
		struct queued *q = list_entry(c->queue.next, struct queued, node);
		int err = ipc_send(c->watch.fd, q->type, q->id, slice_of(q->body, q->len), q->fds, q->n_fds);

		if (err == -EAGAIN)
			return 0;
		if (err)
			return err;
		c->queued_bytes -= cost_of(q->len);
		c->queued_fds -= q->n_fds;
		c->taken++;
		queued_free(c, q);
	}
	return loop_mod(&c->watch, EPOLLIN);
}

static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct chan *c = container_of(w, struct chan, watch);
	int err = 0;

	c->busy = true;
	c->paused = false;
	if (events & EPOLLOUT)
		err = flush(c);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		for (int i = 0; i < BATCH && !err && !c->paused && !c->freed && c->watch.fd >= 0; i++)
			err = receive_one(c);
	if (err && err != -EAGAIN && !c->freed)
		die(c, err);
	c->busy = false;
	if (c->freed)
		release(c);
}

int chan_new(struct loop *loop, int fd, const struct chan_ops *ops, void *owner, struct chan **ret_chan)
{
	struct chan *c = mem_new(struct chan);
	int err;

	if (!c) {
		close(fd);
		return -ENOMEM;
	}
	c->loop = loop;
	c->ops = ops;
	c->owner = owner;
	c->scratch = (struct buf)BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64);
	c->condemn.cb = on_condemn;
	list_init(&c->queue);
	c->watch = (struct loop_watch){ .fd = fd, .cb = on_ready };
	err = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : loop_add(loop, &c->watch, EPOLLIN);
	if (err) {
		release(c);
		return err;
	}
	*ret_chan = c;
	return 0;
}

static int enqueue(struct chan *c, uint16_t type, uint32_t id, struct slice body, const int *fds,
		   unsigned int n_fds)
{
	struct queued *q;

	if (c->queued_bytes + cost_of(body.len) > LIM_IPC_QUEUE || n_fds > LIM_IPC_QUEUE_FDS - c->queued_fds)
		return condemn(c, -ERR_SIZE);
	q = mem_calloc(1, sizeof(*q) + body.len);
	if (!q)
		return -ENOMEM;
	list_init(&q->node);
	q->type = type;
	q->id = id;
	q->len = body.len;
	if (body.len)
		memcpy(q->body, body.p, body.len);
	for (; q->n_fds < n_fds; q->n_fds++) {
		q->fds[q->n_fds] = fcntl(fds[q->n_fds], F_DUPFD_CLOEXEC, 3);
		if (q->fds[q->n_fds] < 0) {
			int err = -errno;

			queued_free(c, q);
			return err;
		}
	}
	list_add_tail(&c->queue, &q->node);
	c->queued_bytes += cost_of(q->len);
	c->queued_fds += n_fds;
	return loop_mod(&c->watch, EPOLLIN | EPOLLOUT);
}

int chan_send(struct chan *c, uint16_t type, uint32_t id, struct slice body, const int *fds,
	      unsigned int n_fds)
{
	int err = -EAGAIN;

	if (c->watch.fd < 0 || c->err || c->freed)
		return -ERR_CLOSED;
	if (body.len > LIM_IPC_BODY)
		return -ERR_SIZE;
	if (list_empty(&c->queue))
		err = ipc_send(c->watch.fd, type, id, body, fds, n_fds);
	if (err == -EAGAIN)
		return enqueue(c, type, id, body, fds, n_fds);
	if (err == -ERR_CLOSED)
		return condemn(c, err);
	return err;
}
