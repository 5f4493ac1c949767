/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What happens to images from outside: somebody opens a process's memory, and the scan of what is older than the
 * provider. Above image.h; used by the hooks in svid.bpf.c.
 */
#ifndef SVID_IMAGE_MORE_H
#define SVID_IMAGE_MORE_H

#define SHARED_MM_DEPTH	4	/* vfork chains followed for a shared address space */

static __always_inline void traced_one(struct task_struct *t, const struct svid_key *by)
{
	struct svid_key key = task_key(t);
	struct svid_image *img = image_of(&key);

	if (!img)
		return;
	if (__sync_fetch_and_or(&img->flags, SVID_IMG_TRACED) & SVID_IMG_TRACED)
		return;
	count(SVID_STAT_TRACED);
	image_changed(SVID_EVENT_TRACED, &key, by);
}

/* @t's memory lies open to @by; so does that of the parents that lend theirs to it (vfork). */
static __always_inline void image_traced(struct task_struct *t, struct task_struct *by)
{
	struct svid_key who = task_key(by);
	struct mm_struct *mm = t->mm;
	int i;

	traced_one(t, &who);
	for (i = 0; i < SHARED_MM_DEPTH; i++) {
		t = t->real_parent;
		if (!t || !mm || t->mm != mm)
			break;
		traced_one(t, &who);
	}
}

/* In exec, under exec_update_lock: nobody can open the new memory before this, so marks of the old end here. */
static __always_inline void image_untrace(struct task_struct *t)
{
	struct svid_key key = task_key(t);
	struct svid_image *img = image_of(&key);

	if (img)
		__sync_fetch_and_and(&img->flags, ~SVID_IMG_TRACED);
}

static __always_inline void scan_ancestors(struct task_struct *t, struct svid_image *img)
{
	__u32 i;

	img->n_ancestors = 0;
	for (i = 0; i < SVID_ANCESTORS; i++) {
		t = t->real_parent;
		if (!t || t->tgid == 0)
			break;
		img->ancestors[i].key = task_key(t);
		img->ancestors[i].exec_id = 0;
		bpf_probe_read_kernel_str(img->ancestors[i].comm, SVID_COMM_LEN, t->group_leader->comm);
		img->n_ancestors = i + 1;
	}
}

/* Only what can still be said: the file that is mapped now. No argv, no environment (K4). */
static __always_inline void image_scan(struct task_struct *t)
{
	struct svid_key key = task_key(t);
	__u32 draft_index = DRAFT_SCAN;
	struct svid_image *img = bpf_map_lookup_elem(&svid_drafts, &draft_index);
	struct file *file;

	if (!img || !t->mm || image_of(&key))
		return;
	file = t->mm->exe_file;
	if (!file)
		return;
	img->key = key;
	img->exec_id = next_exec_id();
	img->flags = SVID_IMG_SCANNED | SVID_IMG_ARGV_TRUNC | SVID_IMG_ENV_TRUNC;
	img->flags |= exe_read(file->f_inode, &img->exe);
	if (t->ptrace || is_supervised(t, WALK_SCAN))
		img->flags |= SVID_IMG_TRACED;
	scan_ancestors(t, img);
	if (bpf_map_update_elem(&svid_images, &key, img, BPF_NOEXIST) == 0)
		count(SVID_STAT_SCANNED);
	if (t->signal->live.counter == 0)
		bpf_map_delete_elem(&svid_images, &key);
}

#endif
