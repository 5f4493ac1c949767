/* SPDX-License-Identifier: Apache-2.0 */
/* identity_test.c - SVIDs from the first holder to the last, with this test as svid-keys; the authority's rules.
 * links: agent/core/identity.c agent/core/authority.c agent/core/audit.c agent/core/json.c agent/core/state.c agent/core/state_docs.c agent/core/policy.c agent/core/policy_build.c agent/core/policy_form.c agent/core/selector.c agent/core/selector_facts.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/core/identity.h"
#include "agent/core/state_db.h"

static char dir[64];
static struct loop *loop;
static struct state *st;
static struct authority *auth;
static struct audit audit;
static struct identities *ids;
static struct buf scratch;
static int keys; /* our end as svid-keys */
static unsigned int changes, killed, authority_changes, jwts_done;
static bool stored_before_use;
static struct authority_config config;

static struct identity doc = { .number = 7, .name = (char *)"app", .spiffe_id = (char *)"spiffe://example.org/app",
			       .hint = (char *)"", .x509_ttl = 3600, .key_type = KEY_EC_P256 };

static void on_changed(void *owner, uint32_t number)
{
	(void)owner;
	assert_int_equal(number, doc.number);
	changes++;
}

static void on_authority(void *owner)
{
	AUTO(buf) struct buf blob = BUF_INIT(LIM_SEALED);

	(void)owner;
	authority_changes++;
	if (authority_err(auth))
		return;
	stored_before_use = state_get_blob(st, STATE_AUTHORITY, &blob) == 0;
	identities_ready(ids);
}

static void on_issued(void *owner, uint32_t identity, enum svid_kind kind, uint32_t id, int err,
		      const struct svid_issued *svid)
{
	(void)owner;
	identities_issued(ids, identity, kind, id, err, svid);
}

static void on_jwt_done(void *owner, uint32_t id, int err, const struct jwt_issued *jwt)
{
	(void)owner;
	(void)id;
	(void)err;
	(void)jwt;
	jwts_done++;
}

static void on_lost(void *owner)
{
	(void)owner;
	identities_lost(ids);
}

static void on_kill(void *owner)
{
	(void)owner;
	killed++;
}

static const struct authority_ops authority_ops = { on_authority, on_issued, on_jwt_done, on_lost, on_kill };
static const struct identities_ops identities_ops = { on_changed };

static void new_keys(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	if (keys >= 0)
		close(keys);
	keys = pair[0];
	assert_int_equal(authority_peer(auth, pair[1]), 0);
}

static int setup(void **unused)
{
	(void)unused;
	log_init("test", LOG_ERROR);
	changes = killed = authority_changes = jwts_done = 0;
	config = (struct authority_config){ "example.org", 1000, 2000, false };
	stored_before_use = false;
	keys = -1;
	doc.x509_ttl = 3600;
	scratch = (struct buf)BUF_INIT(LIM_IPC_BODY);
	snprintf(dir, sizeof(dir), "/tmp/svid-identity-XXXXXX");
	if (!mkdtemp(dir) || loop_new(&loop) || state_open(dir, &st))
		return -1;
	audit_init(&audit, open("/dev/null", O_WRONLY | O_CLOEXEC), AUDIT_REQUIRED);
	if (authority_new(loop, st, &authority_ops, NULL, &auth))
		return -1;
	return identities_new(loop, auth, &audit, &identities_ops, NULL, &ids);
}

static int teardown(void **unused)
{
	char path[128];

	(void)unused;
	identities_free(ids);
	authority_free(auth);
	audit_done(&audit);
	state_close(st);
	loop_free(loop);
	buf_done(&scratch);
	close(keys);
	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	rmdir(dir);
	return 0;
}

/* The next message to svid-keys, which must be of @type. */
static struct chan_msg next(uint16_t type)
{
	struct pollfd p = { .fd = keys, .events = POLLIN };
	struct chan_msg m;

	for (int i = 0; i < 100 && poll(&p, 1, 0) == 0; i++)
		assert_int_equal(loop_once(loop, 10), 0);
	assert_int_equal(ipc_recv(keys, &scratch, &m), 0);
	assert_string_equal(msg_name(m.type), msg_name(type));
	return m;
}

