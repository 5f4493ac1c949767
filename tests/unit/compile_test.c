// SPDX-License-Identifier: Apache-2.0
/* compile_test.c - YAML documents to normal form or errors with their place.
 * links: agent/cli/compile_doc.c agent/cli/compile_list.c agent/cli/compile_yaml.c agent/cli/compile_schema.c agent/cli/compile_schema_cloud.c agent/cli/compile_value.c agent/cli/compile_selector.c agent/cli/compile_finish.c agent/cli/compile_cloud.c agent/cli/compile_bind.c agent/cli/compile_files.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/limits.h"
#include "agent/cli/compile_files.h"

#define API "apiVersion: svid/v1alpha1\n"
#define KIND "kind: WorkloadIdentity\n"
#define AGENT_SPEC(spec) API "kind: Agent\nspec: {" spec "}\n"
#define AGENT AGENT_SPEC("trustDomain: example.org")
#define NAMED(name) API KIND "metadata: {name: " name "}\nspec:\n"
#define HEAD NAMED("n")
#define UID "  selectors: [{unix:uid: 1000}]\n"
#define SPEC "spec:\n  workloadID: a\n" UID
#define GOOD HEAD "  workloadID: a/b\n" UID
#define SETS(list) HEAD "  workloadID: a\n  selectors: " list "\n"

static char dir[64];

static void compile_text(struct compiler *c, const char *yaml)
{
	size_t file = compiler_file(c, "svid.yaml");

	compiler_bytes(c, file, slice_str(AGENT), AGENT_MUST);
	file = compiler_file(c, "a.yaml");
	compiler_bytes(c, file, slice_str(yaml), AGENT_NO);
	compiler_finish(c);
	assert_false(c->no_memory);
}

static size_t n_good(const struct compiler *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_docs; i++)
		n += !c->docs[i].refused && strcmp(c->docs[i].kind, "Agent") != 0;
	return n;
}

static bool has_error(const struct compiler *c, uint32_t line, uint32_t column, const char *part, bool warning)
{
	for (size_t i = 0; i < c->n_errors; i++) {
		const struct cerror *e = &c->errors[i];

		if (e->mark.line == line && (!column || e->mark.column == column) && strstr(e->text, part) &&
		    e->warning == warning)
			return true;
	}
	return false;
}

static void show(const struct compiler *c)
{
	for (size_t i = 0; i < c->n_errors; i++)
		print_error("%s:%u:%u: %s\n", c->files[c->errors[i].file].name, c->errors[i].mark.line,
			    c->errors[i].mark.column, c->errors[i].text);
}

/* One document with one mistake. */
static const struct wrong {
	const char *yaml;
	uint32_t line, column;
	const char *part;
} wrong[] = {
	{ "just text\n", 1, 1, "a document is a map" },
	{ "- a\n", 1, 1, "a document is a map" },
	{ "a: b\n", 1, 1, "kind is missing" },
	{ "kind: Gadget\n", 1, 7, "unknown kind 'Gadget'" },
	{ "kind: [a]\n", 1, 7, "kind is missing" },
	{ "kind: CredentialBinding\n", 1, 7, "not supported by this build yet" },
	{ "kind: TrustDomainFederation\n", 1, 7, "not supported by this build yet" },
	{ AGENT, 1, 1, "belongs in svid.yaml" },
	{ KIND "metadata: {name: n}\n" SPEC, 1, 1, "apiVersion is missing" },
	{ "apiVersion: svid/v2\n" KIND "metadata: {name: n}\n" SPEC, 1, 13, "one of svid/v1alpha1" },
	{ API KIND SPEC, 1, 1, "metadata is missing" },
	{ API KIND "metadata: {}\n" SPEC, 3, 11, "metadata.name is missing" },
	{ API KIND "metadata: {name: -a}\n" SPEC, 3, 18, "'-a'" },
	{ API KIND "metadata: {name: n}\n", 1, 1, "spec is missing" },
	{ API KIND "metadata: {name: n}\nspec: x\n", 4, 7, "a map is wanted" },
	{ API KIND "metadata: {name: n}\nspec:\n", 4, 6, "a map is wanted" },
	{ HEAD UID, 1, 1, "spec.workloadID (or spec.spiffeID) is missing" },
	{ HEAD "  workloadID: a\n", 5, 3, "spec.selectors is missing" },
	{ HEAD "  workloadID: /a\n" UID, 5, 15, "no slash in front" },
	{ HEAD "  workloadID: a//b\n" UID, 5, 15, "empty path segment" },
	{ HEAD "  workloadID: 'a/{x}'\n" UID, 5, 15, "reserved" },
	{ HEAD "  workloadID: ''\n" UID, 5, 15, "bytes are wanted" },
	{ HEAD "  workloadID: 12\n" UID, 5, 15, "put it in quotes" },
	{ HEAD "  workloadID: ~\n" UID, 5, 15, "there is no value" },
	{ HEAD "  workloadID: [a]\n" UID, 5, 15, "not a list" },
	{ HEAD "  workloadID: {a: b}\n" UID, 5, 15, "not a map" },
	{ HEAD "  spiffeID: http://x\n" UID, 5, 13, "does not begin with spiffe://" },
	{ HEAD "  spiffeID: spiffe://other.org/a\n" UID, 1, 1, "trust domain example.org" },
	{ HEAD "  spiffeID: spiffe://example.org\n" UID, 1, 1, "has a path" },
	{ HEAD "  workloadID: a\n  spiffeID: spiffe://example.org/a\n" UID, 6, 3, "not both" },
	{ GOOD "  stray: 1\n", 7, 3, "unknown key 'stray' in spec" },
	{ GOOD "  Hint: x\n", 7, 3, "unknown key 'Hint'" },
	{ GOOD "  hint: x\n  hint: y\n", 8, 3, "spec.hint is there twice, first in line 7" },
	{ GOOD "  <<: {hint: x}\n", 7, 3, "unknown key '<<'" },
	{ GOOD "  ? [a]\n  : b\n", 7, 5, "a key is plain text" },
	{ GOOD "  priority: high\n", 7, 13, "whole decimal number" },
	{ GOOD "  priority: '1'\n", 7, 13, "without quotes" },
	{ GOOD "  priority: 1.5\n", 7, 13, "whole decimal" },
	{ GOOD "  priority: 010\n", 7, 13, "whole decimal" },
	{ GOOD "  priority: 1000001\n", 7, 13, "out of range" },
	{ GOOD "  priority: 99999999999999999999\n", 7, 13, "whole decimal" },
	{ GOOD "  svid: {x509: {ttl: 3600}}\n", 7, 22, "a duration is wanted" },
	{ GOOD "  svid: {x509: {ttl: 1s}}\n", 7, 22, "out of range" },
	{ GOOD "  svid: {x509: {ttl: 31d}}\n", 7, 22, "out of range" },
	{ GOOD "  svid: {x509: {ttl: -1h}}\n", 7, 22, "a duration is wanted" },
	{ GOOD "  svid: {x509: {keyType: dsa}}\n", 7, 26, "one of ec-p256|ec-p384|rsa-2048" },
	{ GOOD "  svid: {x509: {dnsNames: a.b}}\n", 7, 27, "a list is wanted" },
	{ GOOD "  svid: {x509: {dnsNames: [A]}}\n", 7, 28, "lower case" },
	{ GOOD "  svid: {x509: {dnsNames: [1.2.3.4]}}\n", 7, 28, "IP address" },
	{ GOOD "  svid: {jwt: {alg: none}}\n", 7, 21, "one of RS256|ES256" },
	{ GOOD "  scope: {agentGroup: {}}\n", 7, 23, "spec.scope.agentGroup.id is missing" },
	{ GOOD "  federatesWith: [spiffe://a]\n", 7, 19, "without spiffe://" },
	{ GOOD "  sds: {peers: spiffe://example.org/a}\n", 7, 16, "a list is wanted" },
	{ GOOD "  sds: {peers: []}\n", 7, 16, "an empty list" },
	{ GOOD "  svid: {jwt: {audiences: []}}\n", 7, 27, "an empty list" },
	{ GOOD "  sds: {peers: [a]}\n", 7, 17, "does not begin with spiffe://" },
	{ GOOD "  sds: {peers: ['spiffe://a/b', 'spiffe://a']}\n", 7, 33, "of a workload has a path" },
	{ GOOD "  sds: {peers: ['prefix:spiffe://a/b']}\n", 7, 17, "a slash at its end" },
	{ GOOD "  sds: {peers: ['prefix:']}\n", 7, 17, "a slash at its end" },
	{ GOOD "  sds: {peers: ['prefix:spiffe://a//']}\n", 7, 17, "path" },
	{ GOOD "  sds: {peers: ['prefix:spiffe:///']}\n", 7, 17, "spiffe" },
	{ GOOD "  sds: {validator: plain}\n", 7, 9, "unknown key 'validator' in spec.sds; known here: peers" },
	{ GOOD "  require: [nope]\n", 7, 13, "unknown rule; known rules: not-traced" },
	{ GOOD "  require: not-traced\n", 7, 12, "a list is wanted" },
	{ GOOD "  hint: &a x\n", 7, 9, "anchors are not accepted" },
	{ GOOD "  hint: *a\n", 7, 9, "aliases are not accepted" },
	{ GOOD "  hint: !!str x\n", 7, 9, "tags are not accepted" },
	{ GOOD "  hint: \"a\\0b\"\n", 7, 9, "NUL byte" },
	{ SETS("[]"), 6, 14, "a list of 1 to 64 maps" },
	{ SETS("{unix:uid: 1}"), 6, 14, "a list of 1 to 64 maps" },
	{ SETS("[{}]"), 6, 15, "would match everybody" },
	{ SETS("[x]"), 6, 15, "would match everybody" },
	{ SETS("[{foo: 1}]"), 6, 16, "selector 'foo': unknown selector" },
	{ SETS("[{k8s:ns: x}]"), 6, 16, "no Kubernetes source" },
	{ SETS("[{docker:label: x}]"), 6, 16, "no Docker source" },
	{ SETS("[{unix:sha256: x}]"), 6, 29, "64 digits in lower-case hex" },
	{ SETS("[{process:binary:sha256: x}]"), 6, 16, "called unix:sha256" },
	{ SETS("[{kernel:filename: /x/y}]"), 6, 16, "caller's choice" },
	{ SETS("[{unix:uid: 1, unix:uid: 2}]"), 6, 29, "is there twice, first in line 6" },
	{ SETS("[{unix:uid: []}]"), 6, 26, "a list of 1 to 64 values" },
	{ SETS("[{unix:uid: }]"), 6, 26, "a value, or a list" },
	{ SETS("[{unix:uid: {a: b}}]"), 6, 26, "a value, or a list" },
	{ SETS("[{unix:uid: [1, [2]]}]"), 6, 30, "a value, or a list" },
	{ SETS("[{unix:uid: 0x1}]"), 6, 26, "a number from 0" },
	{ SETS("[{unix:user: 'glob:a*'}]"), 6, 27, "paths and command lines only" },
	{ SETS("[{kernel:observed: maybe}]"), 6, 33, "exec|scan" },
	{ SETS("[{kernel:script: /x/y}]"), 6, 15, "statement of intent" },
};

