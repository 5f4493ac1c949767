// SPDX-License-Identifier: Apache-2.0
/* workload.c - see workload.h. Tests only: a failure ends the test program. */
#include "tests/lib/workload.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/ipc/msg.h"
#include "workloadapi/encode.h"
#include "workloadapi/publish.h"

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
		p->answers[i].sent = (struct buf)BUF_INIT(1u << 20);
	}
	p->goaway = -1;
	p->chunk = 1u << 20;
	return p;
}

void peer_free(struct peer *p)
{
	nghttp2_session_del(p->session);
	grpc_done(&p->g);
	for (int i = 0; i < PEER_STREAMS; i++) {
		buf_done(&p->answers[i].body);
		buf_done(&p->answers[i].sent);
	}
	mem_free(p);
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t len, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct slice *body = source->ptr;
	struct slice part = slice_get_bytes(body, len < body->len ? len : body->len);

	const struct peer *p = user;

	(void)s;
	(void)id;
	if (part.len)
		memcpy(to, part.p, part.len);
	else if (p->hold)
		return NGHTTP2_ERR_DEFERRED;
	if (!body->len && !p->hold)
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

static void put_message(struct answer *a, struct slice message)
{
	buf_put_u8(&a->sent, 0);
	buf_put_be32(&a->sent, (uint32_t)message.len);
	buf_put_slice(&a->sent, message);
	must(!buf_ok(&a->sent), "request");
	a->request = buf_slice(&a->sent);
}

struct answer *peer_send(struct peer *p, const char *path, struct slice message)
{
	const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", path },
		{ ":authority", "localhost" }, { "content-type", "application/grpc" },
		{ "te", "trailers" }, { "workload.spiffe.io", "true" }, { NULL, NULL },
	};
	struct answer *a = peer_request(p, fields, slice_of(NULL, 0));

	put_message(a, message);
	return a;
}

void peer_more(struct peer *p, struct answer *a, struct slice message, bool more)
{
	p->hold = more;
	buf_reset(&a->sent);
	if (message.p)
		put_message(a, message);
	must(!nghttp2_session_resume_data(p->session, peer_id(p, a)), "resume");
}

void peer_bytes(struct peer *p, struct answer *a, struct slice bytes)
{
	p->hold = true;
	buf_reset(&a->sent);
	buf_put_slice(&a->sent, bytes);
	must(!buf_ok(&a->sent), "request");
	a->request = buf_slice(&a->sent);
	must(a->closed || !nghttp2_session_resume_data(p->session, peer_id(p, a)), "resume");
}

