/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c - what a well-behaved client's connection needs from the server's HTTP/2. svid-conformance. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "conformance/run.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static enum verdict h2_1(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = wire_connect(&c.w, r->socket);

	if (!err)
		err = wire_wait_flag(&c.w, &c.w.settings, 1000);
	return err ? fail(r, "no SETTINGS within 1 s of connect (%s)", strerror(-err)) : PASS;
}

static enum verdict h2_2(struct run *r)
{
	static const uint8_t odd[] = { 0xfe, 0x03, 0, 0, 0, 1, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 2, 0, 0, 0, 0 };
	AUTO(call) struct call c = { 0 };
	int err = wire_connect(&c.w, r->socket);

	if (!err)
		err = wire_raw(&c.w, preface, sizeof(preface) - 1);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_SETTINGS, 0, 0, odd, sizeof(odd));
	if (!err)
		err = wire_wait_flag(&c.w, &c.w.settings_ack, wire_ms);
	if (err)
		return fail(r, "SETTINGS with unknown ids not acknowledged (%s)", strerror(-err));
	err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	return want_served_reply(r, err, c.p);
}

static enum verdict h2_3(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = wire_frame(&c.w, NGHTTP2_PING, 0, 0, "\2\4\20\20\t\16\7\7", 8);
	if (!err)
		err = wire_wait_flag(&c.w, &c.w.pong, wire_ms);
	if (err)
		return fail(r, "PING not acknowledged (%s)", strerror(-err));
	if (memcmp(c.w.pong_bytes, "\2\4\20\20\t\16\7\7", 8) != 0)
		return fail(r, "PING acknowledged with other bytes");
	return PASS;
}

/* HEADERS in three frames: the first carries priority and padding as well. */
static enum verdict h2_4(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf block = BUF_INIT(65536);
	AUTO(buf) struct buf first = BUF_INIT(65536);
	int err = call_connect(r, &c);

	if (!err)
		err = wire_block(&c.w, &fetch_svid, &block);
	if (err || block.len < 12)
		return fail(r, "cannot send (%s)", strerror(-err));
	buf_put(&first, "\4\0\0\0\0\x0f", 6);
	buf_put(&first, block.data, 7);
	buf_put(&first, "\0\0\0\0", 4);
	c.id = c.w.next_id;
	c.p = wire_reply(&c.w, c.id);
	err = wire_frame(&c.w, NGHTTP2_HEADERS, NGHTTP2_FLAG_PRIORITY | NGHTTP2_FLAG_PADDED, c.id, first.data, first.len);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_CONTINUATION, 0, c.id, block.data + 7, 4);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, c.id, block.data + 11,
				 block.len - 11);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_DATA, NGHTTP2_FLAG_END_STREAM, c.id, "\0\0\0\0\0", 5);
	if (!err)
		err = wire_wait(&c.w, c.id, UNTIL_MESSAGE, wire_ms);
	return want_served_reply(r, err, c.p);
}

static enum verdict h2_5(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = wire_frame(&c.w, 0xbe, 0xff, 0, "unknown", 7);
	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	return want_served_reply(r, err, c.p);
}

/* One-shot clients take the first message, then cancel; the connection must serve the next call. */
static enum verdict h2_6(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	for (int i = 0; !err && i < 20; i++) {
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
		if (want_served_reply(r, err, c.p) != PASS)
			return FAIL;
		if (!c.p->ended)
			err = wire_frame(&c.w, NGHTTP2_RST_STREAM, 0, c.id, "\0\0\0\10", 4);
	}
	return err ? fail(r, "connection lost (%s)", strerror(-err)) : PASS;
}

static enum verdict h2_7(struct run *r)
{
	AUTO(call) struct call a = { 0 };
	AUTO(call) struct call b = { 0 };
	int err = call_connect(r, &a);

	if (!err)
		err = call_make(&a, &fetch_svid, UNTIL_MESSAGE);
	if (want_served_reply(r, err, a.p) != PASS)
		return FAIL;
	err = call_connect(r, &b);
	if (!err)
		err = call_make(&b, &fetch_svid, UNTIL_MESSAGE);
	return want_served_reply(r, err, b.p);
}

