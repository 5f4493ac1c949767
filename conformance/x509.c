/* SPDX-License-Identifier: Apache-2.0 */
/* x509.c - libcrypto seen through the questions that X509-SVID.md asks. svid-conformance; asked by leaf.c. */
#include "conformance/x509.h"

#include <errno.h>

int certs_parse(struct slice der, struct certs *ret)
{
	const unsigned char *p = der.p;
	const unsigned char *end = der.p + der.len;

	*ret = (struct certs){ 0 };
	while (p < end && ret->n < CHAIN_MAX) {
		X509 *cert = d2i_X509(NULL, &p, end - p);

		if (!cert)
			break;
		ret->at[ret->n++] = cert;
	}
	if (p == end && ret->n > 0)
		return 0;
	certs_done(ret);
	return -EPROTO;
}

void certs_done(struct certs *c)
{
	for (size_t i = 0; i < c->n; i++)
		X509_free(c->at[i]);
	c->n = 0;
}

EVP_PKEY *key_parse(struct slice der)
{
	const unsigned char *p = der.p;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)der.len);
	EVP_PKEY *key = info && p == der.p + der.len ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

size_t cert_uri(X509 *cert, GENERAL_NAMES **ret_names, struct slice *ret_first)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	*ret_first = slice_of(NULL, 0);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type != GEN_URI)
			continue;
		if (n++ == 0)
			*ret_first = slice_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
					      (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
	}
	*ret_names = names;
	return n;
}

int cert_critical(X509 *cert, int nid)
{
	int at = X509_get_ext_by_NID(cert, nid, -1);

	return at < 0 ? -1 : X509_EXTENSION_get_critical(X509_get_ext(cert, at));
}

uint32_t cert_usage(X509 *cert)
{
	return X509_get_ext_by_NID(cert, NID_key_usage, -1) < 0 ? 0 : X509_get_key_usage(cert);
}

bool cert_verifies(const struct certs *chain, const struct certs *roots, const char **ret_why)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *others = sk_X509_new_null();

	if (!store || !ctx || !others)
		abort();
	for (size_t i = 0; i < roots->n; i++)
		X509_STORE_add_cert(store, roots->at[i]);
	for (size_t i = 1; i < chain->n; i++)
		sk_X509_push(others, chain->at[i]);
	bool ok = X509_STORE_CTX_init(ctx, store, chain->at[0], others) == 1 && X509_verify_cert(ctx) == 1;

	*ret_why = X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	sk_X509_free(others);
	return ok;
}
