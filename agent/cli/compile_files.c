// SPDX-License-Identifier: Apache-2.0
/* compile_files.c - opens, judges and reads policy files. svid compile, svid policy check. Next: compile_doc.c. */
#include "agent/cli/compile_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

struct names {
	char **v;
	size_t n, cap;
};

static void names_autoclean(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		mem_free(names->v[i]);
	mem_free(names->v);
}

/* NULL, or why the file may not be believed: whoever may write it says who is who. */
static const char *owner_why(const struct stat *st)
{
	if (st->st_uid != 0)
		return "the file must be owned by root";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "the file must not be writable by group or others";
	return NULL;
}

static bool is_acceptable(struct compiler *c, size_t file, int fd, enum trust trust)
{
	const char *why;
	struct stat st;

	if (fstat(fd, &st) < 0) {
		compiler_refuse(c, file, err_text(-errno));
		return false;
	}
	if (!S_ISREG(st.st_mode)) {
		compiler_refuse(c, file, "not a regular file");
		return false;
	}
	if (st.st_size > LIM_POLICY_FILE) {
		compiler_refuse(c, file, "the file is larger than 1 MiB");
		return false;
	}
	why = owner_why(&st);
	if (why && trust == TRUST_STRICT) {
		compiler_refuse(c, file, why);
		return false;
	}
	if (why)
		compiler_error(c, file, (struct mark){ 0 }, NULL, NULL, true, why);
	return true;
}

static int read_all(int fd, struct buf *b)
{
	for (;;) {
		void *to = buf_reserve(b, 4096);
		ssize_t n;

		if (!to)
			return buf_ok(b);
		n = read(fd, to, 4096);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		buf_added(b, (size_t)n);
	}
}

void files_compile_fd(struct compiler *c, int fd, const char *name, enum agent_place agent, enum trust trust)
{
	AUTO(buf) struct buf bytes = BUF_INIT(LIM_POLICY_FILE + 4096);
	size_t file = compiler_file(c, name);
	int err;

	if (c->no_memory || !is_acceptable(c, file, fd, trust))
		return;
	err = read_all(fd, &bytes);
	if (err == -ENOMEM)
		c->no_memory = true;
	else if (err)
		compiler_refuse(c, file, err_text(err));
	else
		compiler_bytes(c, file, buf_slice(&bytes), agent);
}

static bool is_policy_name(const char *name)
{
	const char *dot = strrchr(name, '.');

	return name[0] != '.' && dot && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int add_name(struct names *names, const char *name)
{
	char **bigger;

	if (names->n >= LIM_POLICY_FILES)
		return -ERR_LIMIT;
	if (names->n == names->cap) {
		bigger = mem_realloc_array(names->v, names->cap ? names->cap * 2 : 32, sizeof(char *));
		if (!bigger)
			return -ENOMEM;
		names->v = bigger;
		names->cap = names->cap ? names->cap * 2 : 32;
	}
	names->v[names->n] = mem_strdup(name);
	return names->v[names->n++] ? 0 : -ENOMEM;
}

static int list_names(int dir, struct names *names)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int err = d ? 0 : -errno;

	if (!d && copy >= 0)
		close(copy);
	while (!err) {
		errno = 0;
		e = readdir(d);
		if (!e) {
			err = -errno;
			break;
		}
		if (is_policy_name(e->d_name))
			err = add_name(names, e->d_name);
	}
	if (d)
		closedir(d);
	if (!err && names->n)
		qsort(names->v, names->n, sizeof(char *), by_name);
	return err;
}

static void compile_name(struct compiler *c, int dir, const char *prefix, const char *name, enum trust trust)
{
	AUTO(buf) struct buf shown = BUF_INIT(2 * LIM_PATH);
	/* NONBLOCK: a FIFO that somebody put there must not hold us. */
	struct open_how how = {
		.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));
	int err = -errno;
	size_t file;

	buf_printf(&shown, "%s%s", prefix, name);
	if (fd >= 0) {
		files_compile_fd(c, fd, buf_cstr(&shown), AGENT_NO, trust);
		close(fd);
		return;
	}
	file = compiler_file(c, buf_cstr(&shown));
	if (c->no_memory)
		return;
	compiler_refuse(c, file, err == -EXDEV ? "the link leads out of the policy directory" : err_text(err));
}

int files_compile_dir(struct compiler *c, int dir, const char *prefix, enum trust trust)
{
	AUTO(names) struct names names = { 0 };
	int err = list_names(dir, &names);

	for (size_t i = 0; i < names.n && !err && !c->no_memory; i++)
		compile_name(c, dir, prefix, names.v[i], trust);
	return err;
}
