// SPDX-License-Identifier: GPL-2.0-only
/*
 * What readers of the credential tree were given, so that a file read in pieces is one version of it. sysfs has no
 * hook at open or close, and successive opens of one file get the same struct file: so a version is remembered for the
 * file, the process, its exec generation and its ids together, for SVID_TREE_SNAPSHOT_MS. Next: tree_file.c.
 */
#include "tree.h"

#include <linux/hashtable.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/workqueue.h>

#define LIFE_NS ((u64)SVID_TREE_SNAPSHOT_MS * NSEC_PER_MSEC)

/* Under svid_tree_lock. */
static DEFINE_HASHTABLE(by_file, 8);
static DEFINE_HASHTABLE(by_uid, 8);
static LIST_HEAD(by_age);

static atomic_long_t bytes;		/* of all versions that exist, room for their structs included */

static void expire(struct work_struct *work);
static DECLARE_DELAYED_WORK(expirer, expire);

static size_t room_of(const struct svid_tree_version *version)
{
	return struct_size(version, data, version->len);
}

/* The list in gone is that of ages; the reference of the tables goes with it. */
static void take_out(struct svid_tree_version *version, struct list_head *gone)
{
	struct svid_tree_user *user = version->user;

	hash_del(&version->by_file);
	list_del(&version->of_entry);
	list_del(&version->of_user);
	list_move_tail(&version->by_age, gone);
	version->user = NULL;
	user->remembered--;
	svid_tree_user_done(user);
}

void svid_tree_version_put(struct svid_tree_version *version)
{
	size_t room;

	if (!version || !refcount_dec_and_test(&version->refs))
		return;
	room = room_of(version);
	if (version->reader.cred)
		put_cred(version->reader.cred);
	kvfree_sensitive(version, room);
	atomic_long_sub(room, &bytes);
}

void svid_tree_versions_put(struct list_head *gone)
{
	struct svid_tree_version *version, *next;

	list_for_each_entry_safe(version, next, gone, by_age)
		svid_tree_version_put(version);
}

/* Counts room bytes, for which the oldest may have to go. */
static bool make_room(size_t room)
{
	long over = atomic_long_add_return(room, &bytes) - SVID_TREE_HELD_BYTES;
	struct svid_tree_version *oldest;
	LIST_HEAD(gone);

	if (over <= 0)
		return true;
	spin_lock(&svid_tree_lock);
	while (over > 0 && (oldest = list_first_entry_or_null(&by_age, struct svid_tree_version, by_age))) {
		over -= room_of(oldest);
		take_out(oldest, &gone);
	}
	spin_unlock(&svid_tree_lock);
	svid_tree_versions_put(&gone);
	return atomic_long_read(&bytes) <= SVID_TREE_HELD_BYTES;
}

struct svid_tree_version *svid_tree_version_new(u32 len)
{
	struct svid_tree_version *version;
	size_t room = struct_size(version, data, len);

	if (!make_room(room)) {
		atomic_long_sub(room, &bytes);
		return ERR_PTR(-ENOMEM);
	}
	version = kvmalloc(room, GFP_KERNEL);
	if (!version) {
		atomic_long_sub(room, &bytes);
		return ERR_PTR(-ENOMEM);
	}
	memset(version, 0, sizeof(*version));
	version->len = len;
	refcount_set(&version->refs, 1);
	return version;
}

/* Threads of one process have their own copies of credentials: equal ones are the same ids. */
static bool same_ids(const struct cred *a, const struct cred *b)
{
	unsigned int i;

	if (a == b)
		return true;
	if (!uid_eq(a->uid, b->uid) || !uid_eq(a->euid, b->euid) || !uid_eq(a->suid, b->suid) || !uid_eq(a->fsuid, b->fsuid) ||
	    !gid_eq(a->gid, b->gid) || !gid_eq(a->egid, b->egid) || !gid_eq(a->sgid, b->sgid) || !gid_eq(a->fsgid, b->fsgid))
		return false;
	if (a->user_ns != b->user_ns || memcmp(&a->cap_effective, &b->cap_effective, sizeof(a->cap_effective)) ||
	    memcmp(&a->cap_permitted, &b->cap_permitted, sizeof(a->cap_permitted)))
		return false;
	if (a->group_info == b->group_info)
		return true;
	if (a->group_info->ngroups != b->group_info->ngroups)
		return false;
	for (i = 0; i < a->group_info->ngroups; i++)
		if (!gid_eq(a->group_info->gid[i], b->group_info->gid[i]))
			return false;
	return true;
}

