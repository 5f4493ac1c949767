// SPDX-License-Identifier: Apache-2.0
/* sealed.c - memfds that nobody can change. Any role; long messages (agent/ipc/wire.c) and credential files. */
#include "agent/base/sealed.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static int fill(int fd, struct slice bytes)
{
	while (bytes.len) {
		ssize_t n = write(fd, bytes.p, bytes.len);

		if (n < 0)
			return -errno;
		(void)slice_get_bytes(&bytes, (size_t)n);
	}
	return fcntl(fd, F_ADD_SEALS, SEALED) < 0 ? -errno : 0;
}

int sealed_fd(struct slice bytes, int *ret_fd)
{
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err = fd < 0 ? -errno : fill(fd, bytes);

	if (err && fd >= 0)
		close(fd);
	if (!err)
		*ret_fd = fd;
	return err;
}
