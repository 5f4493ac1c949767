/* SPDX-License-Identifier: Apache-2.0 */
/* root.c - roots of the trust domain: made by authority.c, read back for seal.c. svid-keys. */
#include "agent/keys/root.h"

#include "agent/base/limits.h"
#include "agent/keys/pkey.h"

#define FOR_EVER 253402300799 /* 99991231235959Z: no well-defined end, RFC 5280 4.1.2.5 */

/* X509-SVID 3.2: a signing certificate is an SVID of its own, "spiffe://td" without a path. */
static int put_own_id(struct buf *id, const char *trust_domain)
{
	buf_printf(id, "spiffe://%s", trust_domain);
	return buf_ok(id);
}

static int add_own_id(X509 *cert, const char *trust_domain)
{
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	int err = put_own_id(&id, trust_domain);

	return err ? err : cert_add_names(cert, buf_slice(&id), slice_of(NULL, 0));
}

/* A CA over @key: whom it speaks for is in its names. */
static int make_ca(X509 *cert, EVP_PKEY *key)
{
	int err;

	if (X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1)
		return ossl_failed();
	err = cert_add_basic(cert, true);
	if (!err) /* X509-SVID 4.3, appendix A: a signing certificate has no digitalSignature */
		err = cert_add_usage(cert, USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN);
	if (!err)
		err = cert_add_authority(cert, cert);
	return err ? err : cert_sign(cert, key);
}

int root_issue(const char *trust_domain, EVP_PKEY *key, int64_t now, int64_t not_after, X509 **ret_cert)
{
	AUTO(X509) X509 *cert = NULL;
	int err = cert_new(key, NULL, now - CERT_BACKDATE_S, not_after, &cert);

	if (!err)
		err = add_own_id(cert, trust_domain);
	if (!err)
		err = make_ca(cert, key);
	if (err)
		return err;
	*ret_cert = take(&cert);
	return 0;
}

/* For a bundle that is gone while its reader cannot be told "none": over SDS, Envoy keeps the last one. */
int root_of_nobody(int64_t now, struct buf *out)
{
	static const unsigned char name[] = "trusts nobody";
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(X509) X509 *cert = NULL;
	int err = pkey_generate(KEY_EC_P256, &key);

	if (!err)
		err = cert_new(key, NULL, now - CERT_BACKDATE_S, FOR_EVER, &cert);
	if (err)
		return err;
	if (X509_NAME_add_entry_by_NID(X509_get_subject_name(cert), NID_commonName, V_ASN1_PRINTABLESTRING, name,
				       sizeof(name) - 1, -1, 0) != 1)
		return ossl_failed();
	err = make_ca(cert, key);
	return err ? err : cert_put_der(cert, out);
}

/* The only URI SAN is the trust domain's own SPIFFE ID. */
static bool names_only(X509 *cert, const char *trust_domain)
{
	AUTO(GENERAL_NAMES) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	const GENERAL_NAME *name = sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0) : NULL;
	const ASN1_IA5STRING *uri = name && name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;

	return uri && !put_own_id(&id, trust_domain) &&
	       slice_eq(slice_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), buf_slice(&id));
}

int root_parse(const char *trust_domain, EVP_PKEY *key, struct slice der, X509 **ret_cert)
{
	const unsigned char *at = der.p;
	AUTO(X509) X509 *cert = d2i_X509(NULL, &at, (long)der.len);

	if (!cert || at != der.p + der.len || X509_check_private_key(cert, key) != 1 || X509_check_ca(cert) != 1 ||
	    X509_verify(cert, key) != 1 || !names_only(cert, trust_domain)) {
		ERR_clear_error();
		return -ERR_SEALED;
	}
	*ret_cert = take(&cert);
	return 0;
}
