/* SPDX-License-Identifier: Apache-2.0 */
/*
 * badjwt.c - the JWT and WIT side of the canned server: signs, publishes and validates, right or with one flaw.
 * svid-conformance --selftest; badserver.c carries it.
 */
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/base64.h"
#include "conformance/foreign.h"
#include "conformance/jose.h"
#include "conformance/selftest.h"

#define DOMAIN "spiffe://selftest.example"
#define OWN_ID DOMAIN "/a"

enum { MESSAGE_MAX = 1 << 20, OK = 0, INVALID = 3, DENIED = 7, UNIMPLEMENTED = 12 };

static struct {
	enum flaw flaw;
	bool wit;
	const struct foreign *foreign;
	EVP_PKEY *jwt_key, *wit_key, *holder;
} own;

static void must(bool ok)
{
	if (!ok)
		abort();
}

void jwt_server_make(enum flaw flaw, bool wit, const struct foreign *foreign)
{
	own.flaw = flaw;
	own.wit = wit;
	own.foreign = foreign;
	own.jwt_key = EVP_EC_gen("P-256");
	own.wit_key = EVP_EC_gen("P-256");
	own.holder = EVP_EC_gen("P-256");
	must(own.jwt_key && own.wit_key && own.holder);
}

static void put_message(struct buf *to, const struct buf *message)
{
	buf_put_u8(to, 0);
	buf_put_be32(to, (uint32_t)message->len);
	buf_put_slice(to, buf_slice(message));
	must(buf_ok(to) == 0);
}

static void put_item(struct buf *to, const char *first, struct slice second, struct slice third, const char *fourth)
{
	AUTO(buf) struct buf item = BUF_INIT(MESSAGE_MAX);

	put_text(&item, 1, slice_str(first));
	put_text(&item, 2, second);
	if (third.len)
		put_text(&item, 3, third);
	if (fourth)
		put_text(&item, 4, slice_str(fourth));
	put_text(to, 1, buf_slice(&item));
}

/* issuing */

static void put_header(struct buf *b)
{
	const char *alg = own.flaw == FLAW_JWT_ALG ? "HS256" : "ES256";
	const char *typ = own.flaw == FLAW_JWT_TYP ? "at+jwt" : "JWT";

	buf_printf(b, "{\"alg\":\"%s\",\"typ\":\"%s\"", alg, typ);
	if (own.flaw != FLAW_JWT_NO_KID)
		buf_put_str(b, ",\"kid\":\"own\"");
	buf_put_str(b, own.flaw == FLAW_JWT_HEADER ? ",\"x\":1}" : "}");
}

static void put_claims(struct buf *b, const struct slice *audiences, size_t n)
{
	static unsigned int last_jti;
	long long now = (long long)time(NULL);
	unsigned int jti = own.flaw == FLAW_JWT_JTI ? 0 : ++last_jti * 65536 + (unsigned int)getpid();

	buf_printf(b, "{\"sub\":\"%s\",\"jti\":\"%u\",\"iat\":%lld", own.flaw == FLAW_JWT_SUB ? OWN_ID "b" : OWN_ID, jti,
		   own.flaw == FLAW_JWT_IAT ? now + 100 : now);
	if (own.flaw != FLAW_JWT_NO_EXP)
		buf_printf(b, ",\"exp\":%lld", now + (own.flaw == FLAW_JWT_LIFE ? 86400 : 300));
	buf_put_str(b, ",\"aud\":[");
	for (size_t i = 0; i < (own.flaw == FLAW_JWT_ONE_AUDIENCE ? 1 : n); i++) {
		buf_put_str(b, i ? "," : "");
		buf_put_json(b, audiences[i]);
	}
	buf_put_str(b, "]}");
}

static bool is_utf8(struct slice s)
{
	json_t *j = json_stringn((const char *)s.p, s.len);

	json_decref(j);
	return j != NULL;
}

