/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/keys_world.c tests/lib/busy.c */
/* keys_rules_test.c - svid-keys against siblings that break the rules, and the cage it runs in. */
#include "tests/role/keys_world.h"

static void front_that_asks_for_an_unbound_identity_is_cut_and_nobody_else(void **state)
{
	const uint32_t mine = 1, other = 2;
	struct msg_KY_ISSUED answer;
	int good, bad;
	struct rig r;
	X509 *leaf;

	(void)state;
	start_loaded(&r);
	good = give_front(&r, 1);
	bad = give_front(&r, 2);
	bind_front(&r, 1, &mine, 1);
	bind_front(&r, 2, &other, 1);
	order(&r, mine, KEY_EC_P256);
	answer = issued(&r);
	leaf = cert_of(answer.chain);
	ask(bad, mine, answer.generation);
	assert_true(is_closed(bad));
	ask(good, mine, answer.generation);
	assert_key_fits(&r, good, leaf);
	X509_free(leaf);
	close(good);
	close(bad);
	stop(&r);
}

static void front_without_identities_gets_nothing(void **state)
{
	struct msg_KY_ISSUED answer;
	struct rig r;
	int front;

	(void)state;
	start_loaded(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, NULL, 0);
	order(&r, 1, KEY_EC_P256);
	answer = issued(&r);
	ask(front, 1, answer.generation);
	assert_true(is_closed(front));
	close(front);
	stop(&r);
}

static void front_that_asks_without_end_is_cut(void **state)
{
	const uint32_t id = 1;
	struct msg_KY_ISSUED answer;
	struct rig r;
	int front;

	(void)state;
	front = start_serving(&r, id);
	order(&r, id, KEY_EC_P256);
	answer = issued(&r);
	for (int i = 0; i <= LIM_KEY_FETCHES; i++)
		ask(front, id, answer.generation);
	assert_true(is_closed(front));
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	close(front);
	stop(&r);
}

static void malformed_front_message_cuts_that_front_only(void **state)
{
	const uint32_t id = 1;
	struct rig r;
	int front;

	(void)state;
	front = start_serving(&r, id);
	assert_int_equal(ipc_send(front, MSG_FK_GET, 0, slice_str("short"), NULL, 0), 0);
	assert_true(is_closed(front));
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	close(front);
	stop(&r);
}

static void core_breaking_the_rules_ends_the_process(void **state)
{
	const uint32_t id = 1, twice[] = { 1, 1 };
	struct rig r;

	(void)state;
	start(&r); /* an order before the authority is loaded */
	give_seal(&r, 0x42, 32);
	give_core(&r);
	order(&r, 1, KEY_EC_P256);
	assert_dies(&r);

	start_loaded(&r); /* a front bound anew */
	bind_front(&r, 1, &id, 1);
	bind_front(&r, 1, &id, 1);
	assert_dies(&r);

	start_loaded(&r); /* an identity twice in one set */
	bind_front(&r, 1, twice, 2);
	assert_dies(&r);

	start_loaded(&r); /* a second authority */
	assert_int_equal(ipc_put(r.core, KY_LOAD, 0, .trust_domain = slice_str("example.org"), .may_create = 1,
				 .ca_ttl = 86400, .jwt_key_ttl = 86400), 0);
	assert_dies(&r);

	start_loaded(&r); /* a key type that is not */
	order(&r, 1, (enum key_type)99);
	assert_dies(&r);

	start_loaded(&r); /* a kind that is not */
	assert_int_equal(ipc_put(r.core, KY_ISSUE, 1, .identity = 1, .kind = SVID_KINDS, .spiffe_id = slice_str(ID),
				 .ttl = 60), 0);
	assert_dies(&r);

	start_loaded(&r); /* not a message */
	assert_int_equal(send(r.core, "garbage", 7, 0), 7);
	assert_dies(&r);

	start_loaded(&r); /* a message of somebody else */
	assert_int_equal(ipc_put(r.core, FK_GET, 0, .identity = 1, .generation = 1), 0);
	assert_dies(&r);

	start_loaded(&r); /* bytes left over */
	assert_int_equal(ipc_send(r.core, MSG_KY_FORGET, 0, slice_str("12345"), NULL, 0), 0);
	assert_dies(&r);
}

