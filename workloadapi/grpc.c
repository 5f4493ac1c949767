// SPDX-License-Identifier: Apache-2.0
/* grpc.c - calls: from header fields and DATA to an answer and trailers. svid-front. Next: service.h. */
#include "workloadapi/grpc.h"

#include "agent/base/clock.h"
#include "workloadapi/sds_request.h"
#include "workloadapi/service.h"

#define PIECE_BYTES 2048 /* of a request, taken in at a time */

static struct call *call_of(struct h2_stream *s)
{
	return container_of(s, struct call, s);
}

struct grpc_conn *call_conn(struct call *c)
{
	return container_of(c->s.h2, struct grpc_conn, h2);
}

static struct call *call_at(struct list *node)
{
	return call_of(list_entry(node, struct h2_stream, node));
}

static void drop_body(struct call *c)
{
	call_conn(c)->buffered -= (uint32_t)c->body.len;
	buf_done(&c->body);
}

static void stop_waiting(struct call *c)
{
	struct call_wait *w = c->wait;

	if (!w)
		return;
	c->wait = NULL;
	w->call = NULL;
	w->gone(w);
}

static void stop_following(struct call *c)
{
	struct call_follow *f = c->follow;

	c->follow = NULL;
	if (f)
		f->gone(f);
}

/* A message that is partly framed goes out whole first: a client must never see half of one. */
static void end_about(struct call *c, struct outcome o, struct slice about)
{
	if (c->state == CALL_END)
		return;
	stop_waiting(c);
	stop_following(c);
	c->outcome = o;
	c->state = CALL_END;
	drop_body(c);
	if (!c->s.msg)
		call_send_outcome(c, about);
}

static void end_with(struct call *c, struct outcome o)
{
	end_about(c, o, slice_of(NULL, 0));
}

void call_fail(struct call *c, enum grpc_status status, const char *text)
{
	end_with(c, (struct outcome){ .status = status, .text = text });
}

void call_fail_about(struct call *c, enum grpc_status status, const char *text, struct slice about)
{
	end_about(c, (struct outcome){ .status = status, .text = text }, about);
}

void call_fail_err(struct call *c, int err)
{
	call_fail(c, err_status(err), err_text(err));
}

void call_reply(struct call *c, struct message *m)
{
	call_send_head(c);
	h2_message(&c->s, m);
}

void call_answer(struct call *c, struct message *m)
{
	call_reply(c, m);
	end_with(c, (struct outcome){ .status = GRPC_OK });
}

void call_watch(struct call *c, enum feed_id feed, bool gated)
{
	c->state = CALL_WATCH;
	c->feed = (uint8_t)feed;
	c->gated = gated;
}

void call_watch_one(struct call *c, uint32_t identity)
{
	call_watch(c, FEED_WIT_SVIDS, true);
	c->one = true;
	c->only = identity;
}

void call_wait(struct call *c, struct call_wait *w)
{
	c->state = CALL_WAIT;
	c->wait = w;
	w->call = c;
}

struct call *call_wake(struct call_wait *w)
{
	struct call *c = w->call;

	w->call = NULL;
	if (c)
		c->wait = NULL;
	return c;
}

void call_push(struct call *c)
{
	struct grpc_conn *g = call_conn(c);

	g->api->ops->poke(g->api, g);
}

void call_self(struct call *c)
{
	c->state = CALL_SELF;
	call_conn(c)->whoami_wanted = true;
}

/* NULL: the identity that the call is about left the set. */
static const struct feed *feed_of(const struct call *c, const struct api *api)
{
	return c->one ? api_one(api, c->only) : &api->feeds[c->feed];
}

/* Start the feed's current message when the stream has not sent it yet. */
static void follow(struct call *c)
{
	const struct api *api = call_conn(c)->api;
	const struct feed *f = feed_of(c, api);

	if (c->gated && api->state_err) {
		call_fail_err(c, api->state_err);
	} else if (!f) {
		call_fail_err(c, api->feeds[c->feed].err ? api->feeds[c->feed].err : -ERR_NO_IDENTITY);
	} else if (f->serial == c->serial) {
		return;
	} else if (!f->msg) {
		call_fail_err(c, f->err);
	} else if (f->expires && clock_wall_s() >= f->expires) {
		call_fail(c, GRPC_UNAVAILABLE, "the SVID expired and could not be renewed yet");
	} else {
		call_send_head(c);
		h2_message(&c->s, f->msg);
		c->serial = f->serial;
	}
}

