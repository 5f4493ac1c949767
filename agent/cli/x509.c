/* SPDX-License-Identifier: Apache-2.0 */
/* x509.c - strict reading of X.509-SVIDs with libcrypto, and PEM. svid; used by fetch.c and bundle.c. */
#include "agent/cli/x509.h"

#include <errno.h>
#include <time.h>

#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/cli/ossl.h"

#define PEM_LINE 48 /* bytes of DER on one line of 64 characters */

typedef STACK_OF(X509) certs;

static void certs_autoclean(certs **c)
{
	sk_X509_pop_free(*c, X509_free);
}

void x509_report_done(struct x509_report *r)
{
	buf_done(&r->uri);
	buf_done(&r->subject);
	buf_done(&r->issuer);
	buf_done(&r->serial);
	buf_done(&r->dns);
	buf_done(&r->key_kind);
	buf_done(&r->problems);
}

static void problem(struct x509_report *r, const char *text)
{
	buf_printf(&r->problems, "%s\n", text);
}

/* Certificates one after another. An empty input gives an empty stack. */
static int parse_certs(struct slice der, certs **ret_certs)
{
	AUTO(certs) certs *all = sk_X509_new_null();

	if (!all)
		return -ENOMEM;
	while (der.len) {
		const unsigned char *at = der.p;
		X509 *cert = d2i_X509(NULL, &at, (long)der.len);

		if (!cert || sk_X509_push(all, cert) <= 0) {
			X509_free(cert);
			ERR_clear_error();
			return -ERR_FORMAT;
		}
		(void)slice_get_bytes(&der, (size_t)(at - der.p));
	}
	*ret_certs = take(&all);
	return 0;
}

static void put_name(struct buf *out, X509_NAME *name)
{
	AUTO(bio) BIO *mem = BIO_new(BIO_s_mem());
	char *text;
	long len;

	if (!mem || X509_NAME_print_ex(mem, name, 0, XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_ESC_MSB) < 0)
		return;
	len = BIO_get_mem_data(mem, &text);
	buf_put(out, text, (size_t)len);
}

static int64_t seconds_of(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

static void put_serial(struct buf *out, const X509 *cert)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);

	buf_put_hex(out, slice_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial)));
}

/* How many URI names there are; the text of the first goes to @uri, DNS names to @dns. */
static unsigned int read_names(const X509 *cert, struct buf *uri, struct buf *dns)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	unsigned int n_uris = 0;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		int kind;
		const ASN1_STRING *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &kind);
		struct slice text;

		if (kind != GEN_URI && kind != GEN_DNS)
			continue;
		text = slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
		if (kind == GEN_URI && !n_uris++)
			buf_put_slice(uri, text);
		if (kind == GEN_DNS) {
			buf_put_slice(dns, text);
			buf_put_str(dns, "\n");
		}
	}
	GENERAL_NAMES_free(names);
	return n_uris;
}

static void check_id(const struct x509_svid *svid, unsigned int n_uris, struct x509_report *r)
{
	struct slice id = buf_slice(&r->uri);

	if (n_uris != 1)
		problem(r, n_uris ? "the leaf has more than one URI name (X509-SVID 2)" : "the leaf has no URI name");
	if (!slice_eq(id, svid->spiffe_id))
		problem(r, "the certificate's SPIFFE ID is not the one the message states");
	if (!slice_starts(id, slice_str("spiffe://"))) {
		problem(r, "the URI is no SPIFFE ID (X509-SVID 5.2)");
		return;
	}
	(void)slice_get_bytes(&id, 9);
	if (!id.len || !memchr(id.p, '/', id.len))
		problem(r, "the SPIFFE ID has no path, so it is no workload's (X509-SVID 5.2)");
}

/* X509-SVID 4 and 5.2, and what the strict clients add. */
static void check_leaf(X509 *leaf, struct x509_report *r)
{
	uint32_t usage = X509_get_key_usage(leaf);
	uint32_t extended = X509_get_extended_key_usage(leaf);

	if (X509_get_extension_flags(leaf) & EXFLAG_CA)
		problem(r, "the leaf is a CA certificate (X509-SVID 5.2)");
	if (X509_get_ext_by_NID(leaf, NID_basic_constraints, -1) < 0)
		problem(r, "the leaf has no basicConstraints; rust and python clients refuse it");
	if (usage == UINT32_MAX)
		problem(r, "the leaf has no keyUsage (X509-SVID 4.3)");
	else if (!(usage & KU_DIGITAL_SIGNATURE))
		problem(r, "the leaf's keyUsage lacks digitalSignature (X509-SVID 4.3)");
	if (usage != UINT32_MAX && usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN))
		problem(r, "the leaf's keyUsage allows signing certificates or CRLs (X509-SVID 5.2)");
	if (extended != UINT32_MAX && (extended & (XKU_SSL_SERVER | XKU_SSL_CLIENT)) != (XKU_SSL_SERVER | XKU_SSL_CLIENT))
		problem(r, "the leaf's extended key usage lacks serverAuth or clientAuth (X509-SVID 4.4)");
}

