// SPDX-License-Identifier: Apache-2.0
/* policy_test.c - documents in normal form to identities, and which a caller gets, in which order.
 * links: agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/core/policy_build.h"
#include "tests/unit/policy_facts.h"

static char *groups[] = { (char *)"demo" };
static const struct policy_env env = { "example.org", groups, 1, 3600, 300 };

#define SETS(list) "{\"workloadID\":\"a\",\"selectors\":[" list "]}"
#define PATH_SET "\"selectors\":[{\"unix:path\":[\"/usr/bin/app\"]}]"
#define UID_SET "\"selectors\":[{\"unix:uid\":[\"1000\"]}]"

static int build(const char *name, const char *json, struct identity **ret)
{
	struct build_why why = { .text = "" };
	int err = identity_new(slice_str(name), slice_str(json), &env, &why, ret);

	/* Only a refusal for people has a text. */
	assert_int_equal(err == -ERR_POLICY, why.text[0] != 0);
	return err;
}

static struct identity *good(const char *name, const char *json)
{
	struct identity *id = NULL;

	if (build(name, json, &id))
		fail_msg("%s", json);
	return id;
}

static struct policy *policy_of(struct identity **ids, size_t n)
{
	struct policy *p = NULL;

	assert_int_equal(policy_new(ids, n, &p), 0);
	return p;
}

static void broken_forms_condemn_the_compiler(void **unused)
{
	static const char *const rows[] = {
		"",
		"[]",
		"{",
		"{\"workloadID\":\"a\"}",
		"{\"workloadID\":\"a\",\"selectors\":[]}",
		"{\"workloadID\":\"a\",\"selectors\":{}}",
		"{\"workloadID\":\"a\",\"selectors\":[{}]}",
		"{\"workloadID\":\"a\",\"selectors\":[[]]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":[]}]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":\"1\"}]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":[1]}]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":[\"x\"]}]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"k8s:ns\":[\"x\"]}]}",
		"{\"workloadID\":\"a\",\"selectors\":[{\"kernel:script\":[\"/x/y\"]}]}",
		"{\"workloadID\":\"a\",\"workloadID\":\"b\"," UID_SET "}",
		"{\"workloadID\":\"a\",\"spiffeID\":\"spiffe://example.org/a\"," UID_SET "}",
		"{" UID_SET "}",
		"{\"workloadID\":1," UID_SET "}",
		"{\"workloadID\":\"a\\u0000b\"," UID_SET "}",
		"{\"workloadID\":\"a\"," UID_SET ",\"require\":[\"x\"]}",
		"{\"workloadID\":\"a\"," UID_SET ",\"require\":\"not-traced\"}",
		"{\"workloadID\":\"a\"," UID_SET ",\"priority\":\"1\"}",
		"{\"workloadID\":\"a\"," UID_SET ",\"priority\":1000001}",
		"{\"workloadID\":\"a\"," UID_SET ",\"svid\":{\"x509\":{\"ttl\":0}}}",
		"{\"workloadID\":\"a\"," UID_SET ",\"svid\":{\"x509\":{\"keyType\":\"dsa\"}}}",
		"{\"workloadID\":\"a\"," UID_SET ",\"svid\":{\"x509\":{\"dnsNames\":[\"A\"]}}}",
		"{\"workloadID\":\"a\"," UID_SET ",\"federatesWith\":[\"A\"]}",
		"{\"workloadID\":\"a\"," UID_SET ",\"sds\":{\"peers\":\"spiffe://a/b\"}}",
		"{\"workloadID\":\"a\"," UID_SET ",\"sds\":{\"peers\":[\"spiffe://a\"]}}",
		"{\"workloadID\":\"a\"," UID_SET ",\"sds\":{\"peers\":[\"prefix:spiffe://a/b\"]}}",
	};
	struct identity *id = NULL;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (build("x", rows[i], &id) != -ERR_FORMAT)
			fail_msg("%s", rows[i]);
	assert_null(id);
}

