/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - where the agent listens: address forms and connect(2). svid. */
#include "agent/cli/endpoint.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PATH_BYTES sizeof(((struct sockaddr_un *)0)->sun_path)

int endpoint_path(const char *address, const char **ret_path)
{
	const char *path = address;

	if (strncmp(path, "unix:", 5) == 0) {
		path += 5;
		/* "unix:///run/x": an empty authority; "unix://host/x" has one, which the standard forbids. */
		if (strncmp(path, "//", 2) == 0)
			path += 2;
		if (*path != '/' || strpbrk(path, "?#"))
			return -ERR_FORMAT;
	} else if (!*path || strstr(path, "://") || strncmp(path, "tcp:", 4) == 0) {
		return -ERR_FORMAT;
	}
	if (strlen(path) >= PATH_BYTES)
		return -ERR_SIZE;
	*ret_path = path;
	return 0;
}

int endpoint_connect(const char *path, int packets, int *ret_fd)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int type = packets ? SOCK_SEQPACKET : SOCK_STREAM;
	size_t len = strlen(path);
	int fd;

	if (len >= PATH_BYTES)
		return -ENAMETOOLONG;
	memcpy(to.sun_path, path, len);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int err = -errno;

		close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}
