// SPDX-License-Identifier: Apache-2.0
/*
 * front_chan.c - what svid-core says to a front and believes from it: the set as a whole state, connections,
 * how they end. A front may have been taken over; it can only speak of its own connections.
 */
#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/front_table.h"

enum {
	F_STARTING,
	F_SPARE,
	F_SERVING,
};

static int on_front_ready(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);

	if (m->body.len)
		return -ERR_TRAILING;
	fr->ready = true;
	loop_timer_stop(&fr->timer);
	chan_set_state(c, F_SPARE);
	if (fr->set)
		front_bound(fr);
	return 0;
}

static int on_closed(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_CLOSED closed;
	int err = msg_get_FR_CLOSED(m->body, &closed);

	if (err)
		return err;
	return fr->table->ops->closed(fr->table->owner, fr->set, closed.conn, closed.err, closed.requests);
}

/* The set is good, but svid-keys is away or behind: it has not this generation any more, or not yet. */
static bool lacks_key(int err)
{
	return err == -ERR_NOT_FOUND || err == -ERR_NOT_READY;
}

/* What follows from svid-keys' restart, or its next SVID, brings another F_SET; at once it would lack the key again. */
static void set_missed(struct front *fr, const struct msg_FR_SET *set)
{
	log_info(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S("lacks a key of its set")),
		 KV("err", V_S(err_name(set->err))));
	if (set->version == fr->set->version)
		buf_reset(&fr->set->told);
}

static int on_set(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_SET set;
	int err = msg_get_FR_SET(m->body, &set);

	if (err)
		return err;
	if (set.version > fr->set->version)
		return -ERR_FORMAT;
	if (!set.err) {
		fr->set->acknowledged = set.version;
		fr->serves = true;
		front_files(fr);
		return 0;
	}
	if (lacks_key(set.err)) {
		set_missed(fr, &set);
		return 0;
	}
	/* It serves something older than what holds: another one takes its place, later and later while that fails. */
	log_warn(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S("did not take its set")),
		 KV("err", V_S(err_name(set.err))));
	return -ERR_NOT_READY;
}

static int on_whoami(struct chan *c, struct chan_msg *m)
{
	AUTO(buf) struct buf json = BUF_INIT(LIM_WHOAMI);
	struct front *fr = chan_owner(c);
	struct msg_FR_WHOAMI ask;
	int err = msg_get_FR_WHOAMI(m->body, &ask);

	if (!err)
		err = fr->table->ops->asked(fr->table->owner, fr->set, ask.conn, &json);
	if (err || !json.len)
		return err;
	return chan_put(c, F_WHOAMI, 0, .conn = ask.conn, .json = buf_slice(&json));
}

static void on_dead(struct chan *c, int err)
{
	front_dead(chan_owner(c), err);
}

static const struct chan_rule rules[] = {
	{ MSG_FR_READY, 1u << F_STARTING, on_front_ready },
	{ MSG_FR_CLOSED, 1u << F_SERVING, on_closed },
	{ MSG_FR_SET, 1u << F_SERVING, on_set },
	{ MSG_FR_WHOAMI, 1u << F_SERVING, on_whoami },
	{ MSG_FR_JWT, 1u << F_SERVING, front_jwt },
	{ MSG_FR_FILE, 1u << F_SERVING, front_file },
	{ MSG_FR_NOFILE, 1u << F_SERVING, front_nofile },
};