static void ids_that_cannot_be_ours_are_refused(void **unused)
{
	static const char *const rows[] = {
		"{\"spiffeID\":\"spiffe://other.org/a\"," UID_SET "}",
		"{\"spiffeID\":\"spiffe://example.org\"," UID_SET "}",
		"{\"spiffeID\":\"spiffe://example.org/{x}\"," UID_SET "}",
		"{\"workloadID\":\"a//b\"," UID_SET "}",
		"{\"workloadID\":\"../b\"," UID_SET "}",
	};
	struct identity *id = NULL;

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (build("x", rows[i], &id) != -ERR_POLICY)
			fail_msg("%s", rows[i]);
}

static void a_document_becomes_an_identity(void **unused)
{
	AUTO(identity) struct identity *id =
		good("n", "{\"workloadID\":\"a/b\"," PATH_SET ",\"priority\":-5,\"hint\":\"h\",\"federatesWith\":[\"f.org\"],"
			  "\"sds\":{\"peers\":[\"spiffe://f.org/a\",\"prefix:spiffe://example.org/\"]},"
			  "\"svid\":{\"x509\":{\"ttl\":60,\"keyType\":\"rsa-2048\",\"dnsNames\":[\"a.b\",\"c\"]}}}");

	(void)unused;
	assert_string_equal(id->name, "n");
	assert_string_equal(id->spiffe_id, "spiffe://example.org/a/b");
	assert_string_equal(id->hint, "h");
	assert_int_equal(id->priority, -5);
	assert_int_equal(id->x509_ttl, 60);
	assert_int_equal(id->key_type, KEY_RSA_2048);
	assert_int_equal(id->n_dns_names, 2);
	assert_string_equal(id->dns_names[1], "c");
	assert_int_equal(id->n_federates_with, 1);
	assert_int_equal(id->n_sds_peers, 2);
	assert_string_equal(id->sds_peers[1], "prefix:spiffe://example.org/");
	assert_true(identity_in_scope(id, &env));
}

static void defaults_come_from_the_agent(void **unused)
{
	AUTO(identity) struct identity *id = good("n", "{\"spiffeID\":\"spiffe://example.org/x\"," UID_SET "}");

	(void)unused;
	assert_int_equal(id->x509_ttl, 3600);
	assert_int_equal(id->key_type, KEY_EC_P256);
	assert_string_equal(id->hint, "");
}

static void scope_is_by_group(void **unused)
{
	AUTO(identity) struct identity *in =
		good("n", "{\"workloadID\":\"a\"," UID_SET ",\"scope\":{\"agentGroup\":{\"id\":\"demo\"}}}");
	AUTO(identity) struct identity *out =
		good("n", "{\"workloadID\":\"a\"," UID_SET ",\"scope\":{\"agentGroup\":{\"id\":\"dem\"}}}");

	(void)unused;
	assert_true(identity_in_scope(in, &env));
	assert_false(identity_in_scope(out, &env));
}

static bool gets(struct identity *id, struct caller *c, bool *ret_waived)
{
	struct policy *p = policy_of(&id, 1);
	struct match m;

	policy_match(p, &c->f, &m, NULL);
	*ret_waived = m.not_traced_waived;
	policy_free(p);
	return m.n == 1;
}

static bool document_gives(const char *json, struct caller *c)
{
	bool waived;

	return gets(good("n", json), c, &waived);
}

static void keys_of_a_map_must_all_match_and_any_map_is_enough(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	assert_false(document_gives(SETS("{\"unix:uid\":[\"1000\"],\"unix:gid\":[\"0\"]}"), &c));
	assert_true(document_gives(SETS("{\"unix:uid\":[\"1000\"],\"unix:gid\":[\"1001\"]}"), &c));
	assert_true(document_gives(SETS("{\"unix:uid\":[\"0\"]},{\"unix:gid\":[\"1001\"]}"), &c));
	assert_true(document_gives(SETS("{\"unix:uid\":[\"0\",\"1000\"]}"), &c));
	assert_false(document_gives(SETS("{\"unix:uid\":[\"0\",\"1\"]}"), &c));
}

