/* SPDX-License-Identifier: Apache-2.0 */
/* sdsform.c - what the Secrets hold: pairs, validators, bundles in the form that a client asks for. svid-conformance. */
#include <errno.h>
#include <jansson.h>

#include "agent/base/base64.h"
#include "conformance/sds.h"

/* One secret, asked for on a connection of its own, as a client with that Node. */
static enum verdict get(struct run *r, const char *name, struct slice node, struct sds_answer *a, const struct secret **ret)
{
	AUTO(call) struct call c = { 0 };
	struct sds_request q = SECRETS(name);
	struct sds s;

	q.node = node;
	TRY(sds_begin(r, &c, &s, false, &q, a));
	TRY(sds_has(r, a, NAMES(name)));
	*ret = &a->secrets[0];
	return PASS;
}

static bool same_certs(const struct certs *a, const struct certs *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		if (X509_cmp(a->at[i], b->at[i]) != 0)
			return false;
	}
	return true;
}

/* PEM text against the DER that the Workload API has. */
static enum verdict same_bundle(struct run *r, struct slice pem, struct slice der, const char *of)
{
	AUTO(certs) struct certs have = { 0 };
	AUTO(certs) struct certs want = { 0 };

	if (sds_pem_certs(pem, &have) || certs_parse(der, &want))
		return fail(r, "%s: no certificates in PEM", of);
	return same_certs(&have, &want) ? PASS : fail(r, "%s: not the certificates of the Workload API", of);
}

static struct slice bundle_of(const struct bundle_response *b, struct slice domain)
{
	for (size_t i = 0; i < b->n_bundles; i++) {
		struct slice name = b->bundles[i].name;

		(void)slice_get_bytes(&name, strlen("spiffe://"));
		if (slice_eq(name, domain))
			return b->bundles[i].der;
	}
	return slice_of(NULL, 0);
}

static struct slice bare(const char *domain)
{
	struct slice s = slice_str(domain);

	(void)slice_get_bytes(&s, strlen("spiffe://"));
	return s;
}

static enum verdict pair_of(struct run *r, const char *name, const char *id, struct slice der)
{
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(certs) struct certs chain = { 0 };
	AUTO(certs) struct certs roots = { 0 };
	const struct secret *s;
	GENERAL_NAMES *names;
	struct slice uri;
	const char *why;

	TRY(get(r, name, slice_of(NULL, 0), &a, &s));
	TRY(sds_pair(r, s, &chain));
	if (s->trusted_ca.len || s->validator.len)
		return fail(r, "a certificate and a bundle in one Secret");
	size_t n = cert_uri(chain.at[0], &names, &uri);
	bool named = n == 1 && slice_eq_str(uri, id);

	GENERAL_NAMES_free(names);
	if (!named)
		return fail(r, "\"%s\" is not the SVID of %s", name, id);
	if (certs_parse(der, &roots) || !cert_verifies(&chain, &roots, &why))
		return fail(r, "\"%s\" does not verify with the own bundle", name);
	return PASS;
}

static enum verdict pairs(struct run *r)
{
	const struct own_names *own = sds_own(r);

	if (!own)
		return FAIL;
	TRY(pair_of(r, "default", own->first, r->svids.svids[0].bundle));
	TRY(pair_of(r, own->first, own->first, r->svids.svids[0].bundle));
	return *own->second ? pair_of(r, own->second, own->second, r->svids.svids[1].bundle) : PASS;
}

static enum verdict is_validator(struct run *r, const struct secret *s)
{
	if (s->chain.len || s->key.len)
		return fail(r, "a bundle with a certificate or a key in its Secret");
	if (!slice_eq_str(s->validator_name, VALIDATOR_NAME) || !slice_eq_str(s->validator_type, VALIDATOR_TYPE))
		return fail(r, "no SPIFFE validator");
	return s->trusted_ca.len ? fail(r, "trusted_ca beside the validator, which trusts it for every domain") : PASS;
}

static struct slice inline_text(struct slice source)
{
	struct field f = field_get(&source);

	return (f.number == 2 || f.number == 3) && f.type == 2 ? f.bytes : slice_of(NULL, 0);
}

/* The validator of @name has the bundles that FetchX509Bundles has: all of them, or the one of @domain. */
static enum verdict validator_of(struct run *r, const char *name, const char *domain)
{
	AUTO(sds_answer) struct sds_answer a = { 0 };
	const struct bundle_response *b = run_bundles(r);
	const struct secret *s;
	struct items domains;

