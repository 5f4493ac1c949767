// SPDX-License-Identifier: Apache-2.0
/* cgroup.c - cgroup ids to paths without any capability: hint, check, search, remember. svid-core. */
#include "agent/core/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/list.h"
#include "agent/base/mem.h"

#define BUCKETS 1024

struct group {
	struct list node;
	uint64_t id;
	size_t len;
	char path[];
};

struct cgroups {
	int root; /* O_PATH of the hierarchy */
	uint64_t root_id;
	struct list buckets[BUCKETS];
	size_t n;
	uint64_t window; /* second in which searches are counted */
	unsigned int searches;
	size_t seen; /* directories in this search */
};

static int open_root(const char *mount)
{
	static const char *const usual[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	int err = -ENOENT;

	for (size_t i = 0; i < (mount ? 1 : ARRAY_SIZE(usual)); i++) {
		int fd = open(mount ? mount : usual[i], O_PATH | O_DIRECTORY | O_CLOEXEC);
		struct statfs fs;

		if (fd < 0)
			continue;
		if (mount || (fstatfs(fd, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC))
			return fd;
		close(fd);
	}
	return err;
}

int cgroups_new(const char *mount, struct cgroups **ret_groups)
{
	struct cgroups *g;
	struct stat st;
	int fd = open_root(mount);

	if (fd < 0)
		return fd;
	g = fstat(fd, &st) < 0 ? NULL : mem_new(struct cgroups);
	if (!g) {
		close(fd);
		return -ENOMEM;
	}
	g->root = fd;
	g->root_id = st.st_ino;
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&g->buckets[i]);
	*ret_groups = g;
	return 0;
}

static void forget_all(struct cgroups *g)
{
	struct group *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &g->buckets[i], node) {
			list_del(&e->node);
			mem_free(e);
		}
	g->n = 0;
}

void cgroups_free(struct cgroups *g)
{
	if (!g)
		return;
	forget_all(g);
	close(g->root);
	mem_free(g);
}

static struct group *find(struct cgroups *g, uint64_t id)
{
	struct group *e;

	list_for_each(e, &g->buckets[id % BUCKETS], node)
		if (e->id == id)
			return e;
	return NULL;
}

static struct group *remember(struct cgroups *g, uint64_t id, struct slice path)
{
	struct group *e = find(g, id);

	if (e)
		return e;
	if (g->n >= LIM_CGROUPS)
		forget_all(g);
	e = mem_calloc(1, sizeof(*e) + path.len + 1);
	if (!e)
		return NULL;
	e->id = id;
	e->len = path.len;
	memcpy(e->path, path.p, path.len);
	list_add_tail(&g->buckets[id % BUCKETS], &e->node);
	g->n++;
	return e;
}

/* The "0::" line, the last one. */
struct slice cgroup_hint(pid_t pid, char *text, size_t size)
{
	char name[32], *line;
	ssize_t n;
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/cgroup", pid);
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return slice_of(NULL, 0);
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0 || text[n - 1] != '\n')
		return slice_of(NULL, 0);
	text[n - 1] = 0;
	line = strstr(text, "0::/");
	if (!line || (line != text && line[-1] != '\n'))
		return slice_of(NULL, 0);
	return slice_str(line + 3);
}

/* A hint is worth something when the directory that it names has the recorded inode number. */
static struct group *try_hint(struct cgroups *g, pid_t pid, uint64_t id)
{
	char text[LIM_PATH + 256];
	struct slice hint = cgroup_hint(pid, text, sizeof(text));
	const char *relative = (const char *)hint.p;
	struct stat st;

	if (hint.len < 2 || strlen(relative) != hint.len || strstr(relative, "/../"))
		return NULL;
	if (fstatat(g->root, relative + 1, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != id)
		return NULL;
	return remember(g, id, hint);
}

/* Each level holds a descriptor: what is deeper is found by its hint or not at all. */
static int search_below(struct cgroups *g, int dir, struct buf *path, unsigned int depth)
{
	size_t base = path->len;
	struct dirent *d;
	DIR *dp = fdopendir(dir);

	if (!dp) {
		close(dir);
		return -errno;
	}
	while ((d = readdir(dp)) && g->seen < LIM_CGROUPS) {
		int fd;

		if (d->d_type != DT_DIR || d->d_name[0] == '.')
			continue;
		g->seen++;
		buf_put_u8(path, '/');
		buf_put_str(path, d->d_name);
		if (!buf_ok(path) && remember(g, d->d_ino, buf_slice(path))) {
			fd = openat(dirfd(dp), d->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
			if (fd >= 0 && depth < LIM_CGROUP_DEPTH)
				(void)search_below(g, fd, path, depth + 1);
			else if (fd >= 0)
				close(fd);
		}
		if (path->err)
			break;
		path->len = base;
	}
	closedir(dp);
	return 0;
}

static int search(struct cgroups *g)
{
	AUTO(buf) struct buf path = BUF_INIT(LIM_PATH);
	uint64_t now = clock_boot_ns() / NS_PER_S;
	int fd;

	if (g->window != now) {
		g->window = now;
		g->searches = 0;
	}
	if (g->searches++ >= LIM_CGROUP_SEARCHES)
		return -EBUSY;
	g->seen = 0;
	fd = openat(g->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return search_below(g, fd, &path, 0);
}

int cgroups_path(struct cgroups *g, pid_t pid, uint64_t id, struct slice *ret_path)
{
	struct group *e = find(g, id);
	int err = 0;

	if (id == g->root_id) {
		*ret_path = slice_str("/");
		return 0;
	}
	if (!e && pid > 0)
		e = try_hint(g, pid, id);
	if (!e) {
		err = search(g);
		e = find(g, id);
	}
	if (!e)
		return err ? err : -ENOENT;
	*ret_path = slice_of(e->path, e->len);
	return 0;
}

static bool ends_with(struct slice s, const char *suffix)
{
	size_t n = strlen(suffix);

	return s.len > n && memcmp(s.p + s.len - n, suffix, n) == 0;
}

static bool is_unit(struct slice s)
{
	static const char *const suffixes[] = { ".service", ".scope", ".socket", ".mount", ".swap" };

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
		if (ends_with(s, suffixes[i]))
			return true;
	return false;
}

struct slice cgroup_unit(struct slice path)
{
	while (path.len) {
		const uint8_t *end;
		struct slice part;

		if (*path.p == '/') {
			(void)slice_get_bytes(&path, 1);
			continue;
		}
		end = memchr(path.p, '/', path.len);
		part = slice_get_bytes(&path, end ? (size_t)(end - path.p) : path.len);
		if (ends_with(part, ".slice"))
			continue;
		/* systemd puts "_" before a name that would look like one of the kernel's own files */
		if (*part.p == '_')
			(void)slice_get_bytes(&part, 1);
		return is_unit(part) ? part : slice_of(NULL, 0);
	}
	return slice_of(NULL, 0);
}
