/* SPDX-License-Identifier: Apache-2.0 */
/* links: */
/* keys_test.c - the real svid-keys with its sandbox on, between a fake svidd, a fake core and fake fronts. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define ERR_STATE SVID_ERR_STATE /* libcrypto has a type of that name */
#include "agent/base/secret.h"
#include "agent/ipc/chan.h"
#include "agent/ipc/lists.h"
#include "agent/ipc/plan.h"

#define KEYS SVID_BIN "/svid-keys"
#define ID "spiffe://example.org/web"
#define WAIT_MS 20000

/* One svid-keys and our ends of its channels. */
struct rig {
	pid_t pid;
	int svidd;
	int core;
	struct buf in; /* scratch of receive() */
};

static int pair_with(int *ret_theirs)
{
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
	*ret_theirs = fds[1];
	return fds[0];
}

static void receive(struct rig *r, int fd, uint16_t type, struct chan_msg *m)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(ipc_recv(fd, &r->in, m), 0);
	assert_string_equal(msg_name(m->type), msg_name(type));
}

static bool is_closed(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char byte[64];

	for (;;) {
		ssize_t n;

		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		n = recv(fd, byte, sizeof(byte), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return true;
		if (n < 0)
			return false;
	}
}

static void start(struct rig *r)
{
	struct chan_msg m;
	int theirs;

	*r = (struct rig){ .core = -1, .in = BUF_INIT(LIM_IPC_BODY + LIM_IPC_INLINE + 64) };
	r->svidd = pair_with(&theirs);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		dup2(theirs, 3);
		execl(KEYS, "svid-keys", "--log=error", NULL);
		_exit(127);
	}
	close(theirs);
	receive(r, r->svidd, MSG_K_READY, &m);
}

static void give_seal(struct rig *r, uint8_t fill, size_t len)
{
	uint8_t key[64];
	int fd = memfd_create("seal", MFD_CLOEXEC);

	memset(key, fill, sizeof(key));
	assert_int_equal(write(fd, key, len), (ssize_t)len);
	assert_int_equal(ipc_put_fds(r->svidd, K_SEAL, 0, &fd, 1), 0);
	close(fd);
}

static void give_core(struct rig *r)
{
	int theirs;

	r->core = pair_with(&theirs);
	assert_int_equal(ipc_put_fds(r->svidd, K_CORE, 0, &theirs, 1), 0);
	close(theirs);
}

static int give_front(struct rig *r, uint32_t number)
{
	int theirs, ours = pair_with(&theirs);

	assert_int_equal(ipc_put_fds(r->svidd, K_FRONT, 0, &theirs, 1, .number = number), 0);
	close(theirs);
	return ours;
}

static void bind_front(struct rig *r, uint32_t front, const uint32_t *ids, size_t n)
{
	assert_int_equal(ipc_put(r->core, KY_BIND, 0, .front = front, .identities = slice_of(ids, n * 4)), 0);
}

static struct msg_KY_LOADED load(struct rig *r, struct slice sealed, uint32_t may_create)
{
	struct msg_KY_LOADED loaded;
	struct chan_msg m;

	assert_int_equal(ipc_put(r->core, KY_LOAD, 7, .trust_domain = slice_str("example.org"), .sealed = sealed,
				 .may_create = may_create, .ca_ttl = 86400), 0);
	receive(r, r->core, MSG_KY_LOADED, &m);
	assert_int_equal(m.id, 7);
	assert_int_equal(msg_get_KY_LOADED(m.body, &loaded), 0);
	return loaded;
}

static void start_loaded(struct rig *r)
{
	start(r);
	give_seal(r, 0x42, 32);
	give_core(r);
	assert_int_equal(load(r, slice_of(NULL, 0), 1).err, 0);
}

static void order(struct rig *r, uint32_t identity, enum key_type type)
{
	assert_int_equal(ipc_put(r->core, KY_ISSUE, identity, .identity = identity, .spiffe_id = slice_str(ID),
				 .ttl = 3600, .key_type = type), 0);
}

static struct msg_KY_ISSUED issued(struct rig *r)
{
	struct msg_KY_ISSUED answer;
	struct chan_msg m;

	receive(r, r->core, MSG_KY_ISSUED, &m);
	assert_int_equal(msg_get_KY_ISSUED(m.body, &answer), 0);
	assert_int_equal(m.id, answer.identity);
	return answer;
}

static void ask(int front, uint32_t identity, uint64_t generation)
{
	assert_int_equal(ipc_put(front, FK_GET, 5, .identity = identity, .generation = generation), 0);
}

