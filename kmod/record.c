// SPDX-License-Identifier: GPL-2.0-only
/*
 * Records of connections: made inside connect() for registered listeners, found by the client's socket when somebody
 * uses it, and by the accepted socket when core asks. kmod/bpf/record.h says the same in the BPF tiers.
 *
 * A record holds a reference on both sockets, so neither address can come to mean another socket while it is in a table;
 * nothing of it hangs on the socket itself (no sk_destruct, which would point into this module for ever). It goes when the
 * accepted end is released: then nobody can ask for it any more, and the client's end is a connection to nobody. In that
 * probe neither reference is the last: the caller holds the accepted socket, and that one still holds the client as its
 * peer (or connect() failed, and its caller holds it). A release that was missed leaks a record until the sweep sees
 * SOCK_DEAD; it can lend it to nobody. Whoever unlinks a record from the tables, under the lock, drops the references.
 *
 * connect() runs its probe under both sockets' state locks: nothing here sleeps or takes a socket's lock.
 */
#include "evidence.h"

#include <linux/hash.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/vmalloc.h>

#define RECORD_BITS	13
#define MAX_RECORDS	65536
#define LISTENER_BITS	6

struct record {
	struct hlist_node of_client, of_accepted;
	struct sock *client, *accepted;
	struct svid_file *file;
	struct record *next_gone;	/* between the tables and record_put() */
	struct rcu_head rcu;
	struct svid_conn conn;
};

struct listener {
	struct hlist_node node;
	struct sock *sk;
	struct svid_file *file;
	u32 tag;
	struct rcu_head rcu;
};

struct table {
	struct hlist_head clients[1 << RECORD_BITS], accepted[1 << RECORD_BITS];
};

static struct table *table;
static struct kmem_cache *cache;
static DEFINE_RAW_SPINLOCK(records_lock);
static u32 n_records;		/* in the tables, under the lock; hooks look at it unlocked, to be done early */

static struct hlist_head listeners[1 << LISTENER_BITS];
static DEFINE_MUTEX(listeners_mutex);
static u32 n_listeners;

/* ---- listeners ---- */

static struct hlist_head *listener_bucket(const struct sock *sk)
{
	return &listeners[hash_ptr(sk, LISTENER_BITS)];
}

static struct listener *listener_find(const struct sock *sk)
{
	struct listener *l;

	hlist_for_each_entry_rcu(l, listener_bucket(sk), node, lockdep_is_held(&listeners_mutex))
		if (l->sk == sk)
			return l;
	return NULL;
}

static void listener_drop(struct listener *l)
{
	hlist_del_rcu(&l->node);
	l->file->listeners--;
	WRITE_ONCE(n_listeners, n_listeners - 1);
	sock_put(l->sk);
	kfree_rcu(l, rcu);
}

/* Listeners of @f, or only those that are closed. */
static void listeners_drop(struct svid_file *f, bool closed_only)
{
	struct hlist_node *next;
	struct listener *l;
	u32 i;

	for (i = 0; i < ARRAY_SIZE(listeners); i++)
		hlist_for_each_entry_safe(l, next, &listeners[i], node)
			if (l->file == f && (!closed_only || sock_flag(l->sk, SOCK_DEAD)))
				listener_drop(l);
}

static int listener_add(struct svid_file *f, struct sock *sk, u32 tag)
{
	struct listener *l = listener_find(sk);

	if (l && l->file != f)
		return -EBUSY;
	if (l) {
		WRITE_ONCE(l->tag, tag);
		return 0;
	}
	if (f->listeners >= SVID_DEV_LISTENERS)
		listeners_drop(f, true);
	if (f->listeners >= SVID_DEV_LISTENERS)
		return -ENOSPC;
	l = kzalloc(sizeof(*l), GFP_KERNEL_ACCOUNT);
	if (!l)
		return -ENOMEM;
	sock_hold(sk);
	l->sk = sk;
	l->file = f;
	l->tag = tag;
	hlist_add_head_rcu(&l->node, listener_bucket(sk));
	f->listeners++;
	WRITE_ONCE(n_listeners, n_listeners + 1);
	return 0;
}

int svid_listen(struct svid_file *f, struct sock *sk, u32 tag)
{
	int err;

	if (sk->sk_family != AF_UNIX || sk->sk_type != SOCK_STREAM || READ_ONCE(sk->sk_state) != TCP_LISTEN)
		return -EINVAL;
	mutex_lock(&listeners_mutex);
	err = listener_add(f, sk, tag);
	mutex_unlock(&listeners_mutex);
	return err;
}

void svid_listeners_forget(struct svid_file *f)
{
	mutex_lock(&listeners_mutex);
	listeners_drop(f, false);
	mutex_unlock(&listeners_mutex);
	/* a connect() that found one of them has put its record into the table when this returns */
	synchronize_rcu();
}

