/* SPDX-License-Identifier: Apache-2.0 */
/* request.c - header lists of requests, well-formed or not, in HPACK. svid-conformance; see wire.h. */
#include <errno.h>

#include "conformance/wire.h"

enum { FIELDS = 16 };

static void add(nghttp2_nv *nva, size_t *n, const char *name, const char *value)
{
	if (!value)
		return;
	nva[(*n)++] = (nghttp2_nv){
		.name = (uint8_t *)name,
		.namelen = strlen(name),
		.value = (uint8_t *)value,
		.valuelen = strlen(value),
	};
}

static size_t list(const struct request *q, nghttp2_nv nva[FIELDS])
{
	size_t n = 0;

	add(nva, &n, ":method", q->method);
	add(nva, &n, ":scheme", q->scheme);
	add(nva, &n, ":path", q->path);
	add(nva, &n, ":authority", q->authority);
	add(nva, &n, "content-type", q->content_type);
	add(nva, &n, "te", q->te);
	add(nva, &n, "grpc-timeout", q->timeout);
	add(nva, &n, "workload.spiffe.io", q->security);
	for (size_t i = 0; i < ARRAY_SIZE(q->extra) && q->extra[i].name; i++)
		add(nva, &n, q->extra[i].name, q->extra[i].value);
	return n;
}

int wire_block(struct wire *w, const struct request *q, struct buf *ret_block)
{
	nghttp2_nv nva[FIELDS];
	size_t n = list(q, nva);
	size_t room = nghttp2_hd_deflate_bound(w->deflater, nva, n);
	uint8_t *p = buf_reserve(ret_block, room);

	if (!p)
		return -ENOMEM;
	ssize_t len = nghttp2_hd_deflate_hd(w->deflater, p, room, nva, n);

	if (len < 0)
		return -ENOMEM;
	buf_added(ret_block, (size_t)len);
	return 0;
}

/* In frames of the size that every peer must take. */
static int send_block(struct wire *w, uint32_t id, uint8_t flags, struct slice block)
{
	uint8_t type = NGHTTP2_HEADERS;
	int err = 0;

	while (!err && (block.len || type == NGHTTP2_HEADERS)) {
		struct slice part = slice_get_bytes(&block, block.len < 16384 ? block.len : 16384);

		if (block.len == 0)
			flags |= NGHTTP2_FLAG_END_HEADERS;
		err = wire_frame(w, type, flags, id, part.p, part.len);
		type = NGHTTP2_CONTINUATION;
		flags = 0;
	}
	return err;
}

int wire_open(struct wire *w, const struct request *q, uint8_t flags, uint32_t *ret_id)
{
	AUTO(buf) struct buf block = BUF_INIT(1 << 20);
	int err = wire_block(w, q, &block);

	if (err)
		return err;
	uint32_t id = w->next_id;

	w->next_id += 2;
	err = send_block(w, id, flags, buf_slice(&block));
	if (!err)
		*ret_id = id;
	return err;
}

int wire_call(struct wire *w, const struct request *q, uint32_t *ret_id)
{
	uint32_t id;
	int err = wire_open(w, q, 0, &id);

	if (err)
		return err;
	err = wire_frame(w, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, id, "\0\0\0\0\0", 5);
	if (!err)
		*ret_id = id;
	return err;
}
