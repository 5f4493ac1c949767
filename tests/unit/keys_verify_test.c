/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/verify.c agent/keys/pkey.c agent/keys/heap.c */
/* keys_verify_test.c - signature checks over raw numbers: RFC 7515's own examples, each algorithm, each broken shape. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

#include "agent/keys/ossl.h"
#include "agent/keys/verify.h"
#include "agent/base/base64.h"
#include "agent/ipc/plan.h"

#define INPUT                                                                                                          \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
#define N_2048                                                                                                         \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS"  \
	"-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2"   \
	"CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9g"  \
	"b54h4FRWyuXpoQ"
#define SIG_RS256                                                                                                      \
	"cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUA"  \
	"r7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO"    \
	"--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN"   \
	"_IoypGlUPQGe77Rw"
#define SIG_ES512                                                                                                      \
	"AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJ"  \
	"ZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"

/* One check, whose bytes a test may change. */
struct question {
	struct buf input, signature, a, b;
	uint32_t alg, curve;
};

static void question_autoclean(struct question *q)
{
	buf_done(&q->input);
	buf_done(&q->signature);
	buf_done(&q->a);
	buf_done(&q->b);
}

#define QUESTION { BUF_INIT(65536), BUF_INIT(4096), BUF_INIT(4096), BUF_INIT(4096), 0, 0 }

static int ask(const struct question *q)
{
	const struct msg_FK_VERIFY m = { .alg = q->alg, .curve = q->curve, .input = buf_slice(&q->input),
					 .signature = buf_slice(&q->signature), .a = buf_slice(&q->a), .b = buf_slice(&q->b) };

	return verify_signature(&m);
}

static void examples_of_rfc_7515_verify(void **state)
{
	static const struct {
		uint32_t alg, curve;
		const char *input, *signature, *a, *b;
	} cases[] = {
		{ JWT_RS256, CURVE_NONE, "eyJhbGciOiJSUzI1NiJ9." INPUT, SIG_RS256, N_2048, "AQAB" },
		{ JWT_ES256, CURVE_P256, "eyJhbGciOiJFUzI1NiJ9." INPUT,
		  "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
		  "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" },
		{ JWT_ES512, CURVE_P521, "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA", SIG_ES512,
		  "AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk",
		  "ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(question) struct question q = QUESTION;

		q.alg = cases[i].alg;
		q.curve = cases[i].curve;
		buf_put_str(&q.input, cases[i].input);
		assert_int_equal(base64_get(&q.signature, slice_str(cases[i].signature), BASE64_URL), 0);
		assert_int_equal(base64_get(&q.a, slice_str(cases[i].a), BASE64_URL), 0);
		assert_int_equal(base64_get(&q.b, slice_str(cases[i].b), BASE64_URL), 0);
		assert_int_equal(ask(&q), 0);
		q.input.data[q.input.len - 1] ^= 1;
		assert_int_equal(ask(&q), -ERR_SIGNATURE);
	}
}

static void put_number(struct buf *out, EVP_PKEY *key, const char *name, int width)
{
	BIGNUM *n = NULL;

	assert_int_equal(EVP_PKEY_get_bn_param(key, name, &n), 1);
	width = width ? width : BN_num_bytes(n);
	assert_int_equal(BN_bn2binpad(n, buf_reserve(out, (size_t)width), width), width);
	buf_added(out, (size_t)width);
	BN_free(n);
}

static void raw_of(struct question *q, const uint8_t *der, size_t len, int width)
{
	ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)len);

	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(pair), buf_reserve(&q->signature, (size_t)width), width), width);
	buf_added(&q->signature, (size_t)width);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(pair), buf_reserve(&q->signature, (size_t)width), width), width);
	buf_added(&q->signature, (size_t)width);
	ECDSA_SIG_free(pair);
}

/* Signs by hand: nothing of verify.c is used. @salt: 0 for PKCS#1 v1.5. */
static void sign(struct question *q, EVP_PKEY *key, const EVP_MD *md, int salt)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t sig[1100];
	size_t len = sizeof(sig);
	EVP_PKEY_CTX *how;

	assert_int_equal(EVP_DigestSignInit(ctx, &how, md, NULL, key), 1);
	if (salt) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(how, salt), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, sig, &len, q->input.data, q->input.len), 1);
	buf_reset(&q->signature);
	if (EVP_PKEY_is_a(key, "EC"))
		raw_of(q, sig, len, (EVP_PKEY_get_bits(key) + 7) / 8);
	else
		buf_put(&q->signature, sig, len);
	EVP_MD_CTX_free(ctx);
}

