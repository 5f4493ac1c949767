// SPDX-License-Identifier: GPL-2.0-only
/*
 * The names of the credential tree: which entries the agent says there are, and their coming and going in sysfs.
 * Next: tree_read.c, what happens when one is read.
 */
#include "tree.h"

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat.h"

struct svid_tree_dir {
	struct svid_tree_node node;
	struct kobject *kobj;		/* the worker's; NULL until it has shown the directory */
	struct svid_tree_dir *next;	/* the worker's: directories that go */
	unsigned int children;		/* entries and directories in it */
};

/* names covers all that is here but the kobjects: above and top.kobj come and go with the module. */
static DEFINE_MUTEX(names);
static struct rb_root nodes = RB_ROOT;
static unsigned int entries;
static LIST_HEAD(coming);	/* what the worker will look at, first */
static LIST_HEAD(going);	/* and then: nobody waits for a dead name to vanish */
static struct svid_tree_dir top;	/* SVID_TREE_DIR; in no table */
static struct kobject *above;

DEFINE_SPINLOCK(svid_tree_lock);
struct workqueue_struct *svid_tree_queue;

static void work(struct work_struct *unused);
static DECLARE_WORK(worker, work);

static struct svid_tree_entry *entry_of(struct svid_tree_node *node)
{
	return container_of(node, struct svid_tree_entry, node);
}

static struct svid_tree_dir *dir_of(struct svid_tree_node *node)
{
	return container_of(node, struct svid_tree_dir, node);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int compare_path(const void *path, const struct rb_node *rb)
{
	return strcmp(path, rb_entry(rb, struct svid_tree_node, rb)->path);
}

static bool is_before(struct rb_node *a, const struct rb_node *b)
{
	return compare_path(rb_entry(a, struct svid_tree_node, rb)->path, b) < 0;
}

static struct svid_tree_node *find(const char *path)
{
	return rb_entry_safe(rb_find(path, &nodes, compare_path), struct svid_tree_node, rb);
}

static void insert(struct svid_tree_node *node, struct svid_tree_dir *dir)
{
	node->dir = dir;
	dir->children++;
	rb_add(&node->rb, &nodes, is_before);
}

/* Takes dir, if it is empty, and what that leaves empty out of the table, for drop_dirs(). */
static struct svid_tree_dir *take_empty(struct svid_tree_dir *dir)
{
	struct svid_tree_dir *gone = NULL, **end = &gone;

	for (; dir != &top && !dir->children; dir = dir->node.dir) {
		rb_erase(&dir->node.rb, &nodes);
		dir->node.dir->children--;
		*end = dir;
		end = &dir->next;
	}
	return gone;
}

/* Inner ones first. One that was never shown has no kobject. */
static void drop_dirs(struct svid_tree_dir *dir)
{
	struct svid_tree_dir *next;

	for (; dir; dir = next) {
		next = dir->next;
		kobject_del(dir->kobj);
		kobject_put(dir->kobj);
		kfree(dir);
	}
}

static struct svid_tree_dir *make_dir(struct svid_tree_dir *parent, const char *path)
{
	size_t len = strlen(path) + 1;
	struct svid_tree_dir *dir = kzalloc(sizeof(*dir) + len, GFP_KERNEL);

	if (!dir)
		return ERR_PTR(-ENOMEM);
	dir->node.path = memcpy(dir + 1, path, len);
	dir->node.is_dir = true;
	insert(&dir->node, parent);
	return dir;
}

/* The directory that path is in. One that is made here waits for a child to be inserted, and for the worker to show it. */
static struct svid_tree_dir *parent_of(char *path)
{
	struct svid_tree_dir *dir = &top, *next;
	struct svid_tree_node *node;
	char *slash;

	for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		node = find(path);
		if (!node)
			next = make_dir(dir, path);
		else
			next = node->is_dir ? dir_of(node) : ERR_PTR(-ENOTDIR);
		*slash = '/';
		if (IS_ERR(next)) {
			drop_dirs(take_empty(dir));
			return next;
		}
		dir = next;
	}
	return dir;
}

