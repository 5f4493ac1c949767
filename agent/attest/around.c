// SPDX-License-Identifier: Apache-2.0
/*
 * around.c - namespaces and root of a process that has no record of its own, for `svid explain`. svid-attest; the
 * links of /proc/PID/ns need its capability. Decisions never rest on this: they use what the kernel recorded.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/attest/attest.h"
#include "kmod/uapi/svid.h"

#define INITIAL_USER_NS 0xeffffffdu /* inode number of the initial user namespace, PROC_USER_INIT_INO */

static int same_at(int a, int b, const char *name, bool *ret_same)
{
	struct stat sa, sb;

	if (fstatat(a, name, &sa, 0) < 0 || fstatat(b, name, &sb, 0) < 0)
		return -errno;
	*ret_same = sa.st_ino == sb.st_ino && sa.st_dev == sb.st_dev;
	return 0;
}

/* Containers have mount namespaces that the initial user namespace owns; what an unprivileged user made has not. */
static int is_mount_initial(int proc, bool *ret_initial)
{
	int mnt = openat(proc, "ns/mnt", O_RDONLY | O_CLOEXEC);
	int owner = mnt < 0 ? -1 : ioctl(mnt, NS_GET_USERNS);
	int err = owner < 0 ? -errno : 0;
	struct stat st;

	if (!err && fstat(owner, &st) < 0)
		err = -errno;
	if (owner >= 0)
		close(owner);
	if (mnt >= 0)
		close(mnt);
	if (!err)
		*ret_initial = st.st_ino == INITIAL_USER_NS;
	return err;
}

/* Pid 1, or this very process where not even CAP_SYS_PTRACE may look at pid 1 (some containers): svidd runs beside it. */
static int open_reference(int *ret_fd)
{
	struct stat st;
	int fd, err = proc_open(1, 0, &fd);

	if (!err && fstatat(fd, "root", &st, 0) < 0) {
		err = -errno;
		close(fd);
	}
	if (err)
		return proc_open((uint32_t)getpid(), 0, ret_fd);
	*ret_fd = fd;
	return 0;
}

static int look(int proc, int init, uint32_t *ret_flags)
{
	bool same_mount = false, same_root = false, initial = false;
	struct stat user;
	int err = fstatat(proc, "ns/user", &user, 0) < 0 ? -errno : 0;

	if (!err)
		err = same_at(proc, init, "ns/mnt", &same_mount);
	if (!err)
		err = same_at(proc, init, "root", &same_root);
	if (!err)
		err = is_mount_initial(proc, &initial);
	if (err)
		return err;
	*ret_flags = (user.st_ino == INITIAL_USER_NS ? SVID_CRED_USERNS_INIT : 0) |
		     (initial ? SVID_CRED_MNTNS_INIT : 0) | (same_mount ? SVID_CRED_MNTNS_PID1 : 0) |
		     (same_root ? 0 : SVID_CRED_ROOT_DIFFERS);
	return 0;
}

int around_look(uint32_t pid, uint64_t start, uint32_t *ret_flags)
{
	int proc, init;
	int err = proc_open(pid, start, &proc);

	if (err)
		return err;
	err = open_reference(&init);
	if (!err) {
		err = look(proc, init, ret_flags);
		close(init);
	}
	close(proc);
	return err;
}
