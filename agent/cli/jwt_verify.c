// SPDX-License-Identifier: Apache-2.0
/* jwt_verify.c - a token's signature against a JWK Set, with libcrypto. svid; jwt.c reads the rest. */
#include "agent/base/base64.h"
#include "agent/base/limits.h"
#include "agent/cli/jwk.h"
#include "agent/cli/jwt.h"

#define SIGNATURE_MAX 1024 /* bytes: RSA of 8192 bits */

static const struct alg {
	const char *name, *digest;
	size_t half; /* EC: bytes of one of the two numbers; 0: RSA */
	bool pss;
} algs[] = {
	{ "RS256", "SHA256", 0, false },  { "RS384", "SHA384", 0, false },  { "RS512", "SHA512", 0, false },
	{ "ES256", "SHA256", 32, false }, { "ES384", "SHA384", 48, false }, { "ES512", "SHA512", 66, false },
	{ "PS256", "SHA256", 0, true },	  { "PS384", "SHA384", 0, true },   { "PS512", "SHA512", 0, true },
};

static const struct alg *alg_of(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(algs); i++)
		if (strcmp(name, algs[i].name) == 0)
			return &algs[i];
	return NULL;
}

/* JOSE has both numbers one behind the other, libcrypto wants them in DER. */
static int to_der(struct buf *signature, size_t half)
{
	ECDSA_SIG *both = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(signature->data, (int)half, NULL), *s = BN_bin2bn(signature->data + half, (int)half, NULL);
	unsigned char *der = NULL;
	int len;

	if (!both || !r || !s || ECDSA_SIG_set0(both, r, s) != 1) {
		BN_free(r);
		BN_free(s);
		ECDSA_SIG_free(both);
		return -ERR_FORMAT;
	}
	len = i2d_ECDSA_SIG(both, &der);
	buf_reset(signature);
	if (len > 0)
		buf_put(signature, der, (size_t)len);
	OPENSSL_free(der);
	ECDSA_SIG_free(both);
	return len > 0 ? buf_ok(signature) : -ERR_FORMAT;
}

static bool verify(const struct alg *a, EVP_PKEY *key, struct slice input, struct slice signature)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how = NULL; /* belongs to ctx */
	bool good = ctx && EVP_DigestVerifyInit_ex(ctx, &how, a->digest, NULL, NULL, key, NULL) == 1;

	if (good && a->pss)
		good = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1;
	good = good && EVP_DigestVerify(ctx, signature.p, signature.len, input.p, input.len) == 1;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

static const char *check_with(const struct alg *a, const json_t *jwk, struct slice input, struct slice text)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	AUTO(buf) struct buf signature = BUF_INIT(SIGNATURE_MAX);
	const char *why = NULL;

	if (jwk_key(jwk, false, &key, &why))
		return why ? why : "memory is out";
	if (!!a->half != EVP_PKEY_is_a(key, "EC"))
		return "alg does not fit the key of its kid";
	if (base64_get(&signature, text, BASE64_URL) || (a->half && signature.len != 2 * a->half) ||
	    (a->half && to_der(&signature, a->half)))
		return "the signature is malformed";
	return verify(a, key, input, buf_slice(&signature)) ? NULL : "the signature does not verify with the key of its kid";
}

const char *jwt_signature_why(struct slice token, const json_t *header, struct slice jwks)
{
	const struct alg *a = alg_of(json_string_value(json_object_get(header, "alg")));
	const char *kid = json_string_value(json_object_get(header, "kid"));
	json_t *root = json_loadb((const char *)jwks.p, jwks.len, JSON_REJECT_DUPLICATES, NULL);
	const uint8_t *dot = token.len ? memrchr(token.p, '.', token.len) : NULL;
	const char *why = "its kid is that of no key in the bundle of its trust domain";
	struct slice input;
	const json_t *jwk;
	size_t i;

	if (!a || !kid || !dot) {
		json_decref(root);
		return "its signature cannot be checked";
	}
	input = slice_get_bytes(&token, (size_t)(dot - token.p));
	(void)slice_get_u8(&token);
	json_array_foreach(json_object_get(root, "keys"), i, jwk) {
		const char *own = json_string_value(json_object_get(jwk, "kid"));

		if (own && strcmp(own, kid) == 0)
			why = check_with(a, jwk, input, token);
	}
	json_decref(root);
	return why;
}
