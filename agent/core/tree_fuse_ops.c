// SPDX-License-Identifier: Apache-2.0
/*
 * tree_fuse_ops.c - what FUSE asks about names and contents, and what becomes of it. svid-core. Next: tree_fuse_open.c.
 *
 *   open()   is decided like a connection, and what it may read is fetched then: errors come at open
 *   read()   must be by the process that opened, in the same exec (A13); when documents changed or the content was dropped
 *            meanwhile, it is decided anew
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/tree_fuse.h"

#define KEEP_NAMES_S 1.0 /* the kernel may remember what a name is: open() is asked about in any case */
#define LOOK_NS (50 * NS_PER_MS)
#define DIR_BYTES 16384

/* An open() or read() that is being decided. */
struct ask {
	struct list node;
	struct fuse_tree *f;
	struct kept_slot *slot;
	fuse_req_t req;
	struct fuse_file_info fi;
	uint64_t off;
	size_t size;
	struct tree_read r;
	struct loop_timer look; /* armed: a signal came; is it the last one? */
};

static void on_look(struct loop_timer *t);

static void ask_end(struct ask *a)
{
	list_del(&a->node);
	loop_timer_stop(&a->look);
	kept_done(a->f->kept, a->slot);
	mem_free(a);
}

static void refuse(fuse_req_t req, int err)
{
	(void)fuse_reply_err(req, err); /* whoever asked may be gone */
}

/* Names */

static struct stat stat_of(const struct fuse_tree *f, const struct tree_node *n)
{
	struct stat st = { .st_ino = n->id, .st_mode = n->source ? S_IFREG | 0444 : S_IFDIR | 0555,
			   .st_nlink = n->source ? 1 : 2 };

	st.st_mtim.tv_sec = st.st_atim.tv_sec = st.st_ctim.tv_sec = f->since;
	return st; /* of size 0: whoever believes in a size reads that much and no more */
}

/* After a start, what is not there may still come. The request stays where it is until then. */
static bool hold(struct fuse_tree *f, fuse_req_t req)
{
	if (!f->patient || tree_is_complete(f->tree) || f->n_held == ARRAY_SIZE(f->held))
		return false;
	f->held[f->n_held++] = f->now;
	f->now = NULL;
	fuse_reply_none(req);
	return true;
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_tree *f = fuse_req_userdata(req);
	const struct tree_node *dir = tree_find(f->tree, parent);
	const struct tree_node *n = dir ? tree_lookup(f->tree, dir, slice_str(name)) : NULL;
	struct fuse_entry_param e = { .generation = 1, .attr_timeout = KEEP_NAMES_S, .entry_timeout = KEEP_NAMES_S };

	if (!n && hold(f, req))
		return;
	if (!n) {
		refuse(req, ENOENT);
		return;
	}
	e.ino = n->id;
	e.attr = stat_of(f, n);
	(void)fuse_reply_entry(req, &e);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_tree *f = fuse_req_userdata(req);
	const struct tree_node *n = tree_find(f->tree, ino);
	struct stat st;

	(void)fi;
	if (!n && hold(f, req))
		return;
	if (!n) {
		refuse(req, ENOENT);
		return;
	}
	st = stat_of(f, n);
	(void)fuse_reply_attr(req, &st, KEEP_NAMES_S);
}

struct listing {
	fuse_req_t req;
	char *at;
	size_t left;
};

/* @next: where a listing goes on behind this name. False: no more room. */
static bool list_one(struct listing *l, const char *name, uint64_t id, bool dir, uint64_t next)
{
	struct stat st = { .st_ino = id, .st_mode = dir ? S_IFDIR : S_IFREG };
	size_t n = fuse_add_direntry(l->req, l->at, l->left, name, &st, (off_t)next);

	if (n > l->left)
		return false;
	l->at += n;
	l->left -= n;
	return true;
}

