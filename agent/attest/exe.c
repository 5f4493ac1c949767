// SPDX-License-Identifier: Apache-2.0
/*
 * exe.c - which file a process runs, and its path. svid-attest.
 *
 * The kernel's record of the exec decides; /proc only adds the path, and only when it speaks of the same
 * process and the same file. /proc/PID is opened once: later opens below it cannot reach another
 * process that got the number meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/attest/attest.h"
#include "agent/base/clock.h"

#define STAT_BYTES 1024
#define MOUNTINFO_BYTES (1u << 20)
#define DELETED " (deleted)"

static int read_file(int dir, const char *name, struct buf *out)
{
	AUTO(fd) int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	while (out->len < out->max) {
		size_t room = out->max - out->len < 4096 ? out->max - out->len : 4096;
		char *to = buf_reserve(out, room);
		ssize_t n = to ? read(fd, to, room) : -1;

		if (!to)
			return buf_ok(out);
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		buf_added(out, (size_t)n);
	}
	return 0;
}

static struct slice next_word(struct slice *s, uint8_t end)
{
	size_t n = 0;
	struct slice word;

	while (n < s->len && s->p[n] != end)
		n++;
	word = slice_get_bytes(s, n);
	if (s->len)
		(void)slice_get_u8(s);
	return word;
}

/* Field 22 of proc_pid_stat(5), in clock ticks. comm may hold anything, so count from the last ')'. */
static int start_ticks(int proc, uint64_t *ret_ticks)
{
	AUTO(buf) struct buf text = BUF_INIT(STAT_BYTES);
	struct slice rest;
	int err = read_file(proc, "stat", &text);

	if (err)
		return err;
	rest = buf_slice(&text);
	for (size_t i = rest.len; i > 0; i--)
		if (rest.p[i - 1] == ')') {
			rest = slice_of(rest.p + i, rest.len - i);
			break;
		}
	for (int field = 2; field < 22; field++) /* the blank after ')' ends field 2 */
		(void)next_word(&rest, ' ');
	return slice_u64_dec(next_word(&rest, ' '), ret_ticks);
}

/* The kernel rounds start_boottime down to ticks; so do we. */
static int same_process(int proc, uint64_t start_ns)
{
	uint64_t ticks;
	long hz = sysconf(_SC_CLK_TCK);
	int err = start_ticks(proc, &ticks);

	if (err)
		return err;
	return hz > 0 && start_ns / (NS_PER_S / (uint64_t)hz) == ticks ? 0 : -ESRCH;
}

/* mountinfo's line of mount @id: "36 35 98:0 ..." gives MAJOR << 20 | MINOR of the super block. */
static int dev_in_mountinfo(struct slice text, uint64_t id, uint64_t *ret_dev)
{
	while (text.len) {
		struct slice line = next_word(&text, '\n');
		struct slice number = next_word(&line, ' ');
		uint64_t n, major_nr, minor_nr;

		if (slice_u64_dec(number, &n) || n != id)
			continue;
		(void)next_word(&line, ' ');
		number = next_word(&line, ':');
		if (slice_u64_dec(number, &major_nr) || slice_u64_dec(next_word(&line, ' '), &minor_nr))
			return -ERR_FORMAT;
		*ret_dev = major_nr << 20 | minor_nr;
		return 0;
	}
	return -ENOENT;
}

/* -ENOENT: mount @id is not in the table of @proc. */
static int find_mount(int proc, uint64_t id, uint64_t *ret_dev)
{
	AUTO(buf) struct buf text = BUF_INIT(MOUNTINFO_BYTES);
	int err = read_file(proc, "mountinfo", &text);

	return err ? err : dev_in_mountinfo(buf_slice(&text), id, ret_dev);
}

/*
 * The super block's number of the file system that @fd is on; on btrfs and overlayfs st_dev is another number. The mount
 * must be one of the process's own table, or of process 1's for a process that was given another one after its exec.
 * Any other mount is of nobody whom we judge: an unprivileged user makes a namespace, mounts a file of his over a trusted
 * path there, and reaches it from outside by /proc/PID/root or a passed descriptor; the link then says the trusted path.
 */
