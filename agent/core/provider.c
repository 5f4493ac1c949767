// SPDX-License-Identifier: Apache-2.0
/*
 * provider.c - what all kinds of evidence have in common: slots, words, held processes, one call per connection.
 * Runs in svid-core. Next: provider_bpf.c.
 */
#include "agent/core/provider.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/provider_parts.h"

/* Tickets of an earlier core may still be compared by its fronts: bumping every word voids them. */
static void slots_init(struct provider *p)
{
	for (uint32_t slot = 1; slot < SVID_WORDS; slot++) {
		p->free_slots[slot - 1] = slot;
		provider_bump(p, slot);
	}
	p->free_count = SVID_WORDS - 1;
}

static void held_free(struct provider *p)
{
	for (size_t i = 0; p->held && i < PROVIDER_BUCKETS; i++) {
		while (p->held[i]) {
			struct provider_held *h = p->held[i];

			p->held[i] = h->next;
			p->ops->unhold(p, &h->key);
			mem_free(h);
		}
	}
	mem_free(p->held);
}

void provider_free(struct provider *p)
{
	if (!p)
		return;
	held_free(p);
	provider_bpf_done(p);
	if (p->words)
		munmap(p->words, sizeof(*p->words));
	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		if (p->fds.maps[i] >= 0)
			close(p->fds.maps[i]);
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		if (p->fds.iters[i] >= 0)
			close(p->fds.iters[i]);
	if (p->fds.module >= 0)
		close(p->fds.module);
	mem_free(p->free_slots);
	mem_free(p);
}

/* On failure the caller keeps its descriptors. */
static void provider_abandon(struct provider *p)
{
	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		p->fds.maps[i] = -1;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		p->fds.iters[i] = -1;
	p->fds.module = -1;
	provider_free(p);
}

static int open_tier(struct provider *p)
{
	switch (p->fds.tier) {
	case SVID_TIER_SOCKET:
		return provider_socket_open(p);
	case SVID_TIER_KMOD:
		return provider_kmod_open(p);
	default:
		return provider_bpf_open(p);
	}
}

int provider_open(const struct provider_fds *fds, struct provider **ret)
{
	struct provider *p = mem_new(struct provider);
	int err = -ENOMEM;

	if (!p)
		return -ENOMEM;
	p->fds = *fds;
	p->events_fd = p->own_socket = -1;
	if (fds->tier != SVID_TIER_KMOD)
		p->fds.module = -1;
	p->free_slots = mem_calloc(SVID_WORDS, sizeof(*p->free_slots));
	p->held = mem_calloc(PROVIDER_BUCKETS, sizeof(struct provider_held *));
	if (p->free_slots && p->held)
		err = open_tier(p);
	if (err) {
		if (p->own_words)
			close(p->fds.maps[SVID_MAP_WORDS]);
		provider_abandon(p);
		return err;
	}
	slots_init(p);
	provider_recover(p);
	*ret = p;
	return 0;
}

uint32_t provider_tier(const struct provider *p)
{
	return p->fds.tier;
}

int provider_words_fd(const struct provider *p)
{
	return p->fds.tier == SVID_TIER_KMOD ? p->fds.module : p->fds.maps[SVID_MAP_WORDS];
}

uint32_t provider_word(const struct provider *p, uint32_t slot)
{
	if (slot == 0 || slot >= SVID_WORDS)
		return 0;
	return __atomic_load_n(&p->words->w[slot], __ATOMIC_ACQUIRE);
}

void provider_bump(struct provider *p, uint32_t slot)
{
	if (slot != 0 && slot < SVID_WORDS)
		__atomic_fetch_add(&p->words->w[slot], 1, __ATOMIC_SEQ_CST);
}

int provider_slot_get(struct provider *p, uint32_t *ret_slot)
{
	if (p->free_count == 0)
		return -ERR_LIMIT;
	*ret_slot = p->free_slots[p->free_head];
	p->free_head = (p->free_head + 1) & (SVID_WORDS - 1);
	p->free_count--;
	return 0;
}

void provider_slot_put(struct provider *p, uint32_t slot)
{
	if (slot == 0 || slot >= SVID_WORDS || p->free_count == SVID_WORDS - 1)
		return;
	provider_bump(p, slot);
	p->free_slots[(p->free_head + p->free_count) & (SVID_WORDS - 1)] = slot;
	p->free_count++;
}

static void string_end(char *s, uint32_t *len, uint32_t max)
{
	if (*len > max)
		*len = max;
	memset(s + *len, 0, max - *len);
}

