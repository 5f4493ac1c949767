/* SPDX-License-Identifier: Apache-2.0 */
/* azure.c - Entra ID: a JWT-SVID as client assertion for an access token (clouds.md 1.4). svid-cloud. */
#include <errno.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "federation/exchange_parts.h"

#define FIC "the federated credential of this application must have our issuer, this SPIFFE ID as subject, and the " \
	    "audience; it takes minutes to spread"
#define ISSUER "Entra could not reach the issuer's OIDC documents"

/* The number of the first AADSTS code; "" for OAuth's own words, which say less. */
static const struct cloud_error errors[] = {
	{ "70021", VERDICT_SLOW, FIC },
	{ "700211", VERDICT_SLOW, FIC },
	{ "700212", VERDICT_SLOW, FIC },
	{ "700213", VERDICT_SLOW, FIC },
	{ "700024", VERDICT_NEW_JWT, "check this machine's clock" },
	{ "700027", VERDICT_NEW_JWT,
	  "Entra does not know the signing key: publish the JWKS of `svid oidc export` at the issuer" },
	{ "5002738", VERDICT_PERMANENT, "Entra takes RS256 only" },
	{ "50166", VERDICT_RETRY, ISSUER },
	{ "501661", VERDICT_RETRY, ISSUER },
	{ "90061", VERDICT_RETRY, ISSUER },
	{ "700016", VERDICT_PERMANENT, "correct clientID of the CredentialSource" },
	{ "90002", VERDICT_PERMANENT, "correct tenantID of the CredentialSource" },
	{ "70011", VERDICT_PERMANENT, "correct scope of the CredentialSource" },
	{ "90033", VERDICT_RETRY, NULL },
	{ "90055", VERDICT_RETRY, NULL },
	{ "50196", VERDICT_RETRY, NULL },
	{ NULL, VERDICT_SLOW, FIC },
};

static int request(const struct exchange *x, struct http_request *r)
{
	if (!x->jwt.len)
		return -ERR_SIZE;
	buf_put_slice(&r->url, spec_text(x, "authority"));
	buf_put_str(&r->url, "/");
	uri_put(&r->url, spec_text(x, "tenantID"));
	buf_put_str(&r->url, "/oauth2/v2.0/token");
	request_form(r);
	request_header(r, "Accept: application/json");
	form_put(&r->body, "grant_type", slice_str("client_credentials"));
	form_put(&r->body, "client_id", spec_text(x, "clientID"));
	form_put(&r->body, "scope", spec_text(x, "scope"));
	form_put(&r->body, "client_assertion_type", slice_str("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"));
	form_put(&r->body, "client_assertion", x->jwt);
	return 0;
}

/* What joins our record to Entra's sign-in log. */
static void put_trace(const json_t *reply, struct outcome *o)
{
	AUTO(buf) struct buf ids = BUF_INIT(256);

	buf_put_slice(&ids, json_bytes(json_object_get(reply, "trace_id")));
	buf_put_str(&ids, " ");
	buf_put_slice(&ids, json_bytes(json_object_get(reply, "correlation_id")));
	if (!buf_ok(&ids) && ids.len > 1)
		outcome_put(&o->request_id, buf_slice(&ids));
}

static void refused(const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice word = json_bytes(json_object_get(reply, "error"));
	const json_t *code = json_array_get(json_object_get(reply, "error_codes"), 0);
	char number[24] = "";

	if (!word.len) {
		outcome_nonsense(o, r, "not an answer of Entra ID");
		return;
	}
	if (json_is_integer(code))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(code));
	outcome_error(o, r, errors, slice_str(number), json_bytes(json_object_get(reply, "error_description")));
	outcome_put(&o->code, *number ? slice_str(number) : word);
	if (slice_eq_str(word, "temporarily_unavailable"))
		o->verdict = VERDICT_RETRY;
	put_trace(reply, o);
}

static int granted(struct exchange *x, const json_t *reply, const struct http_response *r, struct outcome *o)
{
	struct slice token = json_bytes(json_object_get(reply, "access_token"));
	int64_t life = json_seconds(json_object_get(reply, "expires_in"));
	int err;

	if (!token.len || life <= 0) {
		outcome_nonsense(o, r, "not an answer of Entra ID");
		return 0;
	}
	err = secret_set(&x->got.access_token, token);
	if (err)
		return err;
	x->got.expires_at = x->now + life;
	o->refresh_in = json_seconds(json_object_get(reply, "refresh_in"));
	outcome_put(&o->principal, spec_text(x, "clientID"));
	o->verdict = VERDICT_DONE;
	return 0;
}

static int response(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	AUTO(json_t) json_t *reply = reply_json(r);

	if (reply && r->status == 200)
		return granted(x, reply, r, o);
	if (reply)
		refused(reply, r, o);
	else
		outcome_nonsense(o, r, "not JSON");
	return 0;
}

static const char *const texts[] = { "tenantID", "clientID", "scope", "audience", "authority", NULL };

const struct cloud_ops azure_ops = { .texts = texts, .request = request, .response = response };
