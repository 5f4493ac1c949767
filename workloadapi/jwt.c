// SPDX-License-Identifier: Apache-2.0
/* jwt.c - the compact form, the header, the registered claims: one check per clause. svid-front. */
#include "workloadapi/jwt.h"

#include <errno.h>

#include "agent/base/base64.h"
#include "agent/base/err.h"
#include "agent/base/limits.h"

#define DATE_MAX 253402300799.0 /* 9999-12-31: what clients' date types hold */

/* One of the three parts. What is wrong with JSON is said per part. */
struct part {
	const char *base64, *json, *twice, *deep;
};

static const struct part header_part = {
	.base64 = "token header is not base64url without padding",
	.json = "token header is not a JSON object",
	.twice = "token header has a member twice",
	.deep = "token header is nested too deep",
};

static const struct part claims_part = {
	.base64 = "token claims are not base64url without padding",
	.json = "token claims are not a JSON object",
	.twice = "token claims have a member twice",
	.deep = "token claims are nested too deep",
};

static int refuse(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -ERR_REQUEST;
}

static int read_part(struct slice text, const struct part *p, json_t **ret_doc, const char **ret_why)
{
	AUTO(buf) struct buf json = BUF_INIT(LIM_JWT);
	int err = base64_get(&json, text, BASE64_URL);

	if (!err)
		err = jsondoc_read(buf_slice(&json), ret_doc);
	else if (err == -ERR_FORMAT)
		return refuse(ret_why, p->base64);
	switch (err) {
	case -ERR_FORMAT:
		return refuse(ret_why, p->json);
	case -ERR_EXISTS: /* RFC 7519 4 */
		return refuse(ret_why, p->twice);
	case -ERR_LIMIT:
		return refuse(ret_why, p->deep);
	default:
		return err;
	}
}

static uint32_t alg_number(struct slice name)
{
	for (uint32_t alg = JWT_NONE + 1; alg < JWT_ALG_COUNT; alg++)
		if (slice_eq_str(name, jwt_alg_name(alg)))
			return alg;
	return JWT_NONE;
}

/* JWT-SVID 2.1: alg comes before anything else is done with the token. */
static const char *header_why(struct jwt *j)
{
	const json_t *alg = json_object_get(j->header, "alg");
	const json_t *typ = json_object_get(j->header, "typ");
	const json_t *kid = json_object_get(j->header, "kid");

	if (!alg)
		return "token header has no alg";
	j->alg = json_is_string(alg) ? alg_number(jsondoc_text(alg)) : JWT_NONE;
	if (j->alg == JWT_NONE)
		return "token alg is not one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512";
	if (json_object_get(j->header, "crit")) /* RFC 7515 4.1.11: we know no extension, so also not those it names */
		return "token header has crit";
	if (typ && !slice_eq_str(jsondoc_text(typ), "JWT") && !slice_eq_str(jsondoc_text(typ), "JOSE")) /* 2.3 */
		return "token typ is neither JWT nor JOSE";
	if (kid && !json_is_string(kid)) /* RFC 7515 4.1.4 */
		return "token kid is not a string";
	j->has_kid = kid != NULL;
	j->kid = jsondoc_text(kid);
	return NULL;
}

static const char *sub_why(struct jwt *j)
{
	const json_t *sub = json_object_get(j->claims, "sub");

	if (!sub)
		return "token has no sub";
	if (!json_is_string(sub))
		return "token sub is not a string";
	j->sub = jsondoc_text(sub);
	j->detail = spiffe_id_why(j->sub);
	if (j->detail)
		return "token sub is not a SPIFFE ID";
	if (spiffe_id_parse(j->sub, &j->id) || !j->id.path.len)
		return "token sub is the SPIFFE ID of a trust domain, not of a workload";
	return NULL;
}

static const char *aud_why(const json_t *aud)
{
	if (!aud)
		return "token has no aud";
	if (json_is_string(aud))
		return NULL;
	if (!json_is_array(aud))
		return "token aud is neither a string nor a list";
	if (!json_array_size(aud)) /* JWT-SVID 3.2 */
		return "token aud is an empty list";
	for (size_t i = 0; i < json_array_size(aud); i++)
		if (!json_is_string(json_array_get(aud, i)))
			return "token aud has a value that is not a string";
	return NULL;
}

