// SPDX-License-Identifier: Apache-2.0
/* ca.c - see ca.h. Tests only. */
#include "tests/lib/ca.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

EVP_PKEY *ca_key(const char *type)
{
	EVP_PKEY *key;

	if (slice_eq_str(slice_str(type), "RSA"))
		key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	else if (slice_eq_str(slice_str(type), "ED25519"))
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", type);
	assert_non_null(key);
	return key;
}

void ca_put(struct buf *b, EVP_PKEY *key)
{
	X509 *x = X509_new();
	uint8_t *der = NULL;
	int len;

	assert_non_null(x);
	assert_int_equal(X509_set_version(x, 2), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 4711), 1);
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(x), -60));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(x), 3600));
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_PKEY_get_id(key) == EVP_PKEY_ED25519 ? NULL : EVP_sha256()) > 0);
	len = i2d_X509(x, &der);
	assert_true(len > 0);
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
	X509_free(x);
}

void ca_some(struct buf *b)
{
	EVP_PKEY *key = ca_key("P-256");

	ca_put(b, key);
	EVP_PKEY_free(key);
}
