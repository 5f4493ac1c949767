// SPDX-License-Identifier: Apache-2.0
/*
 * front_jwt.c - orders of JWT-SVIDs as one front has them: what it may say of them, and their numbers. Whether one is
 * given is decided in jwt.c. svid-core.
 */
#include "agent/base/log.h"
#include "agent/core/front_table.h"

/* The only bytes of a workload that svid-core takes. A front checks them too; one that does not is broken. */
static bool are_audiences(struct slice list)
{
	size_t n = 0;

	for (; list.len && slice_ok(&list); n++) {
		struct slice one = list_get_str(&list, LIM_AUDIENCE);

		if (!one.len || !slice_is_utf8(one))
			return false;
	}
	return slice_ok(&list) && n && n <= LIM_AUDIENCES;
}

static size_t find_order(const struct front *fr, uint32_t order)
{
	size_t i = 0;

	while (i < fr->n_orders && fr->orders[i] != order)
		i++;
	return i;
}

/* No reason to condemn it: it has given up some of them already, or svid-keys is not back yet. */
static int not_now(struct front *fr)
{
	if (!fr->bound)
		return -ERR_NOT_READY;
	return fr->n_orders == LIM_JWT_ORDERS ? -ERR_RATE : 0;
}

int front_jwt(struct chan *c, struct chan_msg *m)
{
	struct front *fr = chan_owner(c);
	struct msg_FR_JWT ask;
	struct jwt_ask a;
	int err = msg_get_FR_JWT(m->body, &ask), refusal = 0;

	if (err)
		return err;
	if (!ask.order || find_order(fr, ask.order) < fr->n_orders || !idset_holds(fr->set, ask.identity) ||
	    !are_audiences(ask.audiences))
		return -ERR_FORMAT;
	a = (struct jwt_ask){ .front = fr->number, .order = ask.order, .identity = ask.identity, .conn = ask.conn,
			      .audiences = ask.audiences };
	refusal = not_now(fr);
	if (!refusal)
		a.over_rate = !bucket_take(&fr->set->jwts);
	if (!refusal)
		err = fr->table->ops->jwt(fr->table->owner, fr->set, &a, &refusal);
	if (err)
		return err;
	if (refusal)
		return chan_put(c, F_NOJWT, 0, .order = ask.order, .err = refusal);
	fr->orders[fr->n_orders++] = ask.order;
	return 0;
}

void fronts_jwt_over(struct fronts *f, uint32_t number, uint32_t order, int err)
{
	struct front *fr = front_by_number(f, number);
	size_t i = fr && !fr->dead ? find_order(fr, order) : 0;

	if (!fr || fr->dead || i == fr->n_orders)
		return;
	fr->orders[i] = fr->orders[--fr->n_orders];
	if (err && chan_put(fr->chan, F_NOJWT, 0, .order = order, .err = err))
		front_kill(fr);
}