/* A preface that comes byte by byte is slow, not wrong. */
static enum verdict h2_8(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = wire_connect(&c.w, r->socket);

	for (size_t i = 0; !err && i < sizeof(preface) - 1; i++) {
		err = wire_raw(&c.w, preface + i, 1);
		usleep(20000);
	}
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	return want_served_reply(r, err, c.p);
}

/* Preface, SETTINGS and the request in one write, as h2 libraries do: nothing may be lost. */
static enum verdict h2_9(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = wire_connect(&c.w, r->socket);

	if (!err)
		err = wire_raw(&c.w, preface, sizeof(preface) - 1);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_SETTINGS, 0, 0, NULL, 0);
	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	return want_served_reply(r, err, c.p);
}

/* SETTINGS_INITIAL_WINDOW_SIZE 10: not a byte more, and the rest once the window opens. */
static enum verdict h2_10(struct run *r)
{
	static const uint8_t small[] = { 0, 4, 0, 0, 0, 10 };
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	c.w.keep_windows_shut = true;
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_SETTINGS, 0, 0, small, sizeof(small));
	if (!err) {
		c.w.settings_ack = false;
		err = wire_wait_flag(&c.w, &c.w.settings_ack, wire_ms);
	}
	if (!err)
		err = wire_call(&c.w, &fetch_svid, &c.id);
	if (err)
		return fail(r, "connection lost (%s)", strerror(-err));
	c.p = wire_reply(&c.w, c.id);
	err = wire_wait(&c.w, c.id, UNTIL_MESSAGE, 500);
	if (err != -ETIMEDOUT || c.p->body.len > 10)
		return fail(r, "%zu bytes in a window of 10 (%s)", c.p->body.len, strerror(-err));
	err = wire_frame(&c.w, NGHTTP2_WINDOW_UPDATE, 0, c.id, "\0\0\377\377", 4);
	if (!err)
		err = wire_wait(&c.w, c.id, UNTIL_MESSAGE, wire_ms);
	return want_served_reply(r, err, c.p);
}

/* Nothing is sent again for no reason, and the stream stays open. */
static enum verdict wa_4_3_2(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct slice first, second;
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	if (err || reply_message(c.p, &first))
		return fail(r, "no first message: %s", reply_text(err, c.p));
	AUTO(buf) struct buf copy = BUF_INIT(WIRE_BODY);

	buf_put_slice(&copy, first);
	err = wire_wait(&c.w, c.id, UNTIL_MESSAGE, 1500);
	if (err == -ETIMEDOUT)
		return PASS;
	if (err || reply_message(c.p, &second))
		return fail(r, "the stream did not stay open: %s", reply_text(err, c.p));
	if (slice_eq(buf_slice(&copy), second))
		return fail(r, "the same bytes were sent twice");
	return PASS;
}

static enum verdict wa_4_1_1(struct run *r)
{
	struct call calls[24] = { 0 };
	enum verdict v = PASS;

	for (size_t i = 0; i < ARRAY_SIZE(calls) && v == PASS; i++) {
		int err = call_connect(r, &calls[i]);

		if (!err)
			err = call_make(&calls[i], &fetch_svid, UNTIL_MESSAGE);
		v = want_served_reply(r, err, calls[i].p);
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
		wire_done(&calls[i].w);
	return v;
}

/* --watch: the next message of a rotation is whole too, and new. */
static enum verdict wa_4_3_1_rotation(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	static struct svid_response before, after;
	struct slice m;
	int err = call_connect(r, &c);

	if (!r->watch_s)
		return skip(r, "needs --watch SECONDS and SVIDs that live shorter");
	if (!err)
		err = call_make(&c, &fetch_svid, UNTIL_MESSAGE);
	if (err || reply_message(c.p, &m))
		return fail(r, "no first message: %s", reply_text(err, c.p));
	AUTO(buf) struct buf first = BUF_INIT(WIRE_BODY);

	buf_put_slice(&first, m);
	err = wire_wait(&c.w, c.id, UNTIL_MESSAGE, r->watch_s * 1000);
	if (err || reply_message(c.p, &m))
		return fail(r, "no rotation: %s", reply_text(err, c.p));
	if (svid_response_parse(buf_slice(&first), &before) || svid_response_parse(m, &after))
		return fail(r, "a message does not parse");
	if (before.n_svids != after.n_svids || before.n_federated != after.n_federated)
		return fail(r, "the second message is not the whole state");
	for (size_t i = 0; i < after.n_svids; i++) {
		if (!slice_eq(before.svids[i].spiffe_id, after.svids[i].spiffe_id) || after.svids[i].bundle.len == 0)
			return fail(r, "the second message lacks something of SVID %zu", i);
	}
	return PASS;
}

static enum verdict end_1(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, &fetch_bundles, UNTIL_MESSAGE);
	if (!err) {
		c.p->read = c.p->body.len;
		err = wire_wait(&c.w, c.id, UNTIL_END, 1000);
	}
	return err == -ETIMEDOUT ? PASS : fail(r, "a bundle watch ended by itself: %s", reply_text(err, c.p));
}

