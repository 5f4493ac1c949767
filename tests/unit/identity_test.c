/* SPDX-License-Identifier: Apache-2.0 */
/* identity_test.c - SVIDs from the first holder to the last, with this test as svid-keys.
 * links: tests/lib/identity_rig.c agent/core/identity.c agent/core/authority.c agent/core/audit.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/identity_rig.h"

static void an_identity_is_issued_for_its_first_holder_only(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_int_equal(entry_err(), -ERR_NOT_READY);
	say_issued(asked(), 5, 0);
	assert_int_equal(generation(), 5);
	assert_int_equal(changes, 1);
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_true(nothing_said());
}

static void the_last_holder_ends_it(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 5, 0);
	identity_drop(ids, doc.number);
	assert_true(nothing_said());
	assert_int_equal(generation(), 5);
	identity_drop(ids, doc.number);
	next(MSG_KY_FORGET);
	assert_int_equal(entry_err(), -ERR_NOT_FOUND);
}

/* svid-keys has forgotten the key of the first answer by the time it comes. */
static void an_answer_for_holders_that_left_is_not_given_to_the_next(void **state)
{
	uint32_t first, second;

	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	first = asked();
	identity_drop(ids, doc.number);
	next(MSG_KY_FORGET);
	assert_int_equal(identity_hold(ids, &doc), 0);
	second = asked();
	say_issued(first, 1, 0);
	assert_int_equal(generation(), 0);
	say_issued(second, 2, 0);
	assert_int_equal(generation(), 2);
	assert_int_equal(killed, 0);
}

static void before_the_authority_is_there_nothing_is_asked(void **state)
{
	(void)state;
	assert_int_equal(identity_hold(ids, &doc), 0);
	make_ready();
	say_issued(asked(), 3, 0);
	assert_int_equal(generation(), 3);
}

static void a_failure_is_named_and_tried_again(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 0, -ERR_CRYPTO);
	assert_int_equal(entry_err(), -ERR_CRYPTO);
	say_issued(asked(), 4, 0);
	assert_int_equal(generation(), 4);
}

static void without_its_audit_record_nobody_gets_an_svid(void **state)
{
	(void)state;
	make_ready();
	close(audit.fd);
	audit.fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 4, 0);
	assert_int_equal(entry_err(), -ERR_AUDIT);
	close(audit.fd);
	audit.fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	say_issued(asked(), 5, 0);
	assert_int_equal(generation(), 5);
}

static void lost_keys_are_made_again(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 5, 0);
	new_keys();
	assert_int_equal(generation(), 0); /* not for a new front: its key is gone */
	next(MSG_KY_LOAD);
	say_loaded(0);
	say_issued(asked(), 6, 0);
	assert_int_equal(generation(), 6);
}

static void keys_that_answer_what_was_not_asked_are_killed(void **state)
{
	(void)state;
	make_ready();
	say_issued(1, 5, 0);
	assert_int_equal(killed, 1);
	assert_int_equal(authority_err(auth), -ERR_NOT_READY);
}

static void an_empty_chain_is_not_an_svid(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_int_equal(ipc_put(keys, KY_ISSUED, asked(), .identity = doc.number, .generation = 1, .not_after = 9), 0);
	assert_int_equal(loop_once(loop, 100), 0);
	assert_int_equal(killed, 1);
	assert_int_equal(generation(), 0);
}

/* ---- WIT-SVIDs beside X.509-SVIDs ---- */

static uint32_t asked_kind(enum svid_kind kind)
{
	struct chan_msg m = next(MSG_KY_ISSUE);
	struct msg_KY_ISSUE ask;

	assert_int_equal(msg_get_KY_ISSUE(m.body, &ask), 0);
	assert_int_equal(ask.kind, kind);
	if (kind == SVID_WIT)
		assert_int_equal(ask.dns_names.len, 0);
	return m.id;
}

