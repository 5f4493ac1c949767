// SPDX-License-Identifier: Apache-2.0
/* encode.c - between protobuf and our own structs. svid-front. Source: workload.proto, health.proto, self.proto. */
#include "workloadapi/encode.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "gen/health.pb-c.h"
#include "gen/self.pb-c.h"
#include "gen/workload.pb-c.h"
#include "workloadapi/der.h"

static void *pb_alloc(void *user, size_t size)
{
	(void)user;
	return mem_calloc(1, size);
}

static void pb_free(void *user, void *p)
{
	(void)user;
	mem_free(p);
}

static ProtobufCAllocator memory = { .alloc = pb_alloc, .free = pb_free };

static ProtobufCBinaryData data_of(struct slice s)
{
	return (ProtobufCBinaryData){ .len = s.len, .data = (uint8_t *)(uintptr_t)s.p };
}

static int pack(const ProtobufCMessage *pb, bool secret, struct message **ret_m)
{
	uint8_t *to;
	int err = message_new(protobuf_c_message_get_packed_size(pb), secret, &to, ret_m);

	if (!err)
		(void)protobuf_c_message_pack(pb, to);
	return err;
}

/* One entry of a map<string, bytes>; all maps of workload.proto have this shape. */
static void fill_entry(X509SVIDResponse__FederatedBundlesEntry *e, const struct set_bundle *b)
{
	x509_svidresponse__federated_bundles_entry__init(e);
	e->key = b->trust_domain_id;
	e->value = data_of(b->der);
}

static void fill_svid(X509SVID *v, const struct set *s, size_t i, struct secret *key)
{
	x509_svid__init(v);
	v->spiffe_id = s->ids[i].spiffe_id;
	v->x509_svid = data_of(s->ids[i].e.chain);
	v->x509_svid_key = data_of(slice_of(secret_bytes(key), secret_len(key)));
	v->bundle = data_of(s->own.der);
	v->hint = s->ids[i].hint;
}

static int check_keys(const struct set *s, struct secret *const *keys)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (!keys[i] || der_count(slice_of(secret_bytes(keys[i]), secret_len(keys[i]))) != 1)
			return -ERR_FORMAT;
	return 0;
}

static void fill_svids(X509SVIDResponse *r, X509SVID *svid, const struct set *s, struct secret *const *keys)
{
	for (size_t i = 0; i < s->n_ids; i++) {
		fill_svid(&svid[i], s, i, keys[i]);
		r->svids[i] = &svid[i];
	}
	r->n_svids = s->n_ids;
}

/* protobuf-c wants an array of pointers; not on the stack, whose pages would stay touched for ever. */
int encode_x509_svids(const struct set *s, struct secret *const *keys, struct message **ret_m)
{
	AUTO_FREE X509SVIDResponse__FederatedBundlesEntry *fed = mem_calloc(s->n_feds, sizeof(*fed));
	AUTO_FREE X509SVIDResponse__FederatedBundlesEntry **feds = mem_calloc(s->n_feds, sizeof(*feds));
	AUTO_FREE X509SVID *svid = mem_calloc(s->n_ids, sizeof(*svid));
	AUTO_FREE X509SVID **svids = mem_calloc(s->n_ids, sizeof(*svids));
	X509SVIDResponse r = X509_SVIDRESPONSE__INIT;
	int err = fed && feds && svid && svids ? check_keys(s, keys) : -ENOMEM;

	if (err)
		return err;
	r.svids = svids;
	fill_svids(&r, svid, s, keys);
	r.federated_bundles = feds;
	for (size_t i = 0; i < s->n_feds; i++) {
		if (!s->feds[i].der.len)
			continue;
		fill_entry(&fed[i], &s->feds[i]);
		feds[r.n_federated_bundles++] = &fed[i];
	}
	while (r.n_federated_bundles && protobuf_c_message_get_packed_size(&r.base) > LIM_GRPC_RESPONSE)
		r.n_federated_bundles--;
	return pack(&r.base, true, ret_m);
}

static void fill_bundle(X509BundlesResponse__BundlesEntry *e, const struct set_bundle *b)
{
	x509_bundles_response__bundles_entry__init(e);
	e->key = b->trust_domain_id;
	e->value = data_of(b->der);
}

