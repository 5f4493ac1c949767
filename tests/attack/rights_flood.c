// SPDX-License-Identifier: Apache-2.0
/*
 * A21: descriptors that nobody asked for. A front that receives one may run out of them, or hang when it closes a file
 * whose server does not answer. Runs in svid-attack as a caller that has an identity.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/attack/attack.h"

#define FDS_PER_MESSAGE 250 /* the kernel's SCM_MAX_FD is 253 */

/* Sends bytes one by one or whole, each message with a load of descriptors. */
static ssize_t send_with_fds(int fd, const uint8_t *bytes, size_t len, int file, int n)
{
	char control[CMSG_SPACE(sizeof(int) * FDS_PER_MESSAGE)] = {0};
	struct iovec iov = {.iov_base = (void *)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			     .msg_controllen = CMSG_SPACE(sizeof(int) * n)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	int *fds = (int *)CMSG_DATA(c);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * n);
	for (int i = 0; i < n; i++)
		memcpy(&fds[i], &file, sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

/* variant=pipe: a file whose use blocks; else the null device. The first message is the start of an honest request. */
static int a21(const struct options *o)
{
	int fd = client_open(o->socket), file, p[2];
	int messages = o->count ? o->count : 100;
	struct request r;
	struct answer a;
	ssize_t n = 0;
	int sent = 0;

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	file = is_variant(o, "pipe") ? p[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
	answer_init(&a);
	request_build(&r);
	if (is_variant(o, "first")) {
		n = send_with_fds(fd, r.bytes, r.len, file, 1);
		sent = n > 0;
	} else {
		for (; sent < messages && n >= 0; sent++) {
			size_t at = (size_t)sent < r.len ? (size_t)sent : r.len - 1;

			n = send_with_fds(fd, r.bytes + at, 1, file, FDS_PER_MESSAGE);
			if (n < 0 && errno == ETOOMANYREFS) {
				sleep_ms(1);
				n = 0;
			}
		}
	}
	say("sent: %d messages with descriptors", sent);
	sync_point("flooded");
	client_read(fd, &a, o->wait_ms, false);
	answer_say("thief", &a);
	return 0;
}

const struct command rights_flood_commands[] = {
	{"a21", "messages full of descriptors; variant=pipe|first", a21},
	{NULL, NULL, NULL},
};
