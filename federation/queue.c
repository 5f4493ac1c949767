/* SPDX-License-Identifier: Apache-2.0 */
/* queue.c - whose turn it is to exchange: a few at a time, and no source in the way of the others. svid-cloud. */
#include "agent/base/clock.h"
#include "federation/cloud.h"

#define PACE_STARTS 2
#define PACE_LOOKS 64
#define PACE_MS 4

/*
 * A source may have as many places as it leaves free. So one whose token service hangs has half of them at the most, two have a
 * third each, and there is a place for one that works as long as fewer than LIM_CLOUD_AT_ONCE hang.
 */
static bool has_place(const struct binding *b)
{
	return fetches_of(b->cloud, b->source) < LIM_CLOUD_AT_ONCE - b->cloud->n_fetches;
}

/* The first that may start. The others go to the end: each is looked at once, and not all of thousands in one turn. */
static struct binding *take_next(struct cloud *c, bool *ret_more)
{
	const struct binding *last = NULL;

	for (unsigned int i = 0; i < PACE_LOOKS && !list_empty(&c->queue); i++) {
		struct binding *b = list_entry(c->queue.next, struct binding, in_queue);

		if (b == last)
			return NULL;
		list_del(&b->in_queue);
		if (has_place(b))
			return b;
		list_add_tail(&c->queue, &b->in_queue);
		if (!last)
			last = b;
	}
	*ret_more = !list_empty(&c->queue);
	return NULL;
}

static void go_on_later(struct cloud *c)
{
	if (loop_timer_in(c->loop, &c->pace, PACE_MS * NS_PER_MS))
		log_error(EV_CLOUD, KV("err", V_S("ENOMEM"))); /* the end of any exchange is a turn, too */
}

/*
 * A few at a time: each may begin with a TLS handshake, which takes about a millisecond of ours, and in the meantime nobody's
 * file is served.
 */
void bindings_go(struct cloud *c)
{
	unsigned int n = 0;
	bool more = false;

	while (c->n_fetches < LIM_CLOUD_AT_ONCE && !loop_timer_armed(&c->pace)) {
		struct binding *b = take_next(c, &more);

		if (more || (b && ++n == PACE_STARTS))
			go_on_later(c);
		if (!b)
			return;
		if (fetch_start(b))
			binding_not_started(b);
	}
}

void bindings_on_pace(struct loop_timer *t)
{
	bindings_go(container_of(t, struct cloud, pace));
}