/* Offsets are the ids of nodes; the two dots have 1 and 2. */
static int list_dir(struct listing *l, const struct fuse_tree *f, const struct tree_node *dir, uint64_t off)
{
	const struct tree_node *last = off > 2 ? tree_find(f->tree, off) : NULL;
	const struct list *at = last ? last->in_dir.next : dir->children.next;

	if (off > 2 && (!last || last->parent != dir))
		return EAGAIN; /* the name that it ended with is gone: begin again */
	if (off < 1 && !list_one(l, ".", dir->id, true, 1))
		return 0;
	if (off < 2 && !list_one(l, "..", dir->parent ? dir->parent->id : TREE_ROOT, true, 2))
		return 0;
	for (; at != &dir->children; at = at->next) {
		const struct tree_node *n = list_entry(at, struct tree_node, in_dir);

		if (!list_one(l, n->name, n->id, !n->source, n->id))
			break;
	}
	return 0;
}

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fuse_tree *f = fuse_req_userdata(req);
	const struct tree_node *dir = tree_find(f->tree, ino);
	char bytes[DIR_BYTES];
	struct listing l = { req, bytes, size < sizeof(bytes) ? size : sizeof(bytes) };
	int err;

	(void)fi;
	if (hold(f, req))
		return;
	err = dir && !dir->source ? list_dir(&l, f, dir, (uint64_t)off) : ENOENT;
	if (err)
		refuse(req, err);
	else
		(void)fuse_reply_buf(req, bytes, (size_t)(l.at - bytes));
}

/* Content */

static void send_content(struct fuse_tree *f, fuse_req_t req, uint64_t unique, const struct opened *s, uint64_t off, size_t size)
{
	size_t left = off < s->len ? s->len - off : 0;
	int err = 0;

	if (left)
		err = opened_send(f->openeds, s, f->dev.fd, unique, off, size < left ? size : left);
	if (!left)
		(void)fuse_reply_buf(req, NULL, 0);
	else if (err && err != -ENOENT)
		refuse(req, EIO);
	else
		fuse_reply_none(req);
}

/* What tree_read() gives; everything else stays ours. */
static int reply_errno(int err)
{
	return err < 0 && err > -ERR_BASE ? -err : EIO;
}

static int opened_from(struct ask *a, int err, int fd, uint32_t len, uint64_t handle, struct opened **ret_opened)
{
	if (!err && handle && !handle_is_of(handle, &a->r)) {
		tree_stranger(a->f->tree, a->r.node, a->r.tid, a->r.uid);
		err = -EACCES;
	}
	if (!err)
		err = opened_add(a->f->openeds, &a->r, fd, len, handle, ret_opened);
	return err == -EMFILE || err == -ENFILE || err == -ENOMEM ? -EAGAIN : err;
}

static void on_opened(struct tree_read *r, int err, int fd, uint32_t len)
{
	struct ask *a = container_of(r, struct ask, r);
	struct opened *s;

	err = opened_from(a, err, fd, len, 0, &s);
	if (err) {
		refuse(a->req, reply_errno(err));
		ask_end(a);
		return;
	}
	a->fi.fh = s->handle;
	a->fi.direct_io = 1;
	a->fi.noflush = 1;
	if (fuse_reply_open(a->req, &a->fi))
		opened_close(a->f->openeds, s); /* nobody took it, so nobody will release it */
	ask_end(a);
}

/* Decided once more: documents changed, or the content was not kept that long. */
static void on_decided_again(struct tree_read *r, int err, int fd, uint32_t len)
{
	struct ask *a = container_of(r, struct ask, r);
	struct opened *s = opened_find(a->f->openeds, a->fi.fh);

	if (!err && a->off && s && s->identity == r->identity && handle_is_of(a->fi.fh, r))
		s->generation = r->generation; /* what it has begun to read stays one piece */
	else if (!err && a->off)
		err = -ESTALE;
	else
		err = opened_from(a, err, fd, len, a->fi.fh, &s);
	if (err)
		refuse(a->req, reply_errno(err));
	else
		send_content(a->f, a->req, a->slot->head.unique, s, a->off, a->size);
	ask_end(a);
}

static void ask_tree(struct fuse_tree *f, fuse_req_t req, const struct ask *what)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct ask *a = mem_new(struct ask);

	if (!a) {
		refuse(req, EAGAIN);
		return;
	}
	*a = *what;
	a->f = f;
	a->req = req;
	a->slot = f->now;
	a->look.cb = on_look;
	a->r.tid = ctx->pid;
	a->r.uid = ctx->uid;
	list_add_tail(&f->asks, &a->node);
	f->now = NULL;
	tree_read(f->tree, &a->r);
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct ask what = { .fi = *fi, .r = { .node = ino, .done = on_opened } };

	if ((fi->flags & O_ACCMODE) != O_RDONLY)
		refuse(req, EACCES);
	else
		ask_tree(fuse_req_userdata(req), req, &what);
}

