// SPDX-License-Identifier: Apache-2.0
/* docs_cloud_test.c - credentials and their sources over generations of documents: which are in force, and what is known of each.
 * links: agent/core/docs.c agent/core/docs_apply.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/docs_rows.c agent/core/docs_settings.c agent/core/docs_save.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/core/cloud_docs.h"
#include "agent/core/docs.h"
#include "agent/core/policy_build.h"
#include "agent/ipc/msg.h"
#include "tests/lib/docs_say.h"

#define FILE_NAME "svid.yaml"
#define IDENTITY "WorkloadIdentity"
#define SOURCE "CredentialSource"
#define CREDENTIAL "WorkloadCredential"
#define MANY 4096
#define OVERDRAFT 8192 /* units that one item of work may take beyond what was left; as docs_slices_test has it */

static char dir[64];
static struct state *st;
static struct docs *d;
static uint32_t n_docs, n_errors;

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/svid-clouds-XXXXXX");
	if (!mkdtemp(dir) || state_open(dir, &st))
		return -1;
	return docs_new(st, &d);
}

static void end(void)
{
	docs_free(d);
	state_close(st);
}

static int teardown(void **unused)
{
	(void)unused;
	end();
	return docs_dir_end(dir);
}

#define SEND(NAME, ...) DOCS_SAY(d, NAME, __VA_ARGS__)

static void doc(const char *kind, const char *name, const char *json)
{
	n_docs++;
	assert_int_equal(SEND(PC_DOC, .file = slice_str(FILE_NAME), .line = 3, .kind = slice_str(kind), .name = slice_str(name),
			      .json = slice_str(json)), 0);
}

static void identity(const char *name)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"workloadID\":\"%s\",\"selectors\":[{\"unix:uid\":[\"1000\"]}]}", name);
	doc(IDENTITY, name, json);
}

static void credential(const char *name, const char *workload, const char *source)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"workloadID\":\"%s\",\"credentialSource\":\"%s\",\"helpers\":[\"/bin/cat\"]}", workload,
		 source);
	doc(CREDENTIAL, name, json);
}

static void refused(const char *kind, const char *name)
{
	n_errors++;
	assert_int_equal(SEND(PC_ERROR, .file = slice_str(FILE_NAME), .line = 5, .column = 2, .kind = slice_str(kind),
			      .name = slice_str(name), .text = slice_str("wrong")), 0);
}

static void begin(void)
{
	docs_begin(d);
	n_docs = n_errors = 0;
	assert_int_equal(SEND(PC_FILE, .file = slice_str(FILE_NAME), .parsed = 1), 0);
	doc("Agent", "agent", "{\"trustDomain\":\"example.org\"}");
}

/* Returns the most that a turn took. */
static size_t done(void)
{
	size_t most = 0;
	bool changed = false;

	assert_int_equal(SEND(PC_DONE, .documents = n_docs, .errors = n_errors), 0);
	while (docs_busy(d) || docs_untidy(d)) {
		struct budget b = BUDGET_INIT(BUDGET_TURN);

		assert_int_equal(docs_step(d, &b, &changed), 0);
		docs_tidy(d, &b);
		most = b.spent > most ? b.spent : most;
	}
	assert_true(changed);
	return most;
}

static const struct cloud_doc *find(const char *name)
{
	const struct cloud_docs *clouds = docs_clouds(d);

	for (size_t i = 0; i < clouds->n; i++)
		if (strcmp(clouds->v[i]->name, name) == 0)
			return clouds->v[i];
	return NULL;
}

static const struct identity *holder(const char *name)
{
	char id[256];

	snprintf(id, sizeof(id), "spiffe://example.org/%s", name);
	return policy_by_spiffe_id(docs_policy(d), slice_str(id));
}

#define JWT "{\"jwt\":{\"audiences\":[\"vault\",\"nomad\"],\"ttl\":1800}}"
#define AZURE "{\"azure\":{\"audience\":\"api://x\"},\"jwtTTL\":60}"

