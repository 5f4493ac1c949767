// SPDX-License-Identifier: Apache-2.0
/* jose.c - the issuer's side of JWT-SVIDs with libcrypto alone, so that tests do not check our code with itself. Tests only. */
#include "tests/lib/jose.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "agent/base/base64.h"

#define MAX_FIELD 66

static const struct {
	const EVP_MD *(*digest)(void);
	const char *curve, *name; /* NULL: RSA */
	size_t bytes;
} algs[JWT_ALG_COUNT] = {
	[JWT_RS256] = { EVP_sha256, NULL, NULL, 0 }, [JWT_RS384] = { EVP_sha384, NULL, NULL, 0 },
	[JWT_RS512] = { EVP_sha512, NULL, NULL, 0 }, [JWT_PS256] = { EVP_sha256, NULL, NULL, 0 },
	[JWT_PS384] = { EVP_sha384, NULL, NULL, 0 }, [JWT_PS512] = { EVP_sha512, NULL, NULL, 0 },
	[JWT_ES256] = { EVP_sha256, "prime256v1", "P-256", 32 },
	[JWT_ES384] = { EVP_sha384, "secp384r1", "P-384", 48 },
	[JWT_ES512] = { EVP_sha512, "secp521r1", "P-521", 66 },
};

void jose_input(struct buf *b, const char *header, const char *claims)
{
	base64_put(b, slice_str(header), BASE64_URL);
	buf_put_u8(b, '.');
	base64_put(b, slice_str(claims), BASE64_URL);
}

void jose_token(struct buf *b, const char *header, const char *claims, struct slice sig)
{
	jose_input(b, header, claims);
	buf_put_u8(b, '.');
	base64_put(b, sig, BASE64_URL);
	assert_int_equal(buf_ok(b), 0);
}

EVP_PKEY *jose_key(uint32_t alg)
{
	EVP_PKEY *key = algs[alg].curve ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", algs[alg].curve) :
					  EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);

	assert_non_null(key);
	return key;
}

void jose_key_free(EVP_PKEY *key)
{
	EVP_PKEY_free(key);
}

/* JOSE wants both halves as long as the field. */
static size_t raw_of(const uint8_t *der, size_t len, size_t bytes, uint8_t *raw)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);

	assert_non_null(pair);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_r(pair), raw, (int)bytes) > 0);
	assert_true(BN_bn2binpad(ECDSA_SIG_get0_s(pair), raw + bytes, (int)bytes) > 0);
	ECDSA_SIG_free(pair);
	return 2 * bytes;
}

static bool is_pss(uint32_t alg)
{
	return alg == JWT_PS256 || alg == JWT_PS384 || alg == JWT_PS512;
}

void jose_signed(struct buf *b, const char *header, const char *claims, EVP_PKEY *key, uint32_t alg)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;
	uint8_t sig[1024], raw[2 * MAX_FIELD];
	size_t len = sizeof(sig), start = b->len;

	jose_input(b, header, claims);
	assert_int_equal(EVP_DigestSignInit(ctx, &how, algs[alg].digest(), NULL, key), 1);
	if (is_pss(alg)) {
		assert_true(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) > 0);
		assert_true(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) > 0);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, b->data + start, b->len - start), 1);
	EVP_MD_CTX_free(ctx);
	buf_put_u8(b, '.');
	if (algs[alg].curve)
		base64_put(b, slice_of(raw, raw_of(sig, len, algs[alg].bytes, raw)), BASE64_URL);
	else
		base64_put(b, slice_of(sig, len), BASE64_URL);
	assert_int_equal(buf_ok(b), 0);
}

/* @bytes: as long as the field, or 0: as short as it gets. */
static void put_number(struct buf *b, EVP_PKEY *key, const char *param, const char *member, size_t bytes)
{
	uint8_t raw[1024];
	BIGNUM *n = NULL;
	int len;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &n), 1);
	len = bytes ? BN_bn2binpad(n, raw, (int)bytes) : BN_bn2bin(n, raw);
	BN_free(n);
	assert_true(len > 0);
	buf_printf(b, ",\"%s\":\"", member);
	base64_put(b, slice_of(raw, (size_t)len), BASE64_URL);
	buf_put_u8(b, '"');
}

static uint32_t ec_alg_of(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	return bits == 256 ? JWT_ES256 : bits == 384 ? JWT_ES384 : JWT_ES512;
}

void jose_jwk(struct buf *b, EVP_PKEY *key, const char *more)
{
	if (EVP_PKEY_is_a(key, "RSA")) {
		buf_put_str(b, "{\"kty\":\"RSA\"");
		put_number(b, key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
		put_number(b, key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
	} else {
		uint32_t alg = ec_alg_of(key);

		buf_printf(b, "{\"kty\":\"EC\",\"crv\":\"%s\"", algs[alg].name);
		put_number(b, key, OSSL_PKEY_PARAM_EC_PUB_X, "x", algs[alg].bytes);
		put_number(b, key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", algs[alg].bytes);
	}
	buf_put_str(b, more);
	buf_put_u8(b, '}');
	assert_int_equal(buf_ok(b), 0);
}
