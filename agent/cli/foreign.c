// SPDX-License-Identifier: Apache-2.0
/*
 * foreign.c - SPIFFE bundles and PEM files to DER certificates and a plain JWK Set. svid; next: foreign_cert.c for what a
 * CA certificate must be like.
 */
#include "agent/cli/foreign.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/cli/foreign_cert.h"
#include "agent/cli/jwk.h"

void foreign_done(struct foreign *f)
{
	buf_done(&f->der);
	buf_done(&f->jwks);
	buf_done(&f->warnings);
	buf_done(&f->why);
}

static struct slice text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return slice_of(json_string_value(v), json_string_length(v));
}

static int refuse_key(struct foreign *f, size_t i, const char *why)
{
	buf_printf(&f->why, "key number %zu: %s", i + 1, why);
	return -ERR_FORMAT;
}

static int ignore_key(struct foreign *f, size_t i, const char *why)
{
	buf_printf(&f->warnings, "key number %zu is ignored: %s\n", i + 1, why);
	return 0;
}

/* The members of the key are for readers that do not take certificates; they must not say something else. */
static const char *compare_key(const json_t *jwk, X509 *cert)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	const char *why = NULL;

	if (!json_object_get(jwk, "n") && !json_object_get(jwk, "x"))
		return NULL;
	if (jwk_key(jwk, false, &key, &why))
		return why ? why : "memory is out";
	return EVP_PKEY_eq(key, X509_get0_pubkey(cert)) == 1 ? NULL : "its members and its certificate are of different keys";
}

static int add_x509(struct foreign *f, struct slice trust_domain, const json_t *jwk, size_t i, int64_t now)
{
	AUTO(buf) struct buf der = BUF_INIT(LIM_BUNDLE);
	AUTO(cert) X509 *cert = NULL;
	const json_t *chain = json_object_get(jwk, "x5c"), *first = json_array_get(chain, 0);
	const char *why = NULL;
	int err;

	/* X509-SVID 6.2 */
	if (!json_array_size(chain))
		return ignore_key(f, i, "x5c is missing or empty");
	if (json_array_size(chain) > 1)
		buf_printf(&f->warnings, "key number %zu: what follows the first certificate of x5c is ignored\n", i + 1);
	if (!json_is_string(first) ||
	    base64_get(&der, slice_of(json_string_value(first), json_string_length(first)), BASE64_PLAIN))
		return refuse_key(f, i, "x5c is not standard base64");
	err = foreign_cert_read(buf_slice(&der), trust_domain, &cert, &why);
	if (!err && !why)
		why = compare_key(jwk, cert);
	if (why)
		return refuse_key(f, i, why);
	return err ? err : foreign_cert_add(f, cert, now);
}

static bool has_kid(const struct foreign *f, struct slice kid)
{
	AUTO(buf) struct buf wanted = BUF_INIT(LIM_JWKS);

	buf_put_str(&wanted, "\"kid\": ");
	buf_put_json(&wanted, kid);
	return f->jwks.len && memmem(f->jwks.data, f->jwks.len, wanted.data, wanted.len);
}

static int add_jwt(struct foreign *f, const json_t *jwk, size_t i)
{
	AUTO(pkey) EVP_PKEY *key = NULL;
	struct slice kid = text_of(jwk, "kid");
	const char *why = NULL;
	int err;

	if (!kid.len)
		return refuse_key(f, i, "kid is missing (JWT-SVID 6.1)");
	if (has_kid(f, kid))
		return refuse_key(f, i, "its kid is that of another key");
	if (f->n_jwt >= LIM_JWKS_KEYS)
		return -ERR_SIZE;
	err = jwk_key(jwk, false, &key, &why);
	if (err)
		return why ? refuse_key(f, i, why) : err;
	buf_put_str(&f->jwks, f->jwks.len ? ", {" : "{\"keys\": [{");
	err = jwk_put_public(&f->jwks, key);
	buf_put_str(&f->jwks, ", \"use\": \"jwt-svid\", \"kid\": ");
	buf_put_json(&f->jwks, kid);
	buf_put_str(&f->jwks, "}");
	f->n_jwt++;
	return err ? err : buf_ok(&f->jwks);
}

static int add_key(struct foreign *f, struct slice trust_domain, const json_t *jwk, size_t i, int64_t now)
{
	struct slice use = text_of(jwk, "use");

	if (!json_is_object(jwk))
		return refuse_key(f, i, "it is not a JSON object");
	if (jwk_is_private(jwk))
		return refuse_key(f, i, "it holds a PRIVATE key: whoever owns it should make a new one");
	/* Trust Domain and Bundle 4.1.3, 4.2.1, 4.2.2 */
	if (!jwk_is_known(jwk))
		return ignore_key(f, i, "its kty is neither RSA nor EC");
	if (slice_eq_str(use, "x509-svid"))
		return add_x509(f, trust_domain, jwk, i, now);
	if (slice_eq_str(use, "jwt-svid"))
		return add_jwt(f, jwk, i);
	return ignore_key(f, i, slice_eq_str(use, "wit-svid") ? "WIT-SVIDs of other trust domains are not checked here" :
								"its use is missing or unknown");
}

