/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place that knows kernel versions: 6.1 and 6.12 are tested, what is later is taken from the kernel's own history.
 * Each block says what changed and when.
 */
#ifndef SVID_COMPAT_H
#define SVID_COMPAT_H

#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/refcount.h>
#include <linux/seccomp.h>
#include <linux/version.h>

#ifdef CONFIG_PREEMPT_RT
#error "the probes of svid.ko allocate with preemption off, which a real-time kernel cannot"
#endif

#define SINCE(major, minor) (LINUX_VERSION_CODE >= KERNEL_VERSION(major, minor, 0))

/* 6.3: a capability set is one u64, no longer a pair of u32; and vm_flags are written through functions. */
#if SINCE(6, 3)
static inline u64 cap_bits(kernel_cap_t set)
{
	return set.val;
}
#else
static inline u64 cap_bits(kernel_cap_t set)
{
	return set.cap[0] | (u64)set.cap[1] << 32;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* 6.6 hid i_ctime, 6.7 i_mtime; 6.13 put a flag among the nanoseconds, which the function takes away. */
static inline struct timespec64 inode_ctime_of(const struct inode *inode)
{
#if SINCE(6, 6)
	return inode_get_ctime(inode);
#else
	return inode->i_ctime;
#endif
}

static inline struct timespec64 inode_mtime_of(const struct inode *inode)
{
#if SINCE(6, 7)
	return inode_get_mtime(inode);
#else
	return inode->i_mtime;
#endif
}

/* 6.7: files are reused within a grace period, so a reference is taken by a function that looks twice. */
static inline struct file *exe_file_get(struct mm_struct *mm)
{
	struct file *file;

#if SINCE(6, 7)
	file = get_file_active((struct file **)&mm->exe_file);
#else
	rcu_read_lock();
	file = rcu_dereference(mm->exe_file);
	if (file && !get_file_rcu(file))
		file = NULL;
	rcu_read_unlock();
#endif
	return file;
}

/* 6.16: sched_process_exit says whether it is the last thread. */
#if SINCE(6, 16)
#define EXIT_PROBE(name, task) name(void *data, struct task_struct *task, bool last)
#else
#define EXIT_PROBE(name, task) name(void *data, struct task_struct *task)
#endif

/* 6.17: task_newtask has 64 bits of flags on every architecture. */
#if SINCE(6, 17)
#define CLONE_FLAGS_TYPE u64
#else
#define CLONE_FLAGS_TYPE unsigned long
#endif

/* 6.5: splice() to a socket became sendmsg(), and this function went. */
#define HAVE_SENDPAGE (!SINCE(6, 5))

/*
 * Private to kernel/seccomp.c, and like this from 5.19 to 6.18: what comes before and up to notif. It is read with
 * copy_from_kernel_nofault(), and what cannot be read counts as found.
 */
struct svid_seccomp_filter {
	refcount_t refs;
	refcount_t users;
	bool log;
	bool wait_killable_recv;
#ifdef SECCOMP_ARCH_NATIVE
	DECLARE_BITMAP(allow_native, SECCOMP_ARCH_NATIVE_NR);
#ifdef SECCOMP_ARCH_COMPAT
	DECLARE_BITMAP(allow_compat, SECCOMP_ARCH_COMPAT_NR);
#endif
#endif
	struct svid_seccomp_filter *prev;
	struct bpf_prog *prog;
	void *notif;
};

/* 6.16: the callbacks of a bin_attribute take it const (6.13 to 6.15 have another member for such ones, and this one too). */
#if SINCE(6, 16)
#define BIN_CONST const
#else
#define BIN_CONST
#endif

#endif
