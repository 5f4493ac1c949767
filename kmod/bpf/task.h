/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reads of task, credentials and namespaces. Nothing here writes a map. Above flavors.h, below image.h and record.h.
 *
 * All pointers come from BTF-typed arguments or bpf_get_current_task_btf(), so these are plain loads that the verifier
 * checks; NULL yields zero.
 */
#ifndef SVID_TASK_H
#define SVID_TASK_H

#define PFA_NO_NEW_PRIVS_BIT 1u	/* PFA_NO_NEW_PRIVS is bit 0 of atomic_flags; enum-less macro in the kernel */
#define PF_KTHREAD_BIT	0x00200000u

static __always_inline struct svid_key task_key(struct task_struct *t)
{
	struct svid_key k = {};

	k.tgid = t->tgid;
	k.start = t->group_leader->start_boottime;
	return k;
}

static __always_inline int key_same(const struct svid_key *a, const struct svid_key *b)
{
	return a->tgid == b->tgid && a->start == b->start;
}

#define CAP_READ(cred, which)									\
	(bpf_core_type_exists(struct kernel_cap_struct___pair) ?				\
		((__u64)((struct cred___pair *)(cred))->which.cap[0] |				\
		 (__u64)((struct cred___pair *)(cred))->which.cap[1] << 32) :			\
		((struct cred___whole *)(cred))->which.val)

/* 1 when the ids of @c are not those in @ids. Groups are left out: their list is compared by the poll alone. */
static __always_inline int ids_differ(const struct cred *c, const struct svid_ids *ids)
{
	if (c->uid.val != ids->uid || c->euid.val != ids->euid || c->suid.val != ids->suid ||
	    c->fsuid.val != ids->fsuid)
		return 1;
	if (c->gid.val != ids->gid || c->egid.val != ids->egid || c->sgid.val != ids->sgid ||
	    c->fsgid.val != ids->fsgid)
		return 1;
	if (CAP_READ(c, cap_effective) != ids->cap_effective || CAP_READ(c, cap_permitted) != ids->cap_permitted)
		return 1;
	return c->user_ns->ns.inum != ids->user_ns;
}

/* The same between two sets of credentials; another list of groups is another object. */
static __always_inline int creds_differ(const struct cred *a, const struct cred *b)
{
	if (a->uid.val != b->uid.val || a->euid.val != b->euid.val || a->suid.val != b->suid.val ||
	    a->fsuid.val != b->fsuid.val)
		return 1;
	if (a->gid.val != b->gid.val || a->egid.val != b->egid.val || a->sgid.val != b->sgid.val ||
	    a->fsgid.val != b->fsgid.val)
		return 1;
	if (CAP_READ(a, cap_effective) != CAP_READ(b, cap_effective) ||
	    CAP_READ(a, cap_permitted) != CAP_READ(b, cap_permitted))
		return 1;
	return a->group_info != b->group_info || a->user_ns != b->user_ns;
}

/* Copies at most SVID_GROUPS_MAX groups to @ret and returns how many there are in all. */
static __always_inline __u32 groups_read(const struct cred *c, __u32 *ret)
{
	struct group_info *g = c->group_info;
	__u32 n, bytes;

	if (!g)
		return 0;
	n = g->ngroups;
	bytes = n * sizeof(__u32);
	barrier_var(bytes);
	if (bytes > SVID_GROUPS_MAX * sizeof(__u32))
		bytes = SVID_GROUPS_MAX * sizeof(__u32);
	barrier_var(bytes);
	bpf_probe_read_kernel(ret, bytes, &g->gid);
	return n;
}

