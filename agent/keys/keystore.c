/* SPDX-License-Identifier: Apache-2.0 */
/* keystore.c - hash of identity number to its keys, with timers for previous generations. svid-keys. */
#include "agent/keys/keystore.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "agent/base/mem.h"

#define BUCKETS 4096u /* identity numbers are dense, so their low bits spread well */

struct key {
	uint64_t generation; /* 0: none */
	struct secbytes bytes;
};

/* The keys of one kind. */
struct pair {
	struct key newest;
	struct key previous;
	struct loop_timer expire; /* of previous */
	unsigned int n_fetched;	  /* holds that have fetched the newest */
};

struct entry {
	struct list node;
	struct keystore *store;
	uint32_t identity;
	unsigned int n_holds;
	struct pair of[SVID_KINDS];
};

struct keystore {
	struct loop *loop;
	uint64_t generation; /* last one given */
	size_t n_entries;
	struct list buckets[BUCKETS];
};

static struct list *bucket_of(struct keystore *s, uint32_t identity)
{
	return &s->buckets[identity % BUCKETS];
}

static struct entry *find(struct keystore *s, uint32_t identity)
{
	struct entry *e;

	list_for_each(e, bucket_of(s, identity), node)
		if (e->identity == identity)
			return e;
	return NULL;
}

static void key_drop(struct key *k)
{
	secbytes_done(&k->bytes);
	k->generation = 0;
}

static void drop_previous(struct pair *p)
{
	loop_timer_stop(&p->expire);
	key_drop(&p->previous);
}

static void on_expire(struct loop_timer *t)
{
	drop_previous(container_of(t, struct pair, expire));
}

static void drop_keys(struct entry *e)
{
	for (size_t i = 0; i < SVID_KINDS; i++) {
		drop_previous(&e->of[i]);
		key_drop(&e->of[i].newest);
		e->of[i].n_fetched = 0;
	}
}

static bool has_keys(const struct entry *e)
{
	for (size_t i = 0; i < SVID_KINDS; i++)
		if (e->of[i].newest.generation)
			return true;
	return false;
}

static void entry_free(struct entry *e)
{
	drop_keys(e);
	list_del(&e->node);
	e->store->n_entries--;
	mem_free(e);
}

static void free_unused(struct entry *e)
{
	if (!e->n_holds && !has_keys(e))
		entry_free(e);
}

static int find_or_add(struct keystore *s, uint32_t identity, struct entry **ret_entry)
{
	struct entry *e = find(s, identity);

	if (!e) {
		if (s->n_entries >= LIM_IDENTITIES)
			return -ERR_LIMIT;
		e = mem_new(struct entry);
		if (!e)
			return -ENOMEM;
		e->store = s;
		e->identity = identity;
		for (size_t i = 0; i < SVID_KINDS; i++)
			e->of[i].expire.cb = on_expire;
		list_add_tail(bucket_of(s, identity), &e->node);
		s->n_entries++;
	}
	*ret_entry = e;
	return 0;
}

int keystore_new(struct loop *loop, struct keystore **ret_store)
{
	struct keystore *s = mem_new(struct keystore);

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	/* Fronts outlive this process: a number that the last one gave must not mean another key. */
	s->generation = clock_boot_ns();
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&s->buckets[i]);
	*ret_store = s;
	return 0;
}

void keystore_free(struct keystore *s)
{
	struct entry *e, *tmp;

	if (!s)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &s->buckets[i], node)
			entry_free(e);
	mem_free(s);
}

int keystore_put(struct keystore *s, uint32_t identity, enum svid_kind kind, struct secbytes *key,
		 uint64_t *ret_generation)
{
	struct entry *e;
	struct pair *p;
	int err = find_or_add(s, identity, &e);

	if (err)
		return err;
	p = &e->of[kind];
	if (p->newest.generation) {
		err = loop_timer_in(s->loop, &p->expire, LIM_KEY_PREVIOUS_MS * NS_PER_MS);
		if (err)
			return err;
		key_drop(&p->previous);
		p->previous = p->newest;
	}
	p->newest = (struct key){ .generation = ++s->generation, .bytes = *key };
	p->n_fetched = 0;
	*key = (struct secbytes){ 0 };
	*ret_generation = p->newest.generation;
	return 0;
}

static void forget(struct entry *e)
{
	drop_keys(e);
	free_unused(e);
}

void keystore_forget(struct keystore *s, uint32_t identity)
{
	struct entry *e = find(s, identity);

	if (e)
		forget(e);
}

void keystore_clear(struct keystore *s)
{
	struct entry *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &s->buckets[i], node)
			forget(e);
}

int keystore_hold(struct keystore *s, uint32_t identity, struct keystore_hold *ret_hold)
{
	struct entry *e;
	int err = find_or_add(s, identity, &e);

	if (err)
		return err;
	e->n_holds++;
	*ret_hold = (struct keystore_hold){ .identity = identity };
	return 0;
}

static void drop_fetched(struct entry *e, enum svid_kind kind)
{
	if (e->of[kind].n_fetched >= e->n_holds)
		drop_previous(&e->of[kind]);
}

void keystore_release(struct keystore *s, struct keystore_hold *hold)
{
	struct entry *e = find(s, hold->identity);

	if (!e)
		return;
	e->n_holds--;
	for (size_t i = 0; i < SVID_KINDS; i++) {
		if (e->of[i].newest.generation && hold->of[i].generation == e->of[i].newest.generation)
			e->of[i].n_fetched--;
		if (e->n_holds)
			drop_fetched(e, i);
	}
	free_unused(e);
}

/* Bounds what one front can make us hand out: each answer costs a descriptor until it is read. */
static int count_fetch(struct pair *p, struct keystore_hold *hold, enum svid_kind kind, uint64_t generation)
{
	if (generation > hold->of[kind].generation) {
		hold->of[kind].generation = generation;
		hold->of[kind].fetches = 0;
		if (generation == p->newest.generation)
			p->n_fetched++;
	}
	return hold->of[kind].fetches++ < LIM_KEY_FETCHES ? 0 : -ERR_LIMIT;
}

static struct key *key_of(struct entry *e, enum svid_kind kind, uint64_t generation)
{
	struct pair *p = &e->of[kind];
	struct key *k = p->newest.generation == generation ? &p->newest : &p->previous;

	return generation && k->generation == generation ? k : NULL;
}

int keystore_peek(struct keystore *s, uint32_t identity, enum svid_kind kind, uint64_t generation,
		  struct slice *ret_key)
{
	struct entry *e = find(s, identity);
	struct key *k = e ? key_of(e, kind, generation) : NULL;

	if (!k)
		return -ERR_NOT_FOUND;
	*ret_key = secbytes_slice(&k->bytes);
	return 0;
}

int keystore_fetch(struct keystore *s, struct keystore_hold *hold, enum svid_kind kind, uint64_t generation,
		   struct slice *ret_key)
{
	struct entry *e = find(s, hold->identity);
	struct key *k = e ? key_of(e, kind, generation) : NULL;
	struct pair *p;
	int err;

	if (!k)
		return -ERR_NOT_FOUND;
	p = &e->of[kind];
	err = count_fetch(p, hold, kind, generation);
	if (err)
		return err;
	*ret_key = secbytes_slice(&k->bytes);
	if (k == &p->newest)
		drop_fetched(e, kind);
	return 0;
}

size_t keystore_count(const struct keystore *s)
{
	return s->n_entries;
}
