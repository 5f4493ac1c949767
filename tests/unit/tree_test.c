/* links: tests/lib/core_tree.c agent/core/tree.c agent/core/tree_sync.c agent/core/tree_read.c agent/core/tree_audit.c agent/core/tree_helper.c agent/core/cloud_docs.c agent/core/cloud_join.c agent/core/sorter.c */
/* links: agent/core/nobody.c agent/core/bounds.c agent/core/audit.c agent/core/json.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
/* SPDX-License-Identifier: Apache-2.0 */
/* tree_test.c - the credential tree: which names there are, and who is given what, with everything around it faked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/core_tree.h"

#define CERT "svid/cert.pem"
#define KEY "svid/key.pem"
#define CLOUD "s3/aws/credentials"
#define WEB 1 /* numbers of identities */
#define CLOUDY 2
#define WEB_TID 10
#define CLOUDY_TID 11
#define NOBODY_TID 12
#define BOTH_TID 13

static const char *const two[] = { "web", "cloudy", NULL };

static void both(void)
{
	rig_backend();
	rig.readers[WEB_TID] = (struct rig_reader){ .exec_id = 5, .holds = { WEB } };
	rig.readers[CLOUDY_TID] = (struct rig_reader){ .exec_id = 6, .holds = { CLOUDY } };
	rig.readers[NOBODY_TID] = (struct rig_reader){ .exec_id = 7 };
	rig.readers[BOTH_TID] = (struct rig_reader){ .exec_id = 8, .holds = { WEB, CLOUDY } };
	rig_documents(two);
	rig_turns();
}

static int read_once(pid_t tid, const char *owner, const char *file)
{
	struct rig_read r;

	rig_read(&r, tid, 1000, owner, file);
	rig_wait(&r);
	return r.err;
}

/* ---- names ---- */

static void names_come_and_go_with_documents(void **state)
{
	static const char *const one[] = { "web", "-", NULL }, *const none[] = { NULL };

	(void)state;
	both();
	assert_int_equal(rig.n_shown, 2 + 3 + 3);
	assert_true(rig_is_shown("web", CERT) && rig_is_shown("cloudy", CLOUD) && rig_is_shown("self", CLOUD));
	assert_false(rig_is_shown("web", CLOUD));
	assert_int_equal(rig.completes, 1);
	rig_documents(one);
	rig_turns();
	assert_int_equal(rig.n_shown, 2 + 2);
	assert_false(rig_is_shown("self", CLOUD) || rig_is_shown("cloudy", CERT));
	assert_true(rig_is_shown("self", KEY));
	rig_documents(none);
	rig_turns();
	assert_int_equal(rig.n_shown, 0);
	assert_null(tree_lookup(rig.core.tree, tree_root(rig.core.tree), slice_str("self")));
	rig_documents(two);
	rig_turns();
	assert_int_equal(rig.n_shown, 8);
	assert_int_equal(rig.completes, 1);
}

static void an_id_is_made_of_the_path(void **state)
{
	uint64_t before;

	(void)state;
	both();
	before = rig_node("web", CERT);
	assert_int_not_equal(before, rig_node("cloudy", CERT));
	assert_int_not_equal(before, rig_node("web", KEY));
	rig_teardown(NULL);
	assert_int_equal(rig_setup(NULL), 0);
	both();
	assert_int_equal(rig_node("web", CERT), before);
	assert_ptr_equal(tree_find(rig.core.tree, before), tree_find(rig.core.tree, rig_node("web", CERT)));
}

/* Another document with the SPIFFE ID of one that is gone is another identity in the same place. */
static void another_identity_takes_the_place_of_one_that_is_gone(void **state)
{
	static const char *const other[] = { "-", "cloudy", "web", NULL };
	const struct tree_node *n;

	(void)state;
	both();
	rig_documents(other);
	rig_turns();
	n = tree_find(rig.core.tree, rig_node("web", CERT));
	assert_int_equal(n->identity, 3);
	assert_int_equal(read_once(WEB_TID, "web", CERT), -EACCES);
	assert_int_equal(rig.n_shown, 8);
}

static void a_name_that_the_backend_did_not_take_is_tried_again(void **state)
{
	struct tree_stats s;

	(void)state;
	rig.add_err = -ENOMEM;
	both();
	tree_get_stats(rig.core.tree, &s);
	assert_int_equal(s.not_shown, 8);
	rig.add_err = 0;
	while (!loop_timer_armed(&rig.core.tree->work))
		assert_int_equal(loop_once(rig.core.loop, 2000), 0);
	rig_turns();
	tree_get_stats(rig.core.tree, &s);
	assert_int_equal(s.not_shown, 0);
	assert_int_equal(rig.n_shown, 8);
}

