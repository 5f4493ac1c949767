/* SPDX-License-Identifier: Apache-2.0 */
/* cert.c - certificate parts over libcrypto's X509 API, used by authority.c (CA) and leaf.c. svid-keys. */
#include "agent/keys/cert.h"

#include <time.h>

#include "agent/base/limits.h"
#include "agent/ipc/lists.h"

#define SKI_BYTES 20 /* RFC 7093 2 (1): the leftmost 160 bits of a SHA-256 */

static int set_serial(X509 *cert, uint8_t raw[static CERT_SERIAL_BYTES])
{
	BIGNUM *number;
	int ok;

	if (RAND_bytes(raw, CERT_SERIAL_BYTES) != 1)
		return ossl_failed();
	/* Positive and always 16 bytes long, which leaves 126 random bits. */
	raw[0] = (raw[0] & 0x7f) | 0x40;
	number = BN_bin2bn(raw, CERT_SERIAL_BYTES, NULL);
	ok = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
	BN_free(number);
	return ok ? 0 : ossl_failed();
}

static int add_text(X509_NAME *name, int nid, struct slice text)
{
	return X509_NAME_add_entry_by_NID(name, nid, V_ASN1_PRINTABLESTRING, text.p, (int)text.len, -1, 0);
}

/* "O=svidd, serialNumber=<hex>": serialNumber keeps names apart without inviting anyone to match them as a host. */
static int set_subject(X509 *cert, struct slice unique)
{
	AUTO(buf) struct buf hex = BUF_INIT(64);
	X509_NAME *subject = X509_get_subject_name(cert);
	int err;

	buf_put_hex(&hex, unique);
	err = buf_ok(&hex);
	if (err)
		return err;
	if (add_text(subject, NID_organizationName, slice_str("svidd")) != 1 ||
	    add_text(subject, NID_serialNumber, buf_slice(&hex)) != 1)
		return ossl_failed();
	return 0;
}

static int add_key_id(X509 *cert)
{
	AUTO(ASN1_OCTET_STRING) ASN1_OCTET_STRING *id = ASN1_OCTET_STRING_new();
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len = 0;

	if (!id || X509_pubkey_digest(cert, EVP_sha256(), digest, &len) != 1 ||
	    ASN1_OCTET_STRING_set(id, digest, SKI_BYTES) != 1 ||
	    X509_add1_ext_i2d(cert, NID_subject_key_identifier, id, 0, X509V3_ADD_DEFAULT) != 1)
		return ossl_failed();
	return 0;
}

int cert_new(EVP_PKEY *key, const uint8_t *unique, int64_t not_before, int64_t not_after, X509 **ret_cert)
{
	AUTO(X509) X509 *cert = X509_new();
	uint8_t serial[CERT_SERIAL_BYTES];
	int err;

	if (!cert || X509_set_version(cert, X509_VERSION_3) != 1 ||
	    !ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)not_before) ||
	    !ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)not_after) || X509_set_pubkey(cert, key) != 1)
		return ossl_failed();
	err = set_serial(cert, serial);
	if (!err)
		err = set_subject(cert, slice_of(unique ? unique : serial, CERT_SERIAL_BYTES));
	if (!err)
		err = add_key_id(cert);
	if (err)
		return err;
	*ret_cert = take(&cert);
	return 0;
}

int cert_add_basic(X509 *cert, bool ca)
{
	AUTO(BASIC_CONSTRAINTS) BASIC_CONSTRAINTS *basic = BASIC_CONSTRAINTS_new();

	if (!basic)
		return ossl_failed();
	if (ca) {
		basic->ca = 0xff;
		basic->pathlen = ASN1_INTEGER_new();
		if (!basic->pathlen || ASN1_INTEGER_set(basic->pathlen, 0) != 1)
			return ossl_failed();
	}
	return X509_add1_ext_i2d(cert, NID_basic_constraints, basic, 1, X509V3_ADD_DEFAULT) == 1 ? 0
												 : ossl_failed();
}

int cert_add_usage(X509 *cert, unsigned int usage)
{
	AUTO(ASN1_BIT_STRING) ASN1_BIT_STRING *bits = ASN1_BIT_STRING_new();

	if (!bits)
		return ossl_failed();
	for (int i = 0; i < 9; i++)
		if (usage & 1u << i && ASN1_BIT_STRING_set_bit(bits, i, 1) != 1)
			return ossl_failed();
	return X509_add1_ext_i2d(cert, NID_key_usage, bits, 1, X509V3_ADD_DEFAULT) == 1 ? 0 : ossl_failed();
}

