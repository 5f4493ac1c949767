/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an executable file is, and its arguments, as of exec. Above task.h, below env.h.
 *
 * argv and environment are the new program's stack, just written by execve: user memory, readable without faulting
 * unless the kernel swapped it out in the meantime, which is counted and flagged.
 */
#ifndef SVID_EXE_H
#define SVID_EXE_H

#define CTIME_QUERIED (1u << 31)	/* I_CTIME_QUERIED since 6.13: somebody asked for this time */

static __always_inline void exe_times(struct inode *inode, struct svid_exe *ret)
{
	struct inode___sec *sec = (void *)inode;
	struct inode___under *under = (void *)inode;
	struct inode___spec *spec = (void *)inode;

	if (bpf_core_field_exists(sec->i_mtime_sec)) {
		ret->mtime_sec = sec->i_mtime_sec;
		ret->mtime_nsec = sec->i_mtime_nsec;
	} else if (bpf_core_field_exists(under->__i_mtime)) {
		ret->mtime_sec = under->__i_mtime.tv_sec;
		ret->mtime_nsec = under->__i_mtime.tv_nsec;
	} else {
		ret->mtime_sec = spec->i_mtime.tv_sec;
		ret->mtime_nsec = spec->i_mtime.tv_nsec;
	}
	if (bpf_core_field_exists(sec->i_ctime_sec)) {
		ret->ctime_sec = sec->i_ctime_sec;
		ret->ctime_nsec = sec->i_ctime_nsec & ~CTIME_QUERIED;
	} else if (bpf_core_field_exists(under->__i_ctime)) {
		ret->ctime_sec = under->__i_ctime.tv_sec;
		ret->ctime_nsec = under->__i_ctime.tv_nsec;
	} else {
		ret->ctime_sec = spec->i_ctime.tv_sec;
		ret->ctime_nsec = spec->i_ctime.tv_nsec;
	}
}

/* Fills @ret and returns SVID_IMG_* flags. */
static __always_inline __u32 exe_read(struct inode *inode, struct svid_exe *ret)
{
	struct super_block *sb = inode->i_sb;
	__u32 flags = fs_flags(sb);

	ret->ino = inode->i_ino;
	ret->dev = sb->s_dev;
	ret->generation = inode->i_generation;
	ret->size = inode->i_size;
	ret->magic = sb->s_magic;
	ret->uid = inode->i_uid.val;
	ret->mode = inode->i_mode;
	exe_times(inode, ret);
	if (inode->i_nlink == 0)
		flags |= SVID_IMG_DELETED;
	return flags;
}

static __always_inline __u32 argv_read(struct mm_struct *mm, struct svid_image *img)
{
	__u64 start = mm->arg_start;
	__u64 total = mm->arg_end - start;
	__u64 n = total;

	img->argv_total = total;
	img->argv_len = 0;
	barrier_var(n);	/* keep the bound and the use on one register, for the verifier */
	if (n > SVID_ARGV_MAX)
		n = SVID_ARGV_MAX;
	barrier_var(n);
	if (bpf_probe_read_user(img->argv, n, (void *)start)) {
		count(SVID_STAT_ARGV_FAULT);
		return SVID_IMG_ARGV_TRUNC;
	}
	img->argv_len = n;
	return total > SVID_ARGV_MAX ? SVID_IMG_ARGV_TRUNC : 0;
}

#endif
