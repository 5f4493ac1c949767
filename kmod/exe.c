// SPDX-License-Identifier: GPL-2.0-only
/*
 * What an executable is, with its arguments and environment, as of exec: read in the exec tracepoint by the process
 * itself, with preemption off. kmod/bpf/exe.h and env.h say the same in the BPF tiers.
 *
 * argv and environment are the new program's stack, just written by execve: user memory, readable without faulting unless
 * the kernel swapped it out in the meantime, which is counted and flagged.
 */
#include "evidence.h"

#include <linux/binfmts.h>
#include <linux/filter.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/ptrace.h>
#include <linux/uaccess.h>
#include <linux/user_namespace.h>

#include "compat.h"
#include "facts.h"

#define ENV_CHUNK	4096	/* bytes of environment read at a time */
#define ENV_SLACK	16	/* so that a name at the edge of a chunk is whole */
#define EACH_BYTE	0x0101010101010101ULL
#define HIGH_BITS	0x8080808080808080ULL

/* Used in the exec tracepoint alone: preemption is off, and no interrupt calls execve. */
struct env_work {
	char b[ENV_CHUNK + ENV_SLACK];
};

static struct env_work __percpu *env_work;

int svid_exe_init(void)
{
	env_work = alloc_percpu(struct env_work);
	return env_work ? 0 : -ENOMEM;
}

void svid_exe_exit(void)
{
	free_percpu(env_work);
}

u32 svid_exe_read(const struct inode *inode, struct svid_exe *ret)
{
	struct timespec64 mtime = inode_mtime_of(inode), ctime = inode_ctime_of(inode);
	struct super_block *sb = inode->i_sb;

	ret->ino = inode->i_ino;
	ret->dev = sb->s_dev;
	ret->generation = inode->i_generation;
	ret->size = i_size_read(inode);
	ret->mtime_sec = mtime.tv_sec;
	ret->mtime_nsec = mtime.tv_nsec;
	ret->ctime_sec = ctime.tv_sec;
	ret->ctime_nsec = ctime.tv_nsec;
	ret->magic = sb->s_magic;
	ret->uid = inode->i_uid.val;
	ret->mode = inode->i_mode;
	return fs_flags(sb) | (inode->i_nlink == 0 ? SVID_IMG_DELETED : 0);
}

static u32 path_read(char *ret, u32 max, const char *from, u32 *ret_len)
{
	ssize_t n = strscpy(ret, from, max);

	/* a name that just fits counts as cut, as in BPF, which cannot tell */
	*ret_len = n < 0 ? max - 1 : n;
	return *ret_len == max - 1 ? SVID_IMG_PATH_TRUNC : 0;
}

static u32 names_read(const struct linux_binprm *bprm, struct svid_image *ret)
{
	u32 flags = path_read(ret->filename, SVID_PATH_MAX, bprm->filename, &ret->filename_len);

	if (bprm->interp == bprm->filename)
		return flags;
	return flags | SVID_IMG_SCRIPT | path_read(ret->interp, SVID_INTERP_MAX, bprm->interp, &ret->interp_len);
}

static u32 argv_read(const struct mm_struct *mm, struct svid_image *ret)
{
	u64 total = mm->arg_end - mm->arg_start;
	u32 n = min_t(u64, total, SVID_ARGV_MAX);

	ret->argv_total = total;
	if (copy_from_user_nofault(ret->argv, (const void __user *)mm->arg_start, n)) {
		memset(ret->argv, 0, n);
		svid_count(SVID_STAT_ARGV_FAULT);
		return SVID_IMG_ARGV_TRUNC;
	}
	ret->argv_len = n;
	return total > SVID_ARGV_MAX ? SVID_IMG_ARGV_TRUNC : 0;
}

static u32 name_at(const struct env_work *w, u32 pos)
{
	u64 word;

	memcpy(&word, &w->b[pos], sizeof(word));
	return name_flags(word);
}

/*
 * Names start behind NULs. Most words have none, which is one test for eight bytes; a mark may also be on a byte of one
 * behind a NUL, where looking does no harm. Behind b[n] is slack.
 */
