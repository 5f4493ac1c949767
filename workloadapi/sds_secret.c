// SPDX-License-Identifier: Apache-2.0
/*
 * sds_secret.c - Envoy's Secret messages, written straight into the pages that they are sent from. svid-front.
 *
 * An answer is gone through twice, first without a buffer for the lengths of its parts: a private key is nowhere but in its own
 * page and in the answer's. Source: Envoy API v3, sds.proto and what it uses. Next: sds_view.c.
 */
#include <errno.h>

#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "workloadapi/api.h"
#include "workloadapi/der.h"
#include "workloadapi/keyring.h"
#include "workloadapi/text.h"

#define CONFIG_TYPE "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig"
#define VALIDATOR "envoy.tls.cert_validator.spiffe"
#define PREFIX "prefix:"

/* Field numbers. */
enum { ANY_TYPE = 1, ANY_VALUE };
enum { RESPONSE_VERSION = 1, RESPONSE_RESOURCES, RESPONSE_TYPE = 4, RESPONSE_NONCE, RESPONSE_REMOVED };
enum { RESOURCE_VERSION = 1, RESOURCE_RESOURCE, RESOURCE_NAME };
enum { SECRET_NAME = 1, SECRET_CERT, SECRET_VALIDATION = 4 };
enum { CERT_CHAIN = 1, CERT_KEY };
enum { SOURCE_BYTES = 2 };
enum { CONTEXT_CA = 1, CONTEXT_VALIDATOR = 12, CONTEXT_NAMES = 15 };
enum { EXTENSION_NAME = 1, EXTENSION_CONFIG };
enum { CONFIG_DOMAINS = 1, CONFIG_MAP };
enum { DOMAIN_NAME = 1, DOMAIN_BUNDLE };
enum { MATCHER_TYPE = 1, MATCHER_STRING, SAN_URI = 3, STRING_EXACT = 1, STRING_PREFIX };

/* Where bytes go; without a buffer they are only counted. */
struct sds_out {
	struct text t;
	struct buf lengths;   /* u32 of each message inside, in the order in which they begin; filled while counting */
	struct slice written; /* what is left of them while writing */
};

/* One secret, with all that its form depends on. */
struct subject {
	const struct sds_answer *a;
	const struct sds_row *row;
	struct sds_source src;
	enum sds_form form;
	struct slice key; /* SDS_CERT */
};

static void sds_out_autoclean(struct sds_out *o)
{
	buf_done(&o->lengths);
}

static void out_varint(struct sds_out *o, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		bytes[n++] = (uint8_t)(v | 0x80);
	bytes[n++] = (uint8_t)v;
	text_slice(&o->t, slice_of(bytes, n));
}

static void out_field(struct sds_out *o, uint32_t number, struct slice s)
{
	out_varint(o, number << 3 | PB_BYTES);
	out_varint(o, s.len);
	text_slice(&o->t, s);
}

static void out_number(struct sds_out *o, uint32_t number, uint64_t value)
{
	out_varint(o, number << 3 | PB_VARINT);
	out_varint(o, value);
}

static size_t varint_size(uint64_t v)
{
	size_t n = 1;

	while (v >>= 7)
		n++;
	return n;
}

/* A field whose content is written by @put. */
static void out_message_of(struct sds_out *o, uint32_t number, void (*put)(struct sds_out *o, const void *what), const void *what)
{
	size_t at = o->lengths.len, before = o->t.n;
	uint32_t len;

	if (o->t.to) {
		out_varint(o, number << 3 | PB_BYTES);
		out_varint(o, slice_get_u32(&o->written));
		put(o, what);
		return;
	}
	buf_put_u32(&o->lengths, 0);
	put(o, what);
	len = (uint32_t)(o->t.n - before);
	o->t.n += varint_size(number << 3) + varint_size(len);
	for (size_t i = 0; i < sizeof(len) && !buf_ok(&o->lengths); i++)
		o->lengths.data[at + i] = (uint8_t)(len >> 8 * i);
}

/* PEM */

static void put_pems(struct sds_out *o, const void *what)
{
	text_certs(&o->t, *(const struct slice *)what);
}

static void put_key_pem(struct sds_out *o, const void *what)
{
	text_key(&o->t, *(const struct slice *)what);
}

static void put_pems_source(struct sds_out *o, const void *what)
{
	out_message_of(o, SOURCE_BYTES, put_pems, what);
}

