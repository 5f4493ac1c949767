// SPDX-License-Identifier: Apache-2.0
/*
 * provider_attach.c - a whole connection at once: its slot, its record, its process. Runs in svid-core.
 * A process with several connections has one holder and one word; it is let go with its last connection.
 */
#include <errno.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/provider_parts.h"

static struct provider_held **held_bucket(struct provider *p, const struct svid_key *key)
{
	uint64_t h = (key->start ^ key->tgid) * 0x9e3779b97f4a7c15ull;

	return &p->held[h >> 52 & (PROVIDER_BUCKETS - 1)];
}

static struct provider_held *held_find(struct provider *p, const struct svid_key *key)
{
	struct provider_held *h = *held_bucket(p, key);

	while (h && (h->key.tgid != key->tgid || h->key.start != key->start))
		h = h->next;
	return h;
}

static void held_drop(struct provider *p, struct provider_held *h)
{
	struct provider_held **at = held_bucket(p, &h->key);

	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	provider_unhold(p, &h->key);
	provider_slot_put(p, h->slot);
	mem_free(h);
}

static int held_add(struct provider *p, const struct svid_key *key, struct provider_held **ret)
{
	struct provider_held *h = mem_new(struct provider_held);
	struct provider_held **bucket = held_bucket(p, key);
	int err;

	if (!h)
		return -ENOMEM;
	err = provider_slot_get(p, &h->slot);
	if (err) {
		mem_free(h);
		return err;
	}
	h->key = *key;
	h->next = *bucket;
	*bucket = h;
	*ret = h;
	return 0;
}

/*
 * The word is read before the kernel is asked whether anything has changed, so a change in between voids the ticket.
 * A holder whose process has changed since its first connection keeps its slot; those tickets are void already.
 */
static int hold(struct provider *p, const struct svid_conn *conn, struct provider_ticket *t)
{
	struct provider_held *h = held_find(p, &conn->image.key);
	int err = h ? 0 : held_add(p, &conn->image.key, &h);

	if (err)
		return err;
	t->holder_slot = h->slot;
	t->holder_word = provider_word(p, h->slot);
	t->key = h->key;
	err = provider_hold(p, conn, h->slot);
	if (err && h->conns == 0)
		held_drop(p, h);
	if (!err)
		h->conns++;
	return err;
}

int provider_attach(struct provider *p, int fd, struct svid_conn *ret_conn, struct provider_ticket *ret_ticket)
{
	struct provider_ticket t = { 0 };
	int err = provider_slot_get(p, &t.conn_slot);

	if (err)
		return err;
	t.conn_word = provider_word(p, t.conn_slot);
	err = provider_adopt(p, fd, t.conn_slot, 0, ret_conn);
	if (!err && ret_conn->marks)
		err = -ERR_CHANGED;
	if (!err)
		err = hold(p, ret_conn, &t);
	if (err) {
		provider_slot_put(p, t.conn_slot);
		return err;
	}
	*ret_ticket = t;
	return 0;
}

void provider_detach(struct provider *p, struct provider_ticket *ticket)
{
	struct provider_held *h = held_find(p, &ticket->key);

	if (h && --h->conns == 0)
		held_drop(p, h);
	provider_slot_put(p, ticket->conn_slot);
	memset(ticket, 0, sizeof(*ticket));
}
