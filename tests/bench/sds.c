// SPDX-License-Identifier: Apache-2.0
/* sds.c - the load client for Envoy SDS: connections with a stream for each name, held while secrets change. svid-bench. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "tests/bench/bench.h"

#define STREAM_PATH "/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets"
#define SECRET_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
#define MESSAGE_MAX (1u << 20)

enum { NAMES_MAX = 4, PUSHES_MAX = 64, WAIT_MS = 10000 };
enum { VERSION = 1, NAME = 3, TYPE = 4, NONCE = 5 }; /* fields of requests and answers */

/* One subscription. */
struct sub {
	struct buf message; /* that is coming in, with its prefix */
	size_t n_pushes;    /* the first answer included */
};

/* One proxy: a connection with a stream for each name. */
struct proxy {
	int fd;
	struct buf in;
	struct sub subs[NAMES_MAX];
};

/* When an answer after the first one came to the first and to the last stream of a name. */
struct push {
	int64_t first_ms, last_ms;
	size_t streams;
};

struct hold {
	const char *names[NAMES_MAX];
	size_t n_names, n_proxies, answered;
	struct proxy *proxies;
	struct push pushes[NAMES_MAX][PUSHES_MAX];
	int epoll;
};

static int request(struct buf *out, const char *name, struct slice version, struct slice nonce)
{
	pb_put(out, VERSION, version);
	pb_put(out, NAME, slice_str(name));
	pb_put(out, TYPE, slice_str(SECRET_TYPE));
	pb_put(out, NONCE, nonce);
	return buf_ok(out);
}

static int send_all(int fd, const struct buf *b)
{
	return send(fd, b->data, b->len, MSG_NOSIGNAL) == (ssize_t)b->len ? 0 : -EIO;
}

static uint32_t stream_of(size_t name)
{
	return (uint32_t)(name * 2 + 1);
}

static int open_proxy(struct hold *h, struct proxy *p, const char *socket)
{
	AUTO(buf) struct buf out = BUF_INIT(1u << 16);
	struct epoll_event e = { .events = EPOLLIN, .data.ptr = p };
	int err = wire_connect_to(socket, &p->fd);

	if (!err)
		err = wire_hello(&out);
	for (size_t i = 0; i < h->n_names && !err; i++) {
		AUTO(buf) struct buf m = BUF_INIT(1u << 12);

		err = request(&m, h->names[i], slice_of(NULL, 0), slice_of(NULL, 0));
		if (!err)
			err = wire_stream(&out, STREAM_PATH, buf_slice(&m), stream_of(i));
	}
	p->in = (struct buf)BUF_INIT(MESSAGE_MAX);
	for (size_t i = 0; i < NAMES_MAX; i++)
		p->subs[i].message = (struct buf)BUF_INIT(MESSAGE_MAX);
	if (!err)
		err = send_all(p->fd, &out);
	if (!err && epoll_ctl(h->epoll, EPOLL_CTL_ADD, p->fd, &e) < 0)
		err = -errno;
	return err;
}

static void note_push(struct hold *h, size_t name, size_t n)
{
	struct push *push = &h->pushes[name][n - 1];
	int64_t now = clock_wall_ms();

	if (!push->streams++)
		push->first_ms = now;
	push->last_ms = now;
}

/* A whole answer is taken as Envoy takes it: with an ACK. */
static int confirm(struct hold *h, struct proxy *p, size_t name, struct slice answer)
{
	AUTO(buf) struct buf m = BUF_INIT(1u << 12);
	AUTO(buf) struct buf out = BUF_INIT(1u << 13);
	struct slice fields[NONCE];
	int err = pb_strings(answer, fields, ARRAY_SIZE(fields));

	if (!err)
		err = request(&m, h->names[name], fields[VERSION - 1], fields[NONCE - 1]);
	if (!err)
		err = wire_more(&out, buf_slice(&m), stream_of(name));
	return err ? err : send_all(p->fd, &out);
}

static int take_data(struct hold *h, struct proxy *p, size_t name, struct slice body)
{
	struct sub *s = &p->subs[name];

	buf_put_slice(&s->message, body);
	struct slice m = buf_slice(&s->message);

	(void)slice_get_u8(&m);
	uint32_t len = slice_get_be32(&m);

	if (!slice_ok(&m) || m.len < len)
		return buf_ok(&s->message);
	if (s->n_pushes && s->n_pushes < PUSHES_MAX)
		note_push(h, name, s->n_pushes);
	h->answered += s->n_pushes++ == 0;
	int err = confirm(h, p, name, slice_get_bytes(&m, len));

	buf_done(&s->message);
	s->message = (struct buf)BUF_INIT(MESSAGE_MAX);
	return err;
}