static void on_field(struct h2_stream *s, struct slice name, struct slice value)
{
	request_field(&call_of(s)->req, name, value);
}

/* Known now, said when the request is complete: some clients mishandle an answer before that. */
static void refuse(struct call *c, enum grpc_status status, const char *text, uint16_t http)
{
	if (c->refused)
		return;
	c->refused = true;
	c->outcome = (struct outcome){ .status = status, .text = text, .http = http };
	drop_body(c);
}

static void refuse_err(struct call *c, int err)
{
	refuse(c, err_status(err), err_text(err), 0);
}

static bool is_discovery(const struct call *c)
{
	return c->req.method && c->req.method->kind >= DISCOVER;
}

static bool is_many(const struct call *c)
{
	return c->req.method && (c->req.method->kind == MANY || (is_discovery(c) && c->req.method->kind != DISCOVER_ONCE));
}

/* Order matters: the security header comes before anything that depends on the caller (WE-3-5). */
static void check_head(struct call *c)
{
	const struct request *r = &c->req;

	if (request_too_big(r))
		refuse(c, GRPC_RESOURCE_EXHAUSTED, "header list is larger than its limit", 0);
	else if (request_malformed(r))
		h2_reset(&c->s, H2_PROTOCOL_ERROR);
	else if (!r->post)
		refuse(c, GRPC_INTERNAL, "method is not POST", 405);
	else if (!r->grpc)
		refuse(c, GRPC_INVALID_ARGUMENT, "content-type is not application/grpc", 415);
	else if (r->spiffe_api && (r->spiffe != 1 || !r->spiffe_true))
		refuse_err(c, -ERR_HEADER);
	else if (!r->method)
		refuse_err(c, -ERR_METHOD);
	else if (r->timeout_bad)
		refuse(c, GRPC_INTERNAL, "malformed grpc-timeout", 0);
	else if ((r->spiffe_api || is_discovery(c)) && call_conn(c)->refused)
		refuse_err(c, call_conn(c)->refused);
}

static void on_head(struct h2_stream *s)
{
	struct call *c = call_of(s);

	c->started = call_conn(c)->api->now;
	c->body = (struct buf)BUF_INIT(GRPC_PREFIX + LIM_GRPC_MESSAGE);
	check_head(c);
}

/* Length in the prefix, as far as it has come. */
static size_t declared(const struct buf *b)
{
	struct slice s = buf_slice(b);

	(void)slice_get_u8(&s);
	return slice_get_be32(&s);
}

/* The next message, not compressed. -ERR_SHORT: it is not all there; other errors: the call was ended. */
static int get_message(struct call *c, struct slice *s, struct slice *ret_message)
{
	uint8_t compressed = slice_get_u8(s);
	uint32_t len = slice_get_be32(s);

	if (!slice_ok(s) || s->len < len)
		return -ERR_SHORT;
	*ret_message = slice_get_bytes(s, len);
	if (!compressed)
		return 0;
	if (compressed > 1)
		call_fail(c, GRPC_INTERNAL, "malformed request prefix");
	else if (!c->req.encoding)
		call_fail(c, GRPC_INTERNAL, "compressed flag without grpc-encoding");
	else
		call_fail_err(c, -ERR_COMPRESSED);
	return -ERR_REQUEST;
}

static void drop_message(struct call *c, size_t bytes)
{
	buf_consume(&c->body, bytes);
	call_conn(c)->buffered -= (uint32_t)bytes;
	if (!c->body.len)
		buf_done(&c->body);
}

static bool follows(const struct call *c)
{
	return is_many(c) && c->req.method->kind != MANY;
}

/* The client has no more requests. One that follows goes on, as a watch does. */
static void end_requests(struct call *c)
{
	if (c->body.len || (follows(c) && c->state == CALL_REQUEST))
		call_fail(c, GRPC_INTERNAL, "request message is not complete");
	else if (!follows(c))
		end_with(c, (struct outcome){ .status = GRPC_OK });
}

/* A method with many requests: one at a time, the next when the answer before it is framed whole. Whether there was one. */
static bool serve_next(struct call *c)
{
	struct slice s = buf_slice(&c->body);
	struct slice message;
	int err;

	if (c->s.msg)
		return false;
	err = get_message(c, &s, &message);
	if (!err) {
		call_conn(c)->requests++;
		c->state = follows(c) ? CALL_FOLLOW : CALL_MANY;
		c->req.method->serve(c, message);
		if (c->state != CALL_END)
			drop_message(c, c->body.len - s.len);
	} else if (err == -ERR_SHORT && c->s.remote_end) {
		end_requests(c);
	}
	return !err;
}

