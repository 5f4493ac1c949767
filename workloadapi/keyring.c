// SPDX-License-Identifier: Apache-2.0
/* keyring.c - a short list of keys. svid-front. */
#include "workloadapi/keyring.h"

#include <errno.h>

#include "agent/base/mem.h"

struct ring_key {
	struct list node;
	uint32_t identity;
	uint64_t generation;
	struct secret *key; /* NULL: asked for */
};

void keyring_init(struct keyring *r)
{
	list_init(&r->keys);
}

static struct ring_key *find(const struct keyring *r, uint32_t identity, uint64_t generation)
{
	struct ring_key *k;

	list_for_each(k, &r->keys, node)
		if (k->identity == identity && k->generation == generation)
			return k;
	return NULL;
}

static void drop(struct ring_key *k)
{
	list_del(&k->node);
	secret_free(k->key);
	mem_free(k);
}

void keyring_done(struct keyring *r)
{
	struct ring_key *k, *tmp;

	list_for_each_safe(k, tmp, &r->keys, node)
		drop(k);
}

int keyring_ask(struct keyring *r, uint32_t identity, uint64_t generation)
{
	struct ring_key *k = mem_new(struct ring_key);

	if (!k)
		return -ENOMEM;
	k->identity = identity;
	k->generation = generation;
	list_add_tail(&r->keys, &k->node);
	return 0;
}

bool keyring_is_asked(const struct keyring *r, uint32_t identity, uint64_t generation)
{
	struct ring_key *k = find(r, identity, generation);

	return k && !k->key;
}

bool keyring_has(const struct keyring *r, uint32_t identity, uint64_t generation)
{
	return find(r, identity, generation) != NULL;
}

struct secret *keyring_get(const struct keyring *r, uint32_t identity, uint64_t generation)
{
	struct ring_key *k = find(r, identity, generation);

	return k ? k->key : NULL;
}

void keyring_put(struct keyring *r, uint32_t identity, uint64_t generation, struct secret *key)
{
	struct ring_key *k = find(r, identity, generation);

	if (k && !k->key)
		k->key = key;
	else
		secret_free(key);
}

void keyring_drop(struct keyring *r, uint32_t identity, uint64_t generation)
{
	struct ring_key *k = find(r, identity, generation);

	if (k)
		drop(k);
}

void keyring_forget_asked(struct keyring *r)
{
	struct ring_key *k, *tmp;

	list_for_each_safe(k, tmp, &r->keys, node)
		if (!k->key)
			drop(k);
}

static bool is_needed(const struct ring_key *k, const struct set *s)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (s->ids[i].e.identity == k->identity && s->ids[i].e.generation == k->generation)
			return true;
	return false;
}

void keyring_keep(struct keyring *r, const struct set *s)
{
	struct ring_key *k, *tmp;

	list_for_each_safe(k, tmp, &r->keys, node)
		if (k->key && !is_needed(k, s))
			drop(k);
}
