// SPDX-License-Identifier: Apache-2.0
/* tree_rig.c - the module and the agent's side of the credential tree, played by a test. Next: tree_reader.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/lib/tree_rig.h"

int rig_load(void)
{
	char path[64];
	int fd, err;

	snprintf(path, sizeof(path), "build/kmod/%s/svid.ko", getenv("VM") ? getenv("VM") : "6.12");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST ? -errno : 0;
	close(fd);
	return err;
}

int rig_unload(void)
{
	return syscall(SYS_delete_module, "svid", O_NONBLOCK) ? -errno : 0;
}

int64_t rig_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int tree_open(void)
{
	int dev = open(SVID_DEV_PATH, O_RDWR | O_CLOEXEC);
	int fd;

	if (dev < 0)
		return -errno;
	fd = ioctl(dev, SVID_IOC_TREE);
	if (fd < 0)
		fd = -errno;
	close(dev);
	if (fd >= 0)
		fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static int path_request(int tree, unsigned long request, const char *path, uint64_t cookie)
{
	struct svid_tree_path msg = { .size = sizeof(msg), .path_len = (uint32_t)strlen(path), .cookie = cookie };

	memcpy(msg.path, path, msg.path_len < sizeof(msg.path) ? msg.path_len : sizeof(msg.path));
	return ioctl(tree, request, &msg) ? -errno : 0;
}

int tree_add(int tree, const char *path, uint64_t cookie)
{
	return path_request(tree, SVID_IOC_TREE_ADD, path, cookie);
}

int tree_del(int tree, const char *path)
{
	return path_request(tree, SVID_IOC_TREE_DEL, path, 0);
}

int tree_begin(int tree)
{
	return ioctl(tree, SVID_IOC_TREE_BEGIN) ? -errno : 0;
}

int tree_sweep(int tree)
{
	return ioctl(tree, SVID_IOC_TREE_SWEEP) ? -errno : 0;
}

int tree_request(int tree, int ms, struct svid_tree_request *ret)
{
	struct pollfd poller = { .fd = tree, .events = POLLIN };
	ssize_t n;

	if (poll(&poller, 1, ms) == 0)
		return -EAGAIN;
	n = read(tree, ret, sizeof(*ret));
	return n < 0 ? -errno : n == sizeof(*ret) ? 0 : -EIO;
}

int tree_memfd(const void *data, size_t len)
{
	int fd = memfd_create("content", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (write(fd, data, len) != (ssize_t)len || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW))
		abort();
	return fd;
}

int tree_answer(int tree, uint64_t id, const void *data, size_t len)
{
	struct svid_tree_answer msg = { .size = sizeof(msg), .id = id, .fd = tree_memfd(data, len), .len = (uint32_t)len };
	int err = ioctl(tree, SVID_IOC_TREE_ANSWER, &msg) ? -errno : 0;

	close(msg.fd);
	return err;
}

int tree_refuse(int tree, uint64_t id, unsigned int err)
{
	struct svid_tree_answer msg = { .size = sizeof(msg), .id = id, .fd = -1, .err = err };

	return ioctl(tree, SVID_IOC_TREE_ANSWER, &msg) ? -errno : 0;
}

const char *tree_path(const char *path)
{
	static char whole[1024];

	snprintf(whole, sizeof(whole), "%s/%s", SVID_TREE_DIR, path);
	return whole;
}

bool tree_shows(const char *path, bool want)
{
	int64_t end = rig_ms() + RIG_FAST_MS;

	while ((access(tree_path(path), F_OK) == 0) != want) {
		if (rig_ms() > end)
			return false;
		usleep(1000);
	}
	return true;
}