static EVP_PKEY *rsa_of(unsigned int bits)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)bits);

	assert_non_null(key);
	return key;
}

static EVP_PKEY *rsa(void)
{
	static EVP_PKEY *key;

	if (!key)
		key = rsa_of(2048);
	return key;
}

static void question_rsa(struct question *q, EVP_PKEY *key, uint32_t alg)
{
	q->alg = alg;
	buf_put_str(&q->input, "header.claims");
	put_number(&q->a, key, OSSL_PKEY_PARAM_RSA_N, 0);
	put_number(&q->b, key, OSSL_PKEY_PARAM_RSA_E, 0);
}

static const struct {
	uint32_t alg;
	const EVP_MD *(*md)(void);
	int salt;
} rsa_algs[] = { { JWT_RS256, EVP_sha256, 0 },	{ JWT_RS384, EVP_sha384, 0 },  { JWT_RS512, EVP_sha512, 0 },
		 { JWT_PS256, EVP_sha256, 32 }, { JWT_PS384, EVP_sha384, 48 }, { JWT_PS512, EVP_sha512, 64 } };

static const struct {
	uint32_t alg, curve;
	const char *group;
	const EVP_MD *(*md)(void);
} ec_algs[] = { { JWT_ES256, CURVE_P256, "P-256", EVP_sha256 },
		{ JWT_ES384, CURVE_P384, "P-384", EVP_sha384 },
		{ JWT_ES512, CURVE_P521, "P-521", EVP_sha512 } };

static void question_ec(struct question *q, size_t i)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", ec_algs[i].group);
	int width = (EVP_PKEY_get_bits(key) + 7) / 8;

	q->alg = ec_algs[i].alg;
	q->curve = ec_algs[i].curve;
	buf_put_str(&q->input, "header.claims");
	put_number(&q->a, key, OSSL_PKEY_PARAM_EC_PUB_X, width);
	put_number(&q->b, key, OSSL_PKEY_PARAM_EC_PUB_Y, width);
	sign(q, key, ec_algs[i].md(), 0);
	EVP_PKEY_free(key);
}

static void each_rsa_algorithm_verifies_as_itself_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rsa_algs); i++) {
		AUTO(question) struct question q = QUESTION;

		question_rsa(&q, rsa(), rsa_algs[i].alg);
		sign(&q, rsa(), rsa_algs[i].md(), rsa_algs[i].salt);
		for (size_t j = 0; j < ARRAY_SIZE(rsa_algs); j++) {
			q.alg = rsa_algs[j].alg;
			assert_int_equal(ask(&q), i == j ? 0 : -ERR_SIGNATURE);
		}
		for (size_t j = 0; j < ARRAY_SIZE(ec_algs); j++) {
			q.alg = ec_algs[j].alg;
			assert_int_equal(ask(&q), -ERR_FORMAT);
		}
	}
}

static void each_ec_algorithm_verifies_as_itself_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ec_algs); i++) {
		AUTO(question) struct question q = QUESTION;

		question_ec(&q, i);
		for (uint32_t alg = JWT_RS256; alg < JWT_ALG_COUNT; alg++) {
			q.alg = alg;
			assert_int_equal(ask(&q), alg == ec_algs[i].alg ? 0 : -ERR_FORMAT);
		}
	}
}

/* RFC 7518 3.5: the salt is as long as the digest. */
static void another_salt_length_is_refused(void **state)
{
	static const int salts[] = { 1, 20, 31, 33, 64 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(salts); i++) {
		AUTO(question) struct question q = QUESTION;

		question_rsa(&q, rsa(), JWT_PS256);
		sign(&q, rsa(), EVP_sha256(), salts[i]);
		assert_int_equal(ask(&q), -ERR_SIGNATURE);
	}
}

