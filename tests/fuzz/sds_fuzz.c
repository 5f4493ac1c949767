/* SPDX-License-Identifier: Apache-2.0 */
/* links: workloadapi tests/lib/workload.c */
/*
 * sds_fuzz.c - whatever an Envoy may send over SDS, and identity sets that change meanwhile, behind the connection engine.
 *
 * The first byte chooses: one request, read whole and read squeezed, which must mean the same; or a script of streams,
 * requests and sets. What comes out is checked as Envoy would.
 */
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "tests/lib/workload.h"
#include "workloadapi/encode.h"
#include "workloadapi/sds_request.h"

#define STREAMS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct api api;

/* What a client knows of one stream. */
struct heard {
	struct buf bytes; /* DATA that is not a whole message yet */
	bool delta, ended;
	uint64_t nonce;
};

struct client {
	struct grpc_conn g;
	struct buf out; /* not yet whole frames of the engine */
	struct heard heard[STREAMS];
	uint32_t next_id;
};

static void must(bool ok)
{
	if (!ok)
		abort();
}

/* One request, whole or squeezed */

static void same_rows(const struct sds_row *a, size_t n, const struct sds_row *b, size_t m)
{
	must(n == m);
	for (size_t i = 0; i < n; i++)
		must(slice_eq(a[i].name, b[i].name) && a[i].version == b[i].version);
}

static void both_ways(struct slice in, bool delta)
{
	AUTO(sds_request) struct sds_request whole = { .n_names = 0 }, squeezed = { .n_names = 0 };
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);
	struct slice rest = in, s;
	int err = sds_read(in, delta, &whole), err2;

	buf_put_u8(&b, 0);
	buf_put_be32(&b, (uint32_t)in.len);
	for (size_t piece = 1; rest.len; piece = piece * 3 % 61) {
		buf_put_slice(&b, slice_get_bytes(&rest, piece < rest.len ? piece : rest.len));
		(void)sds_squeeze(&b, delta);
	}
	s = buf_slice(&b);
	must(slice_get_u8(&s) == 0 && slice_get_be32(&s) == s.len);
	err2 = sds_read(s, delta, &squeezed);
	must(err == err2);
	if (err)
		return;
	same_rows(whole.names, whole.n_names, squeezed.names, squeezed.n_names);
	same_rows(whole.without, whole.n_without, squeezed.without, squeezed.n_without);
	same_rows(whole.have, whole.n_have, squeezed.have, squeezed.n_have);
	must(slice_eq(whole.nonce, squeezed.nonce) && slice_eq(whole.why, squeezed.why));
	must(sds_wish(whole.node) == sds_wish(squeezed.node));
}

/* What comes out */

static struct slice field(struct slice message, uint32_t number)
{
	struct slice found = slice_of(NULL, 0);
	struct pb_field f;

	while (pb_next(&message, &f))
		if (f.number == number)
			found = f.bytes;
	must(slice_ok(&message));
	return found;
}

/* A certificate has a key, and a validation context says whom to trust. */
static void check_secret(struct slice any)
{
	struct slice secret = field(any, 2), cert = field(secret, 2), context = field(secret, 4);

	must(slice_eq_str(field(any, 1), SDS_TYPE) && field(secret, 1).len);
	if (cert.len)
		must(field(field(cert, 1), 2).len && field(field(cert, 2), 2).len && !context.len);
	else
		must(field(context, 1).len || field(field(context, 12), 2).len);
}

static void check_message(struct heard *h, struct slice message)
{
	struct pb_field f;
	uint64_t nonce = 0;
	size_t told = 0;

	must(!slice_u64_dec(field(message, 5), &nonce) && nonce && slice_eq_str(field(message, 4), SDS_TYPE));
	h->nonce = nonce;
	while (pb_next(&message, &f)) {
		if (f.number == 2)
			check_secret(h->delta ? field(f.bytes, 2) : f.bytes);
		if (f.number == 2 && h->delta)
			must(field(f.bytes, 1).len && slice_eq(field(f.bytes, 3), field(field(field(f.bytes, 2), 2), 1)));
		must(h->delta || f.number != 6);
		told += f.number == 2 || f.number == 6;
	}
	must(told <= 2 * (LIM_SDS_NAMES + 8));
}