static void wrong_documents_are_refused_with_their_place(void **unused)
{
	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		AUTO(compiler) struct compiler c = { 0 };

		compile_text(&c, wrong[i].yaml);
		if (n_good(&c) || c.n_errors - c.n_warnings != 1 ||
		    !has_error(&c, wrong[i].line, wrong[i].column, wrong[i].part, false)) {
			show(&c);
			fail_msg("%s", wrong[i].yaml);
		}
	}
}

static void a_file_that_is_not_yaml_is_not_parsed(void **unused)
{
	static const char *const rows[] = { "a: [1\n", "a: b: c\n", "\t- x\n", "a: \"\\q\"\n", "\xff\xfe", "a\x01" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		char text[600];

		/* A good document in front does not count. */
		snprintf(text, sizeof(text), "%s---\n%s", GOOD, rows[i]);
		compile_text(&c, text);
		if (c.files[1].parsed || !c.n_errors || n_good(&c))
			fail_msg("%s", rows[i]);
	}
}

static void depth_and_number_of_values_are_bounded(void **unused)
{
	AUTO(compiler) struct compiler deep = { 0 }, many = { 0 };
	char *text = calloc(1, 300000);

	(void)unused;
	memset(text, '[', 100000);
	compile_text(&deep, text);
	assert_false(deep.files[1].parsed);
	assert_true(has_error(&deep, 1, LIM_YAML_DEPTH + 1, "nested too deeply", false));
	text[0] = '[';
	for (size_t i = 1; i < 250000; i += 2)
		memcpy(text + i, "1,", 2);
	compile_text(&many, text);
	assert_false(many.files[1].parsed);
	assert_true(has_error(&many, 1, 0, "too many values", false));
	free(text);
}

