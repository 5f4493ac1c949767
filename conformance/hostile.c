/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostile.c - input that no client sends: the connection may die, in bounded time; nobody else may
 * notice. Each test ends with a fresh connection that must be served. svid-conformance.
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "conformance/run.h"

enum { IDLE_MS = 20000 }; /* a connection that never asks anything is closed within this */

/* The server ends the connection: GOAWAY, or end of file. */
static enum verdict want_cut(struct run *r, struct wire *w, int ms, const char *after)
{
	int err = wire_wait_flag(w, &w->goaway, ms);

	if (err && !w->eof)
		return fail(r, "the connection goes on after %s (%s)", after, strerror(-err));
	return want_alive(r, after);
}

static enum verdict cut_by_raw(struct run *r, const void *bytes, size_t n, const char *what)
{
	AUTO(call) struct call c = { 0 };
	int err = wire_connect(&c.w, r->socket);

	if (!err)
		err = wire_raw(&c.w, bytes, n);
	if (err && err != -EPIPE && err != -ECONNRESET)
		return fail(r, "cannot send (%s)", strerror(-err));
	return want_cut(r, &c.w, wire_ms, what);
}

static enum verdict bad_1(struct run *r)
{
	return cut_by_raw(r, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 35, "an HTTP/1 request");
}

static enum verdict bad_2(struct run *r)
{
	static uint8_t noise[4096];
	uint32_t x = 1;

	for (size_t i = 0; i < sizeof(noise); i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	return cut_by_raw(r, noise, sizeof(noise), "noise");
}

static enum verdict bad_3(struct run *r)
{
	return cut_by_raw(r, "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03xxxxxxxxxxxxxxxxxxxxxxxx", 35, "a TLS ClientHello");
}

/* Preface without SETTINGS: the first frame must be SETTINGS. */
static enum verdict bad_4(struct run *r)
{
	return cut_by_raw(r, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x08\6\0\0\0\0\0abcdefgh", 41, "PING before SETTINGS");
}

static enum verdict cut_by_frame(struct run *r, uint8_t type, uint8_t flags, uint32_t stream, const void *p, size_t n,
				 const char *what)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = wire_frame(&c.w, type, flags, stream, p, n);
	if (err && err != -EPIPE && err != -ECONNRESET)
		return fail(r, "cannot send (%s)", strerror(-err));
	return want_cut(r, &c.w, wire_ms, what);
}

static enum verdict bad_5(struct run *r)
{
	static uint8_t big[20000];

	return cut_by_frame(r, NGHTTP2_DATA, 0, 1, big, sizeof(big), "a frame above SETTINGS_MAX_FRAME_SIZE");
}

static enum verdict bad_6(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_DATA, 0, 0, "\0\0\0\0\0", 5, "DATA on stream 0");
}

static enum verdict bad_7(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, "\xff\xff\xff\xff\xff\xff", 6,
			    "a header block that is not HPACK");
}

static enum verdict bad_8(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6, "an initial window above 2^31");
}

static enum verdict bad_9(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, 1, "\0\0\0\2\x82", 5, "PUSH_PROMISE");
}

static enum verdict bad_10(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 2, "\x83", 1, "an even stream number");
}

/* HEADERS never finished, then another frame in between. */
static enum verdict bad_11(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = wire_frame(&c.w, NGHTTP2_HEADERS, 0, 1, "\x83", 1);
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_PING, 0, 0, "12345678", 8);
	if (err && err != -EPIPE && err != -ECONNRESET)
		return fail(r, "cannot send (%s)", strerror(-err));
	return want_cut(r, &c.w, wire_ms, "a frame inside a header block");
}

/* CONTINUATION without end: memory must be bounded, so the server has to give up. */
static enum verdict bad_12(struct run *r)
{
	static uint8_t field[16000];
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	memset(field, 0, sizeof(field));
	if (!err)
		err = wire_frame(&c.w, NGHTTP2_HEADERS, 0, 1, "\x83", 1);
	for (int i = 0; !err && i < 200; i++) {
		/* literal header "a" with a value of 15 990 bytes, never indexed */
		memcpy(field, "\x10\x01\x61\x7f\xf7\x7b", 6);
		memset(field + 6, 'v', sizeof(field) - 6);
		err = wire_frame(&c.w, NGHTTP2_CONTINUATION, 0, 1, field, sizeof(field));
	}
	if (!err || err == -EPIPE || err == -ECONNRESET)
		return want_cut(r, &c.w, wire_ms, "CONTINUATION without end");
	return fail(r, "the server stopped reading but kept the connection (%s)", strerror(-err));
}

