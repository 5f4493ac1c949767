/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the credential tree say to each other: tree.c has the names, tree_read.c those who read, tree_version.c
 * what they were given, tree_file.c the agent. The contract with the agent is uapi/svid_dev.h.
 *
 * Locks. "names" (a mutex in tree.c) covers which entries and directories there are; svid_tree_lock, a spinlock, what
 * readers look at. names comes first. Neither is held while sysfs is changed, and a reader never takes names.
 *
 * Lives. A callback of sysfs holds its attribute in place: an entry is freed after sysfs_remove_bin_file(), which waits
 * for the callbacks inside. They are woken before. All that changes sysfs is done by a worker of our own: a reader whom the
 * scheduler keeps off the processor, inside a callback or under a lock of sysfs, would otherwise stop the agent.
 */
#ifndef SVID_TREE_H
#define SVID_TREE_H

#include "module.h"

#include <linux/cred.h>
#include <linux/list.h>
#include <linux/pid_namespace.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/spinlock.h>
#include <linux/sysfs.h>
#include <linux/wait.h>

#define SVID_TREE_HELD_BYTES	(64UL << 20)	/* of all contents in the kernel at once */

struct svid_tree_dir;

/* A name. All of it is under names. */
struct svid_tree_node {
	struct rb_node rb;		/* by path */
	struct svid_tree_dir *dir;
	bool is_dir;
	char *path;			/* behind the struct that this one is in */
};

/* The lists are under svid_tree_lock; dead, cookie and round are written with both locks held; the rest is under names. */
struct svid_tree_entry {
	struct svid_tree_node node;
	struct bin_attribute attr;
	struct list_head todo;		/* coming, going or empty */
	bool shown;			/* sysfs has the attribute; the worker may be changing that */
	bool dead;
	u64 cookie;
	u64 round;			/* the last BEGIN after which it was added */
	struct list_head waiters;
	struct list_head versions;
};

/* Who reads, made of current at each read. What is borrowed lives as long as the system call. */
struct svid_tree_reader {
	const void *file;		/* an address to compare, and nothing else */
	struct svid_key key;
	u64 exec_id;
	const struct cred *cred;
};

struct svid_tree_user;

/*
 * What one reader was given: never changed, and wiped when the last reference goes. While it is remembered (user is set)
 * the tables have a reference, and the lists and what names the reader are under svid_tree_lock.
 */
struct svid_tree_version {
	refcount_t refs;
	u32 len;
	bool finished;			/* read to its end; a hint */
	struct svid_tree_user *user;
	struct svid_tree_reader reader;	/* cred has a reference of ours */
	struct svid_tree_entry *entry;
	u64 born;
	struct hlist_node by_file;
	struct list_head of_entry;
	struct list_head of_user;	/* oldest first, as by_age */
	struct list_head by_age;
	u8 data[];
};

/* Counts of one uid, there while one is not 0. Under svid_tree_lock. */
struct svid_tree_user {
	struct hlist_node by_uid;
	kuid_t uid;
	unsigned int waiting;
	unsigned int remembered;
	struct list_head versions;
};

extern spinlock_t svid_tree_lock;
extern struct workqueue_struct *svid_tree_queue;

/* tree.c */

/**
 * svid_tree_add() - @path is shown soon, or it has another cookie. Waits for no reader.
 * @path: checked, ends with NUL; its bytes are changed and put back
 * Errors: -EISDIR, -ENOTDIR (@path or a part of it is there as the other thing), -ENOSPC, -ENOMEM
 */
int MUST svid_tree_add(char *path, u64 cookie);

/**
 * svid_tree_del() - its readers return, new ones get -ENODEV, and the name goes soon.
 * Errors: -ENOENT, -EISDIR
 */
int MUST svid_tree_del(const char *path);

/* A new agent: until an entry is added again, nobody is asked about it. */
void svid_tree_begin(void);

/* All entries that were not added since svid_tree_begin() go; @all: the others too. */
void svid_tree_sweep(bool all);

/* tree_read.c; the first four with svid_tree_lock held */

extern u64 svid_tree_round;			/* counts BEGIN */
extern struct pid_namespace *svid_tree_pid_ns;	/* of the agent's file; there while an entry is not dead */
extern struct wait_queue_head svid_tree_agent;	/* woken when svid_tree_pending() becomes true */

void svid_tree_wake(struct svid_tree_entry *entry, int err);	/* all that wait on @entry return @err */
void svid_tree_ask(struct svid_tree_entry *entry);		/* it was added in this round: its readers are asked about */
void svid_tree_hold(void);					/* nobody is asked about until svid_tree_ask() */

/* The reading of an attribute of sysfs. */
ssize_t svid_tree_read(struct svid_tree_entry *entry, struct file *file, char *buf, loff_t off, size_t count);

bool svid_tree_pending(void);
bool svid_tree_next(struct svid_tree_request *ret);	/* the agent has it now */
void svid_tree_unask(u64 id);				/* it did not reach the agent after all */

/**
 * svid_tree_finish() - give the reader of request @id an errno, or @version (its reference is taken in any case).
 * Errors: -ENOENT: nobody waits for it
 */
int MUST svid_tree_finish(u64 id, int err, struct svid_tree_version *version);

/* tree_version.c; those that take @gone, and the user's, with svid_tree_lock held */

void svid_tree_versions_exit(void);

/**
 * svid_tree_version_new() - room for @len bytes; over SVID_TREE_HELD_BYTES the oldest that is remembered goes.
 * Errors (as pointers): -ENOMEM
 */
struct svid_tree_version *svid_tree_version_new(u32 len);

void svid_tree_version_put(struct svid_tree_version *version);	/* NULL is nothing */
void svid_tree_versions_put(struct list_head *gone);		/* what the functions below took out of the tables */

/* Keep @version for the further reads of @reader; it takes the place of one before it. @user is the reader's. */
void svid_tree_remember(struct svid_tree_entry *entry, const struct svid_tree_reader *reader, struct svid_tree_user *user,
			struct svid_tree_version *version, struct list_head *gone);

/* The version that @reader began to read, with a reference; NULL when there is none. Takes svid_tree_lock itself. */
struct svid_tree_version *svid_tree_recall(struct svid_tree_entry *entry, const struct svid_tree_reader *reader);

void svid_tree_forget(struct svid_tree_entry *entry, struct list_head *gone);	/* all of @entry */

struct svid_tree_user *svid_tree_user(kuid_t uid);	/* found or made; NULL: no memory */
void svid_tree_user_done(struct svid_tree_user *user);	/* freed if it counts nothing */

#endif
