/* SPDX-License-Identifier: Apache-2.0 */
/* certs.h - certificates of any shape, good and bad, for tests of their readers. */
#ifndef TESTS_LIB_CERTS_H
#define TESTS_LIB_CERTS_H

#include "agent/base/buf.h"
#include "agent/cli/ossl.h"

/* A certificate as OpenSSL's configuration syntax says it. NULL: extension left out. */
struct cert_form {
	const char *san, *basic, *usage, *extended;
	int64_t from, to; /* relative to now */
};

/** cert_make() - a certificate of @key with serial 4711, signed by @ca_key; @ca NULL: self-issued. Owned by the caller. */
X509 *cert_make(const struct cert_form *f, int64_t now, EVP_PKEY *key, const char *name, X509 *ca, EVP_PKEY *ca_key);

/** cert_put() - append @cert as DER. */
void cert_put(struct buf *out, X509 *cert);

#endif
