// SPDX-License-Identifier: Apache-2.0
/*
 * The honest callers, and those that are honest but odd (A7, A9): what a process can do to how it looks in /proc without
 * leaving itself. Runs in svid-attack.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/prctl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/attack/attack.h"

/* Tracers write here (tracing.c), preloaded libraries too: "was somebody else's code or data in this process?" */
char injected[16] = "no";

static int fetch(const struct options *o)
{
	struct answer a;

	if (is_variant(o, "nodump") && prctl(PR_SET_DUMPABLE, 0))
		die("PR_SET_DUMPABLE");
	answer_init(&a);
	client_ask(client_open(o->socket), &a, o->wait_ms);
	if (injected[0] != 'n')
		say("injected: %s", injected);
	answer_say(o->who, &a);
	return 0;
}

/* Stops where a tracer can act: before the connect, or with the stream open. */
static int victim(const struct options *o)
{
	struct answer a;
	int fd;

	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	say("buffer: %p", (void *)injected);
	answer_init(&a);
	if (is_variant(o, "stream")) {
		fd = client_open(o->socket);
		client_ask(fd, &a, o->wait_ms);
		answer_say("before", &a);
		sync_point("traced");
		a.messages = 0;
		a.spiffe_id[0] = 0;
		client_read(fd, &a, o->wait_ms, false);
	} else {
		sync_point("traced");
		client_ask(client_open(o->socket), &a, o->wait_ms);
	}
	say("injected: %s", injected);
	answer_say("caller", &a);
	return 0;
}

/* Exists and does nothing, until it is killed or its time is over. */
static int hold(const struct options *o)
{
	say("holding: %d", getpid());
	sleep_ms(o->delay_ms ? o->delay_ms : 5000);
	return 0;
}

/* The other half of many attacks: ask on a descriptor that somebody else connected. */
static int ask_fd(const struct options *o)
{
	struct answer a;

	sleep_ms(o->delay_ms);
	answer_init(&a);
	client_ask(o->fd, &a, o->wait_ms);
	answer_say("thief", &a);
	return 0;
}

static int read_fd(const struct options *o)
{
	struct answer a;

	answer_init(&a);
	client_read(o->fd, &a, o->wait_ms, true);
	answer_say("thief", &a);
	return 0;
}

/* The arguments the policy wants, moved over our own: what /proc/PID/cmdline shows from now on. */
static const char wanted[] = "serve\0--production";

static void argv_overwrite(const struct options *o)
{
	char *at = o->words[1];
	size_t room = 0;

	for (int i = 1; o->words[i]; i++)
		room += strlen(o->words[i]) + 1;
	if (room < sizeof(wanted)) {
		errno = ENOSPC;
		die("argv");
	}
	memset(at, 0, room);
	memcpy(at, wanted, sizeof(wanted));
}

/* Fields of /proc/self/stat, counted from 1 as in proc(5). */
static unsigned long stat_field(int number)
{
	static char text[2048];
	char *p;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	if (n <= 0)
		die("/proc/self/stat");
	text[n] = 0;
	p = strrchr(text, ')');
	for (int i = 2; p && i < number; i++)
		p = strchr(p + 1, ' ');
	return p ? strtoul(p + 1, NULL, 10) : 0;
}

void mm_map_now(struct prctl_mm_map *ret_map)
{
	memset(ret_map, 0, sizeof(*ret_map));
	ret_map->start_code = stat_field(26);
	ret_map->end_code = stat_field(27);
	ret_map->start_stack = stat_field(28);
	ret_map->start_data = stat_field(45);
	ret_map->end_data = stat_field(46);
	ret_map->start_brk = stat_field(47);
	ret_map->brk = (unsigned long)sbrk(0);
	ret_map->arg_start = stat_field(48);
	ret_map->arg_end = stat_field(49);
	ret_map->env_start = stat_field(50);
	ret_map->env_end = stat_field(51);
	ret_map->exe_fd = -1;
}

static void argv_move(const struct options *o)
{
	/* /proc/PID/cmdline reads anonymous memory only */
	char *forged = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct prctl_mm_map map;
	int n;

	if (forged == MAP_FAILED)
		die("mmap");
	n = snprintf(forged, 512, "%s", o->words[0]) + 1;
	memcpy(forged + n, wanted, sizeof(wanted));
	mm_map_now(&map);
	map.arg_start = (unsigned long)forged;
	map.arg_end = map.arg_start + n + sizeof(wanted);
	if (prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0))
		die("PR_SET_MM_MAP");
}

/* A9: the same executable, started with other arguments than it shows. */
static int argv_lie(const struct options *o)
{
	char path[256]; /* what the options point to is about to be overwritten */
	struct answer a;

	snprintf(path, sizeof(path), "%s", o->socket);
	if (is_variant(o, "move"))
		argv_move(o);
	else
		argv_overwrite(o);
	answer_init(&a);
	client_ask(client_open(path), &a, o->wait_ms);
	answer_say("thief", &a);
	return 0;
}

/* The honest form: started as the policy wants. Options come by environment, the arguments belong to the policy. */
static int serve(const struct options *o)
{
	const char *path = getenv("ATTACK_SOCKET");
	struct answer a;

	answer_init(&a);
	client_ask(client_open(path ? path : o->socket), &a, o->wait_ms);
	answer_say("caller", &a);
	return 0;
}

const struct command caller_commands[] = {
	{"fetch", "the honest caller; variant=nodump: not dumpable (A7)", fetch},
	{"serve", "the honest caller that takes no options (A9)", serve},
	{"victim", "connects after a tracer had its chance; variant=stream: before (A12)", victim},
	{"hold", "exists", hold},
	{"ask-fd", "asks on an inherited descriptor", ask_fd},
	{"read-fd", "only reads an inherited descriptor", read_fd},
	{"argv-lie", "rewrites its arguments, then asks; variant=move: PR_SET_MM (A9)", argv_lie},
	{NULL, NULL, NULL},
};
