/* links: tests/role/core_world.c tests/role/core_clients.c tests/role/core_fronts.c tests/role/core_case.c agent/parent/spawn.c agent/parent/roles.c agent/core/state.c agent/db agent/core/state_docs.c agent/core/state_bundles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_bundles_test.c - what fronts are told beside SVIDs: own JWT and WIT keys as they rotate, bundles of foreign
 * trust domains that root sets, WIT-SVIDs; and nothing twice. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/core/state.h"
#include "tests/role/core_case.h"

#define ROOT_UID "\"selectors\":[{\"unix:uid\":[\"0\"]}]"
#define FEDERATED "root {\"workloadID\":\"root\"," ROOT_UID ",\"federatesWith\":[\"b.example\",\"a.example\"]}"
#define CERT "\x30\x03\x02\x01\x01" /* a SEQUENCE is all that is looked at here */
#define JWKS "{\"keys\":[]}"

static int set_bundle(const char *td, const char *der, const char *jwks, uint64_t sequence, struct slice *ret_json)
{
	struct msg_AD_BUNDLE m = { .trust_domain = slice_str(td), .bundle = slice_str(der), .jwks = slice_str(jwks),
				   .sequence = sequence };
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);

	msg_put_AD_BUNDLE(&b, &m);
	return world_admin_msg(&w, MSG_AD_BUNDLE, buf_slice(&b), ret_json);
}

static void a_foreign_bundle_reaches_whose_document_names_it(void **state)
{
	struct world_front *f, *other;
	int fd, others;
	pid_t pid;
	struct slice json;

	(void)state;
	w.documents = FEDERATED "\nother {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"48700\"]}]}";
	f = served(&fd);
	others = world_client_as(&w, OTHER_UID, &pid);
	other = front_of(conn_at(1));
	world_until(&w, other->version == 1);
	assert_string_equal(f->federated, "");
	assert_int_equal(set_bundle("b.example", CERT CERT, JWKS, 3, &json), 0);
	world_until(&w, f->version == 2);
	assert_string_equal(f->federated, "spiffe://b.example=10+11 ");
	assert_int_equal(set_bundle("a.example", "", JWKS, 0, &json), 0);
	world_until(&w, f->version == 3);
	assert_string_equal(f->federated, "spiffe://a.example=0+11 spiffe://b.example=10+11 ");
	assert_int_equal(set_bundle("b.example", "", "", 0, &json), 0);
	world_until(&w, f->version == 4);
	assert_string_equal(f->federated, "spiffe://a.example=0+11 ");
	time_passes(50);
	assert_int_equal(other->version, 1);
	end_child(pid, others);
	close(fd);
}

static void what_is_the_same_is_not_sent_again(void **state)
{
	struct world_front *f;
	struct slice json;
	int fd;

	(void)state;
	w.documents = FEDERATED;
	f = served(&fd);
	assert_int_equal(set_bundle("a.example", CERT, JWKS, 1, &json), 0);
	world_until(&w, f->version == 2);
	assert_int_equal(set_bundle("a.example", CERT, JWKS, 1, &json), 0);
	assert_int_equal(set_bundle("c.example", CERT, JWKS, 1, &json), 0);
	world_say_loaded(&w);
	documents_apply();
	time_passes(200);
	assert_int_equal(f->version, 2);
	close(fd);
}

static void a_document_that_stops_to_federate_loses_the_bundle(void **state)
{
	struct world_front *f;
	struct slice json;
	int fd;

	(void)state;
	w.documents = FEDERATED;
	f = served(&fd);
	assert_int_equal(set_bundle("a.example", CERT, JWKS, 1, &json), 0);
	world_until(&w, f->version == 2);
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID "}";
	documents_apply();
	world_until(&w, f->version == 3);
	assert_string_equal(f->federated, "");
	assert_false(w.conns[0].ended);
	close(fd);
}

