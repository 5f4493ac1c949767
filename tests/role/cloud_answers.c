/* SPDX-License-Identifier: Apache-2.0 */
/* cloud_answers.c - sources in normal form, and what the three clouds answer, in their own shapes (clouds.md 1). */
#include "tests/role/cloud_world.h"

#include "agent/base/clock.h"

#define ARN "arn:aws:iam::123456789012:role/web"
#define AT_ANCHOR "arn:aws:rolesanywhere:eu-central-1:123456789012:"

static void put_settings(struct buf *b, enum cloud_kind kind, const char *url)
{
	switch (kind) {
	case CLOUD_AWS:
		buf_printf(b, "\"roleArn\":\"" ARN "\",\"region\":\"eu-central-1\",\"endpoint\":\"%s\",\"audience\":\"cloud\","
			      "\"lifetime\":3600", url);
		break;
	case CLOUD_AWS_ROLES_ANYWHERE:
		buf_printf(b, "\"roleArn\":\"" ARN "\",\"trustAnchorArn\":\"" AT_ANCHOR "trust-anchor/a\",\"profileArn\":\""
			      AT_ANCHOR "profile/b\",\"endpoint\":\"%s\",\"lifetime\":3600,\"sessionName\":\"true\"", url);
		break;
	case CLOUD_GCP:
		buf_printf(b, "\"oidcProviderId\":\"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/"
			      "providers/q\",\"stsEndpoint\":\"%s/v1/token\",\"iamEndpoint\":\"%s\",\"audience\":\"cloud\","
			      "\"lifetime\":3600", url, url);
		break;
	case CLOUD_AZURE:
		buf_printf(b, "\"tenantID\":\"tenant\",\"clientID\":\"client\",\"scope\":\"https://vault.azure.net/.default\","
			      "\"audience\":\"cloud\",\"authority\":\"%s\"", url);
		break;
	default:
		buf_put_str(b, "\"audience\":\"cloud\"");
	}
}

char *source_of(enum cloud_kind kind, const char *url, const char *ca, const char *settings, const char *more)
{
	AUTO(buf) struct buf b = BUF_INIT(32768);

	buf_printf(&b, "{\"%s\":{", cloud_kind_name(kind));
	put_settings(&b, kind, url);
	buf_printf(&b, "%s}", settings);
	if (ca) {
		buf_put_str(&b, ",\"caBundle\":");
		buf_put_json(&b, slice_str(ca));
	}
	buf_printf(&b, "%s}", more);
	assert_int_equal(buf_ok(&b), 0);
	return strdup(buf_cstr(&b));
}

void aws_grants(struct https_reply *r, const char *mark, int64_t in_s)
{
	char until[32];

	clock_rfc3339(clock_wall_s() + in_s, until);
	buf_printf(&r->body, "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
		   "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA%s</AccessKeyId>"
		   "<SecretAccessKey>secret-%s</SecretAccessKey><SessionToken>session-%s</SessionToken>"
		   "<Expiration>%s</Expiration></Credentials><AssumedRoleUser><Arn>" ARN "/s</Arn></AssumedRoleUser>"
		   "</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>request-%s</RequestId></ResponseMetadata>"
		   "</AssumeRoleWithWebIdentityResponse>", mark, mark, mark, until, mark);
}

void aws_refuses(struct https_reply *r, unsigned int status, const char *code)
{
	r->status = status;
	buf_printf(&r->body, "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>"
		   "<Code>%s</Code><Message>what AWS says</Message></Error><RequestId>request-no</RequestId></ErrorResponse>",
		   code);
}

void google_grants(struct https_reply *r, const char *mark, int64_t in_s)
{
	buf_printf(&r->body, "{\"access_token\":\"ya29.%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld,"
		   "\"issued_token_type\":\"urn:ietf:params:oauth:token-type:access_token\"}", mark, (long long)in_s);
}

void google_account_grants(struct https_reply *r, const char *mark, int64_t in_s)
{
	char until[32];

	clock_rfc3339(clock_wall_s() + in_s, until);
	buf_printf(&r->body, "{\"accessToken\":\"ya29.account-%s\",\"expireTime\":\"%s\"}", mark, until);
}

void azure_grants(struct https_reply *r, const char *mark, int64_t in_s)
{
	buf_printf(&r->body, "{\"token_type\":\"Bearer\",\"expires_in\":%lld,\"ext_expires_in\":%lld,"
		   "\"access_token\":\"eyJ.%s\"}", (long long)in_s, (long long)in_s, mark);
}

void anywhere_grants(struct https_reply *r, const char *mark, int64_t in_s)
{
	char until[32];

	clock_rfc3339(clock_wall_s() + in_s, until);
	r->status = 201;
	buf_printf(&r->body, "{\"credentialSet\":[{\"assumedRoleUser\":{\"arn\":\"" ARN "/s\"},\"credentials\":{"
		   "\"accessKeyId\":\"ASIA%s\",\"secretAccessKey\":\"secret-%s\",\"sessionToken\":\"session-%s\","
		   "\"expiration\":\"%s\"}}],\"subjectArn\":\"s\"}", mark, mark, mark, until);
}