static int mount_dev(int proc, int fd, uint64_t *ret_dev)
{
	struct statx sx;
	int err;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &sx) < 0)
		return -errno;
	if (!(sx.stx_mask & STATX_MNT_ID))
		return -ENODATA;
	err = find_mount(proc, sx.stx_mnt_id, ret_dev);
	if (err != -ENOENT)
		return err;
	AUTO(fd) int first = open("/proc/1", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return first < 0 ? -errno : find_mount(first, sx.stx_mnt_id, ret_dev);
}

/* Forms of file handle whose generation we can read; the inode number in them proves that we read them right. */
#define HANDLE_INO32_GEN 0x01 /* ext4, f2fs and others: u32 inode, u32 generation. tmpfs: generation first, u64 inode */
#define HANDLE_XFS_INO64 0x81 /* u64 inode, u32 generation */
#define HANDLE_BTRFS 0x4d     /* u64 inode, u64 tree, u32 generation */

static bool generation_in_handle(const struct file_handle *h, uint64_t ino, uint32_t *ret_generation)
{
	struct slice s = slice_of(h->f_handle, h->handle_bytes);
	uint64_t got_ino = 0;
	uint32_t gen = 0;

	if (h->handle_type == HANDLE_INO32_GEN && s.len == 8) {
		got_ino = slice_get_u32(&s);
		gen = slice_get_u32(&s);
		ino = (uint32_t)ino;
	} else if (h->handle_type == HANDLE_INO32_GEN && s.len == 12) {
		gen = slice_get_u32(&s);
		got_ino = slice_get_u64(&s);
	} else if (h->handle_type == HANDLE_XFS_INO64 && s.len == 12) {
		got_ino = slice_get_u64(&s);
		gen = slice_get_u32(&s);
	} else if (h->handle_type == HANDLE_BTRFS && s.len == 20) {
		got_ino = slice_get_u64(&s);
		(void)slice_get_u64(&s);
		gen = slice_get_u32(&s);
	}
	*ret_generation = gen;
	return slice_ok(&s) && got_ino && got_ino == ino;
}

/* Without opening the file: no permission is needed, and a file system that hangs is not asked. */
static bool handle_generation(int fd, uint64_t ino, uint32_t *ret_generation)
{
	union {
		struct file_handle h;
		uint8_t room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .h.handle_bytes = MAX_HANDLE_SZ };
	int mount;

	return name_to_handle_at(fd, "", &u.h, &mount, AT_EMPTY_PATH) == 0 && generation_in_handle(&u.h, ino, ret_generation);
}

/* -ERR_CHANGED when they differ; 0 when equal, or when this file system tells nobody (overlayfs). */
static int same_generation(int fd, uint64_t ino, uint32_t want)
{
	char name[32];
	uint32_t in_handle;
	long got = 0;

	if (handle_generation(fd, ino, &in_handle))
		return in_handle == want ? 0 : -ERR_CHANGED;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	AUTO(fd) int readable = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (readable < 0)
		return -errno;
	if (ioctl(readable, FS_IOC_GETVERSION, &got) < 0)
		return errno == ENOTTY || errno == EOPNOTSUPP || errno == EINVAL ? 0 : -errno;
	return (uint32_t)got == want ? 0 : -ERR_CHANGED;
}

/*
 * The file of @fd is the recorded one: inode number always; device by st_dev, or by the mount where
 * the file system makes st_dev up; generation where there is one, because inode numbers come again.
 */
static int same_file(int proc, int fd, const struct msg_A_IDENTIFY *ask, struct exe_answer *out)
{
	uint64_t dev = 0;
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	out->ino = st.st_ino;
	out->dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	if (!ask->dev)
		return 0;
	err = mount_dev(proc, fd, &dev);
	if (err)
		return err == -ENOENT ? -ERR_MOUNT : err;
	if (out->dev != ask->dev)
		out->dev = dev;
	if (out->dev != ask->dev || out->ino != ask->ino)
		return -ERR_CHANGED;
	return ask->generation ? same_generation(fd, out->ino, ask->generation) : 0;
}

/* A file may really be called "x (deleted)"; then that name leads to the same inode. */
static bool is_deleted(const char *path, int fd)
{
	struct slice s = slice_str(path), tail = slice_str(DELETED);
	struct stat there, here;

	if (s.len < tail.len || !slice_eq(slice_of(s.p + s.len - tail.len, tail.len), tail))
		return false;
	if (stat(path, &there) < 0 || fstat(fd, &here) < 0)
		return true;
	return there.st_ino != here.st_ino || there.st_dev != here.st_dev;
}

