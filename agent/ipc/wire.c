// SPDX-License-Identifier: Apache-2.0
/* wire.c - one message on a bare SOCK_SEQPACKET descriptor: header, body, descriptors. Any role. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/mem.h"
#include "agent/base/sealed.h"
#include "agent/ipc/chan.h"

#define HEADER_BYTES 12
#define F_MEMFD 1u /* the body is in the last descriptor */
#define MAX_FDS (LIM_IPC_FDS + 1)

/* Room for exactly the descriptors a message may carry: more cannot be installed in us. */
union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int) * MAX_FDS)];
};

static int send_one(int fd, struct iovec *iov, size_t n_iov, const int *fds, unsigned int n_fds)
{
	union control control;
	struct msghdr mh = { .msg_iov = iov, .msg_iovlen = n_iov };
	struct cmsghdr *cm;

	if (n_fds) {
		memset(&control, 0, sizeof(control));
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		cm = CMSG_FIRSTHDR(&mh);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		memcpy(CMSG_DATA(cm), fds, sizeof(int) * n_fds);
	}
	while (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0) {
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return -ERR_CLOSED;
		if (errno != EINTR)
			return -errno;
	}
	return 0;
}

int ipc_send(int fd, uint16_t type, uint32_t id, struct slice body, const int *fds, unsigned int n_fds)
{
	AUTO(buf) struct buf head = BUF_INIT(HEADER_BYTES);
	int all[MAX_FDS];
	int memfd = -1, err;
	struct iovec iov[2];

	if (body.len > LIM_IPC_BODY || n_fds > LIM_IPC_FDS)
		return -ERR_SIZE;
	if (n_fds)
		memcpy(all, fds, sizeof(int) * n_fds);
	if (body.len > LIM_IPC_INLINE) {
		err = sealed_fd(body, &memfd);
		if (err)
			return err;
		all[n_fds++] = memfd;
	}
	buf_put_u16(&head, type);
	buf_put_u16(&head, memfd >= 0 ? F_MEMFD : 0);
	buf_put_u32(&head, id);
	buf_put_u32(&head, (uint32_t)body.len);
	err = buf_ok(&head);
	iov[0] = (struct iovec){ .iov_base = head.data, .iov_len = head.len };
	iov[1] = (struct iovec){ .iov_base = (void *)(uintptr_t)body.p, .iov_len = body.len };
	if (!err)
		err = send_one(fd, iov, memfd >= 0 ? 1 : 2, all, n_fds);
	if (memfd >= 0)
		close(memfd);
	return err;
}

void ipc_msg_done(struct chan_msg *m)
{
	for (unsigned int i = 0; i < m->n_fds; i++)
		if (m->fds[i] >= 0)
			close(m->fds[i]);
	m->n_fds = 0;
}

struct received {
	int fds[MAX_FDS];
	unsigned int n_fds;
};

static void received_close(struct received *r)
{
	for (unsigned int i = 0; i < r->n_fds; i++)
		close(r->fds[i]);
	r->n_fds = 0;
}

static void collect_fds(struct msghdr *mh, struct received *r)
{
	struct cmsghdr *cm;

	r->n_fds = 0;
	for (cm = CMSG_FIRSTHDR(mh); cm; cm = CMSG_NXTHDR(mh, cm)) {
		size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n && r->n_fds < MAX_FDS; i++)
			memcpy(&r->fds[r->n_fds++], CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
	}
}

/* Copy a sealed body out: nobody can change it while we read, and its size is what the header says. */
static int body_from_memfd(int fd, size_t len, struct buf *out)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;
	void *map, *to;

	if (seals < 0 || (seals & SEALED) != SEALED)
		return -ERR_FORMAT;
	if (len > LIM_IPC_BODY || fstat(fd, &st) < 0 || (size_t)st.st_size != len)
		return -ERR_SIZE;
	to = buf_reserve(out, len);
	if (!to)
		return buf_ok(out);
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	memcpy(to, map, len);
	munmap(map, len);
	buf_added(out, len);
	return 0;
}

static int recv_one(int fd, struct buf *scratch, struct received *r)
{
	union control control;
	struct iovec iov = { .iov_len = HEADER_BYTES + LIM_IPC_INLINE };
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			     .msg_controllen = sizeof(control) };
	ssize_t n;

	buf_reset(scratch);
	iov.iov_base = buf_reserve(scratch, iov.iov_len);
	if (!iov.iov_base)
		return buf_ok(scratch);
	do {
		n = recvmsg(fd, &mh, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -ERR_CLOSED : -errno;
	if (n == 0)
		return -ERR_CLOSED;
	buf_added(scratch, (size_t)n);
	collect_fds(&mh, r);
	return mh.msg_flags & (MSG_CTRUNC | MSG_TRUNC) ? -ERR_FORMAT : 0;
}

/* Check header, length and descriptor count; fetch a memfd body. */
static int decode(struct buf *scratch, struct received *r, struct chan_msg *m)
{
	struct slice s = buf_slice(scratch);
	uint16_t flags;
	size_t len;
	int err;

	m->type = slice_get_u16(&s);
	flags = slice_get_u16(&s);
	m->id = slice_get_u32(&s);
	len = slice_get_u32(&s);
	if (!slice_ok(&s) || flags & ~F_MEMFD)
		return -ERR_FORMAT;
	if (flags & F_MEMFD) {
		if (s.len || r->n_fds == 0)
			return -ERR_FORMAT;
		err = body_from_memfd(r->fds[r->n_fds - 1], len, scratch);
		if (err)
			return err;
		close(r->fds[--r->n_fds]);
		s = slice_of(scratch->data + scratch->len - len, len);
	}
	if (s.len != len || msg_fds(m->type) != (int)r->n_fds)
		return -ERR_FORMAT;
	m->body = s;
	return 0;
}

int ipc_recv(int fd, struct buf *scratch, struct chan_msg *ret_m)
{
	struct received r = { .n_fds = 0 };
	struct chan_msg m = { 0 };
	int err = recv_one(fd, scratch, &r);

	if (!err)
		err = decode(scratch, &r, &m);
	if (err) {
		received_close(&r);
		return err;
	}
	memcpy(m.fds, r.fds, sizeof(int) * r.n_fds);
	m.n_fds = r.n_fds;
	*ret_m = m;
	return 0;
}
