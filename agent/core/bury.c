// SPDX-License-Identifier: Apache-2.0
/* bury.c - who closes what: in place, or a few at a time through the undertakers. svid-core. */
#include "agent/core/bury.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/ipc/plan.h"

enum {
	U_IDLE,
	U_BUSY,
};

static void go_on(struct bury *b);

static void on_late(struct loop_timer *t)
{
	struct undertaker *u = container_of(t, struct undertaker, late);

	/* Its channel tells when it has really ended; until then what it holds is not closed. */
	if (u->killed)
		return;
	u->killed = true;
	u->bury->killed++;
	u->bury->kill(u->bury->owner, u->index);
}

/* Since Linux 6.16, where svidd has switched it off on the listener; connections inherit that. */
static bool refuses_rights(int listener)
{
	int on = 1;
	socklen_t len = sizeof(on);

	return getsockopt(listener, SOL_SOCKET, SO_PASSRIGHTS, &on, &len) == 0 && !on;
}

void bury_init(struct bury *b, struct loop *loop, int listener, void (*kill)(void *owner, uint32_t index), void *owner)
{
	*b = (struct bury){ .loop = loop, .kill = kill, .owner = owner, .in_place = refuses_rights(listener) };
	list_init(&b->waiting);
	for (uint32_t i = 0; i < LIM_UNDERTAKERS; i++) {
		b->undertakers[i] = (struct undertaker){ .bury = b, .index = i, .late.cb = on_late };
		list_init(&b->undertakers[i].now);
	}
}

static void finished(struct undertaker *u)
{
	struct grave *g, *tmp;

	loop_timer_stop(&u->late);
	list_for_each_safe(g, tmp, &u->now, node) {
		list_del(&g->node);
		g->over(g);
	}
}

static int on_closed(struct chan *c, struct chan_msg *m)
{
	struct undertaker *u = chan_owner(c);

	if (m->body.len)
		return -ERR_TRAILING;
	chan_set_state(c, U_IDLE);
	finished(u);
	go_on(u->bury);
	return 0;
}

/* A process that ends closes what it held, and does not linger. */
static void gone(struct undertaker *u)
{
	chan_free(u->chan);
	u->chan = NULL;
	finished(u);
}

static void on_dead(struct chan *c, int err)
{
	struct undertaker *u = chan_owner(c);

	if (err != -ERR_CLOSED)
		on_late(&u->late);
	gone(u);
	go_on(u->bury);
}

static const struct chan_rule rules[] = { { MSG_U_CLOSED, 1u << U_BUSY, on_closed } };

static const struct chan_ops ops = {
	.peer = "svid-undertaker",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int bury_peer(struct bury *b, uint32_t index, int fd)
{
	struct undertaker *u = index < LIM_UNDERTAKERS ? &b->undertakers[index] : NULL;
	int err;

	if (!u) {
		close(fd);
		return -ERR_FORMAT;
	}
	gone(u); /* svidd may be faster than the end of the former one's channel */
	err = chan_new(b->loop, fd, &ops, u, &u->chan);
	if (err)
		return err;
	u->killed = false;
	go_on(b);
	return 0;
}

/*
 * Ours are closed while the undertaker's cannot be: it holds the connections and waits for U_CLOSE. Never more at a time
 * than the socket takes, so that no message waits in the channel, where it would be a duplicate of ours again.
 */
static int hand_over(struct undertaker *u)
{
	struct bury *b = u->bury;
	int err = 0;

	for (size_t n = 0; n < LIM_BURY_AT_ONCE && !list_empty(&b->waiting); n++) {
		struct grave *g = list_entry(b->waiting.next, struct grave, node);

		err = chan_put_fds(u->chan, U_TAKE, 0, &g->fd, 1);
		if (err)
			break;
		close(g->fd);
		g->fd = -1;
		list_del(&g->node);
		list_add_tail(&u->now, &g->node);
		b->n_waiting--;
		b->handed++;
	}
	if (list_empty(&u->now))
		return err;
	chan_set_state(u->chan, U_BUSY);
	if (loop_timer_in(b->loop, &u->late, LIM_BURY_MS * NS_PER_MS))
		return -ENOMEM;
	return chan_put(u->chan, U_CLOSE, 0);
}

static struct undertaker *idle_one(struct bury *b)
{
	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		if (b->undertakers[i].chan && list_empty(&b->undertakers[i].now) && !b->undertakers[i].killed)
			return &b->undertakers[i];
	return NULL;
}

static void go_on(struct bury *b)
{
	struct undertaker *u;

	/* One that does not take what it is given is ended: another, or the next one, takes the rest. */
	while (!list_empty(&b->waiting) && (u = idle_one(b)))
		if (hand_over(u))
			on_late(&u->late);
}

/* Nothing can be added after shutdown(2), so the answer stays true. */
static bool is_empty(int fd)
{
	int queued = 0;

	(void)shutdown(fd, SHUT_RDWR);
	return ioctl(fd, FIONREAD, &queued) == 0 && queued == 0;
}

void bury(struct bury *b, struct grave *g)
{
	if (is_empty(g->fd) || b->in_place) {
		close(g->fd);
		g->over(g);
		return;
	}
	list_add_tail(&b->waiting, &g->node);
	b->n_waiting++;
	go_on(b);
}

bool bury_is_full(const struct bury *b)
{
	return b->n_waiting >= LIM_GRAVES;
}

void bury_done(struct bury *b)
{
	struct grave *g, *tmp;

	for (size_t i = 0; i < LIM_UNDERTAKERS; i++)
		gone(&b->undertakers[i]);
	list_for_each_safe(g, tmp, &b->waiting, node) {
		list_del(&g->node);
		g->over(g);
	}
}
