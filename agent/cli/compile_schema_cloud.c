// SPDX-License-Identifier: Apache-2.0
/*
 * compile_schema_cloud.c - the rows of CredentialSource and WorkloadCredential, and what their texts may be. The limits are the
 * clouds' own (clouds.md 0): a document that its cloud would refuse is refused here, with its line. svid compile.
 */
#include "agent/base/limits.h"
#include "agent/base/spiffe_id.h"
#include "agent/cli/compile_schema.h"
#include "agent/ipc/terms.h"

#define MINUTE 60
#define HOUR 3600

static bool is_in(uint8_t c, const char *more)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr(more, c));
}

static bool all_in(struct slice s, const char *more)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_in(s.p[i], more))
			return false;
	return true;
}

static bool has(struct slice s, const char *part)
{
	return s.len && memmem(s.p, s.len, part, strlen(part));
}

static bool is_arn(struct slice s, const char *service, const char *resource)
{
	return slice_starts(s, slice_str("arn:aws")) && has(s, service) && has(s, resource) && all_in(s, ":/_+=,.@-");
}

static const char *role_why(struct slice s)
{
	return is_arn(s, ":iam::", ":role/") ? NULL : "the ARN of a role is wanted: arn:aws:iam::123456789012:role/NAME";
}

static const char *policy_arn_why(struct slice s)
{
	return is_arn(s, ":iam::", ":policy/") ? NULL : "the ARN of a managed policy is wanted";
}

static const char *anchor_why(struct slice s)
{
	return is_arn(s, ":rolesanywhere:", ":trust-anchor/") ? NULL
		: "the ARN of a trust anchor of IAM Roles Anywhere is wanted";
}

static const char *profile_why(struct slice s)
{
	return is_arn(s, ":rolesanywhere:", ":profile/") ? NULL : "the ARN of a profile of IAM Roles Anywhere is wanted";
}

static const char *region_why(struct slice s)
{
	return all_in(s, "-") ? NULL : "the name of a region is wanted, such as eu-central-1";
}

/* Over anything but TLS a token would be everybody's. */
static const char *https_why(struct slice s)
{
	struct slice scheme = slice_str("https://");

	if (!slice_starts(s, scheme) || s.len == scheme.len || s.p[s.len - 1] == '/')
		return "an https:// URL without a slash at its end is wanted";
	return all_in(s, ":/._~-[]") ? NULL : "a URL without query, user and spaces is wanted";
}

/* CreateSession has its own path, which is signed. */
static const char *host_why(struct slice s)
{
	size_t scheme = strlen("https://");
	const char *why = https_why(s);

	if (!why && memchr(s.p + scheme, '/', s.len - scheme))
		return "an https:// URL without a path is wanted";
	return why;
}

static const char *proxy_why(struct slice s)
{
	if (!slice_starts(s, slice_str("http://")) && !slice_starts(s, slice_str("https://")))
		return "http://HOST:PORT or https://HOST:PORT is wanted";
	return all_in(s, ":/._-[]") ? NULL : "a proxy without user and password is wanted: they would be in the clear here";
}

static const char *pem_why(struct slice s)
{
	if (has(s, "PRIVATE KEY"))
		return "certificates are wanted, never a private key";
	return has(s, "-----BEGIN CERTIFICATE-----") ? NULL : "certificates in PEM are wanted";
}

static const char *provider_why(struct slice s)
{
	if (!slice_starts(s, slice_str("//iam.googleapis.com/projects/")) || !has(s, "/workloadIdentityPools/") ||
	    !has(s, "/providers/"))
		return "//iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER"
		       " is wanted";
	return all_in(s, "/.-") ? NULL : "letters, digits, slashes, dots and dashes are wanted";
}

static const char *account_why(struct slice s)
{
	return has(s, "@") && all_in(s, "@.-") ? NULL : "the e-mail address of a service account is wanted";
}

static const char *tenant_why(struct slice s)
{
	return all_in(s, ".-") ? NULL : "the id or a domain of the tenant is wanted";
}

static const char *client_why(struct slice s)
{
	return s.len == 36 && all_in(s, "-") ? NULL : "the application (client) id is wanted, 36 characters";
}

