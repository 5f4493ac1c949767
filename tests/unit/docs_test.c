// SPDX-License-Identifier: Apache-2.0
/* docs_test.c - generations of documents: what is in force, stale or withdrawn, also after a restart.
 * links: agent/core/docs.c agent/core/docs_apply.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/docs_rows.c agent/core/docs_settings.c agent/core/docs_save.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/core/docs.h"
#include "agent/ipc/msg.h"
#include "tests/lib/docs_say.h"

#define AGENT_FILE "svid.yaml"
#define KIND "WorkloadIdentity"
#define UID_SET "\"selectors\":[{\"unix:uid\":[\"1000\"]}]"

static char dir[64];
static struct state *st;
static struct docs *d;
static uint32_t sent_docs, sent_errors;

static void start(void)
{
	assert_int_equal(state_open(dir, &st), 0);
	assert_int_equal(docs_new(st, &d), 0);
}

static void stop(void)
{
	docs_free(d);
	state_close(st);
}

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	snprintf(dir, sizeof(dir), "/tmp/svid-docs-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	start();
	return 0;
}

static int teardown(void **unused)
{
	(void)unused;
	stop();
	return docs_dir_end(dir);
}

#define SEND(NAME, ...) DOCS_SAY(d, NAME, __VA_ARGS__)

static void file_parsed(const char *name, bool parsed)
{
	assert_int_equal(SEND(PC_FILE, .file = slice_str(name), .parsed = parsed), 0);
}

static int doc_json(const char *file, const char *kind, const char *name, const char *json)
{
	sent_docs++;
	return SEND(PC_DOC, .file = slice_str(file), .line = 3, .kind = slice_str(kind), .name = slice_str(name),
		    .json = slice_str(json));
}

static void doc(const char *file, const char *name, const char *id)
{
	char json[256];

	snprintf(json, sizeof(json), "{\"workloadID\":\"%s\"," UID_SET "}", id);
	assert_int_equal(doc_json(file, KIND, name, json), 0);
}

static void error_at(const char *file, const char *kind, const char *name)
{
	sent_errors++;
	assert_int_equal(SEND(PC_ERROR, .file = slice_str(file), .line = 5, .column = 2, .kind = slice_str(kind),
			      .name = slice_str(name), .text = slice_str("wrong")), 0);
}

/* svid.yaml as it should be. */
static void begin(void)
{
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, true);
	assert_int_equal(doc_json(AGENT_FILE, "Agent", "agent", "{\"trustDomain\":\"example.org\"}"), 0);
}

/* Everything that svid-core does in many turns. Returns whether a generation came into force. */
static bool all_turns(void)
{
	bool changed = false;

	while (docs_busy(d) || docs_untidy(d)) {
		struct budget b = BUDGET_INIT(BUDGET_TURN);

		assert_int_equal(docs_step(d, &b, &changed), 0);
		docs_tidy(d, &b);
	}
	return changed;
}

static int done(void)
{
	int err = SEND(PC_DONE, .documents = sent_docs, .errors = sent_errors);

	(void)all_turns();
	return err;
}

static const struct identity *find(const char *id)
{
	char text[256];

	snprintf(text, sizeof(text), "spiffe://example.org/%s", id);
	return policy_by_spiffe_id(docs_policy(d), slice_str(text));
}

static size_t in_force(void)
{
	size_t stale;

	return policy_count(docs_policy(d), &stale);
}

static void good_generation(void)
{
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "one", "one");
	doc("a.yaml", "two", "two");
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 2);
}

static void a_compiler_that_breaks_the_rules_is_condemned(void **unused)
{
	(void)unused;
	assert_int_equal(SEND(PC_FILE, .file = slice_str("a.yaml"), .parsed = 1), -ERR_PERMIT);
	begin();
	assert_int_equal(SEND(PC_FILE, .file = slice_str("a"), .parsed = 2), -ERR_FORMAT);
	assert_int_equal(SEND(PC_FILE, .file = slice_str(AGENT_FILE), .parsed = 1), -ERR_FORMAT);
	assert_int_equal(SEND(PC_FILE, .file = slice_str("")), -ERR_FORMAT);
	assert_int_equal(doc_json("unknown.yaml", KIND, "x", "{}"), -ERR_FORMAT);
	file_parsed("broken.yaml", false);
	assert_int_equal(doc_json("broken.yaml", KIND, "x", "{}"), -ERR_FORMAT);
	assert_int_equal(docs_message(d, MSG_PC_DONE, slice_str("xxx")), -ERR_FORMAT);
	assert_int_equal(docs_message(d, MSG_PC_BOOT, slice_str("")), -ERR_PERMIT);
	assert_int_equal(docs_generation(d), 0);
}