/* The name of the file that @fd holds, not of /proc/PID/exe: that may have changed since the comparison. */
static int path_of(int fd, char *path)
{
	char name[32];
	ssize_t n;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	n = readlink(name, path, LIM_PATH);
	if (n < 0)
		return -errno;
	if (n == LIM_PATH)
		return -ENAMETOOLONG;
	path[n] = 0;
	if (*path != '/' || is_deleted(path, fd))
		return -ENOENT; /* memfd, pipe, no link */
	return 0;
}

int proc_open(uint32_t pid, uint64_t start, int *ret_fd)
{
	char name[32];
	int err = 0;

	snprintf(name, sizeof(name), "/proc/%u", pid);
	AUTO(fd) int proc = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (proc < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	if (start)
		err = same_process(proc, start);
	if (err)
		return err;
	*ret_fd = proc;
	proc = -1;
	return 0;
}

/* O_PATH: no access to a file system that may hang, and no permission of the file is needed. */
static int open_exe(uint32_t pid, uint64_t start, int *ret_proc, int *ret_exe)
{
	AUTO(fd) int proc = -1;
	int exe, err = proc_open(pid, start, &proc);

	if (err)
		return err;
	exe = openat(proc, "exe", O_PATH | O_CLOEXEC);
	if (exe < 0)
		return errno == ENOENT ? -ESRCH : -errno; /* no executable: ended, or a kernel thread */
	*ret_exe = exe;
	*ret_proc = proc;
	proc = -1;
	return 0;
}

static int identify(const struct msg_A_IDENTIFY *ask, struct exe_answer *out)
{
	AUTO(fd) int proc = -1;
	AUTO(fd) int exe = -1;
	int err = open_exe(ask->pid, ask->start, &proc, &exe);

	if (!err)
		err = same_file(proc, exe, ask, out);
	return err ? err : path_of(exe, out->path);
}

/* The content counts here, not the name, so any mount of that file will do. */
static int same_inode(int proc, int fd, const struct msg_A_OPEN *ask)
{
	uint64_t dev;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	dev = (uint64_t)major(st.st_dev) << 20 | minor(st.st_dev);
	if (st.st_ino != ask->ino)
		return -ERR_CHANGED;
	if (dev != ask->dev)
		err = mount_dev(proc, fd, &dev);
	if (err)
		return err == -ENOENT ? -ERR_MOUNT : err;
	if (dev != ask->dev || !stat_is(&st, ask->size, ask->mtime_sec, ask->mtime_nsec, ask->ctime_sec, ask->ctime_nsec))
		return -ERR_CHANGED;
	return ask->generation ? same_generation(fd, st.st_ino, ask->generation) : 0;
}

int exe_open(const struct msg_A_OPEN *ask, int *ret_fd)
{
	AUTO(fd) int proc = -1;
	AUTO(fd) int exe = -1;
	int err = open_exe(ask->pid, ask->start, &proc, &exe);

	if (!err && ask->dev)
		err = same_inode(proc, exe, ask);
	if (err)
		return err;
	*ret_fd = exe;
	exe = -1;
	return 0;
}

bool stat_is(const struct stat *st, uint64_t size, int64_t mtime_sec, uint32_t mtime_nsec, int64_t ctime_sec,
	     uint32_t ctime_nsec)
{
	return S_ISREG(st->st_mode) && (uint64_t)st->st_size == size && st->st_mtim.tv_sec == mtime_sec &&
	       st->st_mtim.tv_nsec == mtime_nsec && st->st_ctim.tv_sec == ctime_sec && st->st_ctim.tv_nsec == ctime_nsec;
}

void exe_identify(const struct msg_A_IDENTIFY *ask, struct exe_answer *out)
{
	memset(out, 0, sizeof(*out));
	out->err = identify(ask, out);
	if (out->err)
		out->path[0] = 0;
}

int exe_argv(uint32_t pid, struct buf *out)
{
	AUTO(fd) int proc = -1;
	int err = proc_open(pid, 0, &proc);

	return err ? err : read_file(proc, "cmdline", out);
}
