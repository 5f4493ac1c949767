// SPDX-License-Identifier: Apache-2.0
/* h2.c - reading HTTP/2 frames from a client that may send anything. svid-front. Next: request.c, grpc.c. */
#include "workloadapi/h2.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

struct frame {
	uint8_t type, flags;
	uint32_t id;
	struct slice body;
};

/* The connection is beyond repair: say why, read nothing more. */
static void fail(struct h2 *h, enum h2_error code)
{
	if (h->err)
		return;
	h2_goaway(h, code);
	h->err = -ERR_REQUEST;
}

static void fail_mem(struct h2 *h)
{
	if (!h->err)
		h->err = -ENOMEM;
}

static struct h2_stream *find(struct h2 *h, uint32_t id)
{
	struct h2_stream *s;

	list_for_each(s, &h->streams, node)
		if (s->id == id)
			return s->dead ? NULL : s;
	return NULL;
}

/* A stream that the client has not opened yet must not be named (5.1). */
static bool is_idle(const struct h2 *h, uint32_t id)
{
	return id % 2 == 0 || id > h->last_id;
}

static struct h2_stream *stream_open(struct h2 *h, uint32_t id)
{
	struct h2_stream *s = mem_calloc(1, h->ops->stream_size);

	if (!s) {
		fail_mem(h);
		return NULL;
	}
	s->h2 = h;
	s->id = id;
	s->send_window = h->peer_window;
	s->recv_window = H2_WINDOW;
	list_add_tail(&h->streams, &s->node);
	h->n_streams++;
	return s;
}

static void remote_end(struct h2_stream *s)
{
	s->remote_end = true;
	if (!s->dead)
		s->h2->ops->end(s);
}

/* Drop the padding (6.1, 6.2). A pad length that does not fit is a connection error. */
static bool unpad(struct h2 *h, struct frame *f)
{
	uint8_t pad;

	if (!(f->flags & H2_PADDED))
		return true;
	pad = slice_get_u8(&f->body);
	if (!slice_ok(&f->body) || pad > f->body.len) {
		fail(h, H2_PROTOCOL_ERROR);
		return false;
	}
	f->body.len -= pad;
	return true;
}

/* Every byte of a DATA frame counts against the windows, also of a stream that is gone. */
static bool take_window(struct h2 *h, struct h2_stream *s, size_t len)
{
	h->recv_window -= (int32_t)len;
	if (h->recv_window < 0) {
		fail(h, H2_FLOW_CONTROL_ERROR);
		return false;
	}
	if (!s)
		return true;
	s->recv_window -= (int32_t)len;
	if (s->recv_window < 0) {
		h2_reset(s, H2_FLOW_CONTROL_ERROR);
		return false;
	}
	return true;
}

static void on_data(struct h2 *h, struct frame *f)
{
	struct h2_stream *s = find(h, f->id);

	if (is_idle(h, f->id)) {
		fail(h, H2_PROTOCOL_ERROR);
		return;
	}
	if (!take_window(h, s, f->body.len) || !unpad(h, f))
		return;
	if (s && s->remote_end) {
		h2_reset(s, H2_STREAM_CLOSED);
	} else if (s) {
		if (f->body.len)
			h->ops->data(s, f->body);
		if (f->flags & H2_END_STREAM)
			remote_end(s);
	}
	h2_credit(h, s);
}

/* Where the fields of a block go: a new request, trailers, or nowhere. */
struct block_sink {
	struct h2 *h;
	struct h2_stream *s;
	bool trailers;
	bool bad;
};

static void on_field(void *arg, struct slice name, struct slice value)
{
	struct block_sink *k = arg;

	if (k->trailers)
		k->bad |= name.len == 0 || name.p[0] == ':'; /* 8.1: no pseudo fields in trailers */
	else if (k->s && !k->s->dead)
		k->h->ops->field(k->s, name, value);
}

static void block_done(struct h2 *h, const struct block_sink *k, bool end)
{
	struct h2_stream *s = k->s;

	if (!s || s->dead)
		return;
	if (k->trailers && (k->bad || !end || s->remote_end)) {
		h2_reset(s, s->remote_end ? H2_STREAM_CLOSED : H2_PROTOCOL_ERROR);
		return;
	}
	if (!k->trailers)
		h->ops->head(s);
	if (end)
		remote_end(s);
}

static void refuse(struct h2 *h, uint32_t id)
{
	static const uint8_t code[4] = { 0, 0, 0, H2_REFUSED_STREAM };

	h2_frame(h, H2_RST_STREAM, 0, id, slice_of(code, sizeof(code)));
}

/* A whole header block. It is decoded even when nobody wants it: later blocks may depend on it. */
static void read_block(struct h2 *h, uint32_t id, struct slice block, bool end)
{
	struct block_sink k = { .h = h, .s = find(h, id) };
	bool is_new = id > h->last_id;
	int err;

	k.trailers = k.s != NULL;
	if (is_new) {
		h->last_id = id;
		if (h->n_streams >= LIM_STREAMS || h->closing)
			refuse(h, id);
		else
			k.s = stream_open(h, id);
	}
	err = hpack_read(&h->hpack, block, on_field, &k);
	if (err == -ENOMEM)
		fail_mem(h);
	else if (err)
		fail(h, H2_COMPRESSION_ERROR);
	else
		block_done(h, &k, end);
}