static int fetch_jwt_svid(struct slice request, struct buf *ret)
{
	AUTO(buf) struct buf header = BUF_INIT(4096);
	AUTO(buf) struct buf claims = BUF_INIT(65536);
	AUTO(buf) struct buf token = BUF_INIT(65536);
	AUTO(buf) struct buf message = BUF_INIT(MESSAGE_MAX);
	struct slice audiences[32], id = { 0 };
	size_t n = 0;

	while (request.len && slice_ok(&request)) {
		struct field f = field_get(&request);

		if (f.number == 2)
			id = f.bytes;
		else if (n == ARRAY_SIZE(audiences) || !f.bytes.len || !is_utf8(f.bytes))
			return INVALID;
		else
			audiences[n++] = f.bytes;
	}
	if (own.flaw != FLAW_JWT_ANY_ARGUMENT && (!n || (id.len && (id.len < 9 || memcmp(id.p, "spiffe://", 9) != 0))))
		return INVALID;
	if (id.len && !slice_eq_str(id, OWN_ID) && own.flaw != FLAW_JWT_ANY_ID)
		return DENIED;
	put_header(&header);
	put_claims(&claims, audiences, n);
	must(jws_put(&token, buf_slice(&header), buf_slice(&claims), "ES256",
		     own.flaw == FLAW_JWT_SIGNATURE ? own.wit_key : own.jwt_key) == 0);
	if (own.flaw == FLAW_JWT_TWO_PARTS)
		token.len = (size_t)((uint8_t *)memrchr(token.data, '.', token.len) - token.data);
	put_item(&message, OWN_ID, buf_slice(&token), slice_str("internal"), NULL);
	put_message(ret, &message);
	return OK;
}

/* publishing */

static json_t *own_jwk(EVP_PKEY *key, const char *kid, const char *use)
{
	json_t *jwk = jwk_from(key);

	must(jwk && !json_object_set_new(jwk, "use", json_string(use)));
	if (own.flaw != FLAW_JWKS_NO_KID)
		must(!json_object_set_new(jwk, "kid", json_string(kid)));
	if (own.flaw == FLAW_JWKS_PRIVATE)
		must(!json_object_set_new(jwk, "d", json_string("AAAA")));
	return jwk;
}

static json_t *own_jwks(void)
{
	json_t *jwk = own_jwk(own.jwt_key, "own", own.flaw == FLAW_JWKS_USE ? "wit-svid" : "jwt-svid");
	json_t *set = json_pack("{s:[o]}", own.flaw == FLAW_JWKS_NO_KEYS ? "Keys" : "keys", jwk);

	must(set != NULL);
	if (own.flaw == FLAW_JWKS_OKP)
		must(!json_array_append_new(json_object_get(set, "keys"), json_pack("{s:s, s:s, s:s, s:s}", "kty", "OKP", "kid",
										    "ed", "crv", "Ed25519", "x", "AAAA")));
	if (own.flaw == FLAW_JWKS_SEQUENCE)
		must(!json_object_set_new(set, "spiffe_sequence", json_integer(1)));
	return set;
}

static int publish(json_t *set, struct buf *ret)
{
	AUTO(buf) struct buf message = BUF_INIT(MESSAGE_MAX);
	char *text = json_dumps(set, JSON_COMPACT);

	must(text != NULL);
	put_item(&message, own.flaw == FLAW_JWKS_DOMAIN ? "spiffe://other.example" : DOMAIN, slice_str(text),
		 slice_of(NULL, 0), NULL);
	put_message(ret, &message);
	free(text);
	json_decref(set);
	return OK;
}

/* validating */

