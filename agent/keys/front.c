/* SPDX-License-Identifier: Apache-2.0 */
/*
 * front.c - one record per front: its channel, and the identities that core bound to its number.
 *
 * svidd (K_FRONT) and core (KY_BIND) tell of a front in either order. Until both have, its channel is
 * not read at all: a request that the front sends right after core made it ready must wait for a
 * binding that is already under way, and an unbound front has nothing to ask. svid-keys.
 */
#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/secret.h"
#include "agent/keys/keys.h"
#include "agent/keys/verify.h"

struct front {
	struct list node;
	struct keys *keys;
	uint32_t number;
	bool bound;
	struct loop_watch parked; /* the descriptor while unbound: hang-ups only */
	struct loop_timer lonely; /* bound, but svidd brings no channel */
	struct chan *chan;	  /* once bound and attached */
	uint64_t n_queued;	  /* answers that had to wait so far, as chan_taken() counts those that left again */
	size_t n_holds;
	struct keystore_hold holds[LIM_SET_IDENTITIES];
};

static struct front *find(struct keys *k, uint32_t number)
{
	struct front *f;

	list_for_each(f, &k->fronts, node)
		if (f->number == number)
			return f;
	return NULL;
}

static void front_free(struct front *f)
{
	loop_timer_stop(&f->lonely);
	loop_del(&f->parked);
	if (f->parked.fd >= 0)
		close(f->parked.fd);
	chan_free(f->chan);
	for (size_t i = 0; i < f->n_holds; i++)
		keystore_release(f->keys->store, &f->holds[i]);
	list_del(&f->node);
	f->keys->n_fronts--;
	mem_free(f);
}

static void on_parked(struct loop_watch *w, uint32_t events)
{
	(void)events;
	front_free(container_of(w, struct front, parked));
}

static void on_lonely(struct loop_timer *t)
{
	front_free(container_of(t, struct front, lonely));
}

static int front_add(struct keys *k, uint32_t number, struct front **ret_front)
{
	struct front *f;

	if (k->n_fronts >= LIM_FRONTS)
		return -ERR_LIMIT;
	f = mem_new(struct front);
	if (!f)
		return -ENOMEM;
	f->keys = k;
	f->number = number;
	f->parked = (struct loop_watch){ .fd = -1, .cb = on_parked };
	f->lonely.cb = on_lonely;
	list_add_tail(&k->fronts, &f->node);
	k->n_fronts++;
	*ret_front = f;
	return 0;
}

/* Memory for what waits is ours: a front that has orders answered and does not read must not take it. */
static int check_reads(const struct front *f)
{
	return f->n_queued - chan_taken(f->chan) < 2 * LIM_JWT_ORDERS ? 0 : -ERR_LIMIT;
}

/* After each answer: when anything waits, so does this one. */
static int gave(struct front *f, int err)
{
	f->n_queued += !err && !chan_idle(f->chan);
	return err;
}

static struct keystore_hold *hold_of(struct front *f, uint32_t identity)
{
	for (size_t i = 0; i < f->n_holds; i++)
		if (f->holds[i].identity == identity)
			return &f->holds[i];
	return NULL;
}

static int send_key(struct chan *c, uint32_t id, const struct msg_FK_GET *get, struct slice key)
{
	AUTO(secret) struct secret *copy = secret_new(key.len);
	int fd, err;

	if (!copy)
		return -ENOMEM;
	memcpy(secret_bytes(copy), key.p, key.len);
	err = secret_to_fd(copy, &fd);
	if (err)
		return err;
	err = chan_put_fds(c, FK_KEY, id, &fd, 1, .identity = get->identity, .kind = get->kind,
			   .generation = get->generation, .len = (uint32_t)key.len);
	close(fd);
	return err;
}

/* The front speaks for nobody but itself: the set was bound to its descriptor by core. */
static int on_get(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_GET get;
	struct keystore_hold *hold;
	struct slice key;
	int err = msg_get_FK_GET(m->body, &get);

	if (err)
		return err;
	if (get.kind >= SVID_KINDS)
		return -ERR_FORMAT;
	hold = hold_of(f, get.identity);
	if (!hold)
		return -ERR_PERMIT;
	/* A front that asks without reading would make us keep its answers. */
	if (!chan_idle(c))
		return -ERR_LIMIT;
	err = keystore_fetch(f->keys->store, hold, get.kind, get.generation, &key);
	if (err == -ERR_LIMIT)
		return err;
	if (!err)
		err = send_key(c, m->id, &get, key);
	if (err)
		err = chan_put(c, FK_NOKEY, m->id, .identity = get.identity, .kind = get.kind,
			       .generation = get.generation, .err = err);
	return gave(f, err);
}