static void two_workloads(void)
{
	begin();
	identity("web");
	identity("batch");
	doc(SOURCE, "tokens", JWT);
	doc(SOURCE, "entra", AZURE);
	credential("web-b", "web", "tokens");
	credential("web-a", "web", "entra");
	credential("batch-a", "batch", "tokens");
	done();
}

static void an_identity_knows_its_credentials_by_name(void **unused)
{
	const struct cloud_docs *clouds;
	const struct identity *web;

	(void)unused;
	two_workloads();
	clouds = docs_clouds(d);
	assert_int_equal(clouds->n, 3);
	web = holder("web");
	assert_int_equal(web->n_clouds, 2);
	assert_string_equal(web->clouds[0]->name, "web-a");
	assert_string_equal(web->clouds[1]->name, "web-b");
	assert_int_equal(holder("batch")->n_clouds, 1);
	for (size_t i = 0; i < clouds->n; i++) {
		assert_ptr_equal(cloud_docs_at(clouds, clouds->v[i]->binding), clouds->v[i]);
		assert_ptr_equal(cloud_docs_find(clouds, clouds->v[i]), clouds->v[i]);
		assert_ptr_equal(policy_by_number(docs_policy(d), clouds->v[i]->identity),
				 holder(clouds->v[i]->name[0] == 'w' ? "web" : "batch"));
	}
	assert_null(cloud_docs_at(clouds, 4711));
	assert_int_equal(find("web-a")->kind, CLOUD_AZURE);
	assert_int_equal(find("web-a")->jwt_ttl, 60);
	assert_int_equal(find("web-b")->file_ttl, 1800);
	assert_int_equal(find("web-b")->n_audiences, 2);
}

static void audiences_and_helpers_are_found_among_all(void **unused)
{
	const struct cloud_docs *clouds;

	(void)unused;
	assert_false(cloud_docs_has_audience(docs_clouds(d), slice_str("vault")));
	assert_false(cloud_docs_has_helper(docs_clouds(d), slice_str("/bin/cat")));
	two_workloads();
	clouds = docs_clouds(d);
	assert_true(cloud_docs_has_audience(clouds, slice_str("vault")));
	assert_true(cloud_docs_has_audience(clouds, slice_str("nomad")));
	assert_true(cloud_docs_has_audience(clouds, slice_str("api://x")));
	assert_false(cloud_docs_has_audience(clouds, slice_str("vaul")));
	assert_false(cloud_docs_has_audience(clouds, slice_str("vault2")));
	assert_false(cloud_docs_has_audience(clouds, slice_str("")));
	assert_true(cloud_docs_has_helper(clouds, slice_str("/bin/cat")));
	assert_true(cloud_docs_has_helper(clouds, slice_str("/usr/bin/cat")));
	assert_false(cloud_docs_has_helper(clouds, slice_str("/usr/local/bin/cat")));
	assert_false(cloud_docs_has_helper(clouds, slice_str("/bin/ca")));
}

static void what_vanishes_takes_its_credentials_along(void **unused)
{
	(void)unused;
	two_workloads();
	begin(); /* a source */
	identity("web");
	identity("batch");
	doc(SOURCE, "entra", AZURE);
	credential("web-b", "web", "tokens");
	credential("web-a", "web", "entra");
	credential("batch-a", "batch", "tokens");
	done();
	assert_int_equal(docs_clouds(d)->n, 1);
	assert_non_null(find("web-a"));
	assert_int_equal(holder("batch")->n_clouds, 0);
	two_workloads();
	begin(); /* an identity */
	identity("batch");
	doc(SOURCE, "tokens", JWT);
	doc(SOURCE, "entra", AZURE);
	credential("web-b", "web", "tokens");
	credential("web-a", "web", "entra");
	credential("batch-a", "batch", "tokens");
	done();
	assert_int_equal(docs_clouds(d)->n, 1);
	assert_non_null(find("batch-a"));
	two_workloads();
	begin(); /* a credential */
	identity("web");
	identity("batch");
	doc(SOURCE, "tokens", JWT);
	credential("web-b", "web", "tokens");
	done();
	assert_int_equal(docs_clouds(d)->n, 1);
	assert_int_equal(holder("web")->n_clouds, 1);
	assert_false(cloud_docs_has_audience(docs_clouds(d), slice_str("api://x")));
}

