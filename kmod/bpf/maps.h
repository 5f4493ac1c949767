/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps and the settings; lowest layer. Who reads and writes which map is told in kmod/uapi/svid.h. Next: flavors.h.
 *
 * images is a hash and not task storage: Linux 6.12 refuses bpf_task_storage_get() to cgroup/connect_unix programs.
 * It is not preallocated (64 Ki images would be 130 MB), so an insert can fail; that is counted, and the process has
 * no evidence.
 */
#ifndef SVID_MAPS_H
#define SVID_MAPS_H

#define MAX_IMAGES	65536
#define MAX_HOLDERS	SVID_WORDS
#define RING_BYTES	(256 * 1024)

#define ENV_CHUNK	4096	/* bytes of environment read at a time */
#define ENV_SLACK	16	/* so that a name at the edge of a chunk is whole */
#define ENV_BLOCK	128	/* bytes searched at a time */

/* Set by svidd before load. */
const volatile __u32 svid_tier = SVID_TIER_TP;
const volatile __u32 svid_conn_flags = 0;	/* SVID_CONN_* of this tier */
const volatile __u32 svid_looks_up = 0;		/* this kernel has bpf_task_from_pid() */
const volatile char svid_name[32] = "api.sock";	/* bpf-tp: last component of the listener's path */
const volatile __u32 svid_name_len = 8;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_IMAGES);
	__type(key, struct svid_key);
	__type(value, struct svid_image);
} svid_images SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, MAX_HOLDERS);
	__type(key, struct svid_key);
	__type(value, struct svid_holder);
} svid_holders SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct svid_conn);
} svid_conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, __u32);
} svid_listeners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SVID_WHO_MAX);
	__type(key, struct svid_who);
	__type(value, __u64);
} svid_doors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SVID_WHO_MAX);
	__type(key, struct svid_who);
	__type(value, struct svid_queue);
} svid_queues SEC(".maps");

#define SHARED_ARRAY(name, valuetype)				\
	struct {						\
		__uint(type, BPF_MAP_TYPE_ARRAY);		\
		__uint(map_flags, BPF_F_MMAPABLE);		\
		__uint(max_entries, 1);				\
		__type(key, __u32);				\
		__type(value, valuetype);			\
	} name SEC(".maps")

SHARED_ARRAY(svid_words, struct svid_words);
SHARED_ARRAY(svid_mailbox, struct svid_mailbox);
SHARED_ARRAY(svid_stats, struct svid_stats);
SHARED_ARRAY(svid_config, struct svid_config);

/* blank: what a new image starts from. draft: the scan's image in the making (one reader at a time: svidd at load). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct svid_image);
} svid_drafts SEC(".maps");

#define DRAFT_BLANK	0
#define DRAFT_SCAN	1

/*
 * What one exec gathers. Flags and search state lie here and not in registers or on the stack, where the verifier of
 * 6.1 would follow every combination of them.
 */
struct exec_work {
	char b[ENV_CHUNK + ENV_BLOCK];
	__u64 start;	/* user address */
	__u32 total;	/* bytes to search */
	__u32 have;	/* bytes from the start of this chunk to the end of the environment */
	__u32 flags;	/* SVID_IMG_* found so far */
	__u32 pad0;
};

/* Used only by the exec tracepoint, which runs with preemption off: two users of one CPU's copy cannot meet. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct exec_work);
} svid_exec_work SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_BYTES);
} svid_ring SEC(".maps");

/* The single element of a one-element map. Never NULL in practice; the verifier wants the test. */
#define THE(map) ({ __u32 zero_ = 0; bpf_map_lookup_elem(&map, &zero_); })

#endif