static void an_older_sequence_our_own_name_and_nonsense_are_refused_with_the_reason(void **state)
{
	static const struct {
		const char *td, *der, *jwks;
		uint64_t sequence;
		int err;
		const char *why;
	} rows[] = {
		{ "a.example", CERT, "", 4, -ERR_EXISTS, "\"error\":\"an older bundle" },
		{ "example.org", CERT, "", 4, -ERR_SPIFFE_ID, "own trust domain" },
		{ "A.example", CERT, "", 4, -ERR_SPIFFE_ID, "\"error\":" },
		{ "", CERT, "", 4, -ERR_SPIFFE_ID, "\"error\":" },
		{ "x.example", "\x30\x05\x01", "", 4, -ERR_FORMAT, "DER" },
		{ "x.example", "\x02\x01\x01", "", 4, -ERR_FORMAT, "DER" },
		{ "x.example", "", "\xff", 4, -ERR_FORMAT, "JWK" },
		{ "x.example", "", "", 4, -ERR_NOT_FOUND, "no bundle of that trust domain" },
	};
	struct slice json;

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(set_bundle("a.example", CERT, JWKS, 5, &json), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(set_bundle(rows[i].td, rows[i].der, rows[i].jwks, rows[i].sequence, &json), rows[i].err);
		assert_true(json_has(json, rows[i].why));
	}
	assert_int_equal(set_bundle("a.example", "", "", 0, &json), 0); /* gone, its sequence too */
	assert_int_equal(set_bundle("a.example", CERT, "", 1, &json), 0);
	assert_core_is_well();
}

static void bundles_are_listed_and_outlive_a_restart(void **state)
{
	struct slice json;

	(void)state;
	w.documents = FEDERATED;
	world_start(&w, NULL);
	assert_int_equal(set_bundle("b.example", CERT CERT, JWKS, UINT64_MAX, &json), 0);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(world_admin(&w, ADMIN_BUNDLES, 0, &json), 0);
		assert_true(json_has(json, "{\"bundles\":[{\"trust_domain\":\"b.example\",\"sequence\":\"18446744073709551615\","
					   "\"x509_authorities\":2,\"x509_bytes\":10,\"jwks_bytes\":11,\"changed\":\"20"));
		assert_true(json_has(json, "\"federated_by\":[\"spiffe://example.org/root\"]"));
		assert_true(json_has(json, "\"x509_authorities_der\":\"30030201013003020101\",\"jwks\":{\"keys\":[]}}"));
		world_stop(&w);
		world_start(&w, NULL);
	}
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"foreign_bundles\":[\"b.example\"]"));
}

/* ---- own keys ---- */

static void new_keys_of_the_authority_reach_every_front(void **state)
{
	struct world_front *f;
	struct slice json;
	int fd;

	(void)state;
	f = served(&fd);
	assert_int_equal(f->jwks, strlen(w.jwks));
	w.jwks = "{\"keys\":[{\"kid\":\"kid-1\"},{\"kid\":\"kid-2\"}]}";
	w.sealed = "sealed again";
	world_say_loaded(&w);
	world_until(&w, f->version == 2);
	assert_int_equal(f->jwks, strlen(w.jwks));
	w.bundle = "bundle and the next";
	world_say_loaded(&w);
	world_until(&w, f->version == 3);
	assert_int_equal(f->bundle, strlen(w.bundle));
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"jwt_keys\":[\"kid-1\",\"kid-2\"]"));
	assert_int_equal(world_admin(&w, ADMIN_BUNDLE, 0, &json), 0);
	assert_true(json_has(json, "\"jwks\":{\"keys\":[{\"kid\":\"kid-1\"},{\"kid\":\"kid-2\"}]}"));
	assert_false(w.conns[0].ended);
	close(fd);
}

static void a_rotation_is_stored_before_it_is_shown(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	struct world_front *f;
	struct state *st;
	int fd;

	(void)state;
	f = served(&fd);
	w.jwks = "{\"keys\":[{\"kid\":\"kid-2\"}]}";
	w.sealed = "the second";
	world_say_loaded(&w);
	world_until(&w, f->version == 2);
	world_stop(&w);
	assert_int_equal(state_open(world_path(&w, "state"), &st), 0);
	assert_int_equal(state_get_blob(st, STATE_AUTHORITY, &sealed), 0);
	state_close(st);
	assert_true(slice_eq_str(buf_slice(&sealed), "the second"));
	close(fd);
}