static u32 env_names(const struct env_work *w, u32 n)
{
	u32 flags = 0, i;

	for (i = 0; i < n; i += 8) {
		u64 v = le64_to_cpup((const __le64 *)&w->b[i]);
		u64 nuls = (v - EACH_BYTE) & ~v & HIGH_BITS;

		for (; nuls; nuls &= nuls - 1)
			flags |= name_at(w, i + __ffs64(nuls) / 8 + 1);
	}
	return flags;
}

static u32 env_read(const struct mm_struct *mm, struct svid_image *ret)
{
	struct env_work *w = this_cpu_ptr(env_work);
	u64 all = mm->env_end - mm->env_start;
	u32 total = min_t(u64, all, SVID_ENV_SCAN);
	u32 flags = all > SVID_ENV_SCAN ? SVID_IMG_ENV_TRUNC : 0;
	u32 off, n;

	ret->env_total = all;
	for (off = 0; off < total; off += ENV_CHUNK) {
		n = min_t(u32, total - off, ENV_CHUNK + ENV_SLACK);
		if (copy_from_user_nofault(w->b, (const void __user *)mm->env_start + off, n)) {
			svid_count(SVID_STAT_ENV_FAULT);
			return flags | SVID_IMG_ENV_TRUNC;
		}
		/* what another exec left there is nobody's name */
		memset(&w->b[n], 0, min_t(size_t, ENV_SLACK, sizeof(w->b) - n));
		if (off == 0)
			flags |= name_at(w, 0);
		flags |= env_names(w, min_t(u32, n, ENV_CHUNK));
	}
	return flags;
}

#define FILTERS_MAX	64	/* seccomp filters looked at; nobody is believed to have more */
#define FILTER_CHUNK	16	/* instructions read at a time */

#ifdef CONFIG_SECCOMP_FILTER
/* The program as it was given, which CONFIG_CHECKPOINT_RESTORE keeps; without it every filter is one that lies. */
static bool program_lies(const struct bpf_prog *prog)
{
	struct sock_filter b[FILTER_CHUNK];
	struct sock_fprog_kern *at, given;
	u32 i, j, n;

	if (copy_from_kernel_nofault(&at, &prog->orig_prog, sizeof(at)) || copy_from_kernel_nofault(&given, at, sizeof(given)))
		return true;
	for (i = 0; i < given.len; i += n) {
		n = min_t(u32, given.len - i, FILTER_CHUNK);
		if (copy_from_kernel_nofault(b, given.filter + i, n * sizeof(b[0])))
			return true;
		for (j = 0; j < n; j++)
			if (filter_lies(b[j].code, b[j].k))
				return true;
	}
	return false;
}
#endif

/*
 * Somebody answers system calls in the place of the kernel: whoever started this program below a seccomp listener, or a
 * filter that lies, can have it open any file for a library, which is as good as a tracer. @t is current, or scanned: then
 * its filters may change, and what was freed meanwhile is read as it is; a filter never goes before its task does.
 */
bool svid_is_supervised(const struct task_struct *t)
{
#ifdef CONFIG_SECCOMP_FILTER
	const struct svid_seccomp_filter *at = (void *)READ_ONCE(t->seccomp.filter);
	struct svid_seccomp_filter f;
	int i;

	for (i = 0; at && i < FILTERS_MAX; i++, at = f.prev)
		if (copy_from_kernel_nofault(&f, at, sizeof(f)) || f.notif || program_lies(f.prog))
			return true;
	return at;
#else
	return false;
#endif
}

u32 svid_exec_read(struct linux_binprm *bprm, struct svid_image *ret)
{
	u32 flags = svid_exe_read(file_inode(bprm->file), &ret->exe);

	flags |= names_read(bprm, ret);
	flags |= argv_read(current->mm, ret);
	flags |= env_read(current->mm, ret);
	if (bprm->secureexec)
		flags |= SVID_IMG_SECURE;
	if (svid_is_in_userns(current))
		flags |= SVID_IMG_MNT_USERNS;
	if (current->ptrace || svid_is_supervised(current))
		flags |= SVID_IMG_TRACED;
	ret->exec_time = ktime_get_boottime_ns();
	return flags;
}