static void check_key(const struct x509_svid *svid, X509 *leaf, struct x509_report *r)
{
	const unsigned char *at = svid->key.p;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)svid->key.len);
	EVP_PKEY *key = info && at == svid->key.p + svid->key.len ? EVP_PKCS82PKEY(info) : NULL;
	EVP_PKEY *public = X509_get0_pubkey(leaf);
	char group[64] = "";

	if (!key)
		problem(r, "the key is not unencrypted PKCS#8 DER");
	else if (X509_check_private_key(leaf, key) != 1)
		problem(r, "the key does not belong to the certificate");
	if (public) {
		(void)EVP_PKEY_get_utf8_string_param(public, "group", group, sizeof(group), NULL);
		buf_printf(&r->key_kind, "%s%s%s, %d bits", EVP_PKEY_get0_type_name(public), *group ? " " : "", group,
			   EVP_PKEY_get_bits(public));
	}
	EVP_PKEY_free(key);
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
}

static int verify(X509_STORE *store, X509_STORE_CTX *ctx, certs *chain, certs *bundle, int64_t now,
		  struct x509_report *r)
{
	for (int i = 0; i < sk_X509_num(bundle); i++)
		if (X509_STORE_add_cert(store, sk_X509_value(bundle, i)) != 1)
			return -ENOMEM;
	if (X509_STORE_CTX_init(ctx, store, sk_X509_value(chain, 0), chain) != 1)
		return -ENOMEM;
	X509_STORE_CTX_set_time(ctx, 0, (time_t)now);
	if (X509_verify_cert(ctx) == 1)
		return 0;
	buf_printf(&r->problems, "no valid path from the leaf to the bundle: %s\n",
		   X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	return 0;
}

static int check_path(certs *chain, certs *bundle, int64_t now, struct x509_report *r)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int err = store && ctx ? verify(store, ctx, chain, bundle, now, r) : -ENOMEM;

	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return err;
}

static void describe(X509 *leaf, struct x509_report *r)
{
	put_name(&r->subject, X509_get_subject_name(leaf));
	put_name(&r->issuer, X509_get_issuer_name(leaf));
	put_serial(&r->serial, leaf);
	r->not_before = seconds_of(X509_get0_notBefore(leaf));
	r->not_after = seconds_of(X509_get0_notAfter(leaf));
}

int x509_inspect(const struct x509_svid *svid, int64_t now, struct x509_report *r)
{
	AUTO(certs) certs *chain = NULL;
	AUTO(certs) certs *bundle = NULL;
	X509 *leaf;
	int err = parse_certs(svid->chain, &chain);

	if (err)
		return err;
	if (!sk_X509_num(chain))
		return -ERR_FORMAT;
	leaf = sk_X509_value(chain, 0);
	r->n_chain = (size_t)sk_X509_num(chain);
	describe(leaf, r);
	check_id(svid, read_names(leaf, &r->uri, &r->dns), r);
	check_leaf(leaf, r);
	check_key(svid, leaf, r);
	err = parse_certs(svid->bundle, &bundle);
	if (err == -ERR_FORMAT) {
		problem(r, "the bundle is not DER certificates");
		return buf_ok(&r->problems);
	}
	if (err)
		return err;
	r->n_bundle = (size_t)sk_X509_num(bundle);
	if (!r->n_bundle)
		problem(r, "the bundle is empty");
	err = check_path(chain, bundle, now, r);
	return err ? err : buf_ok(&r->problems);
}

static void put_base64(struct buf *out, struct slice der)
{
	while (der.len) {
		struct slice line = slice_get_bytes(&der, der.len < PEM_LINE ? der.len : PEM_LINE);
		unsigned char text[PEM_LINE / 3 * 4 + 1];
		int n = EVP_EncodeBlock(text, line.p, (int)line.len);

		buf_put(out, text, (size_t)n);
		buf_put_str(out, "\n");
		OPENSSL_cleanse(text, sizeof(text));
	}
}

static void put_block(struct buf *out, const char *label, struct slice der)
{
	buf_printf(out, "-----BEGIN %s-----\n", label);
	put_base64(out, der);
	buf_printf(out, "-----END %s-----\n", label);
}

int x509_put_pem(struct buf *out, struct slice der)
{
	while (der.len) {
		const unsigned char *at = der.p;
		X509 *cert = d2i_X509(NULL, &at, (long)der.len);

		X509_free(cert);
		ERR_clear_error();
		if (!cert)
			return -ERR_FORMAT;
		put_block(out, "CERTIFICATE", slice_get_bytes(&der, (size_t)(at - der.p)));
	}
	return buf_ok(out);
}

int x509_put_key_pem(struct buf *out, struct slice der)
{
	put_block(out, "PRIVATE KEY", der);
	return buf_ok(out);
}

static void put_line(struct buf *out, const char *label, const X509 *cert)
{
	AUTO(buf) struct buf name = BUF_INIT(1 << 16);
	AUTO(buf) struct buf dns = BUF_INIT(1 << 16);
	char until[32];

	if (!read_names(cert, &name, &dns))
		put_name(&name, X509_get_subject_name(cert));
	clock_rfc3339(seconds_of(X509_get0_notAfter(cert)), until);
	buf_put_str(out, label);
	buf_put_esc(out, buf_slice(&name));
	buf_printf(out, "  until %s  serial ", until);
	put_serial(out, cert);
	buf_put_str(out, "\n");
}

int x509_put_list(struct buf *out, const char *label, struct slice der)
{
	AUTO(certs) certs *all = NULL;
	int err = parse_certs(der, &all);

	if (err)
		return err;
	for (int i = 0; i < sk_X509_num(all); i++)
		put_line(out, label, sk_X509_value(all, i));
	return buf_ok(out);
}

size_t x509_count(struct slice der)
{
	AUTO(certs) certs *all = NULL;

	return parse_certs(der, &all) ? 0 : (size_t)sk_X509_num(all);
}