static void each_bit_of_a_signature_counts(void **state)
{
	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(ec_algs); i++) {
		AUTO(question) struct question q = QUESTION;

		if (i < ARRAY_SIZE(ec_algs)) {
			question_ec(&q, i);
		} else {
			question_rsa(&q, rsa(), JWT_RS256);
			sign(&q, rsa(), EVP_sha256(), 0);
		}
		for (size_t at = 0; at < q.signature.len; at++) {
			q.signature.data[at] ^= 0x40;
			assert_int_equal(ask(&q), -ERR_SIGNATURE);
			q.signature.data[at] ^= 0x40;
		}
		assert_int_equal(ask(&q), 0);
	}
}

static void a_signature_has_exactly_one_length(void **state)
{
	(void)state;
	for (size_t i = 0; i <= ARRAY_SIZE(ec_algs); i++) {
		AUTO(question) struct question q = QUESTION;
		size_t len;

		if (i < ARRAY_SIZE(ec_algs)) {
			question_ec(&q, i);
		} else {
			question_rsa(&q, rsa(), JWT_RS256);
			sign(&q, rsa(), EVP_sha256(), 0);
		}
		len = q.signature.len;
		for (size_t n = 0; n < len; n++) {
			q.signature.len = n;
			assert_int_equal(ask(&q), -ERR_SIGNATURE);
		}
		q.signature.len = len;
		buf_put_u8(&q.signature, 0);
		assert_int_equal(ask(&q), -ERR_SIGNATURE);
	}
}

/* A forger's favourites: r and s of 0, or the order of the curve. */
static void trivial_ecdsa_signatures_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ec_algs); i++) {
		static const uint8_t fill[] = { 0x00, 0xff, 0x01 };
		AUTO(question) struct question q = QUESTION;

		question_ec(&q, i);
		for (size_t j = 0; j < ARRAY_SIZE(fill); j++) {
			memset(q.signature.data, fill[j], q.signature.len);
			assert_int_equal(ask(&q), -ERR_SIGNATURE);
		}
	}
}

static void points_off_the_curve_and_of_other_sizes_are_no_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ec_algs); i++) {
		AUTO(question) struct question q = QUESTION;

		question_ec(&q, i);
		q.b.data[q.b.len - 1] ^= 1;
		assert_int_equal(ask(&q), -ERR_FORMAT);
		q.b.data[q.b.len - 1] ^= 1;
		assert_int_equal(ask(&q), 0);
		q.a.len--;
		assert_int_equal(ask(&q), -ERR_FORMAT);
		q.a.len++;
		buf_put_u8(&q.b, 0);
		assert_int_equal(ask(&q), -ERR_FORMAT);
		q.b.len--;
		memset(q.a.data, 0, q.a.len);
		memset(q.b.data, 0, q.b.len);
		assert_int_equal(ask(&q), -ERR_FORMAT);
		memset(q.a.data, 0xff, q.a.len);
		memset(q.b.data, 0xff, q.b.len);
		assert_int_equal(ask(&q), -ERR_FORMAT);
	}
}

static void the_curve_must_be_that_of_the_algorithm(void **state)
{
	AUTO(question) struct question q = QUESTION;

	(void)state;
	question_ec(&q, 0);
	for (uint32_t curve = CURVE_NONE; curve < CURVE_COUNT; curve++) {
		q.curve = curve;
		assert_int_equal(ask(&q), curve == CURVE_P256 ? 0 : -ERR_FORMAT);
	}
}