static void check_data(struct client *c, uint32_t id, struct slice body)
{
	struct heard *h = &c->heard[id / 2 % STREAMS];
	struct slice s, message;

	must(!h->ended);
	buf_put_slice(&h->bytes, body);
	for (;;) {
		s = buf_slice(&h->bytes);
		(void)slice_get_u8(&s);
		message = slice_get_bytes(&s, slice_get_be32(&s));
		if (!slice_ok(&s))
			return;
		check_message(h, message);
		buf_consume(&h->bytes, GRPC_PREFIX + message.len);
	}
}

static void check_frame(struct client *c, const struct test_frame *f)
{
	struct heard *h = &c->heard[f->id / 2 % STREAMS];

	if (f->type == H2_DATA)
		check_data(c, f->id, f->body);
	if (f->type != H2_HEADERS || !(f->flags & H2_END_STREAM))
		return;
	must(!h->ended && !h->bytes.len);
	h->ended = true;
}

static void check_out(struct client *c)
{
	struct slice in = buf_slice(&c->out);
	struct test_frame f;

	while (test_frame_get(&in, &f))
		check_frame(c, &f);
	buf_consume(&c->out, c->out.len - in.len);
}

static void drain(struct client *c)
{
	struct iovec iov[8];
	size_t n;

	if (!c->g.h2.err)
		(void)!h2_pump(&c->g.h2);
	while (!out_ok(&c->g.h2.out) && (n = out_iov(&c->g.h2.out, iov, 8))) {
		for (size_t i = 0; i < n; i++) {
			buf_put(&c->out, iov[i].iov_base, iov[i].iov_len);
			out_sent(&c->g.h2.out, iov[i].iov_len);
		}
		if (!c->g.h2.err)
			(void)!h2_pump(&c->g.h2);
	}
	must(c->g.buffered <= LIM_CONN_IN + H2_FRAME_MAX);
	check_out(c);
}

/* What goes in */

static void feed_frame(struct client *c, uint8_t type, uint8_t flags, uint32_t id, struct slice body)
{
	AUTO(buf) struct buf b = BUF_INIT(H2_FRAME_HEAD + H2_FRAME_MAX);

	test_frame_put(&b, type, flags, id, body);
	(void)!h2_in(&c->g.h2, buf_slice(&b));
}

static void open_stream(struct client *c, uint8_t kind)
{
	static const char *const paths[] = { "StreamSecrets", "DeltaSecrets", "FetchSecrets" };
	AUTO(buf) struct buf b = BUF_INIT(1024);
	AUTO(buf) struct buf path = BUF_INIT(256);

	if (c->next_id / 2 >= STREAMS)
		return;
	buf_put_str(&path, "/envoy.service.secret.v3.SecretDiscoveryService/");
	buf_put_str(&path, paths[kind % 3]);
	hpack_put(&b, ":method", slice_str("POST"));
	hpack_put(&b, ":scheme", slice_str("http"));
	hpack_put(&b, ":path", buf_slice(&path));
	hpack_put(&b, "content-type", slice_str("application/grpc"));
	c->heard[c->next_id / 2].delta = kind % 3 == 1;
	feed_frame(c, H2_HEADERS, H2_END_HEADERS, c->next_id, buf_slice(&b));
	c->next_id += 2;
}

static void send_message(struct client *c, uint32_t id, uint8_t flags, struct slice m)
{
	AUTO(buf) struct buf b = BUF_INIT(H2_FRAME_MAX);

	buf_put_u8(&b, 0);
	buf_put_be32(&b, (uint32_t)m.len);
	buf_put_slice(&b, m);
	feed_frame(c, H2_DATA, flags & H2_END_STREAM, id, buf_slice(&b));
}