static const struct chan_ops chan_ops = {
	.peer = "svid-front",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int fronts_peer(struct fronts *f, uint32_t number, pid_t pid, int fd, int log_fd)
{
	struct front *fr = front_by_number(f, number);
	int err;

	if (!fr || fr->chan || fr->dead) {
		close(fd);
		close(log_fd);
		return fr && fr->dead ? 0 : -ERR_NOT_FOUND;
	}
	fr->pid = pid;
	err = frontlog_start(&fr->log, f->loop, log_fd, number);
	if (err) {
		close(fd);
		return err;
	}
	return chan_new(f->loop, fd, &chan_ops, fr, &fr->chan);
}

void front_tell_state(struct front *fr)
{
	struct fronts *f = fr->table;
	int err = f->state ? f->state : fr->set == f->empty ? f->nobody : fr->set->err;

	if (fr->state == err)
		return;
	if (chan_put(fr->chan, F_STATE, 0, .err = err))
		front_kill(fr);
	fr->state = err;
}

static void bind_keys(struct front *fr)
{
	struct idset *set = fr->set;
	int err;

	if (fr->bound)
		return;
	err = authority_bind(fr->table->auth, fr->number, set->ids, set->n);
	fr->bound = !err;
	if (err && err != -ERR_NOT_READY)
		log_warn(EV_FRONT, KV("front", V_U(fr->number)), KV("what", V_S("not bound")), KV("err", V_S(err_name(err))));
}

void front_bound(struct front *fr)
{
	struct conn *c, *tmp;

	chan_set_state(fr->chan, F_SERVING);
	bind_keys(fr);
	front_tell_state(fr);
	front_push(fr->set);
	list_for_each_safe(c, tmp, &fr->set->conns, in_set)
		if (c->state == CONN_QUEUED && front_hand(fr, c))
			fr->table->ops->lost(fr->table->owner, c);
}

int front_hand(struct front *fr, struct conn *conn)
{
	int err = chan_put_fds(fr->chan, F_CONN, 0, &conn->fd, 1, .conn = conn->number, .pid = (uint32_t)conn->pid,
			       .conn_slot = conn->ticket.conn_slot, .conn_value = conn->ticket.conn_word,
			       .holder_slot = conn->ticket.holder_slot, .holder_value = conn->ticket.holder_word,
			       .err = conn->end_err);

	if (err)
		return err;
	front_watch(fr);
	conn->state = CONN_SERVED;
	if (conn->end_err)
		fr->table->ops->end(fr->table->owner, conn, conn->end_err);
	return 0;
}

void fronts_end(struct conn *conn, int err)
{
	struct front *fr = conn->set ? conn->set->front : NULL;

	if (!fr || !fr->chan || conn->state == CONN_QUEUED)
		return;
	if (chan_put(fr->chan, F_END, 0, .conn = conn->number, .err = err))
		front_kill(fr);
}

void fronts_set_state(struct fronts *f, int err, int nobody)
{
	struct front *fr;

	f->state = err;
	f->nobody = nobody;
	list_for_each(fr, &f->all, node)
		if (fr->ready && !fr->dead && fr->set)
			front_tell_state(fr);
}

void fronts_keys_lost(struct fronts *f)
{
	struct front *fr;

	list_for_each(fr, &f->all, node)
		fr->bound = false;
}

void fronts_bind(struct fronts *f)
{
	struct front *fr;

	list_for_each(fr, &f->all, node)
		if (fr->ready && !fr->dead && fr->set)
			bind_keys(fr);
}

static struct front_view view_of(const struct front *fr, const struct idset *set)
{
	struct front_view v = { .spare = !set };

	if (fr) {
		v.number = fr->number;
		v.pid = fr->pid;
		v.ready = fr->ready;
		v.state = fr->state;
	}
	if (set) {
		v.identities = set->ids;
		v.n_identities = set->n;
		v.connections = set->n_conns;
		v.set_version = set->acknowledged;
	}
	return v;
}

void fronts_each(const struct fronts *f, void (*each)(void *arg, const struct front_view *v), void *arg)
{
	const struct idset *set;
	struct front_view v;

	for (size_t i = 0; i < FRONT_BUCKETS; i++)
		list_for_each(set, &f->sets[i], node) {
			v = view_of(set->front, set);
			each(arg, &v);
		}
	if (!f->spare)
		return;
	v = view_of(f->spare, NULL);
	each(arg, &v);
}