static void without_a_backend_there_are_no_names(void **state)
{
	struct tree_stats s;

	(void)state;
	rig_documents(two);
	assert_int_equal(rig_turns(), 0);
	tree_get_stats(rig.core.tree, &s);
	assert_int_equal(s.files, 0);
	assert_string_equal(tree_backend_name(rig.core.tree), "none");
}

/* Counted in calls of the kernel in one turn, not in time: how long a turn takes is the machine's. */
static void ten_thousand_identities_do_not_stop_the_loop(void **state)
{
	static char names[10001][16];
	static const char *docs[10001], *const none[] = { NULL };
	unsigned int most = 0;
	struct tree_stats s;

	(void)state;
	rig.count_only = true;
	rig_backend();
	for (size_t i = 0; i < 10000; i++) {
		snprintf(names[i], sizeof(names[i]), "w%zu", i);
		docs[i] = names[i];
	}
	for (int round = 0; round < 2; round++) {
		rig_documents(round ? none : docs);
		while (loop_timer_armed(&rig.core.tree->work)) {
			unsigned int before = rig.adds + rig.dels;

			assert_int_equal(loop_once(rig.core.loop, 0), 0);
			before = rig.adds + rig.dels - before;
			most = before > most ? before : most;
		}
		tree_get_stats(rig.core.tree, &s);
		assert_int_equal(s.files, round ? 0 : 20002);
		assert_true(s.complete);
	}
	assert_int_equal(rig.adds, rig.dels);
	assert_in_range(most, 10, 300);
}

static void identities_beyond_the_limit_have_no_files(void **state)
{
	enum { N = 31000 };
	static char names[N][16];
	static const char *docs[N + 1];
	struct tree_stats s;

	(void)state;
	rig.count_only = true;
	rig_backend();
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof(names[i]), "w%zu", i);
		docs[i] = names[i];
	}
	rig_documents(docs);
	rig_turns();
	tree_get_stats(rig.core.tree, &s);
	assert_true(s.files <= LIM_TREE_ENTRIES && s.files > LIM_TREE_ENTRIES - 100);
	assert_int_equal(s.identities + s.left_out, N);
	assert_true(s.left_out > 900);
}

/* ---- who gets what ---- */

static void a_reader_gets_what_he_holds_and_nothing_else(void **state)
{
	(void)state;
	both();
	assert_int_equal(read_once(WEB_TID, "web", CERT), 0);
	assert_int_equal(read_once(WEB_TID, "cloudy", CERT), -EACCES);
	assert_int_equal(read_once(CLOUDY_TID, "cloudy", CLOUD), 0);
	assert_int_equal(read_once(BOTH_TID, "web", KEY), 0);
	assert_int_equal(read_once(BOTH_TID, "cloudy", KEY), 0);
	assert_int_equal(read_once(NOBODY_TID, "web", CERT), -EACCES);
	assert_int_equal(rig.gets, 4);
	assert_int_equal(rig_audit("\"allowed\":true"), 4);
	assert_int_equal(rig_audit("\"allowed\":false"), 2);
}

static void self_is_the_default_identity(void **state)
{
	(void)state;
	both();
	rig.content_later = true;
	for (size_t i = 0; i < 2; i++) {
		struct rig_read r;

		rig_read(&r, i ? CLOUDY_TID : BOTH_TID, 1000, "self", CERT);
		assert_int_equal(rig.getting->identity, i ? CLOUDY : WEB);
		assert_int_equal(rig.getting->file->identity, i ? CLOUDY : WEB);
		rig_content();
		assert_int_equal(r.err, 0);
	}
	rig.content_later = false;
	assert_int_equal(read_once(BOTH_TID, "self", CLOUD), -ENOENT);
	assert_int_equal(read_once(CLOUDY_TID, "self", CLOUD), 0);
	assert_int_equal(read_once(NOBODY_TID, "self", CERT), -EACCES);
	assert_int_equal(read_once(NOBODY_TID, "self", CLOUD), -EACCES);
}

