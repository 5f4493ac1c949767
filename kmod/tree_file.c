// SPDX-License-Identifier: GPL-2.0-only
/*
 * The agent's file of the credential tree (SVID_IOC_TREE): it says which names there are, takes requests by read() and
 * answers them. One on the machine. Next: uapi/svid_dev.h, the contract.
 */
#include "tree.h"

#include <linux/anon_inodes.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/magic.h>
#include <linux/poll.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK)

static unsigned long taken;	/* bit 0: there is a tree file */

static bool is_name(const char *name, size_t len)
{
	size_t i;

	if (!len || len > SVID_TREE_NAME_MAX || (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.'))))
		return false;
	for (i = 0; i < len; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= 'A' && name[i] <= 'Z') &&
		    !(name[i] >= '0' && name[i] <= '9') && name[i] != '.' && name[i] != '_' && name[i] != '-')
			return false;
	return true;
}

static bool is_path(const char *path, size_t len)
{
	size_t start = 0, i;
	unsigned int depth = 0;

	for (i = 0; i <= len; i++) {
		if (i < len && path[i] != '/')
			continue;
		if (++depth > SVID_TREE_DEPTH || !is_name(path + start, i - start))
			return false;
		start = i + 1;
	}
	return true;
}

/* The path of an ADD or DEL, for the caller to free. */
static char *copy_path(void __user *arg, u64 *ret_cookie)
{
	struct svid_tree_path msg;
	char *path;
	int err;

	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return ERR_PTR(err);
	if (msg.path_len > sizeof(msg.path) || !is_path(msg.path, msg.path_len))
		return ERR_PTR(-EINVAL);
	path = kmemdup_nul(msg.path, msg.path_len, GFP_KERNEL);
	if (!path)
		return ERR_PTR(-ENOMEM);
	*ret_cookie = msg.cookie;
	return path;
}

static long tree_begin(struct file *file, void __user *arg)
{
	svid_tree_begin();
	return 0;
}

static long tree_sweep(struct file *file, void __user *arg)
{
	svid_tree_sweep(false);
	return 0;
}

static long tree_add(struct file *file, void __user *arg)
{
	u64 cookie;
	char *path = copy_path(arg, &cookie);
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path);
	err = svid_tree_add(path, cookie);
	kfree(path);
	return err;
}

static long tree_del(struct file *file, void __user *arg)
{
	u64 cookie;
	char *path = copy_path(arg, &cookie);
	int err;

	if (IS_ERR(path))
		return PTR_ERR(path);
	err = svid_tree_del(path);
	kfree(path);
	return err;
}

/* Only tmpfs has this magic, and only a memfd these seals; what is sealed so cannot change or shrink while it is read. */
static int check_memfd(struct file *file, u32 len)
{
	struct inode *inode = file_inode(file);

	if (inode->i_sb->s_magic != TMPFS_MAGIC || !S_ISREG(inode->i_mode))
		return -EINVAL;
	if ((SHMEM_I(inode)->seals & SEALS) != SEALS || i_size_read(inode) < len)
		return -EINVAL;
	return file->f_mode & FMODE_READ ? 0 : -EBADF;
}

static int read_whole(struct file *file, u8 *buf, u32 len)
{
	loff_t pos = 0;
	ssize_t n;

	while (pos < len) {
		n = kernel_read(file, buf + pos, len - pos, &pos);
		if (n <= 0)
			return n ? n : -EIO;
	}
	return 0;
}

/* Read here and not by the reader: the file is the agent's, and so are the memory, time and rights that this takes. */
static struct svid_tree_version *version_of(struct file *file, u32 len)
{
	struct svid_tree_version *version;
	int err = check_memfd(file, len);

	if (err)
		return ERR_PTR(err);
	version = svid_tree_version_new(len);
	if (IS_ERR(version))
		return version;
	err = read_whole(file, version->data, len);
	if (!err)
		return version;
	svid_tree_version_put(version);
	return ERR_PTR(err);
}

static bool is_refusal(u32 err)
{
	return err == EACCES || err == ENOENT || err == EAGAIN || err == EIO || err == ETIMEDOUT;
}

static long tree_answer(struct file *file, void __user *arg)
{
	struct svid_tree_version *version;
	struct svid_tree_answer msg;
	struct file *content;
	int err;

	err = svid_copy_in(&msg, sizeof(msg), sizeof(msg), arg);
	if (err)
		return err;
	if (msg.err)
		return is_refusal(msg.err) && msg.fd == -1 && !msg.len ? svid_tree_finish(msg.id, -(int)msg.err, NULL) : -EINVAL;
	if (msg.len > SVID_TREE_CONTENT)
		return -EINVAL;
	content = fget(msg.fd);
	if (!content)
		return -EBADF;
	version = version_of(content, msg.len);
	fput(content);
	return IS_ERR(version) ? PTR_ERR(version) : svid_tree_finish(msg.id, 0, version);
}

static const struct svid_request requests[] = {
	{ SVID_IOC_TREE_BEGIN, tree_begin },
	{ SVID_IOC_TREE_ADD, tree_add },
	{ SVID_IOC_TREE_DEL, tree_del },
	{ SVID_IOC_TREE_SWEEP, tree_sweep },
	{ SVID_IOC_TREE_ANSWER, tree_answer },
	{ 0, NULL },
};

static long tree_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return svid_dispatch(requests, file, cmd, arg);
}

/* The next request; 0, or why there is none. */
static int next_request(struct svid_tree_request *ret, bool wait)
{
	int err;

	while (!svid_tree_next(ret)) {
		if (!wait)
			return -EAGAIN;
		err = wait_event_interruptible(svid_tree_agent, svid_tree_pending());
		if (err)
			return err;
	}
	return 0;
}

static ssize_t tree_read(struct file *file, char __user *buf, size_t size, loff_t *pos)
{
	struct svid_tree_request msg;
	size_t done = 0;
	int err = 0;

	if (size < sizeof(msg))
		return -EINVAL;
	while (size - done >= sizeof(msg)) {
		err = next_request(&msg, !done && !(file->f_flags & O_NONBLOCK));
		if (err)
			break;
		if (copy_to_user(buf + done, &msg, sizeof(msg))) {
			svid_tree_unask(msg.id);
			err = -EFAULT;
			break;
		}
		done += sizeof(msg);
	}
	return done ? done : err;
}

static __poll_t tree_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &svid_tree_agent, wait);
	return svid_tree_pending() ? EPOLLIN | EPOLLRDNORM : 0;
}

/* After the sweep no reader looks at svid_tree_pid_ns: it asks dead first. */
static int tree_release(struct inode *inode, struct file *file)
{
	svid_tree_sweep(true);
	put_pid_ns(svid_tree_pid_ns);
	clear_bit_unlock(0, &taken);
	return 0;
}

static const struct file_operations tree_fops = {
	.owner = THIS_MODULE,
	.read = tree_read,
	.poll = tree_poll,
	.unlocked_ioctl = tree_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = tree_release,
};

int svid_tree_open(void)
{
	int fd;

	if (test_and_set_bit_lock(0, &taken))
		return -EBUSY;
	svid_tree_pid_ns = get_pid_ns(task_active_pid_ns(current));
	svid_tree_begin();
	fd = anon_inode_getfd("[svid-tree]", &tree_fops, NULL, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		put_pid_ns(svid_tree_pid_ns);
		clear_bit_unlock(0, &taken);
	}
	return fd;
}
