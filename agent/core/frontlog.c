// SPDX-License-Identifier: Apache-2.0
/* frontlog.c - the log pipe of one front. svid-core. */
#include "agent/core/frontlog.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"

#define BYTES_PER_SECOND (32u << 10)

static void emit(struct frontlog *l)
{
	if (l->len)
		log_info(EV_FRONT_LOG, KV("front", V_U(l->front)), KV("says", V_B(slice_of(l->line, l->len))));
	l->len = 0;
}

static void take_bytes(struct frontlog *l, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || l->len == sizeof(l->line))
			emit(l);
		if (p[i] != '\n')
			l->line[l->len++] = p[i];
	}
}

static void on_pause_over(struct loop_timer *t)
{
	struct frontlog *l = container_of(t, struct frontlog, pause);

	if (loop_add(l->loop, &l->watch, EPOLLIN))
		frontlog_stop(l);
}

/* A front that says too much waits: its pipe fills up, and only itself is slower for it. */
static void on_ready(struct loop_watch *w, uint32_t events)
{
	struct frontlog *l = container_of(w, struct frontlog, watch);
	uint64_t second = clock_boot_ns() / NS_PER_S;
	char text[4096];
	ssize_t n = read(w->fd, text, sizeof(text));

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		emit(l);
		frontlog_stop(l);
		return;
	}
	if (n < 0)
		return;
	take_bytes(l, text, (size_t)n);
	if (l->second != second)
		l->budget = BYTES_PER_SECOND;
	l->second = second;
	l->budget = l->budget > (size_t)n ? l->budget - (size_t)n : 0;
	if (l->budget)
		return;
	loop_del(w);
	if (loop_timer_in(l->loop, &l->pause, NS_PER_S))
		frontlog_stop(l);
}

int frontlog_start(struct frontlog *l, struct loop *loop, int fd, uint32_t number)
{
	int err;

	*l = (struct frontlog){ .loop = loop, .front = number, .watch = { .fd = fd, .cb = on_ready },
				.pause.cb = on_pause_over };
	err = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : loop_add(loop, &l->watch, EPOLLIN);
	if (err)
		frontlog_stop(l);
	return err;
}

void frontlog_stop(struct frontlog *l)
{
	if (l->watch.fd < 0)
		return;
	loop_del(&l->watch);
	loop_timer_stop(&l->pause);
	close(l->watch.fd);
	l->watch.fd = -1;
}