static void a_binding_s_number_is_never_another_s(void **unused)
{
	uint32_t web, batch;

	(void)unused;
	two_workloads();
	web = find("web-b")->binding;
	batch = find("batch-a")->binding;
	begin(); /* the source's content is another, and the credential is of another workload */
	identity("web");
	identity("batch");
	doc(SOURCE, "tokens", "{\"jwt\":{\"audiences\":[\"other\"]}}");
	credential("web-b", "web", "tokens");
	credential("batch-a", "web", "tokens");
	done();
	assert_int_equal(find("web-b")->binding, web);
	assert_string_equal(find("web-b")->audiences[0], "other");
	assert_int_not_equal(find("batch-a")->binding, batch);
	assert_null(cloud_docs_at(docs_clouds(d), batch));
}

/* A source that is written wrongly now: what it was serves on, and says so. */
static void the_last_good_source_serves_on(void **unused)
{
	(void)unused;
	two_workloads();
	assert_false(find("web-b")->stale);
	begin();
	identity("web");
	refused(SOURCE, "tokens");
	credential("web-b", "web", "tokens");
	done();
	assert_non_null(find("web-b"));
	assert_true(find("web-b")->stale);
	assert_string_equal(find("web-b")->audiences[0], "vault");
	begin();
	identity("web");
	doc(SOURCE, "tokens", JWT);
	refused(CREDENTIAL, "web-b");
	done();
	assert_true(find("web-b")->stale);
}

static void they_are_remembered_over_a_restart(void **unused)
{
	(void)unused;
	two_workloads();
	end();
	assert_int_equal(state_open(dir, &st), 0);
	assert_int_equal(docs_new(st, &d), 0);
	begin();
	identity("web");
	refused(SOURCE, "tokens");
	refused(CREDENTIAL, "web-b");
	done();
	assert_int_equal(docs_clouds(d)->n, 1);
	assert_true(find("web-b")->stale);
}

static bool has_error(const char *kind, const char *part)
{
	size_t n;
	const struct doc_error *e = docs_errors(d, &n);

	for (size_t i = 0; i < n; i++)
		if (strcmp(e[i].kind, kind) == 0 && strstr(e[i].text, part))
			return true;
	return false;
}

/* Written into state.db by another version: it must not keep the others from coming into force. */
static void a_remembered_form_that_cannot_be_read_is_left_out(void **unused)
{
	static const char *const bad[] = {
		"{\"jwt\":{\"audiences\":[]}}", "{\"aws\":{}}", "{\"aws\":{\"audience\":\"a\",\"sourceIdentity\":\"maybe\"}}",
		"{\"jwt\":{\"audiences\":[\"a\"],\"ttl\":999999}}",
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		begin(); /* nobody uses it yet, so nobody reads all of it */
		identity("web");
		doc(SOURCE, "odd", bad[i]);
		done();
		begin();
		identity("web");
		identity("batch");
		refused(SOURCE, "odd");
		credential("web-b", "web", "odd");
		done();
		assert_int_equal(docs_clouds(d)->n, 0);
		assert_non_null(holder("batch"));
		assert_true(has_error(CREDENTIAL, "cannot be read any more"));
	}
}

