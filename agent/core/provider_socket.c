// SPDX-License-Identifier: Apache-2.0
/*
 * provider_socket.c - `attestation: socket`: SO_PEERCRED and /proc, what every other agent believes. For development and
 * as the test fixture in which the attacks must succeed. Nothing here is evidence: every record carries SVID_IMG_SOCKET.
 * Runs in svid-core. No events, no refusals; words change only when core bumps them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/core/provider_parts.h"

#define STAT_BYTES 1024
#define STAT_START_FIELD 22 /* proc(5): starttime, in clock ticks */

static ssize_t proc_read(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, ret, size);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

/* Fields follow the last ')': the name before it may hold anything. */
static int start_time(pid_t pid, __u64 *ret)
{
	char text[STAT_BYTES];
	ssize_t n = proc_read(pid, "stat", text, sizeof(text) - 1);
	char *p;

	if (n < 0)
		return (int)n;
	text[n] = 0;
	p = strrchr(text, ')');
	for (int field = 2; p && field < STAT_START_FIELD; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -ERR_FORMAT;
	*ret = strtoull(p + 1, NULL, 10) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	return 0;
}

static void argv_fill(pid_t pid, struct svid_image *img)
{
	char bytes[SVID_ARGV_MAX + 1];
	ssize_t n = proc_read(pid, "cmdline", bytes, sizeof(bytes));

	img->flags |= SVID_IMG_ENV_TRUNC;
	if (n <= 0 || n > SVID_ARGV_MAX)
		img->flags |= SVID_IMG_ARGV_TRUNC;
	if (n <= 0)
		return;
	img->argv_total = (uint32_t)n;
	img->argv_len = n > SVID_ARGV_MAX ? SVID_ARGV_MAX : (uint32_t)n;
	memcpy(img->argv, bytes, img->argv_len);
}

static void comm_fill(pid_t pid, char *ret)
{
	char name[SVID_COMM_LEN + 1];
	ssize_t n = proc_read(pid, "comm", name, sizeof(name));

	while (n > 0 && name[n - 1] == '\n')
		n--;
	if (n > 0)
		memcpy(ret, name, n > SVID_COMM_LEN ? SVID_COMM_LEN : (size_t)n);
}

static void ids_fill(const struct ucred *uc, struct svid_creds *c)
{
	c->ids.uid = c->ids.euid = c->ids.suid = c->ids.fsuid = uc->uid;
	c->ids.gid = c->ids.egid = c->ids.sgid = c->ids.fsgid = uc->gid;
	c->loginuid = UINT32_MAX;
}

static int socket_record(struct provider *p, int fd, uint32_t op, uint32_t conn_slot, uint32_t holder_slot,
			 struct svid_conn *conn)
{
	struct ucred uc;
	socklen_t len = sizeof(uc);
	int err;

	(void)p;
	(void)op;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) < 0)
		return -errno;
	err = uc.pid <= 0 ? -ENOENT : start_time(uc.pid, &conn->image.key.start);
	if (err)
		return err;
	conn->size = sizeof(*conn);
	conn->family = SVID_FAMILY_UNIX;
	conn->flags = SVID_CONN_VALID;
	conn->tier = SVID_TIER_SOCKET;
	conn->conn_slot = conn_slot;
	conn->holder_slot = holder_slot;
	conn->tid = (uint32_t)uc.pid;
	conn->connect_time = clock_boot_ns();
	conn->image.key.tgid = (uint32_t)uc.pid;
	conn->image.flags = SVID_IMG_SOCKET;
	ids_fill(&uc, &conn->creds);
	comm_fill(uc.pid, conn->comm);
	argv_fill(uc.pid, &conn->image);
	return 0;
}

static int socket_hold(struct provider *p, const struct svid_conn *conn, uint32_t slot)
{
	(void)p;
	(void)conn;
	(void)slot;
	return 0;
}

static void socket_unhold(struct provider *p, const struct svid_key *key)
{
	(void)p;
	(void)key;
}

static int socket_image(struct provider *p, const struct svid_key *key, struct svid_image *ret)
{
	(void)p;
	(void)key;
	(void)ret;
	return -ENOENT;
}

static int socket_poll(struct provider *p)
{
	(void)p;
	return 0;
}

static const struct provider_ops socket_ops = {
	.record = socket_record,
	.hold = socket_hold,
	.unhold = socket_unhold,
	.image = socket_image,
	.poll = socket_poll,
};

/* svidd's memfd, which the fronts map too; without svidd (tests) one of our own. */
static int words_fd(int given)
{
	int fd = given;

	if (fd < 0)
		fd = memfd_create("svid-words", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	return given < 0 && ftruncate(fd, sizeof(struct svid_words)) < 0 ? -errno : fd;
}

int provider_socket_open(struct provider *p)
{
	int fd = words_fd(p->fds.maps[SVID_MAP_WORDS]);
	void *words;

	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		p->fds.maps[i] = -1;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		p->fds.iters[i] = -1;
	p->ops = &socket_ops;
	if (fd < 0)
		return fd;
	p->fds.maps[SVID_MAP_WORDS] = fd;
	words = mmap(NULL, sizeof(*p->words), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (words == MAP_FAILED)
		return -errno;
	p->words = words;
	return 0;
}