static bool nothing_said(void)
{
	struct pollfd p = { .fd = keys, .events = POLLIN };

	for (int i = 0; i < 3; i++)
		assert_int_equal(loop_once(loop, 5), 0);
	return poll(&p, 1, 0) == 0;
}

static void say_loaded(int err)
{
	assert_int_equal(ipc_put(keys, KY_LOADED, 0, .err = err, .bundle = slice_str(err ? "" : "bundle"),
				 .not_after = clock_wall_s() + 1000, .sealed = slice_str(err ? "" : "sealed")), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

static void make_ready(void)
{
	new_keys();
	authority_configure(auth, &config);
	next(MSG_KY_LOAD);
	say_loaded(0);
	assert_int_equal(authority_err(auth), 0);
}

static uint32_t asked(void)
{
	struct chan_msg m = next(MSG_KY_ISSUE);
	struct msg_KY_ISSUE ask;

	assert_int_equal(msg_get_KY_ISSUE(m.body, &ask), 0);
	assert_int_equal(ask.identity, doc.number);
	return m.id;
}

static void say_issued(uint32_t id, uint64_t generation, int err)
{
	int64_t now = clock_wall_s();

	assert_int_equal(ipc_put(keys, KY_ISSUED, id, .identity = doc.number, .err = err, .generation = generation,
				 .not_before = now - 30, .not_after = now + 3600, .serial = slice_str("s"),
				 .chain = slice_str("chain")), 0);
	assert_int_equal(loop_once(loop, 100), 0);
}

static uint64_t generation(void)
{
	struct set_entry e = { 0 };

	return identity_entry(ids, doc.number, &e) ? 0 : e.generation;
}

static int entry_err(void)
{
	struct set_entry e;

	return identity_entry(ids, doc.number, &e);
}

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

/* ---- rotation of the authority ---- */

static void say_rotated(const char *jwks, const char *sealed)
{
	assert_int_equal(ipc_put(keys, KY_LOADED, 0, .bundle = slice_str("bundle"), .not_after = 4000000000,
				 .jwks = slice_str(jwks), .sealed = slice_str(sealed)), 0);
	assert_int_equal(loop_once(loop, 100), 0);
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
static void a_rotation_that_cannot_be_stored_is_not_used_before_it_is(void **state)
{
	(void)state;
	make_ready();
	say_rotated("{1}", "");
	assert_int_equal(state_exec(st, "CREATE TEMP TRIGGER full BEFORE INSERT ON kv BEGIN SELECT RAISE(FAIL, 'full'); END"), 0);
	say_rotated("{2}", "second");
	assert_int_equal(authority_err(auth), -ERR_STATE);
	assert_true(slice_eq_str(authority_jwks(auth), "{1}"));
	assert_int_equal(state_exec(st, "DROP TRIGGER full"), 0);
	for (int i = 0; i < 700 && authority_err(auth); i++)
		assert_int_equal(loop_once(loop, 10), 0);
	assert_int_equal(authority_err(auth), 0);
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

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

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
		T(sealed_state_is_on_disk_before_it_is_used),
		T(a_refusal_of_keys_is_no_new_authority),
		T(a_new_authority_may_be_made_only_where_none_was_stored),
		T(state_of_another_trust_domain_is_not_loaded),
		T(a_clock_behind_the_last_signature_is_refused),
		T(a_clock_a_little_behind_is_no_reason),
		T(a_bundle_that_did_not_change_is_no_news),
		T(a_wit_svid_lives_as_the_other_does),
		T(an_answer_of_one_kind_is_not_taken_for_the_other),
		T(a_kind_that_does_not_exist_is_a_breach),
		T(what_is_shown_has_a_serial_of_its_own),
		T(new_jwt_keys_are_news_and_the_same_are_none),
		T(a_rotation_that_cannot_be_stored_is_not_used_before_it_is),
		T(what_svid_keys_loads_with_is_decided_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
