/* SPDX-License-Identifier: Apache-2.0 */
/* ossl.h - libcrypto's headers, which name a type like one of our error codes, and the scope cleanups of its objects. svid. */
#ifndef CLI_OSSL_H
#define CLI_OSSL_H

/* The type of that name is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

static inline void pkey_autoclean(EVP_PKEY **key)
{
	EVP_PKEY_free(*key);
}

/* Freed with its value wiped: it may be a private one. */
static inline void bignum_autoclean(BIGNUM **n)
{
	BN_clear_free(*n);
}

static inline void cert_autoclean(X509 **cert)
{
	X509_free(*cert);
}

static inline void bio_autoclean(BIO **b)
{
	BIO_free(*b);
}

#endif
