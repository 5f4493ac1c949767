// SPDX-License-Identifier: GPL-2.0-only
/*
 * Evidence files and words files: what svidd and core call. uapi/svid_dev.h is the manual. The work is in record.c,
 * image.c and emit.c.
 */
#include "evidence.h"

#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/pid.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <net/af_unix.h>

#include "compat.h"

#define SWEEP_SECONDS 1

static atomic_t n_files;
static void sweep(struct work_struct *work);
static DECLARE_DELAYED_WORK(sweeper, sweep);

/* While there is a file: what a missed probe left behind, and that it was missed. */
static void sweep(struct work_struct *work)
{
	svid_records_sweep();
	svid_hooks_missed();
	if (atomic_read(&n_files))
		schedule_delayed_work(&sweeper, SWEEP_SECONDS * HZ);
}

/* ---- the memory that is mapped ---- */

static void area_free(struct kref *users)
{
	struct svid_area *a = container_of(users, struct svid_area, users);

	vfree(a->words);
	vfree(a->stats);
	kfree(a);
}

static void area_put(struct svid_area *a)
{
	kref_put(&a->users, area_free);
}

static struct svid_area *area_make(void)
{
	struct svid_area *a = kzalloc(sizeof(*a), GFP_KERNEL_ACCOUNT);

	if (!a)
		return NULL;
	kref_init(&a->users);
	a->words = vmalloc_user(sizeof(*a->words));
	a->stats = vmalloc_user(PAGE_ALIGN(sizeof(*a->stats)));
	if (a->words && a->stats)
		return a;
	area_put(a);
	return NULL;
}

/* What is mapped without write stays so: neither mprotect() nor a debugger gets it. */
static int map(struct vm_area_struct *vma, void *memory, bool writable)
{
	/* of a file opened for reading VM_SHARED is gone by now */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (vma->vm_flags & VM_WRITE) {
		if (!writable)
			return -EACCES;
	} else {
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	return remap_vmalloc_range(vma, memory, 0);
}

/* ---- words files ---- */

static int words_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct svid_area *a = file->private_data;

	return vma->vm_pgoff == SVID_DEV_WORDS >> PAGE_SHIFT ? map(vma, a->words, false) : -EINVAL;
}

static int words_release(struct inode *inode, struct file *file)
{
	area_put(file->private_data);
	return 0;
}

static const struct file_operations words_fops = {
	.owner = THIS_MODULE,
	.mmap = words_mmap,
	.release = words_release,
};

