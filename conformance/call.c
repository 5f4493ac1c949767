/* SPDX-License-Identifier: Apache-2.0 */
/* call.c - the calls that most tests are made of, and how they are judged. svid-conformance. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "conformance/run.h"

#define ORDINARY(path_)                                                                                   \
	{                                                                                                 \
		.method = "POST", .scheme = "http", .authority = "localhost", .path = (path_),            \
		.content_type = "application/grpc", .te = "trailers", .security = "true",                 \
	}

const struct request fetch_svid = ORDINARY("/SpiffeWorkloadAPI/FetchX509SVID");
const struct request fetch_bundles = ORDINARY("/SpiffeWorkloadAPI/FetchX509Bundles");
const struct request health_check = ORDINARY("/grpc.health.v1.Health/Check");
const struct request fetch_jwt = ORDINARY("/SpiffeWorkloadAPI/FetchJWTSVID");
const struct request fetch_jwt_bundles = ORDINARY("/SpiffeWorkloadAPI/FetchJWTBundles");
const struct request validate_jwt = ORDINARY("/SpiffeWorkloadAPI/ValidateJWTSVID");
const struct request fetch_wit = ORDINARY("/SpiffeWorkloadAPI/FetchWITSVID");
const struct request fetch_wit_bundles = ORDINARY("/SpiffeWorkloadAPI/FetchWITBundles");

enum verdict fail(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return FAIL;
}

enum verdict skip(struct run *r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return SKIP;
}

enum verdict not_offered(struct run *r)
{
	fail(r, r->wit ? "the WIT profile is offered" : "the WIT profile is not offered; WA-7-1 binds then");
	return NOT_OFFERED;
}

int call_connect(struct run *r, struct call *c)
{
	int err = wire_connect(&c->w, r->socket);

	return err ? err : wire_start(&c->w);
}

int call_make(struct call *c, const struct request *q, enum until until)
{
	int err = wire_call(&c->w, q, &c->id);

	if (err)
		return err;
	c->p = wire_reply(&c->w, c->id);
	return wire_wait(&c->w, c->id, until, wire_ms);
}

int call_send(struct call *c, const struct request *q, struct slice message, enum until until)
{
	AUTO(buf) struct buf body = BUF_INIT(WIRE_MESSAGE_MAX);
	int err = wire_open(&c->w, q, 0, &c->id);

	buf_put_u8(&body, 0);
	buf_put_be32(&body, (uint32_t)message.len);
	buf_put_slice(&body, message);
	c->p = wire_reply(&c->w, c->id);
	/* DATA frames of at most 16 KiB, which every server takes. The windows of a test's messages are the default ones. */
	for (size_t at = 0; !err && at < body.len; at += 16384) {
		size_t n = body.len - at < 16384 ? body.len - at : 16384;
		uint8_t flags = at + n == body.len ? NGHTTP2_FLAG_END_STREAM : 0;

		err = wire_frame(&c->w, NGHTTP2_DATA, flags, c->id, body.data + at, n);
	}
	return err ? err : wire_wait(&c->w, c->id, until, wire_ms);
}

int ask(struct run *r, struct call *c, const struct request *q, struct slice message, struct slice *ret)
{
	struct slice first;
	int err = call_connect(r, c);

	if (!err)
		err = call_send(c, q, message, UNTIL_MESSAGE);
	if (!err && c->p->ended && c->p->body.len == 0)
		return -EBADE;
	if (!err)
		err = reply_message(c->p, &first);
	if (!err && ret)
		*ret = first;
	return err;
}

void put_text(struct buf *b, unsigned int number, struct slice text)
{
	size_t n = text.len;

	buf_put_u8(b, (uint8_t)(number << 3 | 2));
	for (; n > 0x7f; n >>= 7)
		buf_put_u8(b, (uint8_t)(n | 0x80));
	buf_put_u8(b, (uint8_t)n);
	buf_put_slice(b, text);
}

const char *reply_text(int err, const struct reply *p)
{
	static char text[600];

	if (!p)
		snprintf(text, sizeof(text), "no answer (%s)", strerror(-err));
	else if (p->reset)
		snprintf(text, sizeof(text), "RST_STREAM with error %u", p->reset_code);
	else if (p->http_status == 0)
		snprintf(text, sizeof(text), "nothing came (%s)", strerror(-err));
	else if (!p->ended)
		snprintf(text, sizeof(text), "HTTP %d, %zu bytes of data, stream open (%s)", p->http_status,
			 p->body.len, strerror(-err));
	else
		snprintf(text, sizeof(text), "HTTP %d, grpc-status %d, grpc-message \"%.200s\"", p->http_status,
			 p->grpc_status, p->grpc_message);
	return text;
}

static bool is_grpc(const struct reply *p)
{
	return p->http_status == 200 && strncmp(p->content_type, "application/grpc", 16) == 0;
}

