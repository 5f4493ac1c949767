// SPDX-License-Identifier: Apache-2.0
/*
 * The ways to use a descriptor. splice passes by security_socket_recvmsg and the tracepoint (reference/kernel.md K3), an
 * io_uring request may run in a worker or a polling thread (K2). Runs in svid-attack; used by fd_pass.c, io_uring.c and
 * file_ways.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/attack/attack.h"
#include "tests/attack/ways.h"

static ssize_t way_write(int fd, void *bytes, size_t len)
{
	return write(fd, bytes, len);
}

static ssize_t way_sendmsg(int fd, void *bytes, size_t len)
{
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return sendmsg(fd, &msg, MSG_NOSIGNAL);
}

static ssize_t way_splice_write(int fd, void *bytes, size_t len)
{
	int p[2];
	ssize_t n;

	if (pipe2(p, O_CLOEXEC) || write(p[1], bytes, len) != (ssize_t)len)
		die("pipe");
	n = splice(p[0], NULL, fd, NULL, len, 0);
	close(p[0]);
	close(p[1]);
	return n;
}

static ssize_t way_sendfile(int fd, void *bytes, size_t len)
{
	int file = memfd_create("request", MFD_CLOEXEC);
	off_t off = 0;
	ssize_t n;

	if (file < 0 || write(file, bytes, len) != (ssize_t)len)
		die("memfd");
	n = sendfile(fd, file, &off, len);
	close(file);
	return n;
}

static ssize_t way_uring_send(int fd, void *bytes, size_t len)
{
	return ring_move(fd, bytes, len, true, RING_INLINE);
}

static ssize_t way_uring_send_worker(int fd, void *bytes, size_t len)
{
	return ring_move(fd, bytes, len, true, RING_WORKER);
}

static ssize_t way_read(int fd, void *bytes, size_t len)
{
	return read(fd, bytes, len);
}

static ssize_t way_recvmsg(int fd, void *bytes, size_t len)
{
	struct iovec iov = {.iov_base = bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	return recvmsg(fd, &msg, 0);
}

static ssize_t way_peek(int fd, void *bytes, size_t len)
{
	return recv(fd, bytes, len, MSG_PEEK);
}

static ssize_t way_splice_read(int fd, void *bytes, size_t len)
{
	int p[2], error;
	ssize_t n;

	if (pipe2(p, O_CLOEXEC))
		die("pipe");
	n = splice(fd, NULL, p[1], NULL, len, 0);
	error = errno;
	if (n > 0)
		n = read(p[0], bytes, n);
	close(p[0]);
	close(p[1]);
	errno = error;
	return n;
}

static ssize_t way_uring_recv(int fd, void *bytes, size_t len)
{
	return ring_move(fd, bytes, len, false, RING_INLINE);
}

static ssize_t way_uring_recv_worker(int fd, void *bytes, size_t len)
{
	return ring_move(fd, bytes, len, false, RING_WORKER);
}

static const struct way ways[] = {
	{"write", true, false, way_write},
	{"sendmsg", true, false, way_sendmsg},
	{"splice-write", true, false, way_splice_write},
	{"sendfile", true, false, way_sendfile},
	{"uring-send", true, false, way_uring_send},
	{"uring-send-worker", true, false, way_uring_send_worker},
	{"read", false, false, way_read},
	{"recvmsg", false, false, way_recvmsg},
	{"peek", false, true, way_peek},
	{"splice-read", false, false, way_splice_read},
	{"uring-recv", false, false, way_uring_recv},
	{"uring-recv-worker", false, false, way_uring_recv_worker},
};

const struct way *way_find(const char *name)
{
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (strcmp(ways[i].name, name) == 0)
			return &ways[i];
	errno = EINVAL;
	die(name);
}

static void ring_open(struct io_uring *ring, enum ring_mode mode)
{
	struct io_uring_params params = {.flags = mode == RING_SQPOLL ? IORING_SETUP_SQPOLL : 0,
					 .sq_thread_idle = 2000};
	int err = io_uring_queue_init_params(8, ring, &params);

	if (err == -EPERM || err == -ENOSYS)
		skip("io_uring is disabled here");
	if (err) {
		errno = -err;
		die("io_uring_queue_init");
	}
}

/* Submits the one request that was prepared and returns its result, -errno. */
static int ring_run(struct io_uring *ring, struct io_uring_sqe *sqe, enum ring_mode mode)
{
	struct io_uring_cqe *cqe;
	int res;

	if (mode == RING_WORKER)
		io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
	res = io_uring_submit(ring);
	if (res >= 0)
		res = io_uring_wait_cqe(ring, &cqe);
	if (res >= 0) {
		res = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
	io_uring_queue_exit(ring);
	return res;
}

int ring_connect(const char *path, enum ring_mode mode)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int res;

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	ring_open(&ring, mode);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_connect(sqe, fd, (struct sockaddr *)&to, sizeof(to));
	res = ring_run(&ring, sqe, mode);
	if (res < 0) {
		errno = -res;
		die("connect by io_uring");
	}
	return fd;
}

ssize_t ring_move(int fd, void *bytes, size_t len, bool sends, enum ring_mode mode)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int res;

	ring_open(&ring, mode);
	sqe = io_uring_get_sqe(&ring);
	if (sends)
		io_uring_prep_send(sqe, fd, bytes, len, MSG_NOSIGNAL);
	else
		io_uring_prep_recv(sqe, fd, bytes, len, 0);
	res = ring_run(&ring, sqe, mode);
	if (res >= 0)
		return res;
	errno = -res;
	return -1;
}

ssize_t ring_fetch(int fd, void *bytes, size_t len, size_t off, enum ring_mode mode)
{
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int res;

	ring_open(&ring, mode);
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, fd, bytes, len, off);
	res = ring_run(&ring, sqe, mode);
	if (res >= 0)
		return res;
	errno = -res;
	return -1;
}