	if (!b)
		return FAIL;
	TRY(get(r, name, slice_of(NULL, 0), &a, &s));
	TRY(is_validator(r, s));
	if (items_parse(s->validator, 1, 2, &domains))
		return fail(r, "%s: the validator's config does not parse", name);
	if (domains.n != (domain ? 1 : b->n_bundles))
		return fail(r, "%s: %zu trust domains", name, domains.n);
	for (size_t i = 0; i < domains.n; i++) {
		struct slice der = bundle_of(b, domains.at[i][1]);

		if (domain && !slice_eq(domains.at[i][1], bare(domain)))
			return fail(r, "%s: another trust domain", name);
		TRY(same_bundle(r, inline_text(domains.at[i][2]), der, name));
	}
	return PASS;
}

static enum verdict validators(struct run *r)
{
	const struct own_names *own = sds_own(r);

	if (!own)
		return FAIL;
	TRY(validator_of(r, "ROOTCA", own->domain));
	TRY(validator_of(r, own->domain, own->domain));
	return validator_of(r, "ALL", NULL);
}

/* Each trust domain by its name, foreign ones too, holds nothing but itself. */
static enum verdict federated(struct run *r)
{
	const struct own_names *own = sds_own(r);
	const struct bundle_response *b = own ? run_bundles(r) : NULL;
	char name[320];

	if (!b)
		return FAIL;
	for (size_t i = 0; i < b->n_bundles; i++) {
		snprintf(name, sizeof(name), "%.*s", (int)b->bundles[i].name.len, (const char *)b->bundles[i].name.p);
		TRY(validator_of(r, name, name));
	}
	return PASS;
}

static enum verdict plain_of(struct run *r, const char *name, struct slice node, struct slice der)
{
	AUTO(sds_answer) struct sds_answer a = { 0 };
	const struct secret *s;

	TRY(get(r, name, node, &a, &s));
	if (s->validator.len)
		return fail(r, "the validator, though the node has none");
	return same_bundle(r, s->trusted_ca, der, name);
}

/* As spire-agent: node metadata, a bool or a word. */
static enum verdict plain(struct run *r)
{
	AUTO(buf) struct buf as_bool = BUF_INIT(4096);
	AUTO(buf) struct buf as_text = BUF_INIT(4096);
	const struct own_names *own = sds_own(r);

	if (!own)
		return FAIL;
	struct slice der = r->svids.svids[0].bundle;

	sds_metadata(&as_bool, "disable_spiffe_cert_validation", NULL);
	sds_metadata(&as_text, "disable_spiffe_cert_validation", "true");
	TRY(plain_of(r, "ROOTCA", buf_slice(&as_bool), der));
	TRY(plain_of(r, own->domain, buf_slice(&as_bool), der));
	return plain_of(r, "ROOTCA", buf_slice(&as_text), der);
}

/* Metadata that means nothing changes nothing. */
static enum verdict other_metadata(struct run *r)
{
	static const char *const values[] = { "perhaps", "", "TRUE " };

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		AUTO(buf) struct buf node = BUF_INIT(4096);
		AUTO(sds_answer) struct sds_answer a = { 0 };
		const struct secret *s;

		sds_metadata(&node, "disable_spiffe_cert_validation", values[i]);
		TRY(get(r, "ROOTCA", buf_slice(&node), &a, &s));
		TRY(is_validator(r, s));
	}
	return PASS;
}

/* The node comes with the first request only, as Envoy's set_node_on_first_message_only has it. */
static enum verdict node_once(struct run *r)
{
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(sds_answer) struct sds_answer b = { 0 };
	AUTO(buf) struct buf node = BUF_INIT(4096);
	struct sds_request q = SECRETS("default");
	struct sds s, other;

	sds_metadata(&node, "disable_spiffe_cert_validation", NULL);
	q.node = buf_slice(&node);
	TRY(sds_begin(r, &c, &s, false, &q, &a));
	q.names[0] = "ROOTCA";
	q = sds_ack(&q, &a);
	TRY(sds_ask(r, &s, &q, &b));
	TRY(sds_has(r, &b, NAMES("ROOTCA")));
	if (b.secrets[0].validator.len || !b.secrets[0].trusted_ca.len)
		return fail(r, "the node of the first request is forgotten");
	/* It is the stream's, not the connection's. */
	sds_answer_done(&b);
	TRY(sds_open(r, &c, false, &other));
	TRY(sds_ask(r, &other, &SECRETS("ROOTCA"), &b));
	return is_validator(r, &b.secrets[0]);
}

/* One trust domain of the map: X.509 keys only, each certificate one of the bundle. */
static enum verdict map_entry(struct run *r, const char *domain, json_t *jwks, struct slice der)
{
	AUTO(certs) struct certs want = { 0 };
	json_t *keys = json_object_get(jwks, "keys"), *key;
	size_t i, found = 0;