static int on_verify(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_VERIFY verify;
	int err = msg_get_FK_VERIFY(m->body, &verify);

	if (!err)
		err = verify_is_sane(&verify);
	if (!err)
		err = check_reads(f);
	if (err)
		return err;
	chan_pause(c); /* milliseconds, with a key of the front's choice */
	return gave(f, chan_put(c, FK_VERIFIED, m->id, .order = verify.order, .err = verify_signature(&verify)));
}

static void on_dead(struct chan *c, int err)
{
	struct front *f = chan_owner(c);

	if (err != -ERR_CLOSED)
		log_warn(EV_FRONT, KV("front", V_U(f->number)), KV("condemned", V_S(err_name(err))));
	front_free(f);
}

static const struct chan_rule rules[] = {
	{ MSG_FK_GET, 1u << 0, on_get },
	{ MSG_FK_VERIFY, 1u << 0, on_verify },
};

static const struct chan_ops ops = {
	.peer = "svid-front", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead
};

/* Both halves are known: start to read. */
static int open_channel(struct front *f)
{
	int fd = f->parked.fd;

	loop_timer_stop(&f->lonely);
	loop_del(&f->parked);
	f->parked.fd = -1;
	return chan_new(f->keys->loop, fd, &ops, f, &f->chan);
}

int front_attach(struct keys *k, uint32_t number, int fd)
{
	struct front *f = find(k, number);
	int err = 0;

	if (f && (f->chan || f->parked.fd >= 0))
		err = -ERR_EXISTS;
	else if (!f)
		err = front_add(k, number, &f);
	if (err) {
		close(fd);
		return err;
	}
	f->parked.fd = fd;
	err = f->bound ? open_channel(f) : loop_add(k->loop, &f->parked, EPOLLRDHUP);
	if (err)
		front_free(f);
	return err;
}

static int hold_all(struct front *f, struct slice identities)
{
	int err = 0;

	while (!err && identities.len) {
		uint32_t identity = slice_get_u32(&identities);

		if (!slice_ok(&identities) || f->n_holds == LIM_SET_IDENTITIES || hold_of(f, identity))
			return -ERR_FORMAT;
		err = keystore_hold(f->keys->store, identity, &f->holds[f->n_holds]);
		f->n_holds += !err;
	}
	return err;
}

int front_bind(struct keys *k, uint32_t number, struct slice identities)
{
	struct front *f = find(k, number);
	int err = 0;

	if (f && f->bound)
		return -ERR_PERMIT;
	if (!f)
		err = front_add(k, number, &f);
	if (err)
		return err;
	f->bound = true;
	err = hold_all(f, identities);
	if (!err && f->parked.fd >= 0)
		err = open_channel(f);
	else if (!err)
		err = loop_timer_in(k->loop, &f->lonely, LIM_FRONT_PENDING_MS * NS_PER_MS);
	if (err)
		front_free(f);
	return err;
}

int front_may_have(struct keys *k, uint32_t number, uint32_t identity)
{
	struct front *f = find(k, number);

	if (!f) /* it ended while the order was on its way */
		return -ERR_CLOSED;
	if (!f->bound || !hold_of(f, identity))
		return -ERR_PERMIT;
	return f->chan ? 0 : -ERR_NOT_READY;
}

int front_give_jwt(struct keys *k, uint32_t number, const struct msg_FK_JWT *m)
{
	struct front *f = find(k, number);
	int err;

	if (!f || !f->chan)
		return -ERR_CLOSED;
	err = check_reads(f);
	if (err) {
		log_warn(EV_FRONT, KV("front", V_U(number)), KV("condemned", V_S("does not read its tokens")));
		front_free(f);
		return err;
	}
	return gave(f, chan_put(f->chan, FK_JWT, 0, .order = m->order, .err = m->err, .issued_at = m->issued_at,
				.not_after = m->not_after, .token = m->token));
}

void front_drop_all(struct keys *k)
{
	struct front *f, *tmp;

	list_for_each_safe(f, tmp, &k->fronts, node)
		front_free(f);
}
