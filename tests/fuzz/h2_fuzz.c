/* SPDX-License-Identifier: Apache-2.0 */
/* links: workloadapi tests/lib/workload.c */
/*
 * h2_fuzz.c - whatever a workload may send: the whole connection engine of svid-front behind one call.
 *
 * The first byte chooses: raw bytes cut into pieces, or a script of frames with right lengths and of
 * events around the connection. What comes out is checked as a strict client would.
 */
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "agent/ipc/lists.h"
#include "tests/lib/workload.h"
#include "workloadapi/encode.h"

#define STREAMS 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct api api;
static bool other_set = true; /* than that of the start: two identities */
static struct message *versions[4]; /* of the answer; the last is larger than a window */

/* What a client knows of the answers. */
struct client {
	struct grpc_conn g;
	struct buf out;		      /* not yet whole frames of the engine */
	struct buf prefix[STREAMS];   /* of the message that is coming in */
	uint32_t left[STREAMS];	      /* bytes of it to come */
	bool ended[STREAMS];
	uint32_t next_id;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void check_data(struct client *c, uint32_t id, struct slice body)
{
	struct buf *prefix = &c->prefix[id % STREAMS];

	must(!c->ended[id % STREAMS]);
	for (; body.len; (void)slice_get_u8(&body)) {
		if (c->left[id % STREAMS]) {
			c->left[id % STREAMS]--;
			continue;
		}
		buf_put_u8(prefix, *body.p);
		if (prefix->len < GRPC_PREFIX)
			continue;
		struct slice p = buf_slice(prefix);

		must(slice_get_u8(&p) == 0);
		c->left[id % STREAMS] = slice_get_be32(&p);
		buf_reset(prefix);
	}
}

static void check_frame(struct client *c, const struct test_frame *f)
{
	if (f->id / 2 >= STREAMS / 2)
		return;
	if (f->type == H2_DATA)
		check_data(c, f->id, f->body);
	must(f->type != H2_RST_STREAM || f->body.p[3] != 8); /* never CANCEL */
	if (f->type == H2_HEADERS && f->flags & H2_END_STREAM) {
		/* Trailers never cut a message. */
		must(!c->left[f->id] && !c->prefix[f->id].len && !c->ended[f->id]);
		c->ended[f->id] = true;
	}
}

static void check_out(struct client *c)
{
	struct slice in = buf_slice(&c->out);
	struct test_frame f;

	while (test_frame_get(&in, &f)) {
		must(f.body.len <= H2_FRAME_MAX);
		check_frame(c, &f);
	}
	buf_consume(&c->out, c->out.len - in.len);
}

/* Take up to @max bytes of what the engine has to say. */
static void drain(struct client *c, size_t max)
{
	struct iovec iov[8];
	size_t n, taken = 0;

	if (!c->g.h2.err)
		(void)!h2_pump(&c->g.h2);
	must(!out_ok(&c->g.h2.out) || c->g.h2.err);
	while (!out_ok(&c->g.h2.out) && taken < max && (n = out_iov(&c->g.h2.out, iov, 8))) {
		for (size_t i = 0; i < n; i++) {
			buf_put(&c->out, iov[i].iov_base, iov[i].iov_len);
			out_sent(&c->g.h2.out, iov[i].iov_len);
			taken += iov[i].iov_len;
		}
	}
	must(c->g.h2.out.own.len <= LIM_CONN_OUT);
	must(c->g.buffered <= LIM_CONN_IN + H2_FRAME_MAX);
	must(c->g.h2.n_streams <= LIM_STREAMS);
	check_out(c);
}

static void feed(struct client *c, struct slice bytes)
{
	(void)!h2_in(&c->g.h2, bytes);
}

static void feed_frame(struct client *c, uint8_t type, uint8_t flags, uint32_t id, struct slice body)
{
	AUTO(buf) struct buf b = BUF_INIT(H2_FRAME_HEAD + H2_FRAME_MAX);

	test_frame_put(&b, type, flags, id, body);
	feed(c, buf_slice(&b));
}

static void feed_request(struct client *c, uint8_t which, uint8_t flags)
{
	static const char *const paths[] = {
		"/SpiffeWorkloadAPI/FetchX509SVID", "/SpiffeWorkloadAPI/FetchX509Bundles",
		"/SpiffeWorkloadAPI/FetchJWTSVID", "/grpc.health.v1.Health/Check",
		"/grpc.health.v1.Health/Watch", "/svid.v1.Self/WhoAmI", "/x/y",
		"/SpiffeWorkloadAPI/ValidateJWTSVID", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/SpiffeWorkloadAPI/FetchJWTBundles", "/SpiffeWorkloadAPI/FetchWITSVID", "/SpiffeWorkloadAPI/FetchWITBundles",
	};
	AUTO(buf) struct buf b = BUF_INIT(1024);

	hpack_put(&b, ":method", slice_str(which & 64 ? "GET" : "POST"));
	hpack_put(&b, ":scheme", slice_str("http"));
	hpack_put(&b, ":path", slice_str(paths[which % ARRAY_SIZE(paths)]));
	hpack_put(&b, "content-type", slice_str("application/grpc"));
	if (which & 32)
		hpack_put(&b, "grpc-timeout", slice_str("1S"));
	if (!(which & 128))
		hpack_put(&b, "workload.spiffe.io", slice_str("true"));
	feed_frame(c, H2_HEADERS, H2_END_HEADERS | (flags & 1), c->next_id, buf_slice(&b));
	c->next_id += 2;
}

/* Whole request messages: the fuzzer cannot be asked to find a token. */
static void feed_message(struct client *c, uint8_t which, uint8_t id)
{
	static const char token[] = "eyJhbGciOiJFUzI1NiJ9."
				    "eyJzdWIiOiJzcGlmZmU6Ly90ZC50ZXN0L3ciLCJhdWQiOiJhIiwiZXhwIjo0MTAyNDQ0ODAwfQ.c2ln";
	AUTO(buf) struct buf m = BUF_INIT(512);
	AUTO(buf) struct buf b = BUF_INIT(1024);

	if (which & 2) {
		pb_put(&m, 1, slice_str("a"));
		pb_put(&m, 2, slice_str(token));
	} else if (which & 32) { /* of FetchJWTSVID, or of FetchWITSVID */
		pb_put(&m, 1, slice_str(which & 4 ? "b" : which & 8 ? "spiffe://td.test/w0" : "a"));
		pb_put(&m, 2, slice_str(which & 64 ? "spiffe://td.test/w1" : NULL));
	} else if (which & 4) {
		pb_put(&m, 4, slice_str(which & 8 ? "SpiffeWorkloadAPI" : "x"));
	}
	buf_put_u8(&b, 0);
	buf_put_be32(&b, (uint32_t)m.len);
	buf_put_slice(&b, buf_slice(&m));
	feed_frame(c, H2_DATA, which & 1, id, buf_slice(&b));
}

/* svid-keys answers a question, or none that was asked. */
static void feed_verified(uint8_t arg)
{
	struct msg_FK_VERIFIED m = { .order = api.checks.last - arg / 4 % 4, .err = arg & 1 ? -ERR_SIGNATURE : 0 };
	int err = arg & 2 ? checks_answer(&api, &m) : 0;

	must(err == 0 || err == -ERR_PERMIT);
}

static int take_question(struct api *a, const struct msg_FK_VERIFY *m)
{
	(void)a;
	must(m->order != 0 && m->input.len && m->signature.len);
	return 0;
}

/* What svid-core would take for a breach ends the run. */
static int take_order(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m)
{
	struct slice list = m->audiences, one;

	(void)g;
	must(m->order != 0 && set_by_number(a->set, m->identity) && list.len);
	must(a->tokens.n_open <= LIM_JWT_ORDERS);
	while (list.len) {
		one = list_get_str(&list, LIM_AUDIENCE);
		must(slice_ok(&list) && one.len && slice_is_utf8(one));
	}
	return 0;
}

/* svid-keys or svid-core answers an order, or none that was made. */
static void feed_token(uint8_t arg)
{
	struct msg_FK_JWT m = { .order = api.tokens.last - arg / 4 % 8, .issued_at = 4000000000,
				.not_after = 4000000010, .token = slice_str(arg & 32 ? "a.b.c" : "a.b") };
	int err = arg & 2 ? tokens_answer(&api, &m) : tokens_refuse(&api, m.order, arg & 1 ? -ERR_AUDIENCE : -ERR_RATE);

	must(err == 0 || err == -ERR_PERMIT || err == -ERR_FORMAT);
}

static void no_push(struct api *a, struct grpc_conn *g)
{
	(void)a;
	(void)g;
}

static const struct api_ops ops = { no_push, take_order, take_question };

/* Another identity set: identities, profile, and which of them is the first. */
static void feed_set(uint8_t arg)
{
	struct test_set set = { .version = 1 + (arg & 1), .n = arg >> 1 & 3, .n_fed = arg >> 3 & 1, .der_bytes = 100,
				.wit = arg & 16, .no_wits = arg & 32, .first = arg >> 6 & 1 };

	test_api_set(&api, &set);
	other_set = true;
}

static void event(struct client *c, uint8_t op, uint8_t arg)
{
	switch (op) {
	case 12:
		if (arg & 128) {
			feed_set(arg & 127);
			break;
		}
		api_publish(&api, FEED_SVIDS, message_ref(versions[arg % 4]), 0, 0);
		break;
	case 13:
		api_set_state(&api, arg & 1 ? -ERR_EVIDENCE : 0);
		break;
	case 14:
		api.now += (uint64_t)arg * NS_PER_S / 16;
		grpc_expire(&c->g);
		break;
	case 15:
		if (arg == 255)
			grpc_end(&c->g, -ERR_CHANGED);
		else if (arg & 128)
			feed_token(arg & 127);
		else
			feed_verified(arg);
		break;
	}
}

static void script(struct client *c, struct slice in)
{
	feed(c, slice_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	feed_frame(c, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
	while (in.len) {
		uint8_t op = slice_get_u8(&in) & 15, a = slice_get_u8(&in), id = slice_get_u8(&in);

		if (op < 10) {
			size_t len = slice_get_u8(&in);

			feed_frame(c, op, a, id, slice_get_bytes(&in, len < in.len ? len : in.len));
		} else if (op == 10) {
			feed_request(c, a, id);
		} else if (op == 11) {
			feed_message(c, a, id);
		} else {
			event(c, op, a);
		}
		drain(c, a & 16 ? 100 : SIZE_MAX);
	}
}

static void raw(struct client *c, struct slice in, size_t chunk)
{
	while (in.len) {
		feed(c, slice_get_bytes(&in, chunk < in.len ? chunk : in.len));
		drain(c, SIZE_MAX);
	}
}

static void make_versions(void)
{
	must(!api_init(&api));
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		test_api_serve(&api, i + 1, 1 + i, 200 + i * 10000);
		versions[i] = message_ref(api.feeds[FEED_SVIDS].msg);
	}
}

static void start(struct client *c)
{
	struct message *whoami;

	if (!api.serial)
		make_versions();
	if (other_set)
		test_api_serve(&api, 1, 2, 200);
	other_set = false;
	tokens_done(&api.tokens);
	tokens_init(&api.tokens);
	api_publish(&api, FEED_SVIDS, message_ref(versions[0]), 0, 0);
	api.now = NS_PER_S;
	api_set_state(&api, 0);
	api.ops = &ops;
	checks_done(&api.checks);
	checks_init(&api.checks);
	must(!encode_whoami(slice_str("{}"), &whoami));
	*c = (struct client){ .out = BUF_INIT(32u << 20), .next_id = 1 };
	for (int i = 0; i < STREAMS; i++)
		c->prefix[i] = (struct buf)BUF_INIT(GRPC_PREFIX);
	grpc_init(&c->g, &api);
	grpc_set_whoami(&c->g, whoami);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct client c;
	struct slice in = slice_of(data, size);
	uint8_t how = slice_get_u8(&in);

	if (!size)
		return 0;
	start(&c);
	if (how & 1)
		script(&c, in);
	else
		raw(&c, in, (size_t)1 << (how >> 1 & 15));
	drain(&c, SIZE_MAX);
	grpc_done(&c.g);
	must(c.g.buffered == 0);
	must(api.tokens.n_open <= LIM_JWT_ORDERS && api.tokens.n_ready <= LIM_JWT_CACHE);
	for (int i = 0; i < STREAMS; i++)
		buf_done(&c.prefix[i]);
	buf_done(&c.out);
	return 0;
}