/* The exit status, after the process ended by itself. */
static int ended(struct rig *r)
{
	int status = 0;

	for (int i = 0; i < WAIT_MS / 10; i++) {
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			r->pid = 0;
			return status;
		}
		usleep(10000);
	}
	return -1;
}

static void stop(struct rig *r)
{
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		waitpid(r->pid, NULL, 0);
	}
	close(r->svidd);
	if (r->core >= 0)
		close(r->core);
	buf_done(&r->in);
}

static void assert_dies(struct rig *r)
{
	int status = ended(r);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	stop(r);
}

static EVP_PKEY *key_of(struct slice pkcs8)
{
	const unsigned char *at = pkcs8.p;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.len);
	EVP_PKEY *key = info ? EVP_PKCS82PKEY(info) : NULL;

	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static X509 *cert_of(struct slice der)
{
	const unsigned char *at = der.p;

	return d2i_X509(NULL, &at, (long)der.len);
}

static void assert_key_fits(struct rig *r, int front, X509 *leaf)
{
	struct msg_FK_KEY got;
	struct secret *secret;
	struct chan_msg m;
	EVP_PKEY *key;

	receive(r, front, MSG_FK_KEY, &m);
	assert_int_equal(msg_get_FK_KEY(m.body, &got), 0);
	assert_int_equal(got.err, 0);
	assert_int_equal(secret_from_fd(m.fds[0], got.len, &secret), 0);
	key = key_of(slice_of(secret_bytes(secret), secret_len(secret)));
	assert_non_null(key);
	assert_int_equal(X509_check_private_key(leaf, key), 1);
	EVP_PKEY_free(key);
	secret_free(secret);
	ipc_msg_done(&m);
}

static void serves_key_of_bound_identity(void **state)
{
	static const enum key_type types[] = { KEY_EC_P256, KEY_EC_P384, KEY_RSA_2048 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		const uint32_t id = 9;
		struct msg_KY_ISSUED answer;
		struct rig r;
		X509 *leaf;
		int front;

		start_loaded(&r);
		front = give_front(&r, 1);
		bind_front(&r, 1, &id, 1);
		order(&r, id, types[i]);
		answer = issued(&r);
		assert_int_equal(answer.err, 0);
		leaf = cert_of(answer.chain);
		assert_non_null(leaf);
		ask(front, id, answer.generation);
		assert_key_fits(&r, front, leaf);
		X509_free(leaf);
		close(front);
		stop(&r);
	}
}

static void binding_may_come_before_or_after_the_channel_and_the_request(void **state)
{
	const uint32_t id = 3;
	struct msg_KY_ISSUED answer;
	int early, late;
	struct rig r;
	X509 *leaf;

	(void)state;
	start_loaded(&r);
	order(&r, id, KEY_EC_P256);
	answer = issued(&r);
	leaf = cert_of(answer.chain);
	early = give_front(&r, 1);
	ask(early, id, answer.generation); /* waits for the binding, is not condemned */
	usleep(100000);
	bind_front(&r, 1, &id, 1);
	bind_front(&r, 2, &id, 1);
	usleep(100000);
	late = give_front(&r, 2);
	ask(late, id, answer.generation);
	assert_key_fits(&r, early, leaf);
	assert_key_fits(&r, late, leaf);
	X509_free(leaf);
	close(early);
	close(late);
	stop(&r);
}

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