static long words_open(struct file *file, void __user *arg)
{
	struct svid_file *f = file->private_data;
	int fd;

	kref_get(&f->area->users);
	fd = anon_inode_getfd("[svid words]", &words_fops, f->area, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		area_put(f->area);
	return fd;
}

/* ---- requests of the evidence file; all but words_open() run with f->asking held ---- */

static long listen_request(struct file *file, void __user *arg)
{
	struct svid_dev_listen msg;
	struct socket *sock;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return err;
	if (msg.pad0)
		return -EINVAL;
	sock = sockfd_lookup(msg.fd, &err);
	if (!sock)
		return err;
	err = svid_listen(file->private_data, sock->sk, msg.tag);
	sockfd_put(sock);
	return err;
}

/* Has the process of the record changed or ended? After svid_hold_take(), which has the barrier. */
static bool is_stale(const struct svid_key *key, u64 exec_id, u64 change)
{
	const struct svid_image *img;
	bool stale;

	rcu_read_lock();
	img = svid_image_of(key);
	stale = !img || img->exec_id != exec_id || READ_ONCE(img->change) != change;
	rcu_read_unlock();
	return stale;
}

/* Insert, read the word, compare, in this order: "Holder registration" in uapi/svid.h. */
static int hold_for(struct svid_file *f, struct svid_mailbox *box, struct svid_conn *conn)
{
	const struct svid_image *img = &conn->image;
	struct svid_hold *h = NULL;
	u32 slot;

	if (READ_ONCE(f->holders) < SVID_WORDS)
		h = svid_hold_alloc(f, &img->key, box->holder_slot);
	if (!h)
		return -ENOMEM;
	box->held = svid_hold_take(h, false, &slot);
	if (!box->held)
		svid_hold_free(h);
	box->holder_slot = slot;
	box->holder_word = atomic_read((atomic_t *)&f->area->words->w[slot]);
	smp_mb();
	if (is_stale(&img->key, img->exec_id, img->change)) {
		if (box->held)
			svid_hold_drop(f, &img->key);
		return -ESTALE;
	}
	WRITE_ONCE(conn->holder_slot, slot);
	return 0;
}

static int adopt(struct svid_file *f, struct svid_mailbox *box, struct sock *sk)
{
	struct svid_conn *conn;
	int err = 0;

	if (sk->sk_family != AF_UNIX || sk->sk_type != SOCK_STREAM || !READ_ONCE(unix_peer(sk))) {
		svid_count_in(f, SVID_STAT_PEER);
		return -ENOTCONN;
	}
	conn = svid_record_of(f, sk);
	if (!conn) {
		svid_count_in(f, SVID_STAT_NO_RECORD);
		return -ENOENT;
	}
	if (box->op == SVID_OP_LEAVE)
		return 0;
	if (box->op != SVID_OP_PEEK) {
		WRITE_ONCE(conn->conn_word, box->conn_word);
		/* full barrier: a mark set before is seen below, one set later finds the slot */
		xchg(&conn->conn_slot, box->conn_slot);
		svid_count_in(f, SVID_STAT_ADOPTED);
	}
	if (box->op == SVID_OP_ATTACH)
		err = hold_for(f, box, conn);
	box->conn = *conn;
	return err;
}

static int ask_check(const struct svid_mailbox *box)
{
	bool attach = box->op == SVID_OP_ATTACH;

	if (box->op < SVID_OP_ATTACH || box->op > SVID_OP_LEAVE)
		return -EINVAL;
	if (box->conn_slot >= SVID_WORDS || box->holder_slot >= SVID_WORDS)
		return -EINVAL;
	if ((attach || box->op == SVID_OP_ADOPT) && !box->conn_slot)
		return -EINVAL;
	return attach && !box->holder_slot ? -EINVAL : 0;
}

static long ask_answer(struct svid_file *f, struct svid_dev_ask *msg)
{
	struct socket *sock;
	int err;

	err = ask_check(&msg->box);
	if (err)
		return err;
	sock = sockfd_lookup(msg->fd, &err);
	if (!sock)
		return err;
	memset(&msg->box.conn, 0, sizeof(msg->box.conn));
	msg->box.held = 0;
	msg->box.holder_word = 0;
	msg->box.status = adopt(f, &msg->box, sock->sk);
	msg->box.answer = msg->box.request;
	sockfd_put(sock);
	return 0;
}

static long ask(struct file *file, void __user *arg)
{
	struct svid_dev_ask *msg = kmalloc(sizeof(*msg), GFP_KERNEL_ACCOUNT);
	long err;

	if (!msg)
		return -ENOMEM;
	err = svid_copy_in(msg, sizeof(*msg), sizeof(*msg), arg);
	if (!err)
		err = ask_answer(file->private_data, msg);
	if (!err)
		err = svid_copy_out(arg, msg, sizeof(*msg));
	kfree(msg);
	return err;
}

static long hold(struct file *file, void __user *arg)
{
	struct svid_file *f = file->private_data;
	struct svid_dev_hold msg;
	struct svid_hold *h = NULL;
	u32 slot;
	int err;

	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return err;
	if (msg.key.pad || !msg.slot || msg.slot >= SVID_WORDS)
		return -EINVAL;
	if (READ_ONCE(f->holders) < SVID_WORDS)
		h = svid_hold_alloc(f, &msg.key, msg.slot);
	if (!h)
		return -ENOMEM;
	svid_hold_take(h, true, &slot);
	if (!is_stale(&msg.key, msg.exec_id, msg.change))
		return 0;
	svid_hold_drop(f, &msg.key);
	return -ESTALE;
}

static long unhold(struct file *file, void __user *arg)
{
	struct svid_dev_key msg;
	int err;

	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return err;
	if (msg.pad0 || msg.key.pad)
		return -EINVAL;
	return svid_hold_drop(file->private_data, &msg.key) ? 0 : -ENOENT;
}

static int image_copy(struct svid_dev_image *msg)
{
	const struct svid_image *img;
	int err = -ENOENT;

	rcu_read_lock();
	img = msg->key.start ? svid_image_of(&msg->key) : svid_image_of_tgid(msg->key.tgid);
	if (img) {
		msg->image = *img;
		err = 0;
	}
	rcu_read_unlock();
	return err;
}

static long image(struct file *file, void __user *arg)
{
	struct svid_dev_image *msg = kmalloc(sizeof(*msg), GFP_KERNEL_ACCOUNT);
	long err;

	if (!msg)
		return -ENOMEM;
	err = svid_copy_in(msg, sizeof(*msg), sizeof(*msg), arg);
	if (!err && (msg->pad0 || msg->key.pad))
		err = -EINVAL;
	if (!err)
		err = image_copy(msg);
	if (!err)
		err = svid_copy_out(arg, msg, sizeof(*msg));
	kfree(msg);
	return err;
}

/* The thread is held while its record is made; one that is being released has no process any more. */
static int reader_fill(struct svid_dev_reader *msg)
{
	struct pid *pid = find_get_pid(msg->tid);
	struct task_struct *t = get_pid_task(pid, PIDTYPE_PID);
	int err = -ESRCH;

	put_pid(pid);
	if (!t)
		return -ESRCH;
	rcu_read_lock();
	if (pid_alive(t))
		err = svid_conn_fill(&msg->conn, t) ? 0 : -ENOENT;
	rcu_read_unlock();
	put_task_struct(t);
	return err;
}

static long reader(struct file *file, void __user *arg)
{
	struct svid_dev_reader *msg = kmalloc(sizeof(*msg), GFP_KERNEL_ACCOUNT);
	long err;

	if (!msg)
		return -ENOMEM;
	err = svid_copy_in(msg, sizeof(*msg), sizeof(*msg), arg);
	if (!err)
		err = reader_fill(msg);
	if (!err)
		err = svid_copy_out(arg, msg, sizeof(*msg));
	kfree(msg);
	return err;
}

/* Another core begins: slots that the one before gave to holders, and what was to be told to it, mean nothing to this one. */
static long forget(struct file *file, void __user *arg)
{
	struct svid_file *f = file->private_data;

	svid_holds_forget(f);
	/* an event is taken in two steps with this held: see event_peek() */
	if (mutex_lock_killable(&f->reading))
		return -EINTR;
	raw_spin_lock_irq(&f->lock);
	WRITE_ONCE(f->waiting, 0);
	raw_spin_unlock_irq(&f->lock);
	mutex_unlock(&f->reading);
	return 0;
}

static const struct svid_request requests[] = {
	{ SVID_IOC_WORDS, words_open },
	{ SVID_IOC_LISTEN, listen_request },
	{ SVID_IOC_ASK, ask },
	{ SVID_IOC_HOLD, hold },
	{ SVID_IOC_UNHOLD, unhold },
	{ SVID_IOC_IMAGE, image },
	{ SVID_IOC_READER, reader },
	{ SVID_IOC_FORGET, forget },
	{ 0, NULL },
};

static long file_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct svid_file *f = file->private_data;
	long result;

	if (mutex_lock_killable(&f->asking))
		return -EINTR;
	result = svid_dispatch(requests, file, cmd, arg);
	mutex_unlock(&f->asking);
	return result;
}