static void on_headers(struct h2 *h, struct frame *f)
{
	bool end = f->flags & H2_END_STREAM;

	if (f->id % 2 == 0) {
		fail(h, H2_PROTOCOL_ERROR);
		return;
	}
	if (!unpad(h, f))
		return;
	if (f->flags & H2_PRIORITY_FLAG)
		(void)slice_get_bytes(&f->body, 5);
	if (!slice_ok(&f->body)) {
		fail(h, H2_FRAME_SIZE_ERROR);
		return;
	}
	if (f->flags & H2_END_HEADERS) {
		read_block(h, f->id, f->body, end);
		return;
	}
	h->block_id = f->id;
	h->block_end = end;
	buf_put_slice(&h->block, f->body);
}

static void on_continuation(struct h2 *h, struct frame *f)
{
	uint32_t id = h->block_id;

	if (!id || f->id != id) {
		fail(h, H2_PROTOCOL_ERROR);
		return;
	}
	/* Empty ones would keep the block open for ever at no cost to the client. */
	if (!f->body.len && !(f->flags & H2_END_HEADERS)) {
		fail(h, H2_ENHANCE_YOUR_CALM);
		return;
	}
	buf_put_slice(&h->block, f->body);
	if (buf_ok(&h->block) || !(f->flags & H2_END_HEADERS))
		return;
	h->block_id = 0;
	read_block(h, id, buf_slice(&h->block), h->block_end);
	buf_done(&h->block);
}

static void on_rst_stream(struct h2 *h, struct frame *f)
{
	struct h2_stream *s = find(h, f->id);

	if (f->body.len != 4)
		fail(h, H2_FRAME_SIZE_ERROR);
	else if (is_idle(h, f->id))
		fail(h, H2_PROTOCOL_ERROR);
	else if (s)
		h2_kill(s); /* the normal end of a one-shot fetch */
}

static void set_window(struct h2 *h, uint32_t value)
{
	int64_t delta = (int64_t)value - h->peer_window;
	struct h2_stream *s;

	h->peer_window = (int32_t)value;
	list_for_each(s, &h->streams, node) {
		int64_t window = s->send_window + delta;

		if (window > INT32_MAX) {
			fail(h, H2_FLOW_CONTROL_ERROR);
			return;
		}
		s->send_window = (int32_t)window;
	}
}

static void on_setting(struct h2 *h, uint16_t id, uint32_t value)
{
	if (id == H2_SET_PUSH && value > 1)
		fail(h, H2_PROTOCOL_ERROR);
	else if (id == H2_SET_FRAME && (value < H2_FRAME_MAX || value >= 1u << 24))
		fail(h, H2_PROTOCOL_ERROR);
	else if (id == H2_SET_WINDOW && value > INT32_MAX)
		fail(h, H2_FLOW_CONTROL_ERROR);
	else if (id == H2_SET_WINDOW)
		set_window(h, value);
	/* Table size and header list size bound what we never reach; unknown ones are ignored (6.5.2). */
}

static void on_settings(struct h2 *h, struct frame *f)
{
	if (f->id) {
		fail(h, H2_PROTOCOL_ERROR);
		return;
	}
	if (f->flags & H2_ACK ? f->body.len : f->body.len % 6) {
		fail(h, H2_FRAME_SIZE_ERROR);
		return;
	}
	if (f->flags & H2_ACK) {
		hpack_applied(&h->hpack);
		return;
	}
	h->settings = true;
	while (f->body.len && !h->err) {
		uint16_t id = (uint16_t)(slice_get_u8(&f->body) << 8);

		id |= slice_get_u8(&f->body);
		on_setting(h, id, slice_get_be32(&f->body));
	}
	if (!h->err)
		h2_frame(h, H2_SETTINGS, H2_ACK, 0, slice_of(NULL, 0));
}

static void on_ping(struct h2 *h, struct frame *f)
{
	if (f->id)
		fail(h, H2_PROTOCOL_ERROR);
	else if (f->body.len != 8)
		fail(h, H2_FRAME_SIZE_ERROR);
	else if (!(f->flags & H2_ACK))
		h2_frame(h, H2_PING, H2_ACK, 0, f->body);
}

static void on_goaway(struct h2 *h, struct frame *f)
{
	if (f->id)
		fail(h, H2_PROTOCOL_ERROR);
	else if (f->body.len < 8)
		fail(h, H2_FRAME_SIZE_ERROR);
}

static void stream_update(struct h2_stream *s, uint32_t n)
{
	if (!n)
		h2_reset(s, H2_PROTOCOL_ERROR);
	else if (s->send_window > 0 && n > (uint32_t)(INT32_MAX - s->send_window))
		h2_reset(s, H2_FLOW_CONTROL_ERROR);
	else
		s->send_window += (int32_t)n;
}

