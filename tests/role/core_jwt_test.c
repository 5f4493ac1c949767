/* links: tests/role/core_world.c tests/role/core_fronts.c tests/role/core_clients.c tests/role/core_case.c */
/* links: agent/parent/spawn.c agent/parent/roles.c */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_jwt_test.c - JWT-SVIDs through the real svid-core: what a front may ask, who gets one for which audience, the
 * records, and what follows when svid-keys or the front dies. Must run as root.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/ipc/lists.h"
#include "tests/role/core_case.h"

#define ROOT_UID "\"selectors\":[{\"unix:uid\":[\"0\"]}]"
#define ISSUED                                                                                    \
	"\"event\":\"issue\",\"spiffe_id\":\"spiffe://example.org/root\",\"kind\":\"jwt\",\"jti\":" \
	"\"jti-1\",\"kid\":\"kid-1\""

static void order_of(struct world_front *f, uint64_t conn, uint32_t identity, uint32_t order, const char *const *audiences)
{
	AUTO(buf) struct buf list = BUF_INIT(1 << 20);

	for (; *audiences; audiences++)
		list_put_str(&list, slice_str(*audiences));
	assert_int_equal(ipc_put(f->fd, FR_JWT, 0, .order = order, .conn = conn, .identity = identity,
				 .audiences = buf_slice(&list)), 0);
}

static void order(struct world_front *f, uint32_t number, const char *audience)
{
	const char *const audiences[] = { audience, NULL };

	order_of(f, w.conns[0].number, f->identities[0], number, audiences);
}

/* The same, and its order 5 is with svid-keys, which keeps it. */
static struct world_front *ordered(int *ret_fd)
{
	struct world_front *f = served(ret_fd);

	w.ways.keys_keep_jwts = true;
	order(f, 5, "a");
	world_until(&w, w.n_jwts == 1);
	return f;
}

static bool audit_has(const char *text)
{
	static char log[1 << 18];
	int fd = open(world_path(&w, "audit.log"), O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, log, sizeof(log) - 1);

	close(fd);
	log[n > 0 ? n : 0] = 0;
	return strstr(log, text);
}

static void assert_refused(struct world_front *f, uint32_t number, int err)
{
	world_until(&w, f->nojwt_order == number);
	assert_int_equal(f->nojwt_err, err);
}

static void an_order_reaches_keys_with_what_the_documents_say(void **state)
{
	static const char *const two[] = { "one", "two", NULL };
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	order_of(f, w.conns[0].number, f->identities[0], 7, two);
	world_until(&w, w.n_jwts == 1);
	assert_int_equal(w.jwts[0].front, f->number);
	assert_int_equal(w.jwts[0].order, 7);
	assert_int_equal(w.jwts[0].identity, f->identities[0]);
	assert_string_equal(w.jwts[0].spiffe_id, "spiffe://example.org/root");
	assert_string_equal(w.jwts[0].issuer, "spiffe://example.org");
	assert_int_equal(w.jwts[0].ttl, 300);
	assert_int_equal(w.jwts[0].alg, JWT_RS256);
	assert_int_equal(w.jwts[0].audiences, 2);
	time_passes(50);
	assert_int_equal(f->nojwts, 0);
	close(fd);
}

static void life_algorithm_and_issuer_are_the_documents(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"required\",\"jwt\":{\"ttl\":60,\"keyTTL\":400,"
		  "\"issuer\":\"https://iss.example.org\"}}";
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID ",\"svid\":{\"jwt\":{\"alg\":\"ES256\"}}}";
	f = served(&fd);
	assert_int_equal(w.load.jwt_key_ttl, 400);
	order(f, 1, "a");
	world_until(&w, w.n_jwts == 1);
	assert_string_equal(w.jwts[0].issuer, "https://iss.example.org");
	assert_int_equal(w.jwts[0].ttl, 60);
	assert_int_equal(w.jwts[0].alg, JWT_ES256);
	close(fd);
}

static void both_ends_of_an_order_are_recorded(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	w.ways.keys_keep_jwts = true;
	order(f, 1, "payments\n\"");
	world_until(&w, w.n_jwts == 1);
	assert_true(audit_has("\"event\":\"decision\",\"decision\":\"jwt\",\"allowed\":true,\"why\":null,"
			      "\"spiffe_id\":\"spiffe://example.org/root\",\"connection\":"));
	assert_true(audit_has("\"path\":\"/usr/bin/app\""));
	assert_true(audit_has("\"audiences\":[\"payments\\n\\\"\"]"));
	assert_false(audit_has(ISSUED));
	world_say_jwt(&w, &w.jwts[0], 0);
	world_until(&w, audit_has(ISSUED));
	close(fd);
}

