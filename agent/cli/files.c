/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - write beside, sync, rename: a reader sees the old file or the new one. svid; used by fetch.c. */
#include "agent/cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/limits.h"

static int fill(int fd, struct slice content, unsigned int mode)
{
	while (content.len) {
		ssize_t n = write(fd, content.p, content.len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0)
			(void)slice_get_bytes(&content, (size_t)n);
	}
	return fchmod(fd, mode) < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int replace_at(int dir, const char *name, struct slice content, unsigned int mode)
{
	AUTO(buf) struct buf other = BUF_INIT(LIM_PATH);
	int fd, err;

	buf_printf(&other, ".%s.%llx", name, (unsigned long long)clock_random(UINT64_MAX));
	err = buf_ok(&other);
	if (err)
		return err;
	/* 0600 from the first byte: a key must never be readable, not even for a moment. */
	fd = openat(dir, buf_cstr(&other), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = fill(fd, content, mode);
	if (close(fd) < 0 && !err)
		err = -errno;
	if (!err && renameat(dir, buf_cstr(&other), dir, name) < 0)
		err = -errno;
	if (err)
		(void)unlinkat(dir, buf_cstr(&other), 0);
	return err;
}

int file_replace(const char *dir, const char *name, struct slice content, unsigned int mode)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = replace_at(fd, name, content, mode);
	close(fd);
	return err;
}
