/* SPDX-License-Identifier: Apache-2.0 */
/*
 * turn.c - what svid-core orders for svid-cloud: one at a time, and between two of them everything that anybody else wants.
 * svid-cloud speaks to the network; taken over, it orders as much as it may, and nobody is to wait for that. svid-keys.
 */
#include <errno.h>

#include "agent/base/mem.h"
#include "agent/keys/keys.h"

struct cloud_order {
	struct list node;
	uint16_t type;
	uint32_t id;
	struct buf body; /* of the message */
};

static void take_out(struct keys *k, struct cloud_order *o)
{
	list_del(&o->node);
	k->n_cloud_orders--;
}

static void order_free(struct cloud_order *o)
{
	buf_done(&o->body);
	mem_free(o);
}

static int do_first(struct keys *k)
{
	struct cloud_order *o = list_entry(k->cloud_orders.next, struct cloud_order, node);
	int err;

	take_out(k, o);
	err = turn_do(k, o->type, o->id, buf_slice(&o->body));
	order_free(o);
	return err;
}

/* The loop's timers come after its descriptors: who asked meanwhile was served. */
static void on_turn(struct loop_timer *t)
{
	struct keys *k = container_of(t, struct keys, turn);
	int err = do_first(k);

	while (!err && !list_empty(&k->cloud_orders) && loop_timer_in(k->loop, t, 0))
		err = do_first(k); /* no memory for a timer: now */
	if (err)
		core_broke(k, err);
}

static struct cloud_order *order_new(struct keys *k, const struct chan_msg *m)
{
	struct cloud_order *o = mem_new(struct cloud_order);

	if (!o)
		return NULL;
	*o = (struct cloud_order){ .type = m->type, .id = m->id, .body = BUF_INIT(LIM_IPC_BODY) };
	list_init(&o->node);
	list_add_tail(&k->cloud_orders, &o->node);
	k->n_cloud_orders++;
	buf_put_slice(&o->body, m->body);
	if (!buf_ok(&o->body) && (loop_timer_armed(&k->turn) || !loop_timer_in(k->loop, &k->turn, 0)))
		return o;
	take_out(k, o);
	order_free(o);
	return NULL;
}

int turn_take(struct keys *k, const struct chan_msg *m)
{
	if (k->n_cloud_orders >= LIM_CLOUD_ORDERS)
		return -ERR_LIMIT;
	return order_new(k, m) ? 0 : turn_do(k, m->type, m->id, m->body); /* no memory to wait with */
}

void turn_init(struct keys *k)
{
	list_init(&k->cloud_orders);
	k->turn.cb = on_turn;
}

void turn_drop_all(struct keys *k)
{
	struct cloud_order *o, *tmp;

	loop_timer_stop(&k->turn);
	list_for_each_safe(o, tmp, &k->cloud_orders, node) {
		take_out(k, o);
		order_free(o);
	}
}