/* Many streams of one connection; the server says how many, and keeps its word. */
static enum verdict h2_11(struct run *r)
{
	enum { OPEN = 300 };
	AUTO(call) struct call c = { 0 };
	size_t served = 0, refused = 0;
	int err = call_connect(r, &c);

	if (!err && c.w.max_streams == UINT32_MAX)
		return fail(r, "no SETTINGS_MAX_CONCURRENT_STREAMS announced");
	for (uint32_t i = 0; !err && i < OPEN; i++) {
		err = wire_call(&c.w, &fetch_svid, &c.id);
		while (!err && wire_step(&c.w, 0) == 0)
			;
	}
	for (uint32_t i = 0; i < OPEN && !err; i++)
		err = wire_wait(&c.w, 2 * i + 1, UNTIL_MESSAGE, wire_ms);
	for (uint32_t i = 0; i < OPEN; i++) {
		struct reply *p = wire_reply(&c.w, 2 * i + 1);

		served += p->body.len >= 5;
		refused += p->reset || p->ended;
	}
	if (served > c.w.max_streams)
		return fail(r, "%zu streams served, %u announced", served, c.w.max_streams);
	if (!c.w.goaway && (err || served == 0 || served + refused < OPEN))
		return fail(r, "%zu served, %zu refused of %d (%s)", served, refused, OPEN, strerror(-err));
	return want_alive(r, "too many streams");
}

const struct test conn_tests[] = {
	{ "H2-1", "SETTINGS come before the client says anything (grpc-go)", MODE_BOTH, h2_1, NULL },
	{ "H2-2", "unknown SETTINGS are ignored and acknowledged (grpc-core)", MODE_BOTH, h2_2, NULL },
	{ "H2-3", "PING is acknowledged with its bytes", MODE_BOTH, h2_3, NULL },
	{ "H2-4", "HEADERS with padding, priority and CONTINUATION", MODE_BOTH, h2_4, NULL },
	{ "H2-5", "a frame of unknown type is ignored", MODE_BOTH, h2_5, NULL },
	{ "H2-6", "RST_STREAM(CANCEL) after the first message, 20 times", MODE_BOTH, h2_6, NULL },
	{ "H2-7", "a second connection of one process (rust-spiffe)", MODE_BOTH, h2_7, NULL },
	{ "H2-8", "a preface byte by byte", MODE_BOTH, h2_8, NULL },
	{ "H2-9", "preface, SETTINGS and request at once", MODE_BOTH, h2_9, NULL },
	{ "H2-10", "flow control: a window of 10 bytes", MODE_IDENTITY, h2_10, NULL },
	{ "H2-11", "300 streams of one connection", MODE_IDENTITY, h2_11, NULL },
	{ "WA-4.1-1", "24 connections are served at once", MODE_BOTH, wa_4_1_1, NULL },
	{ "WA-4.3-2", "nothing is sent twice; the stream stays open", MODE_IDENTITY, wa_4_3_2, NULL },
	{ "WA-4.3-1", "the message of a rotation is the whole state", MODE_IDENTITY, wa_4_3_1_rotation, NULL },
	{ "END-1", "a bundle watch does not end by itself", MODE_IDENTITY, end_1, NULL },
	{ 0 },
};