static void defaults_bind_path_and_argv_only(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.conn.image.flags = SVID_IMG_TRACED;
	assert_false(document_gives("{\"workloadID\":\"a\"," PATH_SET "}", &c));
	assert_false(document_gives(SETS("{\"process:cmdline\":[\"/usr\"]}"), &c));
	assert_true(document_gives("{\"workloadID\":\"a\"," UID_SET "}", &c));
	c.conn.image.flags = SVID_IMG_LD_AUDIT;
	assert_false(document_gives("{\"workloadID\":\"a\"," PATH_SET "}", &c));
	assert_true(document_gives("{\"workloadID\":\"a\"," UID_SET "}", &c));
	assert_false(document_gives("{\"workloadID\":\"a\"," UID_SET ",\"require\":[\"no-preload\"]}", &c));
	/* A map without a path does not get around the defaults of the document. */
	assert_false(document_gives(SETS("{\"unix:uid\":[\"1000\"]},{\"unix:path\":[\"/x/y\"]}"), &c));
}

#define SHA256_SET "\"unix:sha256\":[\"" CALLER_SHA256 "\"]"

static void defaults_bind_digests_too(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	assert_true(document_gives(SETS("{" SHA256_SET "}"), &c));
	assert_false(document_gives(SETS("{\"unix:sha256\":[\"" OTHER_SHA256 "\"]}"), &c));
	c.conn.image.flags = SVID_IMG_TRACED;
	assert_false(document_gives(SETS("{" SHA256_SET "}"), &c));
	c.conn.image.flags = SVID_IMG_LD_PRELOAD;
	assert_false(document_gives(SETS("{" SHA256_SET "}"), &c));
}

static bool wants(const char *json, const struct caller *c)
{
	struct identity *id = good("n", json);
	struct policy *p = policy_of(&id, 1);
	bool wanted = policy_wants_digest(p, &c->f);

	policy_free(p);
	return wanted;
}

/* A8: nobody is hashed for an identity that he could not have anyway. */
static void digest_is_wanted_only_where_it_decides(void **unused)
{
	AUTO(caller) struct caller c = { 0 };

	(void)unused;
	caller_init(&c);
	c.f.sha256 = slice_of(NULL, 0);
	assert_true(wants(SETS("{" SHA256_SET "}"), &c));
	assert_true(wants(SETS("{\"unix:uid\":[\"0\"]},{\"unix:uid\":[\"1000\"]," SHA256_SET "}"), &c));
	assert_false(wants(SETS("{\"unix:uid\":[\"0\"]," SHA256_SET "}"), &c));
	assert_false(wants("{\"workloadID\":\"a\"," PATH_SET "}", &c));
	c.conn.image.flags = SVID_IMG_TRACED;
	assert_false(wants(SETS("{" SHA256_SET "}"), &c));
	c.f.conn = NULL;
	assert_false(wants(SETS("{" SHA256_SET "}"), &c));
}

static void bpf_tp_waives_the_default_and_says_so(void **unused)
{
	AUTO(caller) struct caller c = { 0 };
	bool waived = false;

	(void)unused;
	caller_init(&c);
	c.f.tier = TIER_BPF_TP;
	c.conn.flags = SVID_CONN_VALID;
	assert_true(gets(good("n", "{\"workloadID\":\"a\"," PATH_SET "}"), &c, &waived));
	assert_true(waived);
	assert_true(gets(good("n", "{\"workloadID\":\"a\"," UID_SET "}"), &c, &waived));
	assert_false(waived);
	assert_false(gets(good("n", "{\"workloadID\":\"a\"," PATH_SET ",\"require\":[\"not-traced\"]}"), &c, &waived));
	assert_false(waived);
}

