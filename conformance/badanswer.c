/* SPDX-License-Identifier: Apache-2.0 */
/* badanswer.c - canned Workload API answers with a fresh authority, right or with one flaw. svid-conformance --selftest. */
#include <openssl/pem.h>
#include <stdlib.h>

#include "conformance/selftest.h"
#include "conformance/x509.h"

static const char domain[] = "spiffe://selftest.example";

static void must(int ok)
{
	if (ok != 1)
		abort();
}

static EVP_PKEY *new_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	must(key != NULL);
	return key;
}

static void add_ext(X509 *cert, int nid, const char *value)
{
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);

	must(ext != NULL);
	must(X509_add_ext(cert, ext, -1));
	X509_EXTENSION_free(ext);
}

static X509 *new_cert(EVP_PKEY *key, const char *subject, const char *issuer, long lives_s)
{
	X509 *cert = X509_new();
	uint8_t serial[16] = { 0x11 };
	BIGNUM *number = BN_bin2bn(serial, sizeof(serial), NULL);

	must(cert && number && X509_set_version(cert, X509_VERSION_3));
	must(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL);
	BN_free(number);
	X509_gmtime_adj(X509_getm_notBefore(cert), -7200);
	X509_gmtime_adj(X509_getm_notAfter(cert), lives_s);
	if (subject)
		must(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)subject,
						-1, -1, 0));
	must(X509_NAME_add_entry_by_txt(X509_get_issuer_name(cert), "CN", MBSTRING_ASC, (const uint8_t *)issuer, -1, -1,
					0));
	must(X509_set_pubkey(cert, key));
	return cert;
}