static void say_kind(enum svid_kind kind, uint32_t id, uint64_t generation_, int err)
{
	int64_t now = clock_wall_s();

	assert_int_equal(ipc_put(keys, KY_ISSUED, id, .identity = doc.number, .kind = kind, .err = err,
				 .generation = generation_, .not_before = now - 30, .not_after = now + 3600,
				 .serial = slice_str("s"), .chain = slice_str(kind == SVID_WIT ? "token" : "chain")), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

static void a_wit_svid_lives_as_the_other_does(void **state)
{
	struct set_entry e;
	uint32_t x509, wit;

	(void)state;
	config.wit = true;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	x509 = asked_kind(SVID_X509);
	wit = asked_kind(SVID_WIT);
	say_kind(SVID_X509, x509, 5, 0);
	assert_int_equal(entry_err(), -ERR_NOT_READY); /* whole state: both or none */
	say_kind(SVID_WIT, wit, 9, 0);
	assert_int_equal(identity_entry(ids, doc.number, &e), 0);
	assert_int_equal(e.generation, 5);
	assert_int_equal(e.wit_generation, 9);
	assert_true(slice_eq_str(e.wit, "token") && slice_eq_str(e.chain, "chain"));
	new_keys(); /* both are lost, both come again */
	next(MSG_KY_LOAD);
	say_loaded(0);
	x509 = asked_kind(SVID_X509);
	say_kind(SVID_WIT, asked_kind(SVID_WIT), 10, 0);
	say_kind(SVID_X509, x509, 6, 0);
	assert_int_equal(generation(), 6);
}

static void an_answer_of_one_kind_is_not_taken_for_the_other(void **state)
{
	uint32_t x509, wit;

	(void)state;
	config.wit = true;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	x509 = asked_kind(SVID_X509);
	wit = asked_kind(SVID_WIT);
	say_kind(SVID_X509, wit, 5, 0);
	say_kind(SVID_WIT, x509, 6, 0);
	assert_int_equal(entry_err(), -ERR_NOT_READY);
	assert_int_equal(killed, 0);
}

static void a_kind_that_does_not_exist_is_a_breach(void **state)
{
	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_kind(SVID_KINDS, asked(), 5, 0);
	assert_int_equal(killed, 1);
}

/* A front keeps tokens: it must hear that they are not to be given again. */
static void other_rules_for_jwt_svids_are_told(void **state)
{
	static char *listed[] = { (char *)"a" };
	struct identity *other = calloc(1, sizeof(*other)), *docs[] = { other };
	struct policy *p = NULL;
	struct set_entry e;
	uint32_t rules;

	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 5, 0);
	assert_int_equal(identity_entry(ids, doc.number, &e), 0);
	rules = e.jwt_rules;
	*other = doc;
	other->name = other->spiffe_id = other->hint = NULL; /* the policy frees it */
	assert_int_equal(policy_new(docs, 1, &p), 0);
	changes = 0;
	assert_int_equal(identities_apply(ids, p, 0), 0);
	assert_int_equal(changes, 0);
	other->jwt_audiences = listed;
	other->n_jwt_audiences = 1;
	assert_int_equal(identities_apply(ids, p, 0), 0);
	assert_int_equal(changes, 1);
	assert_int_equal(identity_entry(ids, doc.number, &e), 0);
	assert_int_not_equal(e.jwt_rules, rules);
	assert_true(nothing_said()); /* the SVID itself stays */
	other->jwt_audiences = NULL;
	other->n_jwt_audiences = 0;
	policy_free(p);
}

static void what_is_shown_has_a_serial_of_its_own(void **state)
{
	uint64_t first;

	(void)state;
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 5, 0);
	first = identity_serial(ids, doc.number);
	assert_int_not_equal(first, 0);
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_int_equal(identity_serial(ids, doc.number), first);
	assert_int_equal(identity_serial(ids, doc.number + 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_identity_is_issued_for_its_first_holder_only),
		T(the_last_holder_ends_it),
		T(an_answer_for_holders_that_left_is_not_given_to_the_next),
		T(before_the_authority_is_there_nothing_is_asked),
		T(a_failure_is_named_and_tried_again),
		T(without_its_audit_record_nobody_gets_an_svid),
		T(lost_keys_are_made_again),
		T(keys_that_answer_what_was_not_asked_are_killed),
		T(an_empty_chain_is_not_an_svid),
		T(a_wit_svid_lives_as_the_other_does),
		T(an_answer_of_one_kind_is_not_taken_for_the_other),
		T(a_kind_that_does_not_exist_is_a_breach),
		T(other_rules_for_jwt_svids_are_told),
		T(what_is_shown_has_a_serial_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
