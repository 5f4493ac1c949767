// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody reads an entry of the credential tree: in its own system call it is made a request, which the agent takes from
 * its file, and waits for the answer. Next: tree_version.c, what it is given; tree_file.c, the agent's side.
 *
 * A request is on the stack of its reader, in a table by id and in the list of its entry until it is finished, and in one
 * of three states: it waits for the agent ("ready"), the agent has it (in no queue), or nobody is asked because the agent
 * that had it is gone and its successor has not yet said that the entry is still there ("held"). All under
 * svid_tree_lock, which the reader takes before it returns: so whoever finishes a request never meets a stack that is gone.
 *
 * Readers that share a struct file take turns: kernfs holds a mutex of that file over a read, and that wait is not killable.
 */
#include "tree.h"

#include <linux/completion.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/poll.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/user_namespace.h>

struct waiter {
	struct svid_tree_request msg;
	struct svid_tree_entry *entry;
	struct list_head queue;		/* ready, held or empty */
	struct list_head of_entry;
	struct hlist_node by_id;
	struct completion done;
	bool held;
	bool finished;
	int err;
	struct svid_tree_version *version;
};

static DEFINE_HASHTABLE(by_id, 8);
static LIST_HEAD(ready);
static LIST_HEAD(held);
static unsigned int waiting;
static u64 last_id;

u64 svid_tree_round;
struct pid_namespace *svid_tree_pid_ns;
DECLARE_WAIT_QUEUE_HEAD(svid_tree_agent);

/* The ids are those of the process, not those that an io_uring personality or another file system lent it. */
static void who_reads(struct svid_tree_reader *ret, struct file *file)
{
	*ret = (struct svid_tree_reader){
		.file = file,
		.key = { .tgid = task_tgid_nr(current), .start = current->group_leader->start_boottime },
		.exec_id = current->self_exec_id,
		.cred = current_real_cred(),
	};
}

/*
 * Whom a wait is counted for: whoever made the outermost user namespace that the reader is in, for that one can be as many
 * users as it likes; the user itself when root made it, as it does for containers.
 */
static kuid_t counted_as(const struct cred *cred)
{
	struct user_namespace *ns = cred->user_ns;

	while (ns->parent && ns->parent != &init_user_ns)
		ns = ns->parent;
	return ns == &init_user_ns || uid_eq(ns->owner, GLOBAL_ROOT_UID) ? cred->fsuid : ns->owner;
}

static void set_ready(struct waiter *waiter)
{
	waiter->held = false;
	list_move_tail(&waiter->queue, &ready);
	wake_up_interruptible_poll(&svid_tree_agent, EPOLLIN | EPOLLRDNORM);
}

static void finish(struct waiter *waiter, int err, struct svid_tree_version *version)
{
	list_del_init(&waiter->queue);
	list_del(&waiter->of_entry);
	hash_del(&waiter->by_id);
	waiter->err = err;
	waiter->version = version;
	waiter->finished = true;
	complete(&waiter->done);
}

static struct waiter *find(u64 id)
{
	struct waiter *waiter;

	hash_for_each_possible(by_id, waiter, by_id, id)
		if (waiter->msg.id == id)
			return waiter;
	return NULL;
}

static int enter(struct waiter *waiter, const struct svid_tree_reader *reader, struct svid_tree_user **ret_user)
{
	kuid_t uid = counted_as(reader->cred);
	struct svid_tree_user *user;

	if (waiter->entry->dead)
		return -ENODEV;
	if (waiting >= SVID_TREE_WAITING)
		return -EAGAIN;
	user = svid_tree_user(uid);
	if (!user || (user->waiting >= SVID_TREE_WAITING_UID && !uid_eq(uid, GLOBAL_ROOT_UID)))
		return -EAGAIN;
	user->waiting++;
	waiting++;
	waiter->msg = (struct svid_tree_request){
		.size = sizeof(waiter->msg),
		.tid = task_pid_nr_ns(current, svid_tree_pid_ns),
		.tgid = task_tgid_nr_ns(current, svid_tree_pid_ns),
		.id = ++last_id,
		.key = reader->key,
		.uid = from_kuid(&init_user_ns, reader->cred->fsuid),
	};
	hash_add(by_id, &waiter->by_id, waiter->msg.id);
	list_add_tail(&waiter->of_entry, &waiter->entry->waiters);
	list_add_tail(&waiter->queue, &held);
	waiter->held = true;
	if (waiter->entry->round == svid_tree_round)
		set_ready(waiter);
	*ret_user = user;
	return 0;
}

