// SPDX-License-Identifier: Apache-2.0
/*
 * canary.c - a connection whose evidence svid-core knows beforehand, and a foreign read that must not
 * pass (K8). A child connects a socket that was made here, so the worker is a foreign process that holds
 * the descriptor: exactly attack A3. svid-attest.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/attest/attest.h"

#define CONNECT_MS 500

/* Only calls that are safe after fork. It ends when the worker closes the leash, or is killed. */
static NORETURN void child(int sock, const struct sockaddr_un *sa, int leash, int report)
{
	int32_t err = connect(sock, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ? -errno : 0;
	char end;

	if (write(report, &err, sizeof(err)) == sizeof(err))
		(void)!read(leash, &end, 1);
	_exit(0);
}

static int wait_for_report(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int32_t err;

	if (poll(&p, 1, CONNECT_MS) != 1)
		return -ERR_DEADLINE;
	return read(fd, &err, sizeof(err)) == sizeof(err) ? err : -EIO;
}

static int fork_child(struct canary *c, const struct sockaddr_un *sa, const int *close_in_child, size_t n)
{
	int leash[2], report[2];
	int err;

	if (pipe2(leash, O_CLOEXEC) < 0)
		return -errno;
	c->leash = leash[1];
	if (pipe2(report, O_CLOEXEC) < 0) {
		err = -errno;
		close(leash[0]);
		return err;
	}
	c->pid = fork();
	err = c->pid < 0 ? -errno : 0;
	if (c->pid == 0) {
		close(leash[1]); /* else it would hold its own leash */
		for (size_t i = 0; i < n; i++)
			close(close_in_child[i]);
		child(c->sock, sa, leash[0], report[1]);
	}
	close(leash[0]);
	close(report[1]);
	if (!err)
		err = wait_for_report(report[0]);
	else
		c->pid = 0;
	close(report[0]);
	return err;
}

int canary_start(struct canary *c, struct slice path, const int *close_in_child, size_t n)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int err;

	if (path.len == 0 || path.len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path.p, path.len);
	/* Not blocking: a full backlog is an answer too. */
	c->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->sock < 0)
		return -errno;
	err = fork_child(c, &sa, close_in_child, n);
	if (err)
		canary_end(c);
	return err;
}

int canary_probe(const struct canary *c)
{
	char byte;

	return recv(c->sock, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0 ? -errno : 0;
}

void canary_end(struct canary *c)
{
	if (c->leash >= 0)
		close(c->leash);
	if (c->pid)
		(void)waitpid(c->pid, NULL, 0);
	if (c->sock >= 0)
		close(c->sock);
	*c = (struct canary){ .sock = -1, .leash = -1 };
}
