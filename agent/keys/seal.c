/* SPDX-License-Identifier: Apache-2.0 */
/* seal.c - sealing and opening the authority's state (format in seal.h). svid-keys; called by core.c. */
#include "agent/keys/seal.h"

#include <errno.h>

#include "agent/base/limits.h"
#include "agent/keys/cert.h"
#include "agent/keys/gcm.h"
#include "agent/keys/pkey.h"
#include "agent/keys/root.h"

#define MAGIC "SVIDSEAL"
#define VERSION 2
#define VERSION_ONE_CA 1
#define PLAIN_MIN 4096
#define HEAD_BYTES (8 + 4)

static void put_aad(struct buf *aad, uint32_t version, struct slice td)
{
	buf_put_str(aad, MAGIC);
	buf_put_u32(aad, version);
	buf_put_slice(aad, td);
}

/* Key material must not touch an ordinary buffer, so this one grows on the secure heap. Sticky as struct buf is. */
struct plain {
	struct secbytes bytes;
	size_t len;
	int err;
};

static void plain_autoclean(struct plain *p)
{
	secbytes_done(&p->bytes);
}

static uint8_t *plain_reserve(struct plain *p, size_t n)
{
	size_t cap = p->bytes.len ? p->bytes.len : PLAIN_MIN;
	struct secbytes more;

	while (cap < p->len + n)
		cap *= 2;
	if (!p->err && cap != p->bytes.len) {
		p->err = secbytes_new(cap, &more);
		if (p->err)
			return NULL;
		if (p->len)
			memcpy(more.p, p->bytes.p, p->len);
		secbytes_done(&p->bytes);
		p->bytes = more;
	}
	return p->err ? NULL : p->bytes.p + p->len;
}

static void plain_put(struct plain *p, struct slice s)
{
	uint8_t *to = plain_reserve(p, s.len);

	if (!to)
		return;
	if (s.len)
		memcpy(to, s.p, s.len);
	p->len += s.len;
}

static void plain_put_le(struct plain *p, uint64_t v, size_t n)
{
	uint8_t le[8];

	for (size_t i = 0; i < n; i++)
		le[i] = (uint8_t)(v >> (8 * i));
	plain_put(p, slice_of(le, n));
}

static void plain_put_blob(struct plain *p, struct slice s)
{
	plain_put_le(p, s.len, 4);
	plain_put(p, s);
}

static int put_signer(struct plain *p, enum signer_use use, const struct signer *s)
{
	AUTO(secbytes) struct secbytes pkcs8 = { 0 };
	AUTO(buf) struct buf der = BUF_INIT(LIM_CHAIN);
	int err = pkey_encode(s->key, &pkcs8);

	if (!err && s->cert)
		err = cert_put_der(s->cert, &der);
	if (err)
		return err;
	plain_put_le(p, use, 4);
	plain_put_le(p, (uint64_t)s->born, 8);
	plain_put_le(p, (uint64_t)s->active, 8);
	plain_put_le(p, (uint64_t)s->not_after, 8);
	plain_put_blob(p, secbytes_slice(&pkcs8));
	plain_put_blob(p, buf_slice(&der));
	return p->err;
}

static int put_plain(struct plain *p, const struct authority *a)
{
	int err = 0;

	plain_put_blob(p, slice_str(a->trust_domain));
	plain_put_le(p, (uint64_t)a->last_signature, 8);
	for (unsigned int use = 0; use < SIGN_USES; use++)
		for (size_t i = 0; i < a->rings[use].n && !err; i++)
			err = put_signer(p, use, a->rings[use].of[i]);
	return err ? err : p->err;
}

int seal_write(const struct authority *a, struct slice key, struct buf *ret_sealed)
{
	AUTO(plain) struct plain plain = { .len = 0 };
	AUTO(buf) struct buf aad = BUF_INIT(64 + LIM_TRUST_DOMAIN);
	int err = key.len == SEAL_KEY_BYTES ? put_plain(&plain, a) : -ERR_SEALED;

	if (err)
		return err;
	put_aad(&aad, VERSION, slice_str(a->trust_domain));
	err = buf_ok(&aad);
	if (err)
		return err;
	buf_put_str(ret_sealed, MAGIC);
	buf_put_u32(ret_sealed, VERSION);
	return gcm_seal(slice_of(plain.bytes.p, plain.len), key, buf_slice(&aad), ret_sealed);
}

/* The only key of version 1: its life began when its certificate was made. */
static int parse_one_ca(struct slice *plain, struct authority *a)
{
	struct slice pkcs8 = slice_get_blob(plain, LIM_KEY_DER);
	struct slice der = slice_get_blob(plain, LIM_CHAIN);
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(X509) X509 *cert = NULL;
	int64_t not_before, not_after;
	int err;

	if (slice_end(plain) || pkey_decode(pkcs8, &key))
		return -ERR_SEALED;
	err = root_parse(a->trust_domain, key, der, &cert);
	if (!err)
		err = cert_times(cert, &not_before, &not_after);
	if (err)
		return err;
	a->changed = true; /* to be sealed as it is done now */
	return authority_restore(a, SIGN_CA, take(&key), der, not_before + CERT_BACKDATE_S, not_before + CERT_BACKDATE_S,
				 not_after);
}

static int parse_signer(struct slice *plain, struct authority *a)
{
	uint32_t use = slice_get_u32(plain);
	int64_t born = (int64_t)slice_get_u64(plain), active = (int64_t)slice_get_u64(plain);
	int64_t not_after = (int64_t)slice_get_u64(plain);
	struct slice pkcs8 = slice_get_blob(plain, LIM_KEY_DER);
	struct slice der = slice_get_blob(plain, LIM_CHAIN);
	EVP_PKEY *key;

	if (!slice_ok(plain) || use >= SIGN_USES || pkey_decode(pkcs8, &key))
		return -ERR_SEALED;
	return authority_restore(a, use, key, der, born, active, not_after);
}

static int parse(struct slice plain, uint32_t version, struct slice td, struct authority **ret_authority)
{
	struct slice name = slice_get_blob(&plain, LIM_TRUST_DOMAIN);
	int64_t last = (int64_t)slice_get_u64(&plain);
	AUTO(authority) struct authority *a = NULL;
	int err;

	if (!slice_ok(&plain) || !slice_eq(name, td))
		return -ERR_SEALED;
	err = authority_new(td, &a);
	if (!err && version == VERSION_ONE_CA)
		err = parse_one_ca(&plain, a);
	while (!err && plain.len)
		err = parse_signer(&plain, a);
	if (err)
		return err;
	a->last_signature = last;
	*ret_authority = take(&a);
	return 0;
}

int seal_open(struct slice sealed, struct slice key, struct slice td, struct authority **ret_authority)
{
	AUTO(secbytes) struct secbytes plain = { 0 };
	AUTO(buf) struct buf aad = BUF_INIT(64 + LIM_TRUST_DOMAIN);
	struct slice head = slice_get_bytes(&sealed, HEAD_BYTES);
	uint32_t version;
	int err;

	if (!slice_ok(&sealed) || sealed.len > LIM_SEALED || !slice_eq_str(slice_get_bytes(&head, 8), MAGIC))
		return -ERR_SEALED;
	version = slice_get_u32(&head);
	if (version != VERSION && version != VERSION_ONE_CA)
		return -ERR_SEALED;
	put_aad(&aad, version, td);
	err = buf_ok(&aad);
	if (!err)
		err = gcm_open(sealed, key, buf_slice(&aad), &plain);
	return err ? err : parse(secbytes_slice(&plain), version, td, ret_authority);
}
