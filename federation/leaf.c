/* SPDX-License-Identifier: Apache-2.0 */
/* leaf.c - reads a certificate that svid-keys made. The only file of svid-cloud that calls libcrypto; no key is here. */
#include "federation/leaf.h"

#include <errno.h>

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#undef ERR_STATE

#include "agent/base/err.h"

/* A SEQUENCE with a definite length of at most three bytes: what certificates are. */
int leaf_first(struct slice *chain, struct slice *ret_der)
{
	struct slice s = *chain;
	size_t head = 2, len = 0;

	if (slice_get_u8(&s) != 0x30)
		return -ERR_FORMAT;
	len = slice_get_u8(&s);
	if (len > 0x80 && len <= 0x83) {
		size_t n = len & 0x7f;

		head += n;
		for (len = 0; n; n--)
			len = len << 8 | slice_get_u8(&s);
	}
	if (!slice_ok(&s) || len >= 0x1000000 || head + len > chain->len)
		return -ERR_FORMAT;
	*ret_der = slice_get_bytes(chain, head + len);
	return 0;
}

static int read_serial(const X509 *cert, struct leaf *leaf)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *text = n ? BN_bn2dec(n) : NULL;
	size_t len = text ? strlen(text) : sizeof(leaf->serial);
	int err = !text ? -ENOMEM : len < sizeof(leaf->serial) ? 0 : -ERR_FORMAT;

	if (!err)
		memcpy(leaf->serial, text, len + 1);
	OPENSSL_free(text);
	BN_free(n);
	return err;
}

int leaf_read(struct slice der, struct leaf *ret_leaf)
{
	const unsigned char *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	struct leaf leaf = { .rsa = false };
	int kind = cert ? EVP_PKEY_get_base_id(X509_get0_pubkey(cert)) : EVP_PKEY_NONE;
	int err = kind == EVP_PKEY_RSA || kind == EVP_PKEY_EC ? read_serial(cert, &leaf) : -ERR_FORMAT;

	leaf.rsa = kind == EVP_PKEY_RSA;
	X509_free(cert);
	ERR_clear_error();
	if (!err)
		*ret_leaf = leaf;
	return err;
}

int leaf_hash(struct slice bytes, uint8_t ret_hash[static LEAF_HASH_BYTES])
{
	if (EVP_Digest(bytes.p, bytes.len, ret_hash, NULL, EVP_sha256(), NULL) == 1)
		return 0;
	ERR_clear_error();
	return -ERR_CRYPTO;
}