static const char *scope_why(struct slice s)
{
	struct slice end = slice_str("/.default");

	if (s.len <= end.len || !slice_eq(slice_of(s.p + s.len - end.len, end.len), end))
		return "one resource and /.default is wanted: https://vault.azure.net/.default";
	return all_in(s, ":/._-") ? NULL : "exactly one resource is wanted, without spaces";
}

static const char *audience_why(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return "printable ASCII without spaces is wanted";
	return NULL;
}

static const char *google_scope_why(struct slice s)
{
	return all_in(s, ":/._-") ? NULL : "one OAuth scope is wanted in each item";
}

static const char *helper_why(struct slice s)
{
	if (s.p[0] != '/' || has(s, "//") || has(s, "/../") || has(s, "/./") || s.p[s.len - 1] == '/')
		return "the absolute path of an executable is wanted, as svidd sees it";
	return NULL;
}

static const char *workload_why(struct slice s)
{
	return s.p[0] == '/' ? "no slash in front is wanted: it is joined to the trust domain" : NULL;
}

static const char *doc_name_why(struct slice s)
{
	return is_in(s.p[0], "") && all_in(s, "-._") ? NULL
		: "letters, digits, dot, dash and underscore are wanted, the first a letter or digit";
}

static const char *credential_name_why(struct slice s)
{
	const char *why = doc_name_why(s);

	return why ? why : term_credential_why(s);
}

/* clang-format off */
#define DOC_ROWS(what, name_why) \
	{ .path = "apiVersion", .type = OPT_WORD, .required = true, .words = SCHEMA_API_VERSIONS, .reloadable = true, \
	  .help = "version of the format; the second is an alias" }, \
	{ .path = "kind", .type = OPT_TEXT, .required = true, .min = 1, .max = 63, .reloadable = true, \
	  .help = "kind of the document" }, \
	{ .path = "metadata", .type = OPT_MAP, .required = true, .reloadable = true, .help = "name of the document" }, \
	{ .path = "metadata.name", .type = OPT_TEXT, .required = true, .min = 1, .max = LIM_DOC_NAME, .why = name_why, \
	  .reloadable = true, .help = "a document is its kind and name" }, \
	{ .path = "spec", .type = OPT_MAP, .required = true, .reloadable = true, .help = what }

#define LIFETIME(path_) \
	{ .path = path_, .type = OPT_DURATION, .fallback = "1h", .min = 15 * MINUTE, .max = 12 * HOUR, .reloadable = true, \
	  .help = "life of what the cloud gives; its own limits for the role hold besides" }