static void put_key_source(struct sds_out *o, const void *what)
{
	out_message_of(o, SOURCE_BYTES, put_key_pem, what);
}

/* TlsCertificate */

static void put_cert(struct sds_out *o, const void *what)
{
	const struct subject *s = what;

	out_message_of(o, CERT_CHAIN, put_pems_source, &s->src.id->e.chain);
	out_message_of(o, CERT_KEY, put_key_source, &s->key);
}

/* CertificateValidationContext: which bundle stands for which trust domain */

/* Trust domain @i of what the subject stands for. */
static bool domain_at(const void *what, size_t i, struct text_domain *ret)
{
	const struct subject *s = what;
	const struct set *set = s->a->api->set;
	const struct set_bundle *b = s->src.bundle;

	if (s->src.kind != SDS_ALL && i)
		return false;
	if (s->src.kind == SDS_NOBODY) {
		*ret = (struct text_domain){ s->src.domain, set->nobody_ca };
		return true;
	}
	if (s->src.kind == SDS_ALL && i > (set->n_ids ? set->n_feds : 0))
		return false;
	if (s->src.kind == SDS_ALL)
		b = i ? &set->feds[i - 1] : &set->own;
	*ret = (struct text_domain){ slice_str(b->trust_domain_id), b->der };
	(void)slice_get_bytes(&ret->name, strlen("spiffe://"));
	return true;
}

static void put_domain(struct sds_out *o, const void *what)
{
	const struct text_domain *d = what;

	out_field(o, DOMAIN_NAME, d->name);
	out_message_of(o, DOMAIN_BUNDLE, put_pems_source, &d->ders);
}

/* Of a SPIFFE bundle map Envoy reads use and x5c. */
static void put_map(struct sds_out *o, const void *what)
{
	text_map(&o->t, domain_at, what);
}

static void put_map_source(struct sds_out *o, const void *what)
{
	out_message_of(o, SOURCE_BYTES, put_map, what);
}

static void put_config(struct sds_out *o, const void *what)
{
	const struct subject *s = what;
	struct text_domain d;

	if (s->form == SDS_FORM_MAP) {
		out_message_of(o, CONFIG_MAP, put_map_source, s);
		return;
	}
	for (size_t i = 0; domain_at(s, i, &d); i++)
		if (d.ders.len)
			out_message_of(o, CONFIG_DOMAINS, put_domain, &d);
}

static void put_config_any(struct sds_out *o, const void *what)
{
	out_field(o, ANY_TYPE, slice_str(CONFIG_TYPE));
	out_message_of(o, ANY_VALUE, put_config, what);
}

static void put_extension(struct sds_out *o, const void *what)
{
	out_field(o, EXTENSION_NAME, slice_str(VALIDATOR));
	out_message_of(o, EXTENSION_CONFIG, put_config_any, what);
}

static void put_string_matcher(struct sds_out *o, const void *what)
{
	struct slice peer = *(const struct slice *)what;
	bool prefix = slice_starts(peer, slice_str(PREFIX));

	if (prefix)
		(void)slice_get_bytes(&peer, strlen(PREFIX));
	out_field(o, prefix ? STRING_PREFIX : STRING_EXACT, peer);
}

static void put_matcher(struct sds_out *o, const void *what)
{
	out_number(o, MATCHER_TYPE, SAN_URI);
	out_message_of(o, MATCHER_STRING, put_string_matcher, what);
}

static void put_context(struct sds_out *o, const void *what)
{
	const struct subject *s = what;
	const struct set *set = s->a->api->set;
	struct slice peers = set->n_ids ? set->ids[0].e.peers : slice_of(NULL, 0);
	struct text_domain d;

	if (s->form == SDS_FORM_PLAIN && domain_at(s, 0, &d))
		out_message_of(o, CONTEXT_CA, put_pems_source, &d.ders);
	else
		out_message_of(o, CONTEXT_VALIDATOR, put_extension, s);
	while (peers.len) {
		struct slice peer = list_get_str(&peers, LIM_SPIFFE_ID + 16);

		out_message_of(o, CONTEXT_NAMES, put_matcher, &peer);
	}
}

/* Answers */

static void put_secret(struct sds_out *o, const void *what)
{
	const struct subject *s = what;

	out_field(o, SECRET_NAME, s->row->name);
	if (s->src.kind == SDS_CERT)
		out_message_of(o, SECRET_CERT, put_cert, s);
	else
		out_message_of(o, SECRET_VALIDATION, put_context, s);
}

