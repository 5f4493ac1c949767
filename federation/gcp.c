/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gcp.c - Google's STS: a JWT-SVID for a federated token, and where the source names a service account, that for an
 * access token (and an id token) of the account (clouds.md 1.3). svid-cloud.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "federation/exchange_parts.h"

#define TOKEN_MAX 12288 /* of Google: an access token */
#define ID_TOKEN_LIFE 3600 /* seconds; whatever the access token has */
#define CLOUD_SCOPE "https://www.googleapis.com/auth/cloud-platform"
#define IAM_SCOPE "https://www.googleapis.com/auth/iam"

enum step { STEP_STS, STEP_ACCESS, STEP_ID };

#define PROVIDER "issuer, audience and attribute mapping of the workload identity pool provider must fit this JWT-SVID"

static const struct cloud_error sts_errors[] = {
	{ "invalid_grant", VERDICT_NEW_JWT,
	  "Google could not verify the JWT-SVID: upload or publish the JWKS of `svid oidc export`; check the clock" },
	{ "invalid_request", VERDICT_PERMANENT, PROVIDER "; google.subject holds 127 bytes at the most" },
	{ "invalid_target", VERDICT_SLOW, "oidcProviderId of the CredentialSource names no provider, or a disabled one" },
	{ "invalid_scope", VERDICT_PERMANENT, "correct scopes of the CredentialSource" },
	{ "unauthorized_client", VERDICT_SLOW, PROVIDER },
	{ NULL, VERDICT_SLOW, PROVIDER },
};

static const struct cloud_error iam_errors[] = {
	{ "PERMISSION_DENIED", VERDICT_SLOW,
	  "grant roles/iam.workloadIdentityUser on the service account to this principal; it takes minutes to spread" },
	{ "NOT_FOUND", VERDICT_SLOW, "correct serviceAccount of the CredentialSource" },
	{ "INVALID_ARGUMENT", VERDICT_PERMANENT,
	  "correct scopes or lifetime of the CredentialSource (more than 1 h needs an organisation policy)" },
	{ "UNAUTHENTICATED", VERDICT_NEW_JWT, NULL },
	{ "RESOURCE_EXHAUSTED", VERDICT_RETRY, NULL },
	{ "UNAVAILABLE", VERDICT_RETRY, NULL },
	{ "INTERNAL", VERDICT_RETRY, NULL },
	{ NULL, VERDICT_SLOW, NULL },
};

static bool impersonates(const struct exchange *x)
{
	return spec_text(x, "serviceAccount").len > 0;
}

static void put_scopes(const struct exchange *x, struct buf *b)
{
	const json_t *scopes = spec_list(x, "scopes"), *scope;
	size_t i;

	json_array_foreach((json_t *)scopes, i, scope) {
		if (i)
			buf_put_str(b, " ");
		buf_put_slice(b, json_bytes(scope));
	}
	if (!b->len)
		buf_put_str(b, CLOUD_SCOPE);
}

static int sts_request(const struct exchange *x, struct http_request *r)
{
	AUTO(buf) struct buf scope = BUF_INIT(LIM_CLOUD_CLAIMS);

	if (!x->jwt.len)
		return -ERR_SIZE;
	if (impersonates(x))
		buf_put_str(&scope, IAM_SCOPE);
	else
		put_scopes(x, &scope);
	buf_put_slice(&r->url, spec_text(x, "stsEndpoint"));
	request_form(r);
	request_header(r, "Accept: application/json");
	form_put(&r->body, "grant_type", slice_str("urn:ietf:params:oauth:grant-type:token-exchange"));
	form_put(&r->body, "audience", spec_text(x, "oidcProviderId"));
	form_put(&r->body, "scope", buf_slice(&scope));
	form_put(&r->body, "requested_token_type", slice_str("urn:ietf:params:oauth:token-type:access_token"));
	form_put(&r->body, "subject_token_type", slice_str("urn:ietf:params:oauth:token-type:jwt"));
	form_put(&r->body, "subject_token", x->jwt);
	return buf_ok(&scope);
}

static void put_scope_array(const struct exchange *x, struct buf *body)
{
	const json_t *scopes = spec_list(x, "scopes"), *scope;
	size_t i;

	buf_put_str(body, "\"scope\":[");
	json_array_foreach((json_t *)scopes, i, scope) {
		if (i)
			buf_put_str(body, ",");
		buf_put_json(body, json_bytes(scope));
	}
	if (!json_array_size(scopes))
		buf_put_json(body, slice_str(CLOUD_SCOPE));
	buf_put_str(body, "]");
}