static void all_errors_are_reported_in_order(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };

	(void)unused;
	compile_text(&c, HEAD "  workloadID: /a\n  selectors: [{foo: 1, unix:uid: x}, {}]\n  hint: 1\n  stray: x\n"
			      "---\nkind: X\n---\n" HEAD "  workloadID: b\n" UID);
	assert_int_equal(c.n_errors, 7);
	for (size_t i = 1; i < c.n_errors; i++)
		assert_true(c.errors[i].mark.line >= c.errors[i - 1].mark.line);
	assert_string_equal(c.errors[0].kind, "WorkloadIdentity");
	assert_string_equal(c.errors[0].name, "n");
	assert_int_equal(n_good(&c), 1); /* the last one is not to blame */
}

static void two_documents_for_one_thing_name_both(void **unused)
{
	static const struct {
		const char *second, *part;
	} rows[] = {
		{ HEAD "  workloadID: other\n" UID, "name 'n' of n is already taken by n in a.yaml:1" },
		{ NAMED("m") "  workloadID: a/b\n" UID,
		  "SPIFFE ID 'spiffe://example.org/a/b' of m is already taken by n" },
		{ NAMED("m") "  spiffeID: spiffe://example.org/a/b\n" UID,
		  "already taken by n in a.yaml:1" },
		{ NAMED("m") "  workloadID: c\n  hint: h\n" UID,
		  "hint 'h' of m is already taken by n" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		char text[1000];

		snprintf(text, sizeof(text), "%s  hint: h\n---\n%s", GOOD, rows[i].second);
		compile_text(&c, text);
		assert_int_equal(n_good(&c), 1);
		if (!has_error(&c, 9, 1, rows[i].part, false)) {
			show(&c);
			fail_msg("%s", rows[i].second);
		}
	}
}

static json_t *form_of(const struct compiler *c, const char *name)
{
	for (size_t i = 0; i < c->n_docs; i++)
		if (strcmp(c->docs[i].name, name) == 0)
			return json_loads(c->docs[i].json, 0, NULL);
	return NULL;
}

static void a_good_document_becomes_its_normal_form(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };
	json_t *form, *x509, *sets, *set, *sds;

	(void)unused;
	compile_text(&c, HEAD "  workloadID: a/b\n  selectors:\n  - unix:uid: [1000, '1001']\n    systemd:id: a.service\n"
			      "    unix:path: glob:/opt/**\n  svid: {x509: {ttl: 2h}}\n"
			      "  sds: {peers: ['spiffe://example.org/c', 'prefix:spiffe://b.example/']}\n");
	if (c.n_errors)
		show(&c);
	assert_int_equal(c.n_errors, 0);
	form = form_of(&c, "n");
	assert_non_null(form);
	x509 = json_object_get(json_object_get(form, "svid"), "x509");
	assert_int_equal(json_integer_value(json_object_get(x509, "ttl")), 7200);
	assert_string_equal(json_string_value(json_object_get(x509, "keyType")), "ec-p256");
	assert_int_equal(json_integer_value(json_object_get(form, "priority")), 0);
	assert_true(json_is_integer(json_object_get(form, "priority")));
	assert_null(json_object_get(form, "hint"));
	assert_null(json_object_get(form, "scope"));
	sds = json_object_get(form, "sds");
	assert_string_equal(json_string_value(json_array_get(json_object_get(sds, "peers"), 1)), "prefix:spiffe://b.example/");
	sets = json_object_get(form, "selectors");
	set = json_array_get(sets, 0);
	assert_string_equal(json_string_value(json_array_get(json_object_get(set, "unix:uid"), 1)), "1001");
	assert_string_equal(json_string_value(json_array_get(json_object_get(set, "unix:path"), 0)), "glob:/opt/**");
	json_decref(form);
	form = form_of(&c, "agent");
	assert_string_equal(json_string_value(json_object_get(form, "attestation")), "auto");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(form, "x509"), "caTTL")), 365 * 86400);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(form, "jwt"), "keyTTL")), 30 * 86400);
	assert_string_equal(json_string_value(json_object_get(json_object_get(form, "profiles"), "wit")), "false");
	sds = json_object_get(form, "sds");
	assert_string_equal(json_string_value(json_object_get(sds, "defaultSVIDName")), "default");
	assert_string_equal(json_string_value(json_object_get(sds, "defaultBundleName")), "ROOTCA");
	assert_string_equal(json_string_value(json_object_get(sds, "allBundlesName")), "ALL");
	assert_string_equal(json_string_value(json_object_get(sds, "validator")), "spiffe");
	assert_string_equal(json_string_value(json_object_get(sds, "bundlesWithoutIdentity")), "false");
	json_decref(form);
}

