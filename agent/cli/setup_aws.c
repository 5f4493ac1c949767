// SPDX-License-Identifier: Apache-2.0
/*
 * setup_aws.c - IAM for a CredentialSource of kind aws (OIDC provider, role) or awsRolesAnywhere (trust anchor, profile, role).
 * The role trusts the SPIFFE IDs that use the source, and nobody else. svid. Facts: clouds.md 1.1, 1.2, 2.
 */
#include <stdio.h>

#include "agent/cli/dump.h"
#include "agent/cli/setup.h"

#define TRUST_MAX 2048 /* characters of a trust policy, unless AWS raised the quota */
#define ISSUER_MAX 255

/* "arn:aws:iam::123456789012:role/team/app" */
struct role {
	struct slice partition, account, path, name; /* path: "/team/"; "/" without */
};

static struct slice take_until(struct slice *s, char end)
{
	const uint8_t *at = s->len ? memchr(s->p, end, s->len) : NULL;
	struct slice part = slice_get_bytes(s, at ? (size_t)(at - s->p) : s->len);

	if (at)
		(void)slice_get_u8(s);
	return part;
}

static bool read_role(const char *arn, struct role *r)
{
	struct slice s = slice_str(arn);
	size_t slash = 0;

	(void)take_until(&s, ':');
	r->partition = take_until(&s, ':');
	(void)take_until(&s, ':');
	(void)take_until(&s, ':');
	r->account = take_until(&s, ':');
	if (!slice_starts(s, slice_str("role/")))
		return false;
	(void)slice_get_bytes(&s, strlen("role"));
	for (size_t i = 0; i < s.len; i++)
		slash = s.p[i] == '/' ? i : slash;
	r->path = slice_of(s.p, slash + 1);
	r->name = slice_of(s.p + slash + 1, s.len - slash - 1);
	return r->name.len && r->account.len;
}

static json_t *one_or_list(json_t *list)
{
	json_t *one = json_array_size(list) == 1 ? json_incref(json_array_get(list, 0)) : NULL;

	if (!one)
		return list;
	json_decref(list);
	return one;
}

static bool is_true(const struct setup *s, const char *name)
{
	return strcmp(json_text(s->spec, name), "true") == 0;
}

/* Tags and source identity travel in the token, and the trust policy has to allow them. */
static json_t *actions_of(const struct setup *s)
{
	json_t *list = json_pack("[s]", "sts:AssumeRoleWithWebIdentity");

	if (json_object_size(json_object_get(s->spec, "tags")))
		(void)json_array_append_new(list, json_string("sts:TagSession"));
	if (is_true(s, "sourceIdentity"))
		(void)json_array_append_new(list, json_string("sts:SetSourceIdentity"));
	return one_or_list(list);
}

static json_t *web_identity_trust(const struct setup *s, const struct role *r)
{
	const char *host = s->issuer + strlen("https://");
	AUTO(buf) struct buf provider = BUF_INIT(4096);
	AUTO(buf) struct buf aud = BUF_INIT(4096);
	AUTO(buf) struct buf sub = BUF_INIT(4096);

	buf_printf(&provider, "arn:%.*s:iam::%.*s:oidc-provider/%s", (int)r->partition.len, (const char *)r->partition.p,
		   (int)r->account.len, (const char *)r->account.p, host);
	buf_printf(&aud, "%s:aud", host);
	buf_printf(&sub, "%s:sub", host);
	return json_pack("{s:s, s:[{s:s, s:{s:s}, s:o, s:{s:{s:s, s:o}}}]}", "Version", "2012-10-17", "Statement",
			 "Effect", "Allow", "Principal", "Federated", buf_cstr(&provider), "Action", actions_of(s), "Condition",
			 "StringEquals", buf_cstr(&aud), json_text(s->spec, "audience"), buf_cstr(&sub),
			 one_or_list(setup_subjects(s)));
}

static size_t length_of(const json_t *policy)
{
	AUTO(buf) struct buf text = BUF_INIT(SETUP_TEXT);

	json_put(&text, policy, JSON_COMPACT);
	return text.len;
}

/* One that exists keeps its name, and gets the new trust. */
static void put_role(struct setup *s, const struct role *r, json_t *trust)
{
	AUTO(buf) struct buf why = BUF_INIT(1024);
	AUTO(buf) struct buf seconds = BUF_INIT(32);
	size_t len = length_of(trust);

	buf_put_str(&why, "The role, for these identities alone.");
	if (len > TRUST_MAX)
		buf_printf(&why, "\nIts trust policy has %zu characters; AWS takes %d unless the quota of the account is higher: "
				 "then use several roles.", len, TRUST_MAX);
	buf_printf(&seconds, "%lld", (long long)(json_integer_value(json_object_get(s->spec, "lifetime")) < 3600 ? 3600 :
			     json_integer_value(json_object_get(s->spec, "lifetime"))));
	setup_words(s, "aws iam create-role");
	setup_option(s, "--role-name", r->name);
	setup_option(s, "--path", r->path);
	setup_option(s, "--max-session-duration", buf_slice(&seconds));
	setup_option_json(s, "--assume-role-policy-document", json_incref(trust));
	setup_step(s, buf_cstr(&why));
	setup_words(s, "aws iam update-assume-role-policy");
	setup_option(s, "--role-name", r->name);
	setup_option_json(s, "--policy-document", trust);
	setup_step(s, "Instead, where the role exists (this replaces its trust policy; aws iam update-role has the duration):");
	setup_words(s, "aws iam attach-role-policy");
	setup_option(s, "--role-name", r->name);
	setup_words(s, " \\\n    --policy-arn \"$POLICY_ARN\"");
	setup_step(s, "What the role may do is yours to say: POLICY_ARN is a policy of yours.");
}

