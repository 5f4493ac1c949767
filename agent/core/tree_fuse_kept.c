// SPDX-License-Identifier: Apache-2.0
/*
 * tree_fuse_kept.c - requests of FUSE until they are answered, in memory that outlives svid-core. svid-core.
 *
 * The kernel gives a request once. When whoever read it is gone without an answer, the reader waits for good: not even
 * SIGKILL ends it while the mount lives, and svidd keeps the mount. (FUSE_NOTIFY_RESEND came with Linux 6.9.) So requests
 * are read straight into a memfd that svidd holds, and the next svid-core begins with those that are still in it.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/tree_fuse.h"

#define MAGIC 0x31455355464b4556ull

/* What is in the memfd; pages are there once they are used. */
struct kept_file {
	uint64_t magic;
	struct kept_slot init;
	struct kept_slot slots[KEPT_SLOTS];
};

struct kept {
	struct kept_file *file;
	uint32_t free[KEPT_SLOTS]; /* the lowest on top */
	size_t n_free;
};

static int map_file(int fd, struct kept_file **ret_file)
{
	struct kept_file *f;
	struct stat st;

	if (fstat(fd, &st) < 0 || (!st.st_size && ftruncate(fd, sizeof(*f)) < 0))
		return -errno;
	if (st.st_size && (size_t)st.st_size != sizeof(*f))
		return -ERR_FORMAT;
	f = mmap(NULL, sizeof(*f), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (f == MAP_FAILED)
		return -errno;
	if (!st.st_size)
		f->magic = MAGIC;
	if (f->magic != MAGIC) {
		munmap(f, sizeof(*f));
		return -ERR_FORMAT;
	}
	*ret_file = f;
	return 0;
}

int kept_open(int fd, struct kept **ret_kept)
{
	struct kept *k = mem_new(struct kept);
	int err;

	if (fd < 0)
		fd = memfd_create("svid-fuse", MFD_CLOEXEC);
	err = fd < 0 ? -errno : k ? map_file(fd, &k->file) : -ENOMEM;
	if (fd >= 0)
		close(fd);
	if (err) {
		mem_free(k);
		return err;
	}
	for (uint32_t i = KEPT_SLOTS; i--;)
		if (!k->file->slots[i].head.len)
			k->free[k->n_free++] = i;
	*ret_kept = k;
	return 0;
}

void kept_free(struct kept *k)
{
	if (!k)
		return;
	munmap(k->file, sizeof(*k->file));
	mem_free(k);
}

struct kept_slot *kept_init(struct kept *k)
{
	return &k->file->init;
}

struct kept_slot *kept_take(struct kept *k)
{
	return k->n_free ? &k->file->slots[k->free[--k->n_free]] : NULL;
}

void kept_done(struct kept *k, struct kept_slot *s)
{
	if (s == &k->file->init)
		return;
	s->head.len = 0;
	s->tries = 0;
	k->free[k->n_free++] = (uint32_t)(s - k->file->slots);
}

void kept_each(struct kept *k, void (*each)(void *arg, struct kept_slot *s), void *arg)
{
	for (size_t i = 0; i < KEPT_SLOTS; i++)
		if (k->file->slots[i].head.len)
			each(arg, &k->file->slots[i]);
}
