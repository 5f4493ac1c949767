/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c - sealing and opening the authority's state (format in seal.h). svid-keys; called by core.c. */
#include "agent/keys/seal.h"

#include <errno.h>

#include "agent/base/limits.h"
#include "agent/keys/pkey.h"

#define MAGIC "SVIDSEAL"
#define VERSION 1
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define HEAD_BYTES (8 + 4 + NONCE_BYTES)

static void put_aad(struct buf *aad, struct slice td)
{
	buf_put_str(aad, MAGIC);
	buf_put_u32(aad, VERSION);
	buf_put_slice(aad, td);
}

/* Key material must not touch an ordinary buffer, so this one is filled by hand on the secure heap. */
struct plain {
	struct secbytes bytes;
	size_t at;
};

static void plain_put(struct plain *p, const void *from, size_t n)
{
	memcpy(p->bytes.p + p->at, from, n);
	p->at += n;
}

static void plain_put_le(struct plain *p, uint64_t v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p->bytes.p[p->at++] = (uint8_t)(v >> (8 * i));
}

static void plain_put_blob(struct plain *p, struct slice s)
{
	plain_put_le(p, s.len, 4);
	plain_put(p, s.p, s.len);
}

static int plain_of(const struct authority *a, struct secbytes *ret_plain)
{
	AUTO(secbytes) struct secbytes pkcs8 = { 0 };
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	struct slice td = slice_str(a->trust_domain);
	struct plain p = { .at = 0 };
	int err = pkey_encode(a->key, &pkcs8);

	if (!err)
		err = cert_put_der(a->cert, &der);
	if (!err)
		err = secbytes_new(4 + td.len + 8 + 4 + pkcs8.len + 4 + der.len, &p.bytes);
	if (err)
		return err;
	plain_put_blob(&p, td);
	plain_put_le(&p, (uint64_t)a->last_signature, 8);
	plain_put_blob(&p, secbytes_slice(&pkcs8));
	plain_put_blob(&p, buf_slice(&der));
	*ret_plain = p.bytes;
	return 0;
}

static int encrypt(struct slice plain, struct slice key, struct slice aad, const uint8_t *nonce, uint8_t *out)
{
	AUTO(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int n, m;

	if (!ctx || EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.p, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &n, aad.p, (int)aad.len) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &n, plain.p, (int)plain.len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, out + n, &m) != 1 || (size_t)(n + m) != plain.len ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, out + plain.len) != 1)
		return ossl_failed();
	return 0;
}

int seal_write(const struct authority *a, struct slice key, struct buf *ret_sealed)
{
	AUTO(secbytes) struct secbytes plain = { 0 };
	AUTO(buf) struct buf aad = BUF_INIT(64 + LIM_TRUST_DOMAIN);
	uint8_t nonce[NONCE_BYTES];
	uint8_t *out;
	int err;

	if (key.len != SEAL_KEY_BYTES)
		return -ERR_SEALED;
	err = plain_of(a, &plain);
	if (err)
		return err;
	if (RAND_bytes(nonce, sizeof(nonce)) != 1)
		return ossl_failed();
	put_aad(&aad, slice_str(a->trust_domain));
	err = buf_ok(&aad);
	if (err)
		return err;
	buf_put_str(ret_sealed, MAGIC);
	buf_put_u32(ret_sealed, VERSION);
	buf_put(ret_sealed, nonce, sizeof(nonce));
	out = buf_reserve(ret_sealed, plain.len + TAG_BYTES);
	if (!out)
		return buf_ok(ret_sealed);
	err = encrypt(secbytes_slice(&plain), key, buf_slice(&aad), nonce, out);
	if (!err)
		buf_added(ret_sealed, plain.len + TAG_BYTES);
	return err;
}

static int decrypt(struct slice cipher, struct slice key, struct slice aad, const uint8_t *nonce,
		   struct secbytes *ret_plain)
{
	AUTO(EVP_CIPHER_CTX) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	AUTO(secbytes) struct secbytes plain = { 0 };
	size_t len = cipher.len - TAG_BYTES;
	uint8_t tag[TAG_BYTES];
	int n, m, err;

	if (!ctx)
		return -ENOMEM;
	err = secbytes_new(len, &plain);
	if (err)
		return err;
	memcpy(tag, cipher.p + len, TAG_BYTES);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key.p, nonce) != 1 ||
	    EVP_DecryptUpdate(ctx, NULL, &n, aad.p, (int)aad.len) != 1 ||
	    EVP_DecryptUpdate(ctx, plain.p, &n, cipher.p, (int)len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) != 1 ||
	    EVP_DecryptFinal_ex(ctx, plain.p + n, &m) != 1 || (size_t)(n + m) != len) {
		ERR_clear_error();
		return -ERR_SEALED;
	}
	*ret_plain = plain;
	plain = (struct secbytes){ 0 };
	return 0;
}

static int parse(struct slice plain, struct slice td, struct authority **ret_authority)
{
	struct slice name = slice_get_blob(&plain, LIM_TRUST_DOMAIN);
	int64_t last = (int64_t)slice_get_u64(&plain);
	struct slice pkcs8 = slice_get_blob(&plain, LIM_KEY_DER);
	struct slice der = slice_get_blob(&plain, LIM_CHAIN);
	EVP_PKEY *key;

	if (slice_end(&plain) || !slice_eq(name, td) || pkey_decode(pkcs8, &key))
		return -ERR_SEALED;
	return authority_restore(td, key, der, last, ret_authority);
}

int seal_open(struct slice sealed, struct slice key, struct slice td, struct authority **ret_authority)
{
	AUTO(secbytes) struct secbytes plain = { 0 };
	AUTO(buf) struct buf aad = BUF_INIT(64 + LIM_TRUST_DOMAIN);
	struct slice head = slice_get_bytes(&sealed, HEAD_BYTES);
	const uint8_t *nonce = head.p + 8 + 4;
	int err;

	if (!slice_ok(&sealed) || key.len != SEAL_KEY_BYTES || sealed.len <= TAG_BYTES ||
	    sealed.len > LIM_SEALED)
		return -ERR_SEALED;
	if (!slice_eq_str(slice_get_bytes(&head, 8), MAGIC) || slice_get_u32(&head) != VERSION)
		return -ERR_SEALED;
	put_aad(&aad, td);
	err = buf_ok(&aad);
	if (!err)
		err = decrypt(sealed, key, buf_slice(&aad), nonce, &plain);
	return err ? err : parse(secbytes_slice(&plain), td, ret_authority);
}
