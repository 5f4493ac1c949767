// SPDX-License-Identifier: Apache-2.0
/* workload.c - see workload.h. Tests only: a failure ends the test program. */
#include "tests/lib/workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/ipc/msg.h"
#include "workloadapi/encode.h"

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "test set-up failed: %s\n", what);
	abort();
}

static struct answer *answer_of(struct peer *p, int32_t id)
{
	must(id > 0 && id / 2 < PEER_STREAMS, "stream id");
	return &p->answers[id / 2];
}

int32_t peer_id(const struct peer *p, const struct answer *a)
{
	return (int32_t)(a - p->answers) * 2 + 1;
}

static int text_number(const uint8_t *p, size_t len)
{
	uint64_t v = 0;

	must(slice_u64_dec(slice_of(p, len), &v) == 0, "number in a header");
	return (int)v;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t name_len,
		     const uint8_t *value, size_t len, uint8_t flags, void *user)
{
	struct answer *a = answer_of(user, f->hd.stream_id);
	struct slice n = slice_of(name, name_len);

	(void)s;
	(void)flags;
	if (slice_eq_str(n, ":status"))
		a->http = text_number(value, len);
	else if (slice_eq_str(n, "grpc-status"))
		a->grpc = text_number(value, len);
	else if (slice_eq_str(n, "grpc-message"))
		snprintf(a->message, sizeof(a->message), "%.*s", (int)len, (const char *)value);
	else if (slice_eq_str(n, "content-type"))
		snprintf(a->type, sizeof(a->type), "%.*s", (int)len, (const char *)value);
	return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *data, size_t len, void *user)
{
	struct answer *a = answer_of(user, id);

	(void)s;
	(void)flags;
	a->data_after_trailers |= a->grpc >= 0;
	buf_put(&a->body, data, len);
	return 0;
}

static int on_close(nghttp2_session *s, int32_t id, uint32_t code, void *user)
{
	struct answer *a = answer_of(user, id);

	(void)s;
	a->closed = true;
	a->reset = code;
	return 0;
}

static int on_frame(nghttp2_session *s, const nghttp2_frame *f, void *user)
{
	struct peer *p = user;

	(void)s;
	if (f->hd.type == NGHTTP2_GOAWAY)
		p->goaway = (int32_t)f->goaway.error_code;
	if (f->hd.type == NGHTTP2_SETTINGS && !(f->hd.flags & NGHTTP2_FLAG_ACK))
		p->settings++;
	return 0;
}

static void make_session(struct peer *p, bool manual_windows)
{
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;

	must(!nghttp2_session_callbacks_new(&cb) && !nghttp2_option_new(&opt), "memory");
	nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
	nghttp2_option_set_no_auto_window_update(opt, manual_windows);
	must(!nghttp2_session_client_new2(&p->session, cb, p, opt), "session");
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(opt);
}

struct peer *peer_new(struct api *api, bool manual_windows)
{
	struct peer *p = mem_new(struct peer);
	struct message *whoami = NULL;

	must(p, "memory");
	make_session(p, manual_windows);
	must(!nghttp2_submit_settings(p->session, 0, NULL, 0), "settings");
	must(!encode_whoami(slice_str("{\"pid\":1}"), &whoami), "whoami");
	grpc_init(&p->g, api);
	grpc_set_whoami(&p->g, whoami);
	for (int i = 0; i < PEER_STREAMS; i++) {
		p->answers[i].grpc = -1;
		p->answers[i].body = (struct buf)BUF_INIT(16u << 20);
	}
	p->goaway = -1;
	p->chunk = 1u << 20;
	return p;
}

void peer_free(struct peer *p)
{
	nghttp2_session_del(p->session);
	grpc_done(&p->g);
	for (int i = 0; i < PEER_STREAMS; i++)
		buf_done(&p->answers[i].body);
	mem_free(p);
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct slice *body = source->ptr;
	struct slice part = slice_get_bytes(body, len < body->len ? len : body->len);

	(void)s;
	(void)id;
	(void)user;
	if (part.len)
		memcpy(to, part.p, part.len);
	if (!body->len)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)part.len;
}

struct answer *peer_request(struct peer *p, const struct fields *fields, struct slice body)
{
	struct answer *a = answer_of(p, (int32_t)nghttp2_session_get_next_stream_id(p->session));
	nghttp2_data_provider source = { .source.ptr = &a->request, .read_callback = read_body };
	nghttp2_nv nv[100];
	size_t n = 0;

	a->request = body;
	for (; fields[n].name; n++)
		nv[n] = (nghttp2_nv){ .name = (uint8_t *)(uintptr_t)fields[n].name,
				      .namelen = strlen(fields[n].name),
				      .value = (uint8_t *)(uintptr_t)fields[n].value,
				      .valuelen = strlen(fields[n].value) };
	must(nghttp2_submit_request(p->session, NULL, nv, n, &source, NULL) == peer_id(p, a), "submit");
	return a;
}