/* ---- events ---- */

static void wake_readers(struct irq_work *work)
{
	wake_up_interruptible_poll(&container_of(work, struct svid_file, wake)->readers, EPOLLIN | EPOLLRDNORM);
}

/* The oldest event; it stays until event_done(), so one that could not be copied is not lost. */
static bool event_peek(struct svid_file *f, struct svid_event *ret)
{
	bool there;

	raw_spin_lock_irq(&f->lock);
	there = f->waiting;
	if (there)
		*ret = f->events[f->first];
	raw_spin_unlock_irq(&f->lock);
	return there;
}

static void event_done(struct svid_file *f)
{
	raw_spin_lock_irq(&f->lock);
	f->first = (f->first + 1) % SVID_DEV_EVENTS;
	WRITE_ONCE(f->waiting, f->waiting - 1);
	raw_spin_unlock_irq(&f->lock);
}

static ssize_t events_copy(struct svid_file *f, char __user *to, size_t n)
{
	struct svid_event e;
	size_t done = 0;

	while (n - done >= sizeof(e) && event_peek(f, &e)) {
		if (copy_to_user(to + done, &e, sizeof(e)))
			return done ? done : -EFAULT;
		event_done(f);
		done += sizeof(e);
	}
	return done;
}

static ssize_t file_read(struct file *file, char __user *to, size_t n, loff_t *pos)
{
	struct svid_file *f = file->private_data;
	ssize_t done;

	if (n < sizeof(struct svid_event))
		return -EINVAL;
	for (;;) {
		if (mutex_lock_interruptible(&f->reading))
			return -ERESTARTSYS;
		done = events_copy(f, to, n);
		mutex_unlock(&f->reading);
		if (done)
			return done;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(f->readers, READ_ONCE(f->waiting)))
			return -ERESTARTSYS;
	}
}

