// SPDX-License-Identifier: Apache-2.0
/*
 * A10: the evil program at the trusted path, in a view of the file system that the attacker made. Needs no privilege
 * where users may make user namespaces. Runs in svid-attack as evil.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

#include "tests/attack/attack.h"

static int a10_bind(const struct options *o)
{
	enter_user_ns(CLONE_NEWNS);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("make private");
	if (mount(o->evil, o->trusted, NULL, MS_BIND, NULL))
		die("bind mount");
	exec_as(o->trusted, "fetch", word_text("socket", o->socket), word("wait", o->wait_ms), "who=thief", NULL);
}

/* The working directory stays outside the jail: that is how the socket is reached. how= is the jail. */
static int a10_chroot(const struct options *o)
{
	char dir[256];
	int n = snprintf(dir, sizeof(dir), "%s", o->socket);

	while (n > 1 && dir[n - 1] != '/')
		n--;
	dir[n - 1] = 0;
	enter_user_ns(0);
	if (chdir(dir) || chroot(o->how))
		die("chroot");
	exec_as(o->trusted, "fetch", word_text("socket", o->socket + n), word("wait", o->wait_ms), "who=thief", NULL);
}

const struct command namespace_commands[] = {
	{"a10-bind", "evil is mounted over trusted in its own mount namespace", a10_bind},
	{"a10-chroot", "evil is at the trusted path below how=JAIL", a10_chroot},
	{NULL, NULL, NULL},
};
