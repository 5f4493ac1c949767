// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of images: one for each process, made at exec, copied at fork, gone at the exit of the last thread; the scan
 * for what is older than the module. Called by hooks.c in the process itself, with preemption off.
 *
 * An image in the table never changes but for change and the bit SVID_IMG_TRACED, which are written under its bucket's
 * lock: exec puts another in its place. So a copy made under RCU is whole. A process without memory for an image has
 * none: an old one never stays behind. Call_rcu() frees, and svid_images_exit() waits for that code to have run.
 */
#include "evidence.h"

#include <linux/binfmts.h>
#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#include "compat.h"

#define MAX_IMAGES	65536	/* about 2 KB each; one more process has no evidence */
#define BUCKET_BITS	13
#define SHARED_MM_DEPTH	4	/* vfork chains followed for a shared address space */

struct image {
	struct hlist_node node;
	struct rcu_head rcu;
	struct svid_image i;
};

/* A thread group id is one live process, so it alone is hashed. */
struct bucket {
	struct hlist_head head;
	raw_spinlock_t lock;
};

static struct bucket *buckets;
static struct kmem_cache *cache;
static atomic_t count;
static bool scanned;	/* before that a missing image is no loss */

static struct bucket *bucket_of(u32 tgid)
{
	return &buckets[hash_32(tgid, BUCKET_BITS)];
}

/* Under RCU, or with the bucket's lock. */
static struct image *find(const struct svid_key *key)
{
	struct image *img;

	hlist_for_each_entry_rcu(img, &bucket_of(key->tgid)->head, node, true)
		if (svid_key_same(&img->i.key, key))
			return img;
	return NULL;
}

const struct svid_image *svid_image_of(const struct svid_key *key)
{
	struct image *img = find(key);

	return img ? &img->i : NULL;
}

const struct svid_image *svid_image_of_tgid(u32 tgid)
{
	struct image *img;

	hlist_for_each_entry_rcu(img, &bucket_of(tgid)->head, node)
		if (img->i.key.tgid == tgid)
			return &img->i;
	return NULL;
}

/* Not zeroed where @zero is 0. Its memory is the process's own affair: it is charged to its cgroup. */
static struct image *image_alloc(gfp_t zero)
{
	struct image *img = NULL;

	if (atomic_inc_return(&count) <= MAX_IMAGES)
		img = kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT | zero);
	if (!img) {
		atomic_dec(&count);
		svid_count(SVID_STAT_IMG_FULL);
	}
	return img;
}

static void image_free(struct rcu_head *rcu)
{
	kmem_cache_free(cache, container_of(rcu, struct image, rcu));
	atomic_dec(&count);
}

static void image_put(struct image *img)
{
	if (img)
		call_rcu(&img->rcu, image_free);
}

/* Take the image of @key out of the table; @fresh, which may be NULL, comes in its place and inherits what stays. */
static struct image *image_swap(const struct svid_key *key, struct image *fresh)
{
	struct bucket *b = bucket_of(key->tgid);
	struct image *old;
	unsigned long flags;

	raw_spin_lock_irqsave(&b->lock, flags);
	old = find(key);
	if (old && fresh) {
		fresh->i.change = old->i.change;
		fresh->i.n_ancestors = old->i.n_ancestors;
		memcpy(fresh->i.ancestors, old->i.ancestors, sizeof(fresh->i.ancestors));
		/* a mark set since the new memory became reachable: svid_image_untrace() took away the others */
		fresh->i.flags |= old->i.flags & SVID_IMG_TRACED;
	}
	if (fresh)
		hlist_add_head_rcu(&fresh->node, &b->head);
	if (old)
		hlist_del_rcu(&old->node);
	raw_spin_unlock_irqrestore(&b->lock, flags);
	return old;
}

/* Something about the process changed: first the image, then the holder; core inserts the holder, then looks. */
void svid_image_changed(u32 type, const struct svid_key *key, const struct svid_key *by)
{
	struct bucket *b = bucket_of(key->tgid);
	struct image *img;
	unsigned long flags;

	raw_spin_lock_irqsave(&b->lock, flags);
	img = find(key);
	if (img)
		WRITE_ONCE(img->i.change, img->i.change + 1);
	raw_spin_unlock_irqrestore(&b->lock, flags);
	svid_holder_changed(type, key, by);
}