/* A token goes only where core itself said that this identity is. */
static void core_misdirecting_a_token_ends_the_process(void **state)
{
	const uint32_t mine = 1, other = 2;
	struct rig r;
	int front;

	(void)state;
	start(&r); /* before the authority is loaded */
	give_seal(&r, 0x42, 32);
	give_core(&r);
	order_jwt(&r, 1, mine, JWT_ES256);
	assert_dies(&r);

	front = start_serving(&r, mine); /* to a front of another identity */
	order_jwt(&r, 1, other, JWT_ES256);
	assert_dies(&r);
	assert_true(is_closed(front));
	close(front);

	start_loaded(&r); /* to a front of callers without identity */
	front = give_front(&r, 1);
	bind_front(&r, 1, NULL, 0);
	order_jwt(&r, 1, mine, JWT_ES256);
	assert_dies(&r);
	close(front);

	start_loaded(&r); /* to a front whose channel is there and which core never bound */
	front = give_front(&r, 1);
	busy_idle(r.pid);
	order_jwt(&r, 1, mine, JWT_ES256);
	assert_dies(&r);
	close(front);

	for (uint32_t alg = 0; alg <= JWT_ALG_COUNT; alg++) { /* by an algorithm that has no key here */
		if (alg == JWT_RS256 || alg == JWT_ES256)
			continue;
		start_loaded(&r);
		bind_front(&r, 1, &mine, 1);
		order_jwt(&r, 1, mine, alg);
		assert_dies(&r);
	}
}

static void send_verify(int front, uint32_t alg, uint32_t curve, size_t extra)
{
	struct msg_FK_VERIFY m = { .order = 3, .alg = alg, .curve = curve, .input = slice_str("a.b"),
				   .signature = slice_str("s"), .a = slice_str("x"), .b = slice_str("y") };
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);

	msg_put_FK_VERIFY(&body, &m);
	for (size_t i = 0; i < extra; i++)
		buf_put_u8(&body, 0);
	assert_int_equal(ipc_send(front, MSG_FK_VERIFY, 1, buf_slice(&body), NULL, 0), 0);
}

static void malformed_verification_cuts_that_front_only(void **state)
{
	static const struct {
		uint32_t alg, curve;
		size_t extra;
	} bad[] = { { JWT_NONE, 0, 0 }, { JWT_ALG_COUNT, 0, 0 }, { JWT_ES256, CURVE_COUNT, 0 }, { JWT_ES256, CURVE_P256, 1 } };
	struct msg_FK_VERIFIED answer;
	struct chan_msg m;
	struct rig r;
	int good;

	(void)state;
	start_loaded(&r);
	good = give_front(&r, 99);
	bind_front(&r, 99, NULL, 0); /* callers without identity may have tokens checked too */
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int front = give_front(&r, i);

		bind_front(&r, i, NULL, 0);
		send_verify(front, bad[i].alg, bad[i].curve, bad[i].extra);
		assert_true(is_closed(front));
		close(front);
	}
	send_verify(good, JWT_ES256, CURVE_P256, 0);
	receive(&r, good, MSG_FK_VERIFIED, &m);
	assert_int_equal(msg_get_FK_VERIFIED(m.body, &answer), 0);
	assert_int_equal(answer.order, 3);
	assert_int_equal(answer.err, -ERR_FORMAT);
	close(good);
	stop(&r);
}