static ssize_t read_entry(struct file *file, struct kobject *kobj, BIN_CONST struct bin_attribute *attr, char *buf,
			  loff_t off, size_t count)
{
	return svid_tree_read((struct svid_tree_entry *)container_of(attr, struct svid_tree_entry, attr), file, buf, off, count);
}

/* The worker has something to do: call it whenever dead changes. */
static void enqueue(struct svid_tree_entry *entry)
{
	list_move_tail(&entry->todo, entry->dead ? &going : &coming);
	queue_work(svid_tree_queue, &worker);
}

/* It may be there, be on its way, or be on its way out: then it stays, or comes again. */
static void set_cookie(struct svid_tree_entry *entry, u64 cookie)
{
	bool changes = entry->dead || !entry->shown;

	spin_lock(&svid_tree_lock);
	entry->dead = false;
	entry->cookie = cookie;
	entry->round = svid_tree_round;
	svid_tree_ask(entry);
	spin_unlock(&svid_tree_lock);
	if (changes)
		enqueue(entry);
}

static struct svid_tree_entry *make_entry(const char *path)
{
	size_t len = strlen(path) + 1;
	struct svid_tree_entry *entry = kzalloc(sizeof(*entry) + len, GFP_KERNEL);

	if (!entry)
		return NULL;
	entry->node.path = memcpy(entry + 1, path, len);
	INIT_LIST_HEAD(&entry->todo);
	INIT_LIST_HEAD(&entry->waiters);
	INIT_LIST_HEAD(&entry->versions);
	sysfs_bin_attr_init(&entry->attr);
	entry->attr.attr.name = last_part(entry->node.path);
	entry->attr.attr.mode = 0444;
	entry->attr.read = read_entry;
	/* Size 0, the only one with which everybody reads to the end instead of to the size. */
	return entry;
}

static int add_new(char *path, u64 cookie)
{
	struct svid_tree_entry *entry;
	struct svid_tree_dir *dir;

	if (entries >= SVID_TREE_ENTRIES)
		return -ENOSPC;
	entry = make_entry(path);
	if (!entry)
		return -ENOMEM;
	dir = parent_of(path);
	if (IS_ERR(dir)) {
		kfree(entry);
		return PTR_ERR(dir);
	}
	insert(&entry->node, dir);
	entries++;
	set_cookie(entry, cookie);
	return 0;
}

int svid_tree_add(char *path, u64 cookie)
{
	struct svid_tree_node *node;
	int err = 0;

	mutex_lock(&names);
	node = find(path);
	if (!node)
		err = add_new(path, cookie);
	else if (node->is_dir)
		err = -EISDIR;
	else
		set_cookie(entry_of(node), cookie);
	mutex_unlock(&names);
	return err;
}

/* Dead first: whoever comes sees it, whoever waits is woken, and only then the worker takes it out of sysfs. */
static void kill_entry(struct svid_tree_entry *entry)
{
	LIST_HEAD(gone);

	spin_lock(&svid_tree_lock);
	entry->dead = true;
	svid_tree_wake(entry, -ENODEV);
	svid_tree_forget(entry, &gone);
	spin_unlock(&svid_tree_lock);
	svid_tree_versions_put(&gone);
	enqueue(entry);
}

/* Depth is SVID_TREE_DEPTH at most. */
static int show_dir(struct svid_tree_dir *dir)
{
	int err;

	if (dir->kobj)
		return 0;
	err = show_dir(dir->node.dir);
	if (err)
		return err;
	dir->kobj = kobject_create_and_add(last_part(dir->node.path), dir->node.dir->kobj);
	return dir->kobj ? 0 : -ENOMEM;
}