static void on_window_update(struct h2 *h, struct frame *f)
{
	struct h2_stream *s = find(h, f->id);
	uint32_t n;

	if (f->body.len != 4) {
		fail(h, H2_FRAME_SIZE_ERROR);
		return;
	}
	n = slice_get_be32(&f->body) & 0x7fffffff;
	if (f->id && is_idle(h, f->id))
		fail(h, H2_PROTOCOL_ERROR);
	else if (s)
		stream_update(s, n);
	else if (!f->id && !n)
		fail(h, H2_PROTOCOL_ERROR);
	else if (!f->id && h->send_window + n > INT32_MAX)
		fail(h, H2_FLOW_CONTROL_ERROR);
	else if (!f->id)
		h->send_window += n;
}

static void on_priority(struct h2 *h, struct frame *f)
{
	if (!f->id)
		fail(h, H2_PROTOCOL_ERROR);
	else if (f->body.len != 5)
		fail(h, H2_FRAME_SIZE_ERROR);
}

static void on_push_promise(struct h2 *h, struct frame *f)
{
	(void)f;
	fail(h, H2_PROTOCOL_ERROR); /* 8.4: a client cannot push */
}

static void on_frame(struct h2 *h, struct frame *f)
{
	static void (*const handlers[])(struct h2 *, struct frame *) = {
		[H2_DATA] = on_data,
		[H2_HEADERS] = on_headers,
		[H2_PRIORITY] = on_priority,
		[H2_RST_STREAM] = on_rst_stream,
		[H2_SETTINGS] = on_settings,
		[H2_PUSH_PROMISE] = on_push_promise,
		[H2_PING] = on_ping,
		[H2_GOAWAY] = on_goaway,
		[H2_WINDOW_UPDATE] = on_window_update,
		[H2_CONTINUATION] = on_continuation,
	};

	/* 3.4: SETTINGS first. 6.2: nothing between HEADERS and its CONTINUATION. */
	if ((!h->settings && (f->type != H2_SETTINGS || f->flags & H2_ACK)) ||
	    (h->block_id && f->type != H2_CONTINUATION))
		fail(h, H2_PROTOCOL_ERROR);
	else if (f->type < ARRAY_SIZE(handlers))
		handlers[f->type](h, f);
	if (buf_ok(&h->block) == -ERR_SIZE)
		fail(h, H2_ENHANCE_YOUR_CALM);
	else if (buf_ok(&h->block))
		fail_mem(h);
}

/* The next whole frame of @in; false when its end has not come, or its length is not allowed. */
static bool next_frame(struct h2 *h, struct slice *in, struct frame *f)
{
	struct slice s = *in;
	size_t len = (size_t)slice_get_u8(&s) << 16;

	len |= (size_t)slice_get_u8(&s) << 8;
	len |= slice_get_u8(&s);
	if (slice_ok(&s) && len > H2_FRAME_MAX)
		fail(h, H2_FRAME_SIZE_ERROR);
	f->type = slice_get_u8(&s);
	f->flags = slice_get_u8(&s);
	f->id = slice_get_be32(&s) & 0x7fffffff;
	f->body = slice_get_bytes(&s, len);
	if (!slice_ok(&s) || h->err)
		return false;
	*in = s;
	return true;
}

static void read_frames(struct h2 *h, struct slice *in)
{
	struct frame f;

	while (!h->err && next_frame(h, in, &f)) {
		on_frame(h, &f);
		h2_reap(h);
	}
}

static void read_preface(struct h2 *h, struct slice *in)
{
	while (h->preface < sizeof(preface) - 1 && in->len && !h->err)
		if (slice_get_u8(in) == (uint8_t)preface[h->preface])
			h->preface++;
		else
			fail(h, H2_PROTOCOL_ERROR);
}

/* How many bytes the incomplete frame in h->in still lacks, as far as its head is known. */
static size_t lacking(const struct h2 *h)
{
	size_t len;

	if (h->in.len < H2_FRAME_HEAD)
		return H2_FRAME_HEAD - h->in.len;
	len = (size_t)h->in.data[0] << 16 | (size_t)h->in.data[1] << 8 | h->in.data[2];
	return H2_FRAME_HEAD + len - h->in.len;
}

/* Complete the frame that an earlier call left behind. */
static void complete(struct h2 *h, struct slice *in)
{
	struct slice whole;

	while (h->in.len && in->len && !h->err) {
		size_t n = lacking(h);

		buf_put_slice(&h->in, slice_get_bytes(in, n < in->len ? n : in->len));
		if (buf_ok(&h->in)) {
			fail_mem(h);
			return;
		}
		whole = buf_slice(&h->in);
		read_frames(h, &whole);
		if (!whole.len)
			buf_done(&h->in);
	}
}

int h2_in(struct h2 *h, struct slice bytes)
{
	if (h->err)
		return h->err;
	read_preface(h, &bytes);
	complete(h, &bytes);
	read_frames(h, &bytes);
	if (!h->err && bytes.len) {
		buf_put_slice(&h->in, bytes);
		if (buf_ok(&h->in))
			fail_mem(h);
	}
	if (!h->err)
		h->err = out_ok(&h->out);
	return h->err;
}
