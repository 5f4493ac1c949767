// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel knows of a thread: who it is, its credentials, what surrounds it. Reads only. kmod/bpf/task.h says the
 * same in the BPF tiers.
 *
 * In a probe the thread is current, whose namespaces and root nobody else replaces; of another thread they are read
 * under its task_lock(). Pointers are compared then, and never followed later.
 */
#include "evidence.h"

#include <linux/audit.h>
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/fs_struct.h>
#include <linux/magic.h>
#include <linux/nsproxy.h>
#include <linux/pid_namespace.h>
#include <linux/proc_ns.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <linux/user_namespace.h>
#include <net/net_namespace.h>

#include "compat.h"
#include "facts.h"

/* struct mnt_namespace is private to fs/: its ns_common is found once, through our own entry in /proc. */
static size_t mnt_ns_offset;

static const struct ns_common *mnt_ns_common(const struct nsproxy *ns)
{
	return (const void *)ns->mnt_ns + mnt_ns_offset;
}

int svid_task_init(void)
{
	struct file *file = filp_open("/proc/self/ns/mnt", O_RDONLY, 0);
	struct ns_common *ns;
	int err = -ENODEV;

	if (IS_ERR(file)) {
		pr_err("/proc/self/ns/mnt: error %ld\n", -PTR_ERR(file));
		return -ENODEV;
	}
	if (file_inode(file)->i_sb->s_magic == NSFS_MAGIC) {
		ns = get_proc_ns(file_inode(file));
		mnt_ns_offset = (void *)ns - (void *)current->nsproxy->mnt_ns;
		if (mnt_ns_offset < PAGE_SIZE && ns->ops->type == CLONE_NEWNS)
			err = 0;
	}
	filp_close(file, NULL);
	if (err)
		pr_err("/proc/self/ns/mnt is not this process's mount namespace\n");
	return err;
}

struct svid_key svid_key_of(const struct task_struct *t)
{
	struct svid_key key = { .tgid = t->tgid, .start = READ_ONCE(t->group_leader)->start_boottime };

	return key;
}

bool svid_creds_differ(const struct cred *a, const struct cred *b)
{
	if (!uid_eq(a->uid, b->uid) || !uid_eq(a->euid, b->euid) || !uid_eq(a->suid, b->suid) || !uid_eq(a->fsuid, b->fsuid))
		return true;
	if (!gid_eq(a->gid, b->gid) || !gid_eq(a->egid, b->egid) || !gid_eq(a->sgid, b->sgid) || !gid_eq(a->fsgid, b->fsgid))
		return true;
	if (cap_bits(a->cap_effective) != cap_bits(b->cap_effective) ||
	    cap_bits(a->cap_permitted) != cap_bits(b->cap_permitted))
		return true;
	return a->group_info != b->group_info || a->user_ns != b->user_ns;
}

bool svid_ids_differ(const struct cred *c, const struct svid_ids *ids)
{
	if (c->uid.val != ids->uid || c->euid.val != ids->euid || c->suid.val != ids->suid || c->fsuid.val != ids->fsuid)
		return true;
	if (c->gid.val != ids->gid || c->egid.val != ids->egid || c->sgid.val != ids->sgid || c->fsgid.val != ids->fsgid)
		return true;
	if (cap_bits(c->cap_effective) != ids->cap_effective || cap_bits(c->cap_permitted) != ids->cap_permitted)
		return true;
	return c->user_ns->ns.inum != ids->user_ns;
}

static u32 mnt_ns_level(const struct nsproxy *ns)
{
	struct ns_common *mnt = (struct ns_common *)mnt_ns_common(ns);

	return mnt->ops->owner(mnt)->level;
}

bool svid_is_in_userns(struct task_struct *t)
{
	return __task_cred(t)->user_ns->level != 0 || (t->nsproxy && mnt_ns_level(t->nsproxy) != 0);
}

static void ids_read(const struct cred *c, struct svid_ids *ret)
{
	ret->uid = c->uid.val;
	ret->euid = c->euid.val;
	ret->suid = c->suid.val;
	ret->fsuid = c->fsuid.val;
	ret->gid = c->gid.val;
	ret->egid = c->egid.val;
	ret->sgid = c->sgid.val;
	ret->fsgid = c->fsgid.val;
	ret->cap_effective = cap_bits(c->cap_effective);
	ret->cap_permitted = cap_bits(c->cap_permitted);
	ret->user_ns = c->user_ns->ns.inum;
}

