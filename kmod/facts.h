/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the BPF programs and the module must say alike, in code that both compile: the meaning of file systems, of
 * variables in an environment, of groups, user namespaces and seccomp filters. Plain loads, no calls. Next: uapi/svid.h
 * has the flags.
 */
#ifndef SVID_FACTS_H
#define SVID_FACTS_H

#define MAGIC_OVERLAY	0x794c7630
#define MAGIC_FUSE	0x65735546
#define MAGIC_NFS	0x6969
#define MAGIC_CIFS	0xff534d42
#define MAGIC_SMB2	0xfe534d42
#define MAGIC_CEPH	0x00c36400
#define MAGIC_AFS	0x5346414f
#define MAGIC_V9FS	0x01021997
#define SB_KERNMOUNT_BIT (1u << 22)	/* mounted by the kernel for itself: memfd, shmem, hugetlb files */

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

#define FNV_START	2166136261u
#define FNV_PRIME	16777619u

static __always_inline __u32 groups_hash(const __u32 *groups, __u32 n)
{
	__u32 h = (FNV_START ^ n) * FNV_PRIME;
	__u32 i;

	for (i = 0; i < SVID_GROUPS_MAX; i++) {
		if (i >= n)
			break;
		h = (h ^ groups[i]) * FNV_PRIME;
	}
	return h;
}

#define FILTER_RET_K	0x06		/* BPF_RET | BPF_K */
#define FILTER_RET_A	0x16		/* BPF_RET | BPF_A: an answer that is computed; no known library makes one */
#define FILTER_DONE	0x00050000u	/* SECCOMP_RET_ERRNO with errno 0 */

/*
 * An instruction of a seccomp filter by which a system call is said to be done that was not: an open() that gives 0 is
 * descriptor 0, which whoever starts a program chooses, and the loader takes it for the library that it wanted (A12).
 */
static __always_inline int filter_lies(__u16 code, __u32 k)
{
	return code == FILTER_RET_A || (code == FILTER_RET_K && k == FILTER_DONE);
}

#define USERNS_LEVELS 33	/* the kernel's own maximum is 32 */

/*
 * Who made the outermost user namespace that @ns is in: a namespace in a namespace, made by one of the 65 536 users of the
 * first, counts for the user that got them (A14). @ns is not the initial one.
 */
static __always_inline __u32 userns_maker(struct user_namespace *ns)
{
	int i;

	for (i = 0; i < USERNS_LEVELS && ns->level > 1; i++)
		ns = ns->parent;
	return ns->owner.val;
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

/* The first two letters as a number: by these most names are none of ours. It runs for every variable of every exec. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TWO(a, b)	((a) | (b) << 8)
#define FIRST_TWO(word)	((__u32)(word) & 0xffff)
#else
#define TWO(a, b)	((a) << 8 | (b))
#define FIRST_TWO(word)	((__u32)((word) >> 48))
#endif

#define OTHER_IF(w, s) (STARTS(w, s, sizeof(s) - 1) ? SVID_IMG_ENV_OTHER : 0)

static __always_inline __u32 loader_flags(__u64 w)
{
	if (STARTS(w, "LD_PRELO", 8))
		return SVID_IMG_LD_PRELOAD;
	if (STARTS(w, "LD_AUDIT", 8))
		return SVID_IMG_LD_AUDIT;
	/* what $ORIGIN is when a filter refuses the loader readlink(); a file it maps and believes, which others write */
	if (STARTS(w, "LD_LIBRA", 8) || STARTS(w, "LD_ORIGI", 8) || STARTS(w, "LD_PROFI", 8))
		return SVID_IMG_LD_LIBRARY_PATH;
	return OTHER_IF(w, "LD_");
}

/*
 * SVID_IMG_* of a variable whose name starts with these eight bytes: kernel.md K22, and what else loads foreign code. OPENSSL_,
 * KRB5_CON, GIO_, GTK_ and QT_PLUGI are of libraries that load plugins by them: libcrypto, libkrb5, GLib, GTK, Qt.
 */
static __always_inline __u32 name_flags(__u64 w)
{
	switch (FIRST_TWO(w)) {
	case TWO('L', 'D'): return loader_flags(w);
	case TWO('G', 'L'): return OTHER_IF(w, "GLIBC_TU");
	case TWO('G', 'C'): return OTHER_IF(w, "GCONV_PA");
	case TWO('P', 'Y'): return OTHER_IF(w, "PYTHON");
	case TWO('P', 'E'): return OTHER_IF(w, "PERL");
	case TWO('R', 'U'): return OTHER_IF(w, "RUBY");
	case TWO('N', 'O'): return OTHER_IF(w, "NODE_OPT") | OTHER_IF(w, "NODE_PAT");
	case TWO('J', 'A'): return OTHER_IF(w, "JAVA_TOO");
	case TWO('J', 'D'): return OTHER_IF(w, "JDK_JAVA");
	case TWO('_', 'J'): return OTHER_IF(w, "_JAVA_OP");
	case TWO('C', 'L'): return OTHER_IF(w, "CLASSPAT");
	case TWO('B', 'A'): return OTHER_IF(w, "BASH_ENV") | OTHER_IF(w, "BASH_FUN");
	case TWO('S', 'H'): return OTHER_IF(w, "SHELLOPT");
	case TWO('P', 'S'): return OTHER_IF(w, "PS4=");
	case TWO('L', 'U'): return OTHER_IF(w, "LUA_");
	case TWO('P', 'H'): return OTHER_IF(w, "PHPRC=") | OTHER_IF(w, "PHP_INI_");
	case TWO('E', 'R'): return OTHER_IF(w, "ERL_");
	case TWO('D', 'O'): return OTHER_IF(w, "DOTNET_S");
	case TWO('C', 'O'): return OTHER_IF(w, "CORECLR_");
	case TWO('O', 'P'): return OTHER_IF(w, "OPENSSL_");
	case TWO('K', 'R'): return OTHER_IF(w, "KRB5_CON");
	case TWO('G', 'I'): return OTHER_IF(w, "GIO_");
	case TWO('G', 'T'): return OTHER_IF(w, "GTK_");
	case TWO('Q', 'T'): return OTHER_IF(w, "QT_PLUGI");
	default: return 0;
	}
}

#endif
