/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The answer to core's mailbox: from an accepted socket to the client's record, to a holder. "Attaching" in
 * kmod/uapi/svid.h is the protocol. Above image.h, beside record.h; used by the hooks in svid.bpf.c.
 */
#ifndef SVID_ATTACH_H
#define SVID_ATTACH_H

#define ENOENT_ERR	2
#define ESRCH_ERR	3
#define ENOMEM_ERR	12
#define ENOTCONN_ERR	107
#define ESTALE_ERR	116

static __always_inline int is_core(void)
{
	const struct svid_config *cfg = THE(svid_config);
	struct bpf_pidns_info who = {};

	if (!cfg || !cfg->core_tgid)
		return 0;
	if (bpf_get_ns_current_pid_tgid(cfg->pidns_dev, cfg->pidns_ino, &who, sizeof(who)))
		return 0;
	return who.tgid == cfg->core_tgid;
}

static __always_inline int is_stale(const struct svid_conn *rec)
{
	struct svid_image *img = image_of(&rec->image.key);

	return !img || img->exec_id != rec->image.exec_id || img->change != rec->image.change;
}

/* Insert, read the word, compare, in this order: see "Holder registration" in svid.h. */
static __always_inline int hold_for(struct svid_mailbox *mb, struct svid_conn *rec)
{
	struct svid_holder *h, fresh = {};
	struct svid_words *w = THE(svid_words);
	long err;

	mb->held = 0;
	h = bpf_map_lookup_elem(&svid_holders, &rec->image.key);
	if (!h) {
		fresh.slot = mb->holder_slot;
		fresh.exec_id = rec->image.exec_id;
		fresh.ids = rec->creds.ids;
		err = bpf_map_update_elem(&svid_holders, &rec->image.key, &fresh, BPF_NOEXIST);
		h = err ? NULL : bpf_map_lookup_elem(&svid_holders, &rec->image.key);
		mb->held = 1;
	}
	if (!h || !w)
		return -ENOMEM_ERR;
	mb->holder_slot = h->slot;
	/* an atomic that changes nothing: a full barrier on both sides */
	mb->holder_word = __sync_fetch_and_add(&w->w[h->slot & (SVID_WORDS - 1)], 0);
	if (is_stale(rec)) {
		if (mb->held)
			bpf_map_delete_elem(&svid_holders, &rec->image.key);
		return -ESTALE_ERR;
	}
	h->exec_id = rec->image.exec_id;
	h->ids = rec->creds.ids;
	rec->holder_slot = h->slot;
	return 0;
}

static __always_inline int adopt_from(struct svid_mailbox *mb, struct sock *sk)
{
	struct unix_sock *us = sk ? bpf_skc_to_unix_sock(sk) : NULL;
	struct svid_conn *rec;
	struct sock *peer;
	int err = 0;

	peer = us ? us->peer : NULL;
	if (!peer) {
		count(SVID_STAT_PEER);
		return -ENOTCONN_ERR;
	}
	rec = bpf_sk_storage_get(&svid_conns, peer, 0, 0);
	if (!rec || !(rec->flags & SVID_CONN_VALID)) {
		count(SVID_STAT_NO_RECORD);
		return -ENOENT_ERR;
	}
	if (mb->op != SVID_OP_PEEK)
		flood_leaves(rec);
	if (mb->op == SVID_OP_LEAVE)
		return 0;
	if (mb->op != SVID_OP_PEEK) {
		rec->conn_word = mb->conn_word;
		/* full barrier: see conn_mark() */
		__sync_lock_test_and_set(&rec->conn_slot, mb->conn_slot);
		count(SVID_STAT_ADOPTED);
	}
	if (mb->op == SVID_OP_ATTACH)
		err = hold_for(mb, rec);
	bpf_probe_read_kernel(&mb->conn, sizeof(mb->conn), rec);
	return err;
}

static __always_inline void answered(struct svid_mailbox *mb, int status)
{
	mb->status = status;
	mb->op = SVID_OP_NONE;
	mb->answer = mb->request;
}

static __always_inline void reader_describe(struct svid_mailbox *mb, struct task_struct *t)
{
	int known;

	__builtin_memset(&mb->conn, 0, sizeof(struct svid_conn) - sizeof(struct svid_image));
	known = conn_describe(&mb->conn, t);
	mb->conn.flags = svid_conn_flags | SVID_CONN_VALID;
	answered(mb, known ? 0 : -ENOENT_ERR);
}

extern struct task_struct *bpf_task_from_pid(s32 pid) __ksym __weak;
extern void bpf_task_release(struct task_struct *p) __ksym __weak;

/* Only numbers of the initial pid namespace can be looked up; for another one, and before Linux 6.2, the iterator answers. */
static __always_inline void reader_look_up(struct svid_mailbox *mb)
{
	struct task_struct *t;

	if (!svid_looks_up || bpf_get_current_task_btf()->thread_pid->level)
		return;
	t = bpf_task_from_pid(mb->tid);
	if (!t) {
		answered(mb, -ESRCH_ERR);
		return;
	}
	reader_describe(mb, t);
	bpf_task_release(t);
}

/* Core asked: for a record by receiving on the accepted socket @sk, for a reader by receiving on any. */
static __always_inline void conn_adopt(struct sock *sk)
{
	struct svid_mailbox *mb = THE(svid_mailbox);

	if (!mb || mb->op == SVID_OP_NONE || !is_core())
		return;
	if (mb->op == SVID_OP_READER)
		reader_look_up(mb);
	else
		answered(mb, adopt_from(mb, sk));
}

/* @t as @level deep pid namespaces number it, which is a namespace that it has a number in. */
static __always_inline __u32 tid_at(struct task_struct *t, __u32 level)
{
	struct pid *pid = BPF_CORE_READ(t, thread_pid); /* as in pid_ns_inum() */
	struct upid *number;

	if (level == 0)
		return t->pid;
	number = (void *)pid + bpf_core_field_offset(struct pid, numbers) +
		 level * bpf_core_type_size(struct upid);
	return BPF_CORE_READ(number, nr);
}

/*
 * Core reads the iterator, so it goes through the threads of core's pid namespace; @t is one of them, or NULL at the end.
 * Returns 1 to stop there: core has its answer.
 */
static __always_inline int conn_reader(struct task_struct *t)
{
	struct svid_mailbox *mb = THE(svid_mailbox);

	if (!mb || mb->op != SVID_OP_READER)
		return 0;
	if (t && tid_at(t, bpf_get_current_task_btf()->thread_pid->level) != mb->tid)
		return 0;
	if (t)
		reader_describe(mb, t);
	else
		answered(mb, -ESRCH_ERR);
	return t != NULL;
}

#endif
