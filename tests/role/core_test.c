/* links: tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_case.c */
/* links: agent/parent/spawn.c agent/parent/roles.c tests/lib/busy.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_test.c - the real svid-core, sandbox on, with this test as every sibling: what it does with callers, SVIDs,
 * documents and audit. Must run as root. Siblings that break the rules: core_siblings_test.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "tests/lib/busy.h"
#include "tests/role/core_case.h"

static void a_caller_with_an_identity_gets_the_front_of_its_set(void **state)
{
	struct world_conn *c;
	struct world_front *f;
	int fd;

	(void)state;
	world_start(&w, NULL);
	assert_true(w.ready);
	fd = world_client(&w);
	c = conn_at(0);
	f = front_of(c);
	world_until(&w, f->version == 1);
	assert_int_equal(f->entries, 1);
	assert_true(f->bundle > 0);
	assert_int_equal(f->binds, 1);
	assert_int_equal(f->n_bound, 1);
	assert_int_equal(f->state, 0);
	assert_non_null(strstr(whoami_at(0), "spiffe://example.org/root"));
	close(fd);
}

static void the_bytes_of_a_caller_reach_whoami_escaped(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	assert_non_null(strstr(whoami_at(0), "\\n<\\\""));
	assert_null(strchr(whoami_at(0), '\n'));
	close(fd);
}

static void callers_of_one_set_share_a_front_and_its_svid(void **state)
{
	int a, b;

	(void)state;
	world_start(&w, NULL);
	a = world_client(&w);
	b = world_client(&w);
	assert_int_equal(conn_at(0)->front, conn_at(1)->front);
	world_until(&w, w.issues == 1);
	time_passes(50);
	assert_int_equal(w.issues, 1);
	close(a);
	close(b);
}

static void callers_of_different_sets_never_share_a_front(void **state)
{
	pid_t other, nobody;
	int fds[3];

	(void)state;
	w.documents = TWO_USERS;
	world_start(&w, NULL);
	fds[0] = world_client(&w);
	fds[1] = world_client_as(&w, OTHER_UID, &other);
	fds[2] = world_client_as(&w, NOBODY_UID, &nobody);
	conn_at(2);
	assert_int_not_equal(w.conns[0].front, w.conns[1].front);
	assert_int_not_equal(w.conns[0].front, w.conns[2].front);
	assert_int_not_equal(w.conns[1].front, w.conns[2].front);
	end_child(other, fds[1]);
	end_child(nobody, fds[2]);
	close(fds[0]);
}

static void a_caller_without_identity_gets_the_front_that_holds_nothing(void **state)
{
	struct world_front *f;
	pid_t pid;
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client_as(&w, NOBODY_UID, &pid);
	f = front_of(conn_at(0));
	world_until(&w, f->version > 0);
	assert_int_equal(f->entries, 0);
	assert_int_equal(f->bundle, 0);
	assert_int_equal(f->n_bound, 0);
	assert_int_equal(f->state, 0);
	assert_non_null(strstr(whoami_at(0), "\"identities\":[]"));
	assert_non_null(strstr(whoami_at(0), "unix:uid"));
	assert_int_equal(w.issues, 0);
	end_child(pid, fd);
}

/* ---- the end of connections ---- */

static void a_front_that_ignores_the_end_is_cut_at_100_ms(void **state)
{
	struct stopwatch since_end;
	uint64_t before;
	int fd;

	(void)state;
	w.ways.front_ignores_end = true;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	w.documents = "";
	before = clock_boot_ns();
	documents_apply();
	world_until(&w, w.conns[0].ended);
	since_end = stopwatch_start(w.core);
	assert_true(world_is_closed(&w, fd, WORLD_WAIT_MS));
	assert_true(clock_boot_ns() - before >= LIM_CUT_MS * NS_PER_MS);
	assert_in_range(stopwatch_ms(&since_end), 0, LIM_CUT_MS * 5);
	close(fd);
}

static void a_withdrawn_document_ends_its_connections_with_no_identity(void **state)
{
	int mine, others;
	pid_t pid;

	(void)state;
	w.documents = TWO_USERS;
	world_start(&w, NULL);
	mine = world_client(&w);
	conn_at(0);
	others = world_client_as(&w, OTHER_UID, &pid);
	conn_at(1);
	w.documents = "other {\"workloadID\":\"other\",\"selectors\":[{\"unix:uid\":[\"48700\"]}]}";
	documents_apply();
	world_until(&w, w.conns[0].ended);
	assert_int_equal(w.conns[0].end_err, -ERR_NO_IDENTITY);
	time_passes(100);
	assert_false(w.conns[1].ended);
	end_child(pid, others);
	close(mine);
}

