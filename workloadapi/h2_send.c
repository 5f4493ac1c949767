// SPDX-License-Identifier: Apache-2.0
/* h2_send.c - writing HTTP/2 frames and sharing the windows among the streams. svid-front. */
#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "workloadapi/h2.h"

#define PUMP_BYTES (64u << 10) /* message bytes in the queue of one connection at a time */

static void put_head(uint8_t p[static H2_FRAME_HEAD], size_t len, uint8_t type, uint8_t flags, uint32_t id)
{
	p[0] = (uint8_t)(len >> 16);
	p[1] = (uint8_t)(len >> 8);
	p[2] = (uint8_t)len;
	p[3] = type;
	p[4] = flags;
	p[5] = (uint8_t)(id >> 24);
	p[6] = (uint8_t)(id >> 16);
	p[7] = (uint8_t)(id >> 8);
	p[8] = (uint8_t)id;
}

void h2_frame(struct h2 *h, uint8_t type, uint8_t flags, uint32_t id, struct slice payload)
{
	uint8_t head[H2_FRAME_HEAD];

	put_head(head, payload.len, type, flags, id);
	out_bytes(&h->out, head, sizeof(head));
	out_bytes(&h->out, payload.p, payload.len);
}

static void put_be32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint8_t *put_setting(uint8_t *p, uint16_t id, uint32_t value)
{
	p[0] = (uint8_t)(id >> 8);
	p[1] = (uint8_t)id;
	put_be32(p + 2, value);
	return p + 6;
}

void h2_init(struct h2 *h, const struct h2_ops *ops)
{
	uint8_t settings[18], *p = settings;

	*h = (struct h2){
		.ops = ops,
		.in = BUF_INIT(H2_FRAME_HEAD + H2_FRAME_MAX),
		.block = BUF_INIT(LIM_HEADER_BYTES),
		.send_window = H2_WINDOW,
		.recv_window = H2_WINDOW,
		.peer_window = H2_WINDOW,
	};
	list_init(&h->streams);
	out_init(&h->out);
	p = put_setting(p, H2_SET_TABLE, 0);
	p = put_setting(p, H2_SET_STREAMS, LIM_STREAMS);
	(void)put_setting(p, H2_SET_HEADERS, LIM_HEADER_BYTES);
	h2_frame(h, H2_SETTINGS, 0, 0, slice_of(settings, sizeof(settings)));
}

void h2_goaway(struct h2 *h, enum h2_error code)
{
	uint8_t p[8];

	put_be32(p, h->last_id);
	put_be32(p + 4, code);
	h->closing = true;
	h2_frame(h, H2_GOAWAY, 0, 0, slice_of(p, sizeof(p)));
}

void h2_reset(struct h2_stream *s, enum h2_error code)
{
	uint8_t p[4];

	if (s->dead)
		return;
	put_be32(p, code);
	h2_frame(s->h2, H2_RST_STREAM, 0, s->id, slice_of(p, sizeof(p)));
	h2_kill(s);
}

/*
 * A complete answer to a request that still comes in: NO_ERROR tells the client to stop (RFC 9113 8.1).
 * After END_STREAM of the client nothing is to be said.
 */
static void end_stream(struct h2_stream *s)
{
	if (s->remote_end)
		h2_kill(s);
	else
		h2_reset(s, H2_NO_ERROR);
}

void h2_headers(struct h2_stream *s, struct slice block, bool end)
{
	if (s->dead)
		return;
	h2_frame(s->h2, H2_HEADERS, (uint8_t)(H2_END_HEADERS | (end ? H2_END_STREAM : 0)), s->id, block);
	s->head_sent = true;
	if (end)
		end_stream(s);
}

void h2_message(struct h2_stream *s, struct message *m)
{
	if (s->dead || s->msg)
		return;
	s->msg = message_ref(m);
	s->off = 0;
}

static void window_update(struct h2 *h, uint32_t id, int32_t *window)
{
	uint8_t p[4];

	if (*window > H2_WINDOW / 2)
		return;
	put_be32(p, (uint32_t)(H2_WINDOW - *window));
	h2_frame(h, H2_WINDOW_UPDATE, 0, id, slice_of(p, sizeof(p)));
	*window = H2_WINDOW;
}

void h2_credit(struct h2 *h, struct h2_stream *s)
{
	window_update(h, 0, &h->recv_window);
	if (s && !s->dead && !s->remote_end)
		window_update(h, s->id, &s->recv_window);
}

static uint32_t frame_room(const struct h2_stream *s)
{
	const struct h2 *h = s->h2;
	int64_t room = message_bytes(s->msg).len - s->off;

	if (room > H2_FRAME_MAX)
		room = H2_FRAME_MAX;
	if (room > h->send_window)
		room = h->send_window;
	if (room > s->send_window)
		room = s->send_window;
	return room > 0 ? (uint32_t)room : 0;
}

/* One DATA frame of the stream's message; whether anything was framed. */
static bool frame_data(struct h2_stream *s)
{
	struct h2 *h = s->h2;
	uint32_t len = frame_room(s);
	uint8_t head[H2_FRAME_HEAD];

	if (!len)
		return false;
	put_head(head, len, H2_DATA, 0, s->id);
	out_bytes(&h->out, head, sizeof(head));
	out_message(&h->out, s->msg, s->off, len);
	h->send_window -= len;
	s->send_window -= (int32_t)len;
	s->off += len;
	if (s->off == message_bytes(s->msg).len) {
		message_unref(s->msg);
		s->msg = NULL;
	}
	return true;
}

static bool pump_stream(struct h2_stream *s)
{
	if (!s->dead && !s->msg)
		s->h2->ops->idle(s);
	return !s->dead && s->msg && frame_data(s);
}

/* One frame for each stream in turn; whoever was served goes to the end of the line. */
static bool pump_round(struct h2 *h)
{
	bool any = false;

	for (unsigned int n = h->n_streams; n && h->out.shared < PUMP_BYTES; n--) {
		struct h2_stream *s = list_entry(h->streams.next, struct h2_stream, node);

		list_del(&s->node);
		list_add_tail(&h->streams, &s->node);
		any |= pump_stream(s);
	}
	return any;
}

void h2_kill(struct h2_stream *s)
{
	s->dead = true;
	s->h2->dirty = true;
}

void h2_reap(struct h2 *h)
{
	struct h2_stream *s, *tmp;

	if (!h->dirty)
		return;
	h->dirty = false;
	list_for_each_safe(s, tmp, &h->streams, node) {
		if (!s->dead)
			continue;
		h->ops->gone(s);
		message_unref(s->msg);
		list_del(&s->node);
		h->n_streams--;
		mem_free(s);
	}
}

int h2_pump(struct h2 *h)
{
	while (h->out.shared < PUMP_BYTES && !out_ok(&h->out) && pump_round(h))
		;
	h2_reap(h);
	if (!h->err)
		h->err = out_ok(&h->out);
	return h->err;
}

void h2_done(struct h2 *h)
{
	struct h2_stream *s;

	list_for_each(s, &h->streams, node)
		h2_kill(s);
	h2_reap(h);
	out_done(&h->out);
	buf_done(&h->in);
	buf_done(&h->block);
	hpack_done(&h->hpack);
}
