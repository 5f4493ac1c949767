// SPDX-License-Identifier: Apache-2.0
/* jwk.c - JWKs and libcrypto; sizes are checked before any arithmetic is done with them. svid. */
#include "agent/cli/jwk.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/limits.h"
#include "agent/ipc/plan.h"

#define NUMBER_MAX 1024 /* bytes of one number: RSA of 8192 bits */
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192

static const struct curve {
	const char *jose, *ossl;
	size_t bytes;
} curves[] = { { "P-256", "prime256v1", 32 }, { "P-384", "secp384r1", 48 }, { "P-521", "secp521r1", 66 } };

static struct slice text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return slice_of(json_string_value(v), json_string_length(v));
}

bool jwk_is_known(const json_t *jwk)
{
	struct slice kty = text_of(jwk, "kty");

	return slice_eq_str(kty, "RSA") || slice_eq_str(kty, "EC");
}

bool jwk_is_private(const json_t *jwk)
{
	static const char *const members[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		if (json_object_get(jwk, members[i]))
			return true;
	return false;
}

bool jwt_alg_known(const char *name)
{
	for (unsigned int i = JWT_NONE + 1; name && i < JWT_ALG_COUNT; i++)
		if (strcmp(name, jwt_alg_name(i)) == 0)
			return true;
	return false;
}

/* A number of @bytes bytes, or of any length up to NUMBER_MAX when that is 0. */
static int get_number(const json_t *jwk, const char *name, size_t bytes, BIGNUM **ret_number)
{
	AUTO(buf) struct buf raw = BUF_INIT_SECRET(NUMBER_MAX);
	int err = base64_get(&raw, text_of(jwk, name), BASE64_URL);
	BIGNUM *n;

	if (err)
		return err == -ENOMEM ? err : -ERR_FORMAT;
	if (!raw.len || (bytes && raw.len != bytes))
		return -ERR_FORMAT;
	n = BN_secure_new();
	if (!n || !BN_bin2bn(raw.data, (int)raw.len, n)) {
		BN_clear_free(n);
		return -ENOMEM;
	}
	*ret_number = n;
	return 0;
}

static int make(const char *type, OSSL_PARAM_BLD *build, int selection, EVP_PKEY **ret_key)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	int err = params && ctx ? 0 : -ENOMEM;

	if (!err && (EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, ret_key, selection, params) != 1))
		err = -ERR_FORMAT;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return err;
}

static int rsa_key(const json_t *jwk, bool private_too, EVP_PKEY **ret_key)
{
	AUTO(bignum) BIGNUM *n = NULL;
	AUTO(bignum) BIGNUM *e = NULL;
	AUTO(bignum) BIGNUM *d = NULL;
	OSSL_PARAM_BLD *build;
	int err = get_number(jwk, "n", 0, &n);

	if (!err)
		err = get_number(jwk, "e", 0, &e);
	if (!err && private_too)
		err = get_number(jwk, "d", 0, &d);
	if (err)
		return err;
	if (BN_num_bits(n) < RSA_BITS_MIN || BN_num_bits(n) > RSA_BITS_MAX || BN_num_bits(e) > LIM_RSA_E_BITS)
		return -ERR_FORMAT;
	build = OSSL_PARAM_BLD_new();
	err = build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
			      OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) &&
			      (!d || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, d)) ?
		      make("RSA", build, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key) :
		      -ENOMEM;
	OSSL_PARAM_BLD_free(build);
	return err;
}

static const struct curve *curve_of(struct slice name)
{
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
		if (slice_eq_str(name, curves[i].jose))
			return &curves[i];
	return NULL;
}

static int put_point(const json_t *jwk, const struct curve *c, struct buf *out)
{
	size_t before;
	int err;

	buf_put_u8(out, 4); /* uncompressed */
	before = out->len;
	err = base64_get(out, text_of(jwk, "x"), BASE64_URL);
	if (!err && out->len != before + c->bytes)
		err = -ERR_FORMAT;
	if (!err)
		err = base64_get(out, text_of(jwk, "y"), BASE64_URL);
	return err ? err : out->len == before + 2 * c->bytes ? 0 : -ERR_FORMAT;
}

static int ec_key(const json_t *jwk, bool private_too, EVP_PKEY **ret_key)
{
	AUTO(buf) struct buf point = BUF_INIT(NUMBER_MAX);
	const struct curve *c = curve_of(text_of(jwk, "crv"));
	AUTO(bignum) BIGNUM *d = NULL;
	OSSL_PARAM_BLD *build;
	int err = c ? put_point(jwk, c, &point) : -ERR_FORMAT;

	if (!err && private_too)
		err = get_number(jwk, "d", c->bytes, &d);
	if (err)
		return err == -ENOMEM ? err : -ERR_FORMAT;
	build = OSSL_PARAM_BLD_new();
	err = build && OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, c->ossl, 0) &&
			      OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) &&
			      (!d || OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, d)) ?
		      make("EC", build, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, ret_key) :
		      -ENOMEM;
	OSSL_PARAM_BLD_free(build);
	return err;
}

