/* SPDX-License-Identifier: Apache-2.0 */
/* facts_test.c - what a workload put into its evidence comes out as bounded, valid JSON.
 * links: agent/core/facts.c agent/core/whoami.c agent/core/json.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <jansson.h>

#include "agent/base/err.h"
#include "agent/core/whoami.h"
#include "agent/ipc/lists.h"

static struct svid_conn conn;
static struct facts facts;

/* Every byte that a workload chooses is a nasty one. */
static int setup(void **state)
{
	(void)state;
	memset(&conn, 0, sizeof(conn));
	memset(conn.comm, '"', sizeof(conn.comm));
	memset(conn.image.argv, 0xff, sizeof(conn.image.argv));
	conn.image.argv[3] = 0;
	conn.image.argv[4] = '\n';
	conn.image.argv_len = conn.image.argv_total = sizeof(conn.image.argv);
	memset(conn.image.filename, '\\', sizeof(conn.image.filename));
	conn.image.filename_len = sizeof(conn.image.filename);
	memset(conn.image.interp, 1, sizeof(conn.image.interp));
	conn.image.interp_len = sizeof(conn.image.interp);
	conn.image.n_ancestors = SVID_ANCESTORS;
	memset(conn.image.ancestors, '"', sizeof(conn.image.ancestors));
	conn.image.flags = UINT32_MAX;
	conn.creds.flags = UINT32_MAX;
	conn.creds.ngroups = 1000; /* more than are kept */
	memset(conn.creds.label, '<', sizeof(conn.creds.label));
	conn.creds.label_len = 4000;
	conn.image.exe.ino = UINT64_MAX; /* a FUSE file system may say so */
	facts = (struct facts){ .conn = &conn, .tier = TIER_BPF_LSM, .path = slice_of("/a\n\"b", 5),
				.names_err = -ERR_DEADLINE, .cgroup = slice_str("/x\x01.service"),
				.unit = slice_str("x\x01.service") };
	return 0;
}

static json_t *parse(struct buf *b)
{
	json_t *root = json_loads(buf_cstr(b), 0, NULL);

	assert_non_null(root);
	return root;
}

static const char *text_at(const json_t *root, const char *object, const char *key)
{
	return json_string_value(json_object_get(json_object_get(root, object), key));
}

static void hostile_evidence_is_valid_json(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 16);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	whoami_make(&b, &facts, &m, slice_str("[]"));
	root = parse(&b);
	assert_string_equal(text_at(root, "path", "value"), "/a\n\"b");
	assert_int_equal(json_array_size(json_object_get(json_object_get(root, "process"), "argv")), 2);
	assert_int_equal(json_array_size(json_object_get(json_object_get(root, "credentials"), "groups")), SVID_GROUPS_MAX);
	assert_int_equal(json_array_size(json_object_get(root, "ancestors")), SVID_ANCESTORS);
	assert_string_equal(text_at(root, "executable", "inode"), "18446744073709551615");
	json_decref(root);
}

static void a_fact_that_is_not_known_says_why(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 16);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	facts.path_err = -ENOENT;
	whoami_make(&b, &facts, &m, slice_str("[]"));
	root = parse(&b);
	assert_string_equal(text_at(root, "user", "unknown"), err_text(-ERR_DEADLINE));
	assert_null(text_at(root, "user", "value"));
	assert_string_equal(text_at(root, "path", "unknown"), err_text(-ENOENT));
	json_decref(root);
}

static void a_digest_is_there_or_why_it_is_not(void **state)
{
	static const char hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	struct match m = { .n = 0 };

	(void)state;
	for (int i = 0; i < 3; i++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 16);
		json_t *root;

		facts.sha256 = slice_str(i ? hex : "");
		facts.sha256_why = i == 2 ? "no time" : NULL;
		whoami_make(&b, &facts, &m, slice_str("[]"));
		root = parse(&b);
		assert_int_equal(!json_object_get(root, "sha256"), i == 0); /* nobody asked */
		if (i == 1)
			assert_string_equal(text_at(root, "sha256", "value"), hex);
		if (i == 2)
			assert_string_equal(text_at(root, "sha256", "unknown"), "no time");
		json_decref(root);
	}
}

/* A24 */
static void audit_names_each_source_that_failed(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(8192);
	AUTO(buf) struct buf whole = BUF_INIT(8192);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	facts.path_err = -ERR_CLOSED;
	facts.cgroup_err = -ENOENT;
	facts.sha256_why = "hashing took too long";
	whoami_make_audit(&b, &facts, &m);
	buf_put_u8(&whole, '{');
	buf_put_slice(&whole, buf_slice(&b));
	buf_put_u8(&whole, '}');
	root = parse(&whole);
	assert_string_equal(json_string_value(json_object_get(root, "path_unknown")), "ERR_CLOSED");
	assert_string_equal(json_string_value(json_object_get(root, "names_unknown")), "ERR_DEADLINE");
	assert_string_equal(json_string_value(json_object_get(root, "cgroup_unknown")), "ENOENT");
	assert_string_equal(json_string_value(json_object_get(root, "sha256_unknown")), "hashing took too long");
	json_decref(root);
}

