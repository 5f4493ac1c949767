// SPDX-License-Identifier: Apache-2.0
/* secret.c - pages for secrets and their way between roles. svid-keys, svid-front, svid-cloud. */
#include "agent/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

struct secret {
	uint8_t *map;
	size_t len;
};

struct secret *secret_new(size_t len)
{
	struct secret *s;

	if (!len || len > LIM_IPC_BODY)
		return NULL;
	s = mem_new(struct secret);
	if (!s)
		return NULL;
	s->map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->map == MAP_FAILED) {
		mem_free(s);
		return NULL;
	}
	s->len = len;
	/* Best effort: a small RLIMIT_MEMLOCK must not turn into a refused identity. */
	(void)mlock(s->map, len);
	(void)madvise(s->map, len, MADV_DONTDUMP);
	(void)madvise(s->map, len, MADV_WIPEONFORK);
	return s;
}

void secret_free(struct secret *s)
{
	if (!s)
		return;
	mem_wipe(s->map, s->len);
	munmap(s->map, s->len);
	mem_free(s);
}

uint8_t *secret_bytes(struct secret *s)
{
	return s->map;
}

size_t secret_len(const struct secret *s)
{
	return s->len;
}

static int make_fd(size_t len)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0)
		fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)len) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	/* memfd_secret cannot be resized once sized and knows no seals: a refusal there is fine. */
	(void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

int secret_to_fd(struct secret *s, int *ret_fd)
{
	int fd = make_fd(s->len);
	void *map;

	if (fd < 0)
		return fd;
	map = mmap(NULL, s->len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		int err = -errno;

		close(fd);
		return err;
	}
	memcpy(map, s->map, s->len);
	munmap(map, s->len);
	*ret_fd = fd;
	return 0;
}

int secret_from_fd(int fd, size_t len, struct secret **ret_secret)
{
	struct secret *s;
	struct stat st;
	void *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size < 0 || (size_t)st.st_size != len)
		return -ERR_SIZE;
	s = secret_new(len);
	if (!s)
		return -ENOMEM;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		int err = -errno;

		secret_free(s);
		return err;
	}
	memcpy(s->map, map, len);
	mem_wipe(map, len);
	munmap(map, len);
	*ret_secret = s;
	return 0;
}
