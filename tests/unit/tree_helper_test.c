/* links: tests/lib/core_tree.c agent/core/tree.c agent/core/tree_sync.c agent/core/tree_read.c agent/core/tree_audit.c agent/core/tree_helper.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/sorter.c */
/* links: agent/core/nobody.c agent/core/bounds.c agent/core/audit.c agent/core/json.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* tree_helper_test.c - helpers[]: who may read for the process that started it, and what must not count for that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/base/mem.h"
#include "tests/lib/core_tree.h"

#define CERT "svid/cert.pem"
#define CLOUD "s3/aws/credentials"
#define WEB 1 /* numbers of identities */
#define CLOUDY 2
#define WEB_TID 10 /* processes */
#define CLOUDY_TID 11
#define NOBODY_TID 12
#define CAT_TID 20

static const char *const two[] = { "web", "cloudy", NULL };

/* cat, started by the process that has the credential. */
static void cat(void)
{
	rig_backend();
	rig.readers[WEB_TID] = (struct rig_reader){ .exec_id = 5, .path = "/bin/web", .holds = { WEB } };
	rig.readers[CLOUDY_TID] = (struct rig_reader){ .exec_id = 6, .path = "/bin/cloudy", .holds = { CLOUDY } };
	rig.readers[NOBODY_TID] = (struct rig_reader){ .exec_id = 7, .path = "/bin/nobody" };
	rig.readers[CAT_TID] =
		(struct rig_reader){ .exec_id = 8, .path = "/usr/bin/cat", .parent = CLOUDY_TID, .parent_exec = 6 };
	rig_documents(two);
	rig_credential("cloudy", "/bin/cat", "/opt/helper");
	rig_turns();
}

static int read_once(const char *owner, const char *file)
{
	struct rig_read r;

	rig.readers[CAT_TID].exec_id++; /* another cat: each has its record */
	rig_read(&r, CAT_TID, 1000, owner, file);
	rig_wait(&r);
	return r.err;
}

static void a_helper_reads_for_who_started_it(void **state)
{
	(void)state;
	cat();
	assert_int_equal(read_once("cloudy", CLOUD), 0);
	assert_int_equal(rig_audit("\"for\":{\"pid\":11,\"exec_id\":6"), 1);
	assert_int_equal(rig_audit("\"spiffe_id\":\"spiffe://example.org/cloudy\""), 1);
	assert_int_equal(read_once("self", CLOUD), 0);
	assert_int_equal(rig.gets, 2);
}

static void it_reads_that_credential_and_nothing_else(void **state)
{
	(void)state;
	cat();
	assert_int_equal(read_once("cloudy", CERT), -EACCES);
	assert_int_equal(read_once("self", CERT), -EACCES);
	assert_int_equal(read_once("web", CERT), -EACCES);
	rig_credential("cloudy", "/bin/other", NULL);
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_int_equal(read_once("self", CLOUD), -EACCES);
	assert_int_equal(rig.gets, 0);
}

/* The workload has two credentials, and each has a helper of its own. */
static void a_helper_of_one_credential_is_none_of_another(void **state)
{
	static const char *const three[] = { "web", "cloudy", "cloudier", NULL };

	(void)state;
	cat();
	rig.second = "cloudier";
	rig.second_helper = "/opt/second";
	rig_documents(three);
	rig_credential("cloudy", "/opt/first", NULL);
	rig_turns();
	rig.readers[CLOUDY_TID].holds[1] = 3;
	for (size_t i = 0; i < 2; i++) {
		rig.readers[CAT_TID].path = i ? "/opt/second" : "/opt/first";
		assert_int_equal(read_once("cloudy", CLOUD), i ? -EACCES : 0);
		assert_int_equal(read_once("cloudier", CLOUD), i ? 0 : -EACCES);
		assert_int_equal(read_once("self", CLOUD), i ? -EACCES : 0); /* the default identity's */
	}
	assert_true(rig_audit("it is no helper of that credential") >= 1);
}

