// SPDX-License-Identifier: Apache-2.0
/*
 * compile_cloud.c - what the rows of compile_schema_cloud.c cannot say of one document: exactly one cloud, what its parts must
 * have to do with each other. svid compile. Next: compile_bind.c, for documents together.
 */
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/plan.h"

#define GOOGLE_LIFE_LOW 3600
#define AWS_LIFE_LOW 3600
#define TAGS_AROUND 128	     /* bytes of what is around them in a token */
#define TAG_NAME 128	     /* bytes of a session tag's name */

/* Defaults were put in for every cloud: those of the others go. Returns how many there are. */
static size_t keep_seen(struct ctx *x, json_t *spec)
{
	size_t n = 0;

	for (unsigned int kind = 0; kind < CLOUD_KIND_COUNT; kind++) {
		char path[64];

		snprintf(path, sizeof(path), "spec.%s", cloud_kind_name(kind));
		if (seen_at(x, path).line)
			n++;
		else
			json_object_del(spec, cloud_kind_name(kind));
	}
	return n;
}

static void put_default(struct ctx *x, json_t *map, const char *key, struct buf *value)
{
	if (!json_object_get(map, key) && json_object_set_new(map, key, json_string(text_of(x->c, value))))
		x->c->no_memory = true;
}

/* Partitions of AWS have domains of their own. */
static const char *aws_domain(const char *region)
{
	static const struct {
		const char *prefix, *domain;
	} partitions[] = {
		{ "cn-", "amazonaws.com.cn" },	  { "us-iso-", "c2s.ic.gov" },	      { "us-isob-", "sc2s.sgov.gov" },
		{ "eu-isoe-", "cloud.adc-e.uk" }, { "us-isof-", "csp.hci.ic.gov" },   { "eusc-", "amazonaws.eu" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
		if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0)
			return partitions[i].domain;
	return "amazonaws.com";
}

static void put_aws_endpoint(struct ctx *x, json_t *map, const char *service, const char *region)
{
	AUTO(buf) struct buf url = BUF_INIT(512);

	buf_printf(&url, "https://%s.%s.%s", service, region, aws_domain(region));
	put_default(x, map, "endpoint", &url);
}

/* Below an hour, SDKs of AWS ask for new ones at each call. */
static void judge_life(struct ctx *x, const json_t *aws, const char *path)
{
	if (json_integer_value(json_object_get(aws, "lifetime")) < AWS_LIFE_LOW && json_object_get(aws, "lifetime"))
		ctx_warn(x, seen_at(x, path), "lifetime: below 1h the SDKs of AWS refresh at nearly every call");
}

/* They become claims of a token, and svid-core has room for so many. A name may be there twice: as transitive tag. */
static void judge_tags(struct ctx *x, const json_t *tags)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_CLOUD_CLAIMS - TAGS_AROUND);
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)tags, name, value) {
		buf_put_json(&claims, slice_str(name));
		buf_put_json(&claims, slice_str(name));
		buf_put_json(&claims, slice_str(json_string_value(value)));
		buf_put_str(&claims, ":[],,");
		if (strlen(name) > TAG_NAME)
			ctx_error(x, seen_at(x, "spec.aws.tags"), "spec.aws.tags: a name has %d bytes at the most", TAG_NAME);
		if (strncasecmp(name, "aws:", 4) == 0)
			ctx_error(x, seen_at(x, "spec.aws.tags"), "spec.aws.tags: names that begin with aws: are Amazon's own");
	}
	if (buf_ok(&claims) == -ERR_SIZE)
		ctx_error(x, seen_at(x, "spec.aws.tags"), "spec.aws.tags: they have more than %d bytes together",
			  LIM_CLOUD_CLAIMS);
	else if (buf_ok(&claims))
		x->c->no_memory = true;
}

static void judge_aws(struct ctx *x, json_t *aws)
{
	const char *policy = json_string_value(json_object_get(aws, "sessionPolicy"));
	json_error_t why = { .line = 0 };
	json_t *parsed = policy ? json_loads(policy, JSON_REJECT_DUPLICATES, &why) : NULL;
	const json_t *tag;
	size_t i;

	if (!seen_at(x, "spec.aws.region").line && !seen_at(x, "spec.aws.endpoint").line)
		ctx_error(x, seen_at(x, "spec.aws"), "spec.aws: region is missing (or endpoint)");
	if (json_object_get(aws, "region"))
		put_aws_endpoint(x, aws, "sts", json_string_value(json_object_get(aws, "region")));
	/* it says "unknown" when it could not even begin */
	if (policy && !parsed &&
	    (json_error_code(&why) == json_error_unknown || json_error_code(&why) == json_error_out_of_memory))
		x->c->no_memory = true;
	else if (policy && !json_is_object(parsed))
		ctx_error(x, seen_at(x, "spec.aws.sessionPolicy"), "spec.aws.sessionPolicy: a JSON object is wanted");
	json_decref(parsed);
	judge_tags(x, json_object_get(aws, "tags"));
	judge_life(x, aws, "spec.aws.lifetime");
	json_array_foreach(json_object_get(aws, "transitiveTags"), i, tag)
		if (!json_object_get(json_object_get(aws, "tags"), json_string_value(tag)))
			ctx_error(x, seen_at(x, "spec.aws.transitiveTags"), "spec.aws.transitiveTags: %s is not in tags",
				  json_string_value(tag));
}

