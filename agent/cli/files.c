/* SPDX-License-Identifier: Apache-2.0 */
/* files.c - write beside, sync, rename: a reader sees the old file or the new one; bounded reading. svid. */
#include "agent/cli/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"

#define READ_BYTES 16384

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

int file_replace_in(const char *dir, const char *sub, const char *name, struct slice content, unsigned int mode)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), in, err;

	if (fd < 0)
		return -errno;
	err = mkdirat(fd, sub, 0755) < 0 && errno != EEXIST ? -errno : 0;
	in = err ? -1 : openat(fd, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (!err && in < 0)
		err = -errno;
	close(fd);
	if (err)
		return err;
	err = replace_at(in, name, content, mode);
	close(in);
	return err;
}

static int read_fd(int fd, struct buf *out)
{
	for (;;) {
		size_t room = out->max - out->len, want = room < READ_BYTES ? room : READ_BYTES;
		uint8_t extra; /* is there more than may be? */
		uint8_t *to = room ? buf_reserve(out, want) : &extra;
		ssize_t n = to ? read(fd, to, room ? want : 1) : 0;

		if (!to)
			return buf_ok(out);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0 && !room)
			return -ERR_SIZE;
		if (n > 0)
			buf_added(out, (size_t)n);
	}
}

int file_read(const char *path, struct buf *out)
{
	int fd, err;

	if (strcmp(path, "-") == 0)
		return read_fd(STDIN_FILENO, out);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	err = read_fd(fd, out);
	close(fd);
	return err;
}