static void counts_that_are_off_do_not_withdraw(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	sent_docs++; /* one got lost */
	assert_int_equal(done(), -ERR_FORMAT);
	assert_int_equal(in_force(), 2);
}

/* As if the compiler had died: everything is stale, nothing is withdrawn, and it is said. */
static void assert_broke_off(size_t n)
{
	const struct doc_error *errors;
	size_t n_errors;

	assert_int_equal(in_force(), n);
	if (n)
		assert_true(find("one")->stale && find("two")->stale);
	errors = docs_errors(d, &n_errors);
	assert_true(n_errors > 0);
	assert_string_equal(errors[n_errors - 1].text, "svid compile sent what it must not");
}

static void the_same_document_twice_is_broken(void **unused)
{
	(void)unused;
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "one", "one");
	doc("a.yaml", "one", "two");
	assert_int_equal(done(), 0);
	assert_broke_off(0);
}

static void an_unknown_kind_or_form_is_broken(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	assert_int_equal(doc_json(AGENT_FILE, "Gadget", "x", "{}"), 0);
	assert_int_equal(done(), 0);
	assert_broke_off(2);
	begin();
	assert_int_equal(doc_json(AGENT_FILE, KIND, "x", "{}"), 0);
	assert_int_equal(done(), 0);
	assert_broke_off(2);
}

static void a_missing_document_is_withdrawn_whatever_else_is_wrong(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "two", "two");
	file_parsed("b.yaml", false);
	error_at("b.yaml", "", "");
	error_at("a.yaml", KIND, "three");
	assert_int_equal(done(), 0);
	assert_null(find("one"));
	assert_non_null(find("two"));
	assert_int_equal(in_force(), 1);
}

static void a_vanished_file_withdraws_its_documents(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 0);
}

static void a_document_that_does_not_validate_keeps_its_last_version(void **unused)
{
	uint32_t number;

	(void)unused;
	good_generation();
	number = find("one")->number;
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "two", "two");
	error_at("a.yaml", KIND, "one");
	assert_int_equal(done(), 0);
	assert_non_null(find("one"));
	assert_true(find("one")->stale);
	assert_int_equal(find("one")->number, number);
	assert_false(find("two")->stale);
	good_generation();
	assert_false(find("one")->stale);
	assert_int_equal(find("one")->number, number);
}

static void a_warning_does_not_make_stale(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	assert_int_equal(SEND(PC_ERROR, .file = slice_str("a.yaml"), .kind = slice_str(KIND),
			      .name = slice_str("one"), .warning = 1, .text = slice_str("hm")), 0);
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 0);
}

static void a_file_that_does_not_parse_keeps_its_documents(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", false);
	error_at("a.yaml", "", "");
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 2);
	assert_true(find("one")->stale && find("two")->stale);
}

static void a_moved_document_is_fresh_even_if_its_old_file_is_broken(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", false);
	error_at("a.yaml", "", "");
	file_parsed("b.yaml", true);
	doc("b.yaml", "one", "one-moved");
	assert_int_equal(done(), 0);
	assert_null(find("one"));
	assert_false(find("one-moved")->stale);
	assert_true(find("two")->stale);
}

static void a_restart_with_a_broken_file_remembers(void **unused)
{
	(void)unused;
	good_generation();
	stop();
	start();
	assert_int_equal(in_force(), 0); /* nothing before the first generation */
	assert_string_equal(docs_settings(d)->trust_domain, "");
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, false);
	file_parsed("a.yaml", false);
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 2);
	assert_true(find("one")->stale);
	assert_true(docs_settings(d)->stale);
	assert_string_equal(docs_settings(d)->trust_domain, "example.org");
}

static void a_withdrawn_document_is_not_remembered(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "two", "two");
	assert_int_equal(done(), 0);
	stop();
	start();
	begin();
	file_parsed("a.yaml", false);
	assert_int_equal(done(), 0);
	assert_null(find("one"));
	assert_true(find("two")->stale);
}

static void a_compiler_that_dies_makes_everything_stale(void **unused)
{
	size_t n;

	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "two", "evil");
	docs_end(d, "svid compile was killed");
	assert_true(all_turns());
	assert_int_equal(in_force(), 2);
	assert_null(find("evil"));
	assert_true(find("two")->stale);
	assert_true(docs_errors(d, &n)[0].text != NULL && n == 1);
	docs_end(d, "again");
	assert_false(all_turns());
}

static void a_compiler_that_dies_at_the_first_start_remembers(void **unused)
{
	(void)unused;
	good_generation();
	stop();
	start();
	docs_begin(d);
	docs_end(d, "svid compile was killed");
	assert_true(all_turns());
	assert_int_equal(in_force(), 2);
}