static const char *provider_why(const char *issuer)
{
	const char *host = issuer + strlen("https://");

	if (strlen(issuer) > ISSUER_MAX)
		return "jwt.issuer has more than 255 characters, and IAM takes no more";
	if (strchr(host, ':'))
		return "jwt.issuer has a port, and IAM takes none";
	return NULL;
}

void setup_aws(struct setup *s)
{
	struct role r;

	s->refused = provider_why(s->issuer);
	if (!s->refused && !read_role(json_text(s->spec, "roleArn"), &r))
		s->refused = "its roleArn is not that of a role";
	if (s->refused)
		return;
	setup_publish(s, " AWS reads it from the public internet, and takes no upload.");
	setup_words(s, "aws iam create-open-id-connect-provider");
	setup_option(s, "--url", slice_str(s->issuer));
	/* As JSON: in a bare word the CLI would follow https:// and file://, and parse what begins with a bracket. */
	setup_option_json(s, "--client-id-list", json_pack("[s]", json_text(s->spec, "audience")));
	setup_step(s, "Once in each account: tokens of this issuer are known.");
	put_role(s, &r, web_identity_trust(s, &r));
}

/* ---- Roles Anywhere ---- */

/* "arn:aws:rolesanywhere:REGION:ACCOUNT:trust-anchor/ID" */
static void read_anywhere(const char *arn, struct slice *ret_region, struct slice *ret_id)
{
	struct slice s = slice_str(arn);

	for (int i = 0; i < 3; i++)
		(void)take_until(&s, ':');
	*ret_region = take_until(&s, ':');
	(void)take_until(&s, '/');
	*ret_id = s;
}

/* x509SAN/URI is the session tag that Roles Anywhere makes of the certificate's SPIFFE ID. */
static json_t *anywhere_trust(const struct setup *s)
{
	return json_pack("{s:s, s:[{s:s, s:{s:s}, s:[s,s,s], s:{s:{s:o}, s:{s:s}}}]}", "Version", "2012-10-17", "Statement",
			 "Effect", "Allow", "Principal", "Service", "rolesanywhere.amazonaws.com", "Action", "sts:AssumeRole",
			 "sts:TagSession", "sts:SetSourceIdentity", "Condition", "StringEquals", "aws:PrincipalTag/x509SAN/URI",
			 one_or_list(setup_subjects(s)), "ArnEquals", "aws:SourceArn", json_text(s->spec, "trustAnchorArn"));
}

static json_t *anchor_source(const struct setup *s)
{
	return json_pack("{s:s, s:{s:s%}}", "sourceType", "CERTIFICATE_BUNDLE", "sourceData", "x509CertificateData",
			 (const char *)s->ca_pem.p, s->ca_pem.len);
}

static void put_anchor(struct setup *s, struct slice region, struct slice id)
{
	setup_words(s, "aws rolesanywhere create-trust-anchor --enabled");
	setup_option(s, "--region", region);
	setup_option(s, "--name", slice_str(s->trust_domain));
	setup_option_json(s, "--source", anchor_source(s));
	setup_step(s, "Once: our CA is known. It prints the trustAnchorArn for the document.");
	setup_words(s, "aws rolesanywhere update-trust-anchor");
	setup_option(s, "--region", region);
	setup_option(s, "--trust-anchor-id", id);
	setup_option_json(s, "--source", anchor_source(s));
	setup_step(s, "Instead, where it exists, and again when svid bundle show has another CA certificate:");
}

static void put_profile(struct setup *s, struct slice region)
{
	AUTO(buf) struct buf seconds = BUF_INIT(32);

	buf_printf(&seconds, "%lld", (long long)json_integer_value(json_object_get(s->spec, "lifetime")));
	setup_words(s, "aws rolesanywhere create-profile --enabled");
	setup_words(s, is_true(s, "sessionName") ? " --accept-role-session-name" : "");
	setup_option(s, "--region", region);
	setup_option(s, "--name", slice_str(s->source));
	setup_option(s, "--duration-seconds", buf_slice(&seconds));
	setup_option(s, "--role-arns", slice_str(json_text(s->spec, "roleArn")));
	setup_step(s, "Once: which roles, and how long. It prints the profileArn for the document.");
}

void setup_roles_anywhere(struct setup *s)
{
	struct slice region, id;
	struct role r;

	if (!read_role(json_text(s->spec, "roleArn"), &r)) {
		s->refused = "its roleArn is not that of a role";
		return;
	}
	read_anywhere(json_text(s->spec, "trustAnchorArn"), &region, &id);
	put_anchor(s, region, id);
	put_role(s, &r, anywhere_trust(s));
	put_profile(s, region);
}