/* RFC 7519 2, NumericDate. */
static const char *date_why(const json_t *v, const char *no_number, const char *out_of_range, double *ret_date)
{
	if (!json_is_real(v))
		return no_number;
	*ret_date = json_real_value(v);
	return *ret_date >= 0 && *ret_date <= DATE_MAX ? NULL : out_of_range;
}

static const char *dates_why(struct jwt *j)
{
	const json_t *exp = json_object_get(j->claims, "exp");
	const json_t *nbf = json_object_get(j->claims, "nbf");
	const json_t *iat = json_object_get(j->claims, "iat");
	const char *why = NULL;
	double unused;

	if (!exp) /* JWT-SVID 3.3 */
		return "token has no exp";
	why = date_why(exp, "token exp is not a number", "token exp is out of range", &j->exp);
	if (!why && nbf)
		why = date_why(nbf, "token nbf is not a number", "token nbf is out of range", &j->nbf);
	if (!why && iat)
		why = date_why(iat, "token iat is not a number", "token iat is out of range", &unused);
	return why;
}

static const char *claims_why(struct jwt *j)
{
	const json_t *iss = json_object_get(j->claims, "iss");
	const json_t *jti = json_object_get(j->claims, "jti");
	const char *why = sub_why(j);

	if (!why)
		why = aud_why(json_object_get(j->claims, "aud"));
	if (!why)
		why = dates_why(j);
	if (!why && iss && !json_is_string(iss)) /* RFC 7519 4.1.1 */
		why = "token iss is not a string";
	if (!why && jti && !json_is_string(jti)) /* RFC 7519 4.1.7 */
		why = "token jti is not a string";
	return why;
}

static struct slice until_dot(struct slice *s)
{
	const uint8_t *dot = s->len ? memchr(s->p, '.', s->len) : NULL;
	struct slice out = slice_get_bytes(s, dot ? (size_t)(dot - s->p) : s->len);

	if (dot)
		(void)slice_get_u8(s);
	else
		slice_fail(s);
	return out;
}

static int read_signature(struct jwt *j, struct slice text, const char **ret_why)
{
	int err = base64_get(&j->signature, text, BASE64_URL);

	if (err == -ERR_FORMAT)
		return refuse(ret_why, "token signature is not base64url without padding");
	if (err == -ERR_SIZE)
		return refuse(ret_why, "token signature is longer than that of any algorithm");
	if (!err && !j->signature.len) /* RFC 7515 A.5, an unsecured JWS */
		return refuse(ret_why, "token has no signature");
	return err;
}

int jwt_parse(struct slice token, struct jwt *ret_jwt, const char **ret_why)
{
	struct slice rest = token;
	struct slice header = until_dot(&rest);
	struct slice claims = until_dot(&rest);
	const char *why;
	int err;

	if (token.len > LIM_JWT)
		return refuse(ret_why, "token is larger than 64 KiB");
	if (!slice_ok(&rest) || (rest.len && memchr(rest.p, '.', rest.len))) /* JWT-SVID 5.1 */
		return refuse(ret_why, "token is not of three parts with dots between them");
	err = read_part(header, &header_part, &ret_jwt->header, ret_why);
	if (err)
		return err;
	why = header_why(ret_jwt);
	if (why)
		return refuse(ret_why, why);
	err = read_part(claims, &claims_part, &ret_jwt->claims, ret_why);
	if (err)
		return err;
	why = claims_why(ret_jwt);
	if (why)
		return refuse(ret_why, why);
	ret_jwt->input = slice_of(token.p, header.len + 1 + claims.len);
	return read_signature(ret_jwt, rest, ret_why);
}

void jwt_done(struct jwt *j)
{
	json_decref(j->header);
	json_decref(j->claims);
	buf_done(&j->signature);
	*j = (struct jwt)JWT_INIT;
}

static bool is_for(const json_t *aud, struct slice audience)
{
	if (json_is_string(aud))
		return slice_eq(jsondoc_text(aud), audience);
	for (size_t i = 0; i < json_array_size(aud); i++)
		if (slice_eq(jsondoc_text(json_array_get(aud, i)), audience))
			return true;
	return false;
}

const char *jwt_why_not(const struct jwt *j, struct slice audience, double now)
{
	if (!is_for(json_object_get(j->claims, "aud"), audience)) /* JWT-SVID 3.2 */
		return "token is not for this audience";
	if (now >= j->exp) /* RFC 7519 4.1.4 */
		return "token has expired";
	if (j->nbf > now + LIM_JWT_NBF_S) /* RFC 7519 4.1.5 */
		return "token is not valid yet";
	return NULL;
}
