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

static struct provider_held **held_bucket(const struct provider *p, const struct svid_key *key)
{
	uint64_t h = (key->start ^ key->tgid) * 0x9e3779b97f4a7c15ull;

	return &p->held[h >> 52 & (PROVIDER_BUCKETS - 1)];
}

static struct provider_held *held_find(const struct provider *p, const struct svid_key *key)
{
	struct provider_held *h = *held_bucket(p, key);

	while (h && (h->key.tgid != key->tgid || h->key.start != key->start))
		h = h->next;
	return h;
}

bool provider_held_slot(const struct provider *p, const struct svid_key *key, uint32_t *ret_slot)
{
	const struct provider_held *h = held_find(p, key);

	if (h)
		*ret_slot = h->slot;
	return h != NULL;
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

/* Takes over @slot on 0. */
static int held_add(struct provider *p, const struct svid_key *key, uint32_t slot, struct provider_held **ret)
{
	struct provider_held *h = mem_new(struct provider_held);
	struct provider_held **bucket = held_bucket(p, key);

	if (!h)
		return -ENOMEM;
	h->key = *key;
	h->slot = slot;
	h->next = *bucket;
	*bucket = h;
	*ret = h;
	return 0;
}

/* The kernel holds the process now, by the offered slot or by the one that we gave it before. */
static int count_holder(struct provider *p, const struct svid_key *key, const struct provider_ask *ask)
{
	struct provider_held *h = held_find(p, key);
	int err = 0;

	if (!h && ask->held)
		err = held_add(p, key, ask->holder_slot, &h);
	else if (!h || h->slot != ask->holder_slot)
		err = -ERR_EVIDENCE; /* holders that are not ours */
	if (err) {
		provider_unhold(p, key);
		return err;
	}
	h->conns++;
	return 0;
}

static int attach(struct provider *p, struct provider_ask *ask, struct svid_conn *ret_conn)
{
	const struct svid_key *key = &ret_conn->image.key;
	int err = provider_ask(p, ask, ret_conn);

	if (err == -ESTALE)
		return -ERR_CHANGED;
	if (err)
		return err;
	if (!ret_conn->marks)
		return count_holder(p, key, ask);
	if (ask->held)
		provider_unhold(p, key);
	return -ERR_CHANGED;
}

int provider_attach(struct provider *p, int fd, struct svid_conn *ret_conn, struct provider_ticket *ret_ticket)
{
	struct provider_ask ask = { .fd = fd, .op = SVID_OP_ATTACH };
	uint32_t offered = 0;
	int err = provider_slot_get(p, &ask.conn_slot);

	if (err)
		return err;
	err = provider_slot_get(p, &offered);
	ask.conn_word = provider_word(p, ask.conn_slot);
	ask.holder_slot = offered;
	if (!err)
		err = attach(p, &ask, ret_conn);
	if (err || !ask.held)
		provider_slot_put(p, offered);
	if (err) {
		provider_slot_put(p, ask.conn_slot);
		return err;
	}
	ret_ticket->conn_slot = ask.conn_slot;
	ret_ticket->conn_word = ask.conn_word;
	ret_ticket->holder_slot = ask.holder_slot;
	ret_ticket->holder_word = ask.holder_word;
	ret_ticket->key = ret_conn->image.key;
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
