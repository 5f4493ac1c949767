// SPDX-License-Identifier: Apache-2.0
/* sds_client.c - see sds_client.h. Tests of workloadapi only. */
#include "tests/lib/sds_client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "agent/base/base64.h"

/* Field numbers of both kinds of request. */
struct numbers {
	uint32_t node, type, names, without, have, nonce, error, version;
};

static const struct numbers state_numbers = { .version = 1, .node = 2, .names = 3, .type = 4, .nonce = 5, .error = 6 };
static const struct numbers delta_numbers = { .node = 1, .type = 2, .names = 3, .without = 4, .have = 5, .nonce = 6, .error = 7 };

static void put_metadata(struct buf *node, const struct sds_says *says)
{
	AUTO(buf) struct buf value = BUF_INIT(1024);
	AUTO(buf) struct buf entry = BUF_INIT(1024);
	AUTO(buf) struct buf fields = BUF_INIT(1024);

	pb_put(&value, 3, slice_str(says->value));
	pb_put(&entry, 1, slice_str(says->key));
	pb_put_bytes(&entry, 2, buf_slice(&value));
	pb_put_bytes(&fields, 1, buf_slice(&entry));
	pb_put_bytes(node, 3, buf_slice(&fields));
}

static void put_build(struct buf *node, uint32_t minor)
{
	AUTO(buf) struct buf version = BUF_INIT(64);
	AUTO(buf) struct buf build = BUF_INIT(64);

	pb_put_varint(&version, 1, 1);
	pb_put_varint(&version, 2, minor);
	pb_put_bytes(&build, 1, buf_slice(&version));
	pb_put_bytes(node, 8, buf_slice(&build));
}

static void put_node(struct buf *b, uint32_t number, const struct sds_says *says)
{
	AUTO(buf) struct buf node = BUF_INIT(1u << 20);

	if (says->key)
		put_metadata(&node, says);
	if (says->minor)
		put_build(&node, says->minor);
	for (size_t i = 0; i < says->extensions; i++)
		pb_put(&node, 9, slice_str("\x0a\x1f" "envoy.filters.http.of.some.kind"
					   "\x12\x12" "envoy.filters.http\x3a\x05" "vtype"));
	if (node.len)
		pb_put_bytes(b, number, buf_slice(&node));
}

static void put_list(struct buf *b, uint32_t number, const char *const *list)
{
	for (; list && *list; list++)
		pb_put_bytes(b, number, slice_str(*list));
}

static void put_have(struct buf *b, uint32_t number, const char *const *list)
{
	for (; list && *list; list += 2) {
		AUTO(buf) struct buf entry = BUF_INIT(4096);

		pb_put(&entry, 1, slice_str(list[0]));
		pb_put(&entry, 2, slice_str(list[1]));
		pb_put_bytes(b, number, buf_slice(&entry));
	}
}

void sds_message(struct buf *b, const struct sds_says *says)
{
	const struct numbers *n = says->delta ? &delta_numbers : &state_numbers;
	AUTO(buf) struct buf status = BUF_INIT(1024);

	if (says->version || (says->ack && !says->delta))
		pb_put(b, n->version, says->version ? slice_str(says->version) : says->ack->version);
	put_node(b, n->node, says);
	put_list(b, n->names, says->names);
	put_list(b, n->without, says->without);
	put_have(b, n->have, says->have);
	pb_put(b, n->type, slice_str(says->type ? says->type : SDS_TYPE));
	if (says->ack)
		pb_put(b, n->nonce, says->ack->nonce);
	if (says->refuse) {
		pb_put_varint(&status, 1, 13);
		pb_put(&status, 2, slice_str(says->refuse));
		pb_put_bytes(b, n->error, buf_slice(&status));
	}
	assert_int_equal(buf_ok(b), 0);
}

void sds_put(struct buf *b, const struct sds_says *says)
{
	AUTO(buf) struct buf m = BUF_INIT(1u << 20);

	sds_message(&m, says);
	buf_put_u8(b, 0);
	buf_put_be32(b, (uint32_t)m.len);
	buf_put_slice(b, buf_slice(&m));
	assert_int_equal(buf_ok(b), 0);
}

struct answer *sds_open(struct peer *p, const char *path)
{
	const struct fields fields[] = {
		{ ":method", "POST" }, { ":scheme", "http" }, { ":path", path }, { ":authority", "sds" },
		{ "content-type", "application/grpc" }, { "te", "trailers" }, { NULL, NULL },
	};

	struct answer *a;

	p->hold = true;
	a = peer_request(p, fields, slice_of(NULL, 0));
	assert_non_null(buf_reserve(&a->body, 1u << 17)); /* what was heard stays where it is */
	return a;
}