enum verdict want_served_reply(struct run *r, int err, const struct reply *p)
{
	if (err || !is_grpc(p))
		return fail(r, "not served: %s", reply_text(err, p));
	if (r->mode == MODE_NONE && p->grpc_status != 7)
		return fail(r, "wanted PermissionDenied: %s", reply_text(err, p));
	if (r->mode == MODE_IDENTITY && p->body.len < 5)
		return fail(r, "wanted a message: %s", reply_text(err, p));
	return PASS;
}

enum verdict want_served(struct run *r, const struct request *q)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, q, UNTIL_MESSAGE);
	return want_served_reply(r, err, c.p);
}

enum verdict want_status(struct run *r, const struct request *q, int status)
{
	AUTO(call) struct call c = { 0 };
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, q, UNTIL_END);
	if (err || !is_grpc(c.p) || c.p->grpc_status != status)
		return fail(r, "wanted grpc-status %d: %s", status, reply_text(err, c.p));
	return PASS;
}

enum verdict want_alive(struct run *r, const char *after)
{
	if (want_served(r, &fetch_svid) == PASS)
		return PASS;
	char first[300];

	snprintf(first, sizeof(first), "%.290s", r->why);
	return fail(r, "after %s a new connection is %s", after, first);
}

/* The first message of a streaming call, copied. */
static int first_message(struct run *r, const struct request *q, struct buf *ret_bytes)
{
	AUTO(call) struct call c = { 0 };
	struct slice message;
	int err = call_connect(r, &c);

	if (!err)
		err = call_make(&c, q, UNTIL_MESSAGE);
	if (!err)
		err = reply_message(c.p, &message);
	if (err) {
		fail(r, "%s gave no message: %s", q->path, reply_text(err, c.p));
		return err;
	}
	buf_put_slice(ret_bytes, message);
	return buf_ok(ret_bytes);
}

const struct svid_response *run_svids(struct run *r)
{
	if (r->have_svids)
		return &r->svids;
	if (first_message(r, &fetch_svid, &r->svid_bytes))
		return NULL;
	if (svid_response_parse(buf_slice(&r->svid_bytes), &r->svids)) {
		fail(r, "X509SVIDResponse does not parse");
		return NULL;
	}
	r->have_svids = true;
	return &r->svids;
}

const struct bundle_response *run_bundles(struct run *r)
{
	if (r->have_bundles)
		return &r->bundles;
	if (first_message(r, &fetch_bundles, &r->bundle_bytes))
		return NULL;
	if (bundle_response_parse(buf_slice(&r->bundle_bytes), &r->bundles)) {
		fail(r, "X509BundlesResponse does not parse");
		return NULL;
	}
	r->have_bundles = true;
	return &r->bundles;
}

/* What is asked for, and how its answer is made. */
static const struct {
	const struct request *q;
	unsigned int last; /* field of an item */
} answer_forms[ANSWERS] = {
	[ANSWER_JWT] = { &fetch_jwt, 3 },
	[ANSWER_JWT_BUNDLES] = { &fetch_jwt_bundles, 2 },
	[ANSWER_WIT] = { &fetch_wit, 4 },
	[ANSWER_WIT_BUNDLES] = { &fetch_wit_bundles, 2 },
};

const struct items *run_answer(struct run *r, enum answer_of which)
{
	static const char *const audiences[] = { JWT_AUDIENCES };
	AUTO(call) struct call c = { 0 };
	AUTO(buf) struct buf request = BUF_INIT(4096);
	struct answer *a = &r->answers[which];
	struct slice message;

	if (a->have)
		return &a->items;
	for (size_t i = 0; which == ANSWER_JWT && i < ARRAY_SIZE(audiences); i++)
		put_text(&request, 1, slice_str(audiences[i]));
	int err = ask(r, &c, answer_forms[which].q, buf_slice(&request), &message);

	if (err) {
		fail(r, "%s gave no message: %s", answer_forms[which].q->path, reply_text(err, c.p));
		return NULL;
	}
	a->bytes = (struct buf)BUF_INIT(WIRE_BODY);
	buf_put_slice(&a->bytes, message);
	if (buf_ok(&a->bytes) || items_parse(buf_slice(&a->bytes), 1, answer_forms[which].last, &a->items)) {
		fail(r, "the answer of %s does not parse", answer_forms[which].q->path);
		return NULL;
	}
	a->have = true;
	return &a->items;
}

void run_forget(struct run *r)
{
	r->have_svids = r->have_bundles = false;
	buf_reset(&r->svid_bytes);
	buf_reset(&r->bundle_bytes);
	for (size_t i = 0; i < ANSWERS; i++) {
		buf_done(&r->answers[i].bytes);
		r->answers[i].have = false;
	}
}

struct slice trust_domain_of(struct slice id)
{
	const uint8_t *slash = id.len > 9 ? memchr(id.p + 9, '/', id.len - 9) : NULL;

	return slash ? slice_of(id.p, (size_t)(slash - id.p)) : id;
}
