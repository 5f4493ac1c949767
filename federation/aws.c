/* SPDX-License-Identifier: Apache-2.0 */
/* aws.c - STS AssumeRoleWithWebIdentity: a JWT-SVID for keys of a role (clouds.md 1.1). svid-cloud. */
#include <errno.h>

#include "agent/base/err.h"
#include "federation/exchange_parts.h"
#include "federation/xml.h"

#define TOKEN_MAX 20000 /* of AWS: WebIdentityToken */

#define AT_RESULT "AssumeRoleWithWebIdentityResponse/AssumeRoleWithWebIdentityResult/"
#define TRUST "the role's trust policy must allow this issuer, audience and subject; changes take minutes to spread"

static const struct cloud_error errors[] = {
	{ "IDPCommunicationError", VERDICT_RETRY, "AWS could not reach the issuer: its OIDC documents must answer in 5 s" },
	{ "InvalidIdentityToken", VERDICT_NEW_JWT,
	  "AWS could not verify the JWT-SVID: publish the JWKS of `svid oidc export` where AWS can reach it" },
	{ "ExpiredTokenException", VERDICT_NEW_JWT, "check this machine's clock" },
	{ "IDPRejectedClaim", VERDICT_SLOW, "issuer and audience must be those of the IAM OIDC provider" },
	{ "AccessDenied", VERDICT_SLOW, TRUST },
	{ "MalformedPolicyDocument", VERDICT_PERMANENT, "correct sessionPolicy of the CredentialSource" },
	{ "PackedPolicyTooLarge", VERDICT_PERMANENT, "shorten sessionPolicy, policyArns or tags of the CredentialSource" },
	{ "ValidationError", VERDICT_PERMANENT,
	  "correct the CredentialSource: roleArn, or lifetime above the role's MaxSessionDuration" },
	{ "RegionDisabledException", VERDICT_PERMANENT, "enable STS in that region, or take another in the CredentialSource" },
	{ "Throttling", VERDICT_RETRY, NULL },
	{ "ThrottlingException", VERDICT_RETRY, NULL },
	{ "ThrottledException", VERDICT_RETRY, NULL },
	{ "RequestThrottled", VERDICT_RETRY, NULL },
	{ "RequestThrottledException", VERDICT_RETRY, NULL },
	{ "RequestLimitExceeded", VERDICT_RETRY, NULL },
	{ "TooManyRequestsException", VERDICT_RETRY, NULL },
	{ "BandwidthLimitExceeded", VERDICT_RETRY, NULL },
	{ "SlowDown", VERDICT_RETRY, NULL },
	{ "RequestTimeout", VERDICT_RETRY, NULL },
	{ "ServiceUnavailable", VERDICT_RETRY, NULL },
	{ "InternalFailure", VERDICT_RETRY, NULL },
	{ NULL, VERDICT_SLOW, TRUST },
};

static void put_policies(const struct exchange *x, struct buf *body)
{
	struct slice policy = spec_text(x, "sessionPolicy");
	const json_t *arns = spec_list(x, "policyArns"), *arn;
	size_t i;

	if (policy.len)
		form_put(body, "Policy", policy);
	json_array_foreach((json_t *)arns, i, arn) {
		char name[48];

		snprintf(name, sizeof(name), "PolicyArns.member.%zu.arn", i + 1);
		form_put(body, name, json_bytes(arn));
	}
}

static int request(const struct exchange *x, struct http_request *r)
{
	char duration[24];

	if (!x->jwt.len || x->jwt.len > TOKEN_MAX)
		return -ERR_SIZE;
	snprintf(duration, sizeof(duration), "%lld", (long long)spec_number(x, "lifetime"));
	buf_put_slice(&r->url, spec_text(x, "endpoint"));
	buf_put_str(&r->url, "/");
	request_form(r);
	request_header(r, "Accept: application/xml");
	form_put(&r->body, "Action", slice_str("AssumeRoleWithWebIdentity"));
	form_put(&r->body, "Version", slice_str("2011-06-15"));
	form_put(&r->body, "RoleArn", spec_text(x, "roleArn"));
	form_put(&r->body, "RoleSessionName", slice_str(x->session));
	form_put(&r->body, "DurationSeconds", slice_str(duration));
	put_policies(x, &r->body);
	form_put(&r->body, "WebIdentityToken", x->jwt);
	return 0;
}

static int refused(const struct http_response *r, struct outcome *o)
{
	AUTO(buf) struct buf code = BUF_INIT(256);
	AUTO(buf) struct buf message = BUF_INIT(LIM_CLOUD_RESPONSE);
	AUTO(buf) struct buf id = BUF_INIT(256);
	struct xml_want wants[] = {
		{ .path = "ErrorResponse/Error/Code", .to = &code },
		{ .path = "ErrorResponse/Error/Message", .to = &message },
		{ .path = "ErrorResponse/RequestId", .to = &id },
	};
	int err = xml_read(r->body, wants, ARRAY_SIZE(wants));

	if (err == -ENOMEM)
		return err;
	if (err || !code.len) {
		outcome_nonsense(o, r, "not an answer of AWS STS");
		return 0;
	}
	outcome_error(o, r, errors, buf_slice(&code), buf_slice(&message));
	if (id.len)
		outcome_put(&o->request_id, buf_slice(&id));
	return 0;
}

static bool is_whole(const struct credential *c, struct slice expiration, int64_t *ret_expires)
{
	return c->key_id.len && c->key_id.len <= AWS_KEY_ID_MAX && c->secret_key.len && c->session_token.len &&
	       !time_parse(expiration, ret_expires);
}

static int granted(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	AUTO(buf) struct buf expiration = BUF_INIT(64);
	AUTO(buf) struct buf arn = BUF_INIT(2048);
	AUTO(buf) struct buf id = BUF_INIT(256);
	struct xml_want wants[] = {
		{ .path = AT_RESULT "Credentials/AccessKeyId", .to = &x->got.key_id },
		{ .path = AT_RESULT "Credentials/SecretAccessKey", .to = &x->got.secret_key },
		{ .path = AT_RESULT "Credentials/SessionToken", .to = &x->got.session_token },
		{ .path = AT_RESULT "Credentials/Expiration", .to = &expiration },
		{ .path = AT_RESULT "AssumedRoleUser/Arn", .to = &arn },
		{ .path = "AssumeRoleWithWebIdentityResponse/ResponseMetadata/RequestId", .to = &id },
	};
	int err = xml_read(r->body, wants, ARRAY_SIZE(wants));

	if (err && err != -ERR_FORMAT)
		return err;
	if (err || !is_whole(&x->got, buf_slice(&expiration), &x->got.expires_at)) {
		outcome_nonsense(o, r, "not an answer of AWS STS");
		return 0;
	}
	x->got.expires_at = local_time(x, r, x->got.expires_at);
	outcome_put(&o->principal, buf_slice(&arn));
	if (id.len)
		outcome_put(&o->request_id, buf_slice(&id));
	o->verdict = VERDICT_DONE;
	return 0;
}

static int response(struct exchange *x, const struct http_response *r, struct outcome *o)
{
	return r->status == 200 ? granted(x, r, o) : refused(r, o);
}

static const char *const texts[] = { "roleArn", "endpoint", "audience", NULL };

const struct cloud_ops aws_ops = { .texts = texts, .request = request, .response = response };