static void another_identity_of_the_starter_does_not_help(void **state)
{
	(void)state;
	cat();
	rig.readers[CAT_TID].parent = WEB_TID;
	rig.readers[CAT_TID].parent_exec = 5;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_int_equal(read_once("self", CLOUD), -EACCES);
	rig.readers[WEB_TID].holds[1] = CLOUDY; /* it holds both, and self/ is the first */
	assert_int_equal(read_once("cloudy", CLOUD), 0);
	assert_int_equal(read_once("self", CLOUD), -EACCES);
}

static void the_executable_counts_and_not_its_name(void **state)
{
	static const char *const others[] = { "/tmp/bin/cat", "/usr/bin/cat2", "/usr/bin/ca", "/usr", "/usr/local/bin/cat", "cat",
					      "" };

	(void)state;
	cat();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		rig.readers[CAT_TID].path = others[i];
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	}
	rig.readers[CAT_TID].path = NULL;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	rig.readers[CAT_TID].path = "/bin/cat";
	assert_int_equal(read_once("cloudy", CLOUD), 0);
	rig.readers[CAT_TID].path = "/opt/helper";
	assert_int_equal(read_once("cloudy", CLOUD), 0);
	rig.readers[CAT_TID].path = "/usr/opt/helper"; /* only what is in /bin and /sbin has two names */
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
}

static void the_defaults_of_a_path_hold_for_it(void **state)
{
	static const uint32_t bad[] = {
		SVID_IMG_TRACED, SVID_IMG_LD_PRELOAD, SVID_IMG_LD_AUDIT,  SVID_IMG_LD_LIBRARY_PATH, SVID_IMG_ENV_TRUNC,
		SVID_IMG_MEMFD,	 SVID_IMG_DELETED,    SVID_IMG_FS_UNPRIV, SVID_IMG_MNT_USERNS,
	};

	(void)state;
	cat();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		rig.readers[CAT_TID].flags = bad[i];
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	}
	assert_true(rig_audit("LD_PRELOAD, LD_AUDIT or LD_LIBRARY_PATH was set") >= 1);
	rig.core.plan.tier = TIER_SOCKET; /* /proc tells nothing of a fork */
	rig.readers[CAT_TID].flags = 0;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
}

static void who_started_it_must_still_be_what_it_was(void **state)
{
	struct rig_reader *starter = &rig.readers[CLOUDY_TID];

	(void)state;
	cat();
	starter->exec_id++; /* it became that program after the fork */
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	starter->exec_id--;
	rig.readers[CAT_TID].parent_exec = 0; /* from a time that nobody looked at */
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	rig.readers[CAT_TID].parent_exec = 6;
	starter->err = -ESRCH;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	starter->err = -ENOENT;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_int_equal(rig_audit("who started it is gone, or runs another program now"), 3);
	starter->err = 0;
	rig.readers[CAT_TID].parent = 0;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_int_equal(rig.gets, 0);
}

/* tid started what the workload started. */
static void put_between(pid_t tid, pid_t parent, uint64_t parent_exec, const char *path)
{
	rig.readers[tid] = (struct rig_reader){ .exec_id = 7, .path = path, .parent = parent, .parent_exec = parent_exec };
	rig.readers[CAT_TID].parent = tid;
	rig.readers[CAT_TID].parent_exec = 7;
}

static void in_between_may_be_one_other_helper(void **state)
{
	(void)state;
	cat();
	put_between(NOBODY_TID, CLOUDY_TID, 6, "/bin/sh");
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_int_equal(read_once("self", CLOUD), -EACCES);
	rig_credential("cloudy", "/bin/cat", "/bin/sh");
	assert_int_equal(read_once("cloudy", CLOUD), 0);
	assert_int_equal(read_once("self", CLOUD), 0);
	assert_int_equal(rig_audit("\"for\":{\"pid\":11,\"exec_id\":6,\"path\":\"\"},\"through\":{\"pid\":12,\"exec_id\":7"), 2);
	rig.readers[NOBODY_TID].flags = SVID_IMG_LD_PRELOAD;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	rig.readers[NOBODY_TID].flags = 0;
	rig.readers[NOBODY_TID].parent_exec = 5; /* the shell's own starter was something else then */
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	put_between(30, NOBODY_TID, 7, "/bin/sh");
	put_between(NOBODY_TID, CLOUDY_TID, 6, "/bin/sh");
	rig.readers[CAT_TID].parent = 30; /* two of them */
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
}

