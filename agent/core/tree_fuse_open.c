// SPDX-License-Identifier: Apache-2.0
/*
 * tree_fuse_open.c - content between open() and the last read(), and its way to the reader. svid-core.
 *
 * A private key goes from its front's memfd through a pipe into the kernel: svid-core passes it on unread. What is held
 * here is bounded in number and in time; whoever reads later than that is decided about anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/tree_fuse.h"

#define BUCKETS 256
#define PIPE_BYTES (256u << 10) /* the longest read of FUSE is 128 KiB, and each page needs a place */
#define PIPE_LEAST (32u << 10)  /* fits into one of 16 places, as everybody gets it */

/* A handle: 24 bits who, 21 bits how long, 19 bits which. */
#define SERIAL_BITS 19
#define LEN_BITS 21

_Static_assert(LIM_TREE_FILE < 1u << LEN_BITS, "a length fits into a handle");
_Static_assert(OPENED_CONTENTS < 1u << (SERIAL_BITS - 1), "there is a serial number that nobody has");

struct openeds {
	struct loop *loop;
	struct loop_timer old;
	struct list all;
	struct list hash[BUCKETS];
	size_t n;
	uint32_t serial;
	int pipe[2];
	size_t most; /* bytes that surely fit into it */
};

/* Not a secret: the kernel keeps handles, and whoever reads is decided about besides. */
static uint64_t who(const struct svid_key *key, uint64_t exec_id)
{
	uint64_t h = key->start ^ (uint64_t)key->tgid << 32 ^ exec_id * 0x9e3779b97f4a7c15ull;

	h = (h ^ h >> 31) * 0xbf58476d1ce4e5b9ull;
	return (h ^ h >> 29) >> 40;
}

bool handle_is_of(uint64_t handle, const struct tree_read *r)
{
	return handle >> (SERIAL_BITS + LEN_BITS) == who(&r->key, r->exec_id);
}

uint32_t handle_len(uint64_t handle)
{
	return handle >> SERIAL_BITS & ((1u << LEN_BITS) - 1);
}

static struct list *bucket(const struct openeds *o, uint64_t handle)
{
	return (struct list *)(uintptr_t)&o->hash[handle % BUCKETS];
}

struct opened *opened_find(const struct openeds *o, uint64_t handle)
{
	struct opened *s;

	list_for_each(s, bucket(o, handle), in_hash)
		if (s->handle == handle)
			return s;
	return NULL;
}

static uint64_t new_handle(struct openeds *o, const struct tree_read *r, uint32_t len)
{
	uint64_t high = who(&r->key, r->exec_id) << LEN_BITS | len, handle;

	do {
		o->serial = (o->serial + 1) & ((1u << SERIAL_BITS) - 1);
		handle = high << SERIAL_BITS | o->serial;
	} while (!handle || opened_find(o, handle));
	return handle;
}

static void drop(struct openeds *o, struct opened *s)
{
	list_del(&s->in_all);
	list_del(&s->in_hash);
	o->n--;
	close(s->fd);
	mem_free(s);
}

static void on_old(struct loop_timer *t)
{
	struct openeds *o = container_of(t, struct openeds, old);
	uint64_t now = clock_boot_ns();
	struct opened *s, *tmp;

	list_for_each_safe(s, tmp, &o->all, in_all) {
		if (s->until > now)
			break;
		drop(o, s);
	}
	/* Without memory for it the bounds on their number are what is left. */
	if (o->n && loop_timer_in(o->loop, t, list_entry(o->all.next, struct opened, in_all)->until - now))
		return;
}

static int open_pipe(struct openeds *o)
{
	if (pipe2(o->pipe, O_CLOEXEC | O_NONBLOCK) < 0) {
		o->pipe[0] = o->pipe[1] = -1;
		return -errno;
	}
	o->most = fcntl(o->pipe[1], F_SETPIPE_SZ, PIPE_BYTES) < 0 ? PIPE_LEAST : PIPE_BYTES / 2;
	return 0;
}

static void close_pipe(struct openeds *o)
{
	for (int i = 0; i < 2; i++)
		if (o->pipe[i] >= 0)
			close(o->pipe[i]);
	o->pipe[0] = o->pipe[1] = -1;
}

