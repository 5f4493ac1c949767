// SPDX-License-Identifier: GPL-2.0-only
/*
 * What leaves the kernel: counters, validity words, events; and holders, the processes whose changes leave it.
 *
 * Words are bumped first and never depend on the ring: an event that is lost delays a clean end, not the refusal. Events
 * are sent from probes that run under the caller's locks, so the reader is woken from an interrupt of its own: a wake-up
 * takes the locks of whoever waits, and there is no order between those and the caller's.
 */
#include "evidence.h"

#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#define HOLD_BITS 12

/* A holder: changes of key bump a word of file. */
struct svid_hold {
	struct hlist_node node;
	struct rcu_head rcu;
	struct svid_file *file;
	struct svid_key key;
	u32 slot;
};

static LIST_HEAD(files);
static DEFINE_SPINLOCK(files_lock);
static atomic64_t totals[SVID_STAT_COUNT];
static atomic64_t exec_ids;

static struct hlist_head holds[1 << HOLD_BITS];
static DEFINE_RAW_SPINLOCK(holds_lock);

/* ---- counters ---- */

static atomic64_t *counter(struct svid_file *f, u32 which)
{
	return (atomic64_t *)&f->area->stats->n[which];
}

void svid_count(u32 which)
{
	struct svid_file *f;

	atomic64_inc(&totals[which]);
	rcu_read_lock();
	list_for_each_entry_rcu(f, &files, link)
		atomic64_inc(counter(f, which));
	rcu_read_unlock();
}

void svid_count_in(struct svid_file *f, u32 which)
{
	atomic64_inc(counter(f, which));
}

void svid_files_skipped(u64 n)
{
	struct svid_file *f;

	rcu_read_lock();
	list_for_each_entry_rcu(f, &files, link)
		atomic64_set(counter(f, SVID_STAT_SKIPPED), n);
	rcu_read_unlock();
}

u64 svid_exec_id_next(void)
{
	u64 id = atomic64_inc_return(&exec_ids);
	struct svid_file *f;

	rcu_read_lock();
	list_for_each_entry_rcu(f, &files, link)
		WRITE_ONCE(f->area->stats->exec_seq, id);
	rcu_read_unlock();
	return id;
}

/* What is counted between the copy and the list is missing in this file: it was before its time. */
void svid_files_add(struct svid_file *f)
{
	u32 i;

	for (i = 0; i < SVID_STAT_COUNT; i++)
		atomic64_set(counter(f, i), atomic64_read(&totals[i]));
	f->area->stats->exec_seq = atomic64_read(&exec_ids);
	spin_lock(&files_lock);
	list_add_tail_rcu(&f->link, &files);
	spin_unlock(&files_lock);
}

void svid_files_remove(struct svid_file *f)
{
	spin_lock(&files_lock);
	list_del_rcu(&f->link);
	spin_unlock(&files_lock);
}

/* ---- words ---- */

static atomic_t *word(struct svid_file *f, u32 slot)
{
	return (atomic_t *)&f->area->words->w[slot & (SVID_WORDS - 1)];
}

void svid_word_bump(struct svid_file *f, u32 slot)
{
	if (slot)
		atomic_inc(word(f, slot));
}

void svid_word_void(struct svid_file *f, u32 slot, u32 from)
{
	if (slot)
		atomic_cmpxchg(word(f, slot), from, from + 1);
}

/* ---- events ---- */

void svid_event_send(struct svid_file *f, const struct svid_event *template)
{
	struct svid_event *e;
	unsigned long flags;
	bool sent = false;
	u64 seq;

	raw_spin_lock_irqsave(&f->lock, flags);
	seq = ++f->area->stats->event_seq;
	if (f->waiting < SVID_DEV_EVENTS) {
		e = &f->events[(f->first + f->waiting) % SVID_DEV_EVENTS];
		*e = *template;
		e->size = sizeof(*e);
		e->seq = seq;
		e->time = ktime_get_boottime_ns();
		WRITE_ONCE(f->waiting, f->waiting + 1);
		sent = true;
	}
	raw_spin_unlock_irqrestore(&f->lock, flags);
	svid_count_in(f, sent ? SVID_STAT_EVENTS : SVID_STAT_RING);
	irq_work_queue(&f->wake);
}

/* ---- holders ---- */

static struct hlist_head *hold_bucket(const struct svid_key *key)
{
	return &holds[hash_32(key->tgid, HOLD_BITS)];
}

static struct svid_hold *hold_find(const struct svid_file *f, const struct svid_key *key)
{
	struct svid_hold *h;

	hlist_for_each_entry(h, hold_bucket(key), node)
		if (h->file == f && svid_key_same(&h->key, key))
			return h;
	return NULL;
}

void svid_holder_changed(u32 type, const struct svid_key *key, const struct svid_key *by)
{
	struct svid_event e = { .type = type, .key = *key, .by = *by };
	struct svid_hold *h;

	/* the image is changed, then the holder is looked for: svid_hold_take() has the other half */
	smp_mb();
	rcu_read_lock();
	hlist_for_each_entry_rcu(h, hold_bucket(key), node) {
		if (!svid_key_same(&h->key, key))
			continue;
		svid_word_bump(h->file, h->slot);
		e.holder_slot = h->slot;
		svid_event_send(h->file, &e);
	}
	rcu_read_unlock();
}

struct svid_hold *svid_hold_alloc(struct svid_file *f, const struct svid_key *key, u32 slot)
{
	struct svid_hold *h = kzalloc(sizeof(*h), GFP_KERNEL_ACCOUNT);

	if (h) {
		h->file = f;
		h->key = *key;
		h->slot = slot;
	}
	return h;
}

void svid_hold_free(struct svid_hold *h)
{
	kfree(h);
}

static void hold_unlink(struct svid_hold *h)
{
	hlist_del_rcu(&h->node);
	h->file->holders--;
	kfree_rcu(h, rcu);
}

bool svid_hold_take(struct svid_hold *h, bool replace, u32 *ret_slot)
{
	struct svid_hold *old;
	unsigned long flags;
	bool taken;

	raw_spin_lock_irqsave(&holds_lock, flags);
	old = hold_find(h->file, &h->key);
	taken = !old || replace;
	if (taken) {
		hlist_add_head_rcu(&h->node, hold_bucket(&h->key));
		h->file->holders++;
	}
	*ret_slot = taken ? h->slot : old->slot;
	if (taken && old)
		hold_unlink(old);
	raw_spin_unlock_irqrestore(&holds_lock, flags);
	smp_mb();
	return taken;
}

bool svid_hold_drop(struct svid_file *f, const struct svid_key *key)
{
	struct svid_hold *h;
	unsigned long flags;

	raw_spin_lock_irqsave(&holds_lock, flags);
	h = hold_find(f, key);
	if (h)
		hold_unlink(h);
	raw_spin_unlock_irqrestore(&holds_lock, flags);
	return h;
}

void svid_holds_forget(struct svid_file *f)
{
	struct svid_hold *h;
	struct hlist_node *next;
	unsigned long flags;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(holds) && READ_ONCE(f->holders); i++) {
		raw_spin_lock_irqsave(&holds_lock, flags);
		hlist_for_each_entry_safe(h, next, &holds[i], node)
			if (h->file == f)
				hold_unlink(h);
		raw_spin_unlock_irqrestore(&holds_lock, flags);
	}
}
