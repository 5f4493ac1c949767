/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.c - X509-SVID.md on every certificate of an answer, and the key beside it. svid-conformance. */
#include <stdio.h>

#include "conformance/run.h"
#include "conformance/x509.h"

/* One SVID of the answer, parsed. */
struct parsed {
	const struct svid_item *item;
	struct certs chain, bundle;
};

static void parsed_autoclean(struct parsed *p)
{
	certs_done(&p->chain);
	certs_done(&p->bundle);
}

typedef enum verdict svid_check(struct run *r, const struct parsed *p);

static enum verdict every_svid(struct run *r, svid_check *check)
{
	const struct svid_response *svids = run_svids(r);
	enum verdict v = PASS;

	if (!svids)
		return FAIL;
	for (size_t i = 0; i < svids->n_svids && v == PASS; i++) {
		AUTO(parsed) struct parsed p = { .item = &svids->svids[i] };

		if (certs_parse(p.item->chain, &p.chain))
			return fail(r, "x509_svid of SVID %zu is not DER certificates", i);
		if (certs_parse(p.item->bundle, &p.bundle))
			return fail(r, "bundle of SVID %zu is not DER certificates", i);
		v = check(r, &p);
	}
	return svids->n_svids ? v : fail(r, "no SVID");
}

typedef enum verdict cert_check(struct run *r, X509 *cert);

/* The leaf of each SVID. */
static enum verdict every_leaf(struct run *r, cert_check *check)
{
	const struct svid_response *svids = run_svids(r);
	enum verdict v = PASS;

	if (!svids)
		return FAIL;
	for (size_t i = 0; i < svids->n_svids && v == PASS; i++) {
		AUTO(certs) struct certs chain = { 0 };

		if (certs_parse(svids->svids[i].chain, &chain))
			return fail(r, "x509_svid of SVID %zu is not DER certificates", i);
		v = check(r, chain.at[0]);
	}
	return svids->n_svids ? v : fail(r, "no SVID");
}

/* Every signing certificate: intermediates and bundle. */
static enum verdict every_ca(struct run *r, cert_check *check)
{
	const struct svid_response *svids = run_svids(r);
	enum verdict v = PASS;

	for (size_t i = 0; svids && i < svids->n_svids && v == PASS; i++) {
		AUTO(parsed) struct parsed p = { .item = &svids->svids[i] };

		if (certs_parse(p.item->chain, &p.chain) || certs_parse(p.item->bundle, &p.bundle))
			return fail(r, "SVID %zu is not DER certificates", i);
		for (size_t k = 1; k < p.chain.n && v == PASS; k++)
			v = check(r, p.chain.at[k]);
		for (size_t k = 0; k < p.bundle.n && v == PASS; k++)
			v = check(r, p.bundle.at[k]);
	}
	return svids ? v : FAIL;
}

static enum verdict one_uri(struct run *r, X509 *cert)
{
	GENERAL_NAMES *names = NULL;
	struct slice first;
	size_t n = cert_uri(cert, &names, &first);

	GENERAL_NAMES_free(names);
	return n == 1 ? PASS : fail(r, "%zu URI SANs", n);
}

static enum verdict path_not_root(struct run *r, X509 *cert)
{
	GENERAL_NAMES *names = NULL;
	struct slice uri;

	cert_uri(cert, &names, &uri);
	const uint8_t *slash = uri.len > 9 ? memchr(uri.p + 9, '/', uri.len - 9) : NULL;
	bool fine = slash && slash + 1 < uri.p + uri.len;

	GENERAL_NAMES_free(names);
	return fine ? PASS : fail(r, "the SPIFFE ID has no path");
}

static enum verdict san_critical(struct run *r, X509 *cert)
{
	bool empty = X509_NAME_entry_count(X509_get_subject_name(cert)) == 0;

	if (empty && cert_critical(cert, NID_subject_alt_name) != 1)
		return fail(r, "empty subject and a SAN extension that is not critical");
	return PASS;
}

static enum verdict leaf_not_ca(struct run *r, X509 *cert)
{
	BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(cert, NID_basic_constraints, NULL, NULL);
	bool there = bc, ca = bc && bc->ca;

	BASIC_CONSTRAINTS_free(bc);
	if (!there)
		return fail(r, "no basicConstraints: rust-spiffe and py-spiffe refuse the leaf");
	return ca ? fail(r, "cA is true") : PASS;
}

