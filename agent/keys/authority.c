/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.c - the root of the trust domain: made once, kept sealed (seal.c), signs leaves (leaf.c).
 * svid-keys.
 */
#include "agent/keys/authority.h"

#include <errno.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/keys/pkey.h"

void authority_free(struct authority *a)
{
	if (!a)
		return;
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
	mem_free(a->trust_domain);
	mem_free(a);
}

static int new_for(struct slice td, struct authority **ret_authority)
{
	struct authority *a;

	if (spiffe_td_why(td))
		return -ERR_SPIFFE_ID;
	a = mem_new(struct authority);
	if (!a)
		return -ENOMEM;
	a->trust_domain = slice_dup(td);
	if (!a->trust_domain) {
		authority_free(a);
		return -ENOMEM;
	}
	*ret_authority = a;
	return 0;
}

/* X509-SVID 3.2: a signing certificate is an SVID of its own, "spiffe://td" without a path. */
static int add_own_id(X509 *cert, const struct authority *a)
{
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	int err;

	buf_printf(&id, "spiffe://%s", a->trust_domain);
	err = buf_ok(&id);
	return err ? err : cert_add_names(cert, buf_slice(&id), slice_of(NULL, 0));
}

static int self_sign(struct authority *a, int64_t now, uint32_t ttl_s)
{
	AUTO(X509) X509 *cert = NULL;
	int err;

	err = cert_new(a->key, NULL, now - CERT_BACKDATE_S, now + ttl_s, &cert);
	if (err)
		return err;
	if (X509_set_issuer_name(cert, X509_get_subject_name(cert)) != 1)
		return ossl_failed();
	err = cert_add_basic(cert, true);
	if (!err) /* X509-SVID 4.3, appendix A: a signing certificate has no digitalSignature */
		err = cert_add_usage(cert, USAGE_KEY_CERT_SIGN | USAGE_CRL_SIGN);
	if (!err)
		err = cert_add_authority(cert, cert);
	if (!err)
		err = add_own_id(cert, a);
	if (!err)
		err = cert_sign(cert, a->key);
	if (err)
		return err;
	a->cert = take(&cert);
	return cert_times(a->cert, &a->not_before, &a->not_after);
}

int authority_create(struct slice td, enum key_type type, uint32_t ttl_s, int64_t now,
		     struct authority **ret_authority)
{
	AUTO(authority) struct authority *a = NULL;
	int err = new_for(td, &a);

	if (err)
		return err;
	if (!ttl_s || ttl_s > LIM_CA_TTL_S || pkey_is_slow(type))
		return -ERR_FORMAT;
	err = pkey_generate(type, &a->key);
	if (err)
		return err;
	err = self_sign(a, now, ttl_s);
	if (err)
		return err;
	a->last_signature = now;
	*ret_authority = take(&a);
	return 0;
}

/* The only URI SAN is the trust domain's own SPIFFE ID. */
static bool names_only(X509 *cert, const char *td)
{
	AUTO(GENERAL_NAMES) GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	AUTO(buf) struct buf id = BUF_INIT(LIM_SPIFFE_ID);
	const GENERAL_NAME *name = sk_GENERAL_NAME_num(names) == 1 ? sk_GENERAL_NAME_value(names, 0) : NULL;
	const ASN1_IA5STRING *uri = name && name->type == GEN_URI ? name->d.uniformResourceIdentifier : NULL;

	buf_printf(&id, "spiffe://%s", td);
	return uri && !buf_ok(&id) &&
	       slice_eq(slice_of(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri)), buf_slice(&id));
}

int authority_restore(struct slice td, EVP_PKEY *key, struct slice cert_der, int64_t last_signature,
		      struct authority **ret_authority)
{
	AUTO(EVP_PKEY) EVP_PKEY *owned = key;
	AUTO(authority) struct authority *a = NULL;
	const unsigned char *at = cert_der.p;
	int err = new_for(td, &a);

	if (err)
		return err;
	a->key = take(&owned);
	a->cert = d2i_X509(NULL, &at, (long)cert_der.len);
	if (!a->cert || at != cert_der.p + cert_der.len || X509_check_private_key(a->cert, a->key) != 1 ||
	    X509_check_ca(a->cert) != 1 || X509_verify(a->cert, a->key) != 1 ||
	    !names_only(a->cert, a->trust_domain)) {
		ERR_clear_error();
		return -ERR_SEALED;
	}
	err = cert_times(a->cert, &a->not_before, &a->not_after);
	if (err)
		return err;
	a->last_signature = last_signature;
	*ret_authority = take(&a);
	return 0;
}

int authority_may_sign(const struct authority *a, int64_t now)
{
	/* A clock set back would make certificates that live longer than anybody decided (DESIGN.md 5). */
	if (now < a->last_signature - AUTHORITY_CLOCK_SLACK_S)
		return -ERR_CLOCK;
	return now >= a->not_after ? -ERR_EXPIRED : 0;
}

void authority_signed(struct authority *a, int64_t now)
{
	if (now > a->last_signature)
		a->last_signature = now;
}