const struct option_row source_rows[SOURCE_ROWS] = {
	DOC_ROWS("where credentials come from: exactly one of aws, awsRolesAnywhere, gcp, azure, jwt", doc_name_why),
	{ .path = "spec.aws", .type = OPT_MAP, .reloadable = true, .help = "AWS STS AssumeRoleWithWebIdentity" },
	{ .path = "spec.aws.roleArn", .type = OPT_TEXT, .required = true, .min = 20, .max = 2048, .why = role_why,
	  .reloadable = true, .help = "the role" },
	{ .path = "spec.aws.region", .type = OPT_TEXT, .min = 1, .max = 32, .why = region_why, .reloadable = true,
	  .help = "whose STS is asked; needed unless endpoint is there" },
	{ .path = "spec.aws.endpoint", .type = OPT_TEXT, .min = 9, .max = 255, .why = https_why, .reloadable = true,
	  .help = "URL of the STS; https://sts.REGION.amazonaws.com when missing" },
	{ .path = "spec.aws.audience", .type = OPT_TEXT, .fallback = "sts.amazonaws.com", .min = 1, .max = 255,
	  .why = audience_why, .reloadable = true, .help = "aud of the JWT-SVID: a client id of the IAM OIDC provider" },
	LIFETIME("spec.aws.lifetime"),
	{ .path = "spec.aws.sessionPolicy", .type = OPT_TEXT, .min = 2, .max = 2048, .reloadable = true,
	  .help = "JSON policy that narrows the role" },
	{ .path = "spec.aws.policyArns", .type = OPT_TEXTS, .min = 20, .max = 2048, .max_n = 10, .why = policy_arn_why,
	  .reloadable = true, .help = "managed policies that narrow the role" },
	{ .path = "spec.aws.tags", .type = OPT_TEXT_MAP, .min = 1, .max = 256, .max_n = 50, .reloadable = true,
	  .help = "session tags: names to values" },
	{ .path = "spec.aws.transitiveTags", .type = OPT_TEXTS, .min = 1, .max = 128, .max_n = 50, .reloadable = true,
	  .help = "names of tags that outlive role chaining" },
	{ .path = "spec.aws.sourceIdentity", .type = OPT_WORD, .fallback = "false", .words = "true|false", .reloadable = true,
	  .help = "the session's source identity is the workload; the trust policy must allow sts:SetSourceIdentity" },
	{ .path = "spec.awsRolesAnywhere", .type = OPT_MAP, .reloadable = true,
	  .help = "AWS IAM Roles Anywhere with the X.509-SVID" },
	{ .path = "spec.awsRolesAnywhere.trustAnchorArn", .type = OPT_TEXT, .required = true, .min = 20, .max = 2048,
	  .why = anchor_why, .reloadable = true, .help = "trust anchor that holds our CA certificates" },
	{ .path = "spec.awsRolesAnywhere.profileArn", .type = OPT_TEXT, .required = true, .min = 20, .max = 2048,
	  .why = profile_why, .reloadable = true, .help = "profile, of the same region" },
	{ .path = "spec.awsRolesAnywhere.roleArn", .type = OPT_TEXT, .required = true, .min = 20, .max = 2048, .why = role_why,
	  .reloadable = true, .help = "the role" },
	{ .path = "spec.awsRolesAnywhere.endpoint", .type = OPT_TEXT, .min = 9, .max = 255, .why = host_why,
	  .reloadable = true,
	  .help = "https://rolesanywhere.REGION.amazonaws.com of the trust anchor when missing" },
	LIFETIME("spec.awsRolesAnywhere.lifetime"),
	{ .path = "spec.awsRolesAnywhere.sessionName", .type = OPT_WORD, .fallback = "false", .words = "true|false",
	  .reloadable = true,
	  .help = "send a session name; the profile must accept one" },
	{ .path = "spec.gcp", .type = OPT_MAP, .reloadable = true, .help = "Google Cloud workload identity federation" },
	{ .path = "spec.gcp.oidcProviderId", .type = OPT_TEXT, .required = true, .min = 1, .max = 512, .why = provider_why,
	  .reloadable = true, .help = "resource name of the pool's provider" },
	{ .path = "spec.gcp.serviceAccount", .type = OPT_TEXT, .min = 3, .max = 320, .why = account_why, .reloadable = true,
	  .help = "account to impersonate; without it the federated token itself is what the workload gets" },
	{ .path = "spec.gcp.scopes", .type = OPT_TEXTS, .min = 1, .max = 256, .max_n = 32, .why = google_scope_why,
	  .not_empty = true,
	  .reloadable = true, .help = "OAuth scopes; https://www.googleapis.com/auth/cloud-platform when missing" },
	LIFETIME("spec.gcp.lifetime"),
	{ .path = "spec.gcp.audience", .type = OPT_TEXT, .min = 1, .max = 256, .why = audience_why, .reloadable = true,
	  .help = "aud of the JWT-SVID; https: and oidcProviderId when missing" },
	{ .path = "spec.gcp.subject", .type = OPT_WORD, .fallback = "sub", .words = "sub|mapped", .reloadable = true,
	  .help = "what the provider maps to google.subject: the whole sub, or something that fits 127 bytes" },
	{ .path = "spec.gcp.idTokenAudience", .type = OPT_TEXT, .min = 1, .max = 2048, .why = audience_why, .reloadable = true,
	  .help = "an id token for it too, in gcp/id_token; needs serviceAccount" },
	{ .path = "spec.gcp.stsEndpoint", .type = OPT_TEXT, .fallback = "https://sts.googleapis.com/v1/token", .min = 9,
	  .max = 255,
	  .why = https_why, .reloadable = true, .help = "URL of the token exchange" },
	{ .path = "spec.gcp.iamEndpoint", .type = OPT_TEXT, .fallback = "https://iamcredentials.googleapis.com", .min = 9,
	  .max = 255, .why = https_why, .reloadable = true, .help = "URL of the impersonation service" },
	{ .path = "spec.azure", .type = OPT_MAP, .reloadable = true, .help = "Microsoft Entra workload identity federation" },
	{ .path = "spec.azure.tenantID", .type = OPT_TEXT, .required = true, .min = 1, .max = 253, .why = tenant_why,
	  .reloadable = true, .help = "the tenant" },
	{ .path = "spec.azure.clientID", .type = OPT_TEXT, .required = true, .min = 36, .max = 36, .why = client_why,
	  .reloadable = true, .help = "the application, or user-assigned identity" },
	{ .path = "spec.azure.scope", .type = OPT_TEXT, .required = true, .min = 1, .max = 512, .why = scope_why,
	  .reloadable = true, .help = "the resource, with /.default" },
	{ .path = "spec.azure.audience", .type = OPT_TEXT, .fallback = "api://AzureADTokenExchange", .min = 1, .max = 600,
	  .why = audience_why, .reloadable = true, .help = "aud of the JWT-SVID" },
	{ .path = "spec.azure.authority", .type = OPT_TEXT, .fallback = "https://login.microsoftonline.com", .min = 9,
	  .max = 255,
	  .why = https_why, .reloadable = true, .help = "URL of Entra ID, another in national clouds" },
	{ .path = "spec.jwt", .type = OPT_MAP, .reloadable = true,
	  .help = "a JWT-SVID in a file, for a relying party that takes it itself" },
	{ .path = "spec.jwt.audiences", .type = OPT_TEXTS, .required = true, .min = 1, .max = LIM_AUDIENCE,
	  .max_n = LIM_AUDIENCES,
	  .not_empty = true, .reloadable = true, .help = "aud of the JWT-SVID" },
	{ .path = "spec.jwt.ttl", .type = OPT_DURATION, .fallback = "1h", .min = 20 * MINUTE, .max = LIM_JWT_TTL_S,
	  .reloadable = true, .help = "life of each; a file never holds one with less than 10 min left" },
	{ .path = "spec.jwtTTL", .type = OPT_DURATION, .fallback = "5m", .min = 1 * MINUTE, .max = 1 * HOUR, .reloadable = true,
	  .help = "life of the JWT-SVID that an exchange uses" },
	{ .path = "spec.proxy", .type = OPT_TEXT, .min = 8, .max = 255, .why = proxy_why, .reloadable = true,
	  .help = "proxy on the way to the token service" },
	{ .path = "spec.caBundle", .type = OPT_TEXT, .min = 27, .max = 32768, .why = pem_why, .reloadable = true,
	  .help = "certificates in PEM that the token service's must lead to; the system's when missing" },
};