/* Sets what the reader gets. What was finished just before the end of the wait counts. */
static void leave(struct waiter *waiter, const struct svid_tree_reader *reader, struct svid_tree_user *user, int err)
{
	LIST_HEAD(gone);

	spin_lock(&svid_tree_lock);
	if (!waiter->finished)
		finish(waiter, err, NULL);
	if (waiter->version && !waiter->entry->dead)
		svid_tree_remember(waiter->entry, reader, user, waiter->version, &gone);
	waiting--;
	user->waiting--;
	svid_tree_user_done(user);
	spin_unlock(&svid_tree_lock);
	svid_tree_versions_put(&gone);
}

/*
 * The version that the agent gives this reader, or an errno. Killable, not interruptible: runtimes interrupt their own
 * threads by signals, and a program that reads a file does not expect EINTR.
 */
static struct svid_tree_version *ask(struct svid_tree_entry *entry, const struct svid_tree_reader *reader)
{
	struct waiter waiter = { .entry = entry };
	struct svid_tree_user *user;
	long left;
	int err;

	init_completion(&waiter.done);
	spin_lock(&svid_tree_lock);
	err = enter(&waiter, reader, &user);
	spin_unlock(&svid_tree_lock);
	if (err)
		return ERR_PTR(err);
	left = wait_for_completion_killable_timeout(&waiter.done, msecs_to_jiffies(SVID_TREE_WAIT_MS));
	leave(&waiter, reader, user, left < 0 ? -EINTR : -ETIMEDOUT);
	return waiter.err ? ERR_PTR(waiter.err) : waiter.version;
}

/*
 * A kernel thread is nobody's program. At offset 0 the agent is always asked; further on it is not when this same program
 * has begun to read this file, and else it is: whoever got the descriptor from somebody is a reader as any other.
 */
ssize_t svid_tree_read(struct svid_tree_entry *entry, struct file *file, char *buf, loff_t off, size_t count)
{
	struct svid_tree_version *version = NULL;
	struct svid_tree_reader reader;

	if (current->flags & PF_KTHREAD)
		return -EACCES;
	who_reads(&reader, file);
	if (off)
		version = svid_tree_recall(entry, &reader);
	if (!version)
		version = ask(entry, &reader);
	if (IS_ERR(version))
		return PTR_ERR(version);
	if (off >= version->len)
		count = 0;
	else
		count = min_t(size_t, count, version->len - off);
	if (count)
		memcpy(buf, version->data + off, count);
	if (off >= version->len - count)
		WRITE_ONCE(version->finished, true);
	svid_tree_version_put(version);
	return count;
}

void svid_tree_wake(struct svid_tree_entry *entry, int err)
{
	struct waiter *waiter, *next;

	list_for_each_entry_safe(waiter, next, &entry->waiters, of_entry)
		finish(waiter, err, NULL);
}

void svid_tree_ask(struct svid_tree_entry *entry)
{
	struct waiter *waiter;

	list_for_each_entry(waiter, &entry->waiters, of_entry)
		if (waiter->held)
			set_ready(waiter);
}

void svid_tree_hold(void)
{
	struct waiter *waiter;
	int bucket;

	hash_for_each(by_id, bucket, waiter, by_id) {
		list_move_tail(&waiter->queue, &held);
		waiter->held = true;
	}
}

bool svid_tree_pending(void)
{
	return !list_empty_careful(&ready);
}

bool svid_tree_next(struct svid_tree_request *ret)
{
	struct waiter *waiter;

	spin_lock(&svid_tree_lock);
	waiter = list_first_entry_or_null(&ready, struct waiter, queue);
	if (waiter) {
		list_del_init(&waiter->queue);
		waiter->msg.cookie = waiter->entry->cookie;
		*ret = waiter->msg;
	}
	spin_unlock(&svid_tree_lock);
	return waiter;
}

void svid_tree_unask(u64 id)
{
	struct waiter *waiter;

	spin_lock(&svid_tree_lock);
	waiter = find(id);
	/* in a queue already: another agent has begun in the meantime */
	if (waiter && list_empty(&waiter->queue))
		list_add(&waiter->queue, &ready);
	spin_unlock(&svid_tree_lock);
}

int svid_tree_finish(u64 id, int err, struct svid_tree_version *version)
{
	struct waiter *waiter;

	spin_lock(&svid_tree_lock);
	waiter = find(id);
	if (waiter)
		finish(waiter, err, version);
	spin_unlock(&svid_tree_lock);
	if (waiter)
		return 0;
	svid_tree_version_put(version);
	return -ENOENT;
}
