// SPDX-License-Identifier: Apache-2.0
/* out.c - the send queue of one connection. svid-front. */
#include "workloadapi/out.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"

#define FIRST_PARTS 8 /* SETTINGS, headers and one message fit */

void out_init(struct out *o)
{
	*o = (struct out){ .own = BUF_INIT(LIM_CONN_OUT) };
}

static void release(struct out *o)
{
	buf_done(&o->own);
	mem_free(o->parts);
	o->parts = NULL;
	o->first = o->n = o->cap = 0;
	o->own_sent = o->shared = 0;
}

void out_done(struct out *o)
{
	for (uint32_t i = 0; i < o->n; i++)
		message_unref(o->parts[o->first + i].msg);
	release(o);
}

/* Make room for one part behind the last. */
static int grow(struct out *o)
{
	struct out_part *parts;
	uint32_t cap = o->cap ? o->cap * 2 : FIRST_PARTS;

	if (o->first + o->n < o->cap)
		return 0;
	if (o->first) {
		memmove(o->parts, o->parts + o->first, o->n * sizeof(*o->parts));
		o->first = 0;
		return 0;
	}
	parts = mem_realloc_array(o->parts, cap, sizeof(*parts));
	if (!parts)
		return -ENOMEM;
	o->parts = parts;
	o->cap = cap;
	return 0;
}

static struct out_part *last(struct out *o)
{
	return o->n ? &o->parts[o->first + o->n - 1] : NULL;
}

static struct out_part *append(struct out *o)
{
	if (!o->err)
		o->err = grow(o);
	if (o->err)
		return NULL;
	o->n++;
	*last(o) = (struct out_part){ .msg = NULL };
	return last(o);
}

void out_bytes(struct out *o, const void *p, size_t n)
{
	struct out_part *part = last(o);

	if (o->err || !n)
		return;
	/* Sent bytes at the front are dropped before they count against the maximum. */
	if (o->own_sent && o->own.len + n > LIM_CONN_OUT) {
		buf_consume(&o->own, o->own_sent);
		o->own_sent = 0;
	}
	buf_put(&o->own, p, n);
	o->err = buf_ok(&o->own);
	if (o->err)
		return;
	if (!part || part->msg)
		part = append(o);
	if (part)
		part->len += (uint32_t)n;
}

void out_message(struct out *o, struct message *m, uint32_t off, uint32_t len)
{
	struct out_part *part = append(o);

	if (!part)
		return;
	*part = (struct out_part){ .msg = message_ref(m), .off = off, .len = len };
	o->shared += len;
}

size_t out_iov(const struct out *o, struct iovec *iov, size_t max)
{
	const uint8_t *own = o->own.data ? o->own.data + o->own_sent : NULL;
	size_t n = 0;

	for (; n < o->n && n < max; n++) {
		const struct out_part *part = &o->parts[o->first + n];
		const uint8_t *p = part->msg ? message_bytes(part->msg).p + part->off : own;

		if (!part->msg)
			own += part->len;
		iov[n] = (struct iovec){ .iov_base = (void *)(uintptr_t)p, .iov_len = part->len };
	}
	return n;
}

static void part_sent(struct out *o, struct out_part *part, uint32_t n)
{
	part->len -= n;
	if (!part->msg) {
		o->own_sent += n;
		return;
	}
	part->off += n;
	o->shared -= n;
}

void out_sent(struct out *o, size_t n)
{
	while (o->n && n) {
		struct out_part *part = &o->parts[o->first];
		uint32_t now = n < part->len ? (uint32_t)n : part->len;

		part_sent(o, part, now);
		n -= now;
		if (part->len)
			return;
		message_unref(part->msg);
		o->first++;
		o->n--;
	}
	if (!o->n)
		release(o);
}

int out_ok(const struct out *o)
{
	return o->err;
}
