/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - keys and bundles of a trust domain of our own making. svid-conformance --make-foreign; asked by validate.c. */
#include "conformance/foreign.h"

#include <errno.h>
#include <limits.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/base64.h"
#include "conformance/jose.h"

static const struct {
	const char *kid, *group, *use; /* group NULL: RSA of 2048 bits */
} forms[FOREIGN_KEYS] = {
	[KEY_RSA] = { "rsa", NULL, "jwt-svid" },	   [KEY_RSA_OTHER] = { "rsa-other", NULL, "jwt-svid" },
	[KEY_P256] = { "p256", "P-256", "jwt-svid" },	   [KEY_P384] = { "p384", "P-384", "jwt-svid" },
	[KEY_P521] = { "p521", "P-521", "jwt-svid" },	   [KEY_CA] = { "ca", "P-256", "x509-svid" },
	[KEY_WIT] = { "wit", "P-256", "wit-svid" },	   [KEY_NO_USE] = { "no-use", "P-256", NULL },
	[KEY_ODD_USE] = { "odd-use", "P-256", "sig" }, [KEY_UNKNOWN] = { "unknown", "P-256", NULL },
};

const char *foreign_kid(enum foreign_key key)
{
	return forms[key].kid;
}

static void must(bool ok)
{
	if (!ok)
		abort();
}

void foreign_fill(struct foreign *f)
{
	for (size_t i = 0; i < FOREIGN_KEYS; i++) {
		f->keys[i] = forms[i].group ? EVP_EC_gen(forms[i].group) : EVP_RSA_gen(2048);
		must(f->keys[i] != NULL);
	}
}

void foreign_done(struct foreign *f)
{
	for (size_t i = 0; i < FOREIGN_KEYS; i++)
		EVP_PKEY_free(f->keys[i]);
	*f = (struct foreign){ 0 };
}

static void add_ext(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(ext && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

/* The x509-svid entry: key members and one self-signed certificate. */
static json_t *ca_entry(EVP_PKEY *key, const char *domain)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 16);
	json_t *jwk = jwk_from(key);
	X509 *cert = X509_new();
	unsigned char *der = NULL;
	char uri[300];

	snprintf(uri, sizeof(uri), "URI:spiffe://%s", domain);
	must(jwk && cert && X509_set_version(cert, X509_VERSION_3) == 1 &&
	     ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 0x1122334455667788) == 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -60);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	must(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "O", MBSTRING_ASC, (const uint8_t *)domain, -1, -1, 0));
	must(X509_set_issuer_name(cert, X509_get_subject_name(cert)) == 1 && X509_set_pubkey(cert, key) == 1);
	add_ext(cert, NID_basic_constraints, "critical,CA:TRUE");
	add_ext(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	add_ext(cert, NID_subject_alt_name, uri);
	must(X509_sign(cert, key, EVP_sha256()) > 0);
	int len = i2d_X509(cert, &der);

	must(len > 0);
	base64_put(&text, slice_of(der, (size_t)len), BASE64_PLAIN);
	must(!json_object_set_new(jwk, "x5c", json_pack("[s]", buf_cstr(&text))) &&
	     !json_object_set_new(jwk, "use", json_string("x509-svid")));
	OPENSSL_free(der);
	X509_free(cert);
	return jwk;
}

static json_t *document(json_t *keys)
{
	return json_pack("{s:i, s:i, s:o}", "spiffe_sequence", 1, "spiffe_refresh_hint", 300, "keys", keys);
}

/* Besides the keys: an entry of a key type that nobody knows (TB-4.1.3-2), which costs the rest nothing. */
json_t *foreign_bundle(const struct foreign *f)
{
	json_t *keys = json_pack("[{s:s, s:s, s:s}]", "kty", "AKP", "kid", "odd-type", "use", "jwt-svid");

	for (size_t i = 0; i < FOREIGN_KEYS; i++) {
		json_t *jwk = i == KEY_CA ? ca_entry(f->keys[i], FOREIGN_DOMAIN) : jwk_from(f->keys[i]);

		must(keys && jwk);
		if (i != KEY_CA)
			must(!json_object_set_new(jwk, "kid", json_string(forms[i].kid)));
		if (i != KEY_CA && forms[i].use)
			must(!json_object_set_new(jwk, "use", json_string(forms[i].use)));
		if (i == KEY_UNKNOWN)
			json_decref(jwk);
		else
			must(!json_array_append_new(keys, jwk));
	}
	return document(keys);
}

static int write_json(const char *dir, const char *name, json_t *document)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s.json", dir, name);
	int err = json_dump_file(document, path, JSON_INDENT(1)) ? -EIO : 0;

	json_decref(document);
	return err;
}

static int write_keys(const char *dir, const struct foreign *f)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/keys.pem", dir);
	FILE *file = fopen(path, "we");
	int ok = file != NULL;

	for (size_t i = 0; ok && i < FOREIGN_KEYS; i++)
		ok = PEM_write_PKCS8PrivateKey(file, f->keys[i], NULL, NULL, 0, NULL, NULL);
	if (file && fclose(file))
		ok = 0;
	return ok ? 0 : -EIO;
}

int foreign_make(const char *dir)
{
	struct foreign f;

	foreign_fill(&f);
	int err = write_keys(dir, &f);

	if (!err)
		err = write_json(dir, FOREIGN_DOMAIN, foreign_bundle(&f));
	if (!err)
		err = write_json(dir, X509_ONLY_DOMAIN, document(json_pack("[o]", ca_entry(f.keys[KEY_CA], X509_ONLY_DOMAIN))));
	if (err)
		fprintf(stderr, "cannot write to %s\n", dir);
	foreign_done(&f);
	return err;
}

int foreign_load(const char *dir, struct foreign *ret)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/keys.pem", dir);
	FILE *file = fopen(path, "re");
	int err = file ? 0 : -errno;

	for (size_t i = 0; !err && i < FOREIGN_KEYS; i++) {
		ret->keys[i] = PEM_read_PrivateKey(file, NULL, NULL, NULL);
		if (!ret->keys[i])
			err = -EINVAL;
	}
	if (file)
		fclose(file);
	if (err)
		foreign_done(ret);
	return err;
}