static __poll_t file_poll(struct file *file, poll_table *wait)
{
	struct svid_file *f = file->private_data;

	poll_wait(file, &f->readers, wait);
	return READ_ONCE(f->waiting) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int file_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct svid_file *f = file->private_data;

	if (vma->vm_pgoff == SVID_DEV_WORDS >> PAGE_SHIFT)
		return map(vma, f->area->words, true);
	if (vma->vm_pgoff == SVID_DEV_STATS >> PAGE_SHIFT)
		return map(vma, f->area->stats, false);
	return -EINVAL;
}

/* ---- from open to close ---- */

static void file_free(struct svid_file *f)
{
	if (f->area)
		area_put(f->area);
	vfree(f->events);
	kfree(f);
}

/*
 * Nobody asks any more; hooks may. First no new record can be made for this file, then its records and holders go, then it
 * leaves the list; after the grace period no hook holds what it found. A word that a front still looks at says "not any
 * more": nobody would bump it from now on.
 */
static int file_release(struct inode *inode, struct file *file)
{
	struct svid_file *f = file->private_data;
	u32 slot;

	svid_listeners_forget(f);
	svid_records_forget(f);
	svid_holds_forget(f);
	svid_files_remove(f);
	synchronize_rcu();
	irq_work_sync(&f->wake);
	for (slot = 1; slot < SVID_WORDS; slot++)
		svid_word_bump(f, slot);
	atomic_dec(&n_files);
	file_free(f);
	return 0;
}

static const struct file_operations file_fops = {
	.owner = THIS_MODULE,
	.read = file_read,
	.poll = file_poll,
	.mmap = file_mmap,
	.unlocked_ioctl = file_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = file_release,
};

static struct svid_file *file_make(void)
{
	struct svid_file *f = kzalloc(sizeof(*f), GFP_KERNEL_ACCOUNT);

	if (!f)
		return NULL;
	raw_spin_lock_init(&f->lock);
	mutex_init(&f->asking);
	mutex_init(&f->reading);
	init_waitqueue_head(&f->readers);
	init_irq_work(&f->wake, wake_readers);
	f->area = area_make();
	f->events = __vmalloc(SVID_DEV_EVENTS * sizeof(*f->events), GFP_KERNEL_ACCOUNT);
	if (f->area && f->events)
		return f;
	file_free(f);
	return NULL;
}

int svid_file_open(void)
{
	struct svid_file *f;
	int fd;

	if (atomic_inc_return(&n_files) > SVID_DEV_FILES) {
		atomic_dec(&n_files);
		return -ENFILE;
	}
	f = file_make();
	if (!f) {
		atomic_dec(&n_files);
		return -ENOMEM;
	}
	svid_files_add(f);
	svid_hooks_missed();	/* what was before this file's time is no news to it */
	fd = anon_inode_getfd("[svid]", &file_fops, f, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		svid_files_remove(f);
		synchronize_rcu();
		atomic_dec(&n_files);
		file_free(f);
		return fd;
	}
	schedule_delayed_work(&sweeper, SWEEP_SECONDS * HZ);
	return fd;
}

void svid_files_exit(void)
{
	cancel_delayed_work_sync(&sweeper);
}
