// SPDX-License-Identifier: Apache-2.0
/*
 * svid-attack: attacks on our own test instance, one command each, and the honest callers they are compared with.
 * Started by attack_test.py, never by hand against anything else. The commands are in the families' files.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/attack/attack.h"

static const struct command *const families[] = {
	caller_commands,     fork_exec_commands, pid_recycle_commands, fd_pass_commands,
	stream_commands,     tracing_commands,	 namespace_commands,   spoof_exe_commands,
	ucred_commands,	     io_uring_commands,	 rights_flood_commands,
	borrowed_commands,   fuse_commands,	 rewrite_commands,
	flood_commands,	     supervise_commands, sharing_commands,
	tree_commands,	     helper_commands,
};

static const struct command *find(const char *name)
{
	const struct command *c;

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (c = families[i]; c->name; c++)
			if (strcmp(c->name, name) == 0)
				return c;
	return NULL;
}

static int usage(void)
{
	const struct command *c;

	puts("svid-attack COMMAND [socket=PATH] [trusted=PATH] [evil=PATH] [variant=V] [how=W] [fd=N] [ask=sds] ...");
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
		for (c = families[i]; c->name; c++)
			printf("  %-14s %s\n", c->name, c->help);
	return 2;
}

static void option(struct options *o, const char *key, size_t len, const char *value)
{
	const struct {
		const char *key;
		const char **text;
		int *number;
	} rows[] = {
		{"socket", &o->socket, NULL},	{"trusted", &o->trusted, NULL}, {"evil", &o->evil, NULL},
		{"variant", &o->variant, NULL}, {"how", &o->how, NULL},		{"fd", NULL, &o->fd},
		{"pid", NULL, &o->pid},		{"count", NULL, &o->count},	{"wait", NULL, &o->wait_ms},
		{"delay", NULL, &o->delay_ms},	{"uid", NULL, &o->uid},		{"who", &o->who, NULL},
		{"workers", NULL, &o->workers}, {"file", &o->file, NULL},
	};

	if (len == 3 && memcmp(key, "ask", len) == 0)
		client_ask_by(value);
	if (len == 4 && memcmp(key, "addr", len) == 0)
		o->addr = strtoul(value, NULL, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strlen(rows[i].key) != len || memcmp(rows[i].key, key, len) != 0)
			continue;
		if (rows[i].text)
			*rows[i].text = value;
		else
			*rows[i].number = strtol(value, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	struct options o = {.socket = "", .trusted = "", .evil = argv[0], .variant = "", .how = "", .file = "", .who = "caller",
			    .fd = -1, .wait_ms = 3000, .uid = 1000, .words = argv};
	const struct command *c = argc > 1 ? find(argv[1]) : NULL;
	const char *eq;

	if (!c)
		return usage();
	signal(SIGPIPE, SIG_IGN); /* a connection that was cut is an outcome */
	for (int i = 2; i < argc; i++) {
		eq = strchr(argv[i], '=');
		if (eq)
			option(&o, argv[i], eq - argv[i], eq + 1);
	}
	return c->run(&o);
}