static void refuse_stranger(struct fuse_tree *f, fuse_req_t req, fuse_ino_t ino)
{
	const struct fuse_ctx *who = fuse_req_ctx(req);

	tree_stranger(f->tree, ino, who->pid, who->uid);
	refuse(req, EACCES);
}

/* While there is a reason to serve nobody, what was decided before it waits as well. */
static bool is_current(const struct fuse_tree *f, const struct opened *s)
{
	const struct core *c = tree_core(f->tree);

	return s->generation == docs_generation(c->docs) && !hold_err(c);
}

static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off, struct fuse_file_info *fi)
{
	struct fuse_tree *f = fuse_req_userdata(req);
	struct opened *s = opened_find(f->openeds, fi->fh);
	struct ask what = { .fi = *fi, .off = (uint64_t)off, .size = size, .r = { .node = ino, .done = on_decided_again } };

	/* That there is no more is told to anybody: it is no secret, and every reader asks. */
	if ((uint64_t)off >= (s ? s->len : handle_len(fi->fh)))
		(void)fuse_reply_buf(req, NULL, 0);
	else if (s && !s->everybody && !tree_is_reader(f->tree, fuse_req_ctx(req)->pid, &s->key, s->exec_id))
		refuse_stranger(f, req, ino); /* A13 */
	else if (s && is_current(f, s))
		send_content(f, req, f->now->head.unique, s, (uint64_t)off, size);
	else
		ask_tree(f, req, &what);
}

static void on_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fuse_tree *f = fuse_req_userdata(req);

	(void)ino;
	opened_close(f->openeds, opened_find(f->openeds, fi->fh));
	refuse(req, 0);
}

/*
 * Only what needs no word from us later on; the same for every session on this mount. Not FUSE_ASYNC_DIO: a thread that does
 * not wait for its read can end, and another program's thread get its number, before we ask who reads.
 */
static void on_init(void *user, struct fuse_conn_info *conn)
{
	(void)user;
	conn->want = conn->capable & FUSE_CAP_PARALLEL_DIROPS;
	conn->max_write = 4096;
	conn->max_readahead = 0;
}

const struct fuse_lowlevel_ops fuse_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.readdir = on_readdir,
	.open = on_open,
	.read = on_read,
	.release = on_release,
};

/* Signals: a reader waits killable, not interruptible, as in sysfs. Go stops its threads by signals all the time. */

/* SIGKILL waits for this thread, or it is gone. */
static bool is_dying(pid_t tid)
{
	char path[64], text[4096], *at;
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n <= 0)
		return true;
	text[n] = '\0';
	for (at = text; (at = strstr(at, "Pnd:\t")); at += strlen("Pnd:\t"))
		if (strtoull(at + strlen("Pnd:\t"), NULL, 16) & 1ull << (SIGKILL - 1))
			return true;
	return false;
}

static void on_look(struct loop_timer *t)
{
	struct ask *a = container_of(t, struct ask, look);

	/* Without memory for a timer the read ends as it would have ended. */
	if (!is_dying(a->r.tid) && loop_timer_in(a->f->loop, t, LOOK_NS) <= 0)
		return;
	tree_read_cancel(&a->r);
	refuse(a->req, EINTR);
	ask_end(a);
}

void fuse_interrupt(struct fuse_tree *f, uint64_t unique)
{
	struct ask *a;

	list_for_each(a, &f->asks, node) {
		if (a->slot->head.unique != unique)
			continue;
		on_look(&a->look);
		return;
	}
	for (size_t i = 0; i < f->n_held; i++) {
		if (f->held[i]->head.unique != unique)
			continue;
		if (is_dying((pid_t)f->held[i]->head.pid)) {
			fuse_refuse_slot(f, f->held[i], EINTR);
			f->held[i] = f->held[--f->n_held];
		}
		return;
	}
}

void fuse_forget(struct fuse_tree *f)
{
	struct ask *a, *tmp;

	list_for_each_safe(a, tmp, &f->asks, node) {
		list_del(&a->node);
		loop_timer_stop(&a->look);
		fuse_reply_none(a->req);
		mem_free(a);
	}
}