static void numbers_are_never_used_for_something_else(void **unused)
{
	uint32_t one, two;

	(void)unused;
	good_generation();
	one = find("one")->number;
	two = find("two")->number;
	assert_true(one && two && one != two);
	begin();
	file_parsed("a.yaml", true);
	doc("a.yaml", "one", "other"); /* another SPIFFE ID */
	doc("a.yaml", "three", "two"); /* another document */
	assert_int_equal(done(), 0);
	assert_true(find("other")->number > one && find("other")->number > two);
	assert_true(find("two")->number > one && find("two")->number > two);
	assert_ptr_equal(policy_by_number(docs_policy(d), find("two")->number), find("two"));
	assert_null(policy_by_number(docs_policy(d), one));
}

static void a_new_document_wins_over_a_stale_one_for_one_spiffe_id(void **unused)
{
	size_t n;

	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", false);
	file_parsed("b.yaml", true);
	doc("b.yaml", "zzz", "one");
	assert_int_equal(done(), 0);
	assert_string_equal(find("one")->name, "zzz");
	assert_int_equal(in_force(), 2);
	assert_non_null(strstr(docs_errors(d, &n)[0].text, "zzz"));
	assert_string_equal(docs_errors(d, &n)[0].name, "one");
}

static void one_hint_is_for_one_document(void **unused)
{
	(void)unused;
	begin();
	assert_int_equal(doc_json(AGENT_FILE, KIND, "a", "{\"workloadID\":\"a\",\"hint\":\"h\"," UID_SET "}"), 0);
	assert_int_equal(doc_json(AGENT_FILE, KIND, "b", "{\"workloadID\":\"b\",\"hint\":\"h\"," UID_SET "}"), 0);
	doc(AGENT_FILE, "c", "c");
	doc(AGENT_FILE, "d", "d");
	assert_int_equal(done(), 0);
	assert_non_null(find("a"));
	assert_null(find("b"));
	assert_int_equal(in_force(), 3);
}

static void another_trust_domain_over_this_state_is_refused(void **unused)
{
	size_t n;

	(void)unused;
	good_generation();
	stop();
	start();
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, true);
	assert_int_equal(doc_json(AGENT_FILE, "Agent", "agent", "{\"trustDomain\":\"other.org\"}"), 0);
	file_parsed("a.yaml", true);
	doc("a.yaml", "one", "one");
	assert_int_equal(done(), 0);
	assert_string_equal(docs_settings(d)->trust_domain, "example.org");
	assert_true(docs_settings(d)->stale);
	assert_non_null(find("one"));
	assert_non_null(strstr(docs_errors(d, &n)[0].text, "example.org"));
}

static void a_document_of_another_trust_domain_falls_back(void **unused)
{
	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", true);
	assert_int_equal(doc_json("a.yaml", KIND, "one", "{\"spiffeID\":\"spiffe://other.org/x\"," UID_SET "}"), 0);
	assert_int_equal(doc_json("a.yaml", KIND, "new", "{\"spiffeID\":\"spiffe://other.org/y\"," UID_SET "}"), 0);
	assert_int_equal(done(), 0);
	assert_true(find("one")->stale);
	assert_int_equal(in_force(), 1);
}

static void without_an_agent_document_nobody_is_anybody(void **unused)
{
	(void)unused;
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, true);
	error_at(AGENT_FILE, "Agent", "agent");
	file_parsed("a.yaml", true);
	doc("a.yaml", "one", "one");
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 0);
	assert_string_equal(docs_settings(d)->trust_domain, "");
	good_generation();
}

