// SPDX-License-Identifier: Apache-2.0
/*
 * compile_cloud.c - what the rows of compile_schema_cloud.c cannot say: exactly one cloud, the clouds' limits on names, and
 * credentials whose source or identity is not there. svid compile.
 */
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_ctx.h"
#include "agent/ipc/plan.h"

#define GOOGLE_LIFE_LOW 3600
#define GOOGLE_SUBJECT 127 /* bytes of google.subject */

/* What a cloud takes as subject of a token, in bytes; 0: any SPIFFE ID fits. */
static const size_t subject_max[CLOUD_KIND_COUNT] = { [CLOUD_AWS] = 255, [CLOUD_AZURE] = 600 };

static unsigned int kind_of(const json_t *spec)
{
	unsigned int kind = 0;

	while (kind < CLOUD_KIND_COUNT && !json_object_get(spec, cloud_kind_name(kind)))
		kind++;
	return kind;
}

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

static void judge_aws(struct ctx *x, json_t *aws)
{
	const char *policy = json_string_value(json_object_get(aws, "sessionPolicy"));
	json_t *parsed = policy ? json_loads(policy, JSON_REJECT_DUPLICATES, NULL) : NULL;
	const json_t *tag;
	size_t i;

	if (!json_object_get(aws, "region") && !json_object_get(aws, "endpoint"))
		ctx_error(x, seen_at(x, "spec.aws"), "spec.aws: region is missing (or endpoint)");
	if (json_object_get(aws, "region"))
		put_aws_endpoint(x, aws, "sts", json_string_value(json_object_get(aws, "region")));
	if (policy && !json_is_object(parsed))
		ctx_error(x, seen_at(x, "spec.aws.sessionPolicy"), "spec.aws.sessionPolicy: a JSON object is wanted");
	json_decref(parsed);
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
}

static void judge_gcp(struct ctx *x, json_t *gcp)
{
	const char *provider = json_string_value(json_object_get(gcp, "oidcProviderId"));
	AUTO(buf) struct buf audience = BUF_INIT(1024);

	buf_printf(&audience, "https:%s", provider ? provider : "");
	if (provider)
		put_default(x, gcp, "audience", &audience);
	if (json_object_get(gcp, "idTokenAudience") && !json_object_get(gcp, "serviceAccount"))
		ctx_error(x, seen_at(x, "spec.gcp.idTokenAudience"), "spec.gcp.idTokenAudience: serviceAccount is needed for it");
	if (json_integer_value(json_object_get(gcp, "lifetime")) > GOOGLE_LIFE_LOW)
		ctx_warn(x, seen_at(x, "spec.gcp.lifetime"),
			 "spec.gcp.lifetime: above 1h Google refuses unless an organisation policy allows it for the account");
}

void judge_source(struct ctx *x, const struct ynode *root, json_t *spec)
{
	size_t n = keep_seen(x, spec);

	if (n != 1)
		ctx_error(x, root->mark, "spec: %s of aws, awsRolesAnywhere, gcp, azure and jwt is wanted", n ? "only one" : "one");
	if (json_object_get(spec, "aws"))
		judge_aws(x, json_object_get(spec, "aws"));
	if (json_object_get(spec, "awsRolesAnywhere"))
		judge_roles_anywhere(x, json_object_get(spec, "awsRolesAnywhere"));
	if (json_object_get(spec, "gcp"))
		judge_gcp(x, json_object_get(spec, "gcp"));
}

static const struct cdoc *find(const struct compiler *c, const char *kind, const char *name, const char *id)
{
	for (size_t i = 0; i < c->n_docs; i++) {
		const struct cdoc *d = &c->docs[i];

		if (!d->refused && strcmp(d->kind, kind) == 0 && (!name || strcmp(d->name, name) == 0) &&
		    (!id || strcmp(d->id, id) == 0))
			return d;
	}
	return NULL;
}

static void warn(struct compiler *c, const struct cdoc *d, struct buf *text)
{
	compiler_error(c, d->file, (struct mark){ d->line, 1 }, d->kind, d->name, true, text_of(c, text));
}

static void judge_subject(struct compiler *c, struct cdoc *d, unsigned int kind)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	size_t len = strlen(d->id);

	if (kind < CLOUD_KIND_COUNT && subject_max[kind] && len > subject_max[kind]) {
		buf_printf(&text, "the SPIFFE ID has %zu bytes, and %s takes %zu as subject of a token", len, cloud_kind_name(kind),
			   subject_max[kind]);
		cdoc_refuse(c, d, &text);
	} else if (kind == CLOUD_GCP && len > GOOGLE_SUBJECT) {
		buf_printf(&text, "the SPIFFE ID has %zu bytes, and google.subject holds %d: let the provider map a part of it", len,
			   GOOGLE_SUBJECT);
		warn(c, d, &text);
	}
}

static void judge_credential(struct compiler *c, struct cdoc *d)
{
	AUTO(buf) struct buf text = BUF_INIT(MESSAGE_MAX);
	json_t *spec = json_loads(d->json, 0, NULL), *source_spec;
	const char *name = json_string_value(json_object_get(spec, "credentialSource"));
	const struct cdoc *source = name ? find(c, "CredentialSource", name, NULL) : NULL;

	if (!spec)
		c->no_memory = true;
	if (!source)
		buf_printf(&text, "there is no CredentialSource %s: no credential comes of this", name ? name : "?");
	else if (!find(c, "WorkloadIdentity", NULL, d->id))
		buf_printf(&text, "no WorkloadIdentity has its SPIFFE ID: nobody can read this");
	if (text.len)
		warn(c, d, &text);
	source_spec = source ? json_loads(source->json, 0, NULL) : NULL;
	if (source_spec)
		judge_subject(c, d, kind_of(source_spec));
	json_decref(source_spec);
	json_decref(spec);
}

void judge_credentials(struct compiler *c)
{
	for (size_t i = 0; i < c->n_docs && !c->no_memory; i++)
		if (!c->docs[i].refused && strcmp(c->docs[i].kind, "WorkloadCredential") == 0)
			judge_credential(c, &c->docs[i]);
}