/* After the point of no return, with the new memory and credentials in place, before the program's first instruction. */
void svid_image_exec(struct linux_binprm *bprm)
{
	struct svid_key key = svid_key_of(current);
	struct image *img = image_alloc(__GFP_ZERO);

	svid_count(SVID_STAT_EXECS);
	if (img) {
		img->i.key = key;
		img->i.exec_id = svid_exec_id_next();
		img->i.flags = svid_exec_read(bprm, &img->i);
	}
	image_put(image_swap(&key, img));
	svid_image_changed(SVID_EVENT_EXEC, &key, &key);
}

static void ancestor_set(struct svid_ancestor *a, const struct task_struct *t, u64 exec_id)
{
	memset(a, 0, sizeof(*a));
	a->key = svid_key_of(t);
	a->exec_id = exec_id;
	strscpy(a->comm, READ_ONCE(t->group_leader)->comm, SVID_COMM_LEN);
}

/* In the parent, before the child runs for the first time. */
void svid_image_fork(struct task_struct *child)
{
	struct svid_key parent = svid_key_of(current), key = svid_key_of(child);
	const struct svid_image *from;
	struct image *img;

	svid_count(SVID_STAT_FORKS);
	from = svid_image_of(&parent);
	if (!from) {
		if (READ_ONCE(scanned) && !(current->flags & PF_KTHREAD))
			svid_count(SVID_STAT_IMG_MISSING);
		return;
	}
	img = image_alloc(0);
	if (!img)
		return;
	img->i = *from;
	img->i.key = key;
	img->i.flags |= SVID_IMG_FORKED;
	memmove(&img->i.ancestors[1], &img->i.ancestors[0], sizeof(img->i.ancestors) - sizeof(img->i.ancestors[0]));
	ancestor_set(&img->i.ancestors[0], current, img->i.exec_id);
	if (img->i.n_ancestors < SVID_ANCESTORS)
		img->i.n_ancestors++;
	image_put(image_swap(&key, img));
}

/* For each thread; the process ends with the one that finds no other alive, and two may find that. */
void svid_image_end(struct task_struct *t)
{
	struct svid_key key = svid_key_of(t);
	struct image *old;

	if (atomic_read(&t->signal->live) != 0)
		return;
	old = image_swap(&key, NULL);
	if (!old)
		return;
	image_put(old);
	svid_count(SVID_STAT_EXITS);
	svid_holder_changed(SVID_EVENT_EXIT, &key, &key);
}

/* ---- what happens from outside ---- */

static void traced_one(struct task_struct *t, const struct svid_key *by)
{
	struct svid_key key = svid_key_of(t);
	struct bucket *b = bucket_of(key.tgid);
	struct image *img;
	unsigned long flags;
	bool fresh = false;

	raw_spin_lock_irqsave(&b->lock, flags);
	img = find(&key);
	if (img && !(img->i.flags & SVID_IMG_TRACED)) {
		WRITE_ONCE(img->i.flags, img->i.flags | SVID_IMG_TRACED);
		fresh = true;
	}
	raw_spin_unlock_irqrestore(&b->lock, flags);
	if (!fresh)
		return;
	svid_count(SVID_STAT_TRACED);
	svid_image_changed(SVID_EVENT_TRACED, &key, by);
}

/* @t's memory lies open to @by; so does that of the parents that lend theirs to it (vfork). Their mm is only compared. */
void svid_image_traced(struct task_struct *t, struct task_struct *by)
{
	struct svid_key who = svid_key_of(by);
	struct mm_struct *mm = READ_ONCE(t->mm);
	int i;

	rcu_read_lock();
	traced_one(t, &who);
	for (i = 0; i < SHARED_MM_DEPTH; i++) {
		t = rcu_dereference(t->real_parent);
		if (!mm || READ_ONCE(t->mm) != mm)
			break;
		traced_one(t, &who);
	}
	rcu_read_unlock();
}

