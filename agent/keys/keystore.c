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
	struct secbytes pkcs8;
};

struct entry {
	struct list node;
	struct keystore *store;
	uint32_t identity;
	struct key newest;
	struct key previous;
	struct loop_timer expire; /* of previous */
	unsigned int n_holds;
	unsigned int n_fetched; /* holds that have fetched the newest */
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
	secbytes_done(&k->pkcs8);
	k->generation = 0;
}

static void drop_previous(struct entry *e)
{
	loop_timer_stop(&e->expire);
	key_drop(&e->previous);
}

static void on_expire(struct loop_timer *t)
{
	drop_previous(container_of(t, struct entry, expire));
}

static void entry_free(struct entry *e)
{
	drop_previous(e);
	key_drop(&e->newest);
	list_del(&e->node);
	e->store->n_entries--;
	mem_free(e);
}

static void free_unused(struct entry *e)
{
	if (!e->n_holds && !e->newest.generation)
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
		e->expire.cb = on_expire;
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

int keystore_put(struct keystore *s, uint32_t identity, struct secbytes *pkcs8, uint64_t *ret_generation)
{
	struct entry *e;
	int err = find_or_add(s, identity, &e);

	if (err)
		return err;
	if (e->newest.generation) {
		err = loop_timer_in(s->loop, &e->expire, LIM_KEY_PREVIOUS_MS * NS_PER_MS);
		if (err)
			return err;
		key_drop(&e->previous);
		e->previous = e->newest;
	}
	e->newest = (struct key){ .generation = ++s->generation, .pkcs8 = *pkcs8 };
	e->n_fetched = 0;
	*pkcs8 = (struct secbytes){ 0 };
	*ret_generation = e->newest.generation;
	return 0;
}

static void forget(struct entry *e)
{
	drop_previous(e);
	key_drop(&e->newest);
	e->n_fetched = 0;
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

static void drop_fetched(struct entry *e)
{
	if (e->n_fetched >= e->n_holds)
		drop_previous(e);
}

void keystore_release(struct keystore *s, struct keystore_hold *hold)
{
	struct entry *e = find(s, hold->identity);

	if (!e)
		return;
	e->n_holds--;
	if (e->newest.generation && hold->generation == e->newest.generation)
		e->n_fetched--;
	if (e->n_holds)
		drop_fetched(e);
	free_unused(e);
}

/* Bounds what one front can make us hand out: each answer costs a descriptor until it is read. */
static int count_fetch(struct entry *e, struct keystore_hold *hold, uint64_t generation)
{
	if (generation > hold->generation) {
		hold->generation = generation;
		hold->fetches = 0;
		if (generation == e->newest.generation)
			e->n_fetched++;
	}
	return hold->fetches++ < LIM_KEY_FETCHES ? 0 : -ERR_LIMIT;
}

int keystore_fetch(struct keystore *s, struct keystore_hold *hold, uint64_t generation,
		   struct slice *ret_pkcs8)
{
	struct entry *e = find(s, hold->identity);
	struct key *k;
	int err;

	if (!e || !generation)
		return -ERR_NOT_FOUND;
	k = e->newest.generation == generation ? &e->newest : &e->previous;
	if (k->generation != generation)
		return -ERR_NOT_FOUND;
	err = count_fetch(e, hold, generation);
	if (err)
		return err;
	*ret_pkcs8 = secbytes_slice(&k->pkcs8);
	if (k == &e->newest)
		drop_fetched(e);
	return 0;
}

size_t keystore_count(const struct keystore *s)
{
	return s->n_entries;
}
