// SPDX-License-Identifier: Apache-2.0
/* grpc_head.c - response headers and trailers of a call. svid-front. Source: gRPC over HTTP/2. Next: grpc.c. */
#include <stdio.h>

#include "workloadapi/grpc.h"

#define BLOCK_BYTES (LIM_GRPC_ERROR + 128) /* of a header block that we send */

/* gRPC over HTTP/2, Percent-Encoded: space to '~' but '%' as they are; cut before the limit. */
static void put_percent(struct buf *b, struct slice text)
{
	static const char hex[] = "0123456789ABCDEF";

	while (text.len && b->len + 3 <= LIM_GRPC_ERROR) {
		uint8_t c = slice_get_u8(&text);

		if (c >= 0x20 && c <= 0x7e && c != '%')
			buf_put_u8(b, c);
		else
			buf_printf(b, "%%%c%c", hex[c >> 4], hex[c & 15]);
	}
}

static void put_head(struct buf *b, unsigned int http)
{
	hpack_put_status(b, http);
	hpack_put(b, "content-type", slice_str("application/grpc"));
}

void call_send_head(struct call *c)
{
	AUTO(buf) struct buf block = BUF_INIT(BLOCK_BYTES);

	if (c->s.head_sent)
		return;
	put_head(&block, 200);
	if (buf_ok(&block))
		h2_reset(&c->s, H2_INTERNAL_ERROR);
	else
		h2_headers(&c->s, buf_slice(&block), false);
}

void call_send_outcome(struct call *c, struct slice about)
{
	AUTO(buf) struct buf block = BUF_INIT(BLOCK_BYTES);
	AUTO(buf) struct buf text = BUF_INIT(LIM_GRPC_ERROR);
	char status[12];
	int n = snprintf(status, sizeof(status), "%d", (int)c->outcome.status);

	if (!c->s.head_sent)
		put_head(&block, c->outcome.http ? c->outcome.http : 200);
	hpack_put(&block, "grpc-status", slice_of(status, (size_t)n));
	if (c->outcome.text) {
		put_percent(&text, slice_str(c->outcome.text));
		put_percent(&text, slice_str(about.len ? ": " : NULL));
		put_percent(&text, about);
		hpack_put(&block, "grpc-message", buf_slice(&text));
	}
	if (c->outcome.status == GRPC_UNIMPLEMENTED && c->req.encoding)
		hpack_put(&block, "grpc-accept-encoding", slice_str("identity"));
	if (buf_ok(&block) || buf_ok(&text))
		h2_reset(&c->s, H2_INTERNAL_ERROR);
	else
		h2_headers(&c->s, buf_slice(&block), true);
}
