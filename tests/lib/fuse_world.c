// SPDX-License-Identifier: Apache-2.0
/* fuse_world.c - see fuse_world.h: what tree.c and tree_read.c would say, in a few lines. Tests only. */
#include "tests/lib/fuse_world.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/mem.h"
#include "agent/base/sealed.h"
#include "agent/core/core.h"
#include "agent/core/tree_fuse.h"

enum { SELF = 1000, SVID, SMALL, LARGE, DENIED, SLOW, MANY, FIRST_OF_MANY = 2000 };

struct tree {
	struct core core;
	const struct tree_backend *backend;
	void *owner;
	struct tree_node *nodes[WORLD_MANY + 16];
	size_t n;
	struct list slow;
	struct world_shared *shared;
	struct loop_watch said;
};

static struct tree_node *make(struct tree *t, uint64_t id, struct tree_node *parent, const char *name, bool file)
{
	static const struct tree_source source = { .name = "test" };
	struct tree_node *n = mem_calloc(1, sizeof(*n) + strlen(name) + 1);

	assert_non_null(n);
	memcpy(n->name, name, strlen(name));
	n->id = id;
	n->parent = parent;
	n->source = file ? &source : NULL;
	list_init(&n->children);
	list_init(&n->in_dir);
	if (parent)
		list_add_tail(&parent->children, &n->in_dir);
	t->nodes[t->n++] = n;
	return n;
}

static void make_names(struct tree *t)
{
	struct tree_node *root = make(t, TREE_ROOT, NULL, "", false), *self = make(t, SELF, root, "self", false);
	struct tree_node *svid = make(t, SVID, self, "svid", false), *many = make(t, MANY, root, "many", false);

	make(t, SMALL, svid, "small", true);
	make(t, LARGE, svid, "large", true);
	make(t, DENIED, svid, "denied", true);
	make(t, SLOW, svid, "slow", true);
	for (uint64_t i = 0; i < WORLD_MANY; i++) {
		char name[32];

		snprintf(name, sizeof(name), "d%d", (int)i);
		make(t, FIRST_OF_MANY + i, many, name, false);
	}
}

/* tree.h, as the backend calls it */

struct core *tree_core(const struct tree *t)
{
	return (struct core *)(uintptr_t)&t->core;
}

uint64_t docs_generation(const struct docs *d)
{
	return ((const struct world_shared *)(const void *)d)->generation;
}

int hold_err(const struct core *c)
{
	return ((const struct world_shared *)(const void *)c->docs)->hold;
}

void tree_set_backend(struct tree *t, const struct tree_backend *b, void *owner)
{
	t->backend = b;
	t->owner = owner;
}

bool tree_is_complete(const struct tree *t)
{
	return t->shared->complete;
}

const struct tree_node *tree_find(const struct tree *t, uint64_t id)
{
	for (size_t i = 0; i < t->n && (t->shared->complete || !i); i++)
		if (t->nodes[i]->id == id)
			return t->nodes[i];
	return NULL;
}

const struct tree_node *tree_lookup(const struct tree *t, const struct tree_node *dir, struct slice name)
{
	const struct tree_node *n;

	list_for_each(n, &dir->children, in_dir)
		if (t->shared->complete && slice_eq_str(name, n->name))
			return n;
	return NULL;
}

static uint64_t number_in(const char *path, const char *field)
{
	char text[4096], *at;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, field);
	return at ? strtoull(at + strlen(field), NULL, 10) : 0;
}

/* A process, and its exec told apart by its file. */
static void identify(pid_t tid, struct svid_key *key, uint64_t *exec_id)
{
	char path[64];
	struct stat st = { 0 };

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	*key = (struct svid_key){ .tgid = (uint32_t)number_in(path, "Tgid:\t"), .start = 1 };
	snprintf(path, sizeof(path), "/proc/%d/exe", tid);
	(void)stat(path, &st);
	*exec_id = st.st_ino;
}

bool tree_is_reader(struct tree *t, pid_t tid, const struct svid_key *key, uint64_t exec_id)
{
	struct svid_key now;
	uint64_t exec;

	(void)t;
	identify(tid, &now, &exec);
	return now.tgid == key->tgid && exec == exec_id;
}

static void give(struct tree *t, struct tree_read *r)
{
	static char large[WORLD_LARGE];
	struct slice s = slice_str(WORLD_SMALL);
	int fd;

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)('a' + (i + i / 4096 + t->shared->generation) % 26);
	if (r->node == LARGE)
		s = slice_of(large, sizeof(large));
	assert_int_equal(sealed_fd(s, &fd), 0);
	r->generation = t->shared->generation;
	r->done(r, 0, fd, (uint32_t)s.len);
	close(fd);
}

void tree_read(struct tree *t, struct tree_read *r)
{
	t->shared->reads++;
	if (t->shared->crash)
		_exit(9);
	r->tree = t;
	list_init(&r->in_all);
	identify(r->tid, &r->key, &r->exec_id);
	r->userns_owner = t->shared->userns_owner;
	if (!tree_find(t, r->node)) {
		r->done(r, -ENOENT, -1, 0);
	} else if (r->node == DENIED || r->tid <= 0) {
		r->done(r, -EACCES, -1, 0);
	} else if (r->node == SLOW) {
		list_add_tail(&t->slow, &r->in_all);
		t->shared->waiting++;
	} else {
		give(t, r);
	}
}

