// SPDX-License-Identifier: Apache-2.0
/* exec.c - path and SHA-256 of an executable, for `svid explain --exec`. svid, root. */
#include "agent/cli/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/cli/ossl.h"

#define READ_BYTES 65536

static int digest_file(int fd, uint8_t digest[static EXEC_DIGEST], size_t *ret_len)
{
	AUTO(buf) struct buf block = BUF_INIT(READ_BYTES);
	uint8_t *to = buf_reserve(&block, READ_BYTES);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned int len = 0;
	ssize_t n = 0;
	int err = to && ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;

	while (!err && (n = read(fd, to, READ_BYTES)) != 0) {
		if (n < 0 && errno != EINTR)
			err = -errno;
		else if (n > 0 && EVP_DigestUpdate(ctx, to, (size_t)n) != 1)
			err = -ENOMEM;
	}
	if (!err && EVP_DigestFinal_ex(ctx, digest, &len) != 1)
		err = -ENOMEM;
	EVP_MD_CTX_free(ctx);
	*ret_len = err ? 0 : len;
	return err;
}

static int put_path(int fd, struct buf *out)
{
	char link[64], path[LIM_PATH];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path));
	if (n < 0)
		return -errno;
	if (n == sizeof(path))
		return -ERR_SIZE;
	buf_put(out, path, (size_t)n);
	return buf_ok(out);
}

int exec_look(const char *path, struct buf *ret_path, uint8_t ret_digest[static EXEC_DIGEST], size_t *ret_len)
{
	struct stat st;
	/* A pipe or device that somebody named must not be opened for reading: O_PATH first. */
	int handle = open(path, O_PATH | O_CLOEXEC), fd = -1;
	char link[64];
	int err = handle < 0 || fstat(handle, &st) < 0 ? -errno : 0;

	*ret_len = 0;
	if (!err && !S_ISREG(st.st_mode))
		err = -ERR_FORMAT;
	if (!err)
		err = put_path(handle, ret_path);
	if (!err) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", handle);
		fd = open(link, O_RDONLY | O_CLOEXEC);
	}
	/* Without it the answer says less, not nothing. */
	if (fd >= 0)
		(void)!digest_file(fd, ret_digest, ret_len);
	if (fd >= 0)
		close(fd);
	if (handle >= 0)
		close(handle);
	return err;
}