static bool is_of(const struct svid_tree_version *version, const struct svid_tree_entry *entry,
		  const struct svid_tree_reader *reader)
{
	const struct svid_tree_reader *had = &version->reader;

	return version->entry == entry && had->file == reader->file && had->key.tgid == reader->key.tgid &&
	       had->key.start == reader->key.start && had->exec_id == reader->exec_id && same_ids(had->cred, reader->cred);
}

static struct svid_tree_version *find(const struct svid_tree_entry *entry, const struct svid_tree_reader *reader)
{
	struct svid_tree_version *version;

	hash_for_each_possible(by_file, version, by_file, (unsigned long)reader->file)
		if (is_of(version, entry, reader))
			return version;
	return NULL;
}

/* One that was read to its end is missed least, then the oldest. */
static struct svid_tree_version *least_missed(struct svid_tree_user *user)
{
	struct svid_tree_version *version;

	list_for_each_entry(version, &user->versions, of_user)
		if (READ_ONCE(version->finished))
			return version;
	return list_first_entry(&user->versions, struct svid_tree_version, of_user);
}

void svid_tree_remember(struct svid_tree_entry *entry, const struct svid_tree_reader *reader, struct svid_tree_user *user,
			struct svid_tree_version *version, struct list_head *gone)
{
	struct svid_tree_version *before = find(entry, reader);

	if (before)
		take_out(before, gone);
	if (user->remembered >= SVID_TREE_SNAPSHOTS_UID)
		take_out(least_missed(user), gone);
	refcount_inc(&version->refs);
	version->entry = entry;
	version->reader = *reader;
	get_cred(reader->cred);
	version->born = ktime_get_boottime_ns();
	version->user = user;
	user->remembered++;
	hash_add(by_file, &version->by_file, (unsigned long)reader->file);
	list_add_tail(&version->of_entry, &entry->versions);
	list_add_tail(&version->of_user, &user->versions);
	list_add_tail(&version->by_age, &by_age);
	queue_delayed_work(svid_tree_queue, &expirer, nsecs_to_jiffies(LIFE_NS) + 1);
}

struct svid_tree_version *svid_tree_recall(struct svid_tree_entry *entry, const struct svid_tree_reader *reader)
{
	struct svid_tree_version *version;

	spin_lock(&svid_tree_lock);
	version = find(entry, reader);
	if (version && ktime_get_boottime_ns() - version->born < LIFE_NS)
		refcount_inc(&version->refs);
	else
		version = NULL;
	spin_unlock(&svid_tree_lock);
	return version;
}

void svid_tree_forget(struct svid_tree_entry *entry, struct list_head *gone)
{
	struct svid_tree_version *version, *next;

	list_for_each_entry_safe(version, next, &entry->versions, of_entry)
		take_out(version, gone);
}

/* Runs when the oldest is due: its age is that of the clock that goes on while the machine sleeps, so it may be early. */
static void expire(struct work_struct *work)
{
	struct svid_tree_version *version, *next;
	u64 now = ktime_get_boottime_ns(), left = 0;
	LIST_HEAD(gone);

	spin_lock(&svid_tree_lock);
	list_for_each_entry_safe(version, next, &by_age, by_age) {
		if (now - version->born < LIFE_NS) {
			left = version->born + LIFE_NS - now;
			break;
		}
		take_out(version, &gone);
	}
	if (left)
		queue_delayed_work(svid_tree_queue, &expirer, nsecs_to_jiffies(left) + 1);
	spin_unlock(&svid_tree_lock);
	svid_tree_versions_put(&gone);
}

/* Nothing is remembered any more: the entries are dead. */
void svid_tree_versions_exit(void)
{
	cancel_delayed_work_sync(&expirer);
}

struct svid_tree_user *svid_tree_user(kuid_t uid)
{
	struct svid_tree_user *user;

	hash_for_each_possible(by_uid, user, by_uid, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	/* not under a lock only: a reader that reclaims memory inside the callback would be waited for */
	user = kzalloc(sizeof(*user), GFP_NOWAIT | __GFP_NOWARN);
	if (!user)
		return NULL;
	user->uid = uid;
	INIT_LIST_HEAD(&user->versions);
	hash_add(by_uid, &user->by_uid, __kuid_val(uid));
	return user;
}

void svid_tree_user_done(struct svid_tree_user *user)
{
	if (user->waiting || user->remembered)
		return;
	hash_del(&user->by_uid);
	kfree(user);
}
