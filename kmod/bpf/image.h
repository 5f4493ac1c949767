/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The life of an image: made at exec, copied at fork, touched by changes, removed at exit. Above env.h and filters.h, below
 * image_more.h; used by the hooks in svid.bpf.c.
 *
 * Concurrency: an entry is filled in place only by its own process, in exec, when it has one thread. Others touch
 * flags (SVID_IMG_TRACED) and change, atomically. Core looks only at exec_id and change outside a connection record.
 */
#ifndef SVID_IMAGE_H
#define SVID_IMAGE_H

static __always_inline struct svid_image *image_of(const struct svid_key *key)
{
	return bpf_map_lookup_elem(&svid_images, key);
}

static __always_inline struct svid_image *image_make(const struct svid_key *key)
{
	struct svid_image *img = image_of(key);
	__u32 blank_index = DRAFT_BLANK;
	struct svid_image *blank;

	if (img)
		return img;
	blank = bpf_map_lookup_elem(&svid_drafts, &blank_index);
	if (!blank || bpf_map_update_elem(&svid_images, key, blank, BPF_ANY)) {
		count(SVID_STAT_IMG_FULL);
		return NULL;
	}
	return image_of(key);
}

static __always_inline __u64 next_exec_id(void)
{
	struct svid_stats *s = THE(svid_stats);

	return s ? __sync_fetch_and_add(&s->exec_seq, 1) + 1 : 0;
}

/* Something about the process changed: first the image, then the holder; core inserts the holder, then reads. */
static __always_inline void image_changed(__u32 type, const struct svid_key *key, const struct svid_key *by)
{
	struct svid_image *img = image_of(key);

	if (img)
		__sync_fetch_and_add(&img->change, 1);
	holder_changed(type, key, by);
}

static __always_inline __u32 path_read(char *ret, __u32 max, const char *from, __u32 *ret_len)
{
	long n = bpf_probe_read_kernel_str(ret, max, from);

	*ret_len = n > 0 ? n - 1 : 0;
	return n >= max || n <= 0 ? SVID_IMG_PATH_TRUNC : 0;
}

static __always_inline __u32 names_read(struct linux_binprm *bprm, struct svid_image *img)
{
	__u32 flags = path_read(img->filename, SVID_PATH_MAX, bprm->filename, &img->filename_len);

	img->interp_len = 0;
	if (bprm->interp == bprm->filename)
		return flags;
	return flags | SVID_IMG_SCRIPT | path_read(img->interp, SVID_INTERP_MAX, bprm->interp, &img->interp_len);
}

/* Tracer and filters survive exec; so does, in tiers that see tracing, a mark set since the new memory became reachable. */
static __always_inline void flags_set(struct svid_image *img, struct task_struct *p, __u32 flags)
{
	if (p->ptrace || is_supervised(p, WALK_EXEC))
		flags |= SVID_IMG_TRACED;
	if (svid_conn_flags & SVID_CONN_SEES_TRACE)
		__sync_fetch_and_and(&img->flags, SVID_IMG_TRACED);
	else
		__sync_fetch_and_and(&img->flags, 0);
	__sync_fetch_and_or(&img->flags, flags);
}

static __always_inline void exec_fill(struct svid_image *img, struct task_struct *p, struct linux_binprm *bprm,
				      struct exec_work *work)
{
	img->exec_id = next_exec_id();
	img->exec_time = bpf_ktime_get_boot_ns();
	work->flags = exe_read(bprm->file->f_inode, &img->exe);
	barrier();	/* flags go to memory: see struct exec_work */
	work->flags |= names_read(bprm, img);
	barrier();
	work->flags |= argv_read(p->mm, img);
	barrier();
	if (BPF_CORE_READ_BITFIELD(bprm, secureexec))
		work->flags |= SVID_IMG_SECURE;
	if (task_creds(p)->user_ns->level != 0 || (p->nsproxy && p->nsproxy->mnt_ns->user_ns->level != 0))
		work->flags |= SVID_IMG_MNT_USERNS;
	barrier();
	env_read(p->mm, img, work);
	flags_set(img, p, work->flags);
}

static __always_inline void image_exec(struct task_struct *p, struct linux_binprm *bprm)
{
	struct svid_key key = task_key(p);
	struct svid_image *img = image_make(&key);
	struct exec_work *work = THE(svid_exec_work);

	count(SVID_STAT_EXECS);
	if (img && work) {
		img->key = key;
		exec_fill(img, p, bprm, work);
	}
	if (img)
		__sync_fetch_and_add(&img->change, 1);
	holder_changed(SVID_EVENT_EXEC, &key, &key);
}

/* The child's line of forks: its parent in front, the oldest dropped. */
static __always_inline void ancestors_push(struct svid_image *child, struct task_struct *parent, __u64 parent_exec)
{
	int i;

#pragma unroll
	for (i = SVID_ANCESTORS - 1; i > 0; i--)
		child->ancestors[i] = child->ancestors[i - 1];
	child->ancestors[0].key = task_key(parent);
	child->ancestors[0].exec_id = parent_exec;
	bpf_probe_read_kernel_str(child->ancestors[0].comm, SVID_COMM_LEN, parent->group_leader->comm);
	if (child->n_ancestors < SVID_ANCESTORS)
		child->n_ancestors++;
}

static __always_inline void image_fork(struct task_struct *parent, struct task_struct *child)
{
	struct svid_key pkey = task_key(parent), ckey = task_key(child);
	struct svid_image *img = image_of(&pkey);

	count(SVID_STAT_FORKS);
	if (!img) {
		if (!(parent->flags & PF_KTHREAD_BIT))
			count(SVID_STAT_IMG_MISSING);
		return;
	}
	if (bpf_map_update_elem(&svid_images, &ckey, img, BPF_ANY)) {
		count(SVID_STAT_IMG_FULL);
		return;
	}
	img = image_of(&ckey);
	if (!img)
		return;
	img->key = ckey;
	ancestors_push(img, parent, img->exec_id);
	__sync_fetch_and_or(&img->flags, SVID_IMG_FORKED);
}

static __always_inline void image_exit(struct task_struct *p)
{
	struct svid_key key = task_key(p);

	if (p->signal->live.counter != 0)
		return;
	count(SVID_STAT_EXITS);
	bpf_map_delete_elem(&svid_images, &key);
	holder_changed(SVID_EVENT_EXIT, &key, &key);
}

#endif
