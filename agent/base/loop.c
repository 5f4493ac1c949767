// SPDX-License-Identifier: Apache-2.0
/*
 * loop.c - epoll and a timer heap. Any role with a loop.
 *
 * epoll carries (slot, generation) instead of a pointer: a slot that was freed or used anew inside a
 * batch has another generation, so a stale event is dropped instead of reaching a dead object.
 */
#include "agent/base/loop.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"

#define BATCH 64
#define SPARE 16 /* places for timers */

struct slot {
	struct loop_watch *w; /* NULL = free */
	uint32_t gen;
	uint32_t next_free;
};

struct loop {
	int epfd;
	bool stop;
	struct slot *slots; /* index 0 unused */
	uint32_t n_slots;
	uint32_t free_slot; /* 0 = none */
	struct loop_timer **heap;
	uint32_t n_heap;
	uint32_t cap_heap;
};

/*
 * Room for one more, made while there are still some places: work that goes on by a timer would stand still for ever when that
 * cannot be armed, so memory that is short once must not be enough for it.
 */
static int heap_room(struct loop *l)
{
	uint32_t cap = l->cap_heap ? l->cap_heap * 2 : 2 * SPARE;
	struct loop_timer **heap;

	if (l->n_heap + SPARE < l->cap_heap)
		return 0;
	heap = mem_realloc_array(l->heap, cap, sizeof(struct loop_timer *));
	if (!heap)
		return l->n_heap < l->cap_heap ? 0 : -ENOMEM;
	l->heap = heap;
	l->cap_heap = cap;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	close(l->epfd);
	mem_free(l->slots);
	mem_free(l->heap);
	mem_free(l);
}

int loop_new(struct loop **ret_loop)
{
	struct loop *l = mem_new(struct loop);

	if (!l)
		return -ENOMEM;
	l->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (l->epfd < 0) {
		int err = -errno;

		mem_free(l);
		return err;
	}
	l->n_slots = 1;
	if (heap_room(l)) {
		loop_free(l);
		return -ENOMEM;
	}
	*ret_loop = l;
	return 0;
}

static int slot_get(struct loop *l, uint32_t *ret_slot)
{
	struct slot *slots;
	uint32_t n = l->free_slot;

	if (n) {
		l->free_slot = l->slots[n].next_free;
		*ret_slot = n;
		return 0;
	}
	if (!l->slots || (l->n_slots & (l->n_slots - 1)) == 0) {
		slots = mem_realloc_array(l->slots, (size_t)l->n_slots * 2, sizeof(*slots));
		if (!slots)
			return -ENOMEM;
		l->slots = slots;
	}
	n = l->n_slots++;
	l->slots[n] = (struct slot){ .gen = 1 };
	*ret_slot = n;
	return 0;
}

static void slot_put(struct loop *l, uint32_t n)
{
	l->slots[n].w = NULL;
	l->slots[n].gen++;
	l->slots[n].next_free = l->free_slot;
	l->free_slot = n;
}

static struct epoll_event event_of(const struct loop *l, uint32_t n, uint32_t events)
{
	return (struct epoll_event){ .events = events,
				     .data.u64 = (uint64_t)l->slots[n].gen << 32 | n };
}

int loop_add(struct loop *l, struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev;
	uint32_t n;
	int err = slot_get(l, &n);

	if (err)
		return err;
	ev = event_of(l, n, events);
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, w->fd, &ev) < 0) {
		err = -errno;
		slot_put(l, n);
		return err;
	}
	l->slots[n].w = w;
	w->slot = n;
	w->loop = l;
	return 0;
}

int loop_mod(struct loop_watch *w, uint32_t events)
{
	struct epoll_event ev = event_of(w->loop, w->slot, events);

	return epoll_ctl(w->loop->epfd, EPOLL_CTL_MOD, w->fd, &ev) < 0 ? -errno : 0;
}

void loop_del(struct loop_watch *w)
{
	if (!w->slot)
		return;
	epoll_ctl(w->loop->epfd, EPOLL_CTL_DEL, w->fd, NULL);
	slot_put(w->loop, w->slot);
	w->slot = 0;
}

static void heap_set(struct loop *l, uint32_t i, struct loop_timer *t)
{
	l->heap[i] = t;
	t->pos = i + 1;
}

static void heap_up(struct loop *l, uint32_t i)
{
	struct loop_timer *t = l->heap[i];

	while (i && l->heap[(i - 1) / 2]->due > t->due) {
		heap_set(l, i, l->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
	heap_set(l, i, t);
}

static void heap_down(struct loop *l, uint32_t i)
{
	struct loop_timer *t = l->heap[i];

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= l->n_heap)
			break;
		if (c + 1 < l->n_heap && l->heap[c + 1]->due < l->heap[c]->due)
			c++;
		if (l->heap[c]->due >= t->due)
			break;
		heap_set(l, i, l->heap[c]);
		i = c;
	}
	heap_set(l, i, t);
}

void loop_timer_stop(struct loop_timer *t)
{
	struct loop *l = t->loop;
	uint32_t i = t->pos;

	if (!i--)
		return;
	t->pos = 0;
	l->n_heap--;
	if (i == l->n_heap)
		return;
	heap_set(l, i, l->heap[l->n_heap]);
	heap_up(l, i);
	heap_down(l, l->heap[i]->pos - 1);
}

int loop_timer_in(struct loop *l, struct loop_timer *t, uint64_t ns)
{
	int err;

	loop_timer_stop(t);
	err = heap_room(l);
	if (err)
		return err;
	t->loop = l;
	t->due = clock_boot_ns() + ns;
	heap_set(l, l->n_heap, t);
	heap_up(l, l->n_heap++);
	return 0;
}

/* Only timers that were due when the batch began: a timer that re-arms itself at 0 cannot hold the loop. */
static void run_timers(struct loop *l)
{
	uint64_t now = clock_boot_ns();

	while (l->n_heap && l->heap[0]->due <= now) {
		struct loop_timer *t = l->heap[0];

		loop_timer_stop(t);
		t->cb(t);
	}
}

static int wait_ms(const struct loop *l, int timeout_ms)
{
	uint64_t now, ms;

	if (!l->n_heap)
		return timeout_ms;
	now = clock_boot_ns();
	if (l->heap[0]->due <= now)
		return 0;
	ms = (l->heap[0]->due - now + NS_PER_MS - 1) / NS_PER_MS;
	if (timeout_ms >= 0 && ms > (uint64_t)timeout_ms)
		return timeout_ms;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

int loop_once(struct loop *l, int timeout_ms)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(l->epfd, ev, BATCH, wait_ms(l, timeout_ms));

	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		struct slot *s = &l->slots[(uint32_t)ev[i].data.u64];

		if (s->w && s->gen == (uint32_t)(ev[i].data.u64 >> 32))
			s->w->cb(s->w, ev[i].events);
	}
	run_timers(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int err = 0;

	l->stop = false;
	while (!l->stop && !err)
		err = loop_once(l, -1);
	return err;
}

void loop_stop(struct loop *l)
{
	l->stop = true;
}
