// SPDX-License-Identifier: Apache-2.0
/*
 * tree_kmod.c - the credential tree in sysfs: names and answers for the kernel module, requests from it. The contract is
 * kmod/uapi/svid_dev.h. svid-core.
 *
 * svidd keeps the file, so a restart of svid-core is no end of the tree: BEGIN, all names again, SWEEP; what the one before
 * did not answer is asked again.
 */
#include "agent/core/tree_kmod.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "kmod/uapi/svid_dev.h"

#define BATCH 32 /* requests of one turn */

struct kmod {
	struct tree *tree;
	const struct tree_kmod_calls *calls;
	struct loop_watch watch;
	struct list reads;
};

/* Somebody in the kernel who waits. */
struct kmod_read {
	struct tree_read read;
	struct list node;
	struct kmod *kmod;
	uint64_t id;
};

_Static_assert(TREE_PATH_MAX <= SVID_TREE_PATH_MAX && TREE_NAME_MAX == SVID_TREE_NAME_MAX, "names fit");

static int call(const struct kmod *k, unsigned long request, void *arg)
{
	return k->calls->ioctl(k->watch.fd, request, arg) < 0 ? -errno : 0;
}

/* ---- names ---- */

static int call_path(struct kmod *k, unsigned long request, const struct tree_node *n)
{
	struct svid_tree_path p = { .size = sizeof(p), .cookie = n->id };

	p.path_len = (uint32_t)tree_path(n, p.path);
	return call(k, request, &p);
}

static int add(void *owner, const struct tree_node *n)
{
	return call_path(owner, SVID_IOC_TREE_ADD, n);
}

static void del(void *owner, const struct tree_node *n)
{
	int err = call_path(owner, SVID_IOC_TREE_DEL, n);

	/* Nothing is given through it in any case: whoever reads it is told that there is no such file. */
	if (err && err != -ENOENT)
		log_warn(EV_TREE, KV("what", V_S("a name stays in sysfs")), KV("err", V_S(err_name(err))));
}

static void complete(void *owner)
{
	int err = call(owner, SVID_IOC_TREE_SWEEP, NULL);

	if (err)
		log_warn(EV_TREE, KV("what", V_S("old names stay in sysfs")), KV("err", V_S(err_name(err))));
}

static void end(void *owner)
{
	struct kmod *k = owner;
	struct kmod_read *kr, *tmp;

	list_for_each_safe(kr, tmp, &k->reads, node)
		mem_free(kr);
	loop_del(&k->watch);
	mem_free(k);
}

static const struct tree_backend backend = { .name = "sysfs", .add = add, .del = del, .complete = complete, .end = end };

/* ---- reads ---- */

static int answer(const struct kmod *k, uint64_t id, int err, int fd, uint32_t len)
{
	struct svid_tree_answer a = { .size = sizeof(a), .err = (uint32_t)-err, .id = id, .fd = err ? -1 : fd,
				      .len = err ? 0 : len };

	return call(k, SVID_IOC_TREE_ANSWER, &a);
}

/*
 * "Not now" is not EAGAIN: that is for files that do not block, and Python's read() makes None of it, which its SDKs decode.
 * -ENOENT: it was killed, or its file removed, while we were at it.
 */
static void put_answer(const struct kmod *k, uint64_t id, int err, int fd, uint32_t len)
{
	int failed = answer(k, id, err == -EAGAIN ? -ETIMEDOUT : err, fd, len);

	if (!failed || failed == -ENOENT)
		return;
	log_warn(EV_TREE, KV("what", V_S("answer refused")), KV("err", V_S(err_name(failed))));
	if (!err && answer(k, id, -EIO, -1, 0))
		log_debug(EV_TREE, KV("what", V_S("answer refused again")));
}

static void on_done(struct tree_read *r, int err, int fd, uint32_t len)
{
	struct kmod_read *kr = container_of(r, struct kmod_read, read);

	put_answer(kr->kmod, kr->id, err, fd, len);
	list_del(&kr->node);
	mem_free(kr);
}

static void take_request(struct kmod *k, const struct svid_tree_request *q)
{
	struct kmod_read *kr = mem_new(struct kmod_read);

	if (!kr) {
		put_answer(k, q->id, -EAGAIN, -1, 0);
		return;
	}
	list_init(&kr->node);
	list_add_tail(&k->reads, &kr->node);
	kr->kmod = k;
	kr->id = q->id;
	kr->read.node = q->cookie;
	kr->read.tid = (pid_t)q->tid;
	kr->read.tgid = (pid_t)q->tgid;
	kr->read.uid = q->uid;
	kr->read.key = q->key;
	kr->read.done = on_done;
	tree_read(k->tree, &kr->read);
}

static void on_readable(struct loop_watch *w, uint32_t events)
{
	struct kmod *k = container_of(w, struct kmod, watch);
	struct svid_tree_request q[BATCH];
	ssize_t n = k->calls->read(w->fd, q, sizeof(q));

	for (ssize_t i = 0; i < n / (ssize_t)sizeof(q[0]); i++)
		take_request(k, &q[i]);
	if (n >= 0 ? n % (ssize_t)sizeof(q[0]) == 0 && n : errno == EAGAIN || errno == EINTR)
		return;
	/* Not a module that we know: without us its readers get an error in their own time. */
	log_error(EV_TREE, KV("what", V_S("requests of the kernel cannot be read")), KV("events", V_U(events)));
	tree_core(k->tree)->tree_err = -EIO;
	loop_del(w);
}

/* ---- start ---- */

static ssize_t real_read(int fd, void *to, size_t size)
{
	return read(fd, to, size);
}

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg);
}

int tree_kmod_start_with(struct tree *t, int fd, const struct tree_kmod_calls *calls)
{
	struct kmod *k = mem_new(struct kmod);
	int err;

	if (!k)
		return -ENOMEM;
	*k = (struct kmod){ .tree = t, .calls = calls, .watch = { .fd = fd, .cb = on_readable } };
	list_init(&k->reads);
	err = fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0 ? -errno : call(k, SVID_IOC_TREE_BEGIN, NULL);
	if (!err)
		err = loop_add(tree_core(t)->loop, &k->watch, EPOLLIN);
	if (err) {
		mem_free(k);
		return err;
	}
	tree_set_backend(t, &backend, k);
	return 0;
}

int tree_kmod_start(struct tree *t, int fd)
{
	static const struct tree_kmod_calls calls = { real_read, real_ioctl };

	return tree_kmod_start_with(t, fd, &calls);
}
