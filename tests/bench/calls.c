// SPDX-License-Identifier: Apache-2.0
/* calls.c - the load client for unary calls: JWT-SVIDs and their validation, timed one by one. svid-bench. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "tests/bench/bench.h"

#define CONNS_MAX 64
#define ANSWER_MAX (1u << 20)

/* One connection with one call on it at a time. */
struct line {
	int fd;
	uint32_t stream;
	uint64_t sent;
	struct buf in, message; /* message: of the call that is going on, with its prefix */
};

struct load {
	const char *socket, *path;
	struct slice request;
	struct line lines[CONNS_MAX];
	size_t n_lines, wanted, started, done;
	uint64_t *took;
};

static int send_all(int fd, const struct buf *b)
{
	return send(fd, b->data, b->len, MSG_NOSIGNAL) == (ssize_t)b->len ? 0 : -EIO;
}

static int next_call(struct load *l, struct line *line)
{
	AUTO(buf) struct buf out = BUF_INIT(1u << 20);
	int err = 0;

	line->stream = line->stream ? line->stream + 2 : 1;
	if (line->stream == 1)
		err = wire_hello(&out);
	if (!err)
		err = wire_call(&out, l->path, l->request, line->stream);
	buf_reset(&line->message);
	l->started++;
	line->sent = clock_boot_ns();
	return err ? err : send_all(line->fd, &out);
}

/* 1 when the call is over; a call without a message is an error. */
static int take_frame(struct line *line, const struct frame *f)
{
	AUTO(buf) struct buf out = BUF_INIT(4096);
	bool ack = (f->type == WIRE_SETTINGS || f->type == WIRE_PING) && !(f->flags & END_STREAM);

	if (ack && wire_ack(&out, f) == 0)
		return send_all(line->fd, &out);
	if (f->type == WIRE_GOAWAY || f->type == WIRE_RST_STREAM)
		return -ERR_CLOSED;
	if (f->stream != line->stream)
		return 0;
	if (f->type == WIRE_DATA)
		buf_put_slice(&line->message, f->body);
	if ((f->type != WIRE_DATA && f->type != WIRE_HEADERS) || !(f->flags & END_STREAM))
		return 0;
	return line->message.len ? 1 : -ERR_NO_IDENTITY;
}

static int take_bytes(struct load *l, struct line *line)
{
	uint8_t *to = buf_reserve(&line->in, 65536);
	ssize_t n = to ? recv(line->fd, to, 65536, 0) : -1;
	int over = n > 0 ? 0 : -ERR_CLOSED;
	struct frame f;

	if (over)
		return over;
	buf_added(&line->in, (size_t)n);
	struct slice in = buf_slice(&line->in);

	while (!over && wire_next(&in, &f))
		over = take_frame(line, &f);
	buf_consume(&line->in, line->in.len - in.len);
	if (over < 1)
		return over;
	l->took[l->done++] = clock_boot_ns() - line->sent;
	return l->started < l->wanted ? next_call(l, line) : 0;
}

static int start(struct load *l, int epoll)
{
	int err = 0;

	for (size_t i = 0; i < l->n_lines && !err; i++) {
		struct line *line = &l->lines[i];
		struct epoll_event e = { .events = EPOLLIN, .data.ptr = line };

		line->in = line->message = (struct buf)BUF_INIT(ANSWER_MAX);
		err = wire_connect_to(l->socket, &line->fd);
		if (!err && epoll_ctl(epoll, EPOLL_CTL_ADD, line->fd, &e) < 0)
			err = -errno;
		if (!err)
			err = next_call(l, line);
	}
	return err;
}

static int run(struct load *l)
{
	struct epoll_event events[CONNS_MAX];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int err = start(l, epoll);

	while (!err && l->done < l->wanted) {
		int n = epoll_wait(epoll, events, CONNS_MAX, 10000);

		err = n > 0 ? 0 : -ETIMEDOUT;
		for (int i = 0; i < n && !err; i++)
			err = take_bytes(l, events[i].data.ptr);
	}
	close(epoll);
	return err;
}

static void finish(struct load *l)
{
	for (size_t i = 0; i < l->n_lines; i++) {
		if (l->lines[i].fd > 0)
			close(l->lines[i].fd);
		buf_done(&l->lines[i].in);
		buf_done(&l->lines[i].message);
	}
	mem_free(l->took);
}

static int load(struct load *l)
{
	l->took = mem_calloc(l->wanted, sizeof(*l->took));
	int err = l->took ? run(l) : -ENOMEM;

	if (err)
		fprintf(stderr, "call %zu of %s on %s: %s\n", l->done, l->path, l->socket, err_text(err));
	return err;
}

static int report(struct load *l)
{
	uint64_t begin = clock_boot_ns();
	int err = load(l);

	if (!err) {
		double seconds = (double)(clock_boot_ns() - begin) / 1e9;

		qsort(l->took, l->done, sizeof(*l->took), bench_by_value);
		printf("{\"n\":%zu,\"message_bytes\":%zu,\"p50_us\":%.1f,\"p99_us\":%.1f,\"per_s\":%.0f}\n", l->done,
		       l->lines[0].message.len - 5, (double)l->took[l->done / 2] / 1e3,
		       (double)l->took[l->done * 99 / 100] / 1e3, (double)l->done / seconds);
	}
	finish(l);
	return err ? 1 : 0;
}

static size_t number(int argc, char **argv, int at, size_t most)
{
	size_t n = argc > at ? strtoul(argv[at], NULL, 10) : 1;

	return n && n <= most ? n : 1;
}

static const char audience[] = "bench";

int cmd_jwt(int argc, char **argv)
{
	AUTO(buf) struct buf request = BUF_INIT(4096);
	struct load l = { .path = "/SpiffeWorkloadAPI/FetchJWTSVID" };

	if (argc < 3)
		return 2;
	pb_put(&request, 1, slice_str(audience));
	l.socket = argv[1];
	l.request = buf_slice(&request);
	l.wanted = number(argc, argv, 2, 100000000);
	l.n_lines = number(argc, argv, 3, CONNS_MAX);
	return report(&l);
}

/* The first token of one FetchJWTSVID answer. */
static int fetch_token(const char *socket, struct buf *ret)
{
	AUTO(buf) struct buf request = BUF_INIT(4096);
	struct load l = { .socket = socket, .path = "/SpiffeWorkloadAPI/FetchJWTSVID", .wanted = 1, .n_lines = 1 };
	struct slice message, svid[2];
	struct pb_field f;

	pb_put(&request, 1, slice_str(audience));
	l.request = buf_slice(&request);
	int err = load(&l);

	message = buf_slice(&l.lines[0].message);
	(void)slice_get_bytes(&message, 5);
	if (!err && pb_next(&message, &f) && f.number == 1 && !pb_strings(f.bytes, svid, 2))
		buf_put_slice(ret, svid[1]);
	finish(&l);
	return err ? err : ret->len ? 0 : -ERR_FORMAT;
}

int cmd_validate(int argc, char **argv)
{
	AUTO(buf) struct buf request = BUF_INIT(1u << 17);
	AUTO(buf) struct buf token = BUF_INIT(1u << 16);
	struct load l = { .path = "/SpiffeWorkloadAPI/ValidateJWTSVID" };

	if (argc < 3 || fetch_token(argv[1], &token))
		return 2;
	pb_put(&request, 1, slice_str(audience));
	pb_put(&request, 2, buf_slice(&token));
	l.socket = argv[1];
	l.request = buf_slice(&request);
	l.wanted = number(argc, argv, 2, 100000000);
	l.n_lines = number(argc, argv, 3, CONNS_MAX);
	return report(&l);
}