static void a_front_that_holds_nothing_is_told_of_no_bundle(void **state)
{
	struct world_front *f;
	uint64_t version;
	pid_t pid;
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client_as(&w, NOBODY_UID, &pid);
	f = front_of(conn_at(0));
	world_until(&w, strcmp(f->sds, "default ROOTCA ALL 0") == 0);
	assert_int_equal(f->jwks + f->bundle, 0);
	version = f->version;
	w.bundle = "another";
	world_say_loaded(&w);
	time_passes(50);
	assert_int_equal(f->version, version);
	end_child(pid, fd);
}

/* Its front starts before there is an Agent document, and must hear of it. */
static void the_front_of_nobody_knows_the_profile(void **state)
{
	struct world_front *f;
	pid_t pid;
	int fd;

	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"profiles\":{\"wit\":\"true\"}}";
	world_start(&w, NULL);
	fd = world_client_as(&w, NOBODY_UID, &pid);
	f = front_of(conn_at(0));
	world_until(&w, f->wit == 1);
	assert_int_equal(f->bundle, 0);
	end_child(pid, fd);
}

/* ---- SDS ---- */

static void names_forms_and_peers_reach_the_front_and_follow_the_documents(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID ",\"sds\":{\"peers\":[\"spiffe://a.example/b\","
		      "\"prefix:spiffe://example.org/ns/\"]}}";
	f = served(&fd);
	assert_string_equal(f->sds, "default ROOTCA ALL 0");
	assert_string_equal(f->peers, "spiffe://a.example/b,prefix:spiffe://example.org/ns/,");
	assert_int_equal(f->nobody_ca, strlen("nobody"));
	w.agent = "{\"trustDomain\":\"example.org\",\"sds\":{\"defaultSVIDName\":\"me\",\"defaultBundleName\":\"us\","
		  "\"allBundlesName\":\"them\",\"validator\":\"bundle-map\"}}";
	world_recompile(&w);
	world_until(&w, strcmp(f->sds, "me us them 4") == 0);
	assert_int_equal(f->version, 2);
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID "}";
	world_recompile(&w);
	world_until(&w, f->version == 3);
	assert_string_equal(f->peers, "");
	world_recompile(&w);
	time_passes(50);
	assert_int_equal(f->version, 3);
	assert_false(w.conns[0].ended);
	assert_int_equal(w.issues, 1);
	world_new_keys(&w);
	world_until(&w, w.loads == 2 && f->version > 3);
	assert_int_equal(f->nobody_ca, strlen("nobody"));
	close(fd);
}

static void the_front_of_nobody_has_a_bundle_only_while_it_is_wanted(void **state)
{
	struct world_front *f;
	pid_t pid;
	int fd;

	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"sds\":{\"bundlesWithoutIdentity\":\"true\"}}";
	world_start(&w, NULL);
	fd = world_client_as(&w, NOBODY_UID, &pid);
	f = front_of(conn_at(0));
	world_until(&w, f->bundle == strlen(w.bundle));
	assert_string_equal(f->sds, "default ROOTCA ALL 1");
	assert_int_equal(f->nobody_ca, strlen("nobody"));
	assert_int_equal(f->jwks + f->entries, 0);
	w.bundle = "another one";
	world_say_loaded(&w);
	world_until(&w, f->bundle == strlen(w.bundle));
	w.agent = "{\"trustDomain\":\"example.org\"}";
	world_recompile(&w);
	world_until(&w, f->bundle == 0);
	assert_string_equal(f->sds, "default ROOTCA ALL 0");
	assert_int_equal(f->nobody_ca, strlen("nobody"));
	end_child(pid, fd);
}

/* ---- WIT-SVIDs ---- */

static void wit_svids_come_with_the_profile_only(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	assert_int_equal(w.load.wit, 0);
	assert_int_equal(f->wit + f->wits, 0);
	assert_int_equal(w.issues, 1);
	world_stop(&w);
	close(fd);
	w.issues = 0;
	w.agent = "{\"trustDomain\":\"example.org\",\"profiles\":{\"wit\":\"true\"}}";
	f = served(&fd);
	assert_int_equal(w.load.wit, 1);
	assert_int_equal(f->wit, 1);
	assert_int_equal(f->entries, 1);
	assert_int_equal(f->wits, 1);
	assert_int_equal(w.issues, 2);
	close(fd);
}