static void settings_are_read(void **unused)
{
	const struct settings *s;

	(void)unused;
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, true);
	assert_int_equal(doc_json(AGENT_FILE, "Agent", "agent",
				  "{\"trustDomain\":\"td\",\"agentGroups\":[\"g\"],\"attestation\":\"bpf-tp\","
				  "\"audit\":\"required\",\"logLevel\":\"debug\",\"x509\":{\"ttl\":60,\"caTTL\":600},"
				  "\"jwt\":{\"ttl\":70,\"keyTTL\":700,\"issuer\":\"https://i\"},"
				  "\"sds\":{\"defaultSVIDName\":\"me\",\"validator\":\"plain\","
				  "\"bundlesWithoutIdentity\":\"true\"},\"profiles\":{\"wit\":\"true\"},"
				  "\"limits\":{\"connections\":5,\"connectionsPerUID\":4}}"), 0);
	assert_int_equal(doc_json(AGENT_FILE, KIND, "a",
				  "{\"workloadID\":\"a\",\"scope\":{\"agentGroup\":{\"id\":\"g\"}}," UID_SET "}"), 0);
	assert_int_equal(doc_json(AGENT_FILE, KIND, "b",
				  "{\"workloadID\":\"b\",\"scope\":{\"agentGroup\":{\"id\":\"h\"}}," UID_SET "}"), 0);
	assert_int_equal(done(), 0);
	s = docs_settings(d);
	assert_string_equal(s->trust_domain, "td");
	assert_int_equal(s->attestation, TIER_BPF_TP);
	assert_true(s->audit_required);
	assert_int_equal(s->log_level, LOG_DEBUG);
	assert_int_equal(s->x509_ttl, 60);
	assert_int_equal(s->ca_ttl, 600);
	assert_int_equal(s->jwt_ttl, 70);
	assert_int_equal(s->jwt_key_ttl, 700);
	assert_string_equal(s->jwt_issuer, "https://i");
	assert_true(s->wit);
	assert_string_equal(s->sds.svid, "me");
	assert_string_equal(s->sds.all, "ALL");
	assert_int_equal(s->sds.flags, SDS_PLAIN_CA | SDS_BUNDLES_FOR_NOBODY);
	assert_int_equal(policy_at(docs_policy(d), 0)->jwt_ttl, 70);
	assert_int_equal(policy_at(docs_policy(d), 0)->jwt_alg, JWT_RS256);
	assert_int_equal(s->max_conns, 5);
	assert_int_equal(s->max_conns_per_uid, 4);
	assert_int_equal(in_force(), 1);
	assert_int_equal(policy_at(docs_policy(d), 0)->x509_ttl, 60);
	docs_begin(d);
	sent_docs = sent_errors = 0;
	file_parsed(AGENT_FILE, true);
	assert_int_equal(doc_json(AGENT_FILE, "Agent", "agent", "{\"trustDomain\":\"td\"}"), 0);
	assert_int_equal(done(), 0);
	assert_int_equal(docs_settings(d)->log_level, SETTINGS_LOG_UNSAID);
	assert_int_equal(docs_settings(d)->max_conns, LIM_CONNS);
	assert_string_equal(docs_settings(d)->jwt_issuer, "spiffe://td");
	assert_false(docs_settings(d)->wit);
	assert_int_equal(docs_settings(d)->sds.flags, 0);
}

static void status_is_json(void **unused)
{
	AUTO(buf) struct buf out = BUF_INIT(10000);
	json_t *root;

	(void)unused;
	good_generation();
	begin();
	file_parsed("a.yaml", false);
	error_at("a.yaml", "", "");
	assert_int_equal(done(), 0);
	docs_put_status(d, &out);
	root = json_loadb((char *)out.data, out.len, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(root, "generation")), 2);
	assert_int_equal(json_integer_value(json_object_get(root, "documents")), 3);
	assert_int_equal(json_array_size(json_object_get(root, "stale")), 2);
	assert_int_equal(json_array_size(json_object_get(root, "errors")), 1);
	json_decref(root);
}

static void a_withdrawal_does_not_wait_for_a_broken_disk(void **unused)
{
	size_t n;

	(void)unused;
	good_generation();
	assert_int_equal(state_begin(st), 0); /* every further BEGIN fails now */
	begin();
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 0);
	(void)docs_errors(d, &n);
	assert_int_equal(n, 1);
	state_rollback(st);
	begin();
	assert_int_equal(done(), 0); /* and is written now */
	(void)docs_errors(d, &n);
	assert_int_equal(n, 0);
	stop();
	start();
	begin();
	file_parsed("a.yaml", false);
	assert_int_equal(done(), 0);
	assert_int_equal(in_force(), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_compiler_that_breaks_the_rules_is_condemned),
		T(counts_that_are_off_do_not_withdraw),
		T(the_same_document_twice_is_broken),
		T(an_unknown_kind_or_form_is_broken),
		T(a_missing_document_is_withdrawn_whatever_else_is_wrong),
		T(a_vanished_file_withdraws_its_documents),
		T(a_document_that_does_not_validate_keeps_its_last_version),
		T(a_warning_does_not_make_stale),
		T(a_file_that_does_not_parse_keeps_its_documents),
		T(a_moved_document_is_fresh_even_if_its_old_file_is_broken),
		T(a_restart_with_a_broken_file_remembers),
		T(a_withdrawn_document_is_not_remembered),
		T(a_compiler_that_dies_makes_everything_stale),
		T(a_compiler_that_dies_at_the_first_start_remembers),
		T(numbers_are_never_used_for_something_else),
		T(a_new_document_wins_over_a_stale_one_for_one_spiffe_id),
		T(one_hint_is_for_one_document),
		T(another_trust_domain_over_this_state_is_refused),
		T(a_document_of_another_trust_domain_falls_back),
		T(without_an_agent_document_nobody_is_anybody),
		T(settings_are_read),
		T(status_is_json),
		T(a_withdrawal_does_not_wait_for_a_broken_disk),
	};

	return cmocka_run_group_tests_name("docs", tests, NULL, NULL);
}
