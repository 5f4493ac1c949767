/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.c - requests in every shape that a gRPC stack may give them: authority, deadline, body, headers. svid-conformance. */
#include <errno.h>
#include <stdio.h>

#include "conformance/run.h"

static enum verdict with_authority(struct run *r, const char *authority)
{
	struct request q = fetch_svid;

	q.authority = authority;
	return want_served(r, &q);
}

static enum verdict auth_1(struct run *r)
{
	return with_authority(r, r->socket);
}

static enum verdict auth_2(struct run *r)
{
	char encoded[512];
	size_t n = 0;

	for (const char *p = r->socket + (r->socket[0] == '/'); *p && n + 4 < sizeof(encoded); p++) {
		if (*p == '/')
			n += (size_t)snprintf(encoded + n, sizeof(encoded) - n, "%%2F");
		else
			encoded[n++] = *p;
	}
	encoded[n] = '\0';
	return with_authority(r, encoded);
}

static enum verdict auth_3(struct run *r)
{
	return with_authority(r, "");
}

static enum verdict auth_4(struct run *r)
{
	return with_authority(r, NULL);
}

static enum verdict auth_5(struct run *r)
{
	struct request q = fetch_svid;

	q.authority = NULL;
	q.extra[0].name = "host";
	q.extra[0].value = "localhost";
	return want_served(r, &q);
}

static enum verdict with_timeout(struct run *r, const char *timeout)
{
	struct request q = fetch_svid;

	q.timeout = timeout;
	return want_served(r, &q);
}

static enum verdict tmo_h(struct run *r)
{
	return with_timeout(r, "1H");
}

static enum verdict tmo_m(struct run *r)
{
	return with_timeout(r, "1M");
}

static enum verdict tmo_s(struct run *r)
{
	return with_timeout(r, "5S");
}

static enum verdict tmo_ms(struct run *r)
{
	return with_timeout(r, "5000m");
}

static enum verdict tmo_us(struct run *r)
{
	return with_timeout(r, "2998225u");
}

static enum verdict tmo_ns(struct run *r)
{
	return with_timeout(r, "99999999n");
}

/* The longest that eight digits can say must not overflow into the past. */
static enum verdict tmo_long(struct run *r)
{
	return with_timeout(r, "99999999H");
}

/* A stream with a deadline ends at it, with DeadlineExceeded; never OK or CANCELLED. */
static enum verdict tmo_over(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	struct request q = fetch_svid;
	int64_t start = wire_now_ms();

	q.timeout = "300m";
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, &q, UNTIL_END);
	if (err || c.p->grpc_status != 4)
		return fail(r, "wanted DeadlineExceeded: %s", reply_text(err, c.p));
	if (wire_now_ms() - start < 250 || wire_now_ms() - start > 1500)
		return fail(r, "a deadline of 300 ms ended the stream after %d ms", (int)(wire_now_ms() - start));
	return PASS;
}

/* What no grammar allows is answered by an error, and by nothing worse. */
static enum verdict tmo_malformed(struct run *r)
{
	static const char *const bad[] = { "", "5", "S", "x", "5s", "-5S", "+5S", "5 S", "123456789S", "5S,6S", "0x5S" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(call) struct call c = { 0 };
		struct request q = fetch_svid;

		q.timeout = bad[i];
		int err = call_connect(r, &c);

		if (!err)
			err = call_make(&c, &q, UNTIL_END);
		if (err || (!c.p->reset && c.p->grpc_status <= 1))
			return fail(r, "grpc-timeout \"%s\": %s", bad[i], reply_text(err, c.p));
	}
	return want_alive(r, "malformed grpc-timeout");
}

/* One piece of a request body. */
struct piece {
	const char *bytes;
	size_t len;
	uint8_t flags;
};

/* Sends the request with its body in these pieces and waits as far as @until. */
static int call_pieces(struct run *r, struct call *c, const struct piece *pieces, size_t n, enum until until)
{
	int err = call_connect(r, c);

	if (!err)
		err = wire_open(&c->w, &fetch_svid, 0, &c->id);
	for (size_t i = 0; !err && i < n; i++)
		err = wire_frame(&c->w, NGHTTP2_DATA, pieces[i].flags, c->id, pieces[i].bytes, pieces[i].len);
	if (err)
		return err;
	c->p = wire_reply(&c->w, c->id);
	return wire_wait(&c->w, c->id, until, wire_ms);
}

static enum verdict pieces_served(struct run *r, const struct piece *pieces, size_t n)
{
	AUTO(call) struct call c = { 0 };
	int err = call_pieces(r, &c, pieces, n, UNTIL_MESSAGE);

	return want_served_reply(r, err, c.p);
}

static enum verdict pieces_refused(struct run *r, const struct piece *pieces, size_t n, uint32_t statuses)
{
	AUTO(call) struct call c = { 0 };
	int err = call_pieces(r, &c, pieces, n, UNTIL_END);