/* What the compiler would have refused is its breach of the rules. */
static void a_form_that_is_none_condemns_the_compiler(void **unused)
{
	static const struct {
		const char *kind, *name, *json;
	} rows[] = {
		{ SOURCE, "s", "{}" },
		{ SOURCE, "s", "{\"oci\":{}}" },
		{ CREDENTIAL, "c", "{\"workloadID\":\"web\"}" },
		{ CREDENTIAL, "self", "{\"workloadID\":\"web\",\"credentialSource\":\"tokens\"}" },
		{ CREDENTIAL, "aws", "{\"workloadID\":\"web\",\"credentialSource\":\"tokens\"}" },
		{ CREDENTIAL, "c", "{\"workloadID\":\"web\",\"credentialSource\":\"tokens\",\"helpers\":\"/bin/cat\"}" },
	};

	(void)unused;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t before = docs_generation(d);
		bool changed = false;

		begin();
		identity("web");
		doc(SOURCE, "tokens", JWT);
		doc(rows[i].kind, rows[i].name, rows[i].json);
		assert_int_equal(SEND(PC_DONE, .documents = n_docs, .errors = 0), 0);
		while (docs_busy(d)) {
			struct budget b = BUDGET_INIT(BUDGET_TURN);

			if (docs_step(d, &b, &changed))
				break;
		}
		if (docs_generation(d) != before && (find("c") || find("self") || find("aws")))
			fail_msg("%s", rows[i].json);
	}
}

/* The claims that AWS wants for session tags, with all that JSON needs escaped. */
static void tags_become_claims(void **unused)
{
	struct build_why why = { .text = "" };
	struct cloud_doc *doc = NULL;

	(void)unused;
	assert_int_equal(cloud_doc_new("c", "{\"workloadID\":\"a\",\"credentialSource\":\"s\"}", "s",
				       "{\"aws\":{\"audience\":\"x\",\"tags\":{\"team\":\"a\\\"b\"},"
				       "\"transitiveTags\":[\"team\"]}}",
				       "example.org", &why, &doc), 0);
	assert_string_equal(doc->claims, ",\"https://aws.amazon.com/tags\":{\"principal_tags\":{\"team\":[\"a\\\"b\"]},"
					 "\"transitive_tag_keys\":[\"team\"]}");
	assert_string_equal(doc->spiffe_id, "spiffe://example.org/a");
	assert_int_equal(doc->jwt_ttl, 300);
	assert_int_equal(doc->file_ttl, 3600);
	cloud_doc_free(doc);
	assert_int_equal(cloud_doc_new("c", "{\"spiffeID\":\"spiffe://other/a\",\"credentialSource\":\"s\"}", "s", JWT,
				       "example.org", &why, &doc), -ERR_POLICY);
	assert_non_null(strstr(why.text, "trust domain example.org"));
}

/* As many as there may be, each with an identity of its own, and no turn is long. */
static void thousands_are_joined_in_slices(void **unused)
{
	char name[32];

	(void)unused;
	begin();
	doc(SOURCE, "tokens", JWT);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "w%u", i);
		identity(name);
		credential(name, name, "tokens");
	}
	assert_true(done() <= BUDGET_TURN + OVERDRAFT);
	assert_int_equal(docs_clouds(d)->n, MANY);
	for (unsigned int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "w%u", i);
		assert_int_equal(holder(name)->n_clouds, 1);
		assert_string_equal(holder(name)->clouds[0]->name, name);
		assert_ptr_equal(cloud_docs_at(docs_clouds(d), holder(name)->clouds[0]->binding), holder(name)->clouds[0]);
	}
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_identity_knows_its_credentials_by_name),
		T(audiences_and_helpers_are_found_among_all),
		T(what_vanishes_takes_its_credentials_along),
		T(a_binding_s_number_is_never_another_s),
		T(the_last_good_source_serves_on),
		T(they_are_remembered_over_a_restart),
		T(a_remembered_form_that_cannot_be_read_is_left_out),
		T(a_form_that_is_none_condemns_the_compiler),
		T(tags_become_claims),
		T(thousands_are_joined_in_slices),
	};

	return cmocka_run_group_tests_name("docs_cloud", tests, NULL, NULL);
}