void tree_stranger(struct tree *t, uint64_t node, pid_t tid, uid_t uid)
{
	(void)uid;
	t->shared->strangers += node && tid > 0;
}

void tree_read_cancel(struct tree_read *r)
{
	r->tree->shared->cancelled++;
	r->tree->shared->waiting--;
	list_del(&r->in_all);
}

static void drop_small(struct tree *t)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->nodes[i]->id == SMALL) {
			struct tree_node *n = t->nodes[i];

			t->nodes[i] = t->nodes[--t->n];
			list_del(&n->in_dir);
			t->backend->del(t->owner, n);
			mem_free(n);
			return;
		}
}

static void on_said(struct loop_watch *w, uint32_t events)
{
	struct tree *t = container_of(w, struct tree, said);
	struct tree_node gone = { .id = 1, .identity = 0 };
	struct tree_read *r, *tmp;
	char c;

	(void)events;
	if (read(w->fd, &c, 1) != 1)
		_exit(0);
	if (c == 'y')
		list_for_each_safe(r, tmp, &t->slow, in_all) {
			list_del(&r->in_all);
			t->shared->waiting--;
			give(t, r);
		}
	if (c == 'c') {
		t->shared->complete = true;
		t->backend->complete(t->owner);
	}
	if (c == 'd')
		drop_small(t);
	if (c == 'o')
		for (gone.id = SELF; gone.id < MANY; gone.id++)
			t->backend->del(t->owner, &gone);
	if (write(w->fd, &c, 1) != 1)
		_exit(1);
}

/* In a process of its own */
static void run(struct fuse_world *w, int said)
{
	static struct tree t;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGSEGV, SIG_DFL); /* cmocka would go on with its tests here */
	t.shared = w->shared;
	t.core.docs = (struct docs *)(void *)w->shared;
	list_init(&t.slow);
	make_names(&t);
	t.said = (struct loop_watch){ .fd = said, .cb = on_said };
	if (loop_new(&t.core.loop) || loop_add(t.core.loop, &t.said, EPOLLIN) ||
	    tree_fuse_start(&t, fcntl(w->dev, F_DUPFD_CLOEXEC, 10), fcntl(w->state, F_DUPFD_CLOEXEC, 10)))
		_exit(2);
	_exit(loop_run(t.core.loop) ? 3 : 0);
}

void world_launch(struct fuse_world *w, bool complete)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	w->shared->complete = complete;
	w->shared->waiting = w->shared->reads = w->shared->cancelled = 0;
	w->say = fds[0];
	w->core = fork();
	assert_true(w->core >= 0);
	if (!w->core)
		run(w, fds[1]);
	close(fds[1]);
}

pid_t world_fork(struct fuse_world *w)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(w->dev);
	close(w->state);
	close(w->say);
	return 0;
}

void world_start(struct fuse_world *w, bool complete)
{
	world_launch(w, complete);
	world_say(w, '.');
}

void world_kill(struct fuse_world *w)
{
	kill(w->core, SIGKILL);
	waitpid(w->core, NULL, 0);
	close(w->say);
	w->core = 0;
}

void world_say(struct fuse_world *w, char what)
{
	struct timeval wait = { .tv_sec = 20 };
	char c = 0;

	assert_int_equal(setsockopt(w->say, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)), 0);
	assert_int_equal(write(w->say, &what, 1), 1);
	assert_int_equal(read(w->say, &c, 1), 1);
	assert_int_equal(c, what);
}

const char *world_path(const struct fuse_world *w, const char *path)
{
	static char out[4][128];
	static unsigned int at;

	at = (at + 1) % 4;
	snprintf(out[at], sizeof(out[at]), "%s/%s", w->dir, path);
	return out[at];
}

void world_until(const unsigned int *n, unsigned int want)
{
	for (int i = 0; i < 4000 && *(const volatile unsigned int *)n < want; i++)
		usleep(5000);
	assert_true(*(const volatile unsigned int *)n >= want);
}

int world_set_up(void **state)
{
	static struct fuse_world w;
	static bool apart; /* mounts of ours: they end with us, however that may be */
	char options[128];

	if (!apart)
		assert_false(unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	apart = true;
	w = (struct fuse_world){ .dir = "/tmp/svid-fuse-XXXXXX" };
	assert_non_null(mkdtemp(w.dir));
	w.dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	w.state = memfd_create("state", MFD_CLOEXEC);
	assert_true(w.dev >= 0 && w.state >= 0);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", w.dev);
	assert_int_equal(mount("svid-test", w.dir, "fuse", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, options), 0);
	w.shared = mmap(NULL, sizeof(*w.shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(w.shared != MAP_FAILED);
	world_start(&w, true);
	*state = &w;
	return 0;
}

int world_tear_down(void **state)
{
	struct fuse_world *w = *state;

	if (w->core)
		world_kill(w);
	umount2(w->dir, MNT_DETACH);
	close(w->dev); /* the connection ends with it, and whoever waits */
	close(w->state);
	rmdir(w->dir);
	munmap(w->shared, sizeof(*w->shared));
	return 0;
}
