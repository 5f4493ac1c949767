/* SPDX-License-Identifier: Apache-2.0 */
/* identity_authority_test.c - what svid-core believes of svid-keys, stores of it and shows of it.
 * links: tests/lib/identity_rig.c agent/core/identity.c agent/core/authority.c agent/core/audit.c agent/core/json.c agent/core/state.c agent/db agent/core/state_docs.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
#include "agent/base/clock.h"
#include "tests/lib/identity_rig.h"

static void sealed_state_is_on_disk_before_it_is_used(void **state)
{
	(void)state;
	make_ready();
	assert_true(stored_before_use);
}

static void a_refusal_of_keys_is_no_new_authority(void **state)
{
	(void)state;
	new_keys();
	authority_configure(auth, &config);
	next(MSG_KY_LOAD);
	say_loaded(-ERR_SEALED);
	assert_int_equal(authority_err(auth), -ERR_SEALED);
	authority_configure(auth, &config);
	assert_true(nothing_said());
}

static void a_new_authority_may_be_made_only_where_none_was_stored(void **state)
{
	struct msg_KY_LOAD load;
	struct chan_msg m;

	(void)state;
	new_keys();
	authority_configure(auth, &config);
	m = next(MSG_KY_LOAD);
	assert_int_equal(msg_get_KY_LOAD(m.body, &load), 0);
	assert_int_equal(load.may_create, 1);
	say_loaded(0);
	new_keys();
	m = next(MSG_KY_LOAD);
	assert_int_equal(msg_get_KY_LOAD(m.body, &load), 0);
	assert_int_equal(load.may_create, 0);
	assert_true(slice_eq_str(load.sealed, "sealed"));
}

static void state_of_another_trust_domain_is_not_loaded(void **state)
{
	(void)state;
	assert_int_equal(state_put_blob(st, STATE_TRUST_DOMAIN, slice_str("other.org")), 0);
	new_keys();
	authority_configure(auth, &config);
	assert_true(nothing_said());
	assert_int_equal(authority_err(auth), -ERR_EXISTS);
}

static void a_clock_behind_the_last_signature_is_refused(void **state)
{
	(void)state;
	assert_int_equal(state_put_time(st, STATE_LAST_SIGNED, clock_wall_s() + 301), 0);
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	assert_true(nothing_said());
	assert_int_equal(entry_err(), -ERR_CLOCK);
}

static void a_clock_a_little_behind_is_no_reason(void **state)
{
	(void)state;
	assert_int_equal(state_put_time(st, STATE_LAST_SIGNED, clock_wall_s() + 200), 0);
	make_ready();
	assert_int_equal(identity_hold(ids, &doc), 0);
	say_issued(asked(), 1, 0);
	assert_int_equal(generation(), 1);
}

static void a_bundle_that_did_not_change_is_no_news(void **state)
{
	unsigned int before;

	(void)state;
	make_ready();
	before = authority_changes;
	say_loaded(0);
	assert_int_equal(authority_changes, before);
}

/* ---- rotation of the authority ---- */

static void say_rotated(const char *jwks, const char *sealed)
{
	static uint32_t serial = 100;

	assert_int_equal(ipc_put(keys, KY_LOADED, 0, .bundle = slice_str("bundle"), .not_after = 4000000000,
				 .jwks = slice_str(jwks), .sealed = slice_str(sealed), .serial = ++serial), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

static uint32_t stored(void)
{
	struct msg_KY_STORED m = { 0 };

	assert_int_equal(msg_get_KY_STORED(next(MSG_KY_STORED).body, &m), 0);
	return m.serial;
}

static void new_jwt_keys_are_news_and_the_same_are_none(void **state)
{
	uint64_t serial;

	(void)state;
	make_ready();
	say_rotated("{1}", "");
	serial = authority_serial(auth);
	assert_true(slice_eq_str(authority_jwks(auth), "{1}"));
	say_rotated("{1}", "other");
	assert_int_equal(authority_serial(auth), serial);
	say_rotated("{2}", "");
	assert_int_not_equal(authority_serial(auth), serial);
}

/* A full disk at the wrong moment: what cannot be kept is not shown, and is tried again by itself. */
static void a_rotation_that_cannot_be_stored_waits_and_what_was_goes_on(void **state)
{
	uint32_t before;

	(void)state;
	make_ready();
	stored();
	say_rotated("{1}", "");
	before = stored();
	assert_int_equal(db_exec(&st->db, "CREATE TEMP TRIGGER full BEFORE INSERT ON kv "
					  "BEGIN SELECT RAISE(FAIL, 'full'); END"), 0);
	say_rotated("{2}", "second");
	assert_int_equal(authority_err(auth), 0); /* the keys of before go on */
	assert_true(nothing_said());
	assert_true(slice_eq_str(authority_jwks(auth), "{1}"));
	assert_int_equal(db_exec(&st->db, "DROP TRIGGER full"), 0);
	for (int i = 0; i < 700 && slice_eq_str(authority_jwks(auth), "{1}"); i++)
		assert_int_equal(loop_once(loop, 10), 0);
	assert_int_equal(stored(), before + 1);
	assert_true(slice_eq_str(authority_jwks(auth), "{2}"));
	assert_int_equal(killed, 0);
}

static void what_svid_keys_loads_with_is_decided_once(void **state)
{
	struct msg_KY_LOAD load;
	struct chan_msg m;

	(void)state;
	new_keys();
	authority_configure(auth, &config);
	m = next(MSG_KY_LOAD);
	assert_int_equal(msg_get_KY_LOAD(m.body, &load), 0);
	assert_int_equal(load.ca_ttl, 1000);
	assert_int_equal(load.jwt_key_ttl, 2000);
	assert_int_equal(load.wit, 0);
	say_loaded(0);
	config = (struct authority_config){ "example.org", 1, 2, true };
	authority_configure(auth, &config);
	assert_false(authority_wit(auth));
	new_keys();
	m = next(MSG_KY_LOAD);
	assert_int_equal(msg_get_KY_LOAD(m.body, &load), 0);
	assert_int_equal(load.ca_ttl, 1000);
	assert_int_equal(load.wit, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sealed_state_is_on_disk_before_it_is_used),
		T(a_refusal_of_keys_is_no_new_authority),
		T(a_new_authority_may_be_made_only_where_none_was_stored),
		T(state_of_another_trust_domain_is_not_loaded),
		T(a_clock_behind_the_last_signature_is_refused),
		T(a_clock_a_little_behind_is_no_reason),
		T(a_bundle_that_did_not_change_is_no_news),
		T(new_jwt_keys_are_news_and_the_same_are_none),
		T(a_rotation_that_cannot_be_stored_waits_and_what_was_goes_on),
		T(what_svid_keys_loads_with_is_decided_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