static X509 *new_ca(enum flaw flaw, EVP_PKEY *key, const char *name, const char *uri)
{
	X509 *cert = new_cert(key, name, name, 86400);

	add_ext(cert, NID_basic_constraints, "critical,CA:TRUE");
	add_ext(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	if (flaw != FLAW_CA_NO_URI)
		add_ext(cert, NID_subject_alt_name, uri);
	must(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static const char *leaf_names(enum flaw flaw)
{
	switch (flaw) {
	case FLAW_TWO_URIS:
		return "critical,URI:spiffe://selftest.example/a,URI:spiffe://selftest.example/b";
	case FLAW_ROOT_PATH:
		return "critical,URI:spiffe://selftest.example";
	case FLAW_SAN_NOT_CRITICAL:
		return "URI:spiffe://selftest.example/a";
	default:
		return "critical,URI:spiffe://selftest.example/a";
	}
}

static X509 *new_leaf(enum flaw flaw, EVP_PKEY *key, EVP_PKEY *ca_key)
{
	X509 *cert = new_cert(key, NULL, "ca", flaw == FLAW_EXPIRED ? -3600 : 3600);

	if (flaw != FLAW_NO_CONSTRAINTS)
		add_ext(cert, NID_basic_constraints, "critical,CA:FALSE");
	if (flaw == FLAW_SIGNING_LEAF)
		add_ext(cert, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
	else if (flaw != FLAW_NO_USAGE)
		add_ext(cert, NID_key_usage, flaw == FLAW_USAGE_NOT_CRITICAL ? "digitalSignature" :
									       "critical,digitalSignature");
	if (flaw != FLAW_NO_EKU)
		add_ext(cert, NID_ext_key_usage, flaw == FLAW_SERVER_ONLY ? "serverAuth" : "serverAuth,clientAuth");
	add_ext(cert, NID_subject_alt_name, leaf_names(flaw));
	must(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return cert;
}

static void put_cert(struct buf *b, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	must(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
}

static void put_key(struct buf *b, EVP_PKEY *key, bool sec1)
{
	unsigned char *der = NULL;
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	int len = sec1 ? i2d_PrivateKey(key, &der) : i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	must(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
}

/* One length-delimited field; lengths here stay below 16 KiB. */
static void put_field(struct buf *b, unsigned int number, struct slice bytes)
{
	buf_put_u8(b, (uint8_t)(number << 3 | 2));
	buf_put_u8(b, (uint8_t)(bytes.len | 0x80));
	buf_put_u8(b, (uint8_t)(bytes.len >> 7));
	buf_put_slice(b, bytes);
}

/* The parts of one SVID as the flaw has them. */
struct parts {
	struct buf chain, key, bundle;
};

static void make_parts(enum flaw flaw, struct parts *p)
{
	EVP_PKEY *ca_key = new_key(), *key = new_key(), *other = new_key();
	X509 *ca = new_ca(flaw, ca_key, "ca", "URI:spiffe://selftest.example");
	X509 *foreign = new_ca(flaw, other, "ca", "URI:spiffe://other.example");
	X509 *leaf = new_leaf(flaw, key, ca_key);

	put_cert(&p->chain, leaf);
	if (flaw == FLAW_ROOT_IN_CHAIN)
		put_cert(&p->chain, ca);
	if (flaw == FLAW_TRAILING_BYTE)
		buf_put_u8(&p->chain, 0);
	put_key(&p->key, flaw == FLAW_OTHER_KEY ? other : key, flaw == FLAW_SEC1_KEY);
	put_cert(&p->bundle, flaw == FLAW_OTHER_CA ? foreign : ca);
	X509_free(ca);
	X509_free(foreign);
	X509_free(leaf);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(key);
	EVP_PKEY_free(other);
}

static const char *item_id(enum flaw flaw)
{
	switch (flaw) {
	case FLAW_ID_DIFFERS:
		return "spiffe://selftest.example/b";
	case FLAW_UPPER_CASE:
		return "spiffe://Selftest.example/a";
	case FLAW_ENCODED_PATH:
		return "spiffe://selftest.example/%61";
	default:
		return "spiffe://selftest.example/a";
	}
}

static void put_svid(struct buf *to, enum flaw flaw, const struct parts *p)
{
	AUTO(buf) struct buf item = BUF_INIT(1 << 16);

	put_field(&item, 1, slice_str(item_id(flaw)));
	put_field(&item, 2, buf_slice(&p->chain));
	if (flaw != FLAW_NO_KEY)
		put_field(&item, 3, buf_slice(&p->key));
	put_field(&item, 4, buf_slice(&p->bundle));
	put_field(&item, 5, slice_str("internal"));
	put_field(to, 1, buf_slice(&item));
}

static void put_entry(struct buf *to, unsigned int number, const char *name, struct slice der)
{
	AUTO(buf) struct buf entry = BUF_INIT(1 << 16);

	put_field(&entry, 1, slice_str(name));
	put_field(&entry, 2, der);
	put_field(to, number, buf_slice(&entry));
}

static void put_message(struct buf *to, const struct buf *message)
{
	buf_put_u8(to, 0);
	buf_put_be32(to, (uint32_t)message->len);
	buf_put_slice(to, buf_slice(message));
	must(buf_ok(to) == 0);
}

void answer_make(enum flaw flaw, struct buf *ret_svids, struct buf *ret_bundles)
{
	struct parts p = { BUF_INIT(1 << 16), BUF_INIT(1 << 16), BUF_INIT(1 << 16) };
	AUTO(buf) struct buf svids = BUF_INIT(1 << 18);
	AUTO(buf) struct buf bundles = BUF_INIT(1 << 18);

	make_parts(flaw, &p);
	if (flaw != FLAW_NO_SVID)
		put_svid(&svids, flaw, &p);
	if (flaw == FLAW_HINT_TWICE)
		put_svid(&svids, flaw, &p);
	if (flaw == FLAW_EMPTY_BUNDLE)
		put_entry(&svids, 3, "spiffe://other.example", slice_of(NULL, 0));
	if (flaw == FLAW_OWN_FEDERATED)
		put_entry(&svids, 3, domain, buf_slice(&p.bundle));
	if (flaw == FLAW_EXTRA_FIELD)
		put_field(&svids, 9, slice_str("x"));
	put_entry(&bundles, 2, domain, flaw == FLAW_OTHER_BUNDLE ? buf_slice(&p.chain) : buf_slice(&p.bundle));
	put_message(ret_svids, &svids);
	put_message(ret_bundles, &bundles);
	buf_done(&p.chain);
	buf_done(&p.key);
	buf_done(&p.bundle);
}
