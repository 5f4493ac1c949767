/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Who answers a process's system calls in the place of the kernel: a seccomp listener, or a filter that lies. Above
 * flavors.h, below image.h; kmod/exe.c says the same in the module.
 */
#ifndef SVID_FILTERS_H
#define SVID_FILTERS_H

#define FILTER_CHUNK	16	/* instructions read at a time */
#define FILTER_STEPS	4096	/* chunks and filters: a task has 32 768 instructions, 4 of them for each filter */

/* In memory of a map: of what is on the stack the verifier of 6.1 believes that it stays what the first step found there. */
struct filter_walk {
	__u64 filter;	/* the next one */
	__u64 code;	/* what is left of the one before */
	__u32 left;
	__u32 found;
	__u32 whole;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct filter_walk);
} svid_filter_walks SEC(".maps");

#define WALK_EXEC	0	/* the exec tracepoint's: preemption is off */
#define WALK_SCAN	1	/* the scan's: one reader at a time */

struct filter_step_of {
	struct filter_walk *w;
};

/* The program as it was given, which a kernel with CONFIG_CHECKPOINT_RESTORE keeps; without it every filter is one that lies. */
static __always_inline void filter_next(struct filter_walk *w)
{
	struct seccomp_filter *f = (void *)w->filter;
	struct sock_fprog_kern *given;

	if (!f) {
		w->whole = 1;
		return;
	}
	given = BPF_CORE_READ(f, prog, orig_prog);
	w->found = BPF_CORE_READ(f, notif) || !given;
	w->left = BPF_CORE_READ(given, len);
	w->code = (__u64)BPF_CORE_READ(given, filter);
	w->filter = (__u64)BPF_CORE_READ(f, prev);
}

static long filter_step(__u32 index, void *ctx)
{
	struct sock_filter b[FILTER_CHUNK] = {};
	struct filter_walk *w = ((struct filter_step_of *)ctx)->w;
	__u32 n = w->left, found = 0, i;

	if (w->found || w->whole)
		return 1;
	if (n == 0) {
		filter_next(w);
		return 0;
	}
	barrier_var(n);
	if (n > FILTER_CHUNK)
		n = FILTER_CHUNK;
	barrier_var(n);
	if (bpf_probe_read_kernel(b, n * sizeof(b[0]), (void *)w->code)) {
		w->found = 1;
		return 0;
	}
#pragma unroll
	for (i = 0; i < FILTER_CHUNK; i++) {
		found |= filter_lies(b[i].code, b[i].k);
		barrier_var(found);	/* one after the other: all at once is more than the stack holds */
	}
	w->left -= n;
	w->code += n * sizeof(b[0]);
	w->found = found;
	return 0;
}

/*
 * Whoever started this program below a seccomp listener, or a filter that answers for the kernel, can have it open any file
 * for a library, which is as good as a tracer.
 */
static __always_inline int is_supervised(struct task_struct *t, __u32 walk)
{
	struct filter_step_of step = { .w = bpf_map_lookup_elem(&svid_filter_walks, &walk) };
	struct filter_walk *w = step.w;

	if (!t->seccomp.filter)
		return 0;
	if (!w)
		return 1;
	w->filter = (__u64)t->seccomp.filter;
	w->left = w->found = w->whole = 0;
	bpf_loop(FILTER_STEPS, filter_step, &step, 0);
	return w->found || !w->whole;
}

#endif