/* Whether the public part takes what the private part signs; libcrypto's own check of a pair wants p and q of RSA. */
static bool is_pair(EVP_PKEY *key)
{
	static const unsigned char text[] = "svid";
	unsigned char signature[NUMBER_MAX];
	size_t len = sizeof(signature);
	EVP_MD_CTX *sign = EVP_MD_CTX_new(), *verify = EVP_MD_CTX_new();
	bool good = sign && verify && EVP_DigestSignInit(sign, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestSign(sign, signature, &len, text, sizeof(text)) == 1 &&
		    EVP_DigestVerifyInit(verify, NULL, EVP_sha256(), NULL, key) == 1 &&
		    EVP_DigestVerify(verify, signature, len, text, sizeof(text)) == 1;

	EVP_MD_CTX_free(sign);
	EVP_MD_CTX_free(verify);
	return good;
}

static bool is_sound(EVP_PKEY *key, bool private_too)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool good = ctx && EVP_PKEY_public_check_quick(ctx) == 1 && (!private_too || is_pair(key));

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return good;
}

int jwk_key(const json_t *jwk, bool private_too, EVP_PKEY **ret_key, const char **ret_why)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	bool rsa = slice_eq_str(text_of(jwk, "kty"), "RSA");
	int err = -ERR_FORMAT;

	*ret_why = "its type is neither RSA nor EC";
	if (jwk_is_known(jwk)) {
		err = rsa ? rsa_key(jwk, private_too, &key) : ec_key(jwk, private_too, &key);
		*ret_why = rsa ? "its n, e (or d) are missing, malformed, or not of 2048 to 8192 bits" :
				 "its crv, x, y (or d) are missing, malformed, of the wrong length or not on the curve";
	}
	if (!err && !is_sound(key, private_too)) {
		err = -ERR_FORMAT;
		*ret_why = private_too ? "its private part does not belong to its public one" : "it is not a sound public key";
	}
	if (err)
		return err;
	*ret_why = NULL;
	*ret_key = take(&key);
	return 0;
}

static const struct curve *curve_of_key(EVP_PKEY *key)
{
	char group[64] = "";

	(void)EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL);
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++)
		if (strcmp(group, curves[i].ossl) == 0)
			return &curves[i];
	return NULL;
}

const char *jwk_key_why(EVP_PKEY *key)
{
	if (!key)
		return "its public key cannot be read";
	if (EVP_PKEY_is_a(key, "EC"))
		return curve_of_key(key) ? NULL : "its key is on another curve than P-256, P-384 and P-521";
	if (!EVP_PKEY_is_a(key, "RSA"))
		return "its key is neither RSA nor EC";
	if (EVP_PKEY_get_bits(key) < RSA_BITS_MIN)
		return "its RSA key is shorter than 2048 bits";
	return EVP_PKEY_get_bits(key) > RSA_BITS_MAX ? "its RSA key is longer than 8192 bits" : NULL;
}

static int put_number(struct buf *out, EVP_PKEY *key, const char *param, const char *name, size_t bytes)
{
	AUTO(bignum) BIGNUM *n = NULL;
	uint8_t raw[NUMBER_MAX];

	if (EVP_PKEY_get_bn_param(key, param, &n) != 1)
		return -ERR_FORMAT;
	bytes = bytes ? bytes : (size_t)BN_num_bytes(n);
	if (bytes > sizeof(raw) || BN_bn2binpad(n, raw, (int)bytes) < 0)
		return -ERR_FORMAT;
	buf_printf(out, ", \"%s\": \"", name);
	base64_put(out, slice_of(raw, bytes), BASE64_URL);
	buf_put_str(out, "\"");
	return 0;
}

int jwk_put_public(struct buf *out, EVP_PKEY *key)
{
	const struct curve *c = curve_of_key(key);
	int err;

	if (jwk_key_why(key))
		return -ERR_FORMAT;
	if (c) {
		buf_printf(out, "\"kty\": \"EC\", \"crv\": \"%s\"", c->jose);
		err = put_number(out, key, OSSL_PKEY_PARAM_EC_PUB_X, "x", c->bytes);
		if (!err)
			err = put_number(out, key, OSSL_PKEY_PARAM_EC_PUB_Y, "y", c->bytes);
	} else {
		buf_put_str(out, "\"kty\": \"RSA\"");
		err = put_number(out, key, OSSL_PKEY_PARAM_RSA_N, "n", 0);
		if (!err)
			err = put_number(out, key, OSSL_PKEY_PARAM_RSA_E, "e", 0);
	}
	ERR_clear_error();
	return err ? err : buf_ok(out);
}
