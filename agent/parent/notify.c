// SPDX-License-Identifier: Apache-2.0
/* notify.c - sd_notify(3) without the library: one datagram. svidd only. */
#include "agent/parent/notify.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/slice.h"

/* @state goes to the address that systemd named, '@' for the abstract namespace. */
static bool address(struct sockaddr_un *sa, socklen_t *ret_len)
{
	struct slice path = slice_str(getenv("NOTIFY_SOCKET"));

	if (path.len < 2 || path.len >= sizeof(sa->sun_path) || (*path.p != '/' && *path.p != '@'))
		return false;
	memset(sa, 0, sizeof(*sa));
	sa->sun_family = AF_UNIX;
	memcpy(sa->sun_path, path.p, path.len);
	if (*path.p == '@')
		sa->sun_path[0] = 0;
	*ret_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + path.len);
	return true;
}

bool notify_fd(const char *state, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .bytes = "" };
	struct sockaddr_un sa;
	struct iovec iov = { (void *)(uintptr_t)state, strlen(state) };
	struct msghdr mh = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cm;
	ssize_t n;
	int sock;

	if (!address(&sa, &mh.msg_namelen))
		return false;
	if (fd >= 0) {
		mh.msg_control = &control;
		mh.msg_controllen = sizeof(control);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cm), &fd, sizeof(int));
	}
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return false;
	n = sendmsg(sock, &mh, MSG_NOSIGNAL);
	close(sock);
	return n >= 0;
}

/* Nobody listening is systemd's affair, not a reason to stop. */
void notify(const char *state)
{
	(void)notify_fd(state, -1);
}
