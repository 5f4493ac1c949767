// SPDX-License-Identifier: Apache-2.0
/* jwks.c - from JWKs to raw numbers. svid-front. Who asks: validate.c for tokens, set.c for what clients get. */
#include "workloadapi/jwks.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "workloadapi/jsondoc.h"

#define RSA_MIN 256    /* bytes of a modulus: RFC 7518 3.3 */
#define RSA_MAX 1024   /* what crypto libraries take */
#define EXPONENT_MAX 4 /* bytes; Go takes 31 bits */
#define RAW_MAX 2048   /* bytes of both numbers of a key */

struct curve {
	const char *name;
	size_t bytes; /* of a coordinate: RFC 7518 6.2.1.2 */
	uint32_t alg;
};

static const struct curve curves[CURVE_COUNT] = {
	[CURVE_P256] = { "P-256", 32, JWT_ES256 },
	[CURVE_P384] = { "P-384", 48, JWT_ES384 },
	[CURVE_P521] = { "P-521", 66, JWT_ES512 },
};

static void drop_key(struct jwk *k)
{
	mem_free(k->kid);
	buf_done(&k->raw);
	*k = (struct jwk){ .kid = NULL };
}

struct jwks *jwks_ref(struct jwks *j)
{
	j->refs++;
	return j;
}

void jwks_unref(struct jwks *j)
{
	if (!j || --j->refs)
		return;
	for (size_t i = 0; i < j->n_keys; i++)
		drop_key(&j->keys[i]);
	mem_free(j);
}

static bool is_rsa_alg(uint32_t alg)
{
	return alg != JWT_NONE && alg != JWT_ES256 && alg != JWT_ES384 && alg != JWT_ES512;
}

bool jwk_fits(const struct jwk *k, uint32_t alg)
{
	if (k->alg != JWT_NONE && k->alg != alg) /* RFC 7517 4.4 */
		return false;
	return k->curve == CURVE_NONE ? is_rsa_alg(alg) : curves[k->curve].alg == alg;
}

/* How a key is judged: @why is the sentence for jwks_why(), and a key with one is not used. */
struct verdict {
	const char *why;
	int err; /* -ENOMEM */
};

static struct verdict bad(const char *why)
{
	return (struct verdict){ .why = why };
}

static struct verdict good(void)
{
	return (struct verdict){ .why = NULL };
}

/* A member of @jwk as bytes behind those that @raw has. */
static struct verdict get_number(struct buf *raw, const json_t *jwk, const char *name, size_t *ret_len)
{
	const json_t *v = json_object_get(jwk, name);
	size_t before = raw->len;
	int err;

	if (!json_is_string(v) || !json_string_length(v))
		return bad("a key lacks a number");
	err = base64_get(raw, jsondoc_text(v), BASE64_URL);
	if (err == -ENOMEM)
		return (struct verdict){ .err = err };
	if (err)
		return bad("a number of a key is malformed");
	*ret_len = raw->len - before;
	return good();
}

static struct slice strip_zeros(struct slice s)
{
	while (s.len && !*s.p)
		(void)slice_get_u8(&s);
	return s;
}

static struct verdict read_rsa(const json_t *jwk, struct jwk *k)
{
	size_t n_len = 0, e_len = 0;
	struct verdict v = get_number(&k->raw, jwk, "n", &n_len);

	if (!v.why && !v.err)
		v = get_number(&k->raw, jwk, "e", &e_len);
	if (v.why || v.err)
		return v;
	k->a = strip_zeros(slice_of(k->raw.data, n_len));
	k->b = strip_zeros(slice_of(k->raw.data + n_len, e_len));
	if (k->a.len < RSA_MIN || k->a.len > RSA_MAX)
		return bad("an RSA key has fewer than 2048 or more than 8192 bits");
	if (k->b.len == 0 || k->b.len > EXPONENT_MAX || (k->b.len == EXPONENT_MAX && k->b.p[0] & 0x80) ||
	    !(k->b.p[k->b.len - 1] & 1) || (k->b.len == 1 && k->b.p[0] == 1))
		return bad("the exponent of an RSA key is not odd, or not between 3 and 2^31");
	return good();
}

static struct verdict read_ec(const json_t *jwk, struct jwk *k)
{
	struct slice crv = jsondoc_text(json_object_get(jwk, "crv"));
	size_t x_len = 0, y_len = 0;
	struct verdict v;

	for (uint32_t c = CURVE_NONE + 1; c < CURVE_COUNT; c++)
		if (slice_eq_str(crv, curves[c].name))
			k->curve = c;
	if (k->curve == CURVE_NONE)
		return bad("the curve of a key is not one of P-256, P-384, P-521");
	v = get_number(&k->raw, jwk, "x", &x_len);
	if (!v.why && !v.err)
		v = get_number(&k->raw, jwk, "y", &y_len);
	if (v.why || v.err)
		return v;
	if (x_len != curves[k->curve].bytes || y_len != curves[k->curve].bytes)
		return bad("a coordinate of a key is not as long as its curve wants it");
	k->a = slice_of(k->raw.data, x_len);
	k->b = slice_of(k->raw.data + x_len, y_len);
	return good();
}

static struct verdict read_numbers(const json_t *jwk, struct jwk *k)
{
	struct slice kty = jsondoc_text(json_object_get(jwk, "kty"));

	k->raw = (struct buf)BUF_INIT(RAW_MAX);
	if (slice_eq_str(kty, "RSA"))
		return read_rsa(jwk, k);
	if (slice_eq_str(kty, "EC"))
		return read_ec(jwk, k);
	return bad("the type of a key is neither RSA nor EC"); /* SPIFFE bundle 4.2.1 */
}

