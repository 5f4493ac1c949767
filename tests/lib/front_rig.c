// SPDX-License-Identifier: Apache-2.0
/* front_rig.c - see front_rig.h. Tests only. */
#include "tests/lib/front_rig.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "agent/base/secret.h"
#include "agent/ipc/plan.h"
#include "workloadapi/h2.h"

#define FRONT SVID_BIN "/svid-front"

static int pair_of(int type, int *ret_theirs)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static int make_words(struct rig *r)
{
	int fd = memfd_create("words", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, sizeof(struct svid_words)), 0);
	r->words = mmap(NULL, sizeof(struct svid_words), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(r->words != MAP_FAILED);
	return fd;
}

/* Descriptors 3, 4, 5 of the plan, from numbers that are out of their way. */
static void become_front(int core, int keys, int words)
{
	int from[] = { fcntl(core, F_DUPFD, 20), fcntl(keys, F_DUPFD, 20), fcntl(words, F_DUPFD, 20) };

	for (int i = 0; i < 3; i++)
		if (dup2(from[i], FD_CHANNEL + i) < 0)
			_exit(126);
	execl(FRONT, "svid-front", "--index=7", "--log=error", NULL);
	_exit(127);
}

void rig_start(struct rig *r)
{
	struct chan_msg m;
	int core, keys, words;

	*r = (struct rig){ .in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64) };
	r->core = pair_of(SOCK_SEQPACKET, &core);
	r->keys = pair_of(SOCK_SEQPACKET, &keys);
	words = make_words(r);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0)
		become_front(core, keys, words);
	close(core);
	close(keys);
	close(words);
	rig_receive(r, r->core, MSG_FR_READY, &m);
}

int rig_exit_status(struct rig *r)
{
	int status = 0;

	for (int i = 0; i < RIG_WAIT_MS / 5; i++) {
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			r->pid = 0;
			return status;
		}
		usleep(5000);
	}
	fail_msg("svid-front does not end");
	return status;
}

void rig_stop(struct rig *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	if (r->core >= 0)
		close(r->core);
	if (r->keys >= 0)
		close(r->keys);
	munmap(r->words, sizeof(struct svid_words));
	buf_done(&r->in);
}

int rig_descriptors(const struct rig *r)
{
	char path[64];
	int n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", r->pid);
	d = opendir(path);
	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

void rig_receive(struct rig *r, int fd, uint16_t type, struct chan_msg *m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
	assert_int_equal(ipc_recv(fd, &r->in, m), 0);
	assert_string_equal(msg_name(m->type), msg_name(type));
}

void rig_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char bytes[4096];
	ssize_t n;

	do {
		assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
		n = recv(fd, bytes, sizeof(bytes), 0);
	} while (n > 0);
	assert_true(n == 0 || errno == ECONNRESET);
}

void rig_send_set(struct rig *r, const struct test_set *set)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);

	test_set_put(&body, set);
	assert_int_equal(ipc_send(r->core, MSG_F_SET, 0, buf_slice(&body), NULL, 0), 0);
}

void rig_set(struct rig *r, uint64_t version, size_t n)
{
	struct test_set set = { .version = version, .n = n, .n_fed = 1, .der_bytes = 300 };

	rig_send_set(r, &set);
}

static int key_fd(uint32_t kind, uint32_t *ret_len)
{
	struct secret *key = test_key(kind);
	int fd;

	*ret_len = (uint32_t)secret_len(key);
	assert_int_equal(secret_to_fd(key, &fd), 0);
	secret_free(key);
	return fd;
}

int rig_key(int keys, const struct msg_FK_GET *get)
{
	uint32_t len;
	int fd = key_fd(get->kind, &len);
	int err = ipc_put_fds(keys, FK_KEY, 0, &fd, 1, .identity = get->identity, .kind = get->kind,
			      .generation = get->generation, .len = len);

	close(fd);
	return err;
}

void rig_give_keys(struct rig *r, size_t n)
{
	struct msg_FK_GET get;
	struct chan_msg m;

	for (size_t i = 0; i < n; i++) {
		rig_receive(r, r->keys, MSG_FK_GET, &m);
		assert_int_equal(msg_get_FK_GET(m.body, &get), 0);
		assert_int_equal(rig_key(r->keys, &get), 0);
	}
}

void rig_serve(struct rig *r, uint64_t version, size_t n)
{
	rig_set(r, version, n);
	rig_give_keys(r, n);
	rig_expect_set(r, version, 0);
}

