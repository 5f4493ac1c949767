/* SPDX-License-Identifier: Apache-2.0 */
/* pkey.c - private keys of svid-keys: the three key types as data. Called by authority.c, issue.c, seal.c. */
#include "agent/keys/pkey.h"

#include "agent/base/limits.h"

struct key_kind {
	const char *algorithm;
	const char *group; /* NULL: RSA */
	unsigned int bits;
};

static const struct key_kind kinds[KEY_TYPE_COUNT] = {
	[KEY_EC_P256] = { "EC", "P-256", 256 },
	[KEY_EC_P384] = { "EC", "P-384", 384 },
	[KEY_RSA_2048] = { "RSA", NULL, 2048 },
};

bool pkey_is_slow(enum key_type type)
{
	return type == KEY_RSA_2048;
}

int pkey_generate(enum key_type type, EVP_PKEY **ret_key)
{
	const struct key_kind *kind;
	EVP_PKEY *key;

	if ((unsigned int)type >= KEY_TYPE_COUNT)
		return -ERR_FORMAT;
	kind = &kinds[type];
	key = kind->group ? EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, kind->group)
			  : EVP_PKEY_Q_keygen(NULL, NULL, kind->algorithm, (size_t)kind->bits);
	if (!key)
		return ossl_failed();
	*ret_key = key;
	return 0;
}

bool pkey_is(EVP_PKEY *key, enum key_type type)
{
	const struct key_kind *kind = &kinds[type];
	char group[32] = "";

	if (!EVP_PKEY_is_a(key, kind->algorithm) || EVP_PKEY_get_bits(key) != (int)kind->bits)
		return false;
	if (!kind->group)
		return true;
	if (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1)
		ERR_clear_error();
	return OBJ_sn2nid(group) == EC_curve_nist2nid(kind->group);
}

int pkey_encode(EVP_PKEY *key, struct secbytes *ret_pkcs8)
{
	AUTO(PKCS8_PRIV_KEY_INFO) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	AUTO(secbytes) struct secbytes out = { 0 };
	unsigned char *at;
	int len, err;

	if (!info)
		return ossl_failed();
	len = i2d_PKCS8_PRIV_KEY_INFO(info, NULL);
	if (len <= 0)
		return ossl_failed();
	if (len > LIM_KEY_DER)
		return -ERR_SIZE;
	err = secbytes_new((size_t)len, &out);
	if (err)
		return err;
	/* With a NULL buffer i2d would allocate on the ordinary heap (style.md 3.5.7). */
	at = out.p;
	if (i2d_PKCS8_PRIV_KEY_INFO(info, &at) != len)
		return ossl_failed();
	*ret_pkcs8 = out;
	out = (struct secbytes){ 0 };
	return 0;
}

int pkey_decode(struct slice pkcs8, EVP_PKEY **ret_key)
{
	const unsigned char *at = pkcs8.p;
	AUTO(PKCS8_PRIV_KEY_INFO) PKCS8_PRIV_KEY_INFO *info = NULL;
	EVP_PKEY *key;

	if (!pkcs8.len || pkcs8.len > LIM_KEY_DER)
		return -ERR_CRYPTO;
	info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.len);
	if (!info || at != pkcs8.p + pkcs8.len)
		return ossl_failed();
	key = EVP_PKCS82PKEY(info);
	if (!key)
		return ossl_failed();
	*ret_key = key;
	return 0;
}