void sds_send(struct peer *p, struct answer *a, struct slice bytes)
{
	peer_run(p);
	peer_bytes(p, a, bytes);
	peer_run(p);
}

void sds_say(struct peer *p, struct answer *a, const struct sds_says *says)
{
	AUTO(buf) struct buf b = BUF_INIT(1u << 20);

	sds_put(&b, says);
	sds_send(p, a, buf_slice(&b));
}

size_t sds_count(struct slice message, uint32_t number)
{
	struct pb_field f;
	size_t n = 0;

	while (pb_next(&message, &f))
		n += f.number == number;
	assert_true(slice_ok(&message));
	return n;
}

struct slice sds_nth(struct slice message, uint32_t number, size_t n)
{
	struct pb_field f;

	while (pb_next(&message, &f))
		if (f.number == number && !n--)
			return f.bytes;
	fail_msg("no field %u", number);
	return message;
}

struct slice sds_field(struct slice message, uint32_t outer, uint32_t inner)
{
	struct slice s = sds_nth(message, outer, 0);

	return inner ? sds_nth(s, inner, 0) : s;
}

static void hear_secret(struct sds_heard *h, struct slice any, struct slice version)
{
	struct slice secret = sds_field(any, 2, 0);
	uint32_t kind = sds_count(secret, SECRET_CERTIFICATE) ? SECRET_CERTIFICATE : SECRET_VALIDATION;

	assert_true(h->n < SDS_HEARD);
	assert_true(slice_eq_str(sds_field(any, 1, 0), SDS_TYPE));
	assert_int_equal(sds_count(secret, SECRET_CERTIFICATE) + sds_count(secret, SECRET_VALIDATION), 1);
	h->secret[h->n].name = sds_field(secret, 1, 0);
	h->secret[h->n].version = version;
	h->secret[h->n].kind = kind;
	h->secret[h->n++].content = sds_field(secret, kind, 0);
}

static void hear_resource(struct sds_heard *h, struct slice resource)
{
	hear_secret(h, sds_field(resource, 2, 0), sds_field(resource, 1, 0));
	assert_true(slice_eq(sds_field(resource, 3, 0), h->secret[h->n - 1].name));
}

struct sds_heard sds_hear(struct slice message, bool delta)
{
	struct sds_heard h = { .n = 0 };
	struct pb_field f;

	while (pb_next(&message, &f)) {
		assert_int_equal(f.wire, PB_BYTES);
		if (f.number == 1)
			h.version = f.bytes;
		else if (f.number == 2 && delta)
			hear_resource(&h, f.bytes);
		else if (f.number == 2)
			hear_secret(&h, f.bytes, slice_of(NULL, 0));
		else if (f.number == 4)
			h.type = f.bytes;
		else if (f.number == 5)
			h.nonce = f.bytes;
		else if (f.number == 6 && delta && h.n_removed < SDS_HEARD)
			h.removed[h.n_removed++] = f.bytes;
		else
			fail_msg("field %u in an answer", f.number);
	}
	assert_true(slice_ok(&message));
	return h;
}

void assert_secret(const struct sds_heard *h, const char *name, uint32_t kind)
{
	size_t found = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (!slice_eq_str(h->secret[i].name, name))
			continue;
		assert_int_equal(h->secret[i].kind, kind);
		found++;
	}
	if (found != 1)
		fail_msg("%zu secrets named %s", found, name);
}

void assert_pem(struct slice pem, const char *label, size_t len, uint8_t fill)
{
	AUTO(buf) struct buf want = BUF_INIT(1u << 16);
	AUTO(buf) struct buf der = BUF_INIT(1u << 16);
	struct slice s;

	test_der(&der, len, fill);
	buf_printf(&want, "-----BEGIN %s-----\n", label);
	for (s = buf_slice(&der); s.len;) {
		base64_put(&want, slice_get_bytes(&s, s.len < 48 ? s.len : 48), BASE64_PLAIN);
		buf_put_str(&want, "\n");
	}
	buf_printf(&want, "-----END %s-----\n", label);
	assert_int_equal(buf_ok(&want), 0);
	assert_true(slice_eq(pem, buf_slice(&want)));
}

struct answer *sds_begin(struct fixture *f, const char *const *names)
{
	struct answer *a = sds_open(f->p, SDS_STREAM);

	sds_say(f->p, a, &(struct sds_says){ .names = names });
	return a;
}

struct sds_heard sds_last(const struct answer *a, size_t want)
{
	struct slice s = slice_of(NULL, 0);

	assert_int_equal(messages(a, &s), want);
	return sds_hear(s, false);
}

void sds_serve(struct fixture *f, const struct test_set *set)
{
	test_api_set(&f->api, set);
	peer_run(f->p);
}
