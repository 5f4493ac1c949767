/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The search for loader variables in a new program's environment. Above exe.h, below image.h; their names are in facts.h.
 * It runs in every exec of the machine, so it counts instructions: about one for each byte, and sixty for each variable.
 */
#ifndef SVID_ENV_H
#define SVID_ENV_H

struct env_walk {
	struct exec_work *c;
};

/* Eight bytes from anywhere. Told nothing of what it points at, clang does not take them one by one. */
static __always_inline __u64 *eight_at(struct exec_work *c, __u32 pos)
{
	__u64 *at = (__u64 *)&c->b[pos];

	barrier_var(at);
	return at;
}

static __always_inline void name_at(struct exec_work *c, __u32 pos)
{
	barrier_var(pos);
	if (pos >= c->have || pos > ENV_CHUNK)
		return;
	barrier_var(pos);
	c->flags |= name_flags(*eight_at(c, pos));
}

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

/* After each NUL a name starts. Most words have neither one nor a byte beyond ASCII, which is one test for eight bytes. */
static long env_block(__u32 index, void *ctx)
{
	struct env_walk *walk = ctx;
	__u64 each = EACH_BYTE, high = HIGH_BITS;
	__u32 base = index * ENV_BLOCK;
	const __u64 *block;
	__u32 i;

	barrier_var(each);	/* two registers, not two constants in each step */
	barrier_var(high);
	barrier_var(base);
	base &= ENV_CHUNK - ENV_BLOCK;	/* changes nothing; the verifier of 6.1 sees the bound */
	barrier_var(base);
	block = eight_at(walk->c, base);
#pragma unroll
	for (i = 0; i < ENV_BLOCK / 8; i++) {
		__u64 z = (block[i] - each) & high;

		if (z && z & ~block[i])
			names_in(walk, base + 8 * i, z & ~block[i]);
	}
	return 0;
}

/* What another exec left behind byte @n is nobody's name: no NUL, nor a letter, to the end of the block. */
static __always_inline void blank_behind(struct exec_work *c, __u32 n)
{
	__u64 *rest = eight_at(c, n);
	__u32 i;

#pragma unroll
	for (i = 0; i < ENV_BLOCK / 8; i++)
		rest[i] = ~0ULL;
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
		blank_behind(c, n);
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