static struct verdict read_alg(const json_t *jwk, struct jwk *k)
{
	const json_t *v = json_object_get(jwk, "alg");
	uint32_t alg = JWT_ALG_COUNT - 1;

	if (!v)
		return good();
	while (alg > JWT_NONE && !slice_eq_str(jsondoc_text(v), jwt_alg_name(alg)))
		alg--;
	if (alg == JWT_NONE || !jwk_fits(k, alg))
		return bad("the alg of a key is not one that its type has in JWT-SVID");
	k->alg = alg;
	return good();
}

static struct verdict read_kid(const json_t *jwk, struct jwk *k)
{
	const json_t *v = json_object_get(jwk, "kid");

	if (!v)
		return good();
	if (!json_is_string(v))
		return bad("the kid of a key is not a string");
	k->kid = slice_dup(jsondoc_text(v));
	return k->kid ? good() : (struct verdict){ .err = -ENOMEM };
}

/*
 * JWT-SVID 6.2 wants "jwt-svid". The Workload API's sets (6.2.2) are plain ones, often without use; "sig" is the word of
 * RFC 7517.
 */
static bool is_of_use(const json_t *jwk, const char *use)
{
	const json_t *v = json_object_get(jwk, "use");

	return !v || slice_eq_str(jsondoc_text(v), use) || slice_eq_str(jsondoc_text(v), "sig");
}

/* @ret_key is to be dropped whatever comes back. */
static struct verdict read_key(const json_t *jwk, const char *use, struct jwk *ret_key)
{
	struct verdict v;

	if (!json_is_object(jwk))
		return bad("a key is not a JSON object");
	if (!is_of_use(jwk, use))
		return bad("a key is of another use");
	v = read_numbers(jwk, ret_key);
	if (!v.why && !v.err)
		v = read_alg(jwk, ret_key);
	if (!v.why && !v.err)
		v = read_kid(jwk, ret_key);
	return v;
}

static int read_doc(struct slice text, json_t **ret_doc, const json_t **ret_keys)
{
	int err = text.len > LIM_JWKS ? -ERR_SIZE : jsondoc_read(text, ret_doc);

	if (err)
		return err == -ENOMEM || err == -ERR_SIZE ? err : -ERR_FORMAT;
	*ret_keys = json_object_get(*ret_doc, "keys");
	if (!json_is_array(*ret_keys))
		return -ERR_FORMAT;
	return json_array_size(*ret_keys) > LIM_JWKS_KEYS ? -ERR_SIZE : 0;
}

int jwks_parse(struct slice text, struct jwks **ret_jwks)
{
	AUTO(jsondoc) json_t *doc = NULL;
	AUTO(jwks) struct jwks *j = NULL;
	const json_t *keys;
	int err = read_doc(text, &doc, &keys);

	if (err)
		return err;
	j = mem_calloc(1, sizeof(*j) + json_array_size(keys) * sizeof(j->keys[0]));
	if (!j)
		return -ENOMEM;
	j->refs = 1;
	for (size_t i = 0; i < json_array_size(keys); i++) {
		struct verdict v = read_key(json_array_get(keys, i), "jwt-svid", &j->keys[j->n_keys]);

		if (v.err || v.why)
			drop_key(&j->keys[j->n_keys]);
		else
			j->n_keys++;
		if (v.err)
			return v.err;
	}
	*ret_jwks = take(&j);
	return 0;
}

/* RFC 7518 6.2.2, 6.3.2, 6.4: to hand these out would give the trust domain away. */
static bool is_private(const json_t *jwk)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (json_object_get(jwk, names[i]))
			return true;
	return false;
}

/* go-jose compares a certificate with the key, which takes X.509; nobody needs one here. */
static bool has_certificate(const json_t *jwk)
{
	return json_object_get(jwk, "x5c") || json_object_get(jwk, "x5u") || json_object_get(jwk, "x5t") ||
	       json_object_get(jwk, "x5t#S256");
}

static const char no_memory[] = "there is no memory to check it";

static const char *key_why(const json_t *keys, size_t i, const char *use)
{
	struct jwk k = { .kid = NULL };
	const json_t *jwk = json_array_get(keys, i);
	const json_t *kid = json_object_get(jwk, "kid");
	struct verdict v = read_key(jwk, use, &k);

	drop_key(&k);
	if (v.err)
		return no_memory;
	if (v.why)
		return v.why;
	if (!kid || !json_string_length(kid))
		return "a key has no kid";
	for (size_t before = 0; before < i; before++)
		if (json_equal(kid, json_object_get(json_array_get(keys, before), "kid")))
			return "two keys have one kid";
	if (is_private(jwk))
		return "a key is a private one";
	return has_certificate(jwk) ? "a key comes with a certificate" : NULL;
}

static const char *why_not(struct slice text, const char *use)
{
	AUTO(jsondoc) json_t *doc = NULL;
	const json_t *keys;
	const char *why = NULL;
	int err = read_doc(text, &doc, &keys);

	if (err)
		return err == -ENOMEM ? no_memory : "it is not a JWK Set, or too large";
	for (size_t i = 0; i < json_array_size(keys) && !why; i++)
		why = key_why(keys, i, use);
	return why;
}

const char *jwks_why(struct slice text)
{
	return why_not(text, "jwt-svid");
}

static int check(struct slice text, const char *use)
{
	const char *why = why_not(text, use);

	return !why ? 0 : why == no_memory ? -ENOMEM : -ERR_FORMAT;
}

int jwks_check(struct slice text)
{
	return check(text, "jwt-svid");
}

int jwks_check_wit(struct slice text)
{
	return check(text, "wit-svid");
}
