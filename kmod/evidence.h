/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The evidence file's parts: who calls whom. Lowest first: task.c and exe.c read what the kernel knows, emit.c counts and
 * tells, image.c keeps processes, record.c connections, hooks.c is called by the kernel, file.c by svidd and core.
 *
 * Locks, all leaves (nothing of ours or the kernel's is taken under them, but for none sleeps there): images' bucket,
 * holders, records, a file's ring. They are raw and taken with interrupts off: cgroup moves come that way. Readers use
 * RCU alone. A file's mutex is outside of all; listeners_mutex is inside of it.
 */
#ifndef SVID_EVIDENCE_H
#define SVID_EVIDENCE_H

#include "module.h"

#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <net/sock.h>

/* What every record of this module can say of itself. */
#define SVID_KMOD_CONN_FLAGS (SVID_CONN_SEES_TRACE | SVID_CONN_SEES_CRED | SVID_CONN_SEES_SPLICE)

struct linux_binprm;

/* The memory that user space maps. Words files and mappings may outlive the evidence file, so it has its own count. */
struct svid_area {
	struct kref users;
	struct svid_words *words;
	struct svid_stats *stats;
};

/*
 * An evidence file. Hooks find it in the list of all files, in a listener, a record or a holder, under RCU; svid_file_close()
 * takes it out of each of these and then waits, so that a hook that found it never sees it freed.
 */
struct svid_file {
	struct list_head link;
	struct svid_area *area;
	struct mutex asking;		/* one request at a time */
	raw_spinlock_t lock;		/* the ring: events, first, waiting; and event_seq */
	struct svid_event *events;
	u32 first, waiting;
	struct mutex reading;
	wait_queue_head_t readers;
	struct irq_work wake;
	u32 holders;			/* under the holders' lock */
	u32 listeners;			/* under listeners_mutex */
};

/* ---- task.c ---- */

int MUST svid_task_init(void);	/* learns where a mount namespace keeps its number; -ENODEV where it cannot */

/* The process of a thread; for another thread than current under RCU. */
struct svid_key svid_key_of(const struct task_struct *t);

static inline bool svid_key_same(const struct svid_key *a, const struct svid_key *b)
{
	return a->tgid == b->tgid && a->start == b->start;
}

/* Would commit_creds(@b) in place of @a be a credential change? */
bool svid_creds_differ(const struct cred *a, const struct cred *b);
bool svid_ids_differ(const struct cred *c, const struct svid_ids *ids);	/* groups are another object, and left out */

/* Is what @t execs in made by other than the initial user namespace? For current. */
bool svid_is_in_userns(struct task_struct *t);

/* Fill @ret of any thread; under RCU. */
void svid_creds_read(struct task_struct *t, struct svid_creds *ret);

/* ---- exe.c: each returns SVID_IMG_* ---- */

u32 svid_exe_read(const struct inode *inode, struct svid_exe *ret);
bool svid_is_supervised(const struct task_struct *t);	/* executed below a seccomp listener, or a filter that lies */
u32 svid_exec_read(struct linux_binprm *bprm, struct svid_image *ret);	/* in exec, current; all but key and ancestors */
int MUST svid_exe_init(void);
void svid_exe_exit(void);

/* ---- emit.c ---- */

void svid_count(u32 which);				/* of the machine: in every file, and for those to come */
void svid_count_in(struct svid_file *f, u32 which);	/* of one file */
u64 svid_exec_id_next(void);
void svid_word_bump(struct svid_file *f, u32 slot);
void svid_word_void(struct svid_file *f, u32 slot, u32 from);	/* only from the ticket's value */

/* @template: size, seq and time are filled here. Never sleeps; a full ring is counted. */
void svid_event_send(struct svid_file *f, const struct svid_event *template);

/* @key changed, and its image says so already: bump the words of its holders, and tell. */
void svid_holder_changed(u32 type, const struct svid_key *key, const struct svid_key *by);

struct svid_hold;
struct svid_hold *svid_hold_alloc(struct svid_file *f, const struct svid_key *key, u32 slot);	/* sleeps; NULL */
void svid_hold_free(struct svid_hold *h);	/* of one that was not taken */

/**
 * svid_hold_take() - make @h the holder of its process, or find the one that is.
 * @replace: @h takes its place
 * @ret_slot: the slot in force
 * Return: true when @h was taken (it is no longer the caller's)
 * Errors: none; a full barrier stands between this and what the caller reads afterwards
 */
bool svid_hold_take(struct svid_hold *h, bool replace, u32 *ret_slot);
bool svid_hold_drop(struct svid_file *f, const struct svid_key *key);	/* false: it was not held */
void svid_holds_forget(struct svid_file *f);				/* all of a file */

void svid_files_add(struct svid_file *f);	/* counters from now on; with those of the machine so far */
void svid_files_remove(struct svid_file *f);
void svid_files_skipped(u64 n);			/* how often a hook was left out, for every file */

/* ---- image.c ---- */

int MUST svid_images_init(void);
void svid_images_scan(void);	/* with the hooks on */
void svid_images_exit(void);	/* with the hooks off */

/* NULL, or an image that stays while the caller's RCU section lasts; flags and change may change meanwhile. */
const struct svid_image *svid_image_of(const struct svid_key *key);
const struct svid_image *svid_image_of_tgid(u32 tgid);

void svid_image_exec(struct linux_binprm *bprm);
void svid_image_fork(struct task_struct *child);
void svid_image_end(struct task_struct *t);
void svid_image_changed(u32 type, const struct svid_key *key, const struct svid_key *by);
void svid_image_traced(struct task_struct *t, struct task_struct *by);
void svid_image_untrace(void);

/* ---- record.c ---- */

int MUST svid_records_init(void);
void svid_records_exit(void);
int MUST svid_listen(struct svid_file *f, struct sock *sk, u32 tag);
void svid_listeners_forget(struct svid_file *f);	/* waits until no connect() knows them */
void svid_records_forget(struct svid_file *f);
void svid_records_sweep(void);				/* what a missed release left */

void svid_record_connect(struct sock *client, struct sock *listener, struct sock *accepted);
void svid_record_used(struct sock *client, u32 how);
void svid_record_release(struct sock *accepted);

/* The record of @accepted in @f, or NULL; stays while the caller holds the socket and the file. */
struct svid_conn *svid_record_of(const struct svid_file *f, const struct sock *accepted);

/* What a record says of @t now; false: it has no image. Under RCU; @ret may hold anything. */
bool svid_conn_fill(struct svid_conn *ret, struct task_struct *t);

/* ---- hooks.c ---- */

int MUST svid_hooks_on(void);
void svid_hooks_off(void);	/* returns when no hook runs any more */
void svid_hooks_missed(void);	/* tell the files what was left out */

#endif
