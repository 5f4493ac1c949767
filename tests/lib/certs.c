// SPDX-License-Identifier: Apache-2.0
/* certs.c - makes certificates for tests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "tests/lib/certs.h"

static void add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *ext = value ? X509V3_EXT_conf_nid(NULL, NULL, nid, value) : NULL;

	if (!value)
		return;
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

X509 *cert_make(const struct cert_form *f, int64_t now, EVP_PKEY *key, const char *name, X509 *ca, EVP_PKEY *ca_key)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 4711);
	X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, ca ? X509_get_subject_name(ca) : subject);
	ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)(now + f->from));
	ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)(now + f->to));
	X509_set_pubkey(cert, key);
	add(cert, NID_subject_alt_name, f->san);
	add(cert, NID_basic_constraints, f->basic);
	add(cert, NID_key_usage, f->usage);
	add(cert, NID_ext_key_usage, f->extended);
	assert_true(X509_sign(cert, ca_key, EVP_sha256()) > 0);
	return cert;
}

void cert_put(struct buf *out, X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509(cert, &der);

	assert_true(len > 0);
	buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
}