static void the_default_identity_is_the_highest_then_the_first_name(void **unused)
{
	struct identity *ids[] = {
		good("z", "{\"workloadID\":\"z\"," UID_SET "}"),
		good("b", "{\"workloadID\":\"b\"," UID_SET ",\"priority\":5}"),
		good("no", "{\"workloadID\":\"no\",\"selectors\":[{\"unix:uid\":[\"5\"]}],\"priority\":9}"),
		good("a", "{\"workloadID\":\"a\"," UID_SET "}"),
		good("c", "{\"workloadID\":\"c\"," UID_SET ",\"priority\":-5}"),
	};
	static const char *const order[] = { "b", "a", "z", "c" };
	struct policy *p = policy_of(ids, ARRAY_SIZE(ids));
	AUTO(caller) struct caller c = { 0 };
	struct match m;
	size_t stale;

	(void)unused;
	caller_init(&c);
	assert_null(ids[0]);
	policy_match(p, &c.f, &m, NULL);
	assert_int_equal(m.n, ARRAY_SIZE(order));
	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		assert_string_equal(m.ids[i]->name, order[i]);
	assert_int_equal(policy_count(p, &stale), 5);
	assert_int_equal(stale, 0);
	assert_string_equal(policy_at(p, 0)->name, "no");
	assert_null(policy_at(p, 5));
	assert_string_equal(policy_by_spiffe_id(p, slice_str("spiffe://example.org/c"))->name, "c");
	assert_null(policy_by_spiffe_id(p, slice_str("spiffe://example.org/d")));
	policy_free(p);
}

static void more_matches_than_a_set_holds_keep_the_first(void **unused)
{
	struct identity *ids[LIM_SET_IDENTITIES + 5];
	AUTO(caller) struct caller c = { 0 };
	struct policy *p;
	struct match m;

	(void)unused;
	caller_init(&c);
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		char name[8], json[128];

		snprintf(name, sizeof(name), "n%03zu", i);
		snprintf(json, sizeof(json), "{\"workloadID\":\"w%zu\"," UID_SET "}", i);
		ids[i] = good(name, json);
	}
	p = policy_of(ids, ARRAY_SIZE(ids));
	policy_match(p, &c.f, &m, NULL);
	assert_int_equal(m.n, LIM_SET_IDENTITIES);
	assert_string_equal(m.ids[0]->name, "n000");
	policy_free(p);
}

static void a_caller_without_record_gets_nothing(void **unused)
{
	struct identity *id = good("n", "{\"workloadID\":\"a\"," UID_SET "}");
	struct policy *p = policy_of(&id, 1);
	struct facts f = { .tier = TIER_BPF_LSM };
	struct match m = { .n = 9 };

	(void)unused;
	policy_match(p, &f, &m, NULL);
	assert_int_equal(m.n, 0);
	policy_free(p);
}

static const char *at(json_t *root, const char *key)
{
	return json_string_value(json_object_get(root, key));
}

static void explain_says_what_was_wanted_and_found(void **unused)
{
	struct identity *id =
		good("n", "{\"workloadID\":\"a\",\"selectors\":[{\"unix:uid\":[\"1\",\"2\"],\"unix:path\":[\"/usr/bin/app\"]}]}");
	AUTO(buf) struct buf out = BUF_INIT(10000);
	struct policy *p = policy_of(&id, 1);
	AUTO(caller) struct caller c = { 0 };
	json_t *root, *doc, *sel, *rules;
	struct match m;

	(void)unused;
	caller_init(&c);
	c.f.path = slice_str("/usr/\n\"\xff");
	c.conn.image.flags = SVID_IMG_LD_PRELOAD;
	policy_match(p, &c.f, &m, &out);
	assert_int_equal(m.n, 0);
	root = json_loadb((char *)out.data, out.len, 0, NULL);
	assert_true(json_is_array(root));
	doc = json_array_get(root, 0);
	assert_string_equal(at(doc, "name"), "n");
	assert_true(json_is_false(json_object_get(doc, "matched")));
	sel = json_object_get(json_array_get(json_object_get(doc, "sets"), 0), "selectors");
	assert_int_equal(json_array_size(sel), 2);
	assert_string_equal(at(json_array_get(sel, 0), "key"), "unix:uid");
	assert_string_equal(at(json_array_get(sel, 0), "found"), "1000");
	assert_string_equal(at(json_array_get(sel, 0), "why"), "different");
	assert_int_equal(json_array_size(json_object_get(json_array_get(sel, 0), "wanted")), 2);
	assert_string_equal(at(json_array_get(sel, 1), "found"), "/usr/\n\"\xef\xbf\xbd");
	rules = json_object_get(doc, "require");
	assert_int_equal(json_array_size(rules), 2);
	assert_string_equal(at(json_array_get(rules, 1), "rule"), "no-preload");
	assert_true(json_is_false(json_object_get(json_array_get(rules, 1), "ok")));
	json_decref(root);
	policy_free(p);
}

