/* SPDX-License-Identifier: Apache-2.0 */
/* jose.c - compact JWS by jansson and libcrypto. svid-conformance. */
#include "conformance/jose.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "agent/base/base64.h"

enum { TOKEN_MAX = 1 << 20, PARTS = 3 };

/* The nine, and how libcrypto says them. */
static const struct alg {
	const char *name, *digest;
	enum { ALG_RS, ALG_PS, ALG_ES } family;
	const char *curve;
	size_t half; /* ES: bytes of r and of s */
} algs[] = {
	{ "RS256", "SHA256", ALG_RS, NULL, 0 },	     { "RS384", "SHA384", ALG_RS, NULL, 0 },
	{ "RS512", "SHA512", ALG_RS, NULL, 0 },	     { "PS256", "SHA256", ALG_PS, NULL, 0 },
	{ "PS384", "SHA384", ALG_PS, NULL, 0 },	     { "PS512", "SHA512", ALG_PS, NULL, 0 },
	{ "ES256", "SHA256", ALG_ES, "prime256v1", 32 }, { "ES384", "SHA384", ALG_ES, "secp384r1", 48 },
	{ "ES512", "SHA512", ALG_ES, "secp521r1", 66 },
};

static const struct alg *find_alg(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(algs); i++) {
		if (strcmp(algs[i].name, name) == 0)
			return &algs[i];
	}
	return NULL;
}

bool alg_is_allowed(const char *alg)
{
	return find_alg(alg) != NULL;
}

json_t *json_of(struct slice text)
{
	json_t *j = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(j))
		return j;
	json_decref(j);
	return NULL;
}

static json_t *part_object(struct slice part)
{
	AUTO(buf) struct buf bytes = BUF_INIT(TOKEN_MAX);

	return base64_get(&bytes, part, BASE64_URL) ? NULL : json_of(buf_slice(&bytes));
}

/* Splits at dots: exactly three parts. */
static int split(struct slice text, struct slice *parts)
{
	size_t n = 0;

	for (const uint8_t *p = text.p, *end = text.p + text.len; n < PARTS; n++) {
		const uint8_t *dot = memchr(p, '.', (size_t)(end - p));

		if (!dot != (n == PARTS - 1))
			return -EPROTO;
		parts[n] = slice_of(p, (size_t)((dot ? dot : end) - p));
		p = dot ? dot + 1 : end;
	}
	return 0;
}

int token_parse(struct slice text, struct token *ret)
{
	struct slice parts[PARTS];

	*ret = (struct token){ .signature = BUF_INIT(TOKEN_MAX) };
	if (split(text, parts))
		return -EPROTO;
	ret->input = slice_of(text.p, parts[0].len + 1 + parts[1].len);
	ret->header = part_object(parts[0]);
	ret->claims = part_object(parts[1]);
	if (ret->header && ret->claims && !base64_get(&ret->signature, parts[2], BASE64_URL))
		return 0;
	token_done(ret);
	return -EPROTO;
}

void token_done(struct token *t)
{
	json_decref(t->header);
	json_decref(t->claims);
	t->header = t->claims = NULL;
	buf_done(&t->signature);
}

const char *token_text(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

/* A member that is a big-endian number in base64url; NULL when it is not. */
static BIGNUM *number(const json_t *jwk, const char *member)
{
	AUTO(buf) struct buf bytes = BUF_INIT(4096);
	const char *text = token_text(jwk, member);

	if (!text || base64_get(&bytes, slice_str(text), BASE64_URL) || !bytes.len)
		return NULL;
	return BN_bin2bn(bytes.data, (int)bytes.len, NULL);
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b, int selection)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY *key = NULL;

	if (!ctx || !params || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, selection, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
	BIGNUM *n = number(jwk, "n"), *e = number(jwk, "e");
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (b && n && e && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, n) &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, e))
		key = from_params("RSA", b, EVP_PKEY_PUBLIC_KEY);
	OSSL_PARAM_BLD_free(b);
	BN_free(n);
	BN_free(e);
	return key;
}

