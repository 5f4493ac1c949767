/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/cli/foreign.c agent/cli/foreign_cert.c agent/cli/jwk.c tests/lib/certs.c */
/* cli_foreign_test.c - bundles that somebody handed over: what is ignored, what refuses the whole, what comes out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/base/base64.h"
#include "agent/cli/foreign.h"
#include "agent/cli/jwk.h"
#include "tests/lib/certs.h"

#define NOW 1790000000ll
#define TD "other.example"
#define SIGNS "critical,keyCertSign,cRLSign"

static const struct cert_form root_form = { "URI:spiffe://" TD, "critical,CA:TRUE", SIGNS, NULL, -30, 86400 };

static EVP_PKEY *ca_key, *jwt_key;
static struct buf cert_text = BUF_INIT(1 << 16); /* base64 of a good CA certificate */
static struct buf jwt_members = BUF_INIT(1 << 16); /* kty, crv, x, y of a key */
static struct buf ca_members = BUF_INIT(1 << 16);

static int read_text(const char *text, struct foreign *f)
{
	return foreign_read(slice_str(TD), slice_str(text), NOW, f);
}

/* @keys: members of "keys", in which %C is a good certificate, %J the members of a JWT key, %A those of the CA's. */
static void fill(struct buf *out, const char *keys)
{
	for (; *keys; keys++) {
		if (*keys == '%' && keys[1]) {
			keys++;
			buf_put_slice(out, buf_slice(*keys == 'C' ? &cert_text : *keys == 'J' ? &jwt_members : &ca_members));
		} else {
			buf_put(out, keys, 1);
		}
	}
}

static int read_keys(const char *keys, struct foreign *f)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 20);

	buf_put_str(&text, "{\"spiffe_sequence\": 7, \"more\": {}, \"keys\": [");
	fill(&text, keys);
	buf_put_str(&text, "]}");
	return read_text(buf_cstr(&text), f);
}

static void refused(const char *keys, const char *why)
{
	AUTO(foreign) struct foreign f = FOREIGN_INIT;

	if (read_keys(keys, &f) != -ERR_FORMAT)
		fail_msg("taken: %s", keys);
	if (!strstr(buf_cstr(&f.why), why))
		fail_msg("no \"%s\" in: %s", why, buf_cstr(&f.why));
}

#define X509_KEY "{%A,\"use\":\"x509-svid\",\"x5c\":[\"%C\"]}"
#define JWT_KEY "{%J,\"use\":\"jwt-svid\",\"kid\":\"k1\"}"

static void good_bundle_comes_out_in_one_form(void **state)
{
	AUTO(foreign) struct foreign f = FOREIGN_INIT;
	AUTO(buf) struct buf want = BUF_INIT(1 << 16);

	(void)state;
	assert_int_equal(read_keys(X509_KEY "," JWT_KEY, &f), 0);
	assert_int_equal(f.n_x509, 1);
	assert_int_equal(f.n_jwt, 1);
	assert_int_equal(f.sequence, 7);
	assert_string_equal(buf_cstr(&f.warnings), "");
	fill(&want, "{\"keys\": [{%J, \"use\": \"jwt-svid\", \"kid\": \"k1\"}]}");
	assert_string_equal(buf_cstr(&f.jwks), buf_cstr(&want));
	base64_put(&cert_text, slice_of(NULL, 0), BASE64_PLAIN);
	buf_reset(&want);
	base64_put(&want, buf_slice(&f.der), BASE64_PLAIN);
	assert_string_equal(buf_cstr(&want), buf_cstr(&cert_text));
}

