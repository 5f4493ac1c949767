/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * May this caller connect just now? "Floods" in kmod/uapi/svid.h. What is counted here is what core has not seen yet:
 * the backlog of the listener is everybody's. Above task.h, beside record.h; used by lsm_connect and by attach.h.
 */
#ifndef SVID_FLOOD_H
#define SVID_FLOOD_H

#define EAGAIN_ERR	11

/* Root makes namespaces for containers that have nothing else in common: they count by uid. */
static __always_inline struct svid_who who_person(__u32 uid, __u32 level, __u32 owner)
{
	struct svid_who who = { .id = uid, .kind = SVID_WHO_UID };

	if (level && owner) {
		who.id = owner;
		who.kind = SVID_WHO_USERNS;
	}
	return who;
}

static __always_inline struct svid_who who_group(__u64 cgroup)
{
	struct svid_who who = { .id = cgroup, .kind = SVID_WHO_CGROUP };

	return who;
}

static __always_inline int door_is_shut(const struct svid_who *who, __u64 now)
{
	const __u64 *until = bpf_map_lookup_elem(&svid_doors, who);

	return until && *until > now;
}

static __always_inline int queue_is_full(const struct svid_who *who, __u64 now)
{
	const struct svid_queue *q = bpf_map_lookup_elem(&svid_queues, who);

	return q && q->n >= SVID_QUEUE_MAX && now - q->time < SVID_QUEUE_FORGET_NS;
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

/* 0, or the error of this connect(). */
static __always_inline int flood_refuses(struct task_struct *t)
{
	const struct cred *c = task_creds(t);
	__u32 level = c->user_ns->level;
	struct svid_who person = who_person(c->uid.val, level, level ? userns_maker(c->user_ns) : 0);
	struct svid_who group = who_group(t->cgroups->dfl_cgrp->kn->id);
	__u64 now = bpf_ktime_get_boot_ns();
	int grouped = group.id != SVID_CGROUP_ROOT;

	if (door_is_shut(&person, now) || (grouped && door_is_shut(&group, now))) {
		count(SVID_STAT_DOOR);
		return -EAGAIN_ERR;
	}
	if (queue_is_full(&person, now) || (grouped && queue_is_full(&group, now))) {
		count(SVID_STAT_QUEUE);
		return -EAGAIN_ERR;
	}
	return 0;
}

static __always_inline void flood_joins(struct svid_conn *rec)
{
	const struct svid_creds *c = &rec->creds;
	struct svid_who person = who_person(c->ids.uid, c->userns_level, c->userns_owner);
	struct svid_who group = who_group(c->cgroup_id);

	queue_join(&person, rec->connect_time);
	if (group.id != SVID_CGROUP_ROOT)
		queue_join(&group, rec->connect_time);
	rec->flags |= SVID_CONN_QUEUED;
}

/* Core's one thread only. */
static __always_inline void flood_leaves(struct svid_conn *rec)
{
	const struct svid_creds *c = &rec->creds;
	struct svid_who person = who_person(c->ids.uid, c->userns_level, c->userns_owner);
	struct svid_who group = who_group(c->cgroup_id);

	if (!(rec->flags & SVID_CONN_QUEUED))
		return;
	rec->flags &= ~SVID_CONN_QUEUED;
	queue_leave(&person);
	if (group.id != SVID_CGROUP_ROOT)
		queue_leave(&group);
}

#endif