const struct option_row credential_rows[CREDENTIAL_ROWS] = {
	DOC_ROWS("credentials of one identity from one source", credential_name_why),
	{ .path = "spec.workloadID", .type = OPT_TEXT, .min = 1, .max = LIM_SPIFFE_ID - 1, .why = workload_why,
	  .reloadable = true,
	  .help = "path of the SPIFFE ID, joined to the trust domain; this or spiffeID" },
	{ .path = "spec.spiffeID", .type = OPT_TEXT, .min = 1, .max = LIM_SPIFFE_ID, .why = spiffe_id_why, .reloadable = true,
	  .help = "whole SPIFFE ID, of this agent's trust domain" },
	{ .path = "spec.credentialSource", .type = OPT_TEXT, .required = true, .min = 1, .max = LIM_DOC_NAME,
	  .why = doc_name_why,
	  .reloadable = true, .help = "name of a CredentialSource" },
	{ .path = "spec.helpers", .type = OPT_TEXTS, .min = 2, .max = 4095, .max_n = 16, .why = helper_why, .reloadable = true,
	  .help = "executables, such as /bin/cat, that may read its files for the process that started them" },
};
/* clang-format on */

_Static_assert(SOURCE_ROWS <= SCHEMA_ROWS_MAX, "rows of CredentialSource");