int cert_add_tls(X509 *cert)
{
	AUTO(EXTENDED_KEY_USAGE) EXTENDED_KEY_USAGE *usage = sk_ASN1_OBJECT_new_null();

	if (!usage || sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_server_auth)) <= 0 ||
	    sk_ASN1_OBJECT_push(usage, OBJ_nid2obj(NID_client_auth)) <= 0 ||
	    X509_add1_ext_i2d(cert, NID_ext_key_usage, usage, 0, X509V3_ADD_DEFAULT) != 1)
		return ossl_failed();
	return 0;
}

int cert_add_authority(X509 *cert, const X509 *issuer)
{
	AUTO(AUTHORITY_KEYID) AUTHORITY_KEYID *id = AUTHORITY_KEYID_new();

	if (!id)
		return ossl_failed();
	/* Not X509_get0_subject_key_id(): its cache would freeze a certificate that is still being built. */
	id->keyid = X509_get_ext_d2i(issuer, NID_subject_key_identifier, NULL, NULL);
	if (!id->keyid || X509_add1_ext_i2d(cert, NID_authority_key_identifier, id, 0, X509V3_ADD_DEFAULT) != 1)
		return ossl_failed();
	return 0;
}

static int push_name(GENERAL_NAMES *names, int kind, struct slice text)
{
	AUTO(GENERAL_NAME) GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *value = ASN1_IA5STRING_new();

	if (!name || !value || ASN1_STRING_set(value, text.p, (int)text.len) != 1) {
		ASN1_IA5STRING_free(value);
		return ossl_failed();
	}
	GENERAL_NAME_set0_value(name, kind, value);
	if (sk_GENERAL_NAME_push(names, name) <= 0)
		return ossl_failed();
	(void)take(&name);
	return 0;
}

/* RFC 1123 2.1 letters, digits and hyphens. */
static bool is_label(struct slice s)
{
	if (!s.len || s.len > 63 || s.p[0] == '-' || s.p[s.len - 1] == '-')
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return true;
}

/* RFC 5280 4.2.1.6: labels, the first may be "*". Checked again here, right before it is signed. */
static int check_dns_name(struct slice name)
{
	struct slice rest = name;

	if (!name.len || name.len > LIM_DNS_NAME)
		return -ERR_FORMAT;
	if (slice_starts(rest, slice_str("*.")))
		(void)slice_get_bytes(&rest, 2);
	for (;;) {
		size_t n = 0;

		while (n < rest.len && rest.p[n] != '.')
			n++;
		if (!is_label(slice_get_bytes(&rest, n)))
			return -ERR_FORMAT;
		if (!rest.len)
			return 0;
		(void)slice_get_u8(&rest);
	}
}

int cert_add_names(X509 *cert, struct slice uri, struct slice dns_names)
{
	AUTO(GENERAL_NAMES) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	int err = names ? push_name(names, GEN_URI, uri) : ossl_failed();

	for (int n = 0; !err && dns_names.len; n++) {
		struct slice name = list_get_str(&dns_names, LIM_DNS_NAME);

		err = slice_ok(&dns_names) && n < LIM_DNS_NAMES ? check_dns_name(name) : -ERR_FORMAT;
		if (!err)
			err = push_name(names, GEN_DNS, name);
	}
	if (err)
		return err;
	/* X509-SVID 3.1: critical only when the subject is left out, and cert_new() gives one. */
	return X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1 ? 0
												: ossl_failed();
}

int cert_sign(X509 *cert, EVP_PKEY *key)
{
	const EVP_MD *digest = EVP_PKEY_get_bits(key) == 384 ? EVP_sha384() : EVP_sha256();

	return X509_sign(cert, key, digest) > 0 ? 0 : ossl_failed();
}

int cert_put_der(X509 *cert, struct buf *out)
{
	int len = i2d_X509(cert, NULL);
	unsigned char *at;

	if (len <= 0)
		return ossl_failed();
	at = buf_reserve(out, (size_t)len);
	if (!at)
		return buf_ok(out);
	if (i2d_X509(cert, &at) != len)
		return ossl_failed();
	buf_added(out, (size_t)len);
	return 0;
}

static int time_of(const ASN1_TIME *t, int64_t *ret_s)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1)
		return ossl_failed();
	*ret_s = (int64_t)timegm(&tm);
	return 0;
}

int cert_times(const X509 *cert, int64_t *ret_not_before, int64_t *ret_not_after)
{
	int64_t before, after;
	int err = time_of(X509_get0_notBefore(cert), &before);

	if (!err)
		err = time_of(X509_get0_notAfter(cert), &after);
	if (err)
		return err;
	*ret_not_before = before;
	*ret_not_after = after;
	return 0;
}

int cert_serial(const X509 *cert, uint8_t ret_serial[static CERT_SERIAL_BYTES])
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	int n = number ? BN_bn2binpad(number, ret_serial, CERT_SERIAL_BYTES) : -1;

	BN_free(number);
	return n == CERT_SERIAL_BYTES ? 0 : ossl_failed();
}
