// SPDX-License-Identifier: Apache-2.0
/*
 * floor.c - the least that a server of this kind can do: accept, read, answer with canned bytes.
 * One epoll loop, one thread, no identification of anybody. svid-bench.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/base/loop.h"
#include "agent/base/mem.h"
#include "tests/bench/bench.h"

struct peer {
	struct loop_watch watch;
	struct buf in;
	bool greeted;
};

static struct loop *the_loop;
static struct buf answer = BUF_INIT(1u << 20);
static size_t unary_len; /* not 0: each call ends with its answer */

static void peer_free(struct peer *p)
{
	loop_del(&p->watch);
	close(p->watch.fd);
	buf_done(&p->in);
	mem_free(p);
}

/* Every whole call of what came is answered and dropped. */
static int answer_calls(struct peer *p)
{
	AUTO(buf) struct buf out = BUF_INIT(1u << 20);
	struct slice in = buf_slice(&p->in);
	struct frame f;
	int err = 0;

	if (!p->greeted && !(p->greeted = wire_take_preface(&in)))
		return 0;
	while (!err && wire_next(&in, &f)) {
		if (f.type == WIRE_DATA && f.flags & END_STREAM)
			err = wire_unary_answer(&out, unary_len, f.stream);
	}
	buf_consume(&p->in, p->in.len - in.len);
	if (!err && out.len && send(p->watch.fd, out.data, out.len, MSG_NOSIGNAL) < 0)
		err = -errno;
	return err;
}

static void on_peer(struct loop_watch *w, uint32_t events)
{
	struct peer *p = container_of(w, struct peer, watch);
	uint8_t *to = buf_reserve(&p->in, 4096);
	ssize_t n = to ? read(w->fd, to, 4096) : -1;

	(void)events;
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		peer_free(p);
		return;
	}
	buf_added(&p->in, (size_t)n);
	if (unary_len) {
		if (answer_calls(p))
			peer_free(p);
		return;
	}
	if (!wire_request_done(buf_slice(&p->in)))
		return;
	buf_done(&p->in);
	if (send(w->fd, answer.data, answer.len, MSG_NOSIGNAL) < 0)
		peer_free(p);
}

static void on_accept(struct loop_watch *w, uint32_t events)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct peer *p = fd < 0 ? NULL : mem_new(struct peer);

	(void)events;
	if (!p) {
		if (fd >= 0)
			close(fd);
		return;
	}
	p->in = (struct buf)BUF_INIT(65536);
	p->watch = (struct loop_watch){ .fd = fd, .cb = on_peer };
	if (loop_add(the_loop, &p->watch, EPOLLIN))
		peer_free(p);
	else
		on_peer(&p->watch, EPOLLIN);
}

int cmd_floor(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct loop_watch listener = { .cb = on_accept };

	if (argc < 3 || loop_new(&the_loop) || wire_answer(&answer, strtoul(argv[2], NULL, 10)))
		return 2;
	unary_len = argc > 3 ? strtoul(argv[2], NULL, 10) : 0;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", argv[1]);
	unlink(argv[1]);
	listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(listener.fd, 1024) < 0 || loop_add(the_loop, &listener, EPOLLIN)) {
		perror(argv[1]);
		return 1;
	}
	return loop_run(the_loop) ? 1 : 0;
}