static __always_inline void ids_read(const struct cred *c, struct svid_ids *ret)
{
	ret->uid = c->uid.val;
	ret->euid = c->euid.val;
	ret->suid = c->suid.val;
	ret->fsuid = c->fsuid.val;
	ret->gid = c->gid.val;
	ret->egid = c->egid.val;
	ret->sgid = c->sgid.val;
	ret->fsgid = c->fsgid.val;
	ret->cap_effective = CAP_READ(c, cap_effective);
	ret->cap_permitted = CAP_READ(c, cap_permitted);
	ret->user_ns = c->user_ns->ns.inum;
}

/* The pid namespace a task lives in is that of its last number. Probe reads: a BTF pointer takes no variable offset. */
static __always_inline __u32 pid_ns_inum(struct task_struct *t)
{
	struct pid *pid = BPF_CORE_READ(t, thread_pid);
	struct upid *last;

	if (!pid)
		return 0;
	last = (void *)pid + bpf_core_field_offset(pid->numbers) +
	       BPF_CORE_READ(pid, level) * bpf_core_type_size(struct upid);
	return BPF_CORE_READ(last, ns, ns.inum);
}

/* Namespaces and root; nsproxy and fs are NULL in a task that is ending. */
static __always_inline void surroundings_read(struct task_struct *t, struct svid_creds *ret)
{
	const struct svid_config *cfg = THE(svid_config);
	struct nsproxy *ns = t->nsproxy;
	struct fs_struct *fs = t->fs;

	if (ns) {
		ret->mnt_ns = ns->mnt_ns->ns.inum;
		ret->net_ns = ns->net_ns->ns.inum;
		ret->cgroup_ns = ns->cgroup_ns->ns.inum;
		if (ns->mnt_ns->user_ns->level == 0)
			ret->flags |= SVID_CRED_MNTNS_INIT;
		if (cfg && cfg->mnt_ns == ret->mnt_ns)
			ret->flags |= SVID_CRED_MNTNS_PID1;
	}
	ret->pid_ns = pid_ns_inum(t);
	if (!cfg || !fs || cfg->root_dentry != (__u64)fs->root.dentry || cfg->root_mnt != (__u64)fs->root.mnt)
		ret->flags |= SVID_CRED_ROOT_DIFFERS;
}

/*
 * What a task is, not what it acts as for the moment: an io_uring personality puts credentials in ->cred that were
 * registered before the process entered a user namespace, chroot and all (A10). ->real_cred nobody can lend.
 */
static __always_inline const struct cred *task_creds(struct task_struct *t)
{
	return t->real_cred;
}

/* @ret is zeroed by the caller. */
static __always_inline void creds_read(struct task_struct *t, struct svid_creds *ret)
{
	const struct cred *c = task_creds(t);
	struct task_struct___audit *audit = (void *)t;

	ids_read(c, &ret->ids);
	ret->cap_inheritable = CAP_READ(c, cap_inheritable);
	ret->cap_bounding = CAP_READ(c, cap_bset);
	ret->cap_ambient = CAP_READ(c, cap_ambient);
	ret->userns_level = c->user_ns->level;
	if (ret->userns_level == 0)
		ret->flags |= SVID_CRED_USERNS_INIT;
	else
		ret->userns_owner = userns_maker(c->user_ns);
	ret->ngroups = groups_read(c, ret->groups);
	if (ret->ngroups > SVID_GROUPS_MAX)
		ret->flags |= SVID_CRED_GROUPS_TRUNC;
	ret->ids.groups_hash = groups_hash(ret->groups, ret->ngroups);
	ret->loginuid = bpf_core_field_exists(audit->loginuid) ? audit->loginuid.val : ~0u;
	ret->seccomp = t->seccomp.mode;
	if (t->atomic_flags & PFA_NO_NEW_PRIVS_BIT)
		ret->flags |= SVID_CRED_NO_NEW_PRIVS;
	if (t->ptrace)
		ret->flags |= SVID_CRED_TRACED_NOW;
	ret->cgroup_id = t->cgroups->dfl_cgrp->kn->id;
	ret->flags |= SVID_CRED_CGROUP;
	surroundings_read(t, ret);
}

#endif
