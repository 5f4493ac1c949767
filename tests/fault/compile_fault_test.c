// SPDX-License-Identifier: Apache-2.0
/* compile_fault_test.c - the policy compiler with the nth allocation failing, for every n.
 * links: agent/cli/compile_doc.c agent/cli/compile_list.c agent/cli/compile_yaml.c agent/cli/compile_schema.c agent/cli/compile_schema_cloud.c agent/cli/compile_value.c agent/cli/compile_selector.c agent/cli/compile_finish.c agent/cli/compile_cloud.c agent/cli/compile_bind.c agent/cli/compile_files.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_doc.h"

static const char agent[] = "apiVersion: svid/v1alpha1\nkind: Agent\n"
			    "spec: {trustDomain: example.org, jwt: {issuer: 'https://o.example.org'}}\n";

static const char text[] = "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata: {name: n}\nspec:\n"
			   "  workloadID: a/b\n  hint: h\n  selectors: [{unix:uid: [1, 2], unix:path: glob:/a/*}]\n"
			   "  svid: {x509: {ttl: 1h, dnsNames: [a.b]}}\n---\n"
			   "kind: WorkloadIdentity\nmetadata: {name: m}\n"
			   "spec: {workloadID: a/b, x: &a 1, selectors: [{foo: 1}]}\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: WorkloadIdentity\nmetadata: {name: o}\n"
			   "spec: {workloadID: a/b, selectors: [{unix:uid: 1}]}\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: CredentialSource\nmetadata: {name: s}\nspec:\n  aws:\n"
			   "    roleArn: arn:aws:iam::123456789012:role/r\n    region: eu-central-1\n    sessionPolicy: '{}'\n"
			   "    tags: {team: x}\n    transitiveTags: [team]\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: CredentialSource\nmetadata: {name: z}\nspec:\n  azure:\n"
			   "    {tenantID: t, clientID: 12345678-1234-1234-1234-123456789abc, scope: a/.default}\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata: {name: c}\n"
			   "spec: {workloadID: a/b, credentialSource: s, helpers: [/bin/sh, /bin/cat]}\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata: {name: e}\n"
			   "spec: {workloadID: a/b, credentialSource: z}\n---\n"
			   "apiVersion: svid/v1alpha1\nkind: WorkloadCredential\nmetadata: {name: f}\n"
			   "spec: {workloadID: a/b, credentialSource: nowhere}\n";

static void *json_alloc(size_t n)
{
	return mem_calloc(1, n);
}

static void compile(struct compiler *c)
{
	size_t file = compiler_file(c, "svid.yaml");

	if (!c->no_memory)
		compiler_bytes(c, file, slice_str(agent), AGENT_MUST);
	file = c->no_memory ? 0 : compiler_file(c, "a.yaml");
	if (!c->no_memory)
		compiler_bytes(c, file, slice_str(text), AGENT_NO);
	compiler_finish(c);
}

/* All that a run says, as one text. */
static void put_run(const struct compiler *c, struct buf *out)
{
	for (size_t i = 0; i < c->n_files; i++)
		buf_printf(out, "%s %d\n", c->files[i].name, c->files[i].parsed);
	for (size_t i = 0; i < c->n_docs; i++)
		buf_printf(out, "%s %s %d %s %s\n", c->docs[i].kind, c->docs[i].name, c->docs[i].refused, c->docs[i].id,
			   c->docs[i].json);
	for (size_t i = 0; i < c->n_errors; i++)
		buf_printf(out, "%u %s %s\n", c->errors[i].mark.line, c->errors[i].name, c->errors[i].text);
}

/*
 * A run that lacks anything says so: svid-core must never take its silence for a withdrawal. (jansson can do
 * without some of its memory; then the result must be the whole one.)
 */
static void a_run_is_whole_or_says_that_it_is_not(void **unused)
{
	AUTO(buf) struct buf whole = BUF_INIT(20000);
	AUTO(compiler) struct compiler reference = { 0 };
	int hit = 1;
	long n;

	(void)unused;
	compile(&reference);
	put_run(&reference, &whole);
	assert_int_equal(reference.n_errors, 8);
	for (n = 0; hit; n++) {
		AUTO(buf) struct buf said = BUF_INIT(20000);
		AUTO(compiler) struct compiler c = { 0 };

		mem_fail_after(n);
		compile(&c);
		hit = mem_fail_after(-1);
		if (c.no_memory)
			continue;
		put_run(&c, &said);
		if (!slice_eq(buf_slice(&said), buf_slice(&whole)))
			fail_msg("allocation %ld was missed:\n%s", n, buf_cstr(&said));
	}
	assert_true(n > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_run_is_whole_or_says_that_it_is_not) };

	json_set_alloc_funcs(json_alloc, mem_free);
	return cmocka_run_group_tests_name("compile_fault", tests, NULL, NULL);
}