static bool is_spiffe_id(const char *id)
{
	static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789.-_";
	static const char segment[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t n;

	if (own.flaw == FLAW_VAL_ANY_SUB)
		return true;
	if (strncmp(id, "spiffe://", 9) != 0 || !(n = strspn(id + 9, host)))
		return false;
	for (id += 9 + n; *id; id += n) {
		if (*id++ != '/' || !(n = strspn(id, segment)) || (n == 1 && *id == '.') ||
		    (n == 2 && id[0] == '.' && id[1] == '.'))
			return false;
	}
	return true;
}

/* The keys of the subject's trust domain; a new reference. */
static json_t *bundle_of(const char *sub)
{
	size_t n = strlen("spiffe://" FOREIGN_DOMAIN);

	if (own.flaw == FLAW_VAL_ANY_DOMAIN || (strncmp(sub, FOREIGN_ID, n) == 0 && sub[n] == '/'))
		return foreign_bundle(own.foreign);
	return strncmp(sub, DOMAIN "/", sizeof(DOMAIN)) == 0 ? own_jwks() : NULL;
}

static bool may_sign(const json_t *jwk, const char *kid)
{
	const char *its = token_text(jwk, "kid"), *use = token_text(jwk, "use");

	if (own.flaw != FLAW_VAL_ANY_USE && (!use || strcmp(use, "jwt-svid") != 0))
		return false;
	return !kid || (its && strcmp(its, kid) == 0);
}

static bool is_signed(const struct token *t, const char *sub)
{
	AUTO_JSON json_t *bundle = bundle_of(sub);
	const json_t *kid = json_object_get(t->header, "kid");
	bool found = false;
	size_t i;
	json_t *jwk;

	if (own.flaw == FLAW_VAL_ANY_SIGNATURE || own.flaw == FLAW_VAL_ANY_ALG)
		return bundle != NULL;
	if (kid && !json_is_string(kid))
		return false;
	json_array_foreach(json_object_get(bundle, "keys"), i, jwk) {
		EVP_PKEY *key = may_sign(jwk, json_string_value(kid)) ? jwk_key(jwk) : NULL;

		found |= key && token_verifies(t, key);
		EVP_PKEY_free(key);
	}
	return found;
}

static bool header_is_fine(const struct token *t)
{
	const json_t *typ = json_object_get(t->header, "typ");
	const char *text = json_string_value(typ);

	if (own.flaw != FLAW_VAL_ANY_ALG && !alg_is_allowed(token_text(t->header, "alg")))
		return false;
	if (json_object_get(t->header, "crit"))
		return false;
	return !typ || own.flaw == FLAW_VAL_ANY_TYP || (text && (strcmp(text, "JWT") == 0 || strcmp(text, "JOSE") == 0));
}

static bool is_for(const json_t *aud, struct slice audience)
{
	bool found = json_is_string(aud) && slice_eq_str(audience, json_string_value(aud));
	size_t i;
	json_t *one;

	if (!aud || (json_is_array(aud) && !json_array_size(aud)) || json_is_null(aud))
		return own.flaw == FLAW_VAL_NO_AUD;
	json_array_foreach(aud, i, one) {
		if (!json_is_string(one))
			return false;
		found |= slice_eq_str(audience, json_string_value(one));
	}
	return found || own.flaw == FLAW_VAL_ANY_AUD;
}

static bool is_in_time(const json_t *claims)
{
	const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
	double now = (double)time(NULL);

	if (!exp || json_is_null(exp))
		return own.flaw == FLAW_VAL_NO_EXP;
	if (!json_is_number(exp) || (json_number_value(exp) <= now && own.flaw != FLAW_VAL_EXPIRED))
		return false;
	return !nbf || (json_is_number(nbf) && json_number_value(nbf) <= now);
}

static void put_claim(struct buf *to, const char *name, const json_t *value)
{
	AUTO(buf) struct buf entry = BUF_INIT(65536);
	AUTO(buf) struct buf v = BUF_INIT(65536);
	double number = json_number_value(value);
	size_t i;
	json_t *one;

	if (json_is_string(value)) {
		put_text(&v, 3, slice_str(json_string_value(value)));
	} else if (json_is_number(value)) {
		buf_put_u8(&v, 2 << 3 | 1);
		buf_put(&v, &number, sizeof(number));
	} else {
		AUTO(buf) struct buf list = BUF_INIT(65536);

		json_array_foreach(value, i, one) {
			AUTO(buf) struct buf item = BUF_INIT(65536);

			put_text(&item, 3, slice_str(json_string_value(one)));
			put_text(&list, 1, buf_slice(&item));
		}
		put_text(&v, 6, buf_slice(&list));
	}
	put_text(&entry, 1, slice_str(name));
	put_text(&entry, 2, buf_slice(&v));
	put_text(to, 1, buf_slice(&entry));
}

static int validate(struct slice request, struct buf *ret)
{
	AUTO(token) struct token t = { 0 };
	AUTO(buf) struct buf claims = BUF_INIT(65536);
	AUTO(buf) struct buf message = BUF_INIT(MESSAGE_MAX);
	struct slice fields[3] = { 0 };

	while (request.len && slice_ok(&request)) {
		struct field f = field_get(&request);

		if (f.number < ARRAY_SIZE(fields))
			fields[f.number] = f.bytes;
	}
	if (!fields[1].len || !fields[2].len || fields[2].len > 65536 || token_parse(fields[2], &t))
		return INVALID;
	const char *sub = token_text(t.claims, "sub");

	if (own.flaw == FLAW_VAL_NEVER || !sub || !header_is_fine(&t) || !is_spiffe_id(sub) || !is_signed(&t, sub) ||
	    !is_for(json_object_get(t.claims, "aud"), fields[1]) || !is_in_time(t.claims))
		return INVALID;
	put_claim(&claims, "sub", json_object_get(t.claims, "sub"));
	put_claim(&claims, "aud", json_object_get(t.claims, "aud"));
	if (own.flaw != FLAW_VAL_NO_CLAIMS)
		put_claim(&claims, "exp", json_object_get(t.claims, "exp"));
	put_text(&message, 1, slice_str(sub));
	put_text(&message, 2, buf_slice(&claims));
	put_message(ret, &message);
	return OK;
}

/* WIT-SVIDs: the holder's key as cnf; its private half is d as one number. */

static char *holder_jwk(EVP_PKEY *key, bool secret)
{
	json_t *jwk = jwk_from(key);
	BIGNUM *d = NULL;
	uint8_t bytes[32];
	AUTO(buf) struct buf text = BUF_INIT(256);

	must(jwk && !json_object_set_new(jwk, "alg", json_string("ES256")));
	if (secret) {
		must(EVP_PKEY_get_bn_param(key, "priv", &d) == 1 && BN_bn2binpad(d, bytes, sizeof(bytes)) > 0);
		base64_put(&text, slice_of(bytes, sizeof(bytes)), BASE64_URL);
		must(!json_object_set_new(jwk, "d", json_string(buf_cstr(&text))));
		BN_clear_free(d);
	}
	char *out = json_dumps(jwk, JSON_COMPACT);

	json_decref(jwk);
	return out;
}

static json_t *own_wit_jwks(void)
{
	json_t *set = json_pack("{s:[o]}", "keys",
				own_jwk(own.wit_key, own.flaw == FLAW_WIT_JWT_KID ? "own" : "wit", "wit-svid"));

	must(set != NULL);
	if (own.flaw == FLAW_WIT_ONE_KID)
		must(!json_array_append_new(json_object_get(set, "keys"), own_jwk(own.jwt_key, "wit", "wit-svid")));
	return set;
}

static int fetch_wit_svid(struct buf *ret)
{
	AUTO(buf) struct buf claims = BUF_INIT(4096);
	AUTO(buf) struct buf token = BUF_INIT(8192);
	AUTO(buf) struct buf message = BUF_INIT(MESSAGE_MAX);
	char *cnf = holder_jwk(own.holder, false);
	char *key = holder_jwk(own.flaw == FLAW_WIT_KEY ? own.jwt_key : own.holder, true);
	const char *header = own.flaw == FLAW_WIT_TYP ? "{\"alg\":\"ES256\",\"kid\":\"wit\",\"typ\":\"JWT\"}" :
							"{\"alg\":\"ES256\",\"kid\":\"wit\",\"typ\":\"wit+jwt\"}";

	buf_printf(&claims, "{\"sub\":\"" OWN_ID "\",\"exp\":%lld,\"%s\":{\"jwk\":%s}%s}", (long long)time(NULL) + 300,
		   own.flaw == FLAW_WIT_CNF ? "holder" : "cnf", cnf, own.flaw == FLAW_WIT_AUD ? ",\"aud\":\"x\"" : "");
	must(jws_put(&token, slice_str(header), buf_slice(&claims), "ES256", own.wit_key) == 0);
	put_item(&message, OWN_ID, buf_slice(&token), slice_str(key), "internal");
	put_message(ret, &message);
	free(cnf);
	free(key);
	return OK;
}

int jwt_serve(const char *method, struct slice request, struct buf *ret)
{
	if (strcmp(method, "FetchJWTSVID") == 0)
		return fetch_jwt_svid(request, ret);
	if (strcmp(method, "FetchJWTBundles") == 0)
		return publish(own_jwks(), ret);
	if (strcmp(method, "ValidateJWTSVID") == 0)
		return validate(request, ret);
	if (own.wit && strcmp(method, "FetchWITSVID") == 0)
		return fetch_wit_svid(ret);
	if (own.wit && strcmp(method, "FetchWITBundles") == 0)
		return publish(own_wit_jwks(), ret);
	return UNIMPLEMENTED;
}