static enum verdict usage_there(struct run *r, X509 *cert)
{
	return cert_critical(cert, NID_key_usage) < 0 ? fail(r, "no keyUsage") : PASS;
}

static enum verdict usage_critical(struct run *r, X509 *cert)
{
	return cert_critical(cert, NID_key_usage) == 1 ? PASS : fail(r, "keyUsage is not critical");
}

static enum verdict usage_digital(struct run *r, X509 *cert)
{
	return cert_usage(cert) & KU_DIGITAL_SIGNATURE ? PASS : fail(r, "no digitalSignature");
}

static enum verdict usage_no_certsign(struct run *r, X509 *cert)
{
	return cert_usage(cert) & KU_KEY_CERT_SIGN ? fail(r, "keyCertSign in a leaf") : PASS;
}

static enum verdict usage_no_crlsign(struct run *r, X509 *cert)
{
	return cert_usage(cert) & KU_CRL_SIGN ? fail(r, "cRLSign in a leaf") : PASS;
}

static enum verdict eku_there(struct run *r, X509 *cert)
{
	return cert_critical(cert, NID_ext_key_usage) < 0 ? fail(r, "no extendedKeyUsage") : PASS;
}

static enum verdict eku_both(struct run *r, X509 *cert)
{
	uint32_t have = X509_get_extended_key_usage(cert);

	if (cert_critical(cert, NID_ext_key_usage) < 0)
		return PASS;
	return (have & XKU_SSL_SERVER) && (have & XKU_SSL_CLIENT) ? PASS : fail(r, "not both serverAuth and clientAuth");
}

static enum verdict ca_is_ca(struct run *r, X509 *cert)
{
	BASIC_CONSTRAINTS *bc = X509_get_ext_d2i(cert, NID_basic_constraints, NULL, NULL);
	bool ca = bc && bc->ca;

	BASIC_CONSTRAINTS_free(bc);
	return ca ? PASS : fail(r, "a signing certificate without cA");
}

static enum verdict ca_certsign(struct run *r, X509 *cert)
{
	return cert_usage(cert) & KU_KEY_CERT_SIGN ? PASS : fail(r, "a signing certificate without keyCertSign");
}

static enum verdict ca_no_digital(struct run *r, X509 *cert)
{
	return cert_usage(cert) & KU_DIGITAL_SIGNATURE ? fail(r, "a signing certificate with digitalSignature") : PASS;
}

static enum verdict ca_is_svid(struct run *r, X509 *cert)
{
	return one_uri(r, cert) == PASS ? PASS : fail(r, "a signing certificate without exactly one URI SAN");
}

static enum verdict ca_without_path(struct run *r, X509 *cert)
{
	return path_not_root(r, cert) == PASS ? fail(r, "a signing certificate's SPIFFE ID has a path") : PASS;
}

/* "spiffe://name" of a SPIFFE ID. */
static struct slice trust_domain(struct slice id)
{
	const uint8_t *slash = id.len > 9 ? memchr(id.p + 9, '/', id.len - 9) : NULL;

	return slash ? slice_of(id.p, (size_t)(slash - id.p)) : id;
}

static enum verdict ca_same_domain(struct run *r, const struct parsed *p)
{
	for (size_t i = 0; i < p->bundle.n; i++) {
		GENERAL_NAMES *names = NULL;
		struct slice uri;
		size_t n = cert_uri(p->bundle.at[i], &names, &uri);
		bool same = n == 0 || slice_eq(trust_domain(uri), trust_domain(p->item->spiffe_id));

		GENERAL_NAMES_free(names);
		if (!same)
			return fail(r, "an authority of another trust domain");
	}
	return PASS;
}

static enum verdict verifies(struct run *r, const struct parsed *p)
{
	const char *why = NULL;

	return cert_verifies(&p->chain, &p->bundle, &why) ? PASS : fail(r, "%s", why);
}

static enum verdict id_is_uri(struct run *r, const struct parsed *p)
{
	GENERAL_NAMES *names = NULL;
	struct slice uri;

	cert_uri(p->chain.at[0], &names, &uri);
	bool same = slice_eq(uri, p->item->spiffe_id);

	GENERAL_NAMES_free(names);
	return same ? PASS : fail(r, "spiffe_id and the URI SAN differ");
}

static enum verdict key_is_pkcs8(struct run *r, const struct parsed *p)
{
	EVP_PKEY *key = key_parse(p->item->key);
	int type = key ? EVP_PKEY_get_base_id(key) : 0;

