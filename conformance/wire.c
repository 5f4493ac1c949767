/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.c - HTTP/2 frames in and out over a Unix socket, without the rules that a library keeps.
 * svid-conformance. What frames mean to a test is written down in struct reply; see call.h next.
 */
#include "conformance/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/mem.h"

int wire_ms = 5000;

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

void wire_put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

int64_t wire_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int wire_connect(struct wire *w, const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	*w = (struct wire){ .fd = -1, .next_id = 1, .max_streams = UINT32_MAX };
	w->in = (struct buf)BUF_INIT(WIRE_BODY);
	w->block = (struct buf)BUF_INIT(1 << 20);
	if (strlen(path) >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, strlen(path) + 1);
	if (nghttp2_hd_deflate_new(&w->deflater, 4096) || nghttp2_hd_inflate_new(&w->inflater))
		return -ENOMEM;
	w->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (w->fd < 0)
		return -errno;
	if (connect(w->fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return 0;
}

void wire_done(struct wire *w)
{
	if (!w->deflater)
		return;
	nghttp2_hd_deflate_del(w->deflater);
	w->deflater = NULL;
	if (w->inflater)
		nghttp2_hd_inflate_del(w->inflater);
	if (w->fd >= 0)
		close(w->fd);
	buf_done(&w->in);
	buf_done(&w->block);
	for (size_t i = 0; i < WIRE_STREAMS; i++) {
		if (w->replies[i])
			buf_done(&w->replies[i]->body);
		mem_free(w->replies[i]);
	}
}

int wire_raw(struct wire *w, const void *p, size_t n)
{
	struct pollfd pfd = { .fd = w->fd, .events = POLLOUT };
	const uint8_t *next = p;

	while (n > 0) {
		if (poll(&pfd, 1, wire_ms) <= 0)
			return -ETIMEDOUT;
		ssize_t sent = send(w->fd, next, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && errno != EAGAIN)
			return -errno;
		if (sent > 0) {
			next += sent;
			n -= (size_t)sent;
		}
	}
	return 0;
}

int wire_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream, const void *p, size_t n)
{
	uint8_t head[9] = { (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n, type, flags };
	AUTO(buf) struct buf all = BUF_INIT(WIRE_BODY);

	wire_put32(head + 5, stream);
	buf_put(&all, head, sizeof(head));
	buf_put(&all, p, n);
	int err = buf_ok(&all);

	return err ? err : wire_raw(w, all.data, all.len);
}

int wire_start(struct wire *w)
{
	int err = wire_raw(w, preface, sizeof(preface) - 1);

	if (err)
		return err;
	err = wire_frame(w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	if (err)
		return err;
	return wire_wait_flag(w, &w->settings, wire_ms);
}

struct reply *wire_reply(struct wire *w, uint32_t id)
{
	struct reply **slot = &w->replies[(id / 2) % WIRE_STREAMS];

	if (!*slot) {
		*slot = mem_new(struct reply);
		if (!*slot)
			abort();
		(*slot)->grpc_status = -1;
		(*slot)->body = (struct buf)BUF_INIT(WIRE_BODY);
	}
	return *slot;
}

static void copy_text(char *to, size_t room, const nghttp2_nv *nv)
{
	size_t n = nv->valuelen < room - 1 ? nv->valuelen : room - 1;

	memcpy(to, nv->value, n);
	to[n] = '\0';
}

static void note_header(struct reply *p, const nghttp2_nv *nv)
{
	struct slice name = slice_of(nv->name, nv->namelen);
	uint64_t number = 0;

	if (slice_eq_str(name, "content-type"))
		copy_text(p->content_type, sizeof(p->content_type), nv);
	else if (slice_eq_str(name, "grpc-message"))
		copy_text(p->grpc_message, sizeof(p->grpc_message), nv);
	else if (slice_u64_dec(slice_of(nv->value, nv->valuelen), &number))
		return;
	else if (slice_eq_str(name, ":status"))
		p->http_status = (int)number;
	else if (slice_eq_str(name, "grpc-status"))
		p->grpc_status = (int)number;
}

/* The whole header block of one HEADERS + CONTINUATION group. */
static int take_block(struct wire *w)
{
	struct reply *p = wire_reply(w, w->block_id);
	bool first = p->http_status == 0;
	uint8_t *in = w->block.data;
	size_t left = w->block.len;

	for (;;) {
		nghttp2_nv nv;
		int flags = 0;
		ssize_t n = nghttp2_hd_inflate_hd2(w->inflater, &nv, &flags, in, left, 1);

		if (n < 0)
			return -EPROTO;
		in += n;
		left -= (size_t)n;
		if (flags & NGHTTP2_HD_INFLATE_EMIT)
			note_header(p, &nv);
		if (flags & NGHTTP2_HD_INFLATE_FINAL)
			break;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT) && left == 0)
			return -EPROTO;
	}
	nghttp2_hd_inflate_end_headers(w->inflater);
	buf_reset(&w->block);
	p->ended = p->ended || (w->block_flags & NGHTTP2_FLAG_END_STREAM);
	p->trailers_only = first && p->ended;
	return 0;
}

/* Drops padding and priority as the flags say. */
static int trim(struct slice *payload, uint8_t flags, bool headers)
{
	size_t pad = flags & NGHTTP2_FLAG_PADDED ? slice_get_u8(payload) : 0;

	if (headers && (flags & NGHTTP2_FLAG_PRIORITY))
		slice_get_bytes(payload, 5);
	if (!slice_ok(payload) || pad > payload->len)
		return -EPROTO;
	payload->len -= pad;
	return 0;
}

static int take_headers(struct wire *w, uint8_t flags, uint32_t stream, struct slice payload, bool first)
{
	if (first) {
		int err = trim(&payload, flags, true);

		if (err)
			return err;
		w->block_id = stream;
		w->block_flags = flags;
	}
	buf_put_slice(&w->block, payload);
	if (!(flags & NGHTTP2_FLAG_END_HEADERS))
		return 0;
	return take_block(w);
}

static int give_window(struct wire *w, uint32_t stream, size_t n)
{
	uint8_t more[4];

	if (n == 0 || w->keep_windows_shut)
		return 0;
	wire_put32(more, (uint32_t)n);
	int err = wire_frame(w, NGHTTP2_WINDOW_UPDATE, 0, 0, more, sizeof(more));

	return err ? err : wire_frame(w, NGHTTP2_WINDOW_UPDATE, 0, stream, more, sizeof(more));
}

static int take_data(struct wire *w, uint8_t flags, uint32_t stream, struct slice payload)
{
	struct reply *p = wire_reply(w, stream);
	size_t used = payload.len;
	int err = trim(&payload, flags, false);

	if (err)
		return err;
	buf_put_slice(&p->body, payload);
	p->ended = p->ended || (flags & NGHTTP2_FLAG_END_STREAM);
	/* A server may close right after its last frame: a window that it no longer wants is no error. */
	(void)!give_window(w, stream, used);
	return buf_ok(&p->body);
}

static int take_settings(struct wire *w, uint8_t flags, struct slice payload)
{
	if (flags & NGHTTP2_FLAG_ACK) {
		w->settings_ack = true;
		return 0;
	}
	while (payload.len >= 6) {
		struct slice id = slice_get_bytes(&payload, 2);
		uint32_t value = slice_get_be32(&payload);

		if (id.p[0] == 0 && id.p[1] == NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
			w->max_streams = value;
		if (id.p[0] == 0 && id.p[1] == NGHTTP2_SETTINGS_HEADER_TABLE_SIZE)
			nghttp2_hd_deflate_change_table_size(w->deflater, value);
	}
	w->settings = true;
	(void)!wire_frame(w, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
	return payload.len ? -EPROTO : 0;
}

static int take_ping(struct wire *w, uint8_t flags, struct slice payload)
{
	if (payload.len != 8)
		return -EPROTO;
	if (!(flags & NGHTTP2_FLAG_ACK))
		return wire_frame(w, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, payload.p, payload.len);
	memcpy(w->pong_bytes, payload.p, 8);
	w->pong = true;
	return 0;
}

static int take_end(struct wire *w, uint8_t type, uint32_t stream, struct slice payload)
{
	if (type == NGHTTP2_RST_STREAM) {
		wire_reply(w, stream)->reset = true;
		wire_reply(w, stream)->reset_code = slice_get_be32(&payload);
	} else {
		slice_get_be32(&payload);
		w->goaway_code = slice_get_be32(&payload);
		w->goaway = true;
	}
	return slice_ok(&payload) ? 0 : -EPROTO;
}

static int take_frame(struct wire *w, uint8_t type, uint8_t flags, uint32_t stream, struct slice payload)
{
	switch (type) {
	case NGHTTP2_HEADERS:
	case NGHTTP2_CONTINUATION:
		return take_headers(w, flags, stream, payload, type == NGHTTP2_HEADERS);
	case NGHTTP2_DATA:
		return take_data(w, flags, stream, payload);
	case NGHTTP2_SETTINGS:
		return take_settings(w, flags, payload);
	case NGHTTP2_PING:
		return take_ping(w, flags, payload);
	case NGHTTP2_RST_STREAM:
	case NGHTTP2_GOAWAY:
		return take_end(w, type, stream, payload);
	default:
		return 0;
	}
}

/* One frame of w->in, if it is whole. Returns 1 when one was taken. */
static int take_buffered(struct wire *w)
{
	if (w->in.len < 9)
		return 0;
	const uint8_t *h = w->in.data;
	size_t len = (size_t)h[0] << 16 | (size_t)h[1] << 8 | h[2];
	struct slice id = slice_of(h + 5, 4);

	if (len > 1 << 20)
		return -EPROTO;
	if (w->in.len < 9 + len)
		return 0;
	int err = take_frame(w, h[3], h[4], slice_get_be32(&id) & 0x7fffffff, slice_of(h + 9, len));

	buf_consume(&w->in, 9 + len);
	return err ? err : 1;
}

int wire_step(struct wire *w, int ms)
{
	int64_t end = wire_now_ms() + ms;

	for (;;) {
		int err = take_buffered(w);

		if (err)
			return err > 0 ? 0 : err;
		struct pollfd pfd = { .fd = w->fd, .events = POLLIN };
		int64_t left = end - wire_now_ms();

		if (left < 0 || poll(&pfd, 1, (int)left) <= 0)
			return -ETIMEDOUT;
		uint8_t *room = buf_reserve(&w->in, 65536);

		if (!room)
			return -ENOMEM;
		ssize_t n = recv(w->fd, room, 65536, 0);

		if (n <= 0) {
			w->eof = true;
			return -ECONNRESET;
		}
		buf_added(&w->in, (size_t)n);
	}
}

int wire_wait_flag(struct wire *w, const bool *flag, int ms)
{
	int64_t end = wire_now_ms() + ms;

	while (!*flag) {
		int64_t left = end - wire_now_ms();
		int err = wire_step(w, left > 0 ? (int)left : 0);

		if (err)
			return err;
	}
	return 0;
}

static bool is_far_enough(const struct reply *p, enum until until)
{
	if (p->ended || p->reset)
		return true;
	if (until == UNTIL_HEADERS)
		return p->http_status != 0;
	if (until == UNTIL_END || p->body.len < p->read + 5)
		return false;
	struct slice prefix = slice_of(p->body.data + p->read + 1, 4);

	return p->body.len - p->read - 5 >= slice_get_be32(&prefix);
}

int wire_wait(struct wire *w, uint32_t id, enum until until, int ms)
{
	int64_t end = wire_now_ms() + ms;

	while (!is_far_enough(wire_reply(w, id), until)) {
		int64_t left = end - wire_now_ms();
		int err = wire_step(w, left > 0 ? (int)left : 0);

		if (err)
			return err;
	}
	return 0;
}

int reply_message(struct reply *p, struct slice *ret_message)
{
	struct slice s = slice_of(p->body.data + p->read, p->body.len - p->read);
	uint8_t compressed = slice_get_u8(&s);
	uint32_t len = slice_get_be32(&s);

	if (!slice_ok(&s) || s.len < len)
		return -EAGAIN;
	if (compressed)
		return -EPROTO;
	p->read += 5 + len;
	*ret_message = slice_get_bytes(&s, len);
	return 0;
}
