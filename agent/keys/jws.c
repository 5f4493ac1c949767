/* SPDX-License-Identifier: Apache-2.0 */
/* jws.c - header, claims and signature joined (RFC 7515); RS256 and ES256 only. svid-keys; used by jwt.c and wit.c. */
#include "agent/keys/jws.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/limits.h"

#define MAX_SIGNATURE 256 /* RSA-2048; DER of a P-256 one is shorter */
#define P256_BYTES 32

int jws_start(const struct signer *signer, uint32_t ttl_s, int64_t now, struct jws *ret_jws)
{
	static const char hex[] = "0123456789abcdef";
	uint8_t raw[JWS_JTI_BYTES / 2];
	struct jws j = { .issued_at = now, .not_after = now + ttl_s };

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return ossl_failed();
	for (size_t i = 0; i < sizeof(raw); i++) {
		j.jti[2 * i] = hex[raw[i] >> 4];
		j.jti[2 * i + 1] = hex[raw[i] & 15];
	}
	memcpy(j.kid, signer->kid, sizeof(j.kid));
	if (j.not_after > signer->not_after)
		j.not_after = signer->not_after;
	*ret_jws = j;
	return 0;
}

/* RFC 7518 3.4: r and s as 32 bytes each, not the DER that libcrypto makes. */
static int to_raw(uint8_t sig[static MAX_SIGNATURE], size_t *len)
{
	const unsigned char *at = sig;
	AUTO(ECDSA_SIG) ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)*len);

	if (!pair || BN_bn2binpad(ECDSA_SIG_get0_r(pair), sig, P256_BYTES) != P256_BYTES ||
	    BN_bn2binpad(ECDSA_SIG_get0_s(pair), sig + P256_BYTES, P256_BYTES) != P256_BYTES)
		return ossl_failed();
	*len = 2ul * P256_BYTES;
	return 0;
}

static int sign(EVP_PKEY *key, enum jwt_alg alg, struct slice input, uint8_t sig[static MAX_SIGNATURE], size_t *ret_len)
{
	AUTO(EVP_MD_CTX) EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	*ret_len = MAX_SIGNATURE;
	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, sig, ret_len, input.p, input.len) != 1)
		return ossl_failed();
	return alg == JWT_ES256 ? to_raw(sig, ret_len) : 0;
}

int jws_put(struct buf *out, const struct signer *signer, enum jwt_alg alg, const char *typ, struct slice claims)
{
	AUTO(buf) struct buf header = BUF_INIT(256);
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	uint8_t sig[MAX_SIGNATURE];
	size_t len;
	int err;

	buf_printf(&header, "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"%s\"}", jwt_alg_name(alg), signer->kid, typ);
	err = buf_ok(&header);
	if (err)
		return err;
	base64_put(&token, buf_slice(&header), BASE64_URL);
	buf_put_str(&token, ".");
	base64_put(&token, claims, BASE64_URL);
	err = buf_ok(&token);
	if (!err)
		err = sign(signer->key, alg, buf_slice(&token), sig, &len);
	if (err)
		return err;
	buf_put_str(&token, ".");
	base64_put(&token, slice_of(sig, len), BASE64_URL);
	err = buf_ok(&token);
	if (err)
		return err;
	buf_put_slice(out, buf_slice(&token));
	return buf_ok(out);
}