struct answer *peer_call(struct peer *p, const char *path)
{
	const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", path },
		{ ":authority", "localhost" }, { "content-type", "application/grpc" },
		{ "te", "trailers" }, { "workload.spiffe.io", "true" }, { NULL, NULL },
	};

	return peer_request(p, fields, slice_of("\0\0\0\0\0", GRPC_PREFIX));
}

static bool to_server(struct peer *p)
{
	const uint8_t *data;
	ssize_t n = nghttp2_session_mem_send(p->session, &data);
	struct slice bytes = slice_of(data, n > 0 ? (size_t)n : 0);

	while (bytes.len && !p->stopped) {
		size_t len = p->chunk < bytes.len ? p->chunk : bytes.len;

		p->stopped = h2_in(&p->g.h2, slice_get_bytes(&bytes, len)) != 0;
	}
	return n > 0;
}

static bool to_client(struct peer *p)
{
	struct iovec iov[4];
	size_t n, len;

	if (!p->stopped)
		p->stopped = h2_pump(&p->g.h2) != 0;
	n = out_iov(&p->g.h2.out, iov, 4);
	if (!n)
		return false;
	len = p->chunk < iov[0].iov_len ? p->chunk : iov[0].iov_len;
	must(nghttp2_session_mem_recv(p->session, iov[0].iov_base, len) == (ssize_t)len, "client session");
	out_sent(&p->g.h2.out, len);
	return true;
}

void peer_run(struct peer *p)
{
	bool more = true;

	while (more) {
		more = to_server(p);
		more |= to_client(p);
	}
}

void test_der(struct buf *b, size_t len, uint8_t fill)
{
	void *to;

	must(len >= 4 && len < 65536, "DER size");
	buf_put_u8(b, 0x30);
	buf_put_u8(b, 0x82);
	buf_put_u8(b, (uint8_t)((len - 4) >> 8));
	buf_put_u8(b, (uint8_t)(len - 4));
	to = buf_reserve(b, len - 4);
	must(to, "memory");
	memset(to, fill, len - 4);
	buf_added(b, len - 4);
}

static void put_entries(struct buf *list, size_t n, uint64_t generation, size_t der_bytes)
{
	for (size_t i = 0; i < n; i++) {
		AUTO(buf) struct buf id = BUF_INIT(256);
		AUTO(buf) struct buf chain = BUF_INIT(1u << 20);
		struct set_entry e = { .identity = (uint32_t)i + 1, .generation = generation,
				       .not_after = 4102444800 };

		buf_printf(&id, "spiffe://td.test/w%zu", i);
		test_der(&chain, der_bytes, (uint8_t)generation);
		e.spiffe_id = buf_slice(&id);
		e.chain = buf_slice(&chain);
		list_put_entry(list, &e);
	}
}

void test_set_body(struct buf *b, uint64_t version, size_t n, size_t n_fed, size_t der_bytes)
{
	AUTO(buf) struct buf entries = BUF_INIT(6u << 20);
	AUTO(buf) struct buf feds = BUF_INIT(1u << 20);
	AUTO(buf) struct buf bundle = BUF_INIT(1u << 20);
	struct msg_F_SET m = { .version = version, .trust_domain = slice_str("td.test") };

	test_der(&bundle, 64, 0xca);
	put_entries(&entries, n, version, der_bytes);
	for (size_t i = 0; i < n_fed; i++) {
		AUTO(buf) struct buf id = BUF_INIT(256);
		struct fed_bundle f = { .bundle = buf_slice(&bundle) };

		buf_printf(&id, "spiffe://f%zu.test", i);
		f.trust_domain_id = buf_slice(&id);
		list_put_fed(&feds, &f);
	}
	m.bundle = buf_slice(&bundle);
	m.entries = buf_slice(&entries);
	m.federated = buf_slice(&feds);
	msg_put_F_SET(b, &m);
	must(!buf_ok(b) && !buf_ok(&entries) && !buf_ok(&feds), "set body");
}

static struct secret *test_key(void)
{
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct secret *key = secret_new(64);

	must(key, "secret");
	test_der(&b, 64, 0x5e);
	memcpy(secret_bytes(key), b.data, b.len);
	return key;
}

void test_api_serve(struct api *api, uint64_t version, size_t n, size_t der_bytes)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);
	AUTO(set) struct set *set = NULL;
	struct secret *key = test_key(), *keys[LIM_SET_IDENTITIES];
	struct message *m;

	for (size_t i = 0; i < LIM_SET_IDENTITIES; i++)
		keys[i] = key;
	test_set_body(&body, version, n, 1, der_bytes);
	must(!set_new(buf_slice(&body), &set) && !set_check(set), "set");
	must(!encode_x509_svids(set, keys, &m), "svids");
	api_publish(api, FEED_SVIDS, m, 0, set->expires);
	must(!encode_x509_bundles(set, &m), "bundles");
	api_publish(api, FEED_BUNDLES, m, 0, 0);
	secret_free(key);
}
