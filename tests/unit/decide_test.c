/* SPDX-License-Identifier: Apache-2.0 */
/* decide_test.c - the life of decisions: who waits for one, who finds one, and that each ends once. All around it is a stand-in.
 * links: agent/core/decide.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "agent/core/core.h"
#include "agent/core/decide.h"
#include "agent/core/whoami.h"

static struct core core;
static uint64_t generation;
static unsigned int asked, told;
static size_t n_matching;
static const struct identity doc = { .number = 3 };
static struct attest_job *job;

/* ---- the stand-ins ---- */

uint64_t docs_generation(const struct docs *d)
{
	(void)d;
	return generation;
}

const struct policy *docs_policy(const struct docs *d)
{
	(void)d;
	return NULL;
}

void policy_match(const struct policy *p, const struct facts *f, struct match *ret_match, struct buf *explain)
{
	(void)p, (void)f, (void)explain;
	*ret_match = (struct match){ .n = n_matching };
	for (size_t i = 0; i < n_matching; i++)
		ret_match->ids[i] = &doc;
}

bool policy_wants_digest(const struct policy *p, const struct facts *f)
{
	(void)p, (void)f;
	return false;
}

const struct identity *policy_by_number(const struct policy *p, uint32_t number)
{
	(void)p, (void)number;
	return NULL;
}

size_t policy_count(const struct policy *p, size_t *ret_stale)
{
	(void)p;
	*ret_stale = 0;
	return 0;
}

void whoami_make(struct buf *out, const struct facts *f, const struct match *m, struct slice explain)
{
	(void)out, (void)f, (void)m, (void)explain;
}

void whoami_make_audit(struct buf *out, const struct facts *f, const struct match *m)
{
	(void)out, (void)f, (void)m;
}

int cgroups_path(struct cgroups *g, pid_t pid, uint64_t id, struct slice *ret_path)
{
	(void)g, (void)pid, (void)id, (void)ret_path;
	return -ENOENT;
}

struct slice cgroup_unit(struct slice path)
{
	return path;
}

bool digest_ask(struct digests *ds, struct digest_want *w, const struct svid_conn *r, pid_t pid, bool compare)
{
	(void)ds, (void)w, (void)r, (void)pid, (void)compare;
	return false;
}

void digest_cancel(struct digest_want *w)
{
	(void)w;
}

const char *digest_doubt(const struct svid_conn *r)
{
	(void)r;
	return NULL;
}

const char *digest_why(int err)
{
	(void)err;
	return "";
}

void attest_about(struct attest_job *j, const struct svid_conn *r, pid_t pid, bool compare)
{
	(void)j, (void)r, (void)compare;
	assert_true(pid > 0); /* svid-attest calls anything else malformed, and ends */
}

int attest_ask(struct attest *a, struct attest_job *j)
{
	(void)a;
	asked++;
	job = j;
	return 0;
}

void attest_cancel(struct attest_job *j)
{
	(void)j;
}

void attest_take_proc(struct svid_image *img, const struct msg_A_IDENTITY *m)
{
	(void)img, (void)m;
}

/* ---- the tests ---- */

static void decided(struct asker *a)
{
	(void)a;
	told++;
}

static const struct asker_ops ops = { .decided = decided };

static void answer(void)
{
	struct msg_A_IDENTITY identity = { .path = slice_str("/bin/app"), .user = slice_str("u"), .group = slice_str("g") };
	struct attest_answer a = { .identity = &identity };

	job->done(job, &a, 0);
}

static void ask(struct asker *a, uint32_t tgid, pid_t pid)
{
	struct svid_conn record = { .image.key = { .tgid = tgid, .start = 7 }, .image.exec_id = tgid };

	*a = (struct asker){ .ops = &ops };
	assert_int_equal(decide(&core, a, &record, pid), 0);
}

static void documents_change(void)
{
	struct budget b = BUDGET_INIT(1u << 20);

	generation++;
	decisions_outdated(&core);
	assert_true(decisions_step(&core, &b));
}

static int setup(void **state)
{
	(void)state;
	core = (struct core){ .plan.tier = TIER_BPF_LSM };
	decisions_init(&core.decisions);
	generation = 1;
	asked = told = 0;
	n_matching = 1;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	decisions_done(&core.decisions);
	assert_int_equal(core.decisions.n, 0);
	return 0;
}

static void who_comes_again_is_not_asked_about(void **state)
{
	struct asker first, second;

	(void)state;
	ask(&first, 10, 10);
	answer();
	decision_leave(&first);
	ask(&second, 10, 10);
	assert_int_equal(asked, 1);
	assert_int_equal(told, 2);
	decision_leave(&second);
	assert_int_equal(core.decisions.n, 1);
}

/* Its user leaves when other documents are in force and it was not yet compared with them: it rests, then is compared. */
static void what_rests_while_documents_change_ends_once(void **state)
{
	struct budget b = BUDGET_INIT(1u << 20);
	struct asker a;

	(void)state;
	ask(&a, 10, 10);
	answer();
	generation++;
	n_matching = 0; /* its document went */
	decisions_outdated(&core);
	decision_leave(&a);
	assert_true(decisions_step(&core, &b));
	assert_int_equal(core.decisions.n, 1);
	documents_change();
	assert_int_equal(core.decisions.n, 0);
}

/* It is in another pid namespace, where svidd sees nothing. */
static void a_caller_without_a_number_is_decided_without_asking(void **state)
{
	struct asker a;

	(void)state;
	ask(&a, 10, 0);
	assert_int_equal(asked, 0);
	assert_int_equal(told, 1);
	assert_int_equal(a.decision->path_err, -ESRCH);
	decision_leave(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_comes_again_is_not_asked_about, setup, teardown),
		cmocka_unit_test_setup_teardown(what_rests_while_documents_change_ends_once, setup, teardown),
		cmocka_unit_test_setup_teardown(a_caller_without_a_number_is_decided_without_asking, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