static void who_is_not_known_gets_nothing(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig.readers[20].err = -ENOENT;
	assert_int_equal(read_once(20, "self", CERT), -EACCES);
	assert_int_equal(rig_audit("\"allowed\":false"), 1);
	rig.readers[21].err = -ESRCH;
	assert_int_equal(read_once(21, "self", CERT), -EAGAIN);
	/* the thread was killed, and another process has its number */
	r = (struct rig_read){ .answers = 0 };
	rig_read(&r, WEB_TID, 1000, "self", CERT);
	assert_int_equal(r.err, 0);
	r.answers = 0;
	r.read.key.start++;
	tree_read(rig.core.tree, &r.read);
	assert_int_equal(r.err, -EAGAIN);
	r.answers = 0;
	r.read.tid = 0; /* another pid namespace */
	tree_read(rig.core.tree, &r.read);
	assert_int_equal(r.err, -EACCES);
	assert_int_equal(rig.gets, 1);
}

static void what_is_not_there_is_not_there(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig_read_node(&r, WEB_TID, 1000, 4711);
	assert_int_equal(r.err, -ENOENT);
	rig_read_node(&r, WEB_TID, 1000, TREE_ROOT);
	assert_int_equal(r.err, -ENOENT);
	assert_int_equal(r.answers, 1);
}

static void the_process_is_named_for_svid_attest(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	assert_int_equal(rig.last_pid, WEB_TID);
	r.read.tgid = 0;
	tree_read(rig.core.tree, &r.read);
	assert_int_equal(rig.last_pid, WEB_TID);
	assert_int_equal(r.read.exec_id, 5);
	assert_true(tree_is_reader(rig.core.tree, WEB_TID, &r.read.key, r.read.exec_id));
	assert_false(tree_is_reader(rig.core.tree, CLOUDY_TID, &r.read.key, r.read.exec_id));
	rig.readers[WEB_TID].exec_id++;
	assert_false(tree_is_reader(rig.core.tree, WEB_TID, &r.read.key, r.read.exec_id));
	tree_stranger(rig.core.tree, rig_node("web", CERT), CLOUDY_TID, 1000);
	assert_int_equal(rig_audit("svid/cert.pem\",\"uid\":1000,\"pid\":"), 1);
}

/* ---- what changes meanwhile ---- */

static void a_process_that_changed_is_decided_anew(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig.content_later = true;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	rig.readers[WEB_TID].change++;
	rig_content();
	assert_int_equal(r.answers, 0);
	assert_int_equal(rig.decisions, 2);
	rig.readers[WEB_TID].flags = SVID_IMG_TRACED;
	rig.readers[WEB_TID].holds[0] = 0; /* not-traced */
	rig_content();
	assert_int_equal(r.err, -EACCES);
	assert_int_equal(r.answers, 1);
}

static void a_process_that_changes_all_the_time_gets_nothing(void **state)
{
	struct rig_read r;
	unsigned int rounds = 0;

	(void)state;
	both();
	rig.content_later = true;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	for (; !r.answers && rounds < 1000; rounds++) {
		rig.readers[WEB_TID].change++;
		rig_content();
	}
	assert_int_equal(r.err, -EAGAIN);
	assert_in_range(rounds, 2, 100);
}

static void documents_that_change_before_the_answer_count(void **state)
{
	static const char *const one[] = { "web", "-", NULL };
	struct rig_read web, cloudy;

	(void)state;
	both();
	rig.content_later = true;
	rig_read(&web, WEB_TID, 1000, "web", CERT);
	rig.readers[WEB_TID].holds[0] = 0;
	rig.generation++;
	rig_content();
	assert_int_equal(web.err, -EACCES);
	/* a document that is gone takes its files with it, and those who wait for them */
	rig_read(&cloudy, CLOUDY_TID, 1000, "cloudy", CERT);
	rig_documents(one);
	rig_turns();
	assert_int_equal(cloudy.answers, 1);
	assert_int_equal(cloudy.err, -ENOENT);
	assert_int_equal(rig.cancels, 1);
	rig.decide_later = true;
	rig.readers[BOTH_TID].holds[0] = WEB;
	rig_read(&web, BOTH_TID, 1000, "self", CERT);
	rig_documents((const char *const[]){ NULL });
	rig_turns();
	assert_int_equal(web.err, -ENOENT);
	rig_decide();
	assert_int_equal(web.answers, 1);
}

