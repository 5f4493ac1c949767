// SPDX-License-Identifier: Apache-2.0
/* store.c - sd_listen_fds(3) and FDSTORE of sd_pid_notify_with_fds(3), without the library. svidd only. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/parent/notify.h"
#include "agent/parent/store.h"

#define FIRST_FD 3
#define MAX_STORED 8

static struct {
	struct slice name;
	int fd; /* -1: taken */
} stored[MAX_STORED];
static unsigned int n_stored;

static uint64_t number_in(const char *variable)
{
	uint64_t n = 0;

	return slice_u64_dec(slice_str(getenv(variable)), &n) ? 0 : n;
}

static struct slice next_name(struct slice *names)
{
	const uint8_t *colon = names->len ? memchr(names->p, ':', names->len) : NULL;
	struct slice name = slice_get_bytes(names, colon ? (size_t)(colon - names->p) : names->len);

	if (names->len)
		(void)slice_get_u8(names);
	return name;
}

void store_init(void)
{
	struct slice names = slice_str(getenv("LISTEN_FDNAMES"));
	uint64_t n = number_in("LISTEN_PID") == (uint64_t)getpid() ? number_in("LISTEN_FDS") : 0;

	for (; n_stored < n && n_stored < MAX_STORED; n_stored++) {
		int fd = FIRST_FD + (int)n_stored;

		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			break;
		stored[n_stored].name = next_name(&names);
		stored[n_stored].fd = fd;
	}
	syscall(SYS_close_range, FIRST_FD + n_stored, ~0u, 0);
}

/* Bound to that path, and that path still leads to it: else somebody would listen where nobody connects. */
static bool is_bound_to(int fd, const char *path)
{
	struct sockaddr_un sa;
	socklen_t len = sizeof(sa);
	struct stat st;

	memset(&sa, 0, sizeof(sa));
	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0 || sa.sun_family != AF_UNIX)
		return false;
	return slice_eq_str(slice_of(sa.sun_path, strnlen(sa.sun_path, sizeof(sa.sun_path))), path) &&
	       stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

bool store_take_file(const char *name, int *ret_fd)
{
	for (unsigned int i = 0; i < n_stored; i++) {
		if (stored[i].fd < 0 || !slice_eq_str(stored[i].name, name))
			continue;
		*ret_fd = stored[i].fd;
		stored[i].fd = -1;
		return true;
	}
	return false;
}

bool store_take(const char *name, const char *path, int *ret_fd)
{
	int fd;

	while (store_take_file(name, &fd)) {
		if (is_bound_to(fd, path)) {
			*ret_fd = fd;
			return true;
		}
		close(fd);
	}
	return false;
}

static void drop(const char *name)
{
	char text[64];

	(void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify(text);
}

void store_forget(const char *name)
{
	bool any = false;
	int fd;

	while (store_take_file(name, &fd)) {
		close(fd);
		any = true;
	}
	if (any)
		drop(name);
}

bool store_put(const char *name, int fd)
{
	char text[64];

	/* A second descriptor of that name would be a second listener after the next restart. */
	drop(name);
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	return notify_fd(text, fd);
}
