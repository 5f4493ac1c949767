// SPDX-License-Identifier: Apache-2.0
/* policy_yaml_fuzz.c - any bytes through the policy compiler; what it calls good, svid-core must take.
 * links: agent/cli/compile_doc.c agent/cli/compile_list.c agent/cli/compile_yaml.c agent/cli/compile_schema.c agent/cli/compile_schema_cloud.c agent/cli/compile_value.c agent/cli/compile_selector.c agent/cli/compile_finish.c agent/cli/compile_cloud.c agent/cli/compile_bind.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/docs_settings.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c */
#include <stdlib.h>
#include <string.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/cli/compile_doc.h"
#include "agent/core/cloud_docs.h"
#include "agent/core/docs_rows.h"
#include "agent/core/policy_build.h"

#define AGENT "apiVersion: svid/v1alpha1\nkind: Agent\nspec: {trustDomain: example.org, jwt: {issuer: 'https://o.example.org'}}\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With its source, which the compiler has found. */
static int take_credential(const struct compiler *c, const struct cdoc *d, struct build_why *why)
{
	AUTO_FREE char *name = NULL;
	struct cloud_doc *doc = NULL;
	int err = cloud_doc_source_name(d->name, d->json, &name);

	for (size_t i = 0; i < c->n_docs && !err && !doc; i++) {
		const struct cdoc *s = &c->docs[i];

		if (!s->refused && strcmp(s->kind, KIND_SOURCE) == 0 && strcmp(s->name, name) == 0)
			err = cloud_doc_new(d->name, d->json, name, s->json, "example.org", why, &doc);
	}
	if (!doc)
		abort();
	cloud_doc_free(doc);
	return err;
}

static void core_takes(const struct compiler *c, const struct cdoc *d)
{
	static const struct policy_env env = { .trust_domain = "example.org", .x509_ttl = 3600 };
	struct build_why why = { .text = "" };
	struct identity *id = NULL;
	struct settings *s = NULL;
	int err;

	if (strcmp(d->kind, KIND_AGENT) == 0)
		err = settings_new(d->json, "", &why, &s);
	else if (strcmp(d->kind, KIND_SOURCE) == 0)
		err = cloud_source_check(d->json);
	else if (strcmp(d->kind, KIND_CREDENTIAL) == 0)
		err = take_credential(c, d, &why);
	else
		err = identity_new(slice_str(d->name), slice_str(d->json), &env, &why, &id);
	if (err)
		abort();
	identity_free(id);
	settings_free(s);
}

static void compile_as(const uint8_t *data, size_t size, enum agent_place agent)
{
	AUTO(compiler) struct compiler c = { 0 };
	size_t file;

	if (agent == AGENT_NO)
		compiler_bytes(&c, compiler_file(&c, "svid.yaml"), slice_str(AGENT), AGENT_MUST);
	file = compiler_file(&c, "a.yaml");
	compiler_bytes(&c, file, slice_of(data, size), agent);
	compiler_finish(&c);
	if (c.no_memory || (!c.files[file].parsed && c.n_errors == c.n_warnings))
		abort();
	for (size_t i = 0; i < c.n_docs; i++)
		if (!c.docs[i].refused && (agent == AGENT_NO || strcmp(c.docs[i].kind, KIND_AGENT) == 0))
			core_takes(&c, &c.docs[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	compile_as(data, size, AGENT_NO);
	compile_as(data, size, AGENT_MUST);
	return 0;
}