static void a_caller_that_gains_an_identity_must_come_again(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	w.documents = "root {\"workloadID\":\"root\",\"selectors\":[{\"unix:uid\":[\"0\"]}]}\n"
		      "more {\"workloadID\":\"more\",\"selectors\":[{\"unix:gid\":[\"0\"]}]}";
	documents_apply();
	world_until(&w, w.conns[0].ended);
	assert_int_equal(w.conns[0].end_err, -ERR_IDENTITIES);
	close(fd);
	fd = world_client(&w);
	assert_int_not_equal(conn_at(1)->front, w.conns[0].front);
	world_until(&w, front_of(&w.conns[1])->entries == 2);
	close(fd);
}

static void an_unchanged_generation_ends_nothing(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	documents_apply();
	assert_false(world_is_closed(&w, fd, 200));
	assert_false(w.conns[0].ended);
	close(fd);
}

static void a_stop_ends_every_stream_with_unavailable(void **state)
{
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	conn_at(0);
	assert_int_equal(ipc_send(w.svidd, MSG_P_STOP, 0, slice_of(NULL, 0), NULL, 0), 0);
	world_until(&w, w.drained);
	assert_true(w.conns[0].ended);
	assert_int_equal(err_status(w.conns[0].end_err), GRPC_UNAVAILABLE);
	close(fd);
}

static void without_svidd_it_ends(void **state)
{
	(void)state;
	world_start(&w, NULL);
	close(w.svidd);
	w.svidd = -1;
	world_until(&w, w.core == 0);
}

/* ---- SVIDs and the authority ---- */

static void an_svid_is_renewed_at_half_its_life(void **state)
{
	struct stopwatch since_issue;
	uint64_t before;
	int fd;

	(void)state;
	w.ways.svid_life = 4;
	world_start(&w, NULL);
	before = clock_boot_ns();
	fd = world_client(&w);
	world_until(&w, front_of(conn_at(0))->version == 1);
	since_issue = stopwatch_start(w.core);
	world_until(&w, w.issues >= 2);
	assert_true(clock_boot_ns() - before >= 1500 * NS_PER_MS);
	assert_in_range(stopwatch_ms(&since_issue), 0, 3000);
	close(fd);
}

static void when_keys_restart_fronts_are_bound_again_and_get_new_svids(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	world_new_keys(&w);
	world_until(&w, f->version == 2 && f->binds == 2);
	assert_int_equal(w.issues, 2);
	assert_false(world_is_closed(&w, fd, 100));
	assert_false(w.conns[0].ended);
	close(fd);
}

static void a_caller_waits_for_its_first_svid_and_then_gets_it(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	world_start(&w, NULL);
	w.ways.keys_issue_err = -ERR_CRYPTO;
	fd = world_client(&w);
	f = front_of(conn_at(0));
	world_until(&w, err_status(f->state) == GRPC_UNAVAILABLE);
	w.ways.keys_issue_err = 0;
	world_until(&w, f->version == 1 && f->state == 0);
	close(fd);
}

static void until_the_authority_is_there_callers_hear_unavailable(void **state)
{
	int fd;

	(void)state;
	w.ways.keys_silent = true;
	world_start(&w, NULL);
	fd = world_client(&w);
	assert_int_equal(err_status(front_of(conn_at(0))->state), GRPC_UNAVAILABLE);
	w.ways.keys_silent = false;
	world_new_keys(&w);
	world_until(&w, w.ready && w.conns[0].ended);
	assert_int_equal(err_status(w.conns[0].end_err), GRPC_UNAVAILABLE);
	world_until(&w, front_of(&w.conns[0])->state == 0);
	close(fd);
}

static void a_lost_sealing_key_is_no_reason_for_a_new_authority(void **state)
{
	struct slice json;
	int fd;

	(void)state;
	w.ways.keys_load_err = -ERR_SEALED;
	world_start(&w, NULL);
	fd = world_client(&w);
	assert_int_not_equal(front_of(conn_at(0))->state, 0);
	assert_int_equal(w.loads, 1);
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "refused"));
	close(fd);
}

/* Documents come into force, and are stored, in slices: what follows comes when it comes. */
static void status_says(const char *text)
{
	struct slice json;

	world_until(&w, world_admin(&w, ADMIN_STATUS, 0, &json) == 0 && json_has(json, text));
}