static void a_hold_is_waited_for(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig.hold = -ERR_NOT_READY;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	assert_int_equal(rig.decisions, 0);
	rig.hold = 0;
	tree_go_on(rig.core.tree);
	assert_int_equal(r.answers, 1);
	assert_int_equal(r.err, 0);
	/* one that begins while content is made */
	rig.content_later = true;
	rig_read(&r, WEB_TID, 1000, "web", KEY);
	rig.hold = -ERR_EVIDENCE;
	rig_content();
	assert_int_equal(r.answers, 0);
	rig.content_later = false;
	rig.hold = 0;
	tree_go_on(rig.core.tree);
	assert_int_equal(r.err, 0);
	/* evidence that is silenced */
	rig.readers[WEB_TID].err = -ERR_EVIDENCE;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	assert_int_equal(rig.canary_failures, 1);
	assert_int_equal(r.answers, 0);
	/* and for no longer than this */
	rig_wait(&r);
	assert_int_equal(r.err, -EAGAIN);
}

static void before_the_first_names_a_read_waits(void **state)
{
	struct rig_read r, gone;
	uint64_t node;

	(void)state;
	both();
	node = rig_node("web", CERT);
	rig_teardown(NULL);
	assert_int_equal(rig_setup(NULL), 0);
	rig_backend();
	rig.readers[WEB_TID] = (struct rig_reader){ .exec_id = 5, .holds = { WEB } };
	rig_read_node(&r, WEB_TID, 1000, node);
	rig_read_node(&gone, WEB_TID, 1000, 4711);
	assert_int_equal(r.answers + gone.answers, 0);
	rig_documents(two);
	rig_turns();
	assert_int_equal(r.answers, 1);
	assert_int_equal(r.err, 0);
	assert_int_equal(gone.err, -ENOENT);
}

static void facts_that_are_not_to_be_had_now_are_waited_for(void **state)
{
	struct rig_read r;

	(void)state;
	both();
	rig.decide_err = -ERR_LIMIT;
	rig.decide_errs = 3;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	assert_int_equal(r.answers, 0);
	rig_wait(&r);
	assert_int_equal(r.err, 0);
	rig.transient = -ERR_NOT_READY;
	rig_read(&r, NOBODY_TID, 1000, "web", CERT);
	assert_int_equal(r.answers, 0);
	rig_wait(&r);
	assert_int_equal(r.err, -EAGAIN);
}

/* ---- bounds and records ---- */

static void reads_are_bounded_by_uid_and_by_maker(void **state)
{
	static struct rig_read reads[3 * LIM_TREE_READS_UID + 4];
	size_t n = 0;

	(void)state;
	both();
	rig.decide_later = true;
	for (; n < LIM_TREE_READS_UID; n++)
		rig_read(&reads[n], WEB_TID, 1000, "web", CERT);
	rig_read(&reads[n], WEB_TID, 1000, "web", CERT);
	assert_int_equal(reads[n++].err, -EAGAIN);
	rig_read(&reads[n], WEB_TID, 1001, "web", CERT);
	assert_int_equal(reads[n++].answers, 0);
	/* one user with many users of his own */
	rig.readers[30] = (struct rig_reader){ .userns_owner = 77 };
	for (uid_t i = 0; i < LIM_TREE_READS_UID; i++, n++)
		rig_read(&reads[n], 30, 100000 + i, "web", CERT);
	assert_int_equal(reads[n - 1].answers, 0);
	rig_read(&reads[n], 30, 300000, "web", CERT);
	assert_int_equal(reads[n++].err, -EAGAIN);
	rig_decide();
	for (size_t i = 0; i < n; i++)
		assert_int_equal(reads[i].answers, 1);
	assert_int_equal(bounds_count(&rig.core.bounds, BOUND_READ_UID, 1000), 0);
	assert_int_equal(bounds_count(&rig.core.bounds, BOUND_READ_USERNS, 77), 0);
}

static void a_thousand_readers_at_once(void **state)
{
	static struct rig_read reads[LIM_TREE_READS + 1];
	struct tree_stats s;

	(void)state;
	both();
	rig.decide_later = true;
	for (size_t i = 0; i < LIM_TREE_READS; i++)
		rig_read(&reads[i], WEB_TID, 2000 + (uid_t)i / 32, "web", CERT);
	rig_read(&reads[LIM_TREE_READS], WEB_TID, 0, "web", CERT);
	assert_int_equal(reads[LIM_TREE_READS].err, -EAGAIN);
	rig_decide();
	for (size_t i = 0; i < LIM_TREE_READS; i++)
		assert_true(reads[i].answers == 1 && !reads[i].err);
	tree_get_stats(rig.core.tree, &s);
	assert_int_equal(s.waiting, 0);
	assert_int_equal(s.given, LIM_TREE_READS);
	assert_int_equal(s.failed, 1);
	assert_int_equal(rig_audit("\"event\":\"read\""), 1);
}

