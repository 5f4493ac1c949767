/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify.c - signature checks for the fronts, over numbers only: tokens and key sets are parsed there, and nothing
 * here depends on any key of this process. svid-keys; called by front.c.
 */
#include "agent/keys/verify.h"

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/ipc/plan.h"
#include "agent/keys/ossl.h"

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define MAX_FIELD 66		 /* bytes of a P-521 number */

struct alg {
	const EVP_MD *(*digest)(void);
	enum ec_curve curve; /* CURVE_NONE: RSA */
	bool pss;
};

static const struct alg algs[JWT_ALG_COUNT] = {
	[JWT_RS256] = { EVP_sha256, CURVE_NONE, false }, [JWT_RS384] = { EVP_sha384, CURVE_NONE, false },
	[JWT_RS512] = { EVP_sha512, CURVE_NONE, false }, [JWT_ES256] = { EVP_sha256, CURVE_P256, false },
	[JWT_ES384] = { EVP_sha384, CURVE_P384, false }, [JWT_ES512] = { EVP_sha512, CURVE_P521, false },
	[JWT_PS256] = { EVP_sha256, CURVE_NONE, true },	 [JWT_PS384] = { EVP_sha384, CURVE_NONE, true },
	[JWT_PS512] = { EVP_sha512, CURVE_NONE, true },
};

static const struct {
	const char *name;
	size_t bytes;
} curves[CURVE_COUNT] = {
	[CURVE_P256] = { "P-256", 32 },
	[CURVE_P384] = { "P-384", 48 },
	[CURVE_P521] = { "P-521", 66 },
};

int verify_is_sane(const struct msg_FK_VERIFY *m)
{
	return m->alg > JWT_NONE && m->alg < JWT_ALG_COUNT && m->curve < CURVE_COUNT ? 0 : -ERR_FORMAT;
}

static int key_of(const char *algorithm, OSSL_PARAM_BLD *build, EVP_PKEY **ret_key)
{
	AUTO(OSSL_PARAM) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
	AUTO(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, algorithm, NULL);

	if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1)
		return ossl_failed();
	if (EVP_PKEY_fromdata(ctx, ret_key, EVP_PKEY_PUBLIC_KEY, params) == 1)
		return 0;
	ERR_clear_error();
	return -ERR_FORMAT;
}

static bool is_sane_rsa(const BIGNUM *n, const BIGNUM *e)
{
	return BN_num_bits(n) >= RSA_MIN_BITS && BN_num_bits(n) <= RSA_MAX_BITS && BN_is_odd(n) && BN_is_odd(e) &&
	       !BN_is_one(e) && BN_num_bits(e) <= LIM_RSA_E_BITS;
}

static int rsa_key(const struct msg_FK_VERIFY *m, EVP_PKEY **ret_key)
{
	AUTO(OSSL_PARAM_BLD) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	AUTO(BIGNUM) BIGNUM *n = BN_bin2bn(m->a.p, (int)m->a.len, NULL);
	AUTO(BIGNUM) BIGNUM *e = BN_bin2bn(m->b.p, (int)m->b.len, NULL);

	if (!build || !n || !e)
		return ossl_failed();
	if (m->curve != CURVE_NONE || !is_sane_rsa(n, e))
		return -ERR_FORMAT;
	if (m->signature.len != (size_t)BN_num_bytes(n))
		return -ERR_SIGNATURE;
	if (OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) != 1 ||
	    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e) != 1)
		return ossl_failed();
	return key_of("RSA", build, ret_key);
}

static int ec_key(const struct msg_FK_VERIFY *m, EVP_PKEY **ret_key)
{
	AUTO(OSSL_PARAM_BLD) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
	uint8_t point[1 + 2 * MAX_FIELD] = { POINT_CONVERSION_UNCOMPRESSED };
	size_t bytes = curves[m->curve].bytes;

	if (m->curve != algs[m->alg].curve || m->a.len != bytes || m->b.len != bytes)
		return -ERR_FORMAT;
	if (m->signature.len != 2 * bytes)
		return -ERR_SIGNATURE;
	memcpy(point + 1, m->a.p, bytes);
	memcpy(point + 1 + bytes, m->b.p, bytes);
	if (!build ||
	    OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[m->curve].name, 0) != 1 ||
	    OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * bytes) != 1)
		return ossl_failed();
	return key_of("EC", build, ret_key); /* which refuses a point that is not on the curve */
}

/* libcrypto wants DER: SEQUENCE { r, s }. */
static int der_of(struct slice raw, uint8_t der[static 2 * MAX_FIELD + 16], size_t *ret_len)
{
	AUTO(ECDSA_SIG) ECDSA_SIG *pair = ECDSA_SIG_new();
	AUTO(BIGNUM) BIGNUM *r = BN_bin2bn(raw.p, (int)raw.len / 2, NULL);
	AUTO(BIGNUM) BIGNUM *s = BN_bin2bn(raw.p + raw.len / 2, (int)raw.len / 2, NULL);
	unsigned char *at = der;
	int n;

	if (!pair || !r || !s || ECDSA_SIG_set0(pair, r, s) != 1)
		return ossl_failed();
	r = s = NULL; /* the pair's */
	n = i2d_ECDSA_SIG(pair, &at);
	if (n <= 0)
		return ossl_failed();
	*ret_len = (size_t)n;
	return 0;
}

static int check(EVP_PKEY *key, const struct alg *alg, struct slice input, struct slice signature)
{
	AUTO(EVP_MD_CTX) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *how;

	if (!ctx || EVP_DigestVerifyInit(ctx, &how, alg->digest(), NULL, key) != 1)
		return ossl_failed();
	if (alg->pss && (EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) != 1 ||
			 EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) != 1))
		return ossl_failed();
	if (EVP_DigestVerify(ctx, signature.p, signature.len, input.p, input.len) == 1)
		return 0;
	ERR_clear_error();
	return -ERR_SIGNATURE;
}

int verify_signature(const struct msg_FK_VERIFY *m)
{
	uint8_t der[2 * MAX_FIELD + 16];
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	struct slice signature = m->signature;
	size_t len;
	int err = verify_is_sane(m);

	if (err)
		return err;
	if (algs[m->alg].curve == CURVE_NONE) {
		err = rsa_key(m, &key);
	} else {
		err = ec_key(m, &key);
		if (!err)
			err = der_of(signature, der, &len);
		if (!err)
			signature = slice_of(der, len);
	}
	return err ? err : check(key, &algs[m->alg], m->input, signature);
}
