// SPDX-License-Identifier: Apache-2.0
/*
 * tree_sync.c - names follow documents: <uuid>/ for each identity in force, self/ for the union. In slices of a turn,
 * what is gone first. svid-core.
 */
#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/uuid.h"
#include "agent/core/tree_parts.h"

/* Units, see sorter.h. */
#define TURN (BUDGET_TURN / 4)
#define COST_LOOK 4
#define COST_NAMES 60
#define COST_SHOW 60	      /* a call of the kernel, which makes a file */
#define SHOW_AGAIN_NS NS_PER_S
#define NAMES_AGAIN 5 /* passes, a second apart */
#define FILES_AT_MOST 64      /* of one identity */

static void work_on(struct tree *t)
{
	if (loop_timer_in(t->core->loop, &t->work, 0))
		log_error(EV_TREE, KV("err", V_S("ENOMEM")));
}

static struct list *bucket_of(struct tree *t, uint32_t number)
{
	return &t->owners[number % TREE_OWNERS];
}

static struct tree_owner *find_owner(const struct tree *t, uint32_t number)
{
	const struct list *bucket = bucket_of((struct tree *)t, number);
	struct tree_owner *o;

	list_for_each(o, bucket, in_hash)
		if (o->number == number)
			return o;
	return NULL;
}

struct tree_node *tree_owner_dir(const struct tree *t, uint32_t number)
{
	const struct tree_owner *o = find_owner(t, number);

	return o ? o->dir : NULL;
}

/* ---- what goes ---- */

/* A file of self/ that nobody has any more, and what is empty without it. */
static void drop_self(struct tree *t, struct tree_node *n)
{
	while (n->parent && !n->n_children) {
		struct tree_node *dir = n->parent;

		if (n == t->self)
			t->self = NULL;
		tree_node_drop(t, n);
		n = dir;
	}
}

static void drop_file(struct tree *t, struct tree_node *n)
{
	struct tree_node *self = t->self ? tree_like(t, t->self, n) : NULL;

	tree_node_drop(t, n);
	if (self && !--self->uses)
		drop_self(t, self);
}

/* What is in @dir that was not seen as of generation @seen; 0: all. */
static void prune(struct tree *t, struct tree_node *dir, uint64_t seen)
{
	struct tree_node *n, *tmp;

	list_for_each_safe(n, tmp, &dir->children, in_dir) {
		if (!n->source) {
			prune(t, n, seen);
			if (!n->n_children)
				tree_node_drop(t, n);
		} else if (!seen || n->seen != seen) {
			drop_file(t, n);
		}
	}
}

static void owner_free(struct tree *t, struct tree_owner *o)
{
	prune(t, o->dir, 0);
	tree_node_drop(t, o->dir);
	list_del(&o->in_hash);
	list_del(&o->in_all);
	t->stats.identities--;
	mem_free(o);
}

static bool step_gone(struct tree *t, struct budget *b)
{
	const struct policy *p = docs_policy(t->core->docs);

	for (; t->at && b->left; t->at--) {
		struct tree_owner *o = list_entry(t->all_owners.next, struct tree_owner, in_all);

		budget_spend(b, COST_LOOK);
		if (policy_by_number(p, o->number)) {
			list_del(&o->in_all);
			list_add_tail(&t->all_owners, &o->in_all);
		} else {
			owner_free(t, o);
			budget_spend(b, COST_NAMES + COST_SHOW);
		}
	}
	return !t->at;
}

/* ---- what comes ---- */

struct naming {
	struct tree *tree;
	struct tree_owner *owner;
	const struct tree_source *source;
	uint64_t generation;
	struct budget *budget;
	bool failed;
};

/* The file at @path below @top, with the directories on the way; NULL when it cannot be made. */
static struct tree_node *make_file(struct tree *t, struct tree_node *top, const char *path, const struct naming *a, uint32_t what)
{
	struct slice rest = slice_str(path);
	struct tree_node *n = top;

	while (n && rest.len) {
		const uint8_t *slash = memchr(rest.p, '/', rest.len);
		struct slice name = slice_get_bytes(&rest, slash ? (size_t)(slash - rest.p) : rest.len);

		n = tree_node_make(t, n, name, !slash);
		if (slash)
			(void)slice_get_bytes(&rest, 1);
	}
	if (!n || n == top)
		return NULL;
	if (!n->source)
		n->source = a->source;
	n->what = what;
	return n;
}

static void show(struct naming *a, struct tree_node *n)
{
	if (n->shown)
		return;
	tree_node_show(a->tree, n);
	budget_spend(a->budget, COST_SHOW);
}

/* Both or none. One in self/ that is there already cannot fail: so who has a file there is counted in its uses. */
static void add_name(void *arg, const char *path, uint32_t what)
{
	struct naming *a = arg;
	struct tree *t = a->tree;
	struct tree_node *n = make_file(t, a->owner->dir, path, a, what), *self = NULL;
	bool is_new = n && !n->seen;

	if (n && !t->self)
		t->self = tree_node_make(t, t->root, slice_str("self"), false);
	if (n && t->self)
		self = make_file(t, t->self, path, a, 0);
	if (!n || !self) {
		a->failed = true;
		return;
	}
	n->identity = a->owner->number;
	n->seen = a->generation;
	self->uses += is_new;
	show(a, n);
	show(a, self);
}

static struct tree_owner *owner_new(struct tree *t, const struct identity *doc)
{
	struct tree_owner *o = mem_new(struct tree_owner);
	char uuid[UUID_TEXT];

