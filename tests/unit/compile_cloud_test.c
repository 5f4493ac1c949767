// SPDX-License-Identifier: Apache-2.0
/* compile_cloud_test.c - CredentialSource and WorkloadCredential: normal forms, errors with their place, documents together.
 * links: agent/cli/compile_doc.c agent/cli/compile_list.c agent/cli/compile_yaml.c agent/cli/compile_schema.c agent/cli/compile_schema_cloud.c agent/cli/compile_value.c agent/cli/compile_selector.c agent/cli/compile_finish.c agent/cli/compile_cloud.c agent/cli/compile_bind.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "agent/base/buf.h"
#include "agent/base/clock.h"
#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_doc.h"

#define API "apiVersion: svid/v1alpha1\n"
#define AGENT_WITH(issuer) API "kind: Agent\nspec: {trustDomain: example.org" issuer "}\n"
#define ISSUER ", jwt: {issuer: 'https://oidc.example.org'}"
#define SOURCE_NAMED(name, spec) API "kind: CredentialSource\nmetadata: {name: " name "}\nspec:\n" spec "---\n"
#define SOURCE(spec) SOURCE_NAMED("s", spec)
#define CREDENTIAL_NAMED(name, spec) API "kind: WorkloadCredential\nmetadata: {name: " name "}\nspec:\n" spec "---\n"
#define CREDENTIAL(spec) CREDENTIAL_NAMED("c", spec)
#define IDENTITY_OF(path, more) \
	API "kind: WorkloadIdentity\nmetadata: {name: i}\nspec:\n  workloadID: " path \
	"\n  selectors: [{unix:uid: 1}]\n" more "---\n"
#define IDENTITY IDENTITY_OF("a/b", "")
#define ROLE "arn:aws:iam::123456789012:role/r"
#define AWS "  aws: {roleArn: '" ROLE "', region: eu-central-1}\n"
#define ANCHOR(region) "arn:aws:rolesanywhere:" region ":123456789012:trust-anchor/1"
#define PROFILE(region) "arn:aws:rolesanywhere:" region ":123456789012:profile/2"
#define ANYWHERE_OF(anchor, profile) \
	"  awsRolesAnywhere:\n    trustAnchorArn: " anchor "\n    profileArn: " profile "\n    roleArn: " ROLE "\n"
#define ANYWHERE(more) ANYWHERE_OF(ANCHOR("eu-west-1"), PROFILE("eu-west-1")) more
#define PROVIDER "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/o"
#define GCP "  gcp:\n    oidcProviderId: " PROVIDER "\n"
#define CLIENT "12345678-1234-1234-1234-123456789abc"
#define AZURE "  azure:\n    tenantID: contoso.com\n    clientID: " CLIENT "\n    scope: https://vault.azure.net/.default\n"
#define JWT "  jwt: {audiences: [vault]}\n"
#define USES "  workloadID: a/b\n  credentialSource: s\n"

static void compile_with(struct compiler *c, const char *agent, const char *yaml)
{
	size_t file = compiler_file(c, "svid.yaml");

	if (agent)
		compiler_bytes(c, file, slice_str(agent), AGENT_MUST);
	file = compiler_file(c, "a.yaml");
	compiler_bytes(c, file, slice_str(yaml), AGENT_NO);
	compiler_finish(c);
	assert_false(c->no_memory);
}

static bool is_good(const struct compiler *c, const char *kind, const char *name)
{
	for (size_t i = 0; i < c->n_docs; i++)
		if (!c->docs[i].refused && strcmp(c->docs[i].kind, kind) == 0 && strcmp(c->docs[i].name, name) == 0)
			return true;
	return false;
}

static const struct cerror *error_at(const struct compiler *c, uint32_t line, uint32_t column, const char *part)
{
	for (size_t i = 0; i < c->n_errors; i++)
		if (c->errors[i].mark.line == line && (!column || c->errors[i].mark.column == column) &&
		    strstr(c->errors[i].text, part))
			return &c->errors[i];
	return NULL;
}

static void show(const struct compiler *c)
{
	for (size_t i = 0; i < c->n_errors; i++)
		print_error("%s:%u:%u: %s\n", c->files[c->errors[i].file].name, c->errors[i].mark.line, c->errors[i].mark.column,
			    c->errors[i].text);
}

/* One mistake in one document, its place and what is said. */
static const struct wrong {
	const char *yaml;
	uint32_t line, column;
	const char *part;
} wrong[] = {
	{ SOURCE("  {}\n"), 1, 1, "one of aws, awsRolesAnywhere, gcp, azure and jwt is wanted" },
	{ SOURCE(AWS JWT), 1, 1, "only one of aws" },
	{ SOURCE(AWS "  oci: {}\n"), 6, 3, "unknown key 'oci' in spec" },
	{ SOURCE("  aws: {region: eu-central-1}\n"), 5, 8, "spec.aws.roleArn is missing" },
	{ SOURCE("  aws: {roleArn: 'arn:aws:iam::1:user/xxxxxxxxxx', region: a}\n"), 5, 18, "the ARN of a role is wanted" },
	{ SOURCE("  aws: {roleArn: '" ROLE "'}\n"), 5, 3, "region is missing (or endpoint)" },
	{ SOURCE("  aws: {roleArn: '" ROLE "', region: 'eu central'}\n"), 5, 62, "the name of a region is wanted" },
	{ SOURCE("  aws: {roleArn: '" ROLE "', endpoint: 'http://sts.example.org'}\n"), 5, 64, "an https:// URL" },
	{ SOURCE("  aws: {roleArn: '" ROLE "', endpoint: 'https://sts.example.org/'}\n"), 5, 64, "without a slash at its end" },
	{ SOURCE("  aws: {roleArn: '" ROLE "', endpoint: 'https://u:p@sts.example.org'}\n"), 5, 64, "without query, user" },
	{ SOURCE(ANYWHERE("    endpoint: https://ra.example.org/v1\n")), 9, 15, "without a path" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    lifetime: 14m\n"), 8, 15, "900 to 43200 seconds" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    lifetime: 13h\n"), 8, 15, "900 to 43200 seconds" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    lifetime: 3600\n"), 8, 15, "a duration is wanted" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    sessionPolicy: '[]'\n"), 8, 5, "a JSON object is wanted" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    policyArns: [x]\n"), 8, 18, "20 to 2048 bytes" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    transitiveTags: [t]\n"), 8, 5, "t is not in tags" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    tags: {'aws:x': y}\n"), 8, 5, "Amazon's own" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    tags: [a]\n"), 8, 11, "a map of names and texts" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    sourceIdentity: yes\n"), 8, 21, "one of true|false" },
	{ SOURCE("  aws:\n    roleArn: " ROLE "\n    region: a\n    audience: 'a b'\n"), 8, 15, "printable ASCII" },
	{ SOURCE(ANYWHERE_OF(ANCHOR("a"), PROFILE("b"))),
	  7, 5, "trust anchor and profile are of different regions" },
	{ SOURCE(ANYWHERE_OF(ROLE, PROFILE("b"))), 6,
	  21, "the ARN of a trust anchor" },
	{ SOURCE("  gcp: {oidcProviderId: '//iam.googleapis.com/projects/1'}\n"), 5, 25,
	  "/workloadIdentityPools/POOL/providers/" },
	{ SOURCE(GCP "    serviceAccount: nobody\n"), 7, 21, "the e-mail address of a service account" },
	{ SOURCE(GCP "    scopes: []\n"), 7, 13, "an empty list" },
	{ SOURCE(GCP "    idTokenAudience: x\n"), 7, 5, "serviceAccount is needed for it" },
	{ SOURCE(GCP "    subject: half\n"), 7, 14, "one of sub|mapped" },
	{ SOURCE(GCP "    stsEndpoint: http://sts\n"), 7, 18, "an https:// URL" },
	{ SOURCE("  azure: {tenantID: t, clientID: short, scope: 'x/.default'}\n"), 5, 34, "36 to 36 bytes" },
	{ SOURCE("  azure: {tenantID: t, clientID: '" CLIENT "', scope: 'https://vault.azure.net'}\n"), 5, 81,
	  "/.default is wanted" },
	{ SOURCE("  azure: {tenantID: t, clientID: '" CLIENT "', scope: 'a/.default b/.default'}\n"), 5, 81,
	  "exactly one resource" },
	{ SOURCE("  azure: {tenantID: 'a/b', clientID: '" CLIENT "', scope: 'x/.default'}\n"), 5, 21, "the id or a domain" },
	{ SOURCE("  jwt: {audiences: []}\n"), 5, 20, "an empty list" },
	{ SOURCE("  jwt: {audiences: [a], ttl: 5m}\n"), 5, 30, "1200 to 86400 seconds" },
	{ SOURCE(JWT "  jwtTTL: 10s\n"), 6, 11, "60 to 3600 seconds" },
	{ SOURCE(JWT "  proxy: proxy.example.org:3128\n"), 6, 10, "http://HOST:PORT" },
	{ SOURCE(JWT "  proxy: http://u:p@proxy:3128\n"), 6, 10, "without user and password" },
	{ SOURCE(JWT "  caBundle: not certificates at all, only text\n"), 6, 13, "certificates in PEM are wanted" },
	{ SOURCE(JWT "  caBundle: '-----BEGIN EC PRIVATE KEY-----'\n"), 6, 13, "never a private key" },
	{ SOURCE_NAMED("a/b", JWT), 3, 18, "letters, digits, dot, dash and underscore" },
	{ CREDENTIAL("  workloadID: a\n"), 5, 3, "spec.credentialSource is missing" },
	{ CREDENTIAL("  credentialSource: s\n"), 1, 1, "spec.workloadID (or spec.spiffeID) is missing" },
	{ CREDENTIAL(USES "  spiffeID: spiffe://example.org/a\n"), 7, 3, "not both" },
	{ CREDENTIAL("  workloadID: /a\n  credentialSource: s\n"), 5, 15, "no slash in front" },
	{ CREDENTIAL("  spiffeID: spiffe://other.org/a\n  credentialSource: s\n"), 1, 1, "trust domain example.org" },
	{ CREDENTIAL(USES "  helpers: [cat]\n"), 7, 13, "the absolute path of an executable" },
	{ CREDENTIAL(USES "  helpers: [/bin/../cat]\n"), 7, 13, "the absolute path" },
	{ CREDENTIAL(USES "  helpers: [/bin/]\n"), 7, 13, "the absolute path" },
	{ CREDENTIAL(USES "  helpers: /bin/cat\n"), 7, 12, "a list is wanted" },
	{ CREDENTIAL(USES "  propagation: {sysfs: {}}\n"), 7, 3, "unknown key 'propagation'" },
	{ CREDENTIAL_NAMED("svid", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("aws", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("gcp", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("azure", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("jwt", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("env", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("self", USES), 3, 18, "names in the credential tree already" },
	{ CREDENTIAL_NAMED("..", USES), 3, 18, "letters, digits" },
};

static void wrong_documents_are_refused_with_their_place(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		const struct cerror *e;

		compile_with(&c, AGENT_WITH(ISSUER), wrong[i].yaml);
		e = error_at(&c, wrong[i].line, wrong[i].column, wrong[i].part);
		if (!e || e->warning || c.n_errors - c.n_warnings != 1 || strcmp(c.files[e->file].name, "a.yaml") != 0) {
			show(&c);
			fail_msg("%s", wrong[i].yaml);
		}
	}
}

static json_t *form_of(const struct compiler *c, const char *kind)
{
	for (size_t i = 0; i < c->n_docs; i++)
		if (strcmp(c->docs[i].kind, kind) == 0)
			return json_loads(c->docs[i].json, 0, NULL);
	return NULL;
}

/* What a source becomes: its own cloud's defaults, and nothing of the others. */
static void a_source_becomes_its_normal_form(void **unused)
{
	static const struct {
		const char *spec, *cloud, *key, *value;
	} rows[] = {
		{ AWS, "aws", "endpoint", "https://sts.eu-central-1.amazonaws.com" },
		{ AWS, "aws", "audience", "sts.amazonaws.com" },
		{ "  aws: {roleArn: '" ROLE "', region: cn-north-1}\n", "aws", "endpoint",
		  "https://sts.cn-north-1.amazonaws.com.cn" },
		{ "  aws: {roleArn: '" ROLE "', endpoint: 'https://minio:9000'}\n", "aws", "endpoint", "https://minio:9000" },
		{ ANYWHERE(""), "awsRolesAnywhere", "endpoint", "https://rolesanywhere.eu-west-1.amazonaws.com" },
		{ GCP, "gcp", "audience", "https:" PROVIDER },
		{ GCP "    audience: mine\n", "gcp", "audience", "mine" },
		{ GCP, "gcp", "stsEndpoint", "https://sts.googleapis.com/v1/token" },
		{ GCP, "gcp", "subject", "sub" },
		{ AZURE, "azure", "audience", "api://AzureADTokenExchange" },
		{ AZURE, "azure", "authority", "https://login.microsoftonline.com" },
		{ JWT, "jwt", NULL, NULL },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		char yaml[1000];
		json_t *form, *cloud;

		snprintf(yaml, sizeof(yaml), API "kind: CredentialSource\nmetadata: {name: s}\nspec:\n%s", rows[i].spec);
		compile_with(&c, AGENT_WITH(ISSUER), yaml);
		if (c.n_errors)
			show(&c);
		assert_int_equal(c.n_errors, 0);
		form = form_of(&c, "CredentialSource");
		cloud = json_object_get(form, rows[i].cloud);
		assert_non_null(cloud);
		assert_int_equal(json_object_size(form), 2); /* and jwtTTL */
		assert_int_equal(json_integer_value(json_object_get(form, "jwtTTL")), 300);
		if (rows[i].key)
			assert_string_equal(json_string_value(json_object_get(cloud, rows[i].key)), rows[i].value);
		json_decref(form);
	}
}

/* The product description's two documents, as they are printed there. */
static void the_product_example_loads(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };
	json_t *form;

	(void)unused;
	compile_with(&c, AGENT_WITH(ISSUER),
		     "apiVersion: core.riptides.io/v1alpha1\nkind: CredentialSource\nmetadata:\n  name: gcp-demo\nspec:\n  gcp:\n"
		     "    serviceAccount: demo@example.iam.gserviceaccount.com\n    oidcProviderId: " PROVIDER "\n---\n"
		     "apiVersion: core.riptides.io/v1alpha1\nkind: WorkloadCredential\nmetadata:\n  name: gcloud\nspec:\n"
		     "  workloadID: a/b\n  credentialSource: gcp-demo\n---\n" IDENTITY);
	if (c.n_errors)
		show(&c);
	assert_int_equal(c.n_errors, 0);
	assert_true(is_good(&c, "CredentialSource", "gcp-demo") && is_good(&c, "WorkloadCredential", "gcloud"));
	form = form_of(&c, "WorkloadCredential");
	assert_string_equal(json_string_value(json_object_get(form, "workloadID")), "a/b");
	json_decref(form);
}

#define LONG50 "01234567890123456789012345678901234567890123456789"
#define LONG100 LONG50 "/" LONG50
#define LONG250 LONG100 "/" LONG100 "/" LONG50

/* Documents that are good by themselves, and not together. The credential is in the line. */
static const struct together {
	const char *agent, *yaml;
	uint32_t line;
	const char *part, *refused; /* kind of what is refused; NULL: nothing, and a warning at most */
} together[] = {
	{ ISSUER, CREDENTIAL(USES) IDENTITY, 1, "there is no CredentialSource s", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL(USES) SOURCE(JWT), 1, "no WorkloadIdentity has its SPIFFE ID", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL(USES) SOURCE(JWT) IDENTITY_OF("a/c", ""), 1, "no WorkloadIdentity", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL(USES) SOURCE(JWT) IDENTITY CREDENTIAL(USES), 21, "name 'c' of c is already taken by c in a.yaml:1",
	  NULL },
	{ ISSUER, CREDENTIAL(USES) SOURCE(JWT) SOURCE(AWS) IDENTITY, 14, "name 's' of s is already taken by s", NULL },
	{ "", CREDENTIAL(USES) SOURCE(JWT) IDENTITY, 0, NULL, NULL },
	{ "", CREDENTIAL(USES) SOURCE(ANYWHERE("")) IDENTITY, 0, NULL, NULL },
	{ "", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 8, "aws looks the keys up at the issuer", "CredentialSource" },
	{ "", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 1, "its CredentialSource s is refused", "WorkloadCredential" },
	{ "", CREDENTIAL(USES) SOURCE(GCP) IDENTITY, 8, "set spec.jwt.issuer in svid.yaml", "CredentialSource" },
	{ "", CREDENTIAL(USES) SOURCE(AZURE) IDENTITY, 8, "`svid oidc export`", "CredentialSource" },
	{ ", jwt: {issuer: 'http://oidc.example.org'}", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 8, "must be an https:// URL",
	  "CredentialSource" },
	{ ", jwt: {issuer: 'https://oidc.example.org/?a'}", CREDENTIAL(USES) SOURCE(GCP) IDENTITY, 8, "without query",
	  "CredentialSource" },
	{ ", jwt: {issuer: 'https://oidc.example.org:8443/x'}", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 8, "AWS takes no port",
	  "CredentialSource" },
	{ ", jwt: {issuer: 'https://oidc.example.org:8443/x'}",
	  CREDENTIAL(USES) SOURCE("  aws: {roleArn: '" ROLE "', endpoint: 'https://minio:9000'}\n") IDENTITY, 0, NULL, NULL },
	{ ", jwt: {issuer: 'https://oidc.example.org:8443/x'}", CREDENTIAL(USES) SOURCE(AZURE) IDENTITY, 0, NULL, NULL },
	{ ", jwt: {issuer: 'https://oidc.example.org/a:b'}", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 0, NULL, NULL },
	{ ", jwt: {issuer: 'https://oidc.example.org/" LONG250 "'}", CREDENTIAL(USES) SOURCE(AWS) IDENTITY, 8, "longer than",
	  "CredentialSource" },
	{ ", jwt: {issuer: 'https://oidc.example.org/" LONG250 "'}", CREDENTIAL(USES) SOURCE(AZURE) IDENTITY, 0, NULL, NULL },
	{ ISSUER, CREDENTIAL(USES) SOURCE(AZURE) IDENTITY_OF("a/b", "  svid: {jwt: {alg: ES256}}\n"), 1,
	  "Entra takes RS256 alone",
	  "WorkloadCredential" },
	{ ISSUER, CREDENTIAL(USES) SOURCE(AWS) IDENTITY_OF("a/b", "  svid: {jwt: {alg: ES256}}\n"), 0, NULL, NULL },
	{ ISSUER, CREDENTIAL("  workloadID: " LONG100 "/0123\n  credentialSource: s\n") SOURCE(GCP) IDENTITY_OF(LONG100 "/0123",
	  ""),
	  0, NULL, NULL },
	{ ISSUER,
	  CREDENTIAL("  workloadID: " LONG100 "/01234\n  credentialSource: s\n") SOURCE(GCP) IDENTITY_OF(LONG100 "/01234", ""),
	  1, "has 128 bytes, and google.subject holds 127", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL("  workloadID: " LONG100 "/01234\n  credentialSource: s\n") SOURCE(GCP "    subject: mapped\n")
	  IDENTITY_OF(LONG100 "/01234", ""), 0, NULL, NULL },
	{ ISSUER, CREDENTIAL("  workloadID: " LONG250 "\n  credentialSource: s\n") SOURCE(AWS) IDENTITY_OF(LONG250, ""), 1,
	  "aws takes 255 as subject", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL("  workloadID: " LONG250 "\n  credentialSource: s\n") SOURCE(AZURE) IDENTITY_OF(LONG250, ""), 0,
	  NULL,
	  NULL },
	{ ISSUER, CREDENTIAL("  workloadID: " LONG250 "/" LONG250 "/" LONG100 "\n  credentialSource: s\n") SOURCE(AZURE)
	  IDENTITY_OF(LONG250 "/" LONG250 "/" LONG100, ""), 1, "azure takes 600 as subject", "WorkloadCredential" },
	{ ISSUER, CREDENTIAL("  spiffeID: spiffe://example.org/a/b\n  credentialSource: s\n") SOURCE(JWT) IDENTITY, 0, NULL,
	  NULL },
};

static void documents_are_judged_together(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(together); i++) {
		const struct together *t = &together[i];
		AUTO(compiler) struct compiler c = { 0 };
		char agent[1000];
		bool ok;

		snprintf(agent, sizeof(agent), AGENT_WITH("%s"), t->agent);
		compile_with(&c, agent, t->yaml);
		if (!t->part)
			ok = c.n_errors == 0 && is_good(&c, "WorkloadCredential", "c") && is_good(&c, "CredentialSource", "s");
		else
			ok = error_at(&c, t->line, 1, t->part) && !error_at(&c, t->line, 1, t->part)->warning;
		if (t->refused)
			ok = ok && !is_good(&c, t->refused, t->refused[0] == 'C' ? "s" : "c");
		if (!ok) {
			show(&c);
			fail_msg("row %zu: %s%s", i, agent, t->yaml);
		}
	}
}

/* `svid policy check DIR` without svid.yaml: what is not known is not judged, what is there is. */
static void without_an_agent_paths_are_compared(void **unused)
{
	static const char *const good[] = {
		CREDENTIAL(USES) SOURCE(AWS) IDENTITY,
		CREDENTIAL("  spiffeID: spiffe://any.org/a/b\n  credentialSource: s\n") SOURCE(AWS) IDENTITY,
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		AUTO(compiler) struct compiler c = { 0 };

		compile_with(&c, NULL, good[i]);
		if (c.n_errors)
			show(&c);
		assert_int_equal(c.n_errors, 0);
	}
}

static void doubtful_documents_are_warned_of(void **unused)
{
	static const struct {
		const char *yaml, *part; /* NULL: nothing is wrong */
	} rows[] = {
		{ SOURCE("  aws: {roleArn: '" ROLE "', region: a, lifetime: 30m}\n"), "below 1h the SDKs of AWS" },
		{ SOURCE(ANYWHERE("    lifetime: 15m\n")), "below 1h the SDKs of AWS" },
		{ SOURCE(GCP "    lifetime: 2h\n"), "above 1h Google refuses" },
		{ SOURCE(AWS), NULL },
		{ CREDENTIAL(USES "  helpers: [/bin/cat, /bin/sh]\n") SOURCE(JWT) IDENTITY, "sh is a link" },
		{ CREDENTIAL(USES "  helpers: [/usr/bin/dash]\n") SOURCE(JWT) IDENTITY, "a shell or interpreter" },
		{ CREDENTIAL(USES "  helpers: [/usr/bin/python3.11]\n") SOURCE(JWT) IDENTITY, "a shell or interpreter" },
		{ CREDENTIAL(USES "  helpers: [/bin/cat, /opt/show]\n") SOURCE(JWT) IDENTITY, NULL },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };

		compile_with(&c, AGENT_WITH(ISSUER), rows[i].yaml);
		if (c.n_errors != c.n_warnings || c.n_warnings != (rows[i].part ? 1 : 0) ||
		    (rows[i].part && !strstr(c.errors[0].text, rows[i].part))) {
			show(&c);
			fail_msg("%s", rows[i].yaml);
		}
	}
}

/* What svid-core has no room for must not get there: it would be taken for a broken compiler. */
static void tags_have_a_limit_together(void **unused)
{
	(void)unused;
	for (unsigned int n = 10; n <= 50; n += 40) {
		AUTO(compiler) struct compiler c = { 0 };
		AUTO(buf) struct buf text = BUF_INIT(1 << 16);

		buf_put_str(&text, API "kind: CredentialSource\nmetadata: {name: s}\nspec:\n  aws:\n    roleArn: " ROLE
					"\n    region: a\n    tags:\n");
		for (unsigned int i = 0; i < n; i++)
			buf_printf(&text, "      t%u: '%0250d'\n", i, 0);
		compile_with(&c, AGENT_WITH(ISSUER), buf_cstr(&text));
		assert_int_equal(c.n_errors, n == 50);
		assert_true(n == 10 || error_at(&c, 8, 5, "more than 8192 bytes together"));
	}
}

static void put_pairs(struct buf *text, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		buf_printf(text,
			   API "kind: WorkloadIdentity\nmetadata: {name: i%u}\n"
			       "spec: {workloadID: w/%u, selectors: [{unix:uid: 1}]}\n"
			       "---\n" API "kind: WorkloadCredential\nmetadata: {name: c%u}\n"
			       "spec: {workloadID: w/%u, credentialSource: s}\n---\n",
			   i, i, i, i);
}

static void entra_holds_twenty_trusts_of_one_client(void **unused)
{
	for (unsigned int n = 20; n < 24; n += 3) {
		AUTO(compiler) struct compiler c = { 0 };
		AUTO(buf) struct buf text = BUF_INIT(1 << 20);

		(void)unused;
		buf_put_str(&text, SOURCE(AZURE));
		put_pairs(&text, n);
		compile_with(&c, AGENT_WITH(ISSUER), buf_cstr(&text));
		assert_int_equal(c.n_errors, n > 20);
		assert_int_equal(c.n_warnings, n > 20);
		if (n > 20)
			assert_non_null(strstr(c.errors[0].text, "more than 20 identities use client " CLIENT));
	}
}

/* Of this process alone: others use the machine too. */
static uint64_t cpu_ns(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Two thousand of each are joined in about the time that two hundred take, ten times over; each with each would be 100. */
static uint64_t time_of(unsigned int n)
{
	AUTO(compiler) struct compiler c = { 0 };
	AUTO(buf) struct buf text = BUF_INIT(LIM_POLICY_FILE);
	uint64_t begin;
	size_t file;

	buf_put_str(&text, SOURCE(JWT));
	put_pairs(&text, n);
	assert_int_equal(buf_ok(&text), 0);
	file = compiler_file(&c, "svid.yaml");
	compiler_bytes(&c, file, slice_str(AGENT_WITH(ISSUER)), AGENT_MUST);
	file = compiler_file(&c, "a.yaml");
	compiler_bytes(&c, file, buf_slice(&text), AGENT_NO);
	begin = cpu_ns();
	compiler_finish(&c);
	begin = cpu_ns() - begin;
	assert_int_equal(c.n_errors, 0);
	return begin;
}

static void thousands_find_each_other(void **unused)
{
	uint64_t few = UINT64_MAX, many = UINT64_MAX;

	(void)unused;
	for (int i = 0; i < 5; i++) { /* the best of five: caches are shared */
		uint64_t a = time_of(200), b = time_of(2000);

		few = a < few ? a : few;
		many = b < many ? b : many;
	}
	print_message("200: %llu us, 2000: %llu us\n", (unsigned long long)few / 1000, (unsigned long long)many / 1000);
	assert_true(many < 50 * few);
}

static void more_than_the_limit_are_refused(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };
	AUTO(buf) struct buf text = BUF_INIT(LIM_POLICY_FILE);
	size_t file = compiler_file(&c, "svid.yaml");

	(void)unused;
	compiler_bytes(&c, file, slice_str(AGENT_WITH(ISSUER)), AGENT_MUST);
	buf_put_str(&text, SOURCE(JWT) IDENTITY);
	file = compiler_file(&c, "a.yaml");
	compiler_bytes(&c, file, buf_slice(&text), AGENT_NO);
	for (unsigned int i = 0; i <= LIM_BINDINGS; i += 1024) {
		AUTO(buf) struct buf some = BUF_INIT(LIM_POLICY_FILE);

		for (unsigned int k = i; k < i + 1024 && k <= LIM_BINDINGS; k++)
			buf_printf(&some, API "kind: WorkloadCredential\nmetadata: {name: c%u}\n"
					      "spec: {workloadID: a/b, credentialSource: s}\n---\n", k);
		assert_int_equal(buf_ok(&some), 0);
		file = compiler_file(&c, "b.yaml");
		compiler_bytes(&c, file, buf_slice(&some), AGENT_NO);
	}
	compiler_finish(&c);
	assert_int_equal(c.n_errors, 1);
	assert_non_null(strstr(c.errors[0].text, "more than 4096 WorkloadCredentials"));
	assert_string_equal(c.errors[0].name, "c4096");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_documents_are_refused_with_their_place),
		cmocka_unit_test(a_source_becomes_its_normal_form),
		cmocka_unit_test(the_product_example_loads),
		cmocka_unit_test(documents_are_judged_together),
		cmocka_unit_test(without_an_agent_paths_are_compared),
		cmocka_unit_test(doubtful_documents_are_warned_of),
		cmocka_unit_test(tags_have_a_limit_together),
		cmocka_unit_test(entra_holds_twenty_trusts_of_one_client),
		cmocka_unit_test(thousands_find_each_other),
		cmocka_unit_test(more_than_the_limit_are_refused),
	};

	return cmocka_run_group_tests_name("compile_cloud", tests, NULL, NULL);
}