static void a_document_too_large_to_send_is_refused(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };
	AUTO(buf) struct buf text = BUF_INIT(LIM_POLICY_FILE);

	(void)unused;
	buf_put_str(&text, HEAD "  workloadID: a\n  selectors:\n");
	for (size_t i = 0; i < LIM_SELECTOR_SETS; i++)
		buf_printf(&text, "  - {process:cmdline: [%0500d, %0600d], unix:path: /a/b, systemd:id: x.service}\n", 1, 2);
	compile_text(&c, buf_cstr(&text));
	assert_true(has_error(&c, 1, 1, "too large", false));
	assert_int_equal(n_good(&c), 0);
}

static void the_product_example_loads(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };

	(void)unused;
	compile_text(&c, "apiVersion: core.riptides.io/v1alpha1\nkind: WorkloadIdentity\nmetadata:\n  name: gcloud-cli\nspec:\n"
			 "  scope:\n    agentGroup:\n      id: riptides/agentGroup/demo\n  selectors:\n"
			 "    - process:binary:path: /snap/google-cloud-cli/364/usr/bin/python3.10\n      process:gid: 501\n"
			 "      process:uid: 501\n  workloadID: staging/demo/gcloud-cli\n");
	assert_int_equal(n_good(&c), 1);
	assert_int_equal(c.n_errors, 1);
	assert_true(has_error(&c, 10, 7, "a path without a digest", true));
}