/* The federated token of the step before is the bearer: never in a form, never in a log. */
static int account_request(const struct exchange *x, struct http_request *r)
{
	bool wants_id = x->step == STEP_ID;

	buf_put_slice(&r->url, spec_text(x, "iamEndpoint"));
	buf_put_str(&r->url, "/v1/projects/-/serviceAccounts/");
	uri_put(&r->url, spec_text(x, "serviceAccount"));
	buf_put_str(&r->url, wants_id ? ":generateIdToken" : ":generateAccessToken");
	request_header(r, "Content-Type: application/json");
	request_header(r, "Accept: application/json");
	request_header(r, "Authorization: Bearer ");
	buf_put_slice(&r->headers[r->n_headers - 1], buf_slice(&x->bearer));
	buf_put_str(&r->body, "{");
	if (wants_id) {
		buf_put_str(&r->body, "\"includeEmail\":true,\"audience\":");
		buf_put_json(&r->body, spec_text(x, "idTokenAudience"));
	} else {
		put_scope_array(x, &r->body);
		buf_printf(&r->body, ",\"lifetime\":\"%llds\"", (long long)spec_number(x, "lifetime"));
	}
	buf_put_str(&r->body, "}");
	return 0;
}

static int request(const struct exchange *x, struct http_request *r)
{
	return x->step == STEP_STS ? sts_request(x, r) : account_request(x, r);
}

static int sts_granted(struct exchange *x, const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice token = json_bytes(json_object_get(reply, "access_token"));
	int64_t life = json_seconds(json_object_get(reply, "expires_in"));
	int err;

	if (!token.len || token.len > TOKEN_MAX || life <= 0) {
		outcome_nonsense(o, r, "not an answer of Google's STS");
		return 0;
	}
	err = secret_set(impersonates(x) ? &x->bearer : &x->got.access_token, token);
	if (err)
		return err;
	x->got.expires_at = x->now + life;
	o->verdict = impersonates(x) ? VERDICT_NEXT : VERDICT_DONE;
	x->step = STEP_ACCESS;
	outcome_put(&o->principal, impersonates(x) ? spec_text(x, "serviceAccount") : x->spiffe_id);
	return 0;
}

static int access_granted(struct exchange *x, const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice token = json_bytes(json_object_get(reply, "accessToken"));
	int64_t expires;
	int err;

	if (!token.len || token.len > TOKEN_MAX || time_parse(json_bytes(json_object_get(reply, "expireTime")), &expires)) {
		outcome_nonsense(o, r, "not an answer of Google's IAM");
		return 0;
	}
	err = secret_set(&x->got.access_token, token);
	if (err)
		return err;
	x->got.expires_at = local_time(x, r, expires);
	o->verdict = spec_text(x, "idTokenAudience").len ? VERDICT_NEXT : VERDICT_DONE;
	x->step = STEP_ID;
	outcome_put(&o->principal, spec_text(x, "serviceAccount"));
	return 0;
}

static int id_granted(struct exchange *x, const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice token = json_bytes(json_object_get(reply, "token"));
	int err;

	if (!token.len) {
		outcome_nonsense(o, r, "not an answer of Google's IAM");
		return 0;
	}
	err = secret_set(&x->got.id_token, token);
	if (err)
		return err;
	if (x->got.expires_at > x->now + ID_TOKEN_LIFE)
		x->got.expires_at = x->now + ID_TOKEN_LIFE; /* both are renewed together */
	outcome_put(&o->principal, spec_text(x, "serviceAccount"));
	o->verdict = VERDICT_DONE;
	return 0;
}

/* OAuth's shape from the STS, Google's own from IAM; a proxy in front may answer in either. */
static void refused(const json_t *reply, const struct http_response *r, struct outcome *o)
{
	const json_t *error = json_object_get(reply, "error");

	if (json_is_object(error))
		outcome_error(o, r, iam_errors, json_bytes(json_object_get(error, "status")),
			      json_bytes(json_object_get(error, "message")));
	else if (json_is_string(error))
		outcome_error(o, r, sts_errors, json_bytes(error), json_bytes(json_object_get(reply, "error_description")));
	else
		outcome_nonsense(o, r, "not an answer of Google");
}

static int response(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	static int (*const granted[])(struct exchange *x, const json_t *reply, const struct http_response *r,
				      struct outcome *o) = {
		[STEP_STS] = sts_granted, [STEP_ACCESS] = access_granted, [STEP_ID] = id_granted,
	};
	AUTO(json_t) json_t *reply = reply_json(r);

	if (reply && r->status == 200 && x->step < ARRAY_SIZE(granted))
		return granted[x->step](x, reply, r, o);
	if (reply)
		refused(reply, r, o);
	else
		outcome_nonsense(o, r, "not JSON");
	return 0;
}

static const char *const texts[] = { "oidcProviderId", "stsEndpoint", "iamEndpoint", "audience", NULL };

const struct cloud_ops gcp_ops = { .texts = texts, .request = request, .response = response };
