/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/keys_world.c tests/lib/busy.c */
/* keys_test.c - svid-keys at work: keys reach the front they are bound to, state survives, RSA waits apart. */
#include <openssl/x509v3.h>

#include "tests/role/keys_world.h"

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

		front = start_serving(&r, id);
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
	busy_idle(r.pid);
	bind_front(&r, 1, &id, 1);
	bind_front(&r, 2, &id, 1);
	busy_idle(r.pid);
	late = give_front(&r, 2);
	ask(late, id, answer.generation);
	assert_key_fits(&r, early, leaf);
	assert_key_fits(&r, late, leaf);
	X509_free(leaf);
	close(early);
	close(late);
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
	front = start_serving(&r, id);
	ask(front, id, 77);
	receive(&r, front, MSG_FK_NOKEY, &m);
	assert_int_equal(msg_get_FK_NOKEY(m.body, &no), 0);
	assert_int_equal(no.err, -ERR_NOT_FOUND);
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
	start_sealed(&r);
	loaded = load(&r, slice_of(NULL, 0), 1);
	assert_int_equal(loaded.err, 0);
	assert_true(loaded.sealed.len > 0);
	buf_put_slice(&bundle, loaded.bundle);
	buf_put_slice(&sealed, loaded.sealed);
	stop(&r);

	start_sealed(&r);
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
	start_sealed(&r);
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
	start_sealed(&r);
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
	front = start_serving(&r, id);
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

/* Of every load another one, self-signed and for nothing: not of the trust domain, and not what signs for it. */
static void each_load_has_a_ca_that_trusts_nobody(void **state)
{
	AUTO(buf) struct buf before = BUF_INIT(LIM_NOBODY_CA);
	struct msg_KY_LOADED loaded;
	time_t far = time(NULL) + 100LL * 365 * 86400;
	char name[128];
	struct rig r;
	X509 *cert;

	(void)state;
	for (int i = 0; i < 2; i++) {
		start_sealed(&r);
		loaded = load(&r, slice_of(NULL, 0), 1);
		cert = cert_of(loaded.nobody_ca);
		assert_int_equal(X509_check_ca(cert), 1);
		assert_int_equal(X509_verify(cert, X509_get0_pubkey(cert)), 1);
		assert_true(X509_get_ext_by_NID(cert, NID_subject_alt_name, -1) < 0);
		assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof(name)) > 0);
		assert_string_equal(name, "trusts nobody");
		assert_true(X509_cmp_time(X509_get0_notAfter(cert), &far) > 0);
		assert_false(slice_eq(loaded.nobody_ca, loaded.bundle));
		assert_false(slice_eq(loaded.nobody_ca, buf_slice(&before)));
		buf_put_slice(&before, loaded.nobody_ca);
		X509_free(cert);
		stop(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(serves_key_of_bound_identity),
		cmocka_unit_test(binding_may_come_before_or_after_the_channel_and_the_request),
		cmocka_unit_test(unknown_generation_is_answered_without_a_key),
		cmocka_unit_test(sealed_state_gives_the_same_authority_again),
		cmocka_unit_test(another_sealing_key_never_makes_a_new_authority),
		cmocka_unit_test(nothing_is_made_without_leave),
		cmocka_unit_test(rsa_does_not_delay_ec),
		cmocka_unit_test(refused_order_is_answered),
		cmocka_unit_test(a_new_core_starts_afresh),
		cmocka_unit_test(each_load_has_a_ca_that_trusts_nobody),
	};

	return cmocka_run_group_tests_name("role/keys", tests, NULL, NULL);
}