int rig_try_connect(struct rig *r, uint64_t number, pid_t pid)
{
	int theirs, on = 1, ours = pair_of(SOCK_STREAM, &theirs);
	uint32_t slot = (uint32_t)(2 * number);
	int err;

	/* As accepted from a listener with SO_PASSCRED. */
	assert_int_equal(setsockopt(theirs, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	err = ipc_put_fds(r->core, F_CONN, 0, &theirs, 1, .conn = number, .pid = (uint32_t)pid, .conn_slot = slot,
			  .conn_value = r->words[slot], .holder_slot = slot + 1, .holder_value = r->words[slot + 1],
			  .err = r->conn_err);
	close(theirs);
	if (err)
		close(ours);
	return err ? err : ours;
}

int rig_connect(struct rig *r, uint64_t number, pid_t pid)
{
	int fd = rig_try_connect(r, number, pid);

	assert_true(fd >= 0);
	return fd;
}

/* rig_request() with this message. */
static void rig_request_with(struct buf *b, const char *path, struct slice message)
{
	AUTO(buf) struct buf block = BUF_INIT(1024);
	AUTO(buf) struct buf body = BUF_INIT(GRPC_PREFIX + LIM_GRPC_MESSAGE);
	struct slice rest;

	hpack_put(&block, ":method", slice_str("POST"));
	hpack_put(&block, ":scheme", slice_str("http"));
	hpack_put(&block, ":path", slice_str(path));
	hpack_put(&block, "content-type", slice_str("application/grpc"));
	hpack_put(&block, "workload.spiffe.io", slice_str("true"));
	buf_put_str(b, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	test_frame_put(b, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
	test_frame_put(b, H2_HEADERS, H2_END_HEADERS, 1, buf_slice(&block));
	buf_put_u8(&body, 0);
	buf_put_be32(&body, (uint32_t)message.len);
	buf_put_slice(&body, message);
	for (rest = buf_slice(&body); rest.len > H2_FRAME_MAX;)
		test_frame_put(b, H2_DATA, 0, 1, slice_get_bytes(&rest, H2_FRAME_MAX));
	test_frame_put(b, H2_DATA, H2_END_STREAM, 1, rest);
	assert_int_equal(buf_ok(b) || buf_ok(&body), 0);
}

void rig_request(struct buf *b, const char *path)
{
	rig_request_with(b, path, slice_of(NULL, 0));
}

int rig_try_send(int fd, const char *path, struct slice message)
{
	AUTO(buf) struct buf b = BUF_INIT(2 * LIM_GRPC_MESSAGE);

	rig_request_with(&b, path, message);
	return send(fd, b.data, b.len, MSG_NOSIGNAL) == (ssize_t)b.len ? 0 : -errno;
}

int rig_try_call(int fd, const char *path)
{
	return rig_try_send(fd, path, slice_of(NULL, 0));
}

void rig_call(int fd, const char *path, struct slice message)
{
	assert_int_equal(rig_try_send(fd, path, message), 0);
}

void rig_fetch(int fd)
{
	assert_int_equal(rig_try_call(fd, RIG_FETCH), 0);
}

void seen_init(struct seen *s)
{
	*s = (struct seen){ .raw = BUF_INIT(8u << 20), .grpc_status = -1 };
}

void seen_done(struct seen *s)
{
	buf_done(&s->raw);
}

/* Our blocks are literal: the status stands behind its name and a length. */
static int status_in(struct slice block)
{
	static const char name[] = "grpc-status";
	struct slice value;
	uint64_t status;

	for (; block.len > sizeof(name); (void)slice_get_u8(&block))
		if (slice_starts(block, slice_str(name)))
			break;
	(void)slice_get_bytes(&block, sizeof(name) - 1);
	value = slice_get_bytes(&block, slice_get_u8(&block));
	return slice_u64_dec(value, &status) ? -1 : (int)status;
}

static void take_frame(struct seen *s, uint8_t type, struct slice body, struct buf *data)
{
	int status;

	if (type == H2_DATA)
		buf_put_slice(data, body);
	if (type == H2_GOAWAY)
		s->goaway = true;
	if (type == H2_RST_STREAM)
		s->reset = true;
	if (type != H2_HEADERS)
		return;
	status = status_in(body);
	if (status >= 0)
		s->grpc_status = status;
}

static void count_messages(struct seen *s, struct slice data)
{
	s->data = data.len;
	s->messages = 0;
	s->whole = false;
	while (data.len) {
		(void)slice_get_u8(&data);
		(void)slice_get_bytes(&data, slice_get_be32(&data));
		if (!slice_ok(&data))
			return;
		s->messages++;
	}
	s->whole = true;
}

static void look(struct seen *s)
{
	AUTO(buf) struct buf data = BUF_INIT(8u << 20);
	struct slice in = buf_slice(&s->raw);
	struct test_frame f;

	while (test_frame_get(&in, &f))
		take_frame(s, f.type, f.body, &data);
	count_messages(s, buf_slice(&data));
}

void seen_once(struct seen *s, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	uint8_t bytes[16384];
	ssize_t n;

	assert_int_equal(poll(&p, 1, RIG_WAIT_MS), 1);
	n = recv(fd, bytes, sizeof(bytes), 0);
	assert_true(n >= 0 || errno == ECONNRESET);
	s->eof = n <= 0;
	if (n > 0)
		buf_put(&s->raw, bytes, (size_t)n);
	look(s);
}

void seen_read(struct seen *s, int fd, size_t messages)
{
	while (!s->eof && s->messages < messages && s->grpc_status < 0 && !s->reset)
		seen_once(s, fd);
}

void seen_to_end(struct seen *s, int fd)
{
	while (!s->eof)
		seen_once(s, fd);
}

int rig_caller(struct rig *r, struct seen *s, size_t n)
{
	rig_start(r);
	seen_init(s);
	rig_serve(r, 1, n);
	return rig_connect(r, 1, getpid());
}

int rig_first(struct rig *r, struct seen *s, size_t n)
{
	int fd = rig_caller(r, s, n);

	rig_fetch(fd);
	seen_read(s, fd, 1);
	return fd;
}

void rig_leave(struct rig *r, struct seen *s, int fd)
{
	close(fd);
	seen_done(s);
	rig_stop(r);
}

void rig_expect_closed(struct rig *r, uint64_t conn, int err)
{
	struct msg_FR_CLOSED closed;
	struct chan_msg m;

	rig_receive(r, r->core, MSG_FR_CLOSED, &m);
	assert_int_equal(msg_get_FR_CLOSED(m.body, &closed), 0);
	assert_int_equal(closed.conn, conn);
	assert_int_equal(closed.err, err);
}

void rig_expect_set(struct rig *r, uint64_t version, int err)
{
	struct msg_FR_SET set;
	struct chan_msg m;

	rig_receive(r, r->core, MSG_FR_SET, &m);
	assert_int_equal(msg_get_FR_SET(m.body, &set), 0);
	assert_int_equal(set.version, version);
	assert_int_equal(set.err, err);
}
