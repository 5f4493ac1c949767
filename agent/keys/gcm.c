/* SPDX-License-Identifier: Apache-2.0 */
/* gcm.c - authenticated encryption for seal.c (the authority) and cloud.c (svid-cloud's cache). svid-keys. */
#include "agent/keys/gcm.h"

#include <errno.h>

#include "agent/keys/ossl.h"

static int encrypt(struct slice plain, struct slice key, struct slice aad, const uint8_t *nonce, uint8_t *out)
{
	AUTO(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, m;

	if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.p, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, aad.p, (int)aad.len) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &n, plain.p, (int)plain.len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, out + n, &m) != 1 || (size_t)(n + m) != plain.len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_BYTES, out + plain.len) != 1)
		return ossl_failed();
	return 0;
}

int gcm_seal(struct slice plain, struct slice key, struct slice aad, struct buf *out)
{
	uint8_t *to;
	int err;

	if (key.len != GCM_KEY_BYTES)
		return -ERR_SEALED;
	to = buf_reserve(out, plain.len + GCM_MORE);
	if (!to)
		return buf_ok(out);
	if (RAND_bytes(to, GCM_NONCE_BYTES) != 1)
		return ossl_failed();
	err = encrypt(plain, key, aad, to, to + GCM_NONCE_BYTES);
	if (!err)
		buf_added(out, plain.len + GCM_MORE);
	return err;
}

static int decrypt(struct slice cipher, struct slice key, struct slice aad, const uint8_t *nonce, struct secbytes *plain)
{
	AUTO(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[GCM_TAG_BYTES];
	int n, m;

	if (!ctx)
		return -ENOMEM;
	memcpy(tag, cipher.p + plain->len, GCM_TAG_BYTES);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.p, nonce) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &n, aad.p, (int)aad.len) == 1 &&
	    EVP_DecryptUpdate(ctx, plain->p, &n, cipher.p, (int)plain->len) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_BYTES, tag) == 1 &&
	    EVP_DecryptFinal_ex(ctx, plain->p + n, &m) == 1 && (size_t)(n + m) == plain->len)
		return 0;
	ERR_clear_error();
	return -ERR_SEALED;
}

int gcm_open(struct slice sealed, struct slice key, struct slice aad, struct secbytes *ret_plain)
{
	AUTO(secbytes) struct secbytes plain = { 0 };
	int err;

	if (key.len != GCM_KEY_BYTES || sealed.len <= GCM_MORE)
		return -ERR_SEALED;
	err = secbytes_new(sealed.len - GCM_MORE, &plain);
	if (!err)
		err = decrypt(slice_of(sealed.p + GCM_NONCE_BYTES, sealed.len - GCM_NONCE_BYTES), key, aad, sealed.p, &plain);
	if (err)
		return err;
	*ret_plain = plain;
	plain = (struct secbytes){ 0 };
	return 0;
}