static void empty_documents_are_nothing(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };

	(void)unused;
	compile_text(&c, "# nothing\n---\n---\n" GOOD "---\n");
	assert_int_equal(c.n_errors, 0);
	assert_int_equal(n_good(&c), 1);
	assert_true(c.files[1].parsed);
}

#define SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void warnings_are_about_weak_documents_only(void **unused)
{
	static const struct {
		const char *selectors;
		size_t warnings;
	} rows[] = {
		{ "{unix:path: /a/b}", 1 },
		{ "{unix:path: /a/b, systemd:id: a.service}", 0 },
		{ "{unix:path: /a/b, kernel:cgroup: /a}", 0 },
		{ "{process:cmdline: a}", 1 },
		{ "{process:cmdline: a, unix:path: /a/b, systemd:id: a.service}", 0 },
		{ "{unix:uid: 1}", 0 },
		{ "{unix:sha256: " SHA256 "}", 0 },
		{ "{unix:path: /a/b, unix:sha256: " SHA256 "}", 0 },
		{ "{process:cmdline: a, unix:sha256: " SHA256 "}", 0 },
		{ "{kernel:script: /a/b, unix:sha256: " SHA256 "}", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		char text[400];

		snprintf(text, sizeof(text), "%s  workloadID: a\n  selectors: [%s]\n", HEAD, rows[i].selectors);
		compile_text(&c, text);
		assert_int_equal(n_good(&c), 1);
		if (c.n_warnings != rows[i].warnings || c.n_errors != c.n_warnings)
			fail_msg("%s", rows[i].selectors);
	}
}

static void agent_documents_are_judged(void **unused)
{
	static const struct {
		const char *yaml;
		const char *part;
	} rows[] = {
		{ "", "no document of kind Agent" },
		{ AGENT "---\n" AGENT, "a second Agent document" },
		{ AGENT_SPEC(""), "spec.trustDomain is missing" },
		{ AGENT_SPEC("trustDomain: Example.org"), "upper case" },
		{ AGENT_SPEC("trustDomain: a, attestation: none"), "one of auto|" },
		{ AGENT_SPEC("trustDomain: a, upstream: x"), "not supported by this build" },
		{ AGENT_SPEC("trustDomain: a, x509: {ttl: 2h, caTTL: 1h}"), "longer than caTTL" },
		{ AGENT_SPEC("trustDomain: a, limits: {connections: 9000}"), "out of range" },
		{ AGENT_SPEC("trustDomain: a, jwt: {ttl: 2h, keyTTL: 1h}"), "spec.jwt: ttl is longer than keyTTL" },
		{ AGENT_SPEC("trustDomain: a, jwt: {keyTTL: 2d}"), "below 3d" }, /* a warning */
		{ AGENT_SPEC("trustDomain: a, jwt: {issuer: issuer.example.org}"), "a URI is wanted" },
		{ AGENT_SPEC("trustDomain: a, oidc: {port: 65536}"), "out of range" },
		{ AGENT_SPEC("trustDomain: a, oidc: {port: 8080}"), "no https:// URL" }, /* a warning */
		{ AGENT_SPEC("trustDomain: a, jwt: {issuer: 'https://a b'}"), "printable ASCII" },
		{ AGENT_SPEC("trustDomain: a, sds: {validator: tls}"), "one of spiffe|plain|bundle-map" },
		{ AGENT_SPEC("trustDomain: a, sds: {bundlesWithoutIdentity: yes}"), "one of true|false" },
		{ AGENT_SPEC("trustDomain: a, sds: {defaultSVIDName: ''}"), "bytes are wanted" },
		{ AGENT_SPEC("trustDomain: a, sds: {defaultSVIDName: a b}"), "without spaces" },
		{ AGENT_SPEC("trustDomain: a, sds: {allBundlesName: 'spiffe://a'}"), "a SPIFFE ID stands for itself" },
		{ AGENT_SPEC("trustDomain: a, sds: {defaultBundleName: default}"), "defaultSVIDName and defaultBundleName are" },
		{ AGENT_SPEC("trustDomain: a, sds: {defaultBundleName: x, allBundlesName: x}"), "are the same name" },
		{ AGENT_SPEC("trustDomain: a, sds: {peers: [spiffe://a/b]}"), "unknown key 'peers' in spec.sds" },
		{ AGENT_SPEC("trustDomain: a, profiles: {wit: yes}"), "one of true|false" },
	};

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		AUTO(compiler) struct compiler c = { 0 };
		size_t file = compiler_file(&c, "svid.yaml");
		bool found = false;

		compiler_bytes(&c, file, slice_str(rows[i].yaml), AGENT_MUST);
		compiler_finish(&c);
		for (size_t k = 0; k < c.n_errors; k++)
			found |= strstr(c.errors[k].text, rows[i].part) && !strcmp(c.errors[k].name, "agent");
		if (!found || c.n_errors != 1) {
			show(&c);
			fail_msg("%s", rows[i].yaml);
		}
	}
}

