/* SPDX-License-Identifier: Apache-2.0 */
/* ossl.h - scope cleanup for libcrypto's objects, and one way to turn its failures into ours. svid-keys. */
#ifndef KEYS_OSSL_H
#define KEYS_OSSL_H

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/param_build.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "agent/base/err.h"

#define OSSL_AUTO(type)                                  \
	static inline void type##_autoclean(type **p)    \
	{                                                \
		type##_free(*p);                         \
	}

OSSL_AUTO(EVP_PKEY)
OSSL_AUTO(EVP_PKEY_CTX)
OSSL_AUTO(EVP_CIPHER_CTX)
OSSL_AUTO(EVP_MD_CTX)
OSSL_AUTO(ECDSA_SIG)
OSSL_AUTO(OSSL_PARAM)
OSSL_AUTO(OSSL_PARAM_BLD)
OSSL_AUTO(X509)
OSSL_AUTO(X509_NAME)
OSSL_AUTO(PKCS8_PRIV_KEY_INFO)
OSSL_AUTO(BASIC_CONSTRAINTS)
OSSL_AUTO(ASN1_BIT_STRING)
OSSL_AUTO(ASN1_OCTET_STRING)
OSSL_AUTO(ASN1_INTEGER)
OSSL_AUTO(AUTHORITY_KEYID)
OSSL_AUTO(GENERAL_NAMES)
OSSL_AUTO(GENERAL_NAME)
OSSL_AUTO(EXTENDED_KEY_USAGE)

/* Some of the numbers are private, and wiping the others costs nothing. */
static inline void BIGNUM_autoclean(BIGNUM **p)
{
	BN_clear_free(*p);
}

/* The error queue is per thread and would grow: nobody here reads it. */
static inline int ossl_failed(void)
{
	ERR_clear_error();
	return -ERR_CRYPTO;
}

#endif