/* arn:aws:rolesanywhere:REGION:account:trust-anchor/id. CreateSession is of one region, and so are both. */
static void judge_roles_anywhere(struct ctx *x, json_t *aws)
{
	const char *anchor = json_string_value(json_object_get(aws, "trustAnchorArn"));
	const char *profile = json_string_value(json_object_get(aws, "profileArn"));
	char of_anchor[64] = "", of_profile[64] = "";

	for (int i = 0; i < 3 && anchor && profile; i++) {
		anchor = strchr(anchor, ':') ? strchr(anchor, ':') + 1 : NULL;
		profile = strchr(profile, ':') ? strchr(profile, ':') + 1 : NULL;
	}
	if (!anchor || !profile)
		return; /* reported already */
	snprintf(of_anchor, sizeof(of_anchor), "%.*s", (int)strcspn(anchor, ":"), anchor);
	snprintf(of_profile, sizeof(of_profile), "%.*s", (int)strcspn(profile, ":"), profile);
	if (strcmp(of_anchor, of_profile) != 0)
		ctx_error(x, seen_at(x, "spec.awsRolesAnywhere.profileArn"),
			  "spec.awsRolesAnywhere: trust anchor and profile are of different regions");
	put_aws_endpoint(x, aws, "rolesanywhere", of_anchor);
	judge_life(x, aws, "spec.awsRolesAnywhere.lifetime");
}

static void judge_gcp(struct ctx *x, json_t *gcp)
{
	const char *provider = json_string_value(json_object_get(gcp, "oidcProviderId"));
	AUTO(buf) struct buf audience = BUF_INIT(1024);

	buf_printf(&audience, "https:%s", provider ? provider : "");
	if (provider)
		put_default(x, gcp, "audience", &audience);
	if (json_object_get(gcp, "idTokenAudience") && !json_object_get(gcp, "serviceAccount"))
		ctx_error(x, seen_at(x, "spec.gcp.idTokenAudience"),
			  "spec.gcp.idTokenAudience: serviceAccount is needed for it");
	if (json_integer_value(json_object_get(gcp, "lifetime")) > GOOGLE_LIFE_LOW)
		ctx_warn(x, seen_at(x, "spec.gcp.lifetime"),
			 "spec.gcp.lifetime: above 1h Google refuses unless an organisation policy allows it for the account");
}

void judge_source(struct ctx *x, const struct ynode *root, json_t *spec)
{
	size_t n = keep_seen(x, spec);

	if (n != 1)
		ctx_error(x, root->mark, "spec: %s of aws, awsRolesAnywhere, gcp, azure and jwt is wanted",
			  n ? "only one" : "one");
	if (json_object_get(spec, "aws"))
		judge_aws(x, json_object_get(spec, "aws"));
	if (json_object_get(spec, "awsRolesAnywhere"))
		judge_roles_anywhere(x, json_object_get(spec, "awsRolesAnywhere"));
	if (json_object_get(spec, "gcp"))
		judge_gcp(x, json_object_get(spec, "gcp"));
}

/* Not those of a person who knows: every one of them runs what its arguments say. */
static const char *const interpreters[] = { "ash", "awk", "bash", "busybox", "dash", "env", "ksh", "lua", "mawk", "gawk", "node",
					    "perl", "php", "python", "python3", "ruby", "zsh" };

static bool is_interpreter(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
		if (strcmp(name, interpreters[i]) == 0)
			return true;
	return strncmp(name, "python3.", 8) == 0;
}

void judge_helpers(struct ctx *x, const json_t *spec)
{
	const json_t *helper;
	size_t i;

	json_array_foreach(json_object_get(spec, "helpers"), i, helper) {
		const char *path = json_string_value(helper), *name = strrchr(path, '/') + 1;

		if (strcmp(name, "sh") == 0)
			ctx_warn(x, seen_at(x, "spec.helpers"),
				 "spec.helpers: sh is a link nearly everywhere: name what it leads to, such as /bin/dash");
		else if (is_interpreter(name))
			ctx_warn(x, seen_at(x, "spec.helpers"),
				 "spec.helpers: whatever the workload starts can have a shell or interpreter read it");
	}
}