int openeds_new(struct loop *loop, struct openeds **ret_openeds)
{
	struct openeds *o = mem_new(struct openeds);
	int err;

	if (!o)
		return -ENOMEM;
	o->loop = loop;
	o->old.cb = on_old;
	list_init(&o->all);
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&o->hash[i]);
	err = open_pipe(o);
	if (err)
		mem_free(o);
	else
		*ret_openeds = o;
	return err;
}

void openeds_free(struct openeds *o)
{
	struct opened *s, *tmp;

	if (!o)
		return;
	list_for_each_safe(s, tmp, &o->all, in_all)
		drop(o, s);
	loop_timer_stop(&o->old);
	close_pipe(o);
	mem_free(o);
}

/* Room for one more of @uid: the oldest goes, and its reader is decided about anew. */
static void make_room(struct openeds *o, uid_t uid)
{
	struct opened *s, *first = NULL;
	size_t n = 0;

	list_for_each(s, &o->all, in_all) {
		if (s->uid != uid)
			continue;
		n++;
		if (!first)
			first = s;
	}
	if (n >= OPENED_UID)
		drop(o, first);
	else if (o->n >= OPENED_CONTENTS)
		drop(o, list_entry(o->all.next, struct opened, in_all));
}

int opened_add(struct openeds *o, const struct tree_read *r, int fd, uint32_t len, uint64_t handle,
	       struct opened **ret_opened)
{
	/* As many users as one has in a namespace of his own, he is one. */
	uid_t whose = r->userns_owner ? r->userns_owner : r->uid;
	struct opened *s;

	if (handle && (s = opened_find(o, handle)))
		drop(o, s);
	make_room(o, whose);
	s = mem_new(struct opened);
	if (!s)
		return -ENOMEM;
	*s = (struct opened){ .node = r->node, .key = r->key, .exec_id = r->exec_id, .generation = r->generation,
			      .everybody = r->everybody, .identity = r->identity, .until = clock_boot_ns() + OPENED_NS,
			      .len = len, .uid = whose };
	s->handle = handle ? handle : new_handle(o, r, len);
	s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (s->fd < 0 || (!loop_timer_armed(&o->old) && loop_timer_in(o->loop, &o->old, OPENED_NS))) {
		int err = s->fd < 0 ? -errno : -ENOMEM;

		if (s->fd >= 0)
			close(s->fd);
		mem_free(s);
		return err;
	}
	list_add_tail(&o->all, &s->in_all);
	list_add_tail(bucket(o, s->handle), &s->in_hash);
	o->n++;
	*ret_opened = s;
	return 0;
}

void opened_close(struct openeds *o, struct opened *s)
{
	if (s)
		drop(o, s);
}

void opened_drop_node(struct openeds *o, const struct tree_node *n)
{
	struct opened *s, *tmp;

	list_for_each_safe(s, tmp, &o->all, in_all)
		if (s->node == n->id || (n->identity && s->identity == n->identity))
			drop(o, s);
}

/* Header and bytes into the pipe. */
static int fill_pipe(struct openeds *o, const struct opened *s, struct fuse_out_header *h, uint64_t off, size_t len)
{
	loff_t at = (loff_t)off;

	h->len = (uint32_t)(sizeof(*h) + len);
	if (write(o->pipe[1], h, sizeof(*h)) != sizeof(*h))
		return -EIO;
	while (len) {
		ssize_t n = splice(s->fd, &at, o->pipe[1], NULL, len, SPLICE_F_NONBLOCK);

		if (n <= 0)
			return -EIO;
		len -= (size_t)n;
	}
	return 0;
}

int opened_send(struct openeds *o, const struct opened *s, int dev, uint64_t unique, uint64_t off, size_t len)
{
	struct fuse_out_header h = { .unique = unique };
	ssize_t n;
	int err;

	if (o->pipe[0] < 0) {
		err = open_pipe(o);
		if (err)
			return err;
	}
	err = fill_pipe(o, s, &h, off, len < o->most ? len : o->most);
	if (!err) {
		n = splice(o->pipe[0], NULL, dev, NULL, h.len, SPLICE_F_NONBLOCK);
		err = n < 0 ? -errno : n == h.len ? 0 : -EIO;
	}
	if (err)
		close_pipe(o); /* with all that is in it */
	return err;
}