static int make_dir(void **unused)
{
	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp/svid-compile-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **unused)
{
	char command[128];
	pid_t pid;

	(void)unused;
	snprintf(command, sizeof(command), "%s", dir);
	pid = fork();
	if (!pid) {
		execl("/bin/rm", "rm", "-rf", command, NULL);
		_exit(1);
	}
	return pid > 0 ? 0 : -1;
}

static const char *at(const char *name)
{
	static char path[300];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void compile_dir(struct compiler *c, enum trust trust)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(files_compile_dir(c, fd, "d/", trust), 0);
	compiler_finish(c);
	close(fd);
}

/* "name:parsed " of each file seen. */
static const char *files_of(const struct compiler *c)
{
	static char text[1000];
	size_t n = 0;

	text[0] = 0;
	for (size_t i = 0; i < c->n_files; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s:%d ", c->files[i].name, c->files[i].parsed);
	return text;
}

static void only_yaml_files_count_and_in_order(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };

	(void)unused;
	put_file("b.yml", "", 0644);
	put_file("a.yaml", GOOD, 0644);
	put_file(".hidden.yaml", "x: [", 0644);
	put_file("c.yaml~", "x: [", 0644);
	put_file("readme", "x: [", 0644);
	compile_dir(&c, TRUST_STRICT);
	assert_string_equal(files_of(&c), "d/a.yaml:1 d/b.yml:1 ");
	assert_int_equal(c.n_errors, 0);
}

