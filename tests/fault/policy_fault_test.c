// SPDX-License-Identifier: Apache-2.0
/* policy_fault_test.c - a generation of documents with the nth allocation failing, for every n.
 * links: agent/core/docs.c agent/core/docs_apply.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/docs_rows.c agent/core/docs_settings.c agent/core/docs_save.c agent/core/sorter.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <jansson.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/docs.h"
#include "agent/ipc/msg.h"
#include "tests/unit/policy_facts.h"

#define FILE_NAME "svid.yaml"

#define BODY(NAME, b, ...)                              \
	do {                                            \
		struct msg_##NAME m_ = { __VA_ARGS__ }; \
		msg_put_##NAME(b, &m_);                 \
	} while (0)

/* Messages are made before anything may fail: they come from another process. */
struct script {
	struct buf bodies[8];
	uint16_t types[8];
	size_t n;
};

static struct buf *add(struct script *s, uint16_t type)
{
	s->types[s->n] = type;
	s->bodies[s->n] = (struct buf)BUF_INIT(1 << 20);
	return &s->bodies[s->n++];
}

static void script_init(struct script *s, const char *id)
{
	AUTO(buf) struct buf json = BUF_INIT(1000);

	s->n = 0;
	buf_printf(&json,
		   "{\"workloadID\":\"%s\",\"hint\":\"h\",\"selectors\":[{\"unix:uid\":[\"1000\",\"2\"],\"unix:path\":"
		   "[\"glob:/usr/**\"]}],\"svid\":{\"x509\":{\"dnsNames\":[\"a.b\"]}},\"federatesWith\":[\"f\"],"
		   "\"sds\":{\"peers\":[\"spiffe://f/a\"]},"
		   "\"require\":[\"clean-env\"],\"scope\":{\"agentGroup\":{\"id\":\"g\"}}}",
		   id);
	BODY(PC_FILE, add(s, MSG_PC_FILE), .file = slice_str(FILE_NAME), .parsed = 1);
	BODY(PC_DOC, add(s, MSG_PC_DOC), .file = slice_str(FILE_NAME), .kind = slice_str("Agent"),
	     .name = slice_str("agent"), .json = slice_str("{\"trustDomain\":\"td\",\"agentGroups\":[\"g\",\"h\"]}"));
	BODY(PC_DOC, add(s, MSG_PC_DOC), .file = slice_str(FILE_NAME), .kind = slice_str("WorkloadIdentity"),
	     .name = slice_str("n"), .json = buf_slice(&json));
	buf_reset(&json);
	buf_printf(&json, "{\"workloadID\":\"%s\",\"credentialSource\":\"s\",\"helpers\":[\"/bin/cat\"]}", id);
	BODY(PC_DOC, add(s, MSG_PC_DOC), .file = slice_str(FILE_NAME), .kind = slice_str("WorkloadCredential"),
	     .name = slice_str("c"), .json = buf_slice(&json));
	BODY(PC_DOC, add(s, MSG_PC_DOC), .file = slice_str(FILE_NAME), .kind = slice_str("CredentialSource"),
	     .name = slice_str("s"), .json = slice_str("{\"aws\":{\"audience\":\"a\",\"tags\":{\"x\":\"y\"}}}"));
	BODY(PC_ERROR, add(s, MSG_PC_ERROR), .file = slice_str(FILE_NAME), .kind = slice_str("WorkloadIdentity"),
	     .name = slice_str("m"), .text = slice_str("wrong"));
	BODY(PC_DONE, add(s, MSG_PC_DONE), .documents = 4, .errors = 1);
}

static void script_done(struct script *s)
{
	for (size_t i = 0; i < s->n; i++)
		buf_done(&s->bodies[i]);
}

static int all_turns(struct docs *d, bool *ret_changed)
{
	int err = 0;

	while (!err && (docs_busy(d) || docs_untidy(d))) {
		struct budget b = BUDGET_INIT(64); /* many turns */

		err = docs_step(d, &b, ret_changed);
		docs_tidy(d, &b);
	}
	return err;
}