struct answer *peer_call(struct peer *p, const char *path)
{
	return peer_send(p, path, slice_of(NULL, 0));
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

void test_jwks(struct buf *b, const char *kid, const char *use)
{
	/* 32 bytes each, on no curve: only svid-keys would notice. */
	static const char number[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

	buf_printf(b, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\",\"kid\":\"%s\",\"use\":\"%s\"}]}",
		   number, number, kid, use);
}

static void put_entry(struct buf *list, const struct test_set *set, size_t i)
{
	AUTO(buf) struct buf id = BUF_INIT(256);
	AUTO(buf) struct buf hint = BUF_INIT(256);
	AUTO(buf) struct buf chain = BUF_INIT(1u << 20);
	AUTO(buf) struct buf wit = BUF_INIT(256);
	AUTO(buf) struct buf peers = BUF_INIT(256);
	struct set_entry e = { .identity = (uint32_t)(i + set->first) + 1, .generation = set->version,
			       .not_after = set->expired ? 1 : 4102444800, .wit_not_after = 4102444800 };

	buf_printf(&id, "spiffe://td.test/w%zu", i + set->first);
	if (set->hints)
		buf_printf(&hint, "h%zu", i);
	test_der(&chain, set->der_bytes, (uint8_t)set->version);
	buf_printf(&wit, "wit.%zu.%llu", i + set->first, (unsigned long long)set->version);
	e.spiffe_id = buf_slice(&id);
	e.hint = buf_slice(&hint);
	e.chain = buf_slice(&chain);
	if (set->peers) {
		list_put_str(&peers, slice_str("spiffe://td.test/peer"));
		list_put_str(&peers, slice_str("prefix:spiffe://td.test/ns/"));
	}
	e.peers = buf_slice(&peers);
	if (set->wit && !set->no_wits) {
		e.wit_generation = set->version;
		e.wit = buf_slice(&wit);
	}
	list_put_entry(list, &e);
}

static void put_fed(struct buf *list, size_t i, struct slice bundle)
{
	AUTO(buf) struct buf id = BUF_INIT(256);
	AUTO(buf) struct buf jwks = BUF_INIT(4096);
	struct fed_bundle f = { .bundle = bundle };

	buf_printf(&id, "spiffe://f%zu.test", i);
	test_jwks(&jwks, buf_cstr(&id), "jwt-svid");
	f.trust_domain_id = buf_slice(&id);
	f.jwks = buf_slice(&jwks);
	list_put_fed(list, &f);
}

void test_set_put(struct buf *b, const struct test_set *set)
{
	AUTO(buf) struct buf entries = BUF_INIT(6u << 20);
	AUTO(buf) struct buf feds = BUF_INIT(1u << 20);
	AUTO(buf) struct buf bundle = BUF_INIT(1u << 20);
	AUTO(buf) struct buf jwks = BUF_INIT(4096);
	AUTO(buf) struct buf wit_jwks = BUF_INIT(4096);
	AUTO(buf) struct buf nobody = BUF_INIT(256);
	struct msg_F_SET m = { .version = set->version, .trust_domain = slice_str("td.test"), .wit = set->wit };

	if (set->ca.len)
		buf_put_slice(&bundle, set->ca);
	else
		test_der(&bundle, 64, 0xca);
	test_jwks(&jwks, "own", "jwt-svid");
	test_jwks(&wit_jwks, "wit", "wit-svid");
	for (size_t i = 0; i < set->n; i++)
		put_entry(&entries, set, i);
	for (size_t i = 0; i < set->n_fed; i++)
		put_fed(&feds, i, buf_slice(&bundle));
	m.bundle = buf_slice(&bundle);
	m.entries = buf_slice(&entries);
	m.federated = buf_slice(&feds);
	if (!set->no_jwks)
		m.jwks = buf_slice(&jwks);
	if (set->wit)
		m.wit_jwks = buf_slice(&wit_jwks);
	test_der(&nobody, 64, TEST_NOBODY);
	if (set->nobody)
		m.nobody_ca = buf_slice(&nobody);
	m.sds_svid = slice_str(set->sds_svid);
	m.sds_bundle = slice_str(set->sds_bundle);
	m.sds_all = slice_str(set->sds_all);
	m.sds_flags = set->sds_flags;
	msg_put_F_SET(b, &m);
	must(!buf_ok(b) && !buf_ok(&entries) && !buf_ok(&feds), "set body");
}

void test_set_body(struct buf *b, uint64_t version, size_t n, size_t n_fed, size_t der_bytes)
{
	struct test_set set = { .version = version, .n = n, .n_fed = n_fed, .der_bytes = der_bytes };

	test_set_put(b, &set);
}

struct secret *test_key(uint32_t kind)
{
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct secret *key;

	if (kind == SVID_WIT)
		buf_put_str(&b, TEST_WIT_KEY);
	else
		test_der(&b, 64, 0x5e);
	key = secret_new(b.len);
	must(key, "secret");
	memcpy(secret_bytes(key), b.data, b.len);
	return key;
}

void test_api_set(struct api *api, const struct test_set *want)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);
	static struct keyring ring; /* of the one api of a test */
	struct set *set;

	if (!ring.keys.next)
		keyring_init(&ring);
	test_set_put(&body, want);
	must(!set_new(buf_slice(&body), &set) && !set_check(set), "set");
	for (size_t i = 0; i < set->n_keys; i++) {
		if (keyring_has(&ring, set->keys[i]))
			continue;
		must(!keyring_ask(&ring, set->keys[i]), "memory");
		keyring_put(&ring, set->keys[i], test_key(set->keys[i].kind));
	}
	must(!publish(api, &ring, set), "publish");
	keyring_keep(&ring, set);
}

void test_api_serve(struct api *api, uint64_t version, size_t n, size_t der_bytes)
{
	struct test_set set = { .version = version, .n = n, .n_fed = 1, .der_bytes = der_bytes };

	test_api_set(api, &set);
}

bool test_frame_get(struct slice *in, struct test_frame *ret)
{
	struct slice rest = *in;
	size_t len = (size_t)slice_get_u8(&rest) << 16;

	len |= (size_t)slice_get_u8(&rest) << 8;
	len |= slice_get_u8(&rest);
	ret->type = slice_get_u8(&rest);
	ret->flags = slice_get_u8(&rest);
	ret->id = slice_get_be32(&rest);
	ret->body = slice_get_bytes(&rest, len);
	if (!slice_ok(&rest))
		return false;
	*in = rest;
	return true;
}

void test_frame_put(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, struct slice body)
{
	buf_put_u8(b, (uint8_t)(body.len >> 16));
	buf_put_u8(b, (uint8_t)(body.len >> 8));
	buf_put_u8(b, (uint8_t)body.len);
	buf_put_u8(b, type);
	buf_put_u8(b, flags);
	buf_put_be32(b, id);
	buf_put_slice(b, body);
}