static void what_the_standard_ignores_is_ignored(void **state)
{
	static const struct {
		const char *keys, *warning;
	} cases[] = {
		{ "{\"kty\":\"OKP\",\"use\":\"jwt-svid\",\"crv\":\"Ed25519\",\"x\":\"A\"}", "kty is neither" },
		{ "{\"kty\":\"AKP\",\"use\":\"jwt-svid\"}", "kty is neither" },
		{ "{\"use\":\"jwt-svid\"}", "kty is neither" },
		{ "{%J,\"kid\":\"x\"}", "use is missing" },
		{ "{%J,\"kid\":\"x\",\"use\":\"sig\"}", "use is missing or unknown" },
		{ "{%J,\"kid\":\"x\",\"use\":\"JWT-SVID\"}", "use is missing or unknown" },
		{ "{%J,\"kid\":\"x\",\"use\":\"wit-svid\"}", "WIT-SVIDs" },
		{ "{%A,\"use\":\"x509-svid\"}", "x5c is missing" },
		{ "{%A,\"use\":\"x509-svid\",\"x5c\":[]}", "x5c is missing" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(foreign) struct foreign f = FOREIGN_INIT;
		AUTO(buf) struct buf keys = BUF_INIT(1 << 16);

		buf_printf(&keys, "%s,%s", cases[i].keys, X509_KEY);
		assert_int_equal(read_keys(buf_cstr(&keys), &f), 0);
		assert_int_equal(f.n_x509, 1);
		assert_int_equal(f.n_jwt, 0);
		assert_non_null(strstr(buf_cstr(&f.warnings), cases[i].warning));
		/* Alone it is nothing, and that must not look like a bundle. */
		refused(cases[i].keys, "svid bundle delete");
	}
}

static void only_the_first_certificate_of_x5c_counts(void **state)
{
	AUTO(foreign) struct foreign f = FOREIGN_INIT;

	(void)state;
	assert_int_equal(read_keys("{%A,\"use\":\"x509-svid\",\"x5c\":[\"%C\",\"nonsense\"]}", &f), 0);
	assert_int_equal(f.n_x509, 1);
	assert_non_null(strstr(buf_cstr(&f.warnings), "follows the first"));
}

static void what_is_wrong_refuses_the_whole(void **state)
{
	static const struct {
		const char *keys, *why;
	} cases[] = {
		{ "", "nothing in it" },
		{ "7", "not a JSON object" },
		{ "{%A,\"use\":\"x509-svid\",\"x5c\":[\"AAAA\"]}", "not one DER certificate" },
		{ "{%A,\"use\":\"x509-svid\",\"x5c\":[\"%C!\"]}", "not standard base64" },
		{ "{%A,\"use\":\"x509-svid\",\"x5c\":[7]}", "not standard base64" },
		{ "{%J,\"use\":\"x509-svid\",\"x5c\":[\"%C\"]}", "of different keys" },
		{ "{%J,\"use\":\"jwt-svid\"}", "kid is missing" },
		{ JWT_KEY "," JWT_KEY, "kid is that of another" },
		{ "{%J,\"use\":\"jwt-svid\",\"kid\":\"k\",\"d\":\"AAAA\"}", "PRIVATE" },
		{ "{\"kty\":\"oct\",\"k\":\"AAAA\",\"use\":\"jwt-svid\",\"kid\":\"k\"}", "PRIVATE" },
		{ "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\",\"use\":\"jwt-svid\",\"kid\":\"k\"}", "curve" },
		{ "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"use\":\"jwt-svid\",\"kid\":\"k\"}", "2048" },
		{ "{%J,\"use\":\"jwt-svid\",\"kid\":\"k\",\"kid\":\"k\"}", "line 1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		refused(cases[i].keys, cases[i].why);
}

static void documents_of_another_kind_are_refused(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "", "empty" }, { " \n ", "empty" }, { "{", "line" }, { "[]", "object is wanted" }, { "{}", "keys is missing" },
		{ "{\"keys\": null}", "keys is missing" }, { "{\"trust_domains\": {}}", "bundle map" },
		{ "{\"keys\": [], \"spiffe_sequence\": -1}", "without sign" },
		{ "{\"keys\": [], \"spiffe_sequence\": 1.5}", "without sign" },
		{ "{\"keys\": [], \"spiffe_refresh_hint\": \"5\"}", "without sign" },
		{ "hello", "nothing in it" },
		{ "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "DER certificate" },
		{ "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n", "broken" },
		{ "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "PRIVATE" },
		{ "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no certificate" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(foreign) struct foreign f = FOREIGN_INIT;

		if (read_text(cases[i].text, &f) != -ERR_FORMAT)
			fail_msg("taken: %s", cases[i].text);
		if (!strstr(buf_cstr(&f.why), cases[i].why))
			fail_msg("no \"%s\" in: %s", cases[i].why, buf_cstr(&f.why));
	}
}

static void put_pem(struct buf *out, const struct cert_form *form, EVP_PKEY *key)
{
	X509 *cert = cert_make(form, NOW, key, "root", NULL, key);
	BIO *mem = BIO_new(BIO_s_mem());
	char *text;
	long len;

	assert_int_equal(PEM_write_bio_X509(mem, cert), 1);
	len = BIO_get_mem_data(mem, &text);
	buf_put(out, text, (size_t)len);
	BIO_free(mem);
	X509_free(cert);
}

static void certificates_must_be_of_an_authority_of_that_trust_domain(void **state)
{
	static const struct {
		struct cert_form form;
		const char *why; /* NULL: taken */
	} cases[] = {
		{ { "URI:spiffe://" TD, "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, NULL },
		{ { NULL, "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, NULL },
		{ { "DNS:ca.example", "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, NULL },
		{ { "URI:spiffe://" TD, "critical,CA:FALSE", SIGNS, NULL, -1, 9 }, "not a CA" },
		{ { "URI:spiffe://" TD, NULL, SIGNS, NULL, -1, 9 }, "not a CA" },
		{ { "URI:spiffe://" TD, "critical,CA:TRUE", NULL, NULL, -1, 9 }, "keyCertSign" },
		{ { "URI:spiffe://" TD, "critical,CA:TRUE", "critical,cRLSign", NULL, -1, 9 }, "keyCertSign" },
		{ { "URI:spiffe://" TD "/ca", "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, "has a path" },
		{ { "URI:spiffe://example.org", "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, "another trust domain" },
		{ { "URI:https://example.org", "critical,CA:TRUE", SIGNS, NULL, -1, 9 }, "no SPIFFE ID" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(foreign) struct foreign f = FOREIGN_INIT;
		AUTO(buf) struct buf pem = BUF_INIT(1 << 16);

		put_pem(&pem, &cases[i].form, ca_key);
		assert_int_equal(read_text(buf_cstr(&pem), &f), cases[i].why ? -ERR_FORMAT : 0);
		if (cases[i].why && !strstr(buf_cstr(&f.why), cases[i].why))
			fail_msg("no \"%s\" in: %s", cases[i].why, buf_cstr(&f.why));
	}
}

static void weak_and_strange_keys_are_refused(void **state)
{
	AUTO(pkey) EVP_PKEY *weak = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024);
	AUTO(pkey) EVP_PKEY *strange = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1");
	EVP_PKEY *const keys[] = { weak, strange };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		AUTO(foreign) struct foreign f = FOREIGN_INIT;
		AUTO(buf) struct buf pem = BUF_INIT(1 << 16);

		put_pem(&pem, &root_form, keys[i]);
		assert_int_equal(read_text(buf_cstr(&pem), &f), -ERR_FORMAT);
		assert_non_null(strstr(buf_cstr(&f.why), i ? "another curve" : "2048"));
	}
}

static void pem_may_hold_several_and_warns_of_old_and_double_ones(void **state)
{
	static const struct cert_form old = { "URI:spiffe://" TD, "critical,CA:TRUE", SIGNS, NULL, -90, -1 };
	static const struct cert_form future = { "URI:spiffe://" TD, "critical,CA:TRUE", SIGNS, NULL, 60, 90 };
	AUTO(foreign) struct foreign f = FOREIGN_INIT;
	AUTO(buf) struct buf pem = BUF_INIT(1 << 18);
	X509 *cert = cert_make(&root_form, NOW, ca_key, "root", NULL, ca_key);
	AUTO(buf) struct buf der = BUF_INIT(1 << 16);

	(void)state;
	buf_put_str(&pem, "# what people write above a certificate\n");
	put_pem(&pem, &old, ca_key);
	put_pem(&pem, &future, ca_key);
	cert_put(&der, cert);
	for (int i = 0; i < 2; i++) {
		buf_put_str(&pem, "-----BEGIN CERTIFICATE-----\n");
		base64_put(&pem, buf_slice(&der), BASE64_PLAIN);
		buf_put_str(&pem, "\n-----END CERTIFICATE-----\n");
	}
	assert_int_equal(read_text(buf_cstr(&pem), &f), 0);
	assert_int_equal(f.n_x509, 3);
	assert_int_equal(f.n_jwt, 0);
	assert_int_equal(f.jwks.len, 0);
	assert_non_null(strstr(buf_cstr(&f.warnings), "number 1 expired at 2026-"));
	assert_non_null(strstr(buf_cstr(&f.warnings), "number 2 is not yet valid"));
	assert_non_null(strstr(buf_cstr(&f.warnings), "there twice"));
	X509_free(cert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_bundle_comes_out_in_one_form),
		cmocka_unit_test(what_the_standard_ignores_is_ignored),
		cmocka_unit_test(only_the_first_certificate_of_x5c_counts),
		cmocka_unit_test(what_is_wrong_refuses_the_whole),
		cmocka_unit_test(documents_of_another_kind_are_refused),
		cmocka_unit_test(certificates_must_be_of_an_authority_of_that_trust_domain),
		cmocka_unit_test(weak_and_strange_keys_are_refused),
		cmocka_unit_test(pem_may_hold_several_and_warns_of_old_and_double_ones),
	};
	struct buf der = BUF_INIT(1 << 16);
	X509 *ca;
	int failed;

	ca_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	jwt_key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	ca = cert_make(&root_form, NOW, ca_key, "root", NULL, ca_key);
	cert_put(&der, ca);
	base64_put(&cert_text, buf_slice(&der), BASE64_PLAIN);
	if (jwk_put_public(&jwt_members, jwt_key) || jwk_put_public(&ca_members, ca_key))
		return 1;
	failed = cmocka_run_group_tests_name("unit/cli_foreign", tests, NULL, NULL);
	buf_done(&der);
	buf_done(&cert_text);
	buf_done(&jwt_members);
	buf_done(&ca_members);
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(jwt_key);
	return failed;
}
