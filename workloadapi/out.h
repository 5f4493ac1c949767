/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out.h - what a connection has to send, in order: own bytes and ranges of shared messages. svid-front.
 *
 * Own bytes (frame headers, header blocks, acknowledgements) are copied and bounded; message bytes are
 * only pointed at. An empty queue holds no memory: most connections are idle most of the time.
 */
#ifndef FRONT_OUT_H
#define FRONT_OUT_H

#include <sys/uio.h>

#include "agent/base/buf.h"
#include "workloadapi/message.h"

struct out_part {
	struct message *msg; /* NULL: the next @len own bytes */
	uint32_t off;
	uint32_t len;
};

struct out {
	struct buf own;
	struct out_part *parts;
	uint32_t first, n, cap; /* parts[first .. first + n) wait */
	uint32_t own_sent;	/* bytes of own that left already */
	uint32_t shared;	/* message bytes that wait */
	int err;		/* sticky: -ENOMEM, -ERR_SIZE */
};

/** out_init() - empty; at most LIM_CONN_OUT own bytes. */
void out_init(struct out *o);

/** out_done() - drop everything that waits. */
void out_done(struct out *o);

/** out_bytes() - append own bytes. Failure is sticky, see out_ok(). */
void out_bytes(struct out *o, const void *p, size_t n);

/** out_message() - append @len bytes of @m from @off; takes a reference of its own. */
void out_message(struct out *o, struct message *m, uint32_t off, uint32_t len);

/** out_iov() - describe what waits in at most @max entries of @iov; returns how many were filled. */
size_t out_iov(const struct out *o, struct iovec *iov, size_t max);

/** out_sent() - the first @n bytes of what waits are on their way. */
void out_sent(struct out *o, size_t n);

static inline bool out_empty(const struct out *o)
{
	return o->n == 0;
}

/** out_ok() - 0, or the first failure. Errors: -ENOMEM, -ERR_SIZE (too many own bytes wait). */
MUST int out_ok(const struct out *o);

#endif