static void who_gives_up_is_forgotten(void **state)
{
	struct rig_read r;
	struct tree_stats s;

	(void)state;
	both();
	rig.content_later = true;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	tree_read_cancel(&r.read);
	tree_read_cancel(&r.read);
	assert_int_equal(rig.cancels, 1);
	rig.decide_later = true;
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	tree_read_cancel(&r.read);
	rig_decide();
	tree_get_stats(rig.core.tree, &s);
	assert_int_equal(s.waiting, 0);
	assert_int_equal(r.answers, 0);
	assert_int_equal(bounds_count(&rig.core.bounds, BOUND_READ_UID, 1000), 0);
}

static void without_its_record_nothing_is_given(void **state)
{
	struct rig_read r;
	int fd;

	(void)state;
	both();
	fd = dup(rig.core.audit.fd);
	audit_reopen(&rig.core.audit, -1);
	rig_read(&r, WEB_TID, 1000, "web", CERT);
	assert_int_equal(r.answers, 0);
	assert_int_equal(rig.held_audit, -ERR_AUDIT);
	audit_reopen(&rig.core.audit, fd);
	rig.hold = 0;
	tree_go_on(rig.core.tree);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.answers, 1);
	assert_int_equal(rig_audit("\"allowed\":true"), 1);
}

static void flush(struct loop_timer *t)
{
	loop_timer_stop(t);
	t->cb(t);
}

static void the_same_read_again_is_counted(void **state)
{
	(void)state;
	both();
	for (int i = 0; i < 100; i++)
		assert_int_equal(read_once(WEB_TID, "web", CERT), 0);
	assert_int_equal(rig_audit("\"allowed\":true"), 1);
	assert_int_equal(read_once(WEB_TID, "web", KEY), 0);
	rig.readers[WEB_TID].exec_id++;
	assert_int_equal(read_once(WEB_TID, "web", CERT), 0);
	assert_int_equal(rig_audit("\"allowed\":true"), 3);
	flush(&rig.core.tree->audit.flush);
	assert_int_equal(rig_audit("\"times\":99"), 0); /* not yet */
	assert_int_equal(rig.core.tree->audit.only_counted, 99);
}

static void refusals_cannot_fill_the_log(void **state)
{
	(void)state;
	both();
	for (int i = 0; i < 1000; i++) {
		rig.readers[NOBODY_TID].exec_id++;
		assert_int_equal(read_once(NOBODY_TID, i % 2 ? "web" : "self", CERT), -EACCES);
	}
	assert_in_range(rig_audit("\"allowed\":false"), 1, LIM_AUDIT_NOBODY_BURST + 20);
	flush(&rig.core.nobodies.flush);
	assert_int_equal(rig_audit("\"event\":\"repeated\""), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_come_and_go_with_documents),
		TEST(an_id_is_made_of_the_path),
		TEST(another_identity_takes_the_place_of_one_that_is_gone),
		TEST(a_name_that_the_backend_did_not_take_is_tried_again),
		TEST(without_a_backend_there_are_no_names),
		TEST(ten_thousand_identities_do_not_stop_the_loop),
		TEST(identities_beyond_the_limit_have_no_files),
		TEST(a_reader_gets_what_he_holds_and_nothing_else),
		TEST(self_is_the_default_identity),
		TEST(who_is_not_known_gets_nothing),
		TEST(what_is_not_there_is_not_there),
		TEST(the_process_is_named_for_svid_attest),
		TEST(a_process_that_changed_is_decided_anew),
		TEST(a_process_that_changes_all_the_time_gets_nothing),
		TEST(documents_that_change_before_the_answer_count),
		TEST(a_hold_is_waited_for),
		TEST(before_the_first_names_a_read_waits),
		TEST(facts_that_are_not_to_be_had_now_are_waited_for),
		TEST(reads_are_bounded_by_uid_and_by_maker),
		TEST(a_thousand_readers_at_once),
		TEST(who_gives_up_is_forgotten),
		TEST(without_its_record_nothing_is_given),
		TEST(the_same_read_again_is_counted),
		TEST(refusals_cannot_fill_the_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