static int play(struct docs *d, const struct script *s)
{
	bool changed = false;
	int err = 0;

	docs_begin(d);
	for (size_t i = 0; i < s->n && !err; i++)
		err = docs_message(d, s->types[i], buf_slice(&s->bodies[i]));
	return err ? err : all_turns(d, &changed);
}

static void a_generation_comes_whole_or_not_at_all(void **unused)
{
	struct script first, second;
	long n;

	(void)unused;
	script_init(&first, "one");
	script_init(&second, "two");
	for (n = 0;; n++) {
		struct docs *d = NULL;
		int err, hit;

		assert_int_equal(docs_new(NULL, &d), 0);
		assert_int_equal(play(d, &first), 0);
		mem_fail_after(n);
		err = play(d, &second);
		hit = mem_fail_after(-1);
		assert_true(err == 0 || (hit && err == -ENOMEM));
		assert_int_equal(docs_generation(d), err ? 1 : 2);
		assert_non_null(policy_by_spiffe_id(docs_policy(d), slice_str(err ? "spiffe://td/one" : "spiffe://td/two")));
		/* And the next run is good again. */
		assert_int_equal(play(d, &second), 0);
		assert_non_null(policy_by_spiffe_id(docs_policy(d), slice_str("spiffe://td/two")));
		docs_free(d);
		if (!hit)
			break;
	}
	assert_true(n > 50);
	script_done(&first);
	script_done(&second);
}

static void beginning_fails_cleanly(void **unused)
{
	(void)unused;
	for (long n = 0;; n++) {
		struct docs *d = NULL;
		int err, hit;

		mem_fail_after(n);
		err = docs_new(NULL, &d);
		hit = mem_fail_after(-1);
		assert_int_equal(err, hit ? -ENOMEM : 0);
		assert_int_equal(!d, hit);
		docs_free(d);
		if (!hit)
			break;
	}
}

static void the_end_of_the_compiler_fails_cleanly(void **unused)
{
	struct script s;

	(void)unused;
	script_init(&s, "one");
	for (long n = 0;; n++) {
		struct docs *d = NULL;
		bool changed = false;
		int err, hit;

		assert_int_equal(docs_new(NULL, &d), 0);
		assert_int_equal(play(d, &s), 0);
		docs_begin(d);
		mem_fail_after(n);
		docs_end(d, "killed");
		err = all_turns(d, &changed);
		hit = mem_fail_after(-1);
		assert_true(err == 0 || hit);
		assert_int_equal(changed, !err);
		docs_free(d);
		if (!hit)
			break;
	}
	script_done(&s);
}

static void matching_decides_the_same_without_memory_to_explain(void **unused)
{
	AUTO(caller) struct caller c = { 0 };
	struct docs *d = NULL;
	struct script s;

	(void)unused;
	caller_init(&c);
	script_init(&s, "one");
	assert_int_equal(docs_new(NULL, &d), 0);
	assert_int_equal(play(d, &s), 0);
	for (long n = 0;; n++) {
		AUTO(buf) struct buf out = BUF_INIT(100000);
		struct match m;
		int hit;

		mem_fail_after(n);
		policy_match(docs_policy(d), &c.f, &m, &out);
		hit = mem_fail_after(-1);
		assert_int_equal(m.n, 1);
		if (!hit)
			break;
	}
	docs_free(d);
	script_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_generation_comes_whole_or_not_at_all),
		cmocka_unit_test(beginning_fails_cleanly),
		cmocka_unit_test(the_end_of_the_compiler_fails_cleanly),
		cmocka_unit_test(matching_decides_the_same_without_memory_to_explain),
	};

	log_init("test", LOG_ERROR);
	return cmocka_run_group_tests_name("policy_fault", tests, NULL, NULL);
}