int encode_x509_bundles(const struct set *s, struct message **ret_m)
{
	AUTO_FREE X509BundlesResponse__BundlesEntry *entry = mem_calloc(s->n_feds + 1, sizeof(*entry));
	AUTO_FREE X509BundlesResponse__BundlesEntry **entries = mem_calloc(s->n_feds + 1, sizeof(*entries));
	X509BundlesResponse r = X509_BUNDLES_RESPONSE__INIT;

	if (!entry || !entries)
		return -ENOMEM;
	r.bundles = entries;
	for (size_t i = 0; i <= s->n_feds; i++) {
		const struct set_bundle *b = i ? &s->feds[i - 1] : &s->own;

		if (!b->der.len)
			continue;
		fill_bundle(&entry[i], b);
		entries[r.n_bundles++] = &entry[i];
	}
	while (r.n_bundles > 1 && protobuf_c_message_get_packed_size(&r.base) > LIM_GRPC_RESPONSE)
		r.n_bundles--;
	return pack(&r.base, false, ret_m);
}

/* A tag below 16, the length as a varint, the bytes. */
static size_t field_size(size_t len)
{
	size_t n = 2 + len;

	for (size_t rest = len >> 7; rest; rest >>= 7)
		n++;
	return n;
}

static size_t row_size(const struct encode_row *row)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(row->field); i++)
		n += row->field[i].len ? field_size(row->field[i].len) : 0;
	return n;
}

static void put_row(struct buf *b, const struct encode_row *row)
{
	pb_put_head(b, 1, row_size(row));
	for (size_t i = 0; i < ARRAY_SIZE(row->field); i++)
		pb_put(b, (uint32_t)i + 1, row->field[i]);
}

int encode_rows(const struct encode_row *rows, size_t n, bool secret, struct message **ret_m)
{
	AUTO(message) struct message *m = NULL;
	struct buf b = { 0 }; /* over the message's own bytes: it never grows, nothing is left behind elsewhere */
	int err;

	for (size_t i = 0; i < n; i++)
		b.max += field_size(row_size(&rows[i]));
	b.cap = b.max;
	err = message_new(b.max, secret, &b.data, &m);
	if (err)
		return err;
	for (size_t i = 0; i < n; i++)
		put_row(&b, &rows[i]);
	err = buf_ok(&b);
	if (!err && b.len != b.max)
		err = -ERR_SIZE;
	if (!err)
		*ret_m = take(&m);
	return err;
}

int encode_jwt_bundles(const struct set *s, struct message **ret_m)
{
	AUTO_FREE struct encode_row *rows = mem_calloc(s->n_feds + 1, sizeof(*rows));
	size_t n = 0;
	int err;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i <= s->n_feds; i++) {
		const struct set_bundle *b = i ? &s->feds[i - 1] : &s->own;

		if (b->jwks.len)
			rows[n++] = (struct encode_row){ { slice_str(b->trust_domain_id), b->jwks } };
	}
	do
		err = encode_rows(rows, n, false, ret_m);
	while (err == -ERR_SIZE && --n);
	return err;
}

static struct slice body_of(const struct message *m)
{
	struct slice s = message_bytes(m);

	(void)slice_get_bytes(&s, GRPC_PREFIX);
	return s;
}

/* Bytes of repeated fields one after another are the list of all of them. */
int encode_join(struct message *const *parts, size_t n, struct message **ret_m)
{
	size_t len = 0;
	uint8_t *to;
	int err;

	for (size_t i = 0; i < n; i++)
		len += body_of(parts[i]).len;
	err = message_new(len, false, &to, ret_m);
	for (size_t i = 0; i < n && !err; i++) {
		struct slice s = body_of(parts[i]);

		memcpy(to, s.p, s.len);
		to += s.len;
	}
	return err;
}

int encode_whoami(struct slice json, struct message **ret_m)
{
	Svid__V1__WhoAmIResponse r = SVID__V1__WHO_AM_IRESPONSE__INIT;

	r.json = data_of(json);
	return pack(&r.base, false, ret_m);
}

int encode_health(int status, struct message **ret_m)
{
	Grpc__Health__V1__HealthCheckResponse r = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;

	r.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
	return pack(&r.base, false, ret_m);
}

int decode_empty(const ProtobufCMessageDescriptor *type, struct slice body)
{
	ProtobufCMessage *m;

	if (!body.len)
		return 0;
	m = protobuf_c_message_unpack(type, &memory, body.len, body.p);
	if (!m)
		return -ERR_REQUEST;
	protobuf_c_message_free_unpacked(m, &memory);
	return 0;
}

int decode_health(struct slice body, bool (*is_here)(const char *service), bool *ret_here)
{
	Grpc__Health__V1__HealthCheckRequest *r =
		grpc__health__v1__health_check_request__unpack(&memory, body.len, body.p);

	if (!r)
		return -ERR_REQUEST;
	*ret_here = is_here(r->service);
	grpc__health__v1__health_check_request__free_unpacked(r, &memory);
	return 0;
}