	EVP_PKEY_free(key);
	if (!type)
		return fail(r, "x509_svid_key is not unencrypted PKCS#8 DER");
	return PASS;
}

static enum verdict key_is_common(struct run *r, const struct parsed *p)
{
	EVP_PKEY *key = X509_get0_pubkey(p->chain.at[0]);
	int type = key ? EVP_PKEY_get_base_id(key) : 0;

	return type == EVP_PKEY_RSA || type == EVP_PKEY_EC ? PASS : fail(r, "a key that java-spiffe cannot use");
}

static enum verdict key_matches(struct run *r, const struct parsed *p)
{
	EVP_PKEY *key = key_parse(p->item->key);
	bool same = key && EVP_PKEY_eq(key, X509_get0_pubkey(p->chain.at[0])) == 1;

	EVP_PKEY_free(key);
	return same ? PASS : fail(r, "the key is not the leaf's");
}

static enum verdict leaf_first(struct run *r, const struct parsed *p)
{
	for (size_t i = 0; i < p->chain.n; i++) {
		if (X509_check_ca(p->chain.at[i]) != (i > 0))
			return fail(r, "certificate %zu of the chain is %s", i, i ? "no CA" : "a CA");
		if (i + 1 < p->chain.n && X509_check_issued(p->chain.at[i + 1], p->chain.at[i]) != X509_V_OK)
			return fail(r, "certificate %zu is not signed by the next one", i);
	}
	return PASS;
}

static enum verdict chain_is_short(struct run *r, const struct parsed *p)
{
	if (p->chain.n > 16)
		return fail(r, "%zu certificates; rust-spiffe takes 16", p->chain.n);
	for (size_t i = 0; i < p->chain.n; i++) {
		if (X509_NAME_cmp(X509_get_subject_name(p->chain.at[i]), X509_get_issuer_name(p->chain.at[i])) == 0)
			return fail(r, "the root is in the chain");
	}
	return PASS;
}

static enum verdict is_current(struct run *r, X509 *cert)
{
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return fail(r, "not valid yet");
	return X509_cmp_current_time(X509_get0_notAfter(cert)) > 0 ? PASS : fail(r, "expired");
}

static enum verdict serial_is_fine(struct run *r, X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	int len = ASN1_STRING_length(serial);

	if (ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER || len < 8 || len > 20)
		return fail(r, "a serial number of %d bytes%s", len,
			    ASN1_STRING_type(serial) == V_ASN1_NEG_INTEGER ? ", negative" : "");
	return PASS;
}

#define OF(fn, each, check)                        \
	static enum verdict fn(struct run *r)      \
	{                                          \
		return each(r, check);             \
	}

OF(id_3_1, every_svid, verifies)
OF(id_3_1_2, every_ca, ca_is_svid)
OF(id_3_1_3, every_svid, ca_same_domain)
OF(id_3_1_4, every_ca, ca_without_path)
OF(id_3_2_1, every_svid, id_is_uri)
OF(id_3_2_2, every_svid, key_matches)
OF(x509_2_1, every_leaf, one_uri)
OF(x509_3_1_1, every_leaf, path_not_root)
OF(x509_3_1_2, every_leaf, san_critical)
OF(x509_4_1_2, every_ca, ca_is_ca)
OF(x509_4_1_3, every_leaf, leaf_not_ca)
OF(x509_4_3_1_leaf, every_leaf, usage_there)
OF(x509_4_3_1_ca, every_ca, usage_there)
OF(x509_4_3_2_leaf, every_leaf, usage_critical)
OF(x509_4_3_2_ca, every_ca, usage_critical)
OF(x509_4_3_3, every_ca, ca_certsign)
OF(x509_4_3_5, every_leaf, usage_digital)
OF(x509_4_3_7, every_leaf, usage_no_certsign)
OF(x509_4_3_8, every_leaf, usage_no_crlsign)
OF(x509_4_3_9, every_ca, ca_no_digital)
OF(x509_4_4_1, every_leaf, eku_there)
OF(x509_4_4_3, every_leaf, eku_both)
OF(wa_5_1_1, every_svid, leaf_first)
OF(wa_5_1_2, every_svid, key_is_pkcs8)
OF(cl_6, every_svid, key_is_common)
OF(cl_7, every_svid, chain_is_short)
OF(cl_9, every_leaf, is_current)
OF(cl_10, every_leaf, serial_is_fine)