	if (err || c.p->grpc_status < 0 || !(statuses & 1u << c.p->grpc_status))
		return fail(r, "wanted another status: %s", reply_text(err, c.p));
	return PASS;
}

#define END NGHTTP2_FLAG_END_STREAM

static enum verdict data_1(struct run *r)
{
	static const struct piece split[] = {
		{ "\0", 1, 0 }, { "\0", 1, 0 }, { "", 0, 0 }, { "\0\0", 2, 0 }, { "\0", 1, END },
	};

	return pieces_served(r, split, ARRAY_SIZE(split));
}

static enum verdict data_2(struct run *r)
{
	static const struct piece tonic[] = { { "\0\0\0\0\0", 5, 0 }, { "", 0, END } };

	return pieces_served(r, tonic, ARRAY_SIZE(tonic));
}

static enum verdict data_3(struct run *r)
{
	static const struct piece compressed[] = { { "\1\0\0\0\0", 5, END } };

	/* Unimplemented, or Internal when there was no grpc-encoding at all. */
	return pieces_refused(r, compressed, ARRAY_SIZE(compressed), 1u << 12 | 1u << 13);
}

/* The length says 16 MiB; a server that waits for them has no bound. */
static enum verdict data_4(struct run *r)
{
	static const struct piece huge[] = { { "\0\1\0\0\0junk", 9, 0 } };

	return pieces_refused(r, huge, ARRAY_SIZE(huge), 1u << 8);
}

static enum verdict data_5(struct run *r)
{
	static const struct piece nothing[] = { { "", 0, END } };

	return pieces_refused(r, nothing, ARRAY_SIZE(nothing), 1u << 2 | 1u << 3 | 1u << 12 | 1u << 13);
}

static enum verdict data_6(struct run *r)
{
	static const struct piece cut[] = { { "\0\0\0\0\7abc", 8, END } };

	return pieces_refused(r, cut, ARRAY_SIZE(cut), 1u << 2 | 1u << 3 | 1u << 12 | 1u << 13);
}

static enum verdict data_7(struct run *r)
{
	static const struct piece padded[] = { { "\3\0\0\0\0\0pad", 9, END | NGHTTP2_FLAG_PADDED } };

	return pieces_served(r, padded, ARRAY_SIZE(padded));
}

/* proto3: fields that the server does not know are skipped (field 15, varint 1; field 16, bytes). */
static enum verdict data_8(struct run *r)
{
	static const struct piece unknown[] = { { "\0\0\0\0\7\x78\1\x82\1\2hi", 12, END } };

	return pieces_served(r, unknown, ARRAY_SIZE(unknown));
}

static enum verdict data_9(struct run *r)
{
	static const struct piece garbage[] = { { "\0\0\0\0\4\x0a\xff\xff\xff", 9, END } };

	return pieces_refused(r, garbage, ARRAY_SIZE(garbage), 1u << 3 | 1u << 13);
}

static enum verdict data_10(struct run *r)
{
	static const struct piece twice[] = { { "\0\0\0\0\0\0\0\0\0\0", 10, END } };

	return pieces_refused(r, twice, ARRAY_SIZE(twice), 1u << 3 | 1u << 12 | 1u << 13);
}

static enum verdict hdr_1(struct run *r)
{
	struct request q = fetch_svid;

	q.content_type = "application/grpc+proto";
	return want_served(r, &q);
}

/* Whatever the answer is, it is not a served call, and it comes. */
static enum verdict not_served(struct run *r, const struct request *q)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, q, UNTIL_END);
	bool refused = c.p && !err && (c.p->reset || c.p->http_status >= 400 || c.p->grpc_status > 1);
	bool cut = c.w.goaway || c.w.eof || err == -EPIPE || err == -ECONNRESET;

	if (!refused && !cut)
		return fail(r, "%s", reply_text(err, c.p));
	return want_alive(r, "a malformed request");
}

static enum verdict hdr_2(struct run *r)
{
	struct request q = fetch_svid;

	q.method = "GET";
	return not_served(r, &q);
}

static enum verdict hdr_3(struct run *r)
{
	static const char *const types[] = { "application/json", "application/grpcweb", "", NULL };

	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct request q = fetch_svid;

		q.content_type = types[i];
		if (not_served(r, &q) != PASS)
			return FAIL;
	}
	return PASS;
}

static enum verdict with_extra(struct run *r, const char *name, const char *value)
{
	struct request q = fetch_svid;

	q.extra[0].name = name;
	q.extra[0].value = value;
	return not_served(r, &q);
}

static enum verdict hdr_4(struct run *r)
{
	return with_extra(r, "Upper-Case", "x");
}

static enum verdict hdr_5(struct run *r)
{
	return with_extra(r, "connection", "keep-alive");
}

