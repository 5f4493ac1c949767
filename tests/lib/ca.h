/* SPDX-License-Identifier: Apache-2.0 */
/* ca.h - real certificates with keys of any type, for tests of what is read out of them. */
#ifndef TESTS_LIB_CA_H
#define TESTS_LIB_CA_H

#include "agent/base/buf.h"

/* OpenSSL has a type of this name, agent/base/err.h a number. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#undef ERR_STATE

/** ca_key() - "P-256", "P-384", "P-521", "RSA" or "ED25519"; owned by the caller (EVP_PKEY_free). */
EVP_PKEY *ca_key(const char *type);

/** ca_put() - append a certificate of @key, signed by itself, as DER. */
void ca_put(struct buf *b, EVP_PKEY *key);

/** ca_some() - the same of a new P-256 key. */
void ca_some(struct buf *b);

#endif