/* The last good Agent document stays in force, and status says why. */
static void another_trust_domain_over_existing_state_is_refused(void **state)
{
	struct slice json;

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(w.loads, 1);
	status_says("\"stored\":true"); /* state.db follows what is in force */
	world_stop(&w);
	w.agent = "{\"trustDomain\":\"other.org\"}";
	world_start(&w, NULL);
	status_says("another trust domain needs a state directory");
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"trust_domain\":\"example.org\""));
}

/* ---- audit ---- */

static void without_an_audit_record_there_is_no_identity(void **state)
{
	struct slice json;
	int fd;

	(void)state;
	world_start(&w, "/dev/full");
	fd = world_client(&w);
	world_until(&w, front_of(conn_at(0))->state == -ERR_AUDIT);
	assert_int_equal(front_of(&w.conns[0])->n_bound, 0);
	assert_int_equal(w.issues, 0);
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"working\":false"));
	close(fd);
}

static void best_effort_audit_goes_on_without_a_record(void **state)
{
	int fd;

	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"best-effort\"}";
	world_start(&w, "/dev/full");
	fd = world_client(&w);
	world_until(&w, front_of(conn_at(0))->version == 1);
	assert_int_equal(front_of(&w.conns[0])->entries, 1);
	close(fd);
}

static void every_decision_and_every_svid_has_its_line(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(1 << 16);
	char path[128];
	int fd, log;
	ssize_t n;

	(void)state;
	world_start(&w, NULL);
	fd = world_client(&w);
	world_until(&w, front_of(conn_at(0))->version == 1);
	snprintf(path, sizeof(path), "%s/audit.log", w.dir);
	log = open(path, O_RDONLY | O_CLOEXEC);
	n = read(log, buf_reserve(&text, 8192), 8192);
	assert_true(n > 0);
	buf_added(&text, (size_t)n);
	assert_true(json_has(buf_slice(&text), "\"event\":\"decision\",\"connection\":"));
	assert_true(json_has(buf_slice(&text), "\"decision\":\"allow\",\"identities\":[\"spiffe://example.org/root\"]"));
	assert_true(json_has(buf_slice(&text), "\"event\":\"issue\",\"spiffe_id\":\"spiffe://example.org/root\","
					      "\"serial\":\"30313233"));
	close(log);
	close(fd);
}

/* ---- admin ---- */

static void explain_tells_what_a_process_would_get(void **state)
{
	struct slice json;

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(world_admin(&w, ADMIN_EXPLAIN, (uint32_t)getpid(), &json), 0);
	assert_true(json_has(json, "spiffe://example.org/root"));
	assert_true(json_has(json, "\"documents\":["));
	assert_int_equal(world_admin(&w, ADMIN_EXPLAIN, 0x7ffffff0, &json), -ESRCH);
}

#define UID_0 "\"unix:uid\":[\"0\"]"

static void an_executable_is_explained_without_a_process(void **state)
{
	const struct msg_AD_EXEC ask = { .path = slice_str("/usr/bin/app"), .sha256 = slice_of("\1\2", 2) };
	AUTO(buf) struct buf body = BUF_INIT(1000);
	struct slice json;

	(void)state;
	w.documents = "by-path {\"workloadID\":\"p\",\"selectors\":[{\"unix:path\":[\"/usr/bin/app\"]," UID_0 "}]}\n"
		      "by-name {\"workloadID\":\"n\",\"selectors\":[{\"process:binary:name\":[\"glob:a*\"]}]}\n"
		      "other {\"workloadID\":\"o\",\"selectors\":[{\"unix:path\":[\"/usr/bin/other\"]}]}\n"
		      "any {\"workloadID\":\"a\",\"selectors\":[{" UID_0 "}]}";
	world_start(&w, NULL);
	msg_put_AD_EXEC(&body, &ask);
	assert_int_equal(world_admin_msg(&w, MSG_AD_EXEC, buf_slice(&body), &json), 0);
	assert_true(json_has(json, "\"identities\":[{\"spiffe_id\":\"spiffe://example.org/a\",\"document\":\"any\","
				   "\"names_the_executable\":false}"));
	assert_true(json_has(json, "\"document\":\"by-path\",\"names_the_executable\":true}"));
	assert_true(json_has(json, "\"document\":\"by-name\",\"names_the_executable\":true}"));
	assert_false(json_has(json, "example.org/o"));
	assert_true(json_has(json, "{\"key\":\"unix:uid\",\"wanted\":[\"0\"],\"found\":null,\"ok\":null,"
				   "\"why\":\"needed besides\"}"));
	assert_true(json_has(json, "\"wanted\":[\"/usr/bin/app\"],\"found\":\"/usr/bin/app\",\"ok\":true"));
	assert_true(json_has(json, "{\"rule\":\"not-traced\",\"default\":true,\"ok\":null"));
	assert_true(json_has(json, "\"documents_of_other_executables\":1"));
}