/* Open and reset, 2 000 times: bounded work, and nobody else waits. */
static enum verdict bad_13(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	for (int i = 0; !err && i < 2000; i++) {
		err = wire_call(&c.w, &fetch_svid, &c.id);
		if (!err)
			err = wire_frame(&c.w, NGHTTP2_RST_STREAM, 0, c.id, "\0\0\0\10", 4);
		while (!err && wire_step(&c.w, 0) == 0)
			;
	}
	if (err && err != -EPIPE && err != -ECONNRESET)
		return fail(r, "the server stopped reading (%s)", strerror(-err));
	return want_alive(r, "a rapid reset");
}

/* A peer that asks and never reads answers must not make the server collect them. */
static enum verdict bad_14(struct run *r)
{
	enum { BATCH = 2000 };
	static uint8_t pings[BATCH * 17];
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	for (size_t i = 0; i < BATCH; i++)
		memcpy(pings + i * 17, "\0\0\x08\6\0\0\0\0\0" "12345678", 17);
	for (int i = 0; !err && i < 30; i++) {
		err = wire_raw(&c.w, pings, sizeof(pings));
		if (want_alive(r, "PINGs that are never read") != PASS)
			return FAIL;
	}
	return PASS;
}

/* Half a preface, half a request, then silence: others are served meanwhile, and the idler is cut. */
static enum verdict bad_15(struct run *r)
{
	AUTO(call) struct call nothing = { 0 };
	AUTO(call) struct call half = { 0 };
	AUTO(call) struct call open = { 0 };
	int err = wire_connect(&nothing.w, r->socket);

	if (!err)
		err = wire_connect(&half.w, r->socket);
	if (!err)
		err = wire_raw(&half.w, "PRI * HT", 8);
	if (!err)
		err = call_connect(r, &open);
	if (!err)
		err = wire_open(&open.w, &fetch_svid, 0, &open.id);
	if (err)
		return fail(r, "cannot connect (%s)", strerror(-err));
	if (want_alive(r, "three half-open connections") != PASS)
		return FAIL;
	if (want_cut(r, &nothing.w, IDLE_MS, "silence") != PASS || want_cut(r, &half.w, IDLE_MS, "half a preface") != PASS)
		return FAIL;
	err = wire_wait(&open.w, open.id, UNTIL_END, IDLE_MS);
	if (err && !open.w.eof && !open.w.goaway)
		return fail(r, "half a request is kept for ever");
	return PASS;
}

/* The client goes away in the middle of an answer: the server must not die of SIGPIPE. */
static enum verdict bad_16(struct run *r)
{
	for (int i = 0; i < 50; i++) {
		AUTO(call) struct call c = { 0 };
		int err = call_connect(r, &c);

		if (!err)
			err = wire_call(&c.w, &fetch_svid, &c.id);
		if (err)
			return fail(r, "connection %d: %s", i, strerror(-err));
	}
	return want_alive(r, "50 clients that vanished");
}

static enum verdict bad_17(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, "a window above 2^31");
}

static enum verdict bad_18(struct run *r)
{
	return cut_by_frame(r, NGHTTP2_GOAWAY, 0, 0, "\0\0", 2, "a GOAWAY of two bytes");
}

const struct test hostile_tests[] = {
	{ "BAD-1", "HTTP/1 instead of the preface", MODE_BOTH, bad_1, NULL },
	{ "BAD-2", "noise instead of the preface", MODE_BOTH, bad_2, NULL },
	{ "BAD-3", "TLS instead of the preface", MODE_BOTH, bad_3, NULL },
	{ "BAD-4", "another frame before SETTINGS", MODE_BOTH, bad_4, NULL },
	{ "BAD-5", "a frame larger than allowed", MODE_BOTH, bad_5, NULL },
	{ "BAD-6", "DATA on stream 0", MODE_BOTH, bad_6, NULL },
	{ "BAD-7", "broken HPACK", MODE_BOTH, bad_7, NULL },
	{ "BAD-8", "SETTINGS with an impossible value", MODE_BOTH, bad_8, NULL },
	{ "BAD-9", "PUSH_PROMISE from a client", MODE_BOTH, bad_9, NULL },
	{ "BAD-10", "an even stream number", MODE_BOTH, bad_10, NULL },
	{ "BAD-11", "a frame inside a header block", MODE_BOTH, bad_11, NULL },
	{ "BAD-12", "CONTINUATION without end", MODE_BOTH, bad_12, NULL },
	{ "BAD-13", "2 000 streams opened and reset", MODE_BOTH, bad_13, NULL },
	{ "BAD-14", "PINGs whose answers are never read", MODE_BOTH, bad_14, NULL },
	{ "BAD-15", "half-open connections are cut, others served", MODE_BOTH, bad_15, NULL },
	{ "BAD-16", "clients that vanish after the request", MODE_BOTH, bad_16, NULL },
	{ "BAD-17", "a window that overflows", MODE_BOTH, bad_17, NULL },
	{ "BAD-18", "a frame shorter than its type", MODE_BOTH, bad_18, NULL },
	{ 0 },
};
