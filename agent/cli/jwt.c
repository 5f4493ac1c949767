// SPDX-License-Identifier: Apache-2.0
/* jwt.c - strict reading of JWT- and WIT-SVIDs; jwt_verify.c checks signatures. svid; used by fetch_jwt.c and watch_items.c. */
#include "agent/cli/jwt.h"

#include <errno.h>

#include "agent/base/limits.h"
#include "agent/base/spiffe_id.h"
#include "agent/base/base64.h"
#include "agent/cli/dump.h"
#include "agent/cli/jwk.h"

void jwt_report_done(struct jwt_report *r)
{
	json_decref(r->header);
	json_decref(r->claims);
	buf_done(&r->problems);
}

static void problem(struct jwt_report *r, const char *text)
{
	buf_printf(&r->problems, "%s\n", text);
}

static struct slice text_of(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	return slice_of(json_string_value(v), json_string_length(v));
}

/* What stands before the next dot; what follows it stays in @s. */
static struct slice part(struct slice *s)
{
	const uint8_t *dot = s->len ? memchr(s->p, '.', s->len) : NULL;
	struct slice before;

	if (!dot) {
		slice_fail(s);
		return slice_of(NULL, 0);
	}
	before = slice_get_bytes(s, (size_t)(dot - s->p));
	(void)slice_get_u8(s);
	return before;
}

static int get_object(struct slice text, json_t **ret_object)
{
	AUTO(buf) struct buf raw = BUF_INIT(LIM_JWT);
	int err = base64_get(&raw, text, BASE64_URL);
	json_t *object;

	if (err)
		return err == -ENOMEM ? err : -ERR_FORMAT;
	object = json_loadb((const char *)raw.data, raw.len, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return -ERR_FORMAT;
	}
	*ret_object = object;
	return 0;
}

/* RFC 7518 3: what a signature of this algorithm is long; 0: any length, it is that of the key. */
static size_t signature_len(struct slice alg)
{
	if (slice_eq_str(alg, "ES256"))
		return 64;
	if (slice_eq_str(alg, "ES384"))
		return 96;
	return slice_eq_str(alg, "ES512") ? 132 : 0;
}

static void check_signature(struct slice text, struct jwt_report *r)
{
	AUTO(buf) struct buf raw = BUF_INIT(LIM_JWT);
	size_t want = signature_len(text_of(r->header, "alg"));

	if (!text.len || base64_get(&raw, text, BASE64_URL))
		problem(r, "the signature is missing or not base64url");
	else if (want && raw.len != want)
		problem(r, "the signature is not as long as its algorithm has it (RFC 7518 3.4)");
}

static void check_header(enum jwt_profile profile, struct jwt_report *r)
{
	struct slice typ = text_of(r->header, "typ");
	json_t *value;
	const char *key;

	if (!jwt_alg_known(json_string_value(json_object_get(r->header, "alg"))))
		problem(r, "alg is none of the nine permitted ones (JWT-SVID 2.1)");
	if (!text_of(r->header, "kid").len)
		problem(r, "kid is missing; every validator needs it");
	if (profile == WIT_SVID && !slice_eq_str(typ, "wit+jwt"))
		problem(r, "typ is not wit+jwt (WIT-SVID 2.2)");
	if (profile == JWT_SVID && json_object_get(r->header, "typ") && !slice_eq_str(typ, "JWT") && !slice_eq_str(typ, "JOSE"))
		problem(r, "typ is neither JWT nor JOSE (JWT-SVID 2.3)");
	json_object_foreach(r->header, key, value)
		if (strcmp(key, "alg") != 0 && strcmp(key, "kid") != 0 && strcmp(key, "typ") != 0)
			problem(r, "the header has another parameter than alg, kid and typ (JWT-SVID 2)");
}

static void check_subject(const struct jwt_want *want, struct jwt_report *r)
{
	struct slice sub = text_of(r->claims, "sub");
	struct spiffe_id id;

	if (spiffe_id_parse(sub, &id))
		problem(r, "sub is missing or no SPIFFE ID (JWT-SVID 3.1)");
	else if (!id.path.len)
		problem(r, "the SPIFFE ID in sub has no path, so it is no workload's");
	if (!slice_eq(sub, want->spiffe_id))
		problem(r, "sub is not the SPIFFE ID that the message states");
}

static bool has_audience(const json_t *aud, const char *wanted)
{
	const json_t *item;
	size_t i;

	if (json_is_string(aud))
		return strcmp(json_string_value(aud), wanted) == 0;
	json_array_foreach(aud, i, item)
		if (json_is_string(item) && strcmp(json_string_value(item), wanted) == 0)
			return true;
	return false;
}

