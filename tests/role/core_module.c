/* SPDX-License-Identifier: Apache-2.0 */
/* core_module.c - see core_module.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/core/tree_kmod.h"
#include "tests/role/core_module.h"

struct module module;

static ssize_t on_read(int fd, void *to, size_t size)
{
	(void)fd;
	return tree_queue_read(&module.queue, to, size);
}

static int on_answer(const struct svid_tree_answer *a)
{
	struct module_answer *to = &module.answers[a->id];

	assert_in_range(a->id, 1, module.last_id);
	assert_false(to->there);
	to->there = true;
	to->err = a->err;
	if (!a->err)
		assert_int_equal(pread(a->fd, to->text, sizeof(to->text) - 1, 0), a->len);
	return 0;
}

static int on_ioctl(int fd, unsigned long request, void *arg)
{
	(void)fd;
	switch (request) {
	case SVID_IOC_TREE_ADD:
		module.names++;
		return 0;
	case SVID_IOC_TREE_DEL:
		module.names--;
		return 0;
	case SVID_IOC_TREE_ANSWER:
		return on_answer(arg);
	default:
		return 0;
	}
}

static uint64_t node_of(const char *path)
{
	const struct tree_node *n = tree_root(inside.tree);
	char text[TREE_PATH_MAX], *rest = text, *name;

	snprintf(text, sizeof(text), "%s", path);
	while (n && (name = strsep(&rest, "/")))
		n = tree_lookup(inside.tree, n, slice_str(name));
	assert_non_null(n);
	return n->id;
}

/* As the kernel knows it: in nanoseconds, of which /proc tells clock ticks. 0: nobody has that number any more. */
static uint64_t start_of(pid_t pid)
{
	char path[32], text[1024], *p;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	text[read(fd, text, sizeof(text) - 1)] = 0;
	close(fd);
	p = strrchr(text, ')');
	for (int field = 2; field < 22; field++)
		p = strchr(p + 1, ' ');
	return strtoull(p + 1, NULL, 10) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK)) + 1234567;
}

uint64_t module_ask_as(pid_t pid, pid_t process, uid_t uid, const char *path)
{
	uint64_t id = ++module.last_id;

	assert_true(id < TREE_QUEUE_MAX);
	tree_queue_add(&module.queue, &(struct svid_tree_request){
		.size = sizeof(struct svid_tree_request), .tid = (uint32_t)pid, .tgid = (uint32_t)pid, .id = id,
		.cookie = node_of(path), .uid = uid, .key = { .start = start_of(process), .tgid = (uint32_t)process } });
	return id;
}

uint64_t module_ask(pid_t pid, uid_t uid, const char *path)
{
	return module_ask_as(pid, pid, uid, path);
}

void module_start(void)
{
	static const struct tree_kmod_calls calls = { on_read, on_ioctl };

	tree_queue_open(&module.queue);
	assert_int_equal(tree_kmod_start_with(inside.tree, module.queue.fd, &calls), 0);
}

pid_t module_reader(unsigned int uid)
{
	int ready[2];
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)!write(ready[1], "x", 1);
		close_range(3, ~0u, 0);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}