static int take_frame(struct hold *h, struct proxy *p, const struct frame *f)
{
	AUTO(buf) struct buf out = BUF_INIT(4096);
	bool ack = (f->type == WIRE_SETTINGS || f->type == WIRE_PING) && !(f->flags & END_STREAM);

	if (ack && wire_ack(&out, f) == 0)
		return send_all(p->fd, &out);
	if (f->type == WIRE_GOAWAY || f->type == WIRE_RST_STREAM || (f->type == WIRE_HEADERS && f->flags & END_STREAM))
		return -ERR_CLOSED;
	if (f->type != WIRE_DATA || !(f->stream & 1) || f->stream / 2 >= h->n_names)
		return 0;
	return take_data(h, p, f->stream / 2, f->body);
}

static int take_bytes(struct hold *h, struct proxy *p)
{
	uint8_t *to = buf_reserve(&p->in, 16384);
	ssize_t n = to ? recv(p->fd, to, 16384, 0) : -1;
	int err = n > 0 ? 0 : -ERR_CLOSED;
	struct frame f;

	if (err)
		return err;
	buf_added(&p->in, (size_t)n);
	struct slice in = buf_slice(&p->in);

	while (!err && wire_next(&in, &f))
		err = take_frame(h, p, &f);
	buf_consume(&p->in, p->in.len - in.len);
	return err;
}

/* Until every stream has its first answer, or, then, until stdin ends. */
static int run(struct hold *h, bool begin)
{
	struct epoll_event events[64];

	while (!begin || h->answered < h->n_proxies * h->n_names) {
		int n = epoll_wait(h->epoll, events, ARRAY_SIZE(events), begin ? WAIT_MS : -1);

		if (n <= 0)
			return -ETIMEDOUT;
		for (int i = 0; i < n; i++) {
			int err = events[i].data.ptr ? take_bytes(h, events[i].data.ptr) : 0;

			if (err)
				return err;
			if (!events[i].data.ptr && !begin)
				return 0;
		}
	}
	return 0;
}

static int watch_stdin(struct hold *h)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLHUP };

	return epoll_ctl(h->epoll, EPOLL_CTL_ADD, STDIN_FILENO, &e) < 0 ? -errno : 0;
}

static void report(const struct hold *h)
{
	const char *between = "";

	printf("{\"pushes\":[");
	for (size_t name = 0; name < h->n_names; name++) {
		for (size_t i = 0; i < PUSHES_MAX && h->pushes[name][i].streams; i++) {
			const struct push *p = &h->pushes[name][i];

			printf("%s{\"name\":\"%s\",\"first_ms\":%" PRId64 ",\"last_ms\":%" PRId64 ",\"streams\":%zu}", between,
			       h->names[name], p->first_ms, p->last_ms, p->streams);
			between = ",";
		}
	}
	printf("]}\n");
}

static int hold_all(struct hold *h, const char *socket)
{
	int err = 0;

	for (size_t i = 0; i < h->n_proxies && !err; i++)
		err = open_proxy(h, &h->proxies[i], socket);
	if (!err)
		err = run(h, true);
	if (err)
		return err;
	printf("held %zu\n", h->answered);
	fflush(stdout);
	err = watch_stdin(h);
	return err ? err : run(h, false);
}

int cmd_sds(int argc, char **argv)
{
	static struct hold h;
	struct rlimit files = { .rlim_cur = 65536, .rlim_max = 65536 };

	h.n_proxies = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	for (int i = 3; i < argc && h.n_names < NAMES_MAX; i++)
		h.names[h.n_names++] = argv[i];
	h.proxies = mem_calloc(h.n_proxies, sizeof(*h.proxies));
	h.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!h.n_proxies || !h.n_names || !h.proxies || h.epoll < 0)
		return 2;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	int err = hold_all(&h, argv[1]);

	if (err)
		fprintf(stderr, "%zu of %zu streams on %s: %s\n", h.answered, h.n_proxies * h.n_names, argv[1], err_text(err));
	else
		report(&h);
	return err ? 1 : 0;
}