/* In exec, under exec_update_lock: nobody can open the new memory before this, so marks of the old end here. */
void svid_image_untrace(void)
{
	struct svid_key key = svid_key_of(current);
	struct bucket *b = bucket_of(key.tgid);
	struct image *img;
	unsigned long flags;

	raw_spin_lock_irqsave(&b->lock, flags);
	img = find(&key);
	if (img)
		WRITE_ONCE(img->i.flags, img->i.flags & ~SVID_IMG_TRACED);
	raw_spin_unlock_irqrestore(&b->lock, flags);
}

/* ---- the scan: only what can still be said, the file that is mapped now. No argv, no environment (K4) ---- */

static void scan_ancestors(struct task_struct *t, struct svid_image *ret)
{
	u32 i;

	for (i = 0; i < SVID_ANCESTORS; i++) {
		t = rcu_dereference(t->real_parent);
		if (t->tgid == 0)
			break;
		ancestor_set(&ret->ancestors[i], t, 0);
		ret->n_ancestors = i + 1;
	}
}

/* The table gets @img unless it has the process, by its own fork or exec, or the process is gone. */
static void scan_store(struct task_struct *t, struct image *img)
{
	struct bucket *b = bucket_of(img->i.key.tgid);
	unsigned long flags;
	bool stored = false;

	raw_spin_lock_irqsave(&b->lock, flags);
	if (!find(&img->i.key)) {
		hlist_add_head_rcu(&img->node, &b->head);
		stored = true;
	}
	raw_spin_unlock_irqrestore(&b->lock, flags);
	if (!stored) {
		image_put(img);
		return;
	}
	svid_count(SVID_STAT_SCANNED);
	/* either this sees that the last thread is gone, or its exit hook sees the image */
	smp_mb();
	if (atomic_read(&t->signal->live) == 0)
		image_put(image_swap(&img->i.key, NULL));
}

static void scan_one(struct task_struct *t)
{
	struct svid_key key = svid_key_of(t);
	struct file *exe = NULL;
	struct image *img;

	if (find(&key))
		return;
	/* under task_lock() the memory stays: neither exec nor exit can take it away */
	task_lock(t);
	if (t->mm && !(t->flags & PF_KTHREAD))
		exe = exe_file_get(t->mm);
	task_unlock(t);
	img = exe ? image_alloc(__GFP_ZERO) : NULL;
	if (img) {
		img->i.key = key;
		img->i.exec_id = svid_exec_id_next();
		img->i.flags = SVID_IMG_SCANNED | SVID_IMG_ARGV_TRUNC | SVID_IMG_ENV_TRUNC;
		img->i.flags |= svid_exe_read(file_inode(exe), &img->i.exe);
		if (READ_ONCE(t->ptrace) || svid_is_supervised(t))
			img->i.flags |= SVID_IMG_TRACED;
		scan_ancestors(t, &img->i);
		scan_store(t, img);
	}
	if (exe)
		fput(exe);
}

/* Twice: a child that was forked by a process not yet scanned may have come in behind the cursor. */
void svid_images_scan(void)
{
	struct task_struct *t;
	int round;

	for (round = 0; round < 2; round++) {
		rcu_read_lock();
		for_each_process(t)
			scan_one(t);
		rcu_read_unlock();
	}
	WRITE_ONCE(scanned, true);
}

int svid_images_init(void)
{
	u32 i;

	buckets = vmalloc(sizeof(*buckets) << BUCKET_BITS);
	/* argv is copied from user memory: hardened usercopy wants to know where in the object that may be */
	cache = kmem_cache_create_usercopy("svid_image", sizeof(struct image), 0, 0, offsetof(struct image, i.argv),
					   SVID_ARGV_MAX, NULL);
	if (!buckets || !cache) {
		kmem_cache_destroy(cache);
		vfree(buckets);
		return -ENOMEM;
	}
	for (i = 0; i < 1 << BUCKET_BITS; i++) {
		INIT_HLIST_HEAD(&buckets[i].head);
		raw_spin_lock_init(&buckets[i].lock);
	}
	return 0;
}

void svid_images_exit(void)
{
	struct hlist_node *next;
	struct image *img;
	u32 i;

	for (i = 0; i < 1 << BUCKET_BITS; i++)
		hlist_for_each_entry_safe(img, next, &buckets[i].head, node)
			image_put(img);
	rcu_barrier();
	kmem_cache_destroy(cache);
	vfree(buckets);
}