static void groups_read(const struct cred *c, struct svid_creds *ret)
{
	const struct group_info *g = c->group_info;
	u32 n = g->ngroups;

	ret->ngroups = n;
	memcpy(ret->groups, g->gid, min_t(u32, n, SVID_GROUPS_MAX) * sizeof(u32));
	if (n > SVID_GROUPS_MAX)
		ret->flags |= SVID_CRED_GROUPS_TRUNC;
	ret->ids.groups_hash = groups_hash(ret->groups, n);
}

/* Where a process lives: compared with pid 1's, never followed. */
struct home {
	const void *root_mnt, *root_dentry, *mnt_ns;
};

static void home_read(const struct task_struct *t, struct home *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (t->fs) {
		ret->root_mnt = READ_ONCE(t->fs->root.mnt);
		ret->root_dentry = READ_ONCE(t->fs->root.dentry);
	}
	if (t->nsproxy)
		ret->mnt_ns = t->nsproxy->mnt_ns;
}

static void namespaces_read(const struct nsproxy *ns, struct svid_creds *ret)
{
	ret->mnt_ns = mnt_ns_common(ns)->inum;
	ret->net_ns = ns->net_ns->ns.inum;
	ret->cgroup_ns = ns->cgroup_ns->ns.inum;
	if (mnt_ns_level(ns) == 0)
		ret->flags |= SVID_CRED_MNTNS_INIT;
}

/* fs and nsproxy are NULL in a thread that is ending. */
static void surroundings_read(struct task_struct *t, struct svid_creds *ret)
{
	struct task_struct *pid1 = READ_ONCE(init_pid_ns.child_reaper);
	struct pid *pid = t == current ? task_pid(t) : rcu_dereference(t->thread_pid);
	struct home first, own;

	/* two task_lock()s, one after the other: they have no order among themselves */
	task_lock(pid1);
	home_read(pid1, &first);
	task_unlock(pid1);
	if (t != current)
		task_lock(t);
	home_read(t, &own);
	if (t->nsproxy)
		namespaces_read(t->nsproxy, ret);
	if (t != current)
		task_unlock(t);

	if (own.mnt_ns && own.mnt_ns == first.mnt_ns)
		ret->flags |= SVID_CRED_MNTNS_PID1;
	if (!own.root_mnt || own.root_mnt != first.root_mnt || own.root_dentry != first.root_dentry)
		ret->flags |= SVID_CRED_ROOT_DIFFERS;
	if (pid)
		ret->pid_ns = ns_of_pid(pid)->ns.inum;
}

void svid_creds_read(struct task_struct *t, struct svid_creds *ret)
{
	/* not what it acts as for the moment: an io_uring personality is a loan, ->real_cred nobody can lend */
	const struct cred *c = __task_cred(t);

	memset(ret, 0, sizeof(*ret));
	ids_read(c, &ret->ids);
	groups_read(c, ret);
	ret->cap_inheritable = cap_bits(c->cap_inheritable);
	ret->cap_bounding = cap_bits(c->cap_bset);
	ret->cap_ambient = cap_bits(c->cap_ambient);
	ret->userns_level = c->user_ns->level;
	if (ret->userns_level == 0)
		ret->flags |= SVID_CRED_USERNS_INIT;
	else
		ret->userns_owner = userns_maker(c->user_ns);
	ret->loginuid = __kuid_val(audit_get_loginuid(t));
	ret->seccomp = t->seccomp.mode;
	if (task_no_new_privs(t))
		ret->flags |= SVID_CRED_NO_NEW_PRIVS;
	if (READ_ONCE(t->ptrace))
		ret->flags |= SVID_CRED_TRACED_NOW;
	ret->cgroup_id = cgroup_id(rcu_dereference(t->cgroups)->dfl_cgrp);
	ret->flags |= SVID_CRED_CGROUP;
	surroundings_read(t, ret);
}