static enum verdict hdr_6(struct run *r)
{
	return with_extra(r, ":method", "POST");
}

static enum verdict hdr_7(struct run *r)
{
	return with_extra(r, ":nonsense", "1");
}

static enum verdict hdr_8(struct run *r)
{
	static char big[32769];

	memset(big, 'a', sizeof(big) - 1);
	return with_extra(r, "x-big", big);
}

static enum verdict hdr_9(struct run *r)
{
	struct request q = fetch_svid;

	q.extra[0].name = "user-agent";
	q.extra[0].value = "grpc-c/99 \xff\x80 odd";
	q.extra[1].name = "grpc-accept-encoding";
	q.extra[1].value = "identity, deflate, gzip";
	q.extra[2].name = "x-bin";
	q.extra[2].value = "AAEC";
	q.extra[3].name = "accept-encoding";
	q.extra[3].value = "identity";
	return want_served(r, &q);
}

static enum verdict hdr_10(struct run *r)
{
	struct request q = fetch_svid;

	q.path = NULL;
	return not_served(r, &q);
}

const struct test grpc_tests[] = {
	{ "AUTH-1", ":authority is the raw socket path (java-spiffe)", MODE_BOTH, auth_1, NULL },
	{ "AUTH-2", ":authority is the percent-encoded path (grpcio)", MODE_BOTH, auth_2, NULL },
	{ "AUTH-3", ":authority is empty", MODE_BOTH, auth_3, NULL },
	{ "AUTH-4", ":authority is missing", MODE_BOTH, auth_4, NULL },
	{ "AUTH-5", "host instead of :authority", MODE_BOTH, auth_5, NULL },
	{ "TMO-1", "grpc-timeout in hours", MODE_BOTH, tmo_h, NULL },
	{ "TMO-2", "grpc-timeout in minutes", MODE_BOTH, tmo_m, NULL },
	{ "TMO-3", "grpc-timeout in seconds", MODE_BOTH, tmo_s, NULL },
	{ "TMO-4", "grpc-timeout in milliseconds", MODE_BOTH, tmo_ms, NULL },
	{ "TMO-5", "grpc-timeout in microseconds", MODE_BOTH, tmo_us, NULL },
	{ "TMO-6", "grpc-timeout in nanoseconds", MODE_BOTH, tmo_ns, NULL },
	{ "TMO-7", "the longest grpc-timeout", MODE_BOTH, tmo_long, NULL },
	{ "TMO-8", "a stream ends at its deadline", MODE_IDENTITY, tmo_over, NULL },
	{ "TMO-9", "malformed grpc-timeout is an error", MODE_IDENTITY, tmo_malformed, NULL },
	{ "DATA-1", "a message split over DATA frames", MODE_BOTH, data_1, NULL },
	{ "DATA-2", "END_STREAM on an empty DATA frame (tonic)", MODE_BOTH, data_2, NULL },
	{ "DATA-3", "compressed flag: Unimplemented", MODE_IDENTITY, data_3, NULL },
	{ "DATA-4", "oversize message: ResourceExhausted at its prefix", MODE_IDENTITY, data_4, NULL },
	{ "DATA-5", "a request without a message is an error", MODE_IDENTITY, data_5, NULL },
	{ "DATA-6", "a message cut short is an error", MODE_IDENTITY, data_6, NULL },
	{ "DATA-7", "padded DATA", MODE_BOTH, data_7, NULL },
	{ "DATA-8", "unknown request fields are skipped", MODE_BOTH, data_8, NULL },
	{ "DATA-9", "a request that is not protobuf is an error", MODE_IDENTITY, data_9, NULL },
	{ "DATA-10", "two messages in one request are an error", MODE_IDENTITY, data_10, NULL },
	{ "HDR-1", "content-type application/grpc+proto", MODE_BOTH, hdr_1, NULL },
	{ "HDR-2", "method GET is not served", MODE_BOTH, hdr_2, NULL },
	{ "HDR-3", "another content-type, or none, is not served", MODE_BOTH, hdr_3, NULL },
	{ "HDR-4", "upper case in a header name is malformed", MODE_BOTH, hdr_4, NULL },
	{ "HDR-5", "connection-specific headers are malformed", MODE_BOTH, hdr_5, NULL },
	{ "HDR-6", "a pseudo header twice is malformed", MODE_BOTH, hdr_6, NULL },
	{ "HDR-7", "an unknown pseudo header is malformed", MODE_BOTH, hdr_7, NULL },
	{ "HDR-8", "a header list of 32 KiB is refused", MODE_BOTH, hdr_8, NULL },
	{ "HDR-9", "headers that other stacks add do no harm", MODE_BOTH, hdr_9, NULL },
	{ "HDR-10", "a request without :path is malformed", MODE_BOTH, hdr_10, NULL },
	{ 0 },
};
