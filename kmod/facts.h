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

/* Most names are none of ours by their first letter; this is the test that runs for every variable of every exec. */
#define LETTER(c)	(1u << ((c) - '@'))
#define OUR_LETTERS	(LETTER('L') | LETTER('G') | LETTER('P') | LETTER('R') | LETTER('N') | LETTER('J') | LETTER('_') | \
			 LETTER('B') | LETTER('C') | LETTER('D') | LETTER('E') | LETTER('K') | LETTER('O') | LETTER('Q') | \
			 LETTER('S'))

static __always_inline int may_be_ours(__u8 first)
{
	return first >= '@' && first <= '_' && (OUR_LETTERS >> (first - '@') & 1);
}

/* SVID_IMG_* of a variable whose name starts with these eight bytes (kernel.md K22, and what else loads foreign code). */
static __always_inline __u32 name_flags(__u64 w)
{
	if (STARTS(w, "LD_", 3)) {
		if (STARTS(w, "LD_PRELO", 8))
			return SVID_IMG_LD_PRELOAD;
		if (STARTS(w, "LD_AUDIT", 8))
			return SVID_IMG_LD_AUDIT;
		/* what $ORIGIN is when a filter refuses the loader readlink(); a file it maps and believes, which others write */
		if (STARTS(w, "LD_LIBRA", 8) || STARTS(w, "LD_ORIGI", 8) || STARTS(w, "LD_PROFI", 8))
			return SVID_IMG_LD_LIBRARY_PATH;
		return SVID_IMG_ENV_OTHER;
	}
	if (STARTS(w, "GLIBC_TU", 8) || STARTS(w, "GCONV_PA", 8) || STARTS(w, "PYTHON", 6) || STARTS(w, "PERL", 4) ||
	    STARTS(w, "RUBY", 4) || STARTS(w, "NODE_OPT", 8) || STARTS(w, "NODE_PAT", 8) || STARTS(w, "JAVA_TOO", 8) ||
	    STARTS(w, "JDK_JAVA", 8) || STARTS(w, "_JAVA_OP", 8) || STARTS(w, "CLASSPAT", 8) ||
	    STARTS(w, "BASH_ENV", 8) || STARTS(w, "BASH_FUN", 8) || STARTS(w, "SHELLOPT", 8) || STARTS(w, "PS4=", 4) ||
	    STARTS(w, "LUA_", 4) || STARTS(w, "PHPRC=", 6) || STARTS(w, "PHP_INI_", 8) || STARTS(w, "ERL_", 4) ||
	    STARTS(w, "DOTNET_S", 8) || STARTS(w, "CORECLR_", 8))
		return SVID_IMG_ENV_OTHER;
	/* of libraries that load plugins by them: libcrypto, libkrb5, GLib, GTK, Qt */
	if (STARTS(w, "OPENSSL_", 8) || STARTS(w, "KRB5_CON", 8) || STARTS(w, "GIO_", 4) || STARTS(w, "GTK_", 4) ||
	    STARTS(w, "QT_PLUGI", 8))
		return SVID_IMG_ENV_OTHER;
	return 0;
}

#endif