/* Each request is answered, if there is something to say, before the next is looked at. */
static void go_on(struct call *c)
{
	struct api *api = call_conn(c)->api;
	struct message *m = NULL;
	int err = api->state_err;

	while (c->state == CALL_FOLLOW && !c->s.msg && !c->s.dead && (err || api->set)) {
		if (!err)
			err = c->follow->next(c->follow, api, &m);
		if (err)
			call_fail_err(c, err);
		else if (m)
			call_reply(c, m);
		else if (!serve_next(c))
			return;
	}
}

static void serve_many(struct call *c)
{
	if (c->state != CALL_FOLLOW)
		(void)serve_next(c);
	go_on(c);
}

/* Some bytes of the body. What nobody reads of an Envoy's requests, nearly all of it, is not kept. */
static int take_bytes(struct call *c, struct slice bytes)
{
	bool discover = is_discovery(c);
	uint32_t *buffered = &call_conn(c)->buffered;
	int err;

	buf_put_slice(&c->body, bytes);
	err = buf_ok(&c->body);
	if (err)
		return err;
	*buffered += (uint32_t)bytes.len;
	if (*buffered > LIM_CONN_IN || declared(&c->body) > (discover ? LIM_SDS_REQUEST : LIM_GRPC_MESSAGE))
		return -ERR_SIZE;
	if (discover)
		*buffered -= (uint32_t)sds_squeeze(&c->body, c->req.method->kind == DISCOVER_DELTA);
	return 0;
}

static bool takes_data(const struct call *c)
{
	return (c->state == CALL_REQUEST || c->state == CALL_MANY || c->state == CALL_FOLLOW) && !c->refused;
}

static void on_data(struct h2_stream *s, struct slice bytes)
{
	struct call *c = call_of(s);
	int err = 0;

	if (c->refused && c->state == CALL_REQUEST && is_many(c))
		end_with(c, c->outcome); /* whose requests may never end */
	if (!takes_data(c))
		return;
	while (bytes.len && !err)
		err = take_bytes(c, slice_get_bytes(&bytes, bytes.len < PIECE_BYTES ? bytes.len : PIECE_BYTES));
	if (err)
		call_fail_err(c, err);
	else if (is_many(c))
		serve_many(c);
}

/* Exactly one message, whole. */
static int check_body(struct call *c, struct slice *ret_message)
{
	struct slice s = buf_slice(&c->body);
	int err = get_message(c, &s, ret_message);

	if (err == -ERR_SHORT)
		call_fail(c, GRPC_INTERNAL, "request message is not complete");
	else if (!err && s.len)
		call_fail(c, GRPC_INTERNAL, "more than one request message");
	return c->state == CALL_END ? -ERR_REQUEST : 0;
}

/* The request is complete and well formed. Held calls come here again when something has changed. */
static void serve(struct call *c, struct slice message)
{
	const struct method *m = c->req.method;
	const struct api *api = call_conn(c)->api;
	bool needs_set = m->kind == NEEDS_SET || m->kind == DISCOVER_ONCE;

	if (needs_set && api->state_err) {
		call_fail_err(c, api->state_err);
	} else if (needs_set && !api->set) {
		call_hold(c);
	} else {
		m->serve(c, message);
		if (c->state != CALL_HELD)
			drop_body(c);
	}
}

void call_hold(struct call *c)
{
	c->state = CALL_HELD;
}

static void on_end(struct h2_stream *s)
{
	struct call *c = call_of(s);
	struct slice message;

	if (c->state != CALL_MANY && c->state != CALL_FOLLOW)
		call_conn(c)->requests++;
	if (c->state != CALL_REQUEST && c->state != CALL_MANY && c->state != CALL_FOLLOW)
		return;
	if (c->refused)
		end_with(c, c->outcome);
	else if (is_many(c))
		serve_many(c);
	else if (!check_body(c, &message))
		serve(c, message);
}