static int read_sequence(struct foreign *f, const json_t *root)
{
	const json_t *sequence = json_object_get(root, "spiffe_sequence"), *hint = json_object_get(root, "spiffe_refresh_hint");

	if ((sequence && (!json_is_integer(sequence) || json_integer_value(sequence) < 0)) ||
	    (hint && (!json_is_integer(hint) || json_integer_value(hint) < 0))) {
		buf_put_str(&f->why, "spiffe_sequence and spiffe_refresh_hint are numbers without sign and fraction");
		return -ERR_FORMAT;
	}
	f->sequence = (uint64_t)json_integer_value(sequence);
	return 0;
}

static int read_keys(struct foreign *f, struct slice trust_domain, const json_t *root, int64_t now)
{
	const json_t *keys = json_object_get(root, "keys"), *jwk;
	int err = read_sequence(f, root);
	size_t i;

	if (err)
		return err;
	if (!json_is_array(keys)) {
		buf_put_str(&f->why, json_object_get(root, "trust_domains") ?
					     "it is a bundle map; take the one bundle out that is wanted" :
					     "keys is missing, so it is no SPIFFE bundle (Trust Domain and Bundle 4.1.3)");
		return -ERR_FORMAT;
	}
	json_array_foreach(keys, i, jwk) {
		err = add_key(f, trust_domain, jwk, i, now);
		if (err)
			return err;
	}
	if (f->jwks.len)
		buf_put_str(&f->jwks, "]}");
	return buf_ok(&f->jwks);
}

static int read_json(struct foreign *f, struct slice trust_domain, struct slice file, int64_t now)
{
	json_error_t where;
	json_t *root = json_loadb((const char *)file.p, file.len, JSON_REJECT_DUPLICATES, &where);
	int err;

	if (!json_is_object(root)) {
		if (root)
			buf_put_str(&f->why, "a JSON object is wanted");
		else
			buf_printf(&f->why, "line %d, column %d: %s", where.line, where.column, where.text);
		json_decref(root);
		return -ERR_FORMAT;
	}
	err = read_keys(f, trust_domain, root, now);
	json_decref(root);
	return err;
}

static int read_blocks(struct foreign *f, struct slice trust_domain, BIO *in, int64_t now)
{
	char *label = NULL, *header = NULL;
	unsigned char *der = NULL;
	const char *why = NULL;
	long len;
	int err = 0;

	while (!err && PEM_read_bio(in, &label, &header, &der, &len) == 1) {
		AUTO(cert) X509 *cert = NULL;

		if (strstr(label, "PRIVATE KEY"))
			why = "it holds a PRIVATE key: whoever owns it should make a new one";
		else if (strcmp(label, "CERTIFICATE") != 0)
			why = "something in it is no certificate";
		if (!why)
			err = foreign_cert_read(slice_of(der, (size_t)len), trust_domain, &cert, &why);
		if (!err && !why)
			err = foreign_cert_add(f, cert, now);
		OPENSSL_clear_free(der, (size_t)len);
		OPENSSL_free(label);
		OPENSSL_free(header);
		if (why) {
			buf_put_str(&f->why, why);
			err = -ERR_FORMAT;
		}
	}
	/* The queue says why the reading ended: nothing more, or a block that is broken. */
	if (!err && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		buf_put_str(&f->why, "a PEM block is broken");
		err = -ERR_FORMAT;
	}
	ERR_clear_error();
	return err;
}

static int read_pem(struct foreign *f, struct slice trust_domain, struct slice file, int64_t now)
{
	AUTO(bio) BIO *in = BIO_new_mem_buf(file.p, (int)file.len);

	return in ? read_blocks(f, trust_domain, in, now) : -ENOMEM;
}

int foreign_read(struct slice trust_domain, struct slice file, int64_t now, struct foreign *f)
{
	struct slice at = file;
	int err;

	while (at.len && strchr(" \t\r\n", *at.p) && *at.p)
		(void)slice_get_u8(&at);
	if (!at.len || file.len > FOREIGN_FILE) {
		buf_put_str(&f->why, at.len ? "it is too large" : "it is empty");
		return -ERR_FORMAT;
	}
	err = *at.p == '{' || *at.p == '[' ? read_json(f, trust_domain, file, now) : read_pem(f, trust_domain, file, now);
	if (!err && !f->n_x509 && !f->n_jwt) {
		/* Trust Domain and Bundle 4.1.3: then nothing of that trust domain is valid. That must be said outright. */
		buf_put_str(&f->why, "nothing in it can be used; to trust that trust domain no more: svid bundle delete");
		err = -ERR_FORMAT;
	}
	return err;
}