/* ---- the tables ---- */

static struct hlist_head *client_bucket(const struct sock *sk)
{
	return &table->clients[hash_ptr(sk, RECORD_BITS)];
}

static struct hlist_head *accepted_bucket(const struct sock *sk)
{
	return &table->accepted[hash_ptr(sk, RECORD_BITS)];
}

/* Under RCU, or with the lock. */
static struct record *find_client(const struct sock *sk)
{
	struct record *r;

	hlist_for_each_entry_rcu(r, client_bucket(sk), of_client, true)
		if (r->client == sk)
			return r;
	return NULL;
}

static struct record *find_accepted(const struct sock *sk)
{
	struct record *r;

	hlist_for_each_entry_rcu(r, accepted_bucket(sk), of_accepted, true)
		if (r->accepted == sk)
			return r;
	return NULL;
}

static void record_free(struct rcu_head *rcu)
{
	kmem_cache_free(cache, container_of(rcu, struct record, rcu));
}

/* With the lock. The client's table may have lost it before: see record_insert(). */
static void record_unlink(struct record *r)
{
	if (!hlist_unhashed(&r->of_client))
		hlist_del_init_rcu(&r->of_client);
	hlist_del_rcu(&r->of_accepted);
	WRITE_ONCE(n_records, n_records - 1);
}

/* Of an unlinked record. */
static void record_put(struct record *r)
{
	sock_put(r->client);
	sock_put(r->accepted);
	call_rcu(&r->rcu, record_free);
}

/* An attempt of this client that failed has left a record, which goes with that attempt's other end: it is void now. */
static void client_void(struct sock *client)
{
	struct record *old = find_client(client);

	if (!old)
		return;
	old->conn.flags = 0;
	hlist_del_init_rcu(&old->of_client);
}

static bool record_insert(struct record *r)
{
	unsigned long flags;
	bool room;

	raw_spin_lock_irqsave(&records_lock, flags);
	client_void(r->client);
	room = n_records < MAX_RECORDS;
	if (room) {
		hlist_add_head_rcu(&r->of_client, client_bucket(r->client));
		hlist_add_head_rcu(&r->of_accepted, accepted_bucket(r->accepted));
		WRITE_ONCE(n_records, n_records + 1);
	}
	raw_spin_unlock_irqrestore(&records_lock, flags);
	return room;
}

/* ---- made in connect() ---- */

bool svid_conn_fill(struct svid_conn *ret, struct task_struct *t)
{
	struct svid_key key = svid_key_of(t);
	const struct svid_image *img = svid_image_of(&key);

	if (!img)
		return false;
	memset(ret, 0, offsetof(struct svid_conn, image));
	ret->image = *img;
	svid_creds_read(t, &ret->creds);
	ret->size = sizeof(*ret);
	ret->family = SVID_FAMILY_UNIX;
	ret->flags = SVID_KMOD_CONN_FLAGS | SVID_CONN_VALID;
	ret->tier = SVID_TIER_KMOD;
	ret->tid = t->pid;
	ret->connect_time = ktime_get_boottime_ns();
	strscpy(ret->comm, t->comm, SVID_COMM_LEN);
	return true;
}

static void record_make(struct listener *l, struct sock *client, struct sock *accepted)
{
	struct record *r = kmem_cache_alloc(cache, GFP_ATOMIC | __GFP_NOWARN | __GFP_ACCOUNT);

	if (!r) {
		svid_count(SVID_STAT_CONN_NOMEM);
		return;
	}
	if (!svid_conn_fill(&r->conn, current)) {
		svid_count(SVID_STAT_IMG_MISSING);
		kmem_cache_free(cache, r);
		return;
	}
	r->client = client;
	r->accepted = accepted;
	r->file = l->file;
	r->conn.listener = READ_ONCE(l->tag);
	r->conn.cookie = atomic64_read(&client->sk_cookie);	/* 0 unless somebody asked for it before */
	sock_hold(client);
	sock_hold(accepted);
	if (record_insert(r)) {
		svid_count_in(r->file, SVID_STAT_CONNECTS);
		return;
	}
	svid_count(SVID_STAT_CONN_NOMEM);
	record_put(r);
}

/* Both sockets are locked; only another LSM can refuse after this, and then @accepted is released. */
void svid_record_connect(struct sock *client, struct sock *listener, struct sock *accepted)
{
	struct listener *l;
	unsigned long flags;

	if (READ_ONCE(n_records) && find_client(client)) {
		raw_spin_lock_irqsave(&records_lock, flags);
		client_void(client);
		raw_spin_unlock_irqrestore(&records_lock, flags);
	}
	if (!READ_ONCE(n_listeners))
		return;
	l = listener_find(listener);
	if (l)
		record_make(l, client, accepted);
}