static void files_that_others_may_write_are_not_believed(void **unused)
{
	AUTO(compiler) struct compiler strict = { 0 }, lax = { 0 };

	(void)unused;
	put_file("a.yaml", "", 0664);
	put_file("b.yaml", "", 0646);
	put_file("c.yaml", "", 0644);
	if (chown(at("c.yaml"), 12345, 0) < 0)
		skip();
	put_file("d.yaml", "", 0600);
	compile_dir(&strict, TRUST_STRICT);
	assert_string_equal(files_of(&strict), "d/a.yaml:0 d/b.yaml:0 d/c.yaml:0 d/d.yaml:1 ");
	assert_int_equal(strict.n_errors, 3);
	assert_int_equal(strict.n_warnings, 0);
	compile_dir(&lax, TRUST_WARN);
	assert_int_equal(lax.n_warnings, 3);
	assert_int_equal(lax.n_errors, 3);
}

static void strange_files_are_refused(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };
	char *big = calloc(1, LIM_POLICY_FILE + 2);

	(void)unused;
	memset(big, '#', LIM_POLICY_FILE + 1);
	put_file("big.yaml", big, 0644);
	free(big);
	assert_int_equal(mkdir(at("dir.yaml"), 0755), 0);
	assert_int_equal(mkfifo(at("fifo.yaml"), 0644), 0);
	assert_int_equal(symlink("/etc/hostname", at("out.yaml")), 0);
	assert_int_equal(symlink("../../etc/hostname", at("up.yaml")), 0);
	assert_int_equal(symlink("gone", at("zdangling.yaml")), 0);
	compile_dir(&c, TRUST_STRICT);
	assert_string_equal(files_of(&c),
			    "d/big.yaml:0 d/dir.yaml:0 d/fifo.yaml:0 d/out.yaml:0 d/up.yaml:0 d/zdangling.yaml:0 ");
	assert_int_equal(c.n_errors, 6);
}

static void kubernetes_links_are_followed(void **unused)
{
	AUTO(compiler) struct compiler c = { 0 };

	(void)unused;
	assert_int_equal(mkdir(at("..2026_01"), 0755), 0);
	put_file("..2026_01/a.yaml", GOOD, 0644);
	assert_int_equal(symlink("..2026_01", at("..data")), 0);
	assert_int_equal(symlink("..data/a.yaml", at("a.yaml")), 0);
	compile_dir(&c, TRUST_STRICT);
	assert_string_equal(files_of(&c), "d/a.yaml:1 ");
	assert_int_equal(n_good(&c), 1);
}

#define D(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(wrong_documents_are_refused_with_their_place),
		cmocka_unit_test(a_file_that_is_not_yaml_is_not_parsed),
		cmocka_unit_test(depth_and_number_of_values_are_bounded),
		cmocka_unit_test(all_errors_are_reported_in_order),
		cmocka_unit_test(two_documents_for_one_thing_name_both),
		cmocka_unit_test(a_good_document_becomes_its_normal_form),
		cmocka_unit_test(a_document_too_large_to_send_is_refused),
		cmocka_unit_test(the_product_example_loads),
		cmocka_unit_test(empty_documents_are_nothing),
		cmocka_unit_test(warnings_are_about_weak_documents_only),
		cmocka_unit_test(agent_documents_are_judged),
		D(only_yaml_files_count_and_in_order),
		D(files_that_others_may_write_are_not_believed),
		D(strange_files_are_refused),
		D(kubernetes_links_are_followed),
	};

	return cmocka_run_group_tests_name("compile", tests, NULL, NULL);
}