/* A request about names that there are and are not; @a: which, @how: nonce, refusal, form. */
static void send_request(struct client *c, uint32_t id, uint8_t a, uint8_t how)
{
	static const char *const names[] = { "default", "ROOTCA", "ALL", "spiffe://td.test/w0", "spiffe://td.test",
					     "spiffe://f0.test", "spiffe://f1.test", "*" };
	static const char plain[] = "\x1a\x2a\x0a\x28\x0a\x1e" "disable_spiffe_cert_validation\x12\x06\x1a\x04true";
	static const char map[] = "\x1a\x17\x0a\x15\x0a\x11" "spiffe_bundle_map\x12\x00";
	struct heard *h = &c->heard[id / 2 % STREAMS];
	AUTO(buf) struct buf m = BUF_INIT(4096);
	AUTO(buf) struct buf nonce = BUF_INIT(32);

	if (how & 8)
		pb_put(&m, h->delta ? 1 : 2, slice_str(how & 16 ? plain : map));
	for (size_t i = 0; i < 8; i++)
		if (a & 1 << i)
			pb_put(&m, h->delta && how & 4 ? 4 : 3, slice_str(names[i]));
	buf_printf(&nonce, "%llu", (unsigned long long)h->nonce + (how >> 5 & 1));
	if (how & 1)
		pb_put(&m, h->delta ? 6 : 5, buf_slice(&nonce));
	if (how & 2)
		pb_put(&m, h->delta ? 7 : 6, slice_str("\x12\x02no"));
	if (how & 64)
		pb_put(&m, h->delta ? 5 : 1, slice_str(h->delta ? "\x0a\x07" "default\x12\x01" "1" : "1"));
	send_message(c, id, how >> 7, buf_slice(&m));
}

static void other_set(uint8_t a)
{
	struct test_set set = { .version = 1 + (a & 1), .n = a >> 1 & 3, .n_fed = a >> 3 & 1, .der_bytes = 100,
				.nobody = a & 16, .sds_flags = a >> 5 & 7 };

	test_api_set(&api, &set);
}

static void script(struct client *c, struct slice in)
{
	(void)!h2_in(&c->g.h2, slice_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
	feed_frame(c, H2_SETTINGS, 0, 0, slice_of(NULL, 0));
	feed_frame(c, H2_WINDOW_UPDATE, 0, 0, slice_of("\x70\0\0\0", 4));
	while (in.len) {
		uint8_t op = slice_get_u8(&in) & 7, id = (uint8_t)(slice_get_u8(&in) % STREAMS * 2 + 1), a = slice_get_u8(&in);
		size_t len = op == 2 ? a : 0;

		if (op == 0)
			open_stream(c, a);
		else if (op == 1)
			send_request(c, id, a, slice_get_u8(&in));
		else if (op == 2)
			send_message(c, id, 0, slice_get_bytes(&in, len < in.len ? len : in.len));
		else if (op == 3)
			other_set(a);
		else if (op == 4)
			api_set_state(&api, a & 1 ? -ERR_EVIDENCE : 0);
		else if (op == 5)
			feed_frame(c, H2_WINDOW_UPDATE, 0, id, slice_of("\0\1\0\0", 4));
		else if (op == 6)
			feed_frame(c, H2_RST_STREAM, 0, id, slice_of("\0\0\0\0", 4));
		if (op != 7)
			drain(c);
	}
}

static void start(struct client *c)
{
	if (!api.serial)
		must(!api_init(&api));
	other_set(1 << 1 | 1 << 3 | 16);
	api_set_state(&api, 0);
	api.now = 1000000000;
	*c = (struct client){ .out = BUF_INIT(32u << 20), .next_id = 1 };
	for (int i = 0; i < STREAMS; i++)
		c->heard[i].bytes = (struct buf)BUF_INIT(8u << 20);
	grpc_init(&c->g, &api);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct client c;
	struct slice in = slice_of(data, size);
	uint8_t how = slice_get_u8(&in);

	if (!size)
		return 0;
	if (how & 1) {
		both_ways(in, how & 2);
		return 0;
	}
	start(&c);
	script(&c, in);
	drain(&c);
	grpc_done(&c.g);
	must(c.g.buffered == 0);
	for (size_t i = 0; i < SDS_BUCKETS; i++)
		must(list_empty(&api.sds.asks[i]));
	for (int i = 0; i < STREAMS; i++)
		buf_done(&c.heard[i].bytes);
	buf_done(&c.out);
	return 0;
}