/* Makes sysfs as it is wanted, and says how it is then. Removal waits for the readers inside. */
static bool update(struct svid_tree_entry *entry, bool wanted)
{
	int err;

	if (wanted == entry->shown)
		return wanted;
	if (!wanted) {
		sysfs_remove_bin_file(entry->node.dir->kobj, &entry->attr);
		return false;
	}
	err = show_dir(entry->node.dir);
	if (!err)
		err = sysfs_create_bin_file(entry->node.dir->kobj, &entry->attr);
	if (err)
		pr_warn_ratelimited("an entry of the credential tree cannot be shown: error %d\n", -err);
	return !err;
}

static struct svid_tree_dir *free_entry(struct svid_tree_entry *entry)
{
	struct svid_tree_dir *dir = entry->node.dir;

	rb_erase(&entry->node.rb, &nodes);
	entries--;
	dir->children--;
	kfree(entry);
	return take_empty(dir);
}

static struct svid_tree_entry *next_todo(void)
{
	struct list_head *list = list_empty(&coming) ? &going : &coming;

	return list_first_entry_or_null(list, struct svid_tree_entry, todo);
}

/*
 * The worker, which never runs twice at a time. While it does not hold names, the entry and its directories stay: only here
 * they are freed. What the agent changes meanwhile puts the entry on the list again.
 */
static void work(struct work_struct *unused)
{
	struct svid_tree_entry *entry;
	struct svid_tree_dir *gone;
	bool is, wanted;

	mutex_lock(&names);
	while ((entry = next_todo())) {
		list_del_init(&entry->todo);
		wanted = !entry->dead;
		mutex_unlock(&names);
		is = update(entry, wanted);
		cond_resched();
		mutex_lock(&names);
		entry->shown = is;
		if (is || !entry->dead || !list_empty(&entry->todo))
			continue;
		gone = free_entry(entry);
		mutex_unlock(&names);
		drop_dirs(gone);
		mutex_lock(&names);
	}
	mutex_unlock(&names);
}

int svid_tree_del(const char *path)
{
	struct svid_tree_node *node;
	int err = 0;

	mutex_lock(&names);
	node = find(path);
	if (!node)
		err = -ENOENT;
	else if (node->is_dir)
		err = -EISDIR;
	else if (entry_of(node)->dead)
		err = -ENOENT;
	else
		kill_entry(entry_of(node));
	mutex_unlock(&names);
	return err;
}

void svid_tree_begin(void)
{
	mutex_lock(&names);
	spin_lock(&svid_tree_lock);
	svid_tree_round++;
	svid_tree_hold();
	spin_unlock(&svid_tree_lock);
	mutex_unlock(&names);
}

void svid_tree_sweep(bool all)
{
	struct svid_tree_node *node;
	struct rb_node *rb;

	mutex_lock(&names);
	for (rb = rb_first(&nodes); rb; rb = rb_next(rb)) {
		node = rb_entry(rb, struct svid_tree_node, rb);
		if (!node->is_dir && !entry_of(node)->dead && (all || entry_of(node)->round != svid_tree_round))
			kill_entry(entry_of(node));
		cond_resched();
	}
	mutex_unlock(&names);
}

int __init svid_tree_init(void)
{
	svid_tree_queue = alloc_workqueue("svid_tree", WQ_UNBOUND, 0);
	if (!svid_tree_queue)
		return -ENOMEM;
	above = kobject_create_and_add("svid", kernel_kobj);
	if (!above)
		goto no_dir;
	top.kobj = kobject_create_and_add("credentials", above);
	if (!top.kobj)
		goto no_top;
	return 0;

no_top:
	kobject_put(above);
no_dir:
	destroy_workqueue(svid_tree_queue);
	return -ENOMEM;
}

/* The last tree file is closed, so all entries are dead and their readers awake; the worker may still be at it. */
void svid_tree_exit(void)
{
	svid_tree_versions_exit();
	destroy_workqueue(svid_tree_queue);
	kobject_put(top.kobj);
	kobject_put(above);
}
