// SPDX-License-Identifier: Apache-2.0
/*
 * A19: the content of an executable is changed so that its times do not show it. Runs in svid-attack as evil, from a file
 * of its own, how=; trusted= is the file whose digest the policy names, as long as ours.
 *
 * A running file cannot be written; a process whose exe link points elsewhere meanwhile (spoof_exe.c) can write its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static char *bytes_of(const char *path, size_t *ret_len)
{
	struct stat st;
	char *bytes;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		die(path);
	bytes = malloc(st.st_size);
	if (!bytes || read(fd, bytes, st.st_size) != st.st_size)
		die(path);
	close(fd);
	*ret_len = st.st_size;
	return bytes;
}

static void overwrite(const char *path, const char *bytes, size_t len, bool by_mapping)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	volatile char *map;

	if (fd < 0)
		die(path);
	if (!by_mapping) {
		if (pwrite(fd, bytes, len, 0) != (ssize_t)len)
			die(path);
	} else {
		map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (map == MAP_FAILED)
			die("mmap");
		/* Read first: where the file system wants no notice of writes, a page that was read can be written. */
		for (size_t i = 0; i < len; i += 4096)
			(void)map[i];
		memcpy((void *)map, bytes, len);
		munmap((void *)map, len);
	}
	close(fd);
}

static struct timespec changed(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		die(path);
	return st.st_ctim;
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* The beginning of a tick of the clock that stamps files. */
static void await_tick(void)
{
	struct timespec before, now;

	clock_gettime(CLOCK_REALTIME_COARSE, &before);
	do
		clock_gettime(CLOCK_REALTIME_COARSE, &now);
	while (same_time(before, now));
}

static const struct options *lender_options;
static volatile int lender_step; /* 1: the link is away, 2: bring it back, 3: it is back, -1: not possible here */

/* In a user namespace, in our memory. */
static int lender(void *arg)
{
	(void)arg;
	link_to(lender_options->trusted);
	lender_step = 1;
	while (lender_step != 2)
		sched_yield();
	link_to(lender_options->how);
	lender_step = 3;
	return 0;
}

static void await_step(int step, int wait_ms)
{
	int64_t end = now_us() + wait_ms * 1000LL;

	while (lender_step != step && now_us() < end)
		sched_yield();
	if (lender_step != step)
		skip("the exe link cannot be moved here");
}

/* From the file how=: it becomes the trusted one under our feet, and the link names it again. */
static int a19_rewrite(const struct options *o)
{
	static char stack[1 << 17] __attribute__((aligned(16)));
	size_t len;
	char *bytes = bytes_of(o->trusted, &len);
	struct timespec before = changed(o->how);
	struct answer a;

	lender_options = o;
	leave_file(o->how);
	if (clone(lender, stack + sizeof(stack), CLONE_VM | CLONE_NEWUSER | SIGCHLD, NULL) < 0)
		skip("user namespaces are refused here");
	await_step(1, o->wait_ms);
	overwrite(o->how, bytes, len, is_variant(o, "mapping"));
	lender_step = 2;
	await_step(3, o->wait_ms);
	say("stamp: %s", same_time(before, changed(o->how)) ? "kept" : "moved");
	answer_init(&a);
	client_ask(client_open(o->socket), &a, o->wait_ms);
	answer_say("thief", &a);
	return 0;
}

/* The same at once after the file was made, so that all of it may fall into one tick. */
static int a19_fresh(const struct options *o)
{
	size_t len;
	char *bytes = bytes_of(o->evil, &len);

	unlink(o->how);
	await_tick();
	overwrite(o->how, bytes, len, false);
	exec_as(o->how, "a19-rewrite", word_text("socket", o->socket), word_text("trusted", o->trusted),
		word_text("how", o->how), word("wait", o->wait_ms), NULL);
}

/* The trusted content is run, and hashed, from our file; then ours is, with the same times if they can be had. */
static int a19_cached(const struct options *o)
{
	size_t len, evil_len;
	char *bytes = bytes_of(o->trusted, &len), *evil = bytes_of(o->evil, &evil_len);

	for (int i = 0; i < (o->count ? o->count : 10); i++) {
		struct timespec before;

		unlink(o->how);
		sleep_ms(30);
		await_tick();
		overwrite(o->how, bytes, len, false);
		before = changed(o->how);
		sleep_ms(o->delay_ms);
		reap(spawn_as(o->how, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=first", NULL));
		overwrite(o->how, evil, evil_len, false);
		say("stamp: %s", same_time(before, changed(o->how)) ? "kept" : "moved");
		reap(spawn_as(o->how, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL));
	}
	say("over: yes");
	return 0;
}

const struct command rewrite_commands[] = {
	{"a19-rewrite", "from how=: rewrite it into trusted=, then ask; variant=mapping: through a mapping", a19_rewrite},
	{"a19-fresh", "make how= of evil= and do so at once", a19_fresh},
	{"a19-cached", "run trusted= from how=, rewrite it into evil=, run it again; delay= before the first run", a19_cached},
	{NULL, NULL, NULL},
};
