// SPDX-License-Identifier: Apache-2.0
/*
 * A21: descriptors that nobody asked for. A front that receives one may run out of them, or hang when it closes a file
 * whose server does not answer. Runs in svid-attack as a caller that has an identity.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
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
	int sent = 0, waits = 0;

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	file = is_variant(o, "pipe") ? p[0] : open("/dev/null", O_RDONLY | O_CLOEXEC);
	answer_init(&a);
	request_build(&r);
	if (is_variant(o, "first")) {
		n = send_with_fds(fd, r.bytes, r.len, file, 1);
		sent = n > 0;
	} else {
		while (sent < messages && n >= 0) {
			size_t at = (size_t)sent < r.len ? (size_t)sent : r.len - 1;

			n = send_with_fds(fd, r.bytes + at, 1, file, FDS_PER_MESSAGE);
			if (n < 0 && errno == ETOOMANYREFS && waits++ < 2000) {
				sleep_ms(1);
				n = 0;
			}
			sent += n > 0;
		}
	}
	if (n < 0)
		answer_ended(&a, n, errno);
	say("sent: %d messages with descriptors", sent);
	sync_point("flooded");
	client_read(fd, &a, o->wait_ms, false);
	answer_say("thief", &a);
	return 0;
}

/*
 * A TCP socket that whoever closes it last will wait for: SO_LINGER, bytes that its peer (kept here) does not take. A
 * process that frees a message holding it is that one, even when it never received the descriptor.
 */
static int lingering(int seconds)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger linger = {.l_onoff = 1, .l_linger = seconds};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t len = sizeof(at);
	static char bytes[65536];

	if (setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)) ||
	    bind(listener, (struct sockaddr *)&at, len) || listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&at, &len))
		skip("no loopback network");
	if (connect(fd, (struct sockaddr *)&at, len) && errno != EINPROGRESS)
		die("connect to loopback");
	if (accept(listener, NULL, NULL) < 0)
		die("accept");
	while (write(fd, bytes, sizeof(bytes)) > 0)
		;
	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
	return fd;
}

/* variant=behind: garbage first, so that the connection ends while the message with the descriptor is unread. */
static int a21_linger(const struct options *o)
{
	int file = lingering(o->count), fd;
	struct request r;
	struct answer a;
	ssize_t n = 0;

	answer_init(&a);
	request_build(&r);
	/* connect, send, close before the agent has decided: from then on the message holds the last reference */
	fd = client_open(o->socket);
	if (is_variant(o, "behind")) {
		client_send(fd, &a, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
		for (int i = 0; i < 10; i++)
			n = send_with_fds(fd, r.bytes, 1, file, 1);
	} else {
		n = send_with_fds(fd, r.bytes, r.len, file, 1);
	}
	if (n < 0) {
		/* now it would be us who waits at close() */
		answer_ended(&a, n, errno);
		answer_say("thief", &a);
		_exit(0);
	}
	close(file);
	if (is_variant(o, "exec")) {
		keep_open(fd);
		exec_as(o->words[0], "hold", word("delay", o->count * 1000), NULL);
	}
	sync_point("flooded");
	client_read(fd, &a, o->wait_ms, false);
	answer_say("thief", &a);
	close(fd);
	sync_point("closed");
	return 0;
}

const struct command rights_flood_commands[] = {
	{"a21", "messages full of descriptors; variant=pipe|first", a21},
	{"a21-linger", "a descriptor that is slow to close; variant=behind|exec", a21_linger},
	{NULL, NULL, NULL},
};