/* How callers are identified was decided before anything ran: svid.yaml changes nothing of it, and status says so. */
static void another_attestation_needs_a_restart(void **state)
{
	struct slice json;
	int fd;

	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"attestation\":\"bpf-lsm\"}";
	world_start(&w, NULL);
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_true(json_has(json, "\"tier\":\"socket\""));
	assert_true(json_has(json, "{\"setting\":\"attestation\",\"running\":\"socket\",\"configured\":\"bpf-lsm\"}"));
	w.agent = "{\"trustDomain\":\"example.org\",\"attestation\":\"socket\",\"x509\":{\"caTTL\":99},"
		  "\"jwt\":{\"keyTTL\":98},\"profiles\":{\"wit\":\"true\"},\"oidc\":{\"port\":8080}}";
	documents_apply();
	assert_int_equal(world_admin(&w, ADMIN_STATUS, 0, &json), 0);
	assert_false(json_has(json, "\"setting\":\"attestation\""));
	assert_true(json_has(json, "{\"setting\":\"x509.caTTL\",\"running\":\"31536000s\",\"configured\":\"99s\"}"));
	assert_true(json_has(json, "\"jwt.keyTTL\",\"running\":\"2592000s\",\"configured\":\"98s\""));
	assert_true(json_has(json, "{\"setting\":\"profiles.wit\",\"running\":\"false\",\"configured\":\"true\"}"));
	assert_true(json_has(json, "{\"setting\":\"oidc.port\",\"running\":\"none\",\"configured\":\"8080\"}"));
	assert_int_equal(w.loads, 1);
	fd = world_client(&w);
	world_until(&w, front_of(conn_at(0))->version == 1);
	assert_int_equal(front_of(&w.conns[0])->wit, 0);
	close(fd);
}

static void reload_runs_the_compiler(void **state)
{
	unsigned int before;
	struct slice json;

	(void)state;
	world_start(&w, NULL);
	before = w.compiles;
	assert_int_equal(world_admin(&w, ADMIN_RELOAD, 0, &json), 0);
	world_until(&w, w.compiles == before + 1);
}

static void an_unknown_admin_request_is_refused(void **state)
{
	struct slice json;

	(void)state;
	world_start(&w, NULL);
	assert_int_equal(world_admin(&w, 99, 0, &json), -ERR_FORMAT);
	assert_core_is_well();
}

static void says_that_its_loop_runs(void **state)
{
	(void)state;
	world_start(&w, NULL);
	world_until(&w, w.alive >= 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(says_that_its_loop_runs),
		T(a_caller_with_an_identity_gets_the_front_of_its_set),
		T(the_bytes_of_a_caller_reach_whoami_escaped),
		T(callers_of_one_set_share_a_front_and_its_svid),
		T(callers_of_different_sets_never_share_a_front),
		T(a_caller_without_identity_gets_the_front_that_holds_nothing),
		T(a_front_that_ignores_the_end_is_cut_at_100_ms),
		T(a_withdrawn_document_ends_its_connections_with_no_identity),
		T(a_caller_that_gains_an_identity_must_come_again),
		T(an_unchanged_generation_ends_nothing),
		T(a_stop_ends_every_stream_with_unavailable),
		T(without_svidd_it_ends),
		T(an_svid_is_renewed_at_half_its_life),
		T(when_keys_restart_fronts_are_bound_again_and_get_new_svids),
		T(a_caller_waits_for_its_first_svid_and_then_gets_it),
		T(until_the_authority_is_there_callers_hear_unavailable),
		T(a_lost_sealing_key_is_no_reason_for_a_new_authority),
		T(another_trust_domain_over_existing_state_is_refused),
		T(without_an_audit_record_there_is_no_identity),
		T(best_effort_audit_goes_on_without_a_record),
		T(every_decision_and_every_svid_has_its_line),
		T(explain_tells_what_a_process_would_get),
		T(an_executable_is_explained_without_a_process),
		T(another_attestation_needs_a_restart),
		T(reload_runs_the_compiler),
		T(an_unknown_admin_request_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