void svid_record_release(struct sock *accepted)
{
	struct record *r;
	unsigned long flags;

	if (!READ_ONCE(n_records) || !find_accepted(accepted))
		return;
	raw_spin_lock_irqsave(&records_lock, flags);
	r = find_accepted(accepted);
	if (r)
		record_unlink(r);
	raw_spin_unlock_irqrestore(&records_lock, flags);
	if (r)
		record_put(r);
}

/* ---- compared with every user ---- */

/* Who is this, measured by the record? 0, or the SVID_MARK_* it earns. */
static u32 conn_judge(const struct svid_conn *conn, const struct svid_key *key, u32 how)
{
	const struct svid_image *img;

	if (!svid_key_same(key, &conn->image.key))
		return how;
	img = svid_image_of(key);
	if (!img)
		return how | SVID_MARK_NO_IMAGE;
	if (img->exec_id != conn->image.exec_id)
		return how;
	return svid_ids_differ(__task_cred(current), &conn->creds.ids) ? SVID_MARK_CRED : 0;
}

/*
 * Marks are sticky and reported once each. Adoption stores the slot, then reads the marks; this sets the mark, then
 * reads the slot (both with full barriers). One of the two sees it.
 */
static void conn_mark(struct record *r, u32 mark, const struct svid_key *by)
{
	struct svid_event e = { .type = SVID_EVENT_FOREIGN, .key = r->conn.image.key, .by = *by };
	u32 before = atomic_fetch_or(mark, (atomic_t *)&r->conn.marks);

	if ((before & mark) == mark)
		return;
	svid_count_in(r->file, mark & (SVID_MARK_FOREIGN_RECV | SVID_MARK_SPLICE_READ) ? SVID_STAT_FOREIGN_RECV :
											 SVID_STAT_FOREIGN_SEND);
	e.conn_slot = READ_ONCE(r->conn.conn_slot);
	if (!e.conn_slot)
		return;
	svid_word_void(r->file, e.conn_slot, READ_ONCE(r->conn.conn_word));
	e.holder_slot = READ_ONCE(r->conn.holder_slot);
	e.marks = READ_ONCE(r->conn.marks);
	svid_event_send(r->file, &e);
}

void svid_record_used(struct sock *client, u32 how)
{
	struct svid_key key;
	struct record *r;
	u32 mark;

	if (!READ_ONCE(n_records) || !client || client->sk_family != AF_UNIX)
		return;
	r = find_client(client);
	if (!r)
		return;
	key = svid_key_of(current);
	mark = conn_judge(&r->conn, &key, how);
	if (mark)
		conn_mark(r, mark, &key);
}

struct svid_conn *svid_record_of(const struct svid_file *f, const struct sock *accepted)
{
	struct svid_conn *conn = NULL;
	struct record *r;

	rcu_read_lock();
	r = find_accepted(accepted);
	if (r && r->file == f && r->conn.flags & SVID_CONN_VALID)
		conn = &r->conn;
	rcu_read_unlock();
	return conn;
}

/* ---- away ---- */

/* Records of @f, or those whose accepted end is closed. In a thread that may sleep: these may be the last references. */
static void records_drop(const struct svid_file *f)
{
	struct record *r, *gone = NULL;
	struct hlist_node *next;
	unsigned long flags;
	u32 i;

	for (i = 0; i < 1 << RECORD_BITS; i++) {
		if (hlist_empty(&table->accepted[i]))
			continue;
		raw_spin_lock_irqsave(&records_lock, flags);
		hlist_for_each_entry_safe(r, next, &table->accepted[i], of_accepted) {
			if (f ? r->file != f : !sock_flag(r->accepted, SOCK_DEAD))
				continue;
			record_unlink(r);
			r->next_gone = gone;
			gone = r;
		}
		raw_spin_unlock_irqrestore(&records_lock, flags);
	}
	while (gone) {
		r = gone;
		gone = r->next_gone;
		record_put(r);
	}
}

void svid_records_forget(struct svid_file *f)
{
	records_drop(f);
}

void svid_records_sweep(void)
{
	if (READ_ONCE(n_records))
		records_drop(NULL);
}

int svid_records_init(void)
{
	u32 i;

	table = vmalloc(sizeof(*table));
	cache = kmem_cache_create("svid_record", sizeof(struct record), 0, 0, NULL);
	if (!table || !cache) {
		kmem_cache_destroy(cache);
		vfree(table);
		return -ENOMEM;
	}
	for (i = 0; i < 1 << RECORD_BITS; i++) {
		INIT_HLIST_HEAD(&table->clients[i]);
		INIT_HLIST_HEAD(&table->accepted[i]);
	}
	return 0;
}

/* No file is left, so no record; their memory may still be on its way. */
void svid_records_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(cache);
	vfree(table);
}