static void an_audience_that_is_not_listed_is_refused_whole(void **state)
{
	static const char *const mixed[] = { "good", "bad", NULL };
	struct world_front *f;
	int fd;

	(void)state;
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID ",\"svid\":{\"jwt\":{\"audiences\":[\"good\",\"fine\"]}}}";
	f = served(&fd);
	order_of(f, w.conns[0].number, f->identities[0], 1, mixed);
	assert_refused(f, 1, -ERR_AUDIENCE);
	assert_true(audit_has("\"decision\":\"jwt\",\"allowed\":false,\"why\":\"ERR_AUDIENCE\""));
	order(f, 2, "goo");
	assert_refused(f, 2, -ERR_AUDIENCE);
	assert_int_equal(w.n_jwts, 0);
	order(f, 3, "good");
	world_until(&w, w.n_jwts == 1);
	close(fd);
}

static void a_change_of_the_list_holds_for_the_next_order(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	order(f, 1, "a");
	world_until(&w, w.n_jwts == 1);
	w.documents = "root {\"workloadID\":\"root\"," ROOT_UID ",\"svid\":{\"jwt\":{\"audiences\":[\"b\"]}}}";
	documents_apply();
	order(f, 2, "a");
	assert_refused(f, 2, -ERR_AUDIENCE);
	close(fd);
}

static void more_than_the_burst_is_refused_until_time_has_passed(void **state)
{
	struct world_front *f;
	uint32_t n = 0;
	int fd;

	(void)state;
	f = served(&fd);
	while (!f->nojwts && n < LIM_JWT_BURST * 2) {
		order(f, ++n, "a");
		world_until(&w, w.n_jwts + f->nojwts == n);
		world_step(&w, 0);
	}
	assert_int_equal(f->nojwt_err, -ERR_RATE);
	assert_true(n >= LIM_JWT_BURST);
	time_passes(120);
	order(f, n + 1, "a");
	world_until(&w, w.n_jwts == n);
	assert_core_is_well();
	close(fd);
}

static void one_front_has_so_many_orders_at_once(void **state)
{
	struct world_front *f;
	uint32_t n = 0;
	int fd;

	(void)state;
	f = served(&fd);
	w.ways.keys_keep_jwts = true;
	while (n < LIM_JWT_ORDERS)
		order(f, ++n, "a");
	world_until(&w, w.n_jwts == LIM_JWT_ORDERS);
	order(f, n + 1, "a");
	assert_refused(f, n + 1, -ERR_RATE);
	world_say_jwt(&w, &w.jwts[0], 0);
	time_passes(50);
	order(f, n + 2, "a");
	world_until(&w, w.n_jwts == LIM_JWT_ORDERS + 1);
	close(fd);
}

static void when_keys_die_open_orders_hear_it(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = ordered(&fd);
	world_new_keys(&w);
	assert_refused(f, 5, -ERR_NOT_READY);
	assert_true(audit_has("\"event\":\"issue_failed\""));
	world_until(&w, f->version == 2);
	order(f, 6, "a"); /* and with the new one it works */
	world_until(&w, w.n_jwts == 2);
	close(fd);
}

static void a_front_that_died_is_forgotten_and_its_token_recorded(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = ordered(&fd);
	close(f->fd);
	f->fd = -1;
	assert_true(world_is_closed(&w, fd, 1000));
	world_say_jwt(&w, &w.jwts[0], 0);
	world_until(&w, audit_has(ISSUED));
	assert_core_is_well();
	close(fd);
}

static void a_failure_of_keys_is_recorded_and_ends_the_order(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	w.ways.keys_jwt_err = -ERR_CRYPTO;
	order(f, 5, "a");
	world_until(&w, audit_has("\"kind\":\"jwt\",\"why\":\"ERR_CRYPTO\""));
	w.ways.keys_jwt_err = 0;
	order(f, 5, "a"); /* the number is free again */
	world_until(&w, w.n_jwts == 2);
	assert_core_is_well();
	close(fd);
}

static void without_a_record_there_is_no_order(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	assert_int_equal(unlink(world_path(&w, "audit.log")), 0);
	world_stop(&w);
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"best-effort\"}";
	world_start(&w, "/dev/full");
	f = serve_one(&fd);
	w.agent = "{\"trustDomain\":\"example.org\",\"audit\":\"required\"}";
	documents_apply();
	order(f, 1, "a");
	assert_refused(f, 1, -ERR_AUDIT);
	assert_int_equal(w.n_jwts, 0);
	close(fd);
}

static void a_caller_that_is_being_ended_gets_none(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	w.ways.front_ignores_end = true;
	f = served(&fd);
	w.documents = "";
	documents_apply();
	world_until(&w, w.conns[0].ended);
	order(f, 1, "a");
	assert_refused(f, 1, -ERR_CHANGED);
	assert_int_equal(w.n_jwts, 0);
	close(fd);
}

/* ---- what a front must not say ---- */

static void assert_killed(void)
{
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_int_equal(w.n_jwts, 0);
	assert_core_is_well();
}

static void an_order_for_an_identity_of_others_kills_the_front(void **state)
{
	static const char *const a[] = { "a", NULL };
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	order_of(f, w.conns[0].number, f->identities[0] + 1, 1, a);
	assert_killed();
	close(fd);
}