static void a_wit_svid_that_fails_keeps_nobody_from_the_other(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	w.ways.keys_wit_err = -ERR_CRYPTO;
	w.agent = "{\"trustDomain\":\"example.org\",\"profiles\":{\"wit\":\"true\"}}";
	f = served(&fd);
	assert_int_equal(f->entries, 1);
	assert_int_equal(f->wits, 0);
	w.ways.keys_wit_err = 0;
	world_until(&w, f->wits == 1);
	close(fd);
}

static void both_kinds_are_renewed(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	w.ways.svid_life = 4;
	w.agent = "{\"trustDomain\":\"example.org\",\"profiles\":{\"wit\":\"true\"}}";
	f = served(&fd);
	assert_true(w.issues >= 2); /* a busy machine may be at the next ones already */
	world_until(&w, w.issues >= 4 && f->version >= 3);
	assert_int_equal(f->wits, 1);
	close(fd);
}

/* ---- a front that does not take what it is told ---- */

static void a_front_that_does_not_take_its_set_is_replaced(void **state)
{
	uint32_t first;
	int fd;

	(void)state;
	world_start(&w, NULL);
	w.ways.front_set_err = -ERR_FORMAT;
	fd = world_client(&w);
	first = conn_at(0)->front;
	world_until(&w, w.kills >= 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_true(world_is_closed(&w, fd, 2000));
	close(fd);
	w.ways.front_set_err = 0;
	fd = world_client(&w);
	world_until(&w, w.n_conns > 1 && w.conns[w.n_conns - 1].front != first);
	world_until(&w, front_of(&w.conns[w.n_conns - 1])->version > 0);
	assert_core_is_well();
	close(fd);
}

static void fronts_that_never_take_it_come_later_and_later(void **state)
{
	uint64_t start;
	unsigned int spawns;

	(void)state;
	world_start(&w, NULL);
	w.ways.front_set_err = -ERR_FORMAT;
	spawns = w.spawns;
	start = clock_boot_ns();
	/* A machine that is busy gets as far as the third in its own time. */
	while ((w.kills < 3 || clock_boot_ns() - start < 1500 * NS_PER_MS) && w.n_conns < WORLD_CONNS &&
	       clock_boot_ns() - start < WORLD_WAIT_MS * NS_PER_MS) {
		int fd = world_client(&w);

		(void)world_is_closed(&w, fd, 100);
		close(fd);
	}
	assert_true(w.kills >= 3);
	assert_true(w.spawns - spawns < 12); /* each takes a spare, and another spare comes */
	assert_true(w.core != 0);
}

/* svid-keys was restarted before the front had its key: the generation is gone, the stream must not be. */
static void a_front_whose_key_is_gone_keeps_its_streams_and_is_told_again(void **state)
{
	struct world_front *f;
	uint64_t version;
	int fd;

	(void)state;
	f = served(&fd);
	version = f->version;
	w.ways.front_set_err = -ERR_NOT_FOUND;
	for (int i = 0; i < 3; i++, version++) {
		world_new_keys(&w);
		world_until(&w, f->version > version);
	}
	w.ways.front_set_err = 0;
	world_new_keys(&w);
	world_until(&w, f->version > version);
	assert_false(world_is_closed(&w, fd, 100));
	assert_int_equal(w.kills, 0);
	assert_false(w.conns[0].ended);
	assert_core_is_well();
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_foreign_bundle_reaches_whose_document_names_it),
		T(what_is_the_same_is_not_sent_again),
		T(a_document_that_stops_to_federate_loses_the_bundle),
		T(an_older_sequence_our_own_name_and_nonsense_are_refused_with_the_reason),
		T(bundles_are_listed_and_outlive_a_restart),
		T(new_keys_of_the_authority_reach_every_front),
		T(a_rotation_is_stored_before_it_is_shown),
		T(a_front_that_holds_nothing_is_told_of_no_bundle),
		T(the_front_of_nobody_knows_the_profile),
		T(names_forms_and_peers_reach_the_front_and_follow_the_documents),
		T(the_front_of_nobody_has_a_bundle_only_while_it_is_wanted),
		T(wit_svids_come_with_the_profile_only),
		T(a_wit_svid_that_fails_keeps_nobody_from_the_other),
		T(both_kinds_are_renewed),
		T(a_front_that_does_not_take_its_set_is_replaced),
		T(a_front_whose_key_is_gone_keeps_its_streams_and_is_told_again),
		T(fronts_that_never_take_it_come_later_and_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
