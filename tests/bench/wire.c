// SPDX-License-Identifier: Apache-2.0
/* wire.c - the few HTTP/2 frames that the load client and the floor server exchange. svid-bench. */
#include <errno.h>
#include <nghttp2/nghttp2.h>

#include "agent/base/mem.h"
#include "tests/bench/bench.h"

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
#define FRAME_HEAD 9
#define GRPC_HEAD 5

static void put_frame_head(struct buf *b, size_t len, uint8_t type, uint8_t flags, uint32_t stream)
{
	buf_put_u8(b, (uint8_t)(len >> 16));
	buf_put_u8(b, (uint8_t)(len >> 8));
	buf_put_u8(b, (uint8_t)len);
	buf_put_u8(b, type);
	buf_put_u8(b, flags);
	buf_put_be32(b, stream);
}

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)name, .namelen = strlen(name),
			     .value = (uint8_t *)(uintptr_t)value, .valuelen = strlen(value) };
}

static int put_headers(struct buf *b, const nghttp2_nv *nva, size_t n, uint8_t flags, uint32_t stream)
{
	nghttp2_hd_deflater *d;
	uint8_t block[1024];
	ssize_t len;

	if (nghttp2_hd_deflate_new(&d, 0))
		return -ENOMEM;
	len = nghttp2_hd_deflate_hd(d, block, sizeof(block), nva, n);
	nghttp2_hd_deflate_del(d);
	if (len < 0)
		return -ENOMEM;
	put_frame_head(b, (size_t)len, WIRE_HEADERS, END_HEADERS | flags, stream);
	buf_put(b, block, (size_t)len);
	return 0;
}

static int put_data(struct buf *out, struct slice message, uint8_t flags, uint32_t stream)
{
	put_frame_head(out, GRPC_HEAD + message.len, WIRE_DATA, flags, stream);
	buf_put_u8(out, 0);
	buf_put_be32(out, (uint32_t)message.len);
	buf_put_slice(out, message);
	return buf_ok(out);
}

int wire_hello(struct buf *out)
{
	static const uint8_t window[] = { 0, 4, 0x40, 0, 0, 0 }; /* SETTINGS_INITIAL_WINDOW_SIZE, 1 GiB */

	buf_put_str(out, PREFACE);
	put_frame_head(out, sizeof(window), WIRE_SETTINGS, 0, 0);
	buf_put(out, window, sizeof(window));
	put_frame_head(out, 4, WIRE_WINDOW_UPDATE, 0, 0);
	buf_put_be32(out, 0x7fff0000);
	return buf_ok(out);
}

static int put_call(struct buf *out, const char *path, struct slice message, uint8_t flags, uint32_t stream)
{
	const nghttp2_nv nva[] = {
		nv(":method", "POST"), nv(":scheme", "http"), nv(":path", path), nv(":authority", "localhost"),
		nv("content-type", "application/grpc"), nv("te", "trailers"), nv("workload.spiffe.io", "true"),
	};
	int err = put_headers(out, nva, ARRAY_SIZE(nva), 0, stream);

	return err ? err : put_data(out, message, flags, stream);
}

int wire_call(struct buf *out, const char *path, struct slice message, uint32_t stream)
{
	return put_call(out, path, message, END_STREAM, stream);
}

int wire_stream(struct buf *out, const char *path, struct slice message, uint32_t stream)
{
	return put_call(out, path, message, 0, stream);
}

int wire_more(struct buf *out, struct slice message, uint32_t stream)
{
	return put_data(out, message, 0, stream);
}

int wire_request(struct buf *out)
{
	int err = wire_hello(out);

	return err ? err : wire_call(out, "/SpiffeWorkloadAPI/FetchX509SVID", slice_of(NULL, 0), 1);
}

int wire_ack(struct buf *out, const struct frame *f)
{
	put_frame_head(out, f->type == WIRE_PING ? f->body.len : 0, f->type, END_STREAM, 0);
	if (f->type == WIRE_PING)
		buf_put_slice(out, f->body);
	return buf_ok(out);
}

static int put_message(struct buf *out, size_t len, uint32_t stream)
{
	const nghttp2_nv nva[] = { nv(":status", "200"), nv("content-type", "application/grpc") };
	int err = put_headers(out, nva, ARRAY_SIZE(nva), 0, stream);

	put_frame_head(out, GRPC_HEAD + len, WIRE_DATA, 0, stream);
	buf_put_u8(out, 0);
	buf_put_be32(out, (uint32_t)len);
	for (size_t i = 0; i < len; i++)
		buf_put_u8(out, (uint8_t)i);
	return err ? err : buf_ok(out);
}

int wire_answer(struct buf *out, size_t len)
{
	put_frame_head(out, 0, WIRE_SETTINGS, 0, 0);
	return put_message(out, len, 1);
}

int wire_unary_answer(struct buf *out, size_t len, uint32_t stream)
{
	const nghttp2_nv nva[] = { nv("grpc-status", "0") };
	int err = put_message(out, len, stream);

	return err ? err : put_headers(out, nva, ARRAY_SIZE(nva), END_STREAM, stream);
}

bool wire_next(struct slice *in, struct frame *f)
{
	struct slice s = *in;
	size_t len = (size_t)slice_get_u8(&s) << 16;

	len |= (size_t)slice_get_u8(&s) << 8;
	len |= slice_get_u8(&s);
	f->type = slice_get_u8(&s);
	f->flags = slice_get_u8(&s);
	f->stream = slice_get_be32(&s);
	f->body = slice_get_bytes(&s, len);
	if (!slice_ok(&s))
		return false;
	*in = s;
	return true;
}

/* The message may be spread over several DATA frames; only its length matters here. */
long wire_message_at(struct slice in)
{
	uint8_t head[GRPC_HEAD];
	size_t have = 0, want = 0;
	struct frame f;

	while (wire_next(&in, &f)) {
		if (f.type == WIRE_GOAWAY || (f.stream == 1 && f.type == WIRE_RST_STREAM) ||
		    (f.stream == 1 && f.type == WIRE_HEADERS && f.flags & END_STREAM))
			return -1;
		if (f.type != WIRE_DATA || f.stream != 1)
			continue;
		for (size_t i = 0; i < f.body.len && have + i < GRPC_HEAD; i++)
			head[have + i] = f.body.p[i];
		have += f.body.len;
		if (have < GRPC_HEAD)
			continue;
		want = (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
		if (have >= GRPC_HEAD + want)
			return (long)want;
	}
	return 0;
}

bool wire_take_preface(struct slice *in)
{
	if (!slice_starts(*in, slice_str(PREFACE)))
		return false;
	(void)slice_get_bytes(in, strlen(PREFACE));
	return true;
}

bool wire_request_done(struct slice in)
{
	struct frame f;

	if (!wire_take_preface(&in))
		return false;
	while (wire_next(&in, &f))
		if (f.type == WIRE_DATA && f.stream == 1 && f.flags & END_STREAM)
			return true;
	return false;
}
