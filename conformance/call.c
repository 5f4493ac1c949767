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