/* The largest RSA key and exponent that are taken: milliseconds. */
static void send_slow_verify(int front)
{
	static uint8_t n[1024], e[4], signature[1024];

	memset(n, 0xff, sizeof(n));
	memset(e, 0xff, sizeof(e));
	memset(signature, 0x7f, sizeof(signature));
	assert_int_equal(ipc_put(front, FK_VERIFY, 1, .order = 3, .alg = JWT_RS256, .curve = CURVE_NONE,
				 .input = slice_str("a.b"), .signature = slice_of(signature, sizeof(signature)),
				 .a = slice_of(n, sizeof(n)), .b = slice_of(e, sizeof(e))), 0);
}

static unsigned int count_verified(struct rig *r, int front)
{
	struct pollfd p = { .fd = front, .events = POLLIN };
	struct chan_msg m;
	unsigned int n = 0;

	for (; poll(&p, 1, 0) == 1; n++)
		receive(r, front, MSG_FK_VERIFIED, &m);
	return n;
}

/* From now on what @r says to core stops it in the act: what it said before that can be counted at leisure. */
static void stop_when_it_answers(const struct rig *r)
{
	struct f_owner_ex owner = { F_OWNER_PID, r->pid };

	assert_int_equal(fcntl(r->core, F_SETOWN_EX, &owner), 0);
	assert_int_equal(fcntl(r->core, F_SETSIG, SIGSTOP), 0);
	assert_int_equal(fcntl(r->core, F_SETFL, fcntl(r->core, F_GETFL) | O_ASYNC), 0);
}

