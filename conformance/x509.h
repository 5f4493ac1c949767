/* SPDX-License-Identifier: Apache-2.0 */
/* x509.h - certificates and keys of an answer, parsed by libcrypto, and the few facts tests ask of them. svid-conformance. */
#ifndef CONFORMANCE_X509_H
#define CONFORMANCE_X509_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "agent/base/slice.h"

enum { CHAIN_MAX = 64 };

/* Concatenated DER certificates, parsed. */
struct certs {
	X509 *at[CHAIN_MAX];
	size_t n;
};

/** certs_parse() - all certificates of @der. Errors: -EPROTO (not DER, bytes left over, none, too many). */
MUST int certs_parse(struct slice der, struct certs *ret);

/** certs_done() - release; a zeroed struct is fine. */
void certs_done(struct certs *c);

static inline void certs_autoclean(struct certs *c)
{
	certs_done(c);
}

/** key_parse() - unencrypted PKCS#8 DER, nothing else. Owned by the caller; NULL when it is not that. */
EVP_PKEY *key_parse(struct slice der);

/** cert_uri() - URI SANs of a certificate: how many, and the first one (borrowed from *ret_names). */
size_t cert_uri(X509 *cert, GENERAL_NAMES **ret_names, struct slice *ret_first);

/** cert_critical() - 1 when the extension is critical, 0 when not, -1 when there is none. */
int cert_critical(X509 *cert, int nid);

/** cert_usage() - key usage bits (KU_*); 0 when the extension is missing. */
uint32_t cert_usage(X509 *cert);

/** cert_verifies() - whether the chain leads from @chain->at[0] to one of @roots, at this moment. */
bool cert_verifies(const struct certs *chain, const struct certs *roots, const char **ret_why);

#endif
