/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * May this caller connect just now? "Floods" in kmod/uapi/svid.h. What is counted here is what core has not seen yet:
 * the backlog of the listener is everybody's. Above task.h, beside record.h; used by lsm_connect and by attach.h.
 */
#ifndef SVID_FLOOD_H
#define SVID_FLOOD_H

#define EAGAIN_ERR	11

/* Whose connection this is: a person, a program of that person, a cgroup. */
struct flood_who {
	struct svid_who person, program, group;
	int grouped;
};

/* Namespaces that root makes are containers that have nothing else in common: they count by uid. */
static __always_inline void flood_whose(const struct svid_conn *rec, struct flood_who *ret)
{
	const struct svid_creds *c = &rec->creds;
	int made = c->userns_level && c->userns_owner;

	__builtin_memset(ret, 0, sizeof(*ret));
	ret->person.kind = made ? SVID_WHO_USERNS : SVID_WHO_UID;
	ret->person.id = made ? c->userns_owner : c->ids.uid;
	ret->program.kind = SVID_WHO_EXE;
	ret->program.id = (rec->image.exe.ino * 0x9e3779b97f4a7c15ull) ^ ((__u64)rec->image.exe.dev << 32) ^
			  (ret->person.id << 2 | ret->person.kind);
	ret->group.kind = SVID_WHO_CGROUP;
	ret->group.id = c->cgroup_id;
	ret->grouped = c->cgroup_id != SVID_CGROUP_ROOT;
}

static __always_inline int door_is_shut(const struct svid_who *who, __u64 now)
{
	const __u64 *until = bpf_map_lookup_elem(&svid_doors, who);

	return until && *until > now;
}

static __always_inline __u32 queue_length(const struct svid_who *who, __u64 now)
{
	const struct svid_queue *q = bpf_map_lookup_elem(&svid_queues, who);

	return q && now - q->time < SVID_QUEUE_FORGET_NS ? q->n : 0;
}

static __always_inline int queues_are_full(const struct flood_who *w, __u64 now)
{
	__u32 own = queue_length(&w->program, now);
	__u32 max = own ? SVID_QUEUE_MAX : SVID_QUEUE_END;

	if (own >= SVID_QUEUE_EXE || queue_length(&w->person, now) >= max)
		return 1;
	return w->grouped && queue_length(&w->group, now) >= max;
}

/* Two on one CPU's heels may both make the entry or both empty it: a count is off by one, for a while. */
static __always_inline void queue_join(const struct svid_who *who, __u64 now)
{
	struct svid_queue *q = bpf_map_lookup_elem(&svid_queues, who);
	struct svid_queue fresh = { .time = now, .n = 1 };

	if (!q) {
		bpf_map_update_elem(&svid_queues, who, &fresh, BPF_ANY);
		return;
	}
	if (now - q->time >= SVID_QUEUE_FORGET_NS)
		q->n = 0;
	q->time = now;
	__sync_fetch_and_add(&q->n, 1);
}

static __always_inline void queue_leave(const struct svid_who *who)
{
	struct svid_queue *q = bpf_map_lookup_elem(&svid_queues, who);

	if (q && q->n)
		__sync_fetch_and_add(&q->n, -1);
}

/* May the connection of @rec be made? 0, then it is counted; or the error of connect(). */
static __always_inline int flood_refuses(struct svid_conn *rec)
{
	__u64 now = rec->connect_time;
	struct flood_who w;

	flood_whose(rec, &w);
	if (door_is_shut(&w.person, now) || (w.grouped && door_is_shut(&w.group, now))) {
		count(SVID_STAT_DOOR);
		return -EAGAIN_ERR;
	}
	if (queues_are_full(&w, now)) {
		count(SVID_STAT_QUEUE);
		return -EAGAIN_ERR;
	}
	queue_join(&w.person, now);
	queue_join(&w.program, now);
	if (w.grouped)
		queue_join(&w.group, now);
	rec->flags |= SVID_CONN_QUEUED;
	return 0;
}

/* Core's one thread only. */
static __always_inline void flood_leaves(struct svid_conn *rec)
{
	struct flood_who w;

	if (!(rec->flags & SVID_CONN_QUEUED))
		return;
	rec->flags &= ~SVID_CONN_QUEUED;
	flood_whose(rec, &w);
	queue_leave(&w.person);
	queue_leave(&w.program);
	if (w.grouped)
		queue_leave(&w.group);
}

#endif
