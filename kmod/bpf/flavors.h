/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel structs that changed between 6.1 and today, one flavor per form, with the version and the reason.
 * CO-RE takes the one that the running kernel has: fields are tested, versions never. Next: task.h.
 */
#ifndef SVID_FLAVORS_H
#define SVID_FLAVORS_H

#define FLAVOR __attribute__((preserve_access_index))

/* struct inode times: timespec64 members up to 6.5; __i_ctime (6.6) and __i_mtime (6.7); seconds alone since 6.11. */
struct timespec64___any {
	long long tv_sec;
	long tv_nsec;
} FLAVOR;

struct inode___spec {
	struct timespec64___any i_mtime;
	struct timespec64___any i_ctime;
} FLAVOR;

struct inode___under {
	struct timespec64___any __i_mtime;
	struct timespec64___any __i_ctime;
} FLAVOR;

struct inode___sec {
	long long i_mtime_sec;
	long long i_ctime_sec;
	unsigned int i_mtime_nsec;
	unsigned int i_ctime_nsec;
} FLAVOR;

/* Capability sets: two __u32 in a named struct up to 6.2, one __u64 in an anonymous struct since 6.3. */
struct kernel_cap_struct___pair {
	unsigned int cap[2];
} FLAVOR;

struct cred___pair {
	struct kernel_cap_struct___pair cap_inheritable;
	struct kernel_cap_struct___pair cap_permitted;
	struct kernel_cap_struct___pair cap_effective;
	struct kernel_cap_struct___pair cap_bset;
	struct kernel_cap_struct___pair cap_ambient;
} FLAVOR;

struct cap___whole {
	unsigned long long val;
} FLAVOR;

struct cred___whole {
	struct cap___whole cap_inheritable;
	struct cap___whole cap_permitted;
	struct cap___whole cap_effective;
	struct cap___whole cap_bset;
	struct cap___whole cap_ambient;
} FLAVOR;

/* uaddrlen since 6.7, with the hook that needs it; so that older headers can build this. */
struct bpf_sock_addr_kern___unix {
	struct sockaddr *uaddr;
	__u32 uaddrlen;
} FLAVOR;

/* loginuid: only with CONFIG_AUDIT. */
struct task_struct___audit {
	kuid_t loginuid;
} FLAVOR;

#endif
