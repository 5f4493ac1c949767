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

#define BIN_CONST

struct svid_tree_dir {
	struct svid_tree_node node;
	struct kobject *kobj;
	unsigned int children;		/* entries and directories in it */
};

/* names covers all that is here but the two kobjects, which come and go with the module. */
static DEFINE_MUTEX(names);
static struct rb_root nodes = RB_ROOT;
static unsigned int entries;
static LIST_HEAD(dying);
static struct svid_tree_dir top;	/* SVID_TREE_DIR; in no table */
static struct kobject *above;

DEFINE_SPINLOCK(svid_tree_lock);
struct workqueue_struct *svid_tree_queue;

static void reap(struct work_struct *work);
static DECLARE_WORK(reaper, reap);

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

/* An empty directory goes, and so do those that it leaves empty. Nobody reads a directory by a callback: no wait here. */
static void prune(struct svid_tree_dir *dir)
{
	struct svid_tree_dir *above_it;

	for (; dir != &top && !dir->children; dir = above_it) {
		above_it = dir->node.dir;
		rb_erase(&dir->node.rb, &nodes);
		above_it->children--;
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
	dir->kobj = kobject_create_and_add(last_part(dir->node.path), parent->kobj);
	if (!dir->kobj) {
		kfree(dir);
		return ERR_PTR(-ENOMEM);
	}
	insert(&dir->node, parent);
	return dir;
}

/* The directory that path is in. One that is made here is empty, and the caller's to prune. */
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
			prune(dir);
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

static int show(struct svid_tree_entry *entry)
{
	int err = sysfs_create_bin_file(entry->node.dir->kobj, &entry->attr);

	entry->shown = !err;
	return err;
}

static void set_cookie(struct svid_tree_entry *entry, u64 cookie)
{
	spin_lock(&svid_tree_lock);
	entry->dead = false;
	entry->cookie = cookie;
	entry->round = svid_tree_round;
	svid_tree_ask(entry);
	spin_unlock(&svid_tree_lock);
}

/* It is there, or on its way out: then it stays after all. When the worker has begun to remove it, it shows it again. */
static int add_again(struct svid_tree_entry *entry, u64 cookie)
{
	list_del_init(&entry->dying);
	set_cookie(entry, cookie);
	return entry->shown || entry->removing ? 0 : show(entry);
}

static struct svid_tree_entry *make_entry(const char *path, u64 cookie)
{
	size_t len = strlen(path) + 1;
	struct svid_tree_entry *entry = kzalloc(sizeof(*entry) + len, GFP_KERNEL);

	if (!entry)
		return NULL;
	entry->node.path = memcpy(entry + 1, path, len);
	INIT_LIST_HEAD(&entry->dying);
	INIT_LIST_HEAD(&entry->waiters);
	INIT_LIST_HEAD(&entry->versions);
	sysfs_bin_attr_init(&entry->attr);
	entry->attr.attr.name = last_part(entry->node.path);
	entry->attr.attr.mode = 0444;
	entry->attr.read = read_entry;
	/* Size 0, the only one with which everybody reads to the end instead of to the size. */
	set_cookie(entry, cookie);
	return entry;
}

static int add_new(char *path, u64 cookie)
{
	struct svid_tree_entry *entry;
	struct svid_tree_dir *dir;
	int err;

	if (entries >= SVID_TREE_ENTRIES)
		return -ENOSPC;
	entry = make_entry(path, cookie);
	if (!entry)
		return -ENOMEM;
	dir = parent_of(path);
	if (IS_ERR(dir)) {
		kfree(entry);
		return PTR_ERR(dir);
	}
	insert(&entry->node, dir);
	entries++;
	err = show(entry);
	if (!err)
		return 0;
	rb_erase(&entry->node.rb, &nodes);
	entries--;
	dir->children--;
	prune(dir);
	kfree(entry);
	return err;
}

int svid_tree_add(char *path, u64 cookie)
{
	struct svid_tree_node *node;
	int err;

	mutex_lock(&names);
	node = find(path);
	if (!node)
		err = add_new(path, cookie);
	else
		err = node->is_dir ? -EISDIR : add_again(entry_of(node), cookie);
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
	if (!entry->removing && list_empty(&entry->dying))
		list_add_tail(&entry->dying, &dying);
	queue_work(svid_tree_queue, &reaper);
}

static void free_entry(struct svid_tree_entry *entry)
{
	struct svid_tree_dir *dir = entry->node.dir;

	rb_erase(&entry->node.rb, &nodes);
	entries--;
	dir->children--;
	kfree(entry);
	prune(dir);
}

/*
 * The worker. Without names it waits for the readers inside; entry stays, for only this function frees entries, and its
 * directory has a child. Meanwhile the agent may have added it again.
 */
static void reap(struct work_struct *work)
{
	struct svid_tree_entry *entry;

	mutex_lock(&names);
	while ((entry = list_first_entry_or_null(&dying, struct svid_tree_entry, dying))) {
		list_del_init(&entry->dying);
		if (entry->shown) {
			entry->removing = true;
			mutex_unlock(&names);
			sysfs_remove_bin_file(entry->node.dir->kobj, &entry->attr);
			cond_resched();
			mutex_lock(&names);
			entry->removing = false;
			entry->shown = false;
		}
		if (entry->dead)
			free_entry(entry);
		else if (show(entry))
			pr_warn_ratelimited("an entry of the credential tree could not be shown again\n");
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
