/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.c - X.509-SVIDs of workloads, signed by the embedded authority. svid-keys; called by issue.c. */
#include "agent/keys/leaf.h"

#include "agent/base/limits.h"

static int check(const struct authority *a, const struct leaf_spec *spec, int64_t now, const struct signer **ret_signer)
{
	int err = authority_signer(a, SIGN_CA, now, ret_signer);

	if (!err) /* X509-SVID 3.1: a leaf is of this trust domain and has a path that is not root */
		err = authority_check_id(a, spec->spiffe_id);
	if (err)
		return err;
	return spec->ttl_s && spec->ttl_s <= LIM_SVID_TTL_S ? 0 : -ERR_FORMAT;
}

static unsigned int usage_of(EVP_PKEY *key)
{
	/* X509-SVID 4.3: digitalSignature always; keyEncipherment means something for RSA only. */
	return EVP_PKEY_is_a(key, "RSA") ? USAGE_DIGITAL_SIGNATURE | USAGE_KEY_ENCIPHERMENT
					 : USAGE_DIGITAL_SIGNATURE;
}

/*
 * The subject carries a digest of the SPIFFE ID: not empty, because some consumers refuse or merge
 * empty names (AWS Roles Anywhere keys sessions by it), and different for each identity, because people
 * do write rules on subjects. Nothing in it looks like a host name.
 */
static int digest_of(struct slice id, uint8_t out[static EVP_MAX_MD_SIZE])
{
	return EVP_Digest(id.p, id.len, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : ossl_failed();
}

static int build(const struct signer *ca, const struct leaf_spec *spec, EVP_PKEY *key, int64_t now,
		 X509 **ret_cert)
{
	int64_t end = now + spec->ttl_s < ca->not_after ? now + spec->ttl_s : ca->not_after;
	AUTO(X509) X509 *cert = NULL;
	uint8_t digest[EVP_MAX_MD_SIZE];
	int err = digest_of(spec->spiffe_id, digest);

	if (!err)
		err = cert_new(key, digest, now - CERT_BACKDATE_S, end, &cert);
	if (err)
		return err;
	if (X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) != 1)
		return ossl_failed();
	err = cert_add_basic(cert, false); /* X509-SVID 4.1; rust and python refuse a leaf without it */
	if (!err)
		err = cert_add_usage(cert, usage_of(key));
	if (!err)
		err = cert_add_tls(cert); /* X509-SVID 4.4 */
	if (!err)
		err = cert_add_authority(cert, ca->cert);
	if (!err)
		err = cert_add_names(cert, spec->spiffe_id, spec->dns_names); /* X509-SVID 2 */
	if (!err)
		err = cert_sign(cert, ca->key);
	if (err)
		return err;
	*ret_cert = take(&cert);
	return 0;
}

int leaf_issue(struct authority *a, const struct leaf_spec *spec, EVP_PKEY *key, int64_t now,
	       struct buf *ret_chain, struct leaf *ret_leaf)
{
	AUTO(X509) X509 *cert = NULL;
	const struct signer *ca;
	struct leaf leaf;
	int err = check(a, spec, now, &ca);

	if (!err)
		err = build(ca, spec, key, now, &cert);
	if (!err)
		err = cert_times(cert, &leaf.not_before, &leaf.not_after);
	if (!err)
		err = cert_serial(cert, leaf.serial);
	if (!err)
		err = cert_put_der(cert, ret_chain);
	if (err)
		return err;
	authority_signed(a, now);
	*ret_leaf = leaf;
	return 0;
}