static void lengths_beyond_the_record_are_not_followed(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 16);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	conn.image.argv_len = conn.image.filename_len = conn.image.interp_len = UINT32_MAX;
	conn.image.n_ancestors = UINT32_MAX;
	whoami_make(&b, &facts, &m, slice_str("[]"));
	root = parse(&b);
	json_decref(root);
}

static void an_explanation_that_does_not_fit_is_left_out(void **state)
{
	static char explain[LIM_WHOAMI];
	AUTO(buf) struct buf b = BUF_INIT(LIM_WHOAMI);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	memset(explain, ' ', sizeof(explain));
	explain[0] = '[';
	explain[sizeof(explain) - 1] = ']';
	conn.image.argv_len = 8;
	whoami_make(&b, &facts, &m, slice_of(explain, sizeof(explain)));
	root = parse(&b);
	assert_null(json_object_get(root, "documents"));
	assert_non_null(json_object_get(root, "documents_left_out"));
	json_decref(root);
}

static void a_document_that_cannot_fit_at_all_is_empty_not_broken(void **state)
{
	AUTO(buf) struct buf b = BUF_INIT(64);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	whoami_make(&b, &facts, &m, slice_str("[]"));
	root = parse(&b);
	assert_int_equal(json_object_size(root), 0);
	json_decref(root);
}

static void the_default_identity_is_the_first(void **state)
{
	struct identity one = { .name = (char *)"one", .spiffe_id = (char *)"spiffe://t/1", .hint = (char *)"" };
	struct identity two = { .name = (char *)"two", .spiffe_id = (char *)"spiffe://t/2", .hint = (char *)"h", .stale = true };
	struct match m = { .ids = { &one, &two }, .n = 2 };
	AUTO(buf) struct buf b = BUF_INIT(1 << 16);
	json_t *root, *ids;

	(void)state;
	whoami_make(&b, &facts, &m, slice_str("[]"));
	root = parse(&b);
	ids = json_object_get(root, "identities");
	assert_string_equal(json_string_value(json_object_get(json_array_get(ids, 0), "spiffe_id")), "spiffe://t/1");
	assert_true(json_is_true(json_object_get(json_array_get(ids, 1), "stale")));
	json_decref(root);
}

static void an_audit_line_is_bounded_and_valid(void **state)
{
	static char path[4096];
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE / 2), whole = BUF_INIT(LIM_AUDIT_LINE);
	struct match m = { .n = 0 };
	json_t *root;

	(void)state;
	memset(path, 1, sizeof(path));
	facts.path = facts.cgroup = slice_of(path, sizeof(path));
	whoami_make_audit(&b, &facts, &m);
	assert_int_equal(buf_ok(&b), 0);
	assert_true(b.len < 8192);
	buf_put_u8(&whole, '{');
	buf_put_slice(&whole, buf_slice(&b));
	buf_put_u8(&whole, '}');
	root = parse(&whole);
	assert_string_equal(json_string_value(json_object_get(root, "decision")), "none");
	json_decref(root);
}

static void a_weak_tier_says_what_it_does_not_enforce(void **state)
{
	static const struct {
		unsigned int tier;
		size_t n;
	} cases[] = { { TIER_BPF_LSM, 0 }, { TIER_BPF_FENTRY, 1 }, { TIER_BPF_TP, 4 }, { TIER_SOCKET, 1 } };
	struct match m = { .n = 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 16);
		json_t *root;

		facts.tier = cases[i].tier;
		whoami_make(&b, &facts, &m, slice_str("[]"));
		root = parse(&b);
		assert_int_equal(json_array_size(json_object_get(root, "not_enforced")), cases[i].n);
		json_decref(root);
	}
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(hostile_evidence_is_valid_json),
		T(a_fact_that_is_not_known_says_why),
		T(a_digest_is_there_or_why_it_is_not),
		T(audit_names_each_source_that_failed),
		T(lengths_beyond_the_record_are_not_followed),
		T(an_explanation_that_does_not_fit_is_left_out),
		T(a_document_that_cannot_fit_at_all_is_empty_not_broken),
		T(the_default_identity_is_the_first),
		T(an_audit_line_is_bounded_and_valid),
		T(a_weak_tier_says_what_it_does_not_enforce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