static void put_any(struct sds_out *o, const void *what)
{
	out_field(o, ANY_TYPE, slice_str(SDS_TYPE));
	out_message_of(o, ANY_VALUE, put_secret, what);
}

static void out_decimal(struct sds_out *o, uint32_t number, uint64_t value)
{
	char text[20];
	size_t at = sizeof(text);

	do
		text[--at] = (char)('0' + value % 10);
	while (value /= 10);
	out_field(o, number, slice_of(text + at, sizeof(text) - at));
}

static void put_resource(struct sds_out *o, const void *what)
{
	const struct subject *s = what;

	out_decimal(o, RESOURCE_VERSION, s->row->version);
	out_message_of(o, RESOURCE_RESOURCE, put_any, s);
	out_field(o, RESOURCE_NAME, s->row->name);
}

static int find_key(struct subject *s)
{
	struct key_id id;
	struct secret *key;

	if (s->src.kind == SDS_NOTHING)
		return -ERR_NOT_READY; /* the view is older than the set: nobody asks for that */
	if (s->src.kind != SDS_CERT)
		return 0;
	id = (struct key_id){ s->src.id->e.identity, SVID_X509, s->src.id->e.generation };
	key = keyring_get(s->a->api->ring, id);
	if (!key)
		return -ERR_NOT_READY;
	s->key = slice_of(secret_bytes(key), secret_len(key));
	return der_count(s->key) == 1 ? 0 : -ERR_FORMAT;
}

static void put_row(struct sds_out *o, const struct sds_answer *a, const struct sds_row *row)
{
	struct subject s = { .a = a, .row = row, .src = sds_find(a->api, row->name, a->ask),
			     .form = sds_form_of(a->api->set, a->ask->wish) };
	int err = find_key(&s);

	if (err)
		o->t.err = err;
	else
		out_message_of(o, RESPONSE_RESOURCES, a->delta ? put_resource : put_any, &s);
}

/* Names that the client has, or asked for, and that are not there. */
static void put_removed(struct sds_out *o, const struct sds_answer *a)
{
	for (size_t i = 0; i < a->view->n; i++) {
		const struct sds_row *row = &a->view->rows[i], *had = sds_view_find(a->from, row->name);

		if (!row->version && (!had || had->version))
			out_field(o, RESPONSE_REMOVED, row->name);
	}
	for (size_t i = 0; a->ask->all && a->from && i < a->from->n; i++)
		if (a->from->rows[i].version && !sds_view_find(a->view, a->from->rows[i].name))
			out_field(o, RESPONSE_REMOVED, a->from->rows[i].name);
}

static void put_answer(struct sds_out *o, const struct sds_answer *a)
{
	out_decimal(o, RESPONSE_VERSION, a->view->version);
	for (size_t i = 0; i < a->view->n && !o->t.err; i++) {
		const struct sds_row *row = &a->view->rows[i], *had = sds_view_find(a->from, row->name);

		if (row->version && (!had || had->version != row->version))
			put_row(o, a, row);
	}
	out_field(o, RESPONSE_TYPE, slice_str(SDS_TYPE));
	out_decimal(o, RESPONSE_NONCE, a->view->nonce);
	if (a->delta)
		put_removed(o, a);
}

static bool has_key(const struct sds_answer *a)
{
	for (size_t i = 0; i < a->view->n; i++)
		if (sds_find(a->api, a->view->rows[i].name, a->ask).kind == SDS_CERT)
			return true;
	return false;
}

int sds_encode(const struct sds_answer *a, struct message **ret_m)
{
	AUTO(message) struct message *m = NULL;
	AUTO(sds_out) struct sds_out count = { .lengths = BUF_INIT(LIM_GRPC_RESPONSE) };
	struct buf b = { 0 }; /* over the message's own bytes: it never grows, nothing is left behind elsewhere */
	struct sds_out out = { .t.to = &b };
	int err;

	put_answer(&count, a);
	err = count.t.err ? count.t.err : buf_ok(&count.lengths);
	if (!err)
		err = message_new(count.t.n, has_key(a), &b.data, &m);
	if (err)
		return err;
	b.cap = b.max = count.t.n;
	out.written = buf_slice(&count.lengths);
	put_answer(&out, a);
	err = buf_ok(&b);
	if (!err && (b.len != b.max || slice_end(&out.written)))
		err = -ERR_SIZE;
	if (!err)
		*ret_m = take(&m);
	return err;
}
