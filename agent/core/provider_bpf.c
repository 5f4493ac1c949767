// SPDX-License-Identifier: Apache-2.0
/*
 * provider_bpf.c - evidence from the BPF programs, by descriptors alone. Runs in svid-core without any capability: maps
 * are read, written and mapped by descriptor, which Linux >= 6.0 allows whatever kernel.unprivileged_bpf_disabled says.
 * The kernel's side of each step is in kmod/bpf/record.h.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/core/provider_parts.h"

#define KEYS_WALKED 131072 /* of the image table, at most */

static int bpf_error(int ret)
{
	return ret < 0 ? -errno : 0;
}

/* One-element arrays are mapped whole; a size that is not ours means another version. */
static int map_array(int fd, size_t size, int prot, void **ret)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	void *p;

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (info.value_size != size)
		return -ERR_PROVIDER;
	p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

static int version_check(int fd)
{
	struct svid_config cfg;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(fd, &zero, &cfg) < 0)
		return -errno;
	return cfg.abi == SVID_ABI_VERSION && cfg.schema == SVID_SCHEMA_VERSION ? 0 : -ERR_PROVIDER;
}

/* The client's end may be in anybody's hands, but the record is the kernel's: another form is another kernel side. */
static bool is_record(const struct svid_conn *conn)
{
	return conn->size == sizeof(*conn) && conn->flags & SVID_CONN_VALID;
}

static bool is_answered(const struct provider *p)
{
	return __atomic_load_n(&p->mailbox->answer, __ATOMIC_SEQ_CST) == p->request;
}

/*
 * Ask by mailbox and recv(): see "Attaching" in svid.h. The order of the stores is what the program relies on: it looks
 * at nothing while op is SVID_OP_NONE, and this thread is the only one that it answers.
 */
static int bpf_record(struct provider *p, struct provider_ask *ask, struct svid_conn *conn)
{
	struct svid_mailbox *mb = p->mailbox;
	ssize_t n;

	mb->conn_slot = ask->conn_slot;
	mb->conn_word = ask->conn_word;
	mb->holder_slot = ask->holder_slot;
	mb->request = ++p->request;
	__atomic_store_n(&mb->op, ask->op, __ATOMIC_SEQ_CST);
	n = recv(ask->fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT);
	(void)n; /* the call is the message */
	__atomic_store_n(&mb->op, SVID_OP_NONE, __ATOMIC_SEQ_CST);
	if (!is_answered(p))
		return -ERR_EVIDENCE;
	if (mb->status && mb->status != -ESTALE)
		return mb->status;
	if (!is_record(&mb->conn))
		return -ERR_FORMAT;
	ask->holder_slot = mb->holder_slot;
	ask->holder_word = mb->holder_word;
	ask->held = mb->held;
	*conn = mb->conn;
	return mb->status;
}

/* Nobody waits for the answer: an entry that stays counted is forgotten by itself. */
static void bpf_leave(struct provider *p, int fd)
{
	struct svid_mailbox *mb = p->mailbox;
	ssize_t n;

	mb->request = ++p->request;
	__atomic_store_n(&mb->op, SVID_OP_LEAVE, __ATOMIC_SEQ_CST);
	n = recv(fd, NULL, 0, MSG_PEEK | MSG_DONTWAIT);
	(void)n;
	__atomic_store_n(&mb->op, SVID_OP_NONE, __ATOMIC_SEQ_CST);
}

static void bpf_door(struct provider *p, const struct svid_who *who, uint64_t until)
{
	int fd = p->fds.maps[SVID_MAP_DOORS];

	if (until)
		(void)bpf_map_update_elem(fd, who, &until, BPF_ANY);
	else
		(void)bpf_map_delete_elem(fd, who);
}

static void bpf_unhold(struct provider *p, const struct svid_key *key)
{
	(void)bpf_map_delete_elem(p->fds.maps[SVID_MAP_HOLDERS], key);
}

static int bpf_image(struct provider *p, const struct svid_key *key, struct svid_image *ret)
{
	return bpf_error(bpf_map_lookup_elem(p->fds.maps[SVID_MAP_IMAGES], key, ret));
}

/* Keys may come and go meanwhile, which can start the walk again: it ends in any case. */
static int bpf_key_of(struct provider *p, uint32_t tgid, struct svid_key *ret)
{
	int fd = p->fds.maps[SVID_MAP_IMAGES];
	struct svid_key key, next;
	int err = bpf_error(bpf_map_get_next_key(fd, NULL, &next));

	for (uint32_t n = 0; !err && n < KEYS_WALKED; n++) {
		if (next.tgid == tgid) {
			*ret = next;
			return 0;
		}
		key = next;
		err = bpf_error(bpf_map_get_next_key(fd, &key, &next));
	}
	return err ? err : -ENOENT;
}

