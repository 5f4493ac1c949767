/* SPDX-License-Identifier: Apache-2.0 */
/* jwk.c - RSA and EC keys as JSON Web Keys and their thumbprints. svid-keys; used by signer.c, authority.c, wit.c. */
#include "agent/keys/jwk.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/limits.h"

#define MAX_TEXT 4096

/* @width 0: as many bytes as the number has (RFC 7518 2, Base64urlUInt); else padded to that many. */
static int put_number(struct buf *out, EVP_PKEY *key, const char *param, int width)
{
	AUTO(buf) struct buf raw = BUF_INIT_SECRET(LIM_KEY_DER);
	AUTO(BIGNUM) BIGNUM *number = NULL;
	uint8_t *to;
	int n;

	if (EVP_PKEY_get_bn_param(key, param, &number) != 1)
		return ossl_failed();
	n = width ? width : BN_num_bytes(number);
	to = buf_reserve(&raw, (size_t)n);
	if (!to)
		return buf_ok(&raw);
	if (BN_bn2binpad(number, to, n) != n)
		return ossl_failed();
	buf_added(&raw, (size_t)n);
	base64_put(out, buf_slice(&raw), BASE64_URL);
	return buf_ok(out);
}

static int put_member(struct buf *out, EVP_PKEY *key, const char *name, const char *param, int width)
{
	int err;

	buf_printf(out, "\"%s\":\"", name);
	err = put_number(out, key, param, width);
	buf_put_str(out, "\"");
	return err;
}

/* The members of RFC 7638 3.2 in their order, which is as good as any other for a key set too. */
static int put_public(struct buf *out, EVP_PKEY *key)
{
	int width = (EVP_PKEY_get_bits(key) + 7) / 8, err;

	if (EVP_PKEY_is_a(key, "RSA")) {
		err = put_member(out, key, "e", OSSL_PKEY_PARAM_RSA_E, 0);
		buf_put_str(out, ",\"kty\":\"RSA\",");
		return err ? err : put_member(out, key, "n", OSSL_PKEY_PARAM_RSA_N, 0);
	}
	buf_printf(out, "\"crv\":\"P-%d\",\"kty\":\"EC\",", EVP_PKEY_get_bits(key));
	err = put_member(out, key, "x", OSSL_PKEY_PARAM_EC_PUB_X, width);
	buf_put_str(out, ",");
	return err ? err : put_member(out, key, "y", OSSL_PKEY_PARAM_EC_PUB_Y, width);
}

int jwk_kid(EVP_PKEY *key, char ret_kid[static JWK_KID_BYTES + 1])
{
	AUTO(buf) struct buf json = BUF_INIT(MAX_TEXT);
	AUTO(buf) struct buf text = BUF_INIT(JWK_KID_BYTES);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int len;
	int err;

	buf_put_str(&json, "{");
	err = put_public(&json, key);
	buf_put_str(&json, "}");
	if (!err)
		err = buf_ok(&json);
	if (err)
		return err;
	if (EVP_Digest(json.data, json.len, digest, &len, EVP_sha256(), NULL) != 1)
		return ossl_failed();
	base64_put(&text, slice_of(digest, len), BASE64_URL);
	err = buf_ok(&text);
	if (err)
		return err;
	memcpy(ret_kid, text.data, JWK_KID_BYTES);
	ret_kid[JWK_KID_BYTES] = 0;
	return 0;
}

static void put_head(struct buf *out, const char *kid, const char *use, enum jwt_alg alg)
{
	buf_printf(out, "{\"alg\":\"%s\",", jwt_alg_name(alg));
	if (kid)
		buf_printf(out, "\"kid\":\"%s\",", kid);
	if (use)
		buf_printf(out, "\"use\":\"%s\",", use);
}

int jwk_put(struct buf *out, EVP_PKEY *key, const char *kid, const char *use, enum jwt_alg alg)
{
	int err;

	put_head(out, kid, use, alg);
	err = put_public(out, key);
	buf_put_str(out, "}");
	return err ? err : buf_ok(out);
}

int jwk_private(EVP_PKEY *key, enum jwt_alg alg, struct secbytes *ret_json)
{
	AUTO(buf) struct buf json = BUF_INIT_SECRET(MAX_TEXT);
	AUTO(secbytes) struct secbytes out = { 0 };
	int err;

	if (!EVP_PKEY_is_a(key, "EC"))
		return -ERR_CRYPTO;
	put_head(&json, NULL, NULL, alg);
	err = put_public(&json, key);
	buf_put_str(&json, ",");
	if (!err)
		err = put_member(&json, key, "d", OSSL_PKEY_PARAM_PRIV_KEY, (EVP_PKEY_get_bits(key) + 7) / 8);
	buf_put_str(&json, "}");
	if (!err)
		err = buf_ok(&json);
	if (!err)
		err = secbytes_new(json.len, &out);
	if (err)
		return err;
	memcpy(out.p, json.data, json.len);
	*ret_json = out;
	out = (struct secbytes){ 0 };
	return 0;
}
