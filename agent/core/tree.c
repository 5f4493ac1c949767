// SPDX-License-Identifier: Apache-2.0
/* tree.c - the table of the credential tree's names: directories and files, found by id or by name. svid-core. */
#include "agent/core/tree.h"

#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/tree_fuse.h"
#include "agent/core/tree_kmod.h"
#include "agent/core/tree_parts.h"

static struct list *bucket_of(struct tree *t, uint64_t id)
{
	return &t->nodes[id % TREE_BUCKETS];
}

/* FNV-1a over the directory's id and the name; the last steps spread it over all bits. Small numbers are not names. */
static uint64_t id_of(uint64_t dir, struct slice name)
{
	uint64_t h = 14695981039346656037ull ^ dir;

	h *= 1099511628211ull;
	for (size_t i = 0; i < name.len; i++)
		h = (h ^ name.p[i]) * 1099511628211ull;
	h ^= h >> 32;
	h *= 0x9e3779b97f4a7c15ull;
	h ^= h >> 29;
	h >>= 1; /* FUSE's listings go on at the id of a node, as a signed number */
	return h > 255 ? h : h + 256;
}

static struct tree_node *find(const struct tree *t, uint64_t id)
{
	const struct list *bucket = bucket_of((struct tree *)t, id);
	struct tree_node *n;

	list_for_each(n, bucket, in_hash)
		if (n->id == id)
			return n;
	return NULL;
}

const struct tree_node *tree_find(const struct tree *t, uint64_t id)
{
	return find(t, id);
}

static bool is_called(const struct tree_node *n, const struct tree_node *dir, struct slice name)
{
	return n->parent == dir && slice_eq_str(name, n->name);
}

static struct tree_node *lookup(const struct tree *t, const struct tree_node *dir, struct slice name)
{
	struct tree_node *n = find(t, id_of(dir->id, name));

	return n && is_called(n, dir, name) ? n : NULL;
}

const struct tree_node *tree_lookup(const struct tree *t, const struct tree_node *dir, struct slice name)
{
	return lookup(t, dir, name);
}

const struct tree_node *tree_root(const struct tree *t)
{
	return t->root;
}

size_t tree_path(const struct tree_node *n, char path[static TREE_PATH_MAX])
{
	size_t at = 0, len;

	path[0] = 0;
	if (!n->parent)
		return 0;
	at = tree_path(n->parent, path);
	len = strlen(n->name);
	if (at + len + 2 > TREE_PATH_MAX)
		return at;
	if (at)
		path[at++] = '/';
	memcpy(path + at, n->name, len + 1);
	return at + len;
}

static struct tree_node *node_new(struct tree *t, struct tree_node *dir, struct slice name, uint64_t id)
{
	struct tree_node *n = mem_calloc(1, sizeof(*n) + name.len + 1);

	if (!n)
		return NULL;
	memcpy(n->name, name.p, name.len);
	n->id = id;
	n->parent = dir;
	list_init(&n->in_dir);
	list_init(&n->children);
	list_init(&n->in_hash);
	list_add_tail(bucket_of(t, id), &n->in_hash);
	if (dir) {
		list_add_tail(&dir->children, &n->in_dir);
		dir->n_children++;
	}
	return n;
}

struct tree_node *tree_node_make(struct tree *t, struct tree_node *dir, struct slice name, bool is_file)
{
	uint64_t id = id_of(dir->id, name);
	struct tree_node *n = find(t, id);

	if (n)
		return is_called(n, dir, name) && !n->source == !is_file ? n : NULL;
	if (name.len > TREE_NAME_MAX || (is_file && t->stats.files >= LIM_TREE_ENTRIES))
		return NULL;
	n = node_new(t, dir, name, id);
	if (n && is_file) {
		t->stats.files++;
		t->stats.not_shown++;
	}
	return n;
}

void tree_node_drop(struct tree *t, struct tree_node *n)
{
	struct tree_node *dir = n->parent;

	if (n->readers)
		tree_reads_end(t, n);
	list_del(&n->in_hash);
	list_del(&n->in_dir);
	dir->n_children--;
	if (n->source) { /* a file that was just made may have none yet */
		t->stats.files--;
		t->stats.not_shown -= !n->shown;
		if (n->shown && t->backend->del)
			t->backend->del(t->backend_owner, n);
	}
	mem_free(n);
}

void tree_node_show(struct tree *t, struct tree_node *n)
{
	int err = t->backend->add ? t->backend->add(t->backend_owner, n) : 0;

	if (err)
		log_debug(EV_TREE, KV("what", V_S("a name is not shown")), KV("err", V_S(err_name(err))));
	n->shown = !err;
	t->stats.not_shown -= !err;
}

struct tree_node *tree_like(const struct tree *t, const struct tree_node *dir, const struct tree_node *n)
{
	/* A directory of the root is where names of both begin. */
	if (!n->parent->parent)
		return (struct tree_node *)dir;
	dir = tree_like(t, dir, n->parent);
	return dir ? lookup(t, dir, slice_str(n->name)) : NULL;
}

struct core *tree_core(const struct tree *t)
{
	return t->core;
}

int tree_new(struct core *c, struct tree **ret_tree)
{
	struct tree *t = mem_new(struct tree);

	if (!t)
		return -ENOMEM;
	t->core = c;
	for (size_t i = 0; i < TREE_BUCKETS; i++)
		list_init(&t->nodes[i]);
	t->root = node_new(t, NULL, slice_str(""), TREE_ROOT);
	if (!t->root || tree_audit_init(&t->audit, c)) {
		mem_free(t->root);
		mem_free(t);
		return -ENOMEM;
	}
	tree_sync_init(t);
	tree_reads_init(t);
	*ret_tree = t;
	return 0;
}

void tree_free(struct tree *t)
{
	struct tree_node *n, *tmp;

	if (!t)
		return;
	tree_reads_done(t);
	tree_sync_done(t);
	tree_audit_done(&t->audit);
	if (t->backend && t->backend->end)
		t->backend->end(t->backend_owner);
	for (size_t i = 0; i < TREE_BUCKETS; i++)
		list_for_each_safe(n, tmp, &t->nodes[i], in_hash)
			mem_free(n);
	mem_free(t);
}

void tree_set_backend(struct tree *t, const struct tree_backend *b, void *owner)
{
	t->backend = b;
	t->backend_owner = owner;
}

const char *tree_backend_name(const struct tree *t)
{
	return t->backend ? t->backend->name : delivery_name(DELIVERY_NONE);
}

bool tree_is_complete(const struct tree *t)
{
	return t->complete;
}

void tree_get_stats(const struct tree *t, struct tree_stats *ret_stats)
{
	*ret_stats = t->stats;
	ret_stats->complete = t->complete && t->pass != TREE_PASS_GONE && t->pass != TREE_PASS_NAMES;
}

static int start_backend(struct tree *t, const struct plan *p)
{
	if (p->tree >= 0)
		return tree_kmod_start(t, p->tree);
	if (p->fuse >= 0)
		return tree_fuse_start(t, p->fuse, p->fuse_state);
	return 0;
}

int tree_start(struct core *c)
{
	int err = tree_new(c, &c->tree);

	if (err)
		return err;
	err = start_backend(c->tree, &c->plan);
	if (err)
		log_error(EV_TREE, KV("what", V_S("no credential tree")), KV("err", V_S(err_name(err))));
	c->tree_err = err;
	return 0;
}