	if (!o)
		return NULL;
	uuid_of_url(slice_str(doc->spiffe_id), uuid);
	o->number = doc->number;
	o->dir = tree_node_make(t, t->root, slice_str(uuid), false);
	if (!o->dir || o->dir->identity) {
		mem_free(o);
		return NULL;
	}
	o->dir->identity = doc->number;
	list_init(&o->in_hash);
	list_init(&o->in_all);
	list_add_tail(bucket_of(t, doc->number), &o->in_hash);
	list_add_tail(&t->all_owners, &o->in_all);
	t->stats.identities++;
	return o;
}

static void name_all(struct tree *t, const struct identity *doc, struct budget *b)
{
	struct naming a = { .tree = t, .owner = find_owner(t, doc->number), .budget = b,
			    .generation = docs_generation(t->core->docs) };

	budget_spend(b, COST_NAMES);
	if (!a.owner && t->stats.files + FILES_AT_MOST <= LIM_TREE_ENTRIES)
		a.owner = owner_new(t, doc);
	if (!a.owner) {
		t->stats.left_out++;
		return;
	}
	for (size_t i = 0; tree_sources[i]; i++) {
		a.source = tree_sources[i];
		a.source->names(doc, add_name, &a);
	}
	prune(t, a.owner->dir, a.generation);
	if (!a.failed)
		return;
	owner_free(t, a.owner);
	t->stats.left_out++;
}

static bool step_names(struct tree *t, struct budget *b)
{
	const struct policy *p = docs_policy(t->core->docs);
	const struct identity *doc;

	while (b->left && (doc = policy_at(p, t->at))) {
		name_all(t, doc, b);
		t->at++;
	}
	return b->left;
}

static bool step_show(struct tree *t, struct budget *b)
{
	struct tree_node *n;

	for (; t->at < TREE_BUCKETS && b->left && t->stats.not_shown; t->at++) {
		budget_spend(b, 1);
		list_for_each(n, &t->nodes[t->at], in_hash)
			if (n->source && !n->shown) {
				tree_node_show(t, n);
				budget_spend(b, COST_SHOW);
			}
	}
	return t->at == TREE_BUCKETS || !t->stats.not_shown;
}

/* ---- in turn ---- */

static void names_are_there(struct tree *t)
{
	if (t->stats.left_out)
		log_warn(EV_LIMIT, KV("what", V_S("identities without files in the credential tree")),
			 KV("left_out", V_U(t->stats.left_out)));
	if (!t->complete) {
		t->complete = true;
		if (t->backend->complete)
			t->backend->complete(t->backend_owner);
	}
	tree_reads_go_on(t);
}

/* Whoever has no files may have had no memory for them: that passes. What else it is does not, so this ends, too. */
static bool wants_names(const struct tree *t)
{
	return t->stats.left_out && t->again < NAMES_AGAIN;
}

static void begin(struct tree *t, enum tree_pass pass)
{
	t->pass = pass;
	t->at = pass == TREE_PASS_GONE ? t->stats.identities : 0;
	if (pass == TREE_PASS_NAMES)
		t->stats.left_out = 0;
	if (pass != TREE_PASS_NONE || (!t->stats.not_shown && !wants_names(t)))
		return;
	if (loop_timer_in(t->core->loop, &t->show, SHOW_AGAIN_NS))
		log_error(EV_TREE, KV("err", V_S("ENOMEM")));
}

static void step(struct tree *t, struct budget *b)
{
	switch (t->pass) {
	case TREE_PASS_GONE:
		if (step_gone(t, b))
			begin(t, TREE_PASS_NAMES);
		break;
	case TREE_PASS_NAMES:
		if (!step_names(t, b))
			break;
		begin(t, TREE_PASS_NONE);
		names_are_there(t);
		break;
	case TREE_PASS_SHOW:
		if (step_show(t, b))
			begin(t, TREE_PASS_NONE);
		break;
	case TREE_PASS_NONE:
		break;
	}
}

static void on_work(struct loop_timer *timer)
{
	struct tree *t = container_of(timer, struct tree, work);
	struct budget b = BUDGET_INIT(TURN);

	while (t->pass != TREE_PASS_NONE && b.left)
		step(t, &b);
	if (t->pass != TREE_PASS_NONE)
		work_on(t);
}

static void on_show(struct loop_timer *timer)
{
	struct tree *t = container_of(timer, struct tree, show);

	if (t->pass != TREE_PASS_NONE)
		return;
	if (wants_names(t)) {
		t->again++;
		begin(t, TREE_PASS_NAMES);
	} else {
		begin(t, TREE_PASS_SHOW);
	}
	work_on(t);
}

void tree_outdated(struct tree *t)
{
	if (!t || !t->backend)
		return;
	t->again = 0;
	begin(t, TREE_PASS_GONE);
	work_on(t);
}

void tree_sync_init(struct tree *t)
{
	t->work.cb = on_work;
	t->show.cb = on_show;
	list_init(&t->all_owners);
	for (size_t i = 0; i < TREE_OWNERS; i++)
		list_init(&t->owners[i]);
}

void tree_sync_done(struct tree *t)
{
	struct tree_owner *o, *tmp;

	loop_timer_stop(&t->work);
	loop_timer_stop(&t->show);
	list_for_each_safe(o, tmp, &t->all_owners, in_all)
		mem_free(o);
}