static const struct {
	const char *crv, *group;
	size_t half;
} curves[] = { { "P-256", "prime256v1", 32 }, { "P-384", "secp384r1", 48 }, { "P-521", "secp521r1", 66 } };

/* x and y as SEC 1 has a point: 4, then both, each of the curve's length. */
static bool put_point(struct buf *point, const json_t *jwk, size_t half)
{
	buf_put_u8(point, 4);
	for (size_t i = 0; i < 2; i++) {
		const char *text = token_text(jwk, i ? "y" : "x");

		if (!text || base64_get(point, slice_str(text), BASE64_URL) || point->len != 1 + (i + 1) * half)
			return false;
	}
	return true;
}

static EVP_PKEY *ec_key(const json_t *jwk, BIGNUM *d)
{
	AUTO(buf) struct buf point = BUF_INIT(256);
	const char *crv = token_text(jwk, "crv");
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	for (size_t i = 0; b && crv && i < ARRAY_SIZE(curves); i++) {
		if (strcmp(curves[i].crv, crv) != 0 || !put_point(&point, jwk, curves[i].half))
			continue;
		if (OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, curves[i].group, 0) &&
		    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.len) &&
		    (!d || OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, d)))
			key = from_params("EC", b, d ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY);
	}
	OSSL_PARAM_BLD_free(b);
	return key;
}

EVP_PKEY *jwk_key(const json_t *jwk)
{
	const char *kty = token_text(jwk, "kty");

	if (kty && strcmp(kty, "RSA") == 0)
		return rsa_key(jwk);
	return kty && strcmp(kty, "EC") == 0 ? ec_key(jwk, NULL) : NULL;
}

EVP_PKEY *jwk_private(const json_t *jwk)
{
	const char *kty = token_text(jwk, "kty");
	BIGNUM *d = number(jwk, "d");
	EVP_PKEY *key = d && kty && strcmp(kty, "EC") == 0 ? ec_key(jwk, d) : NULL;

	BN_clear_free(d);
	return key;
}

static int put_number(json_t *jwk, const char *member, const BIGNUM *n, size_t width)
{
	AUTO(buf) struct buf text = BUF_INIT(4096);
	uint8_t bytes[1024];
	int len = n ? BN_bn2binpad(n, bytes, (int)(width ? width : (size_t)BN_num_bytes(n))) : -1;

	if (len < 0)
		return -1;
	base64_put(&text, slice_of(bytes, (size_t)len), BASE64_URL);
	return json_object_set_new(jwk, member, json_string(buf_cstr(&text)));
}

static json_t *rsa_jwk(EVP_PKEY *key)
{
	json_t *jwk = json_pack("{s:s}", "kty", "RSA");
	BIGNUM *n = NULL, *e = NULL;
	bool ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
		  EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && !put_number(jwk, "n", n, 0) &&
		  !put_number(jwk, "e", e, 0);

	BN_free(n);
	BN_free(e);
	if (!ok)
		json_decref(jwk);
	return ok ? jwk : NULL;
}

json_t *jwk_from(EVP_PKEY *key)
{
	char group[64] = "";
	BIGNUM *x = NULL, *y = NULL;
	json_t *jwk = NULL;

	if (EVP_PKEY_is_a(key, "RSA"))
		return rsa_jwk(key);
	if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_X, &x) != 1 ||
	    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_EC_PUB_Y, &y) != 1)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(curves); i++) {
		if (strcmp(curves[i].group, group) != 0)
			continue;
		jwk = json_pack("{s:s, s:s}", "kty", "EC", "crv", curves[i].crv);
		if (put_number(jwk, "x", x, curves[i].half) || put_number(jwk, "y", y, curves[i].half))
			abort();
	}
	BN_free(x);
	BN_free(y);
	return jwk;
}

