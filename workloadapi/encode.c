// SPDX-License-Identifier: Apache-2.0
/* encode.c - between protobuf and our own structs. svid-front. Source: workload.proto, health.proto, self.proto. */
#include "workloadapi/encode.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "gen/health.pb-c.h"
#include "gen/self.pb-c.h"
#include "gen/workload.pb-c.h"

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
	for (size_t i = 0; i < s->n_ids; i++) {
		fill_svid(&svid[i], s, i, keys[i]);
		svids[i] = &svid[i];
	}
	for (size_t i = 0; i < s->n_feds; i++) {
		fill_entry(&fed[i], &s->feds[i]);
		feds[i] = &fed[i];
	}
	r.svids = svids;
	r.n_svids = s->n_ids;
	r.federated_bundles = feds;
	r.n_federated_bundles = s->n_feds;
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
	fill_bundle(&entry[0], &s->own);
	for (size_t i = 0; i < s->n_feds; i++)
		fill_bundle(&entry[i + 1], &s->feds[i]);
	for (size_t i = 0; i <= s->n_feds; i++)
		entries[i] = &entry[i];
	r.bundles = entries;
	r.n_bundles = s->n_feds + 1;
	while (r.n_bundles > 1 && protobuf_c_message_get_packed_size(&r.base) > LIM_GRPC_RESPONSE)
		r.n_bundles--;
	return pack(&r.base, false, ret_m);
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