static void an_order_for_a_connection_of_others_kills_the_front(void **state)
{
	static const char *const a[] = { "a", NULL };
	struct world_front *f;
	int fd, other;
	pid_t pid;

	(void)state;
	w.documents = TWO_USERS;
	f = served(&fd);
	other = world_client_as(&w, OTHER_UID, &pid);
	conn_at(1);
	order_of(f, w.conns[1].number, f->identities[0], 1, a);
	assert_killed();
	end_child(pid, other);
	close(fd);
}

static void bad(const char *const *audiences, uint32_t order)
{
	struct world_front *f;
	int fd;

	f = served(&fd);
	order_of(f, w.conns[0].number, f->identities[0], order, audiences);
	assert_killed();
	close(fd);
}

static void audiences_that_are_not_utf8_kill_the_front(void **state)
{
	(void)state;
	bad((const char *const[]){ "ok", "\xff", NULL }, 1);
}

static void an_empty_audience_kills_the_front(void **state)
{
	(void)state;
	bad((const char *const[]){ "ok", "", NULL }, 1);
}

static void no_audience_kills_the_front(void **state)
{
	(void)state;
	bad((const char *const[]){ NULL }, 1);
}

static void too_many_audiences_kill_the_front(void **state)
{
	const char *many[LIM_AUDIENCES + 2] = { NULL };

	(void)state;
	for (size_t i = 0; i <= LIM_AUDIENCES; i++)
		many[i] = "a";
	bad(many, 1);
}

static void an_audience_that_is_too_long_kills_the_front(void **state)
{
	static char big[LIM_AUDIENCE + 2];

	(void)state;
	memset(big, 'a', LIM_AUDIENCE + 1);
	bad((const char *const[]){ big, NULL }, 1);
}

static void order_number_zero_kills_the_front(void **state)
{
	(void)state;
	bad((const char *const[]){ "a", NULL }, 0);
}

static void an_order_number_that_is_open_kills_the_front(void **state)
{
	struct world_front *f;
	int fd;

	(void)state;
	f = served(&fd);
	w.ways.keys_keep_jwts = true;
	order(f, 3, "a");
	order(f, 3, "b");
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_FRONT);
	assert_int_equal(w.n_jwts, 1);
	close(fd);
}

static void a_front_that_holds_nothing_may_not_order(void **state)
{
	static const char *const a[] = { "a", NULL };
	struct world_front *f;
	pid_t pid;
	int fd;

	(void)state;
	world_start(&w, NULL);
	fd = world_client_as(&w, NOBODY_UID, &pid);
	f = front_of(conn_at(0));
	order_of(f, w.conns[0].number, 1, 1, a);
	assert_killed();
	end_child(pid, fd);
}

static void keys_that_tell_of_what_was_not_ordered_are_killed(void **state)
{
	struct world_jwt none = { .id = 77 };

	(void)state;
	world_start(&w, NULL);
	world_say_jwt(&w, &none, 0);
	world_until(&w, w.kills == 1);
	assert_int_equal(w.last_kill.role, ROLE_KEYS);
	assert_true(w.core != 0);
}

static void thirty_two_long_audiences_fit_into_their_record(void **state)
{
	static char big[LIM_AUDIENCE + 1];
	const char *many[LIM_AUDIENCES + 1] = { NULL };
	struct world_front *f;
	int fd;

	(void)state;
	memset(big, 'a', LIM_AUDIENCE);
	for (size_t i = 0; i < LIM_AUDIENCES; i++)
		many[i] = big;
	f = served(&fd);
	order_of(f, w.conns[0].number, f->identities[0], 1, many);
	world_until(&w, w.n_jwts == 1);
	assert_int_equal(w.jwts[0].audiences, LIM_AUDIENCES);
	memset(big, 1, LIM_AUDIENCE); /* six bytes each in JSON */
	order_of(f, w.conns[0].number, f->identities[0], 2, many);
	assert_refused(f, 2, -ERR_SIZE);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_order_reaches_keys_with_what_the_documents_say),
		T(life_algorithm_and_issuer_are_the_documents),
		T(both_ends_of_an_order_are_recorded),
		T(an_audience_that_is_not_listed_is_refused_whole),
		T(a_change_of_the_list_holds_for_the_next_order),
		T(more_than_the_burst_is_refused_until_time_has_passed),
		T(one_front_has_so_many_orders_at_once),
		T(when_keys_die_open_orders_hear_it),
		T(a_front_that_died_is_forgotten_and_its_token_recorded),
		T(a_failure_of_keys_is_recorded_and_ends_the_order),
		T(without_a_record_there_is_no_order),
		T(a_caller_that_is_being_ended_gets_none),
		T(an_order_for_an_identity_of_others_kills_the_front),
		T(an_order_for_a_connection_of_others_kills_the_front),
		T(audiences_that_are_not_utf8_kill_the_front),
		T(an_empty_audience_kills_the_front),
		T(no_audience_kills_the_front),
		T(too_many_audiences_kill_the_front),
		T(an_audience_that_is_too_long_kills_the_front),
		T(order_number_zero_kills_the_front),
		T(an_order_number_that_is_open_kills_the_front),
		T(a_front_that_holds_nothing_may_not_order),
		T(keys_that_tell_of_what_was_not_ordered_are_killed),
		T(thirty_two_long_audiences_fit_into_their_record),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