static void explaining_decides_the_same(void **unused)
{
	struct identity *ids[] = {
		good("a", "{\"workloadID\":\"a\"," PATH_SET "}"),
		good("b", "{\"workloadID\":\"b\",\"selectors\":[{\"unix:uid\":[\"5\"]},{\"unix:uid\":[\"1000\"]}]}"),
		good("c", "{\"workloadID\":\"c\",\"selectors\":[{\"unix:uid\":[\"5\"]}]}"),
	};
	struct policy *p = policy_of(ids, 3);

	(void)unused;
	for (unsigned int bit = 0; bit < 19; bit++) {
		AUTO(buf) struct buf out = BUF_INIT(10000);
		AUTO(caller) struct caller c = { 0 };
		struct match m, with;

		caller_init(&c);
		c.conn.image.flags = 1u << bit;
		policy_match(p, &c.f, &m, NULL);
		policy_match(p, &c.f, &with, &out);
		assert_int_equal(m.n, with.n);
		assert_int_equal(buf_ok(&out), 0);
		for (size_t i = 0; i < m.n; i++)
			assert_ptr_equal(m.ids[i], with.ids[i]);
	}
	policy_free(p);
}

/* What the compiler checked is checked again: it reads YAML and may be wrong. */
static void jwt_settings_of_a_wrong_form_are_broken(void **unused)
{
	static const char *const bad[] = {
		"{\"ttl\":0}", "{\"ttl\":86401}", "{\"alg\":\"HS256\"}", "{\"alg\":\"none\"}", "{\"alg\":\"RS384\"}",
		"{\"audiences\":[\"\"]}", "{\"audiences\":\"a\"}", "{\"audiences\":[1]}",
	};
	struct identity *id = NULL;
	char json[200];

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(json, sizeof(json), "{\"workloadID\":\"x\"," UID_SET ",\"svid\":{\"jwt\":%s}}", bad[i]);
		if (build("x", json, &id) != -ERR_FORMAT)
			fail_msg("%s", bad[i]);
	}
	id = good("x", "{\"workloadID\":\"x\"," UID_SET ",\"svid\":{\"jwt\":{\"alg\":\"ES256\",\"audiences\":[\"a\"]}}}");
	assert_int_equal(id->jwt_alg, JWT_ES256);
	assert_int_equal(id->jwt_ttl, 300);
	assert_int_equal(id->n_jwt_audiences, 1);
	identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jwt_settings_of_a_wrong_form_are_broken),
		cmocka_unit_test(broken_forms_condemn_the_compiler),
		cmocka_unit_test(ids_that_cannot_be_ours_are_refused),
		cmocka_unit_test(a_document_becomes_an_identity),
		cmocka_unit_test(defaults_come_from_the_agent),
		cmocka_unit_test(scope_is_by_group),
		cmocka_unit_test(keys_of_a_map_must_all_match_and_any_map_is_enough),
		cmocka_unit_test(defaults_bind_path_and_argv_only),
		cmocka_unit_test(defaults_bind_digests_too),
		cmocka_unit_test(digest_is_wanted_only_where_it_decides),
		cmocka_unit_test(bpf_tp_waives_the_default_and_says_so),
		cmocka_unit_test(the_default_identity_is_the_highest_then_the_first_name),
		cmocka_unit_test(more_matches_than_a_set_holds_keep_the_first),
		cmocka_unit_test(a_caller_without_record_gets_nothing),
		cmocka_unit_test(explain_says_what_was_wanted_and_found),
		cmocka_unit_test(explaining_decides_the_same),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