static void unknown_generation_is_answered_without_a_key(void **state)
{
	const uint32_t id = 1;
	struct msg_FK_NOKEY no;
	struct chan_msg m;
	struct rig r;
	int front;

	(void)state;
	start_loaded(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
	ask(front, id, 77);
	receive(&r, front, MSG_FK_NOKEY, &m);
	assert_int_equal(msg_get_FK_NOKEY(m.body, &no), 0);
	assert_int_equal(no.err, -ERR_NOT_FOUND);
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
	start_loaded(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
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
	start_loaded(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
	assert_int_equal(ipc_send(front, MSG_FK_GET, 0, slice_str("short"), NULL, 0), 0);
	assert_true(is_closed(front));
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	close(front);
	stop(&r);
}

static void sealed_state_gives_the_same_authority_again(void **state)
{
	AUTO(buf) struct buf bundle = BUF_INIT(LIM_BUNDLE);
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	struct msg_KY_LOADED loaded;
	struct rig r;

	(void)state;
	start(&r);
	give_seal(&r, 0x42, 32);
	give_core(&r);
	loaded = load(&r, slice_of(NULL, 0), 1);
	assert_int_equal(loaded.err, 0);
	assert_true(loaded.sealed.len > 0);
	buf_put_slice(&bundle, loaded.bundle);
	buf_put_slice(&sealed, loaded.sealed);
	stop(&r);

	start(&r);
	give_seal(&r, 0x42, 32);
	give_core(&r);
	loaded = load(&r, buf_slice(&sealed), 0);
	assert_int_equal(loaded.err, 0);
	assert_true(slice_eq(loaded.bundle, buf_slice(&bundle)));
	stop(&r);
}

static void another_sealing_key_never_makes_a_new_authority(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	struct msg_KY_LOADED loaded;
	struct rig r;

	(void)state;
	start(&r);
	give_seal(&r, 0x42, 32);
	give_core(&r);
	buf_put_slice(&sealed, load(&r, slice_of(NULL, 0), 1).sealed);
	stop(&r);

	start(&r);
	give_seal(&r, 0x43, 32);
	give_core(&r);
	loaded = load(&r, buf_slice(&sealed), 1);
	assert_int_equal(loaded.err, -ERR_SEALED);
	assert_int_equal(loaded.bundle.len, 0);
	assert_int_equal(loaded.sealed.len, 0);
	stop(&r);
}

static void nothing_is_made_without_leave(void **state)
{
	struct rig r;

	(void)state;
	start(&r);
	give_seal(&r, 0x42, 32);
	give_core(&r);
	assert_int_equal(load(&r, slice_of(NULL, 0), 0).err, -ERR_NOT_FOUND);
	assert_int_equal(load(&r, slice_of(NULL, 0), 1).err, 0);
	stop(&r);
}

static void rsa_does_not_delay_ec(void **state)
{
	struct rig r;

	(void)state;
	start_loaded(&r);
	for (uint32_t i = 0; i < 4; i++)
		order(&r, 100 + i, KEY_RSA_2048);
	order(&r, 1, KEY_EC_P256);
	assert_int_equal(issued(&r).identity, 1);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(issued(&r).err, 0);
	stop(&r);
}

static void refused_order_is_answered(void **state)
{
	struct msg_KY_ISSUED answer;
	struct rig r;

	(void)state;
	start_loaded(&r);
	assert_int_equal(ipc_put(r.core, KY_ISSUE, 4, .identity = 4, .spiffe_id = slice_str("spiffe://other.org/x"),
				 .ttl = 60), 0);
	answer = issued(&r);
	assert_int_equal(answer.err, -ERR_SPIFFE_ID);
	assert_int_equal(answer.chain.len, 0);
	stop(&r);
}

static void a_new_core_starts_afresh(void **state)
{
	const uint32_t id = 1;
	struct rig r;
	int front;

	(void)state;
	start_loaded(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	close(r.core);
	give_core(&r);
	assert_true(is_closed(front));
	close(front);
	assert_int_equal(load(&r, slice_of(NULL, 0), 1).err, 0);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
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
	assert_int_equal(ipc_put(r.core, KY_LOAD, 0, .trust_domain = slice_str("example.org"), .may_create = 1), 0);
	assert_dies(&r);

	start_loaded(&r); /* a key type that is not */
	order(&r, 1, (enum key_type)99);
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
		cmocka_unit_test(serves_key_of_bound_identity),
		cmocka_unit_test(binding_may_come_before_or_after_the_channel_and_the_request),
		cmocka_unit_test(front_that_asks_for_an_unbound_identity_is_cut_and_nobody_else),
		cmocka_unit_test(front_without_identities_gets_nothing),
		cmocka_unit_test(unknown_generation_is_answered_without_a_key),
		cmocka_unit_test(front_that_asks_without_end_is_cut),
		cmocka_unit_test(malformed_front_message_cuts_that_front_only),
		cmocka_unit_test(sealed_state_gives_the_same_authority_again),
		cmocka_unit_test(another_sealing_key_never_makes_a_new_authority),
		cmocka_unit_test(nothing_is_made_without_leave),
		cmocka_unit_test(rsa_does_not_delay_ec),
		cmocka_unit_test(refused_order_is_answered),
		cmocka_unit_test(a_new_core_starts_afresh),
		cmocka_unit_test(core_breaking_the_rules_ends_the_process),
		cmocka_unit_test(svidd_breaking_the_rules_ends_the_process),
		cmocka_unit_test(ends_quietly_with_svidd),
		cmocka_unit_test(is_locked_in),
	};

	return cmocka_run_group_tests_name("role/keys", tests, NULL, NULL);
}