static void a_fork_of_a_helper_is_none(void **state)
{
	(void)state;
	cat();
	rig.readers[CAT_TID].flags = SVID_IMG_FORKED;
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	put_between(NOBODY_TID, CLOUDY_TID, 6, "/usr/bin/cat");
	assert_int_equal(read_once("cloudy", CLOUD), -EACCES);
	assert_true(rig_audit("it was forked by the helper") >= 2);
}

/* Between the decision and the answer: the content is there, and must not be given. */
static void a_starter_that_changes_meanwhile_ends_it(void **state)
{
	struct rig_read r;

	(void)state;
	cat();
	rig.content_later = true;
	rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
	assert_int_equal(rig.gets, 1);
	rig.readers[CLOUDY_TID].exec_id = 99;
	rig.readers[CLOUDY_TID].holds[0] = 0;
	rig_content();
	rig_wait(&r);
	assert_int_equal(r.err, -EACCES);

	rig.readers[CLOUDY_TID] = (struct rig_reader){ .exec_id = 6, .holds = { CLOUDY } };
	rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
	rig.readers[CLOUDY_TID].change++; /* another thread of it, or its group: looked at once more, and the same */
	rig_content();
	assert_int_equal(r.answers, 0);
	rig_content();
	rig_wait(&r);
	assert_int_equal(r.err, 0);
}

static void decisions_may_take_their_time(void **state)
{
	struct rig_read r;

	(void)state;
	cat();
	rig.decide_later = true;
	rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
	rig_decide(); /* of cat */
	assert_int_equal(rig.last_pid, CLOUDY_TID);
	assert_int_equal(r.answers, 0);
	rig_decide();
	rig_wait(&r);
	assert_int_equal(r.err, 0);
	rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
	rig_decide();
	tree_read_cancel(&r.read); /* killed while its starter is decided */
	rig_decide();
	assert_int_equal(r.answers, 0);
	assert_int_equal(rig.gets, 1);
}

/* svid-attest has no room, or we no memory: it waits its turn, and is not refused for that. */
static void without_room_it_waits(void **state)
{
	static const int errs[] = { -ERR_LIMIT, -ENOMEM };

	(void)state;
	cat();
	for (size_t i = 0; i < ARRAY_SIZE(errs); i++) {
		struct rig_read r;

		rig.decide_later = true;
		rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
		rig.decide_later = false;
		rig.decide_err = errs[i];
		rig.decide_errs = 1; /* the next decision, which is about who started it */
		rig_decide();
		assert_int_equal(r.answers, 0);
		assert_int_equal(rig.decide_errs, 0);
		rig_wait(&r);
		assert_int_equal(r.err, 0);
	}
	assert_int_equal(rig_audit("\"allowed\":false"), 0);
}

static void a_silenced_provider_holds_it(void **state)
{
	struct rig_read r;

	(void)state;
	cat();
	rig.readers[CLOUDY_TID].err = -ERR_EVIDENCE;
	rig_read(&r, CAT_TID, 1000, "cloudy", CLOUD);
	assert_int_equal(rig.canary_failures, 1);
	assert_int_equal(r.answers, 0);
	rig.readers[CLOUDY_TID].err = rig.hold = 0;
	tree_go_on(rig.core.tree);
	rig_wait(&r);
	assert_int_equal(r.err, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_helper_reads_for_who_started_it, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(it_reads_that_credential_and_nothing_else, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_helper_of_one_credential_is_none_of_another, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(another_identity_of_the_starter_does_not_help, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_executable_counts_and_not_its_name, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(the_defaults_of_a_path_hold_for_it, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(who_started_it_must_still_be_what_it_was, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(in_between_may_be_one_other_helper, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_fork_of_a_helper_is_none, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_starter_that_changes_meanwhile_ends_it, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(decisions_may_take_their_time, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(without_room_it_waits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(a_silenced_provider_holds_it, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