/* The kernel fills images in place, so bytes of an older program may lie behind the lengths. */
static void conn_tidy(struct svid_conn *c)
{
	struct svid_image *img = &c->image;

	string_end(img->argv, &img->argv_len, SVID_ARGV_MAX);
	string_end(img->filename, &img->filename_len, SVID_PATH_MAX);
	string_end(img->interp, &img->interp_len, SVID_INTERP_MAX);
	string_end(c->creds.label, &c->creds.label_len, SVID_LABEL_MAX);
	if (img->n_ancestors > SVID_ANCESTORS)
		img->n_ancestors = SVID_ANCESTORS;
	memset(&img->ancestors[img->n_ancestors], 0, (SVID_ANCESTORS - img->n_ancestors) * sizeof(img->ancestors[0]));
}

int provider_ask(struct provider *p, struct provider_ask *ask, struct svid_conn *ret)
{
	int err = p->ops->record(p, ask, ret);

	if (!err || err == -ESTALE)
		conn_tidy(ret);
	return err;
}

int provider_adopt(struct provider *p, int fd, uint32_t conn_slot, struct svid_conn *ret)
{
	struct provider_ask ask = { .fd = fd, .op = SVID_OP_ADOPT, .conn_slot = conn_slot,
				    .conn_word = provider_word(p, conn_slot) };

	return provider_ask(p, &ask, ret);
}

int provider_peek(struct provider *p, int fd, struct svid_conn *ret)
{
	struct provider_ask ask = { .fd = fd, .op = SVID_OP_PEEK };

	return provider_ask(p, &ask, ret);
}

int provider_reader(struct provider *p, uint32_t tid, struct svid_conn *ret)
{
	int err = p->ops->reader(p, tid, ret);

	if (!err)
		conn_tidy(ret);
	return err;
}

int provider_hold(struct provider *p, const struct svid_conn *conn, uint32_t slot)
{
	return p->ops->hold(p, conn, slot);
}

void provider_unhold(struct provider *p, const struct svid_key *key)
{
	p->ops->unhold(p, key);
}

int provider_image(struct provider *p, const struct svid_key *key, struct svid_image *ret)
{
	return p->ops->image(p, key, ret);
}

int provider_key_of(struct provider *p, uint32_t tgid, struct svid_key *ret)
{
	return p->ops->key_of(p, tgid, ret);
}

void provider_leave(struct provider *p, int fd)
{
	if (p->ops->leave && p->fds.tier == SVID_TIER_LSM)
		p->ops->leave(p, fd);
}

void provider_door(struct provider *p, const struct svid_who *who, uint64_t until)
{
	if (p->ops->door && p->fds.tier == SVID_TIER_LSM)
		p->ops->door(p, who, until);
}

bool provider_valid(const struct provider *p, const struct provider_ticket *ticket)
{
	return provider_word(p, ticket->conn_slot) == ticket->conn_word &&
	       provider_word(p, ticket->holder_slot) == ticket->holder_word;
}

int provider_events_fd(const struct provider *p)
{
	return p->events_fd;
}

int provider_events(struct provider *p, void (*cb)(void *ctx, const struct svid_event *e), void *ctx)
{
	return p->ops->events ? p->ops->events(p, cb, ctx) : 0;
}

bool provider_needs_poll(const struct provider *p)
{
	return p->fds.tier == SVID_TIER_TP;
}

int provider_poll(struct provider *p)
{
	return p->ops->poll(p);
}

void provider_stats(const struct provider *p, struct svid_stats *ret)
{
	if (p->stats)
		*ret = *p->stats;
	else
		memset(ret, 0, sizeof(*ret));
}

void provider_health(const struct provider *p, struct provider_health *ret)
{
	struct svid_stats now;

	provider_stats(p, &now);
	ret->lost_events = now.n[SVID_STAT_RING] - p->base.n[SVID_STAT_RING] + now.n[SVID_STAT_SKIPPED] -
			   p->base.n[SVID_STAT_SKIPPED];
	ret->lost_records = 0;
	for (size_t i = SVID_STAT_SKIPPED + 1; i < SVID_STAT_LOSSES; i++)
		ret->lost_records += now.n[i] - p->base.n[i];
	ret->doors = now.n[SVID_STAT_DOOR] + now.n[SVID_STAT_QUEUE];
	ret->refused = now.n[SVID_STAT_REFUSED] - p->base.n[SVID_STAT_REFUSED];
}

void provider_recover(struct provider *p)
{
	provider_stats(p, &p->base);
}
