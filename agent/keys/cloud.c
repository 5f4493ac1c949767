/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloud.c - svid-cloud's channel: what it stores is sealed and opened here under a key of its own, and what svid-core
 * ordered for it (a JWT-SVID, a signature) is handed over. It can ask for nothing that has to do with an identity. svid-keys.
 */
#include <errno.h>

#include "agent/base/log.h"
#include "agent/ipc/lists.h"
#include "agent/keys/gcm.h"
#include "agent/keys/keys.h"
#include "agent/keys/pkey.h"

#define MAGIC "SVIDCLD1" /* of each sealed secret; also what tells its key from the authority's */
#define SIGNATURE_MAX 1024

/* Its own key: what is sealed for the cache can never be taken for a sealed authority, whatever it says it is about. */
static int cache_key(struct slice seal_key, struct secbytes *ret_key)
{
	AUTO(secbytes) struct secbytes key = { 0 };
	AUTO(EVP_PKEY_CTX) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t len = GCM_KEY_BYTES;
	int err = seal_key.len ? secbytes_new(len, &key) : -ERR_NOT_READY;

	if (err)
		return err;
	if (!ctx || EVP_PKEY_derive_init(ctx) != 1 || EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) != 1 ||
	    EVP_PKEY_CTX_set1_hkdf_key(ctx, seal_key.p, (int)seal_key.len) != 1 ||
	    EVP_PKEY_CTX_add1_hkdf_info(ctx, (const unsigned char *)MAGIC, sizeof(MAGIC) - 1) != 1 ||
	    EVP_PKEY_derive(ctx, key.p, &len) != 1 || len != GCM_KEY_BYTES)
		return ossl_failed();
	*ret_key = key;
	key = (struct secbytes){ 0 };
	return 0;
}

static int seal(struct keys *k, const struct msg_CK_SEAL *m, struct buf *out)
{
	AUTO(secbytes) struct secbytes key = { 0 };
	int err = cache_key(secbytes_slice(&k->seal_key), &key);

	if (err)
		return err;
	buf_put_str(out, MAGIC);
	return gcm_seal(m->plain, secbytes_slice(&key), m->about, out);
}

static int open_sealed(struct keys *k, const struct msg_CK_OPEN *m, struct secbytes *ret_plain)
{
	AUTO(secbytes) struct secbytes key = { 0 };
	struct slice sealed = m->sealed;
	int err = cache_key(secbytes_slice(&k->seal_key), &key);

	if (err)
		return err;
	if (!slice_eq_str(slice_get_bytes(&sealed, sizeof(MAGIC) - 1), MAGIC))
		return -ERR_SEALED;
	return gcm_open(sealed, secbytes_slice(&key), m->about, ret_plain);
}

/* A sibling that asks without reading would make us keep its answers. */
static int check_reads(struct chan *c)
{
	return chan_idle(c) ? 0 : -ERR_LIMIT;
}

static int on_seal(struct chan *c, struct chan_msg *m)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_CLOUD_SECRET + 256);
	struct msg_CK_SEAL ask;
	int err = msg_get_CK_SEAL(m->body, &ask);

	if (!err)
		err = check_reads(c);
	if (err)
		return err;
	err = seal(chan_owner(c), &ask, &out);
	return chan_put(c, CK_SEALED, m->id, .order = ask.order, .err = err,
			.sealed = err ? slice_of(NULL, 0) : buf_slice(&out));
}

static int on_open(struct chan *c, struct chan_msg *m)
{
	AUTO(secbytes) struct secbytes plain = { 0 };
	struct msg_CK_OPEN ask;
	int err = msg_get_CK_OPEN(m->body, &ask);

	if (!err)
		err = check_reads(c);
	if (err)
		return err;
	err = open_sealed(chan_owner(c), &ask, &plain);
	return chan_put_secret(c, CK_OPENED, m->id, .order = ask.order, .err = err, .plain = secbytes_slice(&plain));
}

static void on_dead(struct chan *c, int err)
{
	struct keys *k = chan_owner(c);

	if (err != -ERR_CLOSED)
		log_warn(EV_CLOUD, KV("condemned", V_S(err_name(err))));
	chan_free(c);
	k->cloud = NULL;
}

static const struct chan_rule rules[] = {
	{ MSG_CK_SEAL, 1u << 0, on_seal },
	{ MSG_CK_OPEN, 1u << 0, on_open },
};

static const struct chan_ops ops = {
	.peer = "svid-cloud", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead
};

int cloud_attach(struct keys *k, int fd)
{
	int err;

	cloud_drop(k);
	err = chan_new(k->loop, fd, &ops, k, &k->cloud);
	if (!err)
		chan_keep_secret(k->cloud);
	return err;
}

void cloud_drop(struct keys *k)
{
	chan_free(k->cloud);
	k->cloud = NULL;
}

int cloud_give_jwt(struct keys *k, const struct msg_CK_JWT *m)
{
	if (!k->cloud)
		return -ERR_CLOSED;
	return chan_put_secret(k->cloud, CK_JWT, 0, .order = m->order, .err = m->err, .issued_at = m->issued_at,
			       .not_after = m->not_after, .jti = m->jti, .kid = m->kid, .token = m->token);
}

static int sign_text(struct slice pkcs8, struct slice text, struct buf *out)
{
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;
	AUTO(EVP_MD_CTX) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t len = SIGNATURE_MAX;
	uint8_t *to = buf_reserve(out, len);
	int err = to ? pkey_decode(pkcs8, &key) : buf_ok(out);

	if (err)
		return err;
	if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
	    EVP_DigestSign(ctx, to, &len, text.p, text.len) != 1)
		return ossl_failed();
	buf_added(out, len);
	return 0;
}

int cloud_sign(struct keys *k, const struct msg_KY_SIGN *m)
{
	AUTO(buf) struct buf signature = BUF_INIT(SIGNATURE_MAX);
	struct slice key;
	int sent, err;

	if (!cloud_may_sign(m->text))
		return -ERR_FORMAT;
	if (!k->cloud)
		return -ERR_CLOSED;
	err = keystore_peek(k->store, m->identity, SVID_X509, m->generation, &key);
	if (!err)
		err = sign_text(key, m->text, &signature);
	sent = chan_put(k->cloud, CK_SIGNED, 0, .order = m->order, .err = err, .signature = buf_slice(&signature));
	return err ? err : sent;
}