static int set_padding(const struct alg *alg, EVP_PKEY_CTX *ctx)
{
	if (alg->family != ALG_PS)
		return 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static bool fits(const struct alg *alg, EVP_PKEY *key)
{
	char group[64] = "";

	if (!alg || alg->family != ALG_ES)
		return alg && EVP_PKEY_is_a(key, "RSA");
	return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, alg->curve) == 0;
}

/* r and s side by side, as JWS has them, from the DER that libcrypto knows; and back. */
static int der_to_raw(struct buf *ret, const uint8_t *der, size_t len, size_t half)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)len);
	uint8_t *to = sig ? buf_reserve(ret, 2 * half) : NULL;
	int ok = to && BN_bn2binpad(ECDSA_SIG_get0_r(sig), to, (int)half) > 0 &&
		 BN_bn2binpad(ECDSA_SIG_get0_s(sig), to + half, (int)half) > 0;

	if (ok)
		buf_added(ret, 2 * half);
	ECDSA_SIG_free(sig);
	return ok ? 0 : -ENOMEM;
}

static int raw_to_der(struct slice raw, size_t half, uint8_t **ret_der)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int len = -1;

	if (sig && raw.len == 2 * half &&
	    ECDSA_SIG_set0(sig, BN_bin2bn(raw.p, (int)half, NULL), BN_bin2bn(raw.p + half, (int)half, NULL)))
		len = i2d_ECDSA_SIG(sig, ret_der);
	ECDSA_SIG_free(sig);
	return len;
}

bool token_verifies(const struct token *t, EVP_PKEY *key)
{
	const struct alg *alg = find_alg(token_text(t->header, "alg"));
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	struct slice sig = buf_slice(&t->signature);
	uint8_t *der = NULL;
	bool ok = md && fits(alg, key);

	if (ok && alg->family == ALG_ES) {
		int len = raw_to_der(sig, alg->half, &der);

		ok = len > 0;
		sig = slice_of(der, ok ? (size_t)len : 0);
	}
	ok = ok && EVP_DigestVerifyInit_ex(md, &ctx, alg->digest, NULL, NULL, key, NULL) == 1 && set_padding(alg, ctx) &&
	     EVP_DigestVerify(md, sig.p, sig.len, t->input.p, t->input.len) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(md);
	return ok;
}

int jws_sign(struct buf *ret, const char *name, EVP_PKEY *key, struct slice input)
{
	const struct alg *alg = find_alg(name);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	EVP_PKEY_CTX *ctx;
	uint8_t sig[1024];
	size_t len = sizeof(sig);
	int err = -EINVAL;

	if (md && fits(alg, key) && EVP_DigestSignInit_ex(md, &ctx, alg->digest, NULL, NULL, key, NULL) == 1 &&
	    set_padding(alg, ctx) && EVP_DigestSign(md, sig, &len, input.p, input.len) == 1) {
		if (alg->family != ALG_ES)
			buf_put(ret, sig, len);
		err = alg->family == ALG_ES ? der_to_raw(ret, sig, len, alg->half) : buf_ok(ret);
	}
	EVP_MD_CTX_free(md);
	return err;
}

int jws_put(struct buf *ret, struct slice header, struct slice claims, const char *alg, EVP_PKEY *key)
{
	AUTO(buf) struct buf signature = BUF_INIT(2048);
	size_t start = ret->len;

	base64_put(ret, header, BASE64_URL);
	buf_put_u8(ret, '.');
	base64_put(ret, claims, BASE64_URL);
	int err = buf_ok(ret);

	if (!err && key)
		err = jws_sign(&signature, alg, key, slice_of(ret->data + start, ret->len - start));
	buf_put_u8(ret, '.');
	base64_put(ret, buf_slice(&signature), BASE64_URL);
	return err ? err : buf_ok(ret);
}
