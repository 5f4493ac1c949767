/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an executable file is, and what its arguments and environment say, as of exec. Above task.h, below image.h.
 *
 * argv and environment are the new program's stack, just written by execve: user memory, readable without faulting
 * unless the kernel swapped it out in the meantime, which is counted and flagged.
 */
#ifndef SVID_EXE_H
#define SVID_EXE_H

#define MAGIC_OVERLAY	0x794c7630
#define MAGIC_FUSE	0x65735546
#define MAGIC_NFS	0x6969
#define MAGIC_CIFS	0xff534d42
#define MAGIC_SMB2	0xfe534d42
#define MAGIC_CEPH	0x00c36400
#define MAGIC_AFS	0x5346414f
#define MAGIC_V9FS	0x01021997
#define SB_KERNMOUNT_BIT (1u << 22)	/* mounted by the kernel for itself: memfd, shmem, hugetlb files */

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
		ret->ctime_nsec = sec->i_ctime_nsec;
	} else if (bpf_core_field_exists(under->__i_ctime)) {
		ret->ctime_sec = under->__i_ctime.tv_sec;
		ret->ctime_nsec = under->__i_ctime.tv_nsec;
	} else {
		ret->ctime_sec = spec->i_ctime.tv_sec;
		ret->ctime_nsec = spec->i_ctime.tv_nsec;
	}
}

static __always_inline __u32 fs_flags(struct super_block *sb)
{
	__u64 magic = sb->s_magic & 0xffffffff;
	__u32 flags = 0;

	if (sb->s_flags & SB_KERNMOUNT_BIT)
		flags |= SVID_IMG_MEMFD;
	if (magic == MAGIC_OVERLAY)
		flags |= SVID_IMG_OVERLAY;
	if (magic == MAGIC_FUSE || sb->s_user_ns->level != 0)
		flags |= SVID_IMG_FS_UNPRIV;
	if (magic == MAGIC_NFS || magic == MAGIC_CIFS || magic == MAGIC_SMB2 || magic == MAGIC_CEPH ||
	    magic == MAGIC_AFS || magic == MAGIC_V9FS)
		flags |= SVID_IMG_FS_REMOTE;
	return flags;
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

/* Eight bytes of a name as they lie in memory, and how many of them count. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define BYTE_AT(s, i)	((__u64)(__u8)(s)[i] << (8 * (i)))
#define FIRST(n)	(~0ULL >> (64 - 8 * (n)))
#else
#define BYTE_AT(s, i)	((__u64)(__u8)(s)[i] << (56 - 8 * (i)))
#define FIRST(n)	(~0ULL << (64 - 8 * (n)))
#endif
#define WORD_OF(s) (BYTE_AT(s, 0) | BYTE_AT(s, 1) | BYTE_AT(s, 2) | BYTE_AT(s, 3) | BYTE_AT(s, 4) | BYTE_AT(s, 5) | \
		    BYTE_AT(s, 6) | BYTE_AT(s, 7))
#define STARTS(word, s, n) (((word) & FIRST(n)) == (WORD_OF(s "\0\0\0\0\0\0\0\0") & FIRST(n)))

/* SVID_IMG_* of a variable whose name starts with these eight bytes (kernel.md K22, and what else loads foreign code). */
static __always_inline __u32 name_flags(__u64 w)
{
	if (STARTS(w, "LD_", 3)) {
		if (STARTS(w, "LD_PRELO", 8))
			return SVID_IMG_LD_PRELOAD;
		if (STARTS(w, "LD_AUDIT", 8))
			return SVID_IMG_LD_AUDIT;
		if (STARTS(w, "LD_LIBRA", 8))
			return SVID_IMG_LD_LIBRARY_PATH;
		return SVID_IMG_ENV_OTHER;
	}
	if (STARTS(w, "GLIBC_TU", 8) || STARTS(w, "GCONV_PA", 8) || STARTS(w, "PYTHON", 6) || STARTS(w, "PERL5", 5) ||
	    STARTS(w, "RUBY", 4) || STARTS(w, "NODE_OPT", 8) || STARTS(w, "JAVA_TOO", 8) || STARTS(w, "JDK_JAVA", 8) ||
	    STARTS(w, "_JAVA_OP", 8) || STARTS(w, "BASH_ENV", 8))
		return SVID_IMG_ENV_OTHER;
	return 0;
}

struct env_walk {
	struct exec_work *c;
};

static __noinline int name_at(struct env_walk *walk, __u32 pos)
{
	struct exec_work *c = walk->c;

	barrier_var(pos);
	if (pos >= c->have || pos > ENV_CHUNK)
		return 0;
	barrier_var(pos);
	c->flags |= name_flags(*(const __u64 *)&c->b[pos]);
	return 0;
}

#define ENV_BLOCK	64
#define LOW_BITS	0x0101010101010101ULL
#define HIGH_BITS	0x8080808080808080ULL

/* One block of 64 bytes: after each NUL a name starts. Most words have no NUL, which is one test for eight bytes. */
static long env_block(__u32 index, void *ctx)
{
	struct env_walk *walk = ctx;
	const char *block;
	__u32 base = index * ENV_BLOCK;
	__u32 i, b;

	barrier_var(base);
	base &= ENV_CHUNK - ENV_BLOCK;	/* changes nothing; the verifier of 6.1 sees the bound */
	barrier_var(base);
	block = &walk->c->b[base];
	for (i = 0; i < ENV_BLOCK; i += 8) {
		__u64 w = *(const __u64 *)&block[i];

		if (!((w - LOW_BITS) & ~w & HIGH_BITS))
			continue;
#pragma unroll
		for (b = 0; b < 8; b++)
			if (block[i + b] == 0)
				name_at(walk, base + i + b + 1);
	}
	return 0;
}

/* One chunk, with a little of the next one so that no name is cut. */
static long env_part(__u32 index, void *ctx)
{
	struct env_walk *walk = ctx;
	struct exec_work *c = walk->c;
	__u32 off = index * ENV_CHUNK;
	__u32 n;

	if (off >= c->total)
		return 1;
	c->have = n = c->total - off;
	barrier_var(n);
	if (n > ENV_CHUNK + ENV_SLACK)
		n = ENV_CHUNK + ENV_SLACK;
	barrier_var(n);
	if (bpf_probe_read_user(c->b, n, (void *)(c->start + off))) {
		c->flags |= SVID_IMG_ENV_TRUNC;
		count(SVID_STAT_ENV_FAULT);
		return 1;
	}
	if (n > ENV_CHUNK)
		n = ENV_CHUNK;
	else
		__builtin_memset(&c->b[n], 0, ENV_SLACK);
	if (index == 0)
		name_at(walk, 0);
	bpf_loop((n + ENV_BLOCK - 1) / ENV_BLOCK, env_block, walk, 0);
	return 0;
}

/* Sets flags in @work. */
static __always_inline void env_read(struct mm_struct *mm, struct svid_image *img, struct exec_work *work)
{
	struct env_walk walk = { .c = work };
	__u64 total = mm->env_end - mm->env_start;

	img->env_total = total;
	work->start = mm->env_start;
	if (total > SVID_ENV_SCAN) {
		total = SVID_ENV_SCAN;
		work->flags |= SVID_IMG_ENV_TRUNC;
	}
	work->total = total;
	bpf_loop(SVID_ENV_SCAN / ENV_CHUNK, env_part, &walk, 0);
}

#endif