static void on_idle(struct h2_stream *s)
{
	struct call *c = call_of(s);
	const struct grpc_conn *g = call_conn(c);
	struct slice message;

	if (c->state == CALL_END)
		call_send_outcome(c, slice_of(NULL, 0));
	else if (c->state == CALL_WATCH)
		follow(c);
	else if (c->state == CALL_MANY || c->state == CALL_FOLLOW)
		serve_many(c);
	else if (c->state == CALL_SELF && g->whoami)
		call_answer(c, g->whoami);
	else if (c->state == CALL_HELD && (g->api->set || g->api->state_err) && !check_body(c, &message))
		serve(c, message);
	else if (c->state == CALL_WAIT && g->api->state_err)
		call_fail_err(c, g->api->state_err);
}

static void on_gone(struct h2_stream *s)
{
	stop_waiting(call_of(s));
	stop_following(call_of(s));
	drop_body(call_of(s));
}

static const struct h2_ops ops = {
	.stream_size = sizeof(struct call),
	.field = on_field,
	.head = on_head,
	.data = on_data,
	.end = on_end,
	.idle = on_idle,
	.gone = on_gone,
};

void grpc_init(struct grpc_conn *g, struct api *api)
{
	*g = (struct grpc_conn){ .api = api };
	h2_init(&g->h2, &ops);
}

void grpc_set_whoami(struct grpc_conn *g, struct message *whoami)
{
	message_unref(g->whoami);
	g->whoami = whoami;
}

void grpc_done(struct grpc_conn *g)
{
	h2_done(&g->h2);
	grpc_set_whoami(g, NULL);
}

/* "No identity issued" is final for clients: not said where it is no answer to what was asked. */
static int end_of(const struct call *c, int err)
{
	return err == -ERR_NO_IDENTITY && c->req.method && c->req.method->kind == ANYBODY ? -ERR_IDENTITIES : err;
}

void grpc_end(struct grpc_conn *g, int err)
{
	struct list *n;

	for (n = g->h2.streams.next; n != &g->h2.streams; n = n->next)
		if (!call_at(n)->s.dead)
			call_fail_err(call_at(n), end_of(call_at(n), err));
	h2_goaway(&g->h2, H2_NO_ERROR);
}

static uint64_t deadline(const struct call *c)
{
	return c->req.seen & SEEN_TIMEOUT && !c->req.timeout_bad ? c->started + c->req.timeout_ns : UINT64_MAX;
}

static bool waits_for_core(const struct call *c, const struct api *api)
{
	const struct feed *f = c->state == CALL_WATCH ? feed_of(c, api) : NULL;

	return c->state == CALL_SELF || c->state == CALL_HELD || (c->state == CALL_FOLLOW && !api->set) || (f && !f->serial);
}

/* Besides the client's deadline: an incomplete request, and a wait for what others have to say. */
static uint64_t patience(const struct call *c, const struct api *api)
{
	if (c->state == CALL_REQUEST)
		return c->started + LIM_FIRST_REQUEST_MS * NS_PER_MS;
	if (c->state == CALL_WAIT)
		return c->started + LIM_JWT_WAIT_MS * NS_PER_MS;
	return waits_for_core(c, api) ? c->started + LIM_SET_WAIT_MS * NS_PER_MS : UINT64_MAX;
}

static uint64_t call_due(const struct call *c, const struct api *api)
{
	uint64_t a = deadline(c), b = patience(c, api);

	if (c->state == CALL_END)
		return UINT64_MAX;
	return a < b ? a : b;
}

static void expire(struct call *c, const struct api *api)
{
	if (deadline(c) <= api->now || c->state == CALL_REQUEST)
		call_fail_err(c, -ERR_DEADLINE);
	else
		call_fail_err(c, -ERR_NOT_READY);
}

void grpc_expire(struct grpc_conn *g)
{
	struct list *n;

	for (n = g->h2.streams.next; n != &g->h2.streams; n = n->next) {
		struct call *c = call_at(n);

		if (!c->s.dead && call_due(c, g->api) <= g->api->now)
			expire(c, g->api);
	}
}

uint64_t grpc_due(const struct grpc_conn *g)
{
	const struct list *n;
	uint64_t due = UINT64_MAX, d;

	for (n = g->h2.streams.next; n != &g->h2.streams; n = n->next) {
		d = call_due(call_at((struct list *)(uintptr_t)n), g->api);
		if (d < due)
			due = d;
	}
	return due;
}

bool grpc_stuck(const struct grpc_conn *g)
{
	const struct list *n;

	for (n = g->h2.streams.next; n != &g->h2.streams; n = n->next)
		if (call_at((struct list *)(uintptr_t)n)->s.msg)
			return true;
	return false;
}