const struct test leaf_tests[] = {
	{ "ID-3-1", "each SVID verifies against its own trust domain's bundle", MODE_IDENTITY, id_3_1, NULL },
	{ "ID-3.1-1", "the trust domain has an authority", MODE_IDENTITY, x509_4_1_2, NULL },
	{ "ID-3.1-2", "the authority carries an SVID of its own", MODE_IDENTITY, id_3_1_2, NULL },
	{ "ID-3.1-3", "the authority's SPIFFE ID is in its trust domain", MODE_IDENTITY, id_3_1_3, NULL },
	{ "ID-3.1-4", "the authority's SPIFFE ID has no path", MODE_IDENTITY, id_3_1_4, NULL },
	{ "ID-3.2-1", "the SPIFFE ID is in the signed part", MODE_IDENTITY, id_3_2_1, NULL },
	{ "ID-3.2-2", "the public key is in the signed part", MODE_IDENTITY, id_3_2_2, NULL },
	{ "X509-2-1", "exactly one URI SAN", MODE_IDENTITY, x509_2_1, NULL },
	{ "X509-3.1-1", "the leaf's SPIFFE ID has a path", MODE_IDENTITY, x509_3_1_1, NULL },
	{ "X509-3.1-2", "SAN is critical where the subject is empty", MODE_IDENTITY, x509_3_1_2, NULL },
	{ "X509-3.2-1", "a signing certificate is itself an SVID", MODE_IDENTITY, id_3_1_2, NULL },
	{ "X509-3.2-2", "a signing certificate's SPIFFE ID has no path", MODE_IDENTITY, id_3_1_4, NULL },
	{ "X509-3.2-3", "a signing certificate is of the leaves' trust domain", MODE_IDENTITY, id_3_1_3, NULL },
	{ "X509-4.1-2", "signing: cA is true", MODE_IDENTITY, x509_4_1_2, NULL },
	{ "X509-4.1-3", "leaf: basicConstraints there, cA false", MODE_IDENTITY, x509_4_1_3, NULL },
	{ "X509-4.3-1", "leaf: keyUsage there", MODE_IDENTITY, x509_4_3_1_leaf, NULL },
	{ "X509-4.3-1", "signing: keyUsage there", MODE_IDENTITY, x509_4_3_1_ca, NULL },
	{ "X509-4.3-2", "leaf: keyUsage critical", MODE_IDENTITY, x509_4_3_2_leaf, NULL },
	{ "X509-4.3-2", "signing: keyUsage critical", MODE_IDENTITY, x509_4_3_2_ca, NULL },
	{ "X509-4.3-3", "signing: keyCertSign", MODE_IDENTITY, x509_4_3_3, NULL },
	{ "X509-4.3-5", "leaf: digitalSignature", MODE_IDENTITY, x509_4_3_5, NULL },
	{ "X509-4.3-7", "leaf: no keyCertSign", MODE_IDENTITY, x509_4_3_7, NULL },
	{ "X509-4.3-8", "leaf: no cRLSign", MODE_IDENTITY, x509_4_3_8, NULL },
	{ "X509-4.3-9", "signing: no digitalSignature", MODE_IDENTITY, x509_4_3_9, NULL },
	{ "X509-4.4-1", "leaf: extendedKeyUsage there", MODE_IDENTITY, x509_4_4_1, NULL },
	{ "X509-4.4-3", "leaf: serverAuth and clientAuth", MODE_IDENTITY, x509_4_4_3, NULL },
	{ "WA-5.1-1", "leaf first, each signed by the next", MODE_IDENTITY, wa_5_1_1, NULL },
	{ "WA-5.1-2", "the key is unencrypted PKCS#8", MODE_IDENTITY, wa_5_1_2, NULL },
	{ "CL-6", "keys are RSA or EC (java)", MODE_IDENTITY, cl_6, NULL },
	{ "CL-7", "at most 16 certificates and no root in the chain (rust)", MODE_IDENTITY, cl_7, NULL },
	{ "CL-8", "spiffe_id equals the URI SAN byte for byte (java)", MODE_IDENTITY, id_3_2_1, NULL },
	{ "CL-9", "the leaf is valid now", MODE_IDENTITY, cl_9, NULL },
	{ "CL-10", "serial numbers are positive, of 8 to 20 bytes", MODE_IDENTITY, cl_10, NULL },
	{ 0 },
};
