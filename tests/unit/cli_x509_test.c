/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/x509.c tests/lib/certs.c */
/* cli_x509_test.c - svid reads SVIDs as the strictest client would: each breach is named. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/limits.h"
#include "agent/cli/x509.h"
#include "tests/lib/certs.h"

#define NOW 1790000000ll
#define ID "spiffe://example.org/web"
#define NO_CA "CA:FALSE"
#define SIGNS "critical,digitalSignature"

static const struct cert_form good = { "URI:" ID ",DNS:web.example.org", "critical,CA:FALSE", "critical,digitalSignature",
				       "serverAuth,clientAuth", -30, 3600 };
static const struct cert_form root = { "URI:spiffe://example.org", "critical,CA:TRUE", "critical,keyCertSign,cRLSign", NULL,
				       -30, 86400 };

static EVP_PKEY *ca_key, *leaf_key;
static X509 *ca;

static X509 *make(const struct cert_form *f, EVP_PKEY *key, const char *name)
{
	return cert_make(f, NOW, key, name, ca, ca_key);
}

static void put_key(struct buf *out, EVP_PKEY *key)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);

	assert_true(len > 0);
	buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	PKCS8_PRIV_KEY_INFO_free(info);
}

struct parts {
	struct buf chain, key, bundle;
	struct x509_svid svid;
};

static void parts_make(struct parts *p, const struct cert_form *f)
{
	X509 *leaf = make(f, leaf_key, "leaf");

	*p = (struct parts){ .chain = BUF_INIT(LIM_CHAIN), .key = BUF_INIT(LIM_CHAIN), .bundle = BUF_INIT(LIM_CHAIN) };
	cert_put(&p->chain, leaf);
	put_key(&p->key, leaf_key);
	cert_put(&p->bundle, ca);
	X509_free(leaf);
	p->svid = (struct x509_svid){ .spiffe_id = slice_str(ID), .chain = buf_slice(&p->chain), .key = buf_slice(&p->key),
				      .bundle = buf_slice(&p->bundle) };
}

static void parts_done(struct parts *p)
{
	buf_done(&p->chain);
	buf_done(&p->key);
	buf_done(&p->bundle);
}

/* The report of @svid has a line that contains @want; NULL: it has none at all. */
static void says(const struct x509_svid *svid, const char *want)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;

	assert_int_equal(x509_inspect(svid, NOW, &r), 0);
	if (!want)
		assert_string_equal(buf_cstr(&r.problems), "");
	else if (!strstr(buf_cstr(&r.problems), want))
		fail_msg("no \"%s\" in: %s", want, buf_cstr(&r.problems));
}

static void good_svid_has_no_problem(void **state)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;
	struct parts p;

	(void)state;
	parts_make(&p, &good);
	says(&p.svid, NULL);
	assert_int_equal(x509_inspect(&p.svid, NOW, &r), 0);
	assert_string_equal(buf_cstr(&r.uri), ID);
	assert_string_equal(buf_cstr(&r.dns), "web.example.org\n");
	assert_string_equal(buf_cstr(&r.serial), "1267");
	assert_string_equal(buf_cstr(&r.subject), "O=leaf");
	assert_string_equal(buf_cstr(&r.key_kind), "EC prime256v1, 256 bits");
	assert_int_equal(r.not_before, NOW - 30);
	assert_int_equal(r.not_after, NOW + 3600);
	assert_int_equal(r.n_chain, 1);
	assert_int_equal(r.n_bundle, 1);
	parts_done(&p);
}

