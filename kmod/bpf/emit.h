/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What leaves the kernel: counters, validity words, events. Above maps.h, below image.h and record.h.
 *
 * Words are bumped first and never depend on the ring: an event that is lost delays a clean end, not the refusal.
 */
#ifndef SVID_EMIT_H
#define SVID_EMIT_H

static __always_inline void count(__u32 which)
{
	struct svid_stats *s = THE(svid_stats);

	if (s && which < 32)
		__sync_fetch_and_add(&s->n[which], 1);
}

static __always_inline void bump_word(__u32 slot)
{
	struct svid_words *w = THE(svid_words);

	if (w && slot)
		__sync_fetch_and_add(&w->w[slot & (SVID_WORDS - 1)], 1);
}

static __always_inline struct svid_event *event_begin(__u32 type, const struct svid_key *key, const struct svid_key *by)
{
	struct svid_stats *s = THE(svid_stats);
	struct svid_event *e;
	__u64 seq = 0;

	if (s)
		seq = __sync_fetch_and_add(&s->event_seq, 1) + 1;
	e = bpf_ringbuf_reserve(&svid_ring, sizeof(*e), 0);
	if (!e) {
		count(SVID_STAT_RING);
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->size = sizeof(*e);
	e->type = type;
	e->seq = seq;
	e->time = bpf_ktime_get_boot_ns();
	e->key = *key;
	e->by = *by;
	return e;
}

static __always_inline void event_send(struct svid_event *e)
{
	count(SVID_STAT_EVENTS);
	bpf_ringbuf_submit(e, 0);
}

/* A process changed: bump the word of its holder, if it is one, and say so. */
static __always_inline void holder_changed(__u32 type, const struct svid_key *key, const struct svid_key *by)
{
	struct svid_holder *h = bpf_map_lookup_elem(&svid_holders, key);
	struct svid_event *e;

	if (!h)
		return;
	bump_word(h->slot);
	e = event_begin(type, key, by);
	if (!e)
		return;
	e->holder_slot = h->slot;
	event_send(e);
}

#endif