static void let_it_run(const struct rig *r)
{
	int status;

	assert_int_equal(waitpid(r->pid, &status, WUNTRACED), r->pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(kill(r->pid, SIGCONT), 0);
}

/* A front may choose keys that take milliseconds each. What others want comes between any two of them. */
static void verifications_of_one_front_hold_up_nobody_for_long(void **state)
{
	enum { MANY = 32, FEW = 2 };
	const uint32_t id = 1;
	unsigned int before;
	struct chan_msg m;
	struct rig r;
	int busy, other;

	(void)state;
	start_loaded(&r);
	while (!loaded_with(&r, 0).jwks.len) /* it has nothing more to say unasked */
		;
	busy = give_front(&r, 1);
	bind_front(&r, 1, NULL, 0);
	other = give_front(&r, 2);
	bind_front(&r, 2, &id, 1);
	attached(&r, other, id);
	send_verify(busy, JWT_ES256, CURVE_P256, 0); /* it is served as well */
	receive(&r, busy, MSG_FK_VERIFIED, &m);
	assert_int_equal(kill(r.pid, SIGSTOP), 0);
	for (int i = 0; i < MANY; i++)
		send_slow_verify(busy);
	order_jwt(&r, 2, id, JWT_ES256);
	stop_when_it_answers(&r);
	let_it_run(&r);
	assert_int_equal(minted(&r).err, 0);
	before = count_verified(&r, busy);
	let_it_run(&r);
	assert_in_range(before, 0, FEW);
	for (unsigned int i = before; i < MANY; i++)
		receive(&r, busy, MSG_FK_VERIFIED, &m);
	close(busy);
	close(other);
	stop(&r);
}

static void key_of_no_kind_cuts_that_front_only(void **state)
{
	const uint32_t id = 1;
	struct rig r;
	int front;

	(void)state;
	front = start_serving(&r, id);
	assert_int_equal(ipc_put(front, FK_GET, 0, .identity = id, .kind = SVID_KINDS, .generation = 1), 0);
	assert_true(is_closed(front));
	close(front);
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	stop(&r);
}

/* What waits for a front is our memory: it is cut, and the others get theirs. */
static void front_that_reads_no_token_is_cut(void **state)
{
	const uint32_t id = 1;
	int deaf, good, err = 0;
	struct rig r;

	(void)state;
	start_loaded(&r);
	deaf = give_front(&r, 1);
	good = give_front(&r, 2);
	bind_front(&r, 1, &id, 1);
	bind_front(&r, 2, &id, 1);
	attached(&r, deaf, id);
	attached(&r, good, id);
	for (int i = 0; i < 5000 && !err; i++) {
		order_jwt(&r, 1, id, JWT_ES256);
		err = minted(&r).err;
	}
	assert_true(err == -ERR_LIMIT || err == -ERR_CLOSED);
	assert_true(is_closed(deaf));
	order_jwt(&r, 1, id, JWT_ES256);
	assert_int_equal(minted(&r).err, -ERR_CLOSED);
	order_jwt(&r, 2, id, JWT_ES256);
	assert_int_equal(minted(&r).err, 0);
	close(deaf);
	close(good);
	stop(&r);
}

static void svidd_breaking_the_rules_ends_the_process(void **state)
{
	int theirs, ours;
	struct rig r;

	(void)state;
	start(&r); /* core before the sealing key */
	ours = pair_with(&theirs);
	assert_int_equal(ipc_put_fds(r.svidd, K_CORE, 0, &theirs, 1), 0);
	close(theirs);
	close(ours);
	assert_dies(&r);

	start(&r);
	give_seal(&r, 1, 31);
	assert_dies(&r);

	start(&r);
	give_seal(&r, 1, 33);
	assert_dies(&r);

	start(&r); /* a second sealing key */
	give_seal(&r, 1, 32);
	give_seal(&r, 2, 32);
	assert_dies(&r);

	start(&r); /* one front number twice */
	give_seal(&r, 1, 32);
	close(give_front(&r, 1));
	ours = give_front(&r, 2);
	close(give_front(&r, 2));
	assert_dies(&r);
	close(ours);
}

static void ends_quietly_with_svidd(void **state)
{
	struct rig r;

	(void)state;
	start_loaded(&r);
	shutdown(r.svidd, SHUT_RDWR);
	assert_int_equal(ended(&r), 0);
	stop(&r);
}

static long status_of(pid_t pid, const char *task, const char *name)
{
	char path[64], line[256];
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/%s/status", (int)pid, task);
	f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
			value = strtol(line + strlen(name) + 1, NULL, 10);
	fclose(f);
	return value;
}

static void is_locked_in(void **state)
{
	char path[64], task[64];
	struct rig r;

	(void)state;
	start_loaded(&r);
	assert_int_equal(status_of(r.pid, ".", "Threads"), 3);
	for (pid_t t = r.pid; t < r.pid + 64; t++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)r.pid, (int)t);
		if (access(path, F_OK))
			continue;
		snprintf(task, sizeof(task), "task/%d", (int)t);
		assert_int_equal(status_of(r.pid, task, "Seccomp"), 2);
		assert_int_equal(status_of(r.pid, task, "NoNewPrivs"), 1);
	}
#ifndef SVID_SAN
	assert_true(status_of(r.pid, ".", "VmLck") > 0);
#endif
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(front_that_asks_for_an_unbound_identity_is_cut_and_nobody_else),
		cmocka_unit_test(verifications_of_one_front_hold_up_nobody_for_long),
		cmocka_unit_test(front_without_identities_gets_nothing),
		cmocka_unit_test(front_that_asks_without_end_is_cut),
		cmocka_unit_test(malformed_front_message_cuts_that_front_only),
		cmocka_unit_test(core_breaking_the_rules_ends_the_process),
		cmocka_unit_test(core_misdirecting_a_token_ends_the_process),
		cmocka_unit_test(malformed_verification_cuts_that_front_only),
		cmocka_unit_test(key_of_no_kind_cuts_that_front_only),
		cmocka_unit_test(front_that_reads_no_token_is_cut),
		cmocka_unit_test(svidd_breaking_the_rules_ends_the_process),
		cmocka_unit_test(ends_quietly_with_svidd),
		cmocka_unit_test(is_locked_in),
	};

	return cmocka_run_group_tests_name("role/keys_rules", tests, NULL, NULL);
}
