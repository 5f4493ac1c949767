/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The record of a connection, on the client's socket: written in connect(), compared with every user of the socket.
 * Above image.h, beside attach.h; used by the hooks in svid.bpf.c.
 */
#ifndef SVID_RECORD_H
#define SVID_RECORD_H

#define EACCES_ERR	13

/* What there is to say of @t, apart from the connection. Returns 1, or 0 when its process has no image. */
static __always_inline int conn_describe(struct svid_conn *rec, struct task_struct *t)
{
	struct svid_key key = task_key(t);
	struct svid_image *img = image_of(&key);

	if (!img) {
		count(SVID_STAT_IMG_MISSING);
		return 0;
	}
	bpf_probe_read_kernel(&rec->image, sizeof(rec->image), img);
	__builtin_memset(&rec->creds, 0, sizeof(rec->creds));
	creds_read(t, &rec->creds);
	rec->size = sizeof(*rec);
	rec->family = SVID_FAMILY_UNIX;
	rec->marks = 0;
	rec->conn_slot = 0;
	rec->holder_slot = 0;
	rec->conn_word = 0;
	rec->tier = svid_tier;
	rec->tid = t->pid;
	rec->connect_time = bpf_ktime_get_boot_ns();
	bpf_probe_read_kernel_str(rec->comm, SVID_COMM_LEN, t->comm);
	return 1;
}

/* @rec may hold an older attempt to connect; it becomes valid only with its last line. */
static __always_inline void conn_fill(struct svid_conn *rec, __u32 listener, __u64 cookie)
{
	rec->flags = 0;
	if (!conn_describe(rec, bpf_get_current_task_btf()))
		return;
	rec->listener = listener;
	rec->cookie = cookie;
	rec->flags = svid_conn_flags | SVID_CONN_VALID;
	count(SVID_STAT_CONNECTS);
}

/* @sock connects; @tag is the listener's, NULL for anybody else's: then an older record is void. NULL: no record. */
static __always_inline struct svid_conn *conn_made(struct sock *sock, const __u32 *tag, __u64 cookie)
{
	struct svid_conn *rec = bpf_sk_storage_get(&svid_conns, sock, 0, tag ? BPF_SK_STORAGE_GET_F_CREATE : 0);

	if (rec && !tag)
		rec->flags = 0;
	if (!tag)
		return NULL;
	if (rec)
		conn_fill(rec, *tag, cookie);
	else
		count(SVID_STAT_CONN_NOMEM);
	return rec;
}

static __always_inline void mark_event(struct svid_conn *rec, const struct svid_key *by, __u32 refused)
{
	struct svid_event *e = event_begin(SVID_EVENT_FOREIGN, &rec->image.key, by);

	if (!e)
		return;
	e->conn_slot = rec->conn_slot;
	e->holder_slot = rec->holder_slot;
	e->marks = rec->marks;
	e->refused = refused;
	event_send(e);
}

/* Only from the ticket's value: see "Validity" in svid.h. */
static __always_inline void conn_void(struct svid_conn *rec)
{
	struct svid_words *w = THE(svid_words);
	__u32 slot = rec->conn_slot & (SVID_WORDS - 1);

	if (w && slot)
		__sync_val_compare_and_swap(&w->w[slot], rec->conn_word, rec->conn_word + 1);
}

/*
 * Marks are sticky and reported once each. Adoption stores the slot, then reads the marks; this sets the mark, then
 * reads the slot. One of the two sees it.
 */
static __always_inline void conn_mark(struct svid_conn *rec, __u32 mark, const struct svid_key *by, __u32 refused)
{
	if ((__sync_fetch_and_or(&rec->marks, mark) & mark) == mark)
		return;
	count(mark & (SVID_MARK_FOREIGN_RECV | SVID_MARK_SPLICE_READ) ? SVID_STAT_FOREIGN_RECV : SVID_STAT_FOREIGN_SEND);
	if (!rec->conn_slot)
		return;
	conn_void(rec);
	mark_event(rec, by, refused);
}

/* Who is this, measured by the record? 0, or the SVID_MARK_* it earns. */
static __always_inline __u32 conn_judge(struct svid_conn *rec, struct task_struct *t, const struct svid_key *key,
					__u32 how)
{
	struct svid_image *img;

	if (!key_same(key, &rec->image.key))
		return how;
	img = image_of(key);
	if (!img)
		return how | SVID_MARK_NO_IMAGE;
	if (img->exec_id != rec->image.exec_id)
		return how;
	return ids_differ(task_creds(t), &rec->creds.ids) ? SVID_MARK_CRED : 0;
}

/* A process uses the client's end of a recorded connection. Returns 0, or 1 when it is not the one that connected. */
static __always_inline int conn_used(struct sock *sk, __u32 how, __u32 refused)
{
	struct svid_conn *rec = sk ? bpf_sk_storage_get(&svid_conns, sk, 0, 0) : NULL;
	struct task_struct *t;
	struct svid_key key;
	__u32 mark;

	if (!rec || !(rec->flags & SVID_CONN_VALID))
		return 0;
	t = bpf_get_current_task_btf();
	key = task_key(t);
	mark = conn_judge(rec, t, &key, how);
	if (!mark)
		return 0;
	if (refused)
		count(SVID_STAT_REFUSED);
	conn_mark(rec, mark, &key, refused);
	return 1;
}

static __always_inline int conn_is_recorded(struct sock *sk)
{
	struct svid_conn *rec = sk ? bpf_sk_storage_get(&svid_conns, sk, 0, 0) : NULL;
	int recorded = rec && rec->flags & SVID_CONN_VALID;

	barrier_var(recorded);	/* a result made of the bit by arithmetic has no range for Linux 6.12's verifier */
	return recorded;
}

#endif