static void algorithms_that_are_none_are_a_breach(void **state)
{
	static const struct {
		uint32_t alg, curve;
	} bad[] = { { JWT_NONE, 0 }, { JWT_ALG_COUNT, 0 }, { UINT32_MAX, 0 }, { JWT_ES256, CURVE_COUNT }, { JWT_RS256, 99 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		AUTO(question) struct question q = QUESTION;

		question_ec(&q, 0);
		assert_int_equal(verify_is_sane(&(struct msg_FK_VERIFY){ .alg = bad[i].alg, .curve = bad[i].curve }),
				 -ERR_FORMAT);
		q.alg = bad[i].alg;
		q.curve = bad[i].curve;
		assert_int_equal(ask(&q), -ERR_FORMAT);
	}
}

static void leading_zeros_of_a_modulus_do_not_matter(void **state)
{
	AUTO(question) struct question q = QUESTION;
	AUTO(buf) struct buf padded = BUF_INIT(4096);

	(void)state;
	question_rsa(&q, rsa(), JWT_RS256);
	sign(&q, rsa(), EVP_sha256(), 0);
	buf_put_u8(&padded, 0);
	buf_put_slice(&padded, buf_slice(&q.a));
	buf_reset(&q.a);
	buf_put_slice(&q.a, buf_slice(&padded));
	assert_int_equal(ask(&q), 0);
}

static void put_bits(struct buf *out, unsigned int bits, uint8_t last)
{
	buf_reset(out);
	for (unsigned int i = 0; i < (bits + 7) / 8; i++)
		buf_put_u8(out, i ? 0xff : (uint8_t)(0xff >> (7 - (bits - 1) % 8)));
	out->data[out->len - 1] = last;
}

static void moduli_have_bounds(void **state)
{
	static const struct {
		unsigned int bits;
		uint8_t last;
		int err;
	} cases[] = { { 8, 0xff, -ERR_FORMAT },	   { 1024, 0xff, -ERR_FORMAT }, { 2047, 0xff, -ERR_FORMAT },
		      { 2048, 0xfe, -ERR_FORMAT }, { 2048, 0xff, -ERR_SIGNATURE }, { 8192, 0xff, -ERR_SIGNATURE },
		      { 8193, 0xff, -ERR_FORMAT }, { 16384, 0xff, -ERR_FORMAT } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(question) struct question q = QUESTION;

		q.alg = JWT_RS256;
		buf_put_str(&q.input, "x");
		put_bits(&q.a, cases[i].bits, cases[i].last);
		put_bits(&q.b, 17, 1);
		for (unsigned int n = 0; n < cases[i].bits / 8; n++)
			buf_put_u8(&q.signature, 1);
		assert_int_equal(ask(&q), cases[i].err);
	}
}

static void exponents_are_odd_and_short(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int err;
	} cases[] = { { "", 0, -ERR_FORMAT },	   { "\0", 1, -ERR_FORMAT },	       { "\1", 1, -ERR_FORMAT },
		      { "\2", 1, -ERR_FORMAT },	   { "\1\0\0", 3, -ERR_FORMAT },       { "\3", 1, -ERR_SIGNATURE },
		      { "\1\0\1", 3, 0 },	   { "\0\1\0\1", 4, 0 },	       { "\1\0\3", 3, -ERR_SIGNATURE },
		      { "\1\0\0\0\1", 5, -ERR_FORMAT }, { "\xff\xff\xff\xff", 4, -ERR_FORMAT },
		      { "\x7f\xff\xff\xff", 4, -ERR_SIGNATURE } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(question) struct question q = QUESTION;

		question_rsa(&q, rsa(), JWT_RS256);
		sign(&q, rsa(), EVP_sha256(), 0);
		buf_reset(&q.b);
		buf_put(&q.b, cases[i].bytes, cases[i].len);
		assert_int_equal(ask(&q), cases[i].err);
	}
}

static void longer_moduli_verify(void **state)
{
	static const unsigned int bits[] = { 2056, 3072 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++) {
		AUTO(question) struct question q = QUESTION;
		EVP_PKEY *key = rsa_of(bits[i]);

		question_rsa(&q, key, JWT_RS512);
		sign(&q, key, EVP_sha512(), 0);
		assert_int_equal(ask(&q), 0);
		EVP_PKEY_free(key);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(examples_of_rfc_7515_verify),
		cmocka_unit_test(each_rsa_algorithm_verifies_as_itself_only),
		cmocka_unit_test(each_ec_algorithm_verifies_as_itself_only),
		cmocka_unit_test(another_salt_length_is_refused),
		cmocka_unit_test(each_bit_of_a_signature_counts),
		cmocka_unit_test(a_signature_has_exactly_one_length),
		cmocka_unit_test(trivial_ecdsa_signatures_are_refused),
		cmocka_unit_test(points_off_the_curve_and_of_other_sizes_are_no_keys),
		cmocka_unit_test(the_curve_must_be_that_of_the_algorithm),
		cmocka_unit_test(algorithms_that_are_none_are_a_breach),
		cmocka_unit_test(leading_zeros_of_a_modulus_do_not_matter),
		cmocka_unit_test(moduli_have_bounds),
		cmocka_unit_test(exponents_are_odd_and_short),
		cmocka_unit_test(longer_moduli_verify),
	};

	return cmocka_run_group_tests_name("unit/keys_verify", tests, NULL, NULL);
}
