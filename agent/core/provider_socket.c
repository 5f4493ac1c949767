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
#define STATUS_BYTES 4096 /* ids come early in it */
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

static int describe(const struct ucred *uc, struct svid_conn *conn)
{
	struct svid_conn c = { .size = sizeof(c), .family = SVID_FAMILY_UNIX, .flags = SVID_CONN_VALID,
			       .tier = SVID_TIER_SOCKET };
	int err = uc->pid <= 0 ? -ENOENT : start_time(uc->pid, &c.image.key.start);

	if (err)
		return err;
	c.tid = c.image.key.tgid = (uint32_t)uc->pid;
	c.connect_time = clock_boot_ns();
	c.image.flags = SVID_IMG_SOCKET;
	ids_fill(uc, &c.creds);
	comm_fill(uc->pid, c.comm);
	argv_fill(uc->pid, &c.image);
	*conn = c;
	return 0;
}

static int socket_record(struct provider *p, struct provider_ask *ask, struct svid_conn *conn)
{
	struct svid_conn c;
	struct ucred uc;
	socklen_t len = sizeof(uc);
	int err;

	if (getsockopt(ask->fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) < 0)
		return -errno;
	err = describe(&uc, &c);
	if (err)
		return err;
	c.conn_slot = ask->conn_slot;
	c.conn_word = ask->conn_word;
	ask->held = !provider_held_slot(p, &c.image.key, &ask->holder_slot);
	ask->holder_word = provider_word(p, ask->holder_slot);
	*conn = c;
	return 0;
}

/* The numbers that follow `name:` in proc(5)'s status, as many as asked for. */
static int status_numbers(const char *text, const char *name, unsigned long *ret, size_t n)
{
	const char *p = strstr(text, name);
	char *end;

	for (p = p ? p + strlen(name) : NULL; p && n; n--) {
		*ret++ = strtoul(p, &end, 10);
		if (end == p)
			return -ERR_FORMAT;
		p = end;
	}
	return p ? 0 : -ERR_FORMAT;
}

/* A thread's own directory is there, but not listed. */
static int socket_reader(struct provider *p, uint32_t tid, struct svid_conn *conn)
{
	unsigned long tgid, uid[4], gid[4];
	char text[STATUS_BYTES];
	struct ucred uc;
	ssize_t n;
	int err;

	(void)p;
	n = tid == 0 || tid > INT32_MAX ? -ESRCH : proc_read((pid_t)tid, "status", text, sizeof(text) - 1);
	if (n < 0)
		return n == -ENOENT ? -ESRCH : (int)n;
	text[n] = 0;
	err = status_numbers(text, "\nTgid:", &tgid, 1);
	if (!err)
		err = status_numbers(text, "\nUid:", uid, 4);
	if (!err)
		err = status_numbers(text, "\nGid:", gid, 4);
	if (err)
		return err;
	uc = (struct ucred){ .pid = (pid_t)tgid, .uid = (uid_t)uid[1], .gid = (gid_t)gid[1] };
	return describe(&uc, conn);
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

static int socket_key_of(struct provider *p, uint32_t tgid, struct svid_key *ret)
{
	(void)p;
	(void)tgid;
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
	.reader = socket_reader,
	.image = socket_image,
	.key_of = socket_key_of,
	.poll = socket_poll,
};

/* Without svidd (tests); its memfd is the one that the fronts map. */
static int words_make(int *ret_fd)
{
	int fd = memfd_create("svid-words", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, sizeof(struct svid_words)) < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0) {
		close(fd);
		return -EIO;
	}
	*ret_fd = fd;
	return 0;
}

int provider_socket_open(struct provider *p)
{
	int *fd = &p->fds.maps[SVID_MAP_WORDS];
	void *words;
	int err;

	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		if (i != SVID_MAP_WORDS)
			p->fds.maps[i] = -1;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		p->fds.iters[i] = -1;
	p->ops = &socket_ops;
	if (*fd < 0) {
		err = words_make(fd);
		if (err)
			return err;
		p->own_words = true;
	}
	words = mmap(NULL, sizeof(*p->words), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (words == MAP_FAILED)
		return -errno;
	p->words = words;
	return 0;
}