static void each_breach_of_the_leaf_is_named(void **state)
{
	static const struct {
		struct cert_form form;
		const char *want;
	} cases[] = {
		{ { "URI:" ID ",URI:spiffe://example.org/two", NO_CA, SIGNS, NULL, -1, 9 }, "more than one URI" },
		{ { "DNS:x", NO_CA, SIGNS, NULL, -1, 9 }, "no URI name" },
		{ { "URI:https://example.org/web", NO_CA, SIGNS, NULL, -1, 9 }, "no SPIFFE ID" },
		{ { "URI:spiffe://example.org", NO_CA, SIGNS, NULL, -1, 9 }, "has no path" },
		{ { "URI:spiffe://example.org/other", NO_CA, SIGNS, NULL, -1, 9 }, "not the one the message" },
		{ { "URI:" ID, "CA:TRUE", SIGNS, NULL, -1, 9 }, "is a CA" },
		{ { "URI:" ID, NULL, SIGNS, NULL, -1, 9 }, "no basicConstraints" },
		{ { "URI:" ID, NO_CA, NULL, NULL, -1, 9 }, "no keyUsage" },
		{ { "URI:" ID, NO_CA, "critical,keyEncipherment", NULL, -1, 9 }, "lacks digitalSignature" },
		{ { "URI:" ID, NO_CA, SIGNS ",cRLSign", NULL, -1, 9 }, "allows signing" },
		{ { "URI:" ID, NO_CA, SIGNS, "serverAuth", -1, 9 }, "lacks serverAuth or clientAuth" },
		{ { "URI:" ID, NO_CA, SIGNS, NULL, -90, -9 }, "expired" },
		{ { "URI:" ID, NO_CA, SIGNS, NULL, 5, 9 }, "not yet valid" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct parts p;

		parts_make(&p, &cases[i].form);
		says(&p.svid, cases[i].want);
		parts_done(&p);
	}
}

static void foreign_key_is_noticed(void **state)
{
	AUTO(buf) struct buf other = BUF_INIT(LIM_CHAIN);
	struct parts p;

	(void)state;
	parts_make(&p, &good);
	put_key(&other, ca_key);
	p.svid.key = buf_slice(&other);
	says(&p.svid, "does not belong");
	p.svid.key = slice_str("no key");
	says(&p.svid, "not unencrypted PKCS#8");
	p.svid.key = slice_of(NULL, 0);
	says(&p.svid, "not unencrypted PKCS#8");
	buf_put_u8(&p.key, 0); /* bytes behind it */
	p.svid.key = buf_slice(&p.key);
	says(&p.svid, "not unencrypted PKCS#8");
	parts_done(&p);
}

static void bundle_that_does_not_fit_is_noticed(void **state)
{
	struct parts p;

	(void)state;
	parts_make(&p, &good);
	p.svid.bundle = slice_of(NULL, 0);
	says(&p.svid, "bundle is empty");
	p.svid.bundle = p.svid.chain;
	says(&p.svid, "no valid path");
	p.svid.bundle = slice_str("no bundle");
	says(&p.svid, "not DER certificates");
	parts_done(&p);
}

static void unreadable_leaf_is_an_error(void **state)
{
	AUTO(x509_report) struct x509_report r = X509_REPORT_INIT;
	struct parts p;

	(void)state;
	parts_make(&p, &good);
	for (size_t n = 0; n < p.chain.len; n += 7) {
		p.svid.chain = slice_of(p.chain.data, n);
		assert_int_equal(x509_inspect(&p.svid, NOW, &r), -ERR_FORMAT);
	}
	parts_done(&p);
}

static void pem_is_what_openssl_reads(void **state)
{
	AUTO(buf) struct buf pem = BUF_INIT_SECRET(1 << 16);
	struct parts p;
	BIO *in;
	EVP_PKEY *key;
	X509 *first, *second;

	(void)state;
	parts_make(&p, &good);
	cert_put(&p.chain, ca);
	assert_int_equal(x509_put_pem(&pem, buf_slice(&p.chain)), 0);
	assert_int_equal(x509_put_key_pem(&pem, buf_slice(&p.key)), 0);
	in = BIO_new_mem_buf(pem.data, (int)pem.len);
	first = PEM_read_bio_X509(in, NULL, NULL, NULL);
	second = PEM_read_bio_X509(in, NULL, NULL, NULL);
	key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	assert_int_equal(X509_check_private_key(first, key), 1);
	assert_int_equal(X509_cmp(second, ca), 0);
	assert_int_equal(x509_put_pem(&pem, slice_str("not DER")), -ERR_FORMAT);
	EVP_PKEY_free(key);
	X509_free(first);
	X509_free(second);
	BIO_free(in);
	parts_done(&p);
}

static void list_shows_one_line_each(void **state)
{
	AUTO(buf) struct buf out = BUF_INIT(1 << 16);
	AUTO(buf) struct buf der = BUF_INIT(1 << 16);

	(void)state;
	cert_put(&der, ca);
	cert_put(&der, ca);
	assert_int_equal(x509_put_list(&out, "ca  ", buf_slice(&der)), 0);
	assert_string_equal(buf_cstr(&out), "ca  spiffe://example.org  until 2026-09-22T14:13:20Z  serial 1267\n"
					    "ca  spiffe://example.org  until 2026-09-22T14:13:20Z  serial 1267\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_svid_has_no_problem),
		cmocka_unit_test(each_breach_of_the_leaf_is_named),
		cmocka_unit_test(foreign_key_is_noticed),
		cmocka_unit_test(bundle_that_does_not_fit_is_noticed),
		cmocka_unit_test(unreadable_leaf_is_an_error),
		cmocka_unit_test(pem_is_what_openssl_reads),
		cmocka_unit_test(list_shows_one_line_each),
	};
	int failed;

	ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	leaf_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca = make(&root, ca_key, "root");
	failed = cmocka_run_group_tests_name("unit/cli_x509", tests, NULL, NULL);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(leaf_key);
	return failed;
}