static void check_audience(const struct jwt_want *want, struct jwt_report *r)
{
	const json_t *aud = json_object_get(r->claims, "aud");

	if (!json_is_string(aud) && !json_array_size(aud))
		problem(r, "aud is missing or empty (JWT-SVID 3.2)");
	for (size_t i = 0; i < want->n_audiences; i++)
		if (!has_audience(aud, want->audiences[i])) {
			problem(r, "aud lacks an audience that was asked for (Workload API 6.2.1)");
			break;
		}
}

/* A NumericDate; 0 when it is not there. What no calendar has is wrong, not just late. */
static int64_t date_of(struct jwt_report *r, const char *name)
{
	const json_t *v = json_object_get(r->claims, name);
	double seconds = json_number_value(v);

	if (!v)
		return 0;
	if (!json_is_number(v) || !(seconds > 0) || seconds > 253402300799.0) {
		buf_printf(&r->problems, "%s is not a time (RFC 7519 2)\n", name);
		return 0;
	}
	return (int64_t)seconds;
}

static void check_times(struct jwt_report *r, int64_t now)
{
	r->issued_at = date_of(r, "iat");
	r->not_before = date_of(r, "nbf");
	r->not_after = date_of(r, "exp");
	if (!r->not_after)
		problem(r, "exp is missing (JWT-SVID 3.3)");
	else if (r->not_after <= now)
		problem(r, "it has expired");
	if (r->not_before > now)
		problem(r, "it is not yet valid");
	if (r->issued_at > now)
		problem(r, "iat is in the future; strict clients refuse it");
}

static void check_bound_key(const struct jwt_want *want, const json_t *bound, struct jwt_report *r)
{
	json_t *own = json_loadb((const char *)want->key.p, want->key.len, JSON_REJECT_DUPLICATES, NULL);
	AUTO(pkey) EVP_PKEY *public = NULL;
	AUTO(pkey) EVP_PKEY *private = NULL;
	const char *why = NULL;

	if (jwk_is_private(bound))
		problem(r, "cnf holds a private key");
	if (jwk_key(bound, false, &public, &why))
		buf_printf(&r->problems, "the key in cnf cannot be used: %s\n", why ? why : err_text(-ENOMEM));
	if (jwk_key(own, true, &private, &why))
		buf_printf(&r->problems, "the private key cannot be used: %s\n", why ? why : err_text(-ENOMEM));
	if (public && private && EVP_PKEY_eq(public, private) != 1)
		problem(r, "the private key does not belong to the key in cnf");
	ERR_clear_error();
	json_decref(own);
}

static void check_binding(const struct jwt_want *want, struct jwt_report *r)
{
	const json_t *bound = json_object_get(json_object_get(r->claims, "cnf"), "jwk");

	if (json_object_get(r->claims, "aud"))
		problem(r, "it has aud, which a WIT-SVID must not (WIT-SVID 3.8)");
	if (!json_is_object(bound)) {
		problem(r, "cnf.jwk is missing (WIT-SVID 3.2)");
		return;
	}
	if (!jwt_alg_known(json_string_value(json_object_get(bound, "alg"))))
		problem(r, "cnf.jwk.alg is none of the nine permitted ones (WIT-SVID 3.2)");
	check_bound_key(want, bound, r);
}

int jwt_inspect(struct slice token, const struct jwt_want *want, int64_t now, struct jwt_report *r)
{
	struct slice rest = token, header = part(&rest), claims = part(&rest);
	const char *why;
	int err = !slice_ok(&rest) || (rest.len && memchr(rest.p, '.', rest.len)) ? -ERR_FORMAT : 0;

	if (!err)
		err = get_object(header, &r->header);
	if (!err)
		err = get_object(claims, &r->claims);
	if (err)
		return err;
	check_header(want->profile, r);
	check_signature(rest, r);
	check_subject(want, r);
	check_times(r, now);
	why = want->jwks.len ? jwt_signature_why(token, r->header, want->jwks) : NULL;
	if (why)
		problem(r, why);
	if (want->profile == JWT_SVID)
		check_audience(want, r);
	else
		check_binding(want, r);
	return buf_ok(&r->problems);
}

void jwt_claim(struct buf *out, const json_t *value)
{
	const json_t *item;
	size_t i;

	if (json_is_string(value)) {
		buf_put(out, json_string_value(value), json_string_length(value));
		return;
	}
	if (!json_is_array(value)) {
		json_put(out, value, JSON_COMPACT);
		return;
	}
	json_array_foreach(value, i, item) {
		buf_put_str(out, i ? ", " : "");
		if (json_is_string(item))
			buf_put(out, json_string_value(item), json_string_length(item));
		else
			json_put(out, item, JSON_COMPACT);
	}
}
