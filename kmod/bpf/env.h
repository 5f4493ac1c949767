/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The search for loader variables in a new program's environment. Above exe.h, below image.h.
 * It runs in every exec of the machine, so it counts instructions: about two for each byte.
 */
#ifndef SVID_ENV_H
#define SVID_ENV_H

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
		if (STARTS(w, "LD_LIBRA", 8))
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

struct env_walk {
	struct exec_work *c;
};

static __always_inline void name_at(struct exec_work *c, __u32 pos)
{
	barrier_var(pos);
	if (pos >= c->have || pos > ENV_CHUNK)
		return;
	barrier_var(pos);
	if (may_be_ours(c->b[pos]))
		c->flags |= name_flags(*(const __u64 *)&c->b[pos]);
}

#define ENV_BLOCK	128
#define EACH_BYTE	0x0101010101010101ULL
#define HIGH_BITS	0x8080808080808080ULL

/* BPF has no count-zeros instruction: how many bytes lie before the first one that is marked in @z, which is not 0. */
static __always_inline __u32 first_marked(__u64 z)
{
	return (((z & -z) - 1) & EACH_BYTE) * EACH_BYTE >> 56;
}

/*
 * The eight bytes at @pos hold a NUL: look at the name behind each. @z has a bit in each byte that is zero, and perhaps
 * in a byte of one behind a zero, where no name starts and looking does no harm.
 */
static __noinline int names_in(struct env_walk *walk, __u32 pos, __u64 z)
{
	struct exec_work *c = walk->c;
	__u32 b;

	z >>= 7;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	z = __builtin_bswap64(z);
#endif
	for (b = 0; b < 8 && z; b++) {
		name_at(c, pos + first_marked(z) + 1);
		z &= z - 1;
	}
	return 0;
}

/* After each NUL a name starts. Most words have none, which is one test for eight bytes. */
static long env_block(__u32 index, void *ctx)
{
	struct env_walk *walk = ctx;
	const char *block;
	__u32 base = index * ENV_BLOCK;
	__u32 i;

	barrier_var(base);
	base &= ENV_CHUNK - ENV_BLOCK;	/* changes nothing; the verifier of 6.1 sees the bound */
	barrier_var(base);
	block = &walk->c->b[base];
#pragma unroll
	for (i = 0; i < ENV_BLOCK; i += 8) {
		__u64 w = *(const __u64 *)&block[i];
		__u64 z = (w - EACH_BYTE) & ~w & HIGH_BITS;

		if (z)
			names_in(walk, base + i, z);
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
		name_at(c, 0);
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