	if (certs_parse(der, &want))
		return fail(r, "the map has %s, which the Workload API has not", domain);
	json_array_foreach(keys, i, key) {
		AUTO(buf) struct buf bytes = BUF_INIT(1 << 16);
		AUTO(certs) struct certs one = { 0 };
		const char *x5c = json_string_value(json_array_get(json_object_get(key, "x5c"), 0));
		const char *use = json_string_value(json_object_get(key, "use"));

		if (!use || strcmp(use, "x509-svid") != 0 || !x5c)
			return fail(r, "a key of %s that is no X.509 authority", domain);
		if (base64_get(&bytes, slice_str(x5c), BASE64_PLAIN) || certs_parse(buf_slice(&bytes), &one))
			return fail(r, "x5c of %s is no certificate", domain);
		for (size_t k = 0; k < want.n; k++)
			found += X509_cmp(one.at[0], want.at[k]) == 0;
	}
	return found == want.n && found == json_array_size(keys) ? PASS : fail(r, "%s: not the bundle's certificates", domain);
}

static enum verdict check_map(struct run *r, json_t *map, const struct bundle_response *b)
{
	json_t *domains = json_object_get(map, "trust_domains"), *jwks;
	const char *domain;

	if (json_object_size(domains) != b->n_bundles)
		return fail(r, "the map has %zu trust domains, not %zu", json_object_size(domains), b->n_bundles);
	json_object_foreach(domains, domain, jwks)
		TRY(map_entry(r, domain, jwks, bundle_of(b, slice_str(domain))));
	return PASS;
}

static enum verdict bundle_map(struct run *r)
{
	AUTO(buf) struct buf node = BUF_INIT(4096);
	AUTO(sds_answer) struct sds_answer a = { 0 };
	const struct bundle_response *b = run_bundles(r);
	const struct secret *s;

	if (!b)
		return FAIL;
	sds_metadata(&node, "spiffe_bundle_map", NULL);
	TRY(get(r, "ALL", buf_slice(&node), &a, &s));
	TRY(is_validator(r, s));
	struct slice config = s->validator;
	struct field f = field_get(&config);

	if (f.number != 2 || f.type != 2 || config.len)
		return fail(r, "not one bundle map and nothing else");
	struct slice text = inline_text(f.bytes);
	json_t *map = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
	enum verdict v = map ? check_map(r, map, b) : fail(r, "the bundle map is no JSON");

	json_decref(map);
	return v;
}

/*
 * Envoy keeps a bundle until another comes under its name. To a client that held bundles before, a trust domain that is
 * not known (any more) is therefore a self-signed certificate that nobody has the key of, and that is no known authority.
 */
static enum verdict trusts_nobody(struct run *r)
{
	static const char name[] = "spiffe://once.example";
	AUTO(call) struct call c = { 0 };
	AUTO(sds_answer) struct sds_answer a = { 0 };
	AUTO(certs) struct certs root = { 0 };
	AUTO(certs) struct certs own = { 0 };
	struct sds_request q = SECRETS("ROOTCA", name);
	struct items domains;
	struct sds s;

	if (!run_svids(r))
		return FAIL;
	q.version = slice_str("17");
	TRY(sds_begin(r, &c, &s, false, &q, &a));
	TRY(sds_has(r, &a, NAMES("ROOTCA", name)));
	const struct secret *gone = sds_find(&a, name);

	TRY(is_validator(r, gone));
	if (items_parse(gone->validator, 1, 2, &domains) || domains.n != 1 || !slice_eq(domains.at[0][1], bare(name)))
		return fail(r, "not a validator of that trust domain alone");
	if (sds_pem_certs(inline_text(domains.at[0][2]), &root) || root.n != 1 ||
	    certs_parse(r->svids.svids[0].bundle, &own) || X509_self_signed(root.at[0], 1) != 1)
		return fail(r, "not one self-signed certificate");
	for (size_t i = 0; i < own.n; i++) {
		if (X509_cmp(own.at[i], root.at[0]) == 0)
			return fail(r, "it trusts the own authority");
	}
	return PASS;
}

const struct test sds_form_tests[] = {
	{ "SDS-15", "chain and PKCS#8 key in one Secret, matching, of the right identity", MODE_IDENTITY, pairs, NULL },
	{ "SDS-16", "ROOTCA, the trust domain and ALL are SPIFFE validators", MODE_IDENTITY, validators, NULL },
	{ "SDS-16", "a trust domain by its name holds itself alone", MODE_IDENTITY, federated, NULL },
	{ "SDS-17", "plain trusted_ca for a node without the validator", MODE_IDENTITY, plain, NULL },
	{ "SDS-17", "node metadata that means nothing changes nothing", MODE_IDENTITY, other_metadata, NULL },
	{ "SDS-18", "the node of the first request holds for its stream", MODE_IDENTITY, node_once, NULL },
	{ "SDS-32", "a bundle that is gone is replaced by one that trusts nobody", MODE_IDENTITY, trusts_nobody, NULL },
	{ "SDS-19", "the bundle map for a node that asks for it", MODE_IDENTITY, bundle_map, NULL },
	{ 0 },
};
