// SPDX-License-Identifier: Apache-2.0
/* keyring.c - a short list of keys. svid-front. */
#include "workloadapi/keyring.h"

#include <errno.h>

#include "agent/base/mem.h"

struct ring_key {
	struct list node;
	struct key_id id;
	struct secret *key; /* NULL: asked for */
};

void keyring_init(struct keyring *r)
{
	list_init(&r->keys);
}

static bool same(const struct key_id *a, const struct key_id *b)
{
	return a->identity == b->identity && a->kind == b->kind && a->generation == b->generation;
}

static struct ring_key *find(const struct keyring *r, struct key_id id)
{
	struct ring_key *k;

	list_for_each(k, &r->keys, node)
		if (same(&k->id, &id))
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

int keyring_ask(struct keyring *r, struct key_id id)
{
	struct ring_key *k = mem_new(struct ring_key);

	if (!k)
		return -ENOMEM;
	k->id = id;
	list_add_tail(&r->keys, &k->node);
	return 0;
}

bool keyring_is_asked(const struct keyring *r, struct key_id id)
{
	struct ring_key *k = find(r, id);

	return k && !k->key;
}

bool keyring_has(const struct keyring *r, struct key_id id)
{
	return find(r, id) != NULL;
}

struct secret *keyring_get(const struct keyring *r, struct key_id id)
{
	struct ring_key *k = find(r, id);

	return k ? k->key : NULL;
}

void keyring_put(struct keyring *r, struct key_id id, struct secret *key)
{
	struct ring_key *k = find(r, id);

	if (k && !k->key)
		k->key = key;
	else
		secret_free(key);
}

void keyring_drop(struct keyring *r, struct key_id id)
{
	struct ring_key *k = find(r, id);

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

void keyring_keep(struct keyring *r, const struct set *s)
{
	struct ring_key *k, *tmp;

	list_for_each_safe(k, tmp, &r->keys, node)
		if (k->key && !set_needs(s, k->id))
			drop(k);
}
