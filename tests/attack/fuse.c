// SPDX-License-Identifier: Apache-2.0
/*
 * A8, A18: a file system of an ordinary user that holds one executable, app, and answers readers differently. Runs in
 * svid-attack; started as root for the mount alone, which is what fusermount3 does for users that may use allow_other.
 * The protocol is spoken here: fourteen kinds of request are all that an exec and a reader make.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define REQUEST_MAX (1u << 20)
#define APP_NODE 2
#define LYING_FH 1 /* opened by the user that is lied to */

struct content {
	char *bytes;
	size_t len;
};

static struct served {
	int fd;
	int lied_to; /* uid */
	bool hang;
	struct content shown, lie;
} s;

static struct content load(const char *path)
{
	struct content c = {NULL, 0};
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die(path);
	c.bytes = malloc(st.st_size);
	c.len = st.st_size;
	if (!c.bytes || read(fd, c.bytes, c.len) != st.st_size)
		die(path);
	close(fd);
	return c;
}

static void reply(uint64_t unique, int err, const void *body, size_t len)
{
	struct fuse_out_header head = {.len = sizeof(head) + (err ? 0 : len), .error = err, .unique = unique};
	struct iovec parts[2] = {{&head, sizeof(head)}, {(void *)body, err ? 0 : len}};

	(void)!writev(s.fd, parts, 2); /* one that was interrupted is not waited for any more */
}

static struct fuse_attr attr_of(uint64_t node)
{
	struct fuse_attr a = {.ino = node, .nlink = 1, .blksize = 4096, .mtime = 1000000000, .ctime = 1000000000};

	a.mode = node == APP_NODE ? S_IFREG | 0755 : S_IFDIR | 0755;
	a.size = node == APP_NODE ? s.shown.len : 0;
	return a;
}

static void on_init(const struct fuse_in_header *in, const struct fuse_init_in *ask)
{
	struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION, .minor = ask->minor, .max_readahead = 65536,
				    .max_write = 65536};

	if (out.minor > 31)
		out.minor = 31;
	reply(in->unique, 0, &out, sizeof(out));
}

static void on_lookup(const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = {.nodeid = APP_NODE, .entry_valid = 3600, .attr_valid = 3600, .attr = attr_of(APP_NODE)};

	reply(in->unique, strcmp(name, "app") ? -ENOENT : 0, &out, sizeof(out));
}

static void on_getattr(const struct fuse_in_header *in)
{
	struct fuse_attr_out out = {.attr_valid = 3600, .attr = attr_of(in->nodeid)};

	reply(in->unique, 0, &out, sizeof(out));
}

/* Without the page cache, so that each of its reads is answered here and not with what the exec had read. */
static void on_open(const struct fuse_in_header *in)
{
	bool lie = in->uid == (uint32_t)s.lied_to;
	struct fuse_open_out out = {.fh = lie ? LYING_FH : 0, .open_flags = lie ? FOPEN_DIRECT_IO : FOPEN_KEEP_CACHE};

	if (lie)
		say("hasher: opened");
	reply(in->unique, 0, &out, sizeof(out));
}

static void on_read(const struct fuse_in_header *in, const struct fuse_read_in *ask)
{
	const struct content *c = ask->fh == LYING_FH ? &s.lie : &s.shown;
	size_t left = ask->offset < c->len ? c->len - ask->offset : 0;

	if (ask->fh == LYING_FH && s.hang)
		return;
	reply(in->unique, 0, c->bytes + ask->offset, ask->size < left ? ask->size : left);
}

static void on_statfs(const struct fuse_in_header *in)
{
	struct fuse_statfs_out out = {.st = {.bsize = 4096, .namelen = 255}};

	reply(in->unique, 0, &out, sizeof(out));
}

static void serve(const struct fuse_in_header *in)
{
	const void *body = in + 1;

	switch (in->opcode) {
	case FUSE_INIT:
		return on_init(in, body);
	case FUSE_LOOKUP:
		return on_lookup(in, body);
	case FUSE_GETATTR:
		return on_getattr(in);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		return on_open(in);
	case FUSE_READ:
		return on_read(in, body);
	case FUSE_STATFS:
		return on_statfs(in);
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FLUSH:
		return reply(in->unique, 0, NULL, 0);
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return;
	default:
		reply(in->unique, -ENOSYS, NULL, 0);
	}
}

static void mount_at(const char *folder, int uid)
{
	char words[128];

	s.fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (s.fd < 0)
		skip("no /dev/fuse");
	snprintf(words, sizeof(words), "fd=%d,rootmode=40000,user_id=%d,group_id=%d,allow_other", s.fd, uid, uid);
	if (mount("svid-attack", folder, "fuse", MS_NOSUID | MS_NODEV, words))
		skip("FUSE cannot be mounted here");
}

/* how= is the folder, evil= what runs, trusted= what the user count= is shown. */
static int fuse(const struct options *o)
{
	static char request[REQUEST_MAX] __attribute__((aligned(8)));
	ssize_t n;

	s.shown = load(o->evil);
	s.lie = load(o->trusted);
	s.lied_to = o->count;
	s.hang = is_variant(o, "hang");
	mount_at(o->how, o->uid);
	become(o->uid);
	say("mounted: yes");
	for (;;) {
		n = read(s.fd, request, sizeof(request));
		if (n < 0 && (errno == EINTR || errno == ENOENT || errno == EAGAIN))
			continue;
		if (n < (ssize_t)sizeof(struct fuse_in_header))
			return 0; /* it was unmounted */
		serve((const struct fuse_in_header *)request);
	}
}

const struct command fuse_commands[] = {
	{"fuse", "serve evil= at how=/app, and trusted= to the user count=; variant=hang: nothing to that user", fuse},
	{NULL, NULL, NULL},
};
