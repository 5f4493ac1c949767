// SPDX-License-Identifier: Apache-2.0
/*
 * provider_kmod.c - evidence from the kernel module, by one descriptor: the evidence file that svidd made. Runs in svid-core
 * without any capability. The protocol is kmod/uapi/svid_dev.h; what a record, a word and a holder mean is kmod/uapi/svid.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/core/provider_parts.h"
#include "kmod/uapi/svid_dev.h"

#define EVENTS_AT_ONCE 64

static int ask_module(const struct provider *p, unsigned long request, void *arg)
{
	return ioctl(p->fds.module, request, arg) < 0 ? -errno : 0;
}

/* Of this module and of no other version; svidd has asked it for its numbers. */
static int conn_check(const struct svid_conn *conn)
{
	return conn->size == sizeof(*conn) && conn->flags & SVID_CONN_VALID ? 0 : -ERR_FORMAT;
}

static int kmod_record(struct provider *p, struct provider_ask *ask, struct svid_conn *conn)
{
	struct svid_dev_ask msg = {
		.size = sizeof(msg),
		.fd = ask->fd,
		.box = { .op = ask->op, .conn_slot = ask->conn_slot, .conn_word = ask->conn_word,
			 .holder_slot = ask->holder_slot },
	};
	const struct svid_mailbox *box = &msg.box;
	int err = ask_module(p, SVID_IOC_ASK, &msg);

	if (err)
		return err;
	if (box->status && box->status != -ESTALE)
		return box->status;
	if (conn_check(&box->conn))
		return -ERR_FORMAT;
	ask->holder_slot = box->holder_slot;
	ask->holder_word = box->holder_word;
	ask->held = box->held;
	*conn = box->conn;
	return box->status;
}

static int kmod_hold(struct provider *p, const struct svid_conn *conn, uint32_t slot)
{
	struct svid_dev_hold msg = {
		.size = sizeof(msg),
		.slot = slot,
		.key = conn->image.key,
		.exec_id = conn->image.exec_id,
		.change = conn->image.change,
		.ids = conn->creds.ids,
	};
	int err = ask_module(p, SVID_IOC_HOLD, &msg);

	return err == -ESTALE || err == -ENOENT ? -ERR_CHANGED : err;
}

static void kmod_unhold(struct provider *p, const struct svid_key *key)
{
	struct svid_dev_key msg = { .size = sizeof(msg), .key = *key };

	(void)ask_module(p, SVID_IOC_UNHOLD, &msg);
}

static int kmod_reader(struct provider *p, uint32_t tid, struct svid_conn *conn)
{
	struct svid_dev_reader msg = { .size = sizeof(msg), .tid = (int32_t)tid };
	int err = tid == 0 || tid > INT32_MAX ? -ESRCH : ask_module(p, SVID_IOC_READER, &msg);

	if (!err)
		err = conn_check(&msg.conn);
	if (!err)
		*conn = msg.conn;
	return err;
}

static int kmod_image(struct provider *p, const struct svid_key *key, struct svid_image *ret)
{
	struct svid_dev_image msg = { .size = sizeof(msg), .key = *key };
	int err = key->start ? ask_module(p, SVID_IOC_IMAGE, &msg) : -ENOENT;

	if (!err)
		*ret = msg.image;
	return err;
}

static int kmod_key_of(struct provider *p, uint32_t tgid, struct svid_key *ret)
{
	struct svid_dev_image msg = { .size = sizeof(msg), .key.tgid = tgid };
	int err = ask_module(p, SVID_IOC_IMAGE, &msg);

	if (!err)
		*ret = msg.image.key;
	return err;
}

/* The module sees every change by itself. */
static int kmod_poll(struct provider *p)
{
	(void)p;
	return 0;
}

static int kmod_events(struct provider *p, void (*cb)(void *ctx, const struct svid_event *e), void *ctx)
{
	struct svid_event e[EVENTS_AT_ONCE];
	size_t got;
	int n = 0;

	do {
		ssize_t bytes = read(p->fds.module, e, sizeof(e));

		if (bytes < 0)
			return errno == EAGAIN || errno == EINTR ? n : -errno;
		got = (size_t)bytes / sizeof(e[0]);
		for (size_t i = 0; i < got; i++)
			cb(ctx, &e[i]);
		n += (int)got;
	} while (got == EVENTS_AT_ONCE);
	return n;
}

static const struct provider_ops kmod_ops = {
	.record = kmod_record,
	.hold = kmod_hold,
	.unhold = kmod_unhold,
	.reader = kmod_reader,
	.image = kmod_image,
	.key_of = kmod_key_of,
	.poll = kmod_poll,
	.events = kmod_events,
};

static int map_area(int fd, size_t size, int prot, off_t at, void **ret)
{
	void *area = mmap(NULL, size, prot, MAP_SHARED, fd, at);

	if (area == MAP_FAILED)
		return -errno;
	*ret = area;
	return 0;
}

int provider_kmod_open(struct provider *p)
{
	int fd = p->fds.module, flags, err;

	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		p->fds.maps[i] = -1;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		p->fds.iters[i] = -1;
	p->ops = &kmod_ops;
	flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -ERR_PROVIDER;
	/* Holders of a core that died: their slots mean nothing to this one. */
	if (ioctl(fd, SVID_IOC_FORGET) < 0)
		return -ERR_PROVIDER;
	err = map_area(fd, sizeof(*p->words), PROT_READ | PROT_WRITE, SVID_DEV_WORDS, (void **)&p->words);
	if (!err)
		err = map_area(fd, sizeof(*p->stats), PROT_READ, SVID_DEV_STATS, (void **)&p->stats);
	p->events_fd = fd;
	return err;
}