/* Insert, then look: "Holder registration has no gap" in svid.h. */
static int bpf_hold(struct provider *p, const struct svid_conn *conn, uint32_t slot)
{
	struct svid_holder h = { .slot = slot, .exec_id = conn->image.exec_id, .ids = conn->creds.ids };
	const struct svid_key *key = &conn->image.key;
	struct svid_image now;
	int err = bpf_error(bpf_map_update_elem(p->fds.maps[SVID_MAP_HOLDERS], key, &h, BPF_ANY));

	if (err)
		return err;
	err = bpf_image(p, key, &now);
	if (!err && now.exec_id == conn->image.exec_id && now.change == conn->image.change)
		return 0;
	bpf_unhold(p, key);
	return err && err != -ENOENT ? err : -ERR_CHANGED;
}

/* -EAGAIN is the kernel's pause after many threads, or the program's word that the rest does not matter: op says which. */
static int walk(struct provider *p, enum svid_iter iter, uint32_t op)
{
	int fd = bpf_iter_create(p->fds.iters[iter]);
	bool paused;
	char sink[64];
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = read(fd, sink, sizeof(sink));
		paused = n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN));
	} while (paused && __atomic_load_n(&p->mailbox->op, __ATOMIC_SEQ_CST) == op);
	close(fd);
	return n < 0 && !paused ? -EIO : 0;
}

static int bpf_poll(struct provider *p)
{
	return walk(p, SVID_ITER_POLL, SVID_OP_NONE);
}

/* "SVID_OP_READER" in svid.h: one lookup, or a walk through all threads. */
static int bpf_reader(struct provider *p, uint32_t tid, struct svid_conn *conn)
{
	struct svid_mailbox *mb = p->mailbox;
	int err = 0;
	ssize_t n;

	mb->tid = tid;
	mb->request = ++p->request;
	__atomic_store_n(&mb->op, SVID_OP_READER, __ATOMIC_SEQ_CST);
	n = recv(p->own_socket, NULL, 0, MSG_PEEK | MSG_DONTWAIT);
	(void)n;
	if (!is_answered(p))
		err = walk(p, SVID_ITER_READER, SVID_OP_READER);
	__atomic_store_n(&mb->op, SVID_OP_NONE, __ATOMIC_SEQ_CST);
	if (err)
		return err;
	if (!is_answered(p))
		return -ERR_EVIDENCE;
	if (mb->status)
		return mb->status;
	if (!is_record(&mb->conn))
		return -ERR_FORMAT;
	*conn = mb->conn;
	return 0;
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct provider *p = ctx;

	if (size >= sizeof(struct svid_event) && p->event_cb)
		p->event_cb(p->event_ctx, data);
	return 0;
}

static int bpf_events(struct provider *p, void (*cb)(void *ctx, const struct svid_event *e), void *ctx)
{
	int n;

	p->event_cb = cb;
	p->event_ctx = ctx;
	n = ring_buffer__consume(p->ring);
	p->event_cb = NULL;
	return n;
}

static const struct provider_ops bpf_ops = {
	.record = bpf_record,
	.hold = bpf_hold,
	.unhold = bpf_unhold,
	.reader = bpf_reader,
	.image = bpf_image,
	.key_of = bpf_key_of,
	.poll = bpf_poll,
	.events = bpf_events,
	.leave = bpf_leave,
	.door = bpf_door,
};

static int maps_check(const struct provider *p)
{
	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		if (p->fds.maps[i] < 0)
			return -ERR_PROVIDER;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		if (p->fds.iters[i] < 0)
			return -ERR_PROVIDER;
	return version_check(p->fds.maps[SVID_MAP_CONFIG]);
}

/* Those of a core that died: their slots mean nothing to this one. */
static int holders_forget(int fd)
{
	struct svid_key key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		if (bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT)
			return -errno;
	return errno == ENOENT ? 0 : -errno;
}

int provider_bpf_open(struct provider *p)
{
	const int *maps = p->fds.maps;
	int err;

	p->ops = &bpf_ops;
	err = maps_check(p);
	if (!err)
		err = map_array(maps[SVID_MAP_WORDS], sizeof(*p->words), PROT_READ | PROT_WRITE, (void **)&p->words);
	if (!err)
		err = map_array(maps[SVID_MAP_MAILBOX], sizeof(*p->mailbox), PROT_READ | PROT_WRITE,
				(void **)&p->mailbox);
	if (!err)
		err = map_array(maps[SVID_MAP_STATS], sizeof(*p->stats), PROT_READ, (void **)&p->stats);
	if (!err)
		err = holders_forget(maps[SVID_MAP_HOLDERS]);
	if (err)
		return err;
	p->own_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->own_socket < 0)
		return -errno;
	/* A core that died in the middle of a request must not have its answer taken for ours. */
	p->mailbox->op = SVID_OP_NONE;
	p->request = p->mailbox->request;
	p->ring = ring_buffer__new(maps[SVID_MAP_RING], on_event, p, NULL);
	if (!p->ring)
		return -errno;
	p->events_fd = ring_buffer__epoll_fd(p->ring);
	return 0;
}

void provider_bpf_done(struct provider *p)
{
	if (p->ring)
		ring_buffer__free(p->ring);
	if (p->own_socket >= 0)
		close(p->own_socket);
	if (p->mailbox)
		munmap(p->mailbox, sizeof(*p->mailbox));
	if (p->stats)
		munmap((void *)p->stats, sizeof(*p->stats));
}
