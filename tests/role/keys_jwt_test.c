/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/keys_world.c tests/lib/busy.c */
/* keys_jwt_test.c - svid-keys in its cage: JWT-SVIDs, WIT-SVIDs, signature checks, and keys that follow each other. */
#include "tests/role/keys_world.h"

#include <jansson.h>

#include "agent/base/base64.h"
#include "agent/base/clock.h"

#define LIFE 6 /* seconds, so that a test sees every step */

static json_t *parse(struct slice text)
{
	json_t *json = json_loadb((const char *)text.p, text.len, JSON_REJECT_DUPLICATES, NULL);

	assert_non_null(json);
	return json;
}

static const char *text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	assert_non_null(s);
	return s;
}

static size_t n_keys(struct slice jwks)
{
	json_t *set = jwks.len ? parse(jwks) : NULL;
	size_t n = json_array_size(json_object_get(set, "keys"));

	json_decref(set);
	return n;
}

static bool has_kid(struct slice jwks, const char *kid)
{
	json_t *set = parse(jwks), *jwk;
	bool found = false;
	size_t i;

	json_array_foreach(json_object_get(set, "keys"), i, jwk)
		found = found || strcmp(text(jwk, "kid"), kid) == 0;
	json_decref(set);
	return found;
}

/* The first KY_LOADED that has JWT keys, copied. */
static void wait_for_jwks(struct rig *r, struct buf *jwks)
{
	struct msg_KY_LOADED loaded;

	do
		loaded = loaded_with(r, 0);
	while (!loaded.jwks.len);
	buf_reset(jwks);
	buf_put_slice(jwks, loaded.jwks);
}

static void a_new_authority_serves_x509_before_its_rsa_key_is_there(void **state)
{
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS);
	const uint32_t id = 1;
	struct msg_KY_LOADED loaded;
	struct msg_FK_JWT refused;
	struct msg_KY_ISSUED x509;
	struct chan_msg m;
	struct rig r;
	int front;

	(void)state;
	start_sealed(&r);
	front = give_front(&r, 1);
	busy_idle(r.pid);
	send_load(&r, slice_of(NULL, 0), 1);
	loaded = loaded_with(&r, 7);
	assert_int_equal(loaded.jwks.len, 0);
	assert_int_equal(loaded.wit_jwks.len, 0);
	r.full_disk = true; /* should the RSA key be quicker than this test: it is not on disk */
	bind_front(&r, 1, &id, 1);
	order_jwt(&r, 1, id, JWT_RS256);
	order(&r, id, KEY_EC_P256);
	receive(&r, front, MSG_FK_JWT, &m);
	assert_int_equal(msg_get_FK_JWT(m.body, &refused), 0);
	assert_int_equal(refused.err, -ERR_NOT_READY);
	assert_int_equal(minted(&r).err, -ERR_NOT_READY);
	x509 = issued(&r);
	assert_int_equal(x509.err, 0);
	wait_for_jwks(&r, &jwks);
	assert_int_equal(n_keys(buf_slice(&jwks)), 2);
	close(front);
	stop(&r);
}

static void a_key_signs_nothing_before_it_is_on_disk(void **state)
{
	const uint32_t id = 1;
	struct msg_KY_LOADED loaded;
	struct msg_FK_JWT token;
	struct chan_msg m;
	struct rig r;
	uint32_t first;
	int front;

	(void)state;
	start_sealed(&r);
	front = give_front(&r, 1);
	r.full_disk = true;
	first = load(&r, slice_of(NULL, 0), 1).serial;
	bind_front(&r, 1, &id, 1);
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, -ERR_NOT_READY);
	do
		loaded = loaded_with(&r, 0);
	while (!loaded.jwks.len);
	assert_int_equal(ipc_put(r.core, KY_STORED, 0, .serial = first), 0); /* says nothing of the newer one */
	order_jwt(&r, 1, id, JWT_RS256);
	receive(&r, front, MSG_FK_JWT, &m);
	assert_int_equal(msg_get_FK_JWT(m.body, &token), 0);
	assert_int_equal(token.err, -ERR_NOT_READY);
	assert_int_equal(minted(&r).err, -ERR_NOT_READY);
	assert_int_equal(ipc_put(r.core, KY_STORED, 0, .serial = loaded.serial), 0);
	order(&r, id, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	order_jwt(&r, 1, id, JWT_RS256);
	assert_int_equal(minted(&r).err, 0);
	close(front);
	stop(&r);
}

struct minting {
	struct rig r;
	int front;
	struct buf jwks;
};

static void start_minting(struct minting *w, uint32_t id)
{
	*w = (struct minting){ .jwks = BUF_INIT(LIM_JWKS) };
	start_loaded(&w->r);
	wait_for_jwks(&w->r, &w->jwks);
	w->front = give_front(&w->r, 1);
	bind_front(&w->r, 1, &id, 1);
	attached(&w->r, w->front, id);
}

static void stop_minting(struct minting *w)
{
	close(w->front);
	stop(&w->r);
	buf_done(&w->jwks);
}

/* Takes a token and its key out of a key set, as a front does. */
static void ask_verify(int front, struct slice token, struct slice jwks, const char *kid, uint32_t alg)
{
	AUTO(buf) struct buf a = BUF_INIT(2048);
	AUTO(buf) struct buf b = BUF_INIT(2048);
	AUTO(buf) struct buf signature = BUF_INIT(2048);
	const uint8_t *dot = memrchr(token.p, '.', token.len);
	struct slice input = slice_of(token.p, (size_t)(dot - token.p));
	json_t *set = parse(jwks), *jwk;
	size_t i;

	assert_int_equal(base64_get(&signature, slice_of(dot + 1, token.len - input.len - 1), BASE64_URL), 0);
	json_array_foreach(json_object_get(set, "keys"), i, jwk)
	{
		if (strcmp(text(jwk, "kid"), kid) != 0)
			continue;
		assert_int_equal(base64_get(&a, slice_str(text(jwk, alg == JWT_RS256 ? "n" : "x")), BASE64_URL), 0);
		assert_int_equal(base64_get(&b, slice_str(text(jwk, alg == JWT_RS256 ? "e" : "y")), BASE64_URL), 0);
	}
	json_decref(set);
	assert_int_equal(ipc_put(front, FK_VERIFY, 9, .order = 77, .alg = alg,
				 .curve = alg == JWT_RS256 ? CURVE_NONE : CURVE_P256, .input = input,
				 .signature = buf_slice(&signature), .a = buf_slice(&a), .b = buf_slice(&b)), 0);
}

static int verified(struct rig *r, int front)
{
	struct msg_FK_VERIFIED answer;
	struct chan_msg m;

	receive(r, front, MSG_FK_VERIFIED, &m);
	assert_int_equal(msg_get_FK_VERIFIED(m.body, &answer), 0);
	assert_int_equal(answer.order, 77);
	assert_int_equal(m.id, 9);
	return answer.err;
}

static void token_goes_to_the_front_and_news_of_it_to_core(void **state)
{
	static const uint32_t algs[] = { JWT_RS256, JWT_ES256 };
	struct minting w;

	(void)state;
	start_minting(&w, 5);
	for (size_t i = 0; i < ARRAY_SIZE(algs); i++) {
		AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
		AUTO(buf) struct buf kid = BUF_INIT(64);
		struct msg_KY_JWT_DONE done;
		struct msg_FK_JWT jwt;
		struct chan_msg m;
		int64_t end;

		order_jwt(&w.r, 1, 5, algs[i]);
		receive(&w.r, w.front, MSG_FK_JWT, &m);
		assert_int_equal(msg_get_FK_JWT(m.body, &jwt), 0);
		assert_int_equal(jwt.err, 0);
		assert_int_equal(jwt.order, 31);
		assert_int_equal(jwt.not_after, jwt.issued_at + 300);
		end = jwt.not_after;
		buf_put_slice(&token, jwt.token);
		done = minted(&w.r);
		assert_int_equal(done.err, 0);
		assert_int_equal(done.not_after, end);
		assert_int_equal(done.jti.len, 32);
		buf_put_slice(&kid, done.kid);
		assert_true(has_kid(buf_slice(&w.jwks), buf_cstr(&kid)));
		ask_verify(w.front, buf_slice(&token), buf_slice(&w.jwks), buf_cstr(&kid), algs[i]);
		assert_int_equal(verified(&w.r, w.front), 0);
		token.data[5] ^= 1; /* of the header, which is signed text here and no more */
		ask_verify(w.front, buf_slice(&token), buf_slice(&w.jwks), buf_cstr(&kid), algs[i]);
		assert_int_equal(verified(&w.r, w.front), -ERR_SIGNATURE);
	}
	stop_minting(&w);
}

static void refused_token_is_answered_to_both(void **state)
{
	struct msg_FK_JWT jwt;
	struct minting w;
	struct chan_msg m;

	(void)state;
	start_minting(&w, 5);
	assert_int_equal(ipc_put(w.r.core, KY_JWT, 31, .front = 1, .order = 8, .identity = 5,
				 .spiffe_id = slice_str("spiffe://other.org/a"), .ttl = 300, .alg = JWT_ES256), 0);
	receive(&w.r, w.front, MSG_FK_JWT, &m);
	assert_int_equal(msg_get_FK_JWT(m.body, &jwt), 0);
	assert_int_equal(jwt.order, 8);
	assert_int_equal(jwt.err, -ERR_SPIFFE_ID);
	assert_int_equal(jwt.token.len, 0);
	assert_int_equal(minted(&w.r).err, -ERR_SPIFFE_ID);
	stop_minting(&w);
}

/* It ended while the order was on its way: nobody's fault. */
static void token_for_a_front_that_is_gone_is_nobodys_fault(void **state)
{
	struct minting w;

	(void)state;
	start_minting(&w, 5);
	order_jwt(&w.r, 2, 5, JWT_ES256);
	assert_int_equal(minted(&w.r).err, -ERR_CLOSED);
	close(w.front);
	busy_idle(w.r.pid);
	order_jwt(&w.r, 1, 5, JWT_ES256);
	assert_int_equal(minted(&w.r).err, -ERR_CLOSED);
	w.front = give_front(&w.r, 3);
	bind_front(&w.r, 4, &(const uint32_t){ 5 }, 1); /* and one whose channel svidd did not bring yet */
	order_jwt(&w.r, 4, 5, JWT_ES256);
	assert_int_equal(minted(&w.r).err, -ERR_NOT_READY);
	stop_minting(&w);
}

/* More than its share was under way all the time, but it took them: that is what a busy front looks like. */
static void a_front_that_reads_late_gets_every_token(void **state)
{
	const uint32_t id = 5;
	int tiny = 1, theirs, front;
	struct chan_msg m;
	struct rig r;

	(void)state;
	start_loaded(&r);
	front = pair_with(&theirs);
	assert_int_equal(setsockopt(theirs, SOL_SOCKET, SO_SNDBUF, &tiny, sizeof(tiny)), 0); /* so that answers wait */
	assert_int_equal(ipc_put_fds(r.svidd, K_FRONT, 0, &theirs, 1, .number = 1), 0);
	close(theirs);
	bind_front(&r, 1, &id, 1);
	attached(&r, front, id);
	for (int i = 0; i < 500; i++) {
		order_jwt(&r, 1, id, JWT_ES256);
		assert_int_equal(minted(&r).err, 0);
		if (i >= LIM_JWT_ORDERS)
			receive(&r, front, MSG_FK_JWT, &m);
	}
	for (int i = 0; i < LIM_JWT_ORDERS; i++)
		receive(&r, front, MSG_FK_JWT, &m);
	close(front);
	stop(&r);
}

static void sealed_state_brings_every_key_again(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	AUTO(buf) struct buf jwks = BUF_INIT(LIM_JWKS);
	AUTO(buf) struct buf wit = BUF_INIT(LIM_JWKS);
	struct msg_KY_LOAD how = { .may_create = 1, .ca_ttl = 86400, .jwt_key_ttl = 86400, .wit = 1 };
	struct msg_KY_LOADED loaded;
	struct rig r;

	(void)state;
	start_sealed(&r);
	assert_int_equal(load_with(&r, &how).err, 0);
	loaded = loaded_with(&r, 0);
	buf_put_slice(&sealed, loaded.sealed);
	buf_put_slice(&jwks, loaded.jwks);
	buf_put_slice(&wit, loaded.wit_jwks);
	assert_int_equal(n_keys(buf_slice(&jwks)), 2);
	assert_int_equal(n_keys(buf_slice(&wit)), 1);
	stop(&r);

	start_sealed(&r);
	how.sealed = buf_slice(&sealed);
	how.may_create = 0;
	loaded = load_with(&r, &how);
	assert_int_equal(loaded.err, 0);
	assert_true(slice_eq(loaded.jwks, buf_slice(&jwks))); /* at once */
	assert_true(slice_eq(loaded.wit_jwks, buf_slice(&wit)));
	assert_int_equal(loaded.sealed.len, 0); /* core has it already */
	stop(&r);
}

static size_t n_certs(struct slice der)
{
	const unsigned char *at = der.p;
	size_t n = 0;

	while (at < der.p + der.len) {
		X509 *cert = d2i_X509(NULL, &at, der.p + der.len - at);

		assert_non_null(cert);
		X509_free(cert);
		n++;
	}
	return n;
}

/* Two lives of six seconds: one root and two, in turn; each step with a state to store; X.509 goes on meanwhile. */
static void keys_follow_each_other_while_svids_are_issued(void **state)
{
	struct msg_KY_LOAD how = { .may_create = 1, .ca_ttl = LIFE, .jwt_key_ttl = LIFE, .wit = 1 };
	AUTO(buf) struct buf bundle = BUF_INIT(LIM_BUNDLE);
	unsigned int roots_seen[4] = { 0 }, steps = 0;
	uint64_t end;
	struct rig r;

	(void)state;
	start_sealed(&r);
	assert_int_equal(load_with(&r, &how).err, 0);
	for (end = clock_boot_ns() + 2 * LIFE * NS_PER_S; clock_boot_ns() < end; steps++) {
		struct msg_KY_LOADED loaded = loaded_with(&r, 0);
		size_t n = n_certs(loaded.bundle);

		assert_in_range(n, 1, 3);
		roots_seen[n]++;
		assert_true(loaded.sealed.len > 0);
		assert_true(loaded.not_after > clock_wall_s() - 1);
		if (loaded.jwks.len)
			assert_in_range(n_keys(loaded.jwks), 2, 6);
		assert_in_range(n_keys(loaded.wit_jwks), 1, 3);
		buf_reset(&bundle);
		buf_put_slice(&bundle, loaded.bundle);
		order(&r, 1, KEY_EC_P256);
		assert_int_equal(issued(&r).err, 0);
	}
	assert_true(steps >= 5);
	assert_true(roots_seen[2] >= 2);
	stop(&r);
}

/* Both lives are over before anybody starts it again. */
static void a_state_from_long_ago_is_brought_forward(void **state)
{
	struct msg_KY_LOAD how = { .may_create = 1, .ca_ttl = 4, .jwt_key_ttl = 4 };
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	AUTO(buf) struct buf old = BUF_INIT(LIM_BUNDLE);
	struct msg_KY_LOADED loaded;
	struct rig r;

	(void)state;
	start_sealed(&r);
	loaded = load_with(&r, &how);
	buf_put_slice(&sealed, loaded.sealed);
	buf_put_slice(&old, loaded.bundle);
	stop(&r);
	sleep(5);

	start_sealed(&r);
	how = (struct msg_KY_LOAD){ .sealed = buf_slice(&sealed), .ca_ttl = 600, .jwt_key_ttl = 600 };
	loaded = load_with(&r, &how);
	assert_int_equal(loaded.err, 0);
	assert_int_equal(n_certs(loaded.bundle), 1);
	assert_false(slice_eq(loaded.bundle, buf_slice(&old)));
	assert_true(loaded.sealed.len > 0);
	assert_true(loaded.not_after > clock_wall_s() + 500);
	order(&r, 1, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	assert_int_equal(n_keys(loaded_with(&r, 0).jwks), 2);
	stop(&r);
}

static void order_wit(struct rig *r, uint32_t identity)
{
	assert_int_equal(ipc_put(r->core, KY_ISSUE, identity, .identity = identity, .kind = SVID_WIT, .spiffe_id = slice_str(ID),
				 .ttl = 3600), 0);
}

static json_t *wit_claims(struct slice token)
{
	AUTO(buf) struct buf raw = BUF_INIT(LIM_JWT);
	const uint8_t *from = memchr(token.p, '.', token.len), *to;

	assert_non_null(from++);
	to = memchr(from, '.', token.len - (size_t)(from - token.p));
	assert_int_equal(base64_get(&raw, slice_of(from, (size_t)(to - from)), BASE64_URL), 0);
	return parse(buf_slice(&raw));
}

static void wit_comes_with_a_private_jwk_for_its_front(void **state)
{
	struct msg_KY_LOAD how = { .may_create = 1, .ca_ttl = 86400, .jwt_key_ttl = 86400, .wit = 1 };
	const uint32_t id = 9;
	struct msg_KY_ISSUED answer;
	struct msg_FK_KEY got;
	struct secret *secret;
	struct chan_msg m;
	json_t *claims, *jwk;
	struct rig r;
	int front;

	(void)state;
	start_sealed(&r);
	assert_int_equal(load_with(&r, &how).err, 0);
	front = give_front(&r, 1);
	bind_front(&r, 1, &id, 1);
	order(&r, id, KEY_EC_P256);
	(void)issued(&r);
	order_wit(&r, id);
	answer = issued(&r);
	assert_int_equal(answer.err, 0);
	assert_int_equal(answer.kind, SVID_WIT);
	assert_int_equal(answer.not_after, answer.not_before + 3600);
	claims = wit_claims(answer.chain);
	assert_true(slice_eq_str(answer.serial, text(claims, "jti")));
	assert_int_equal(ipc_put(front, FK_GET, 5, .identity = id, .kind = SVID_WIT, .generation = answer.generation), 0);
	receive(&r, front, MSG_FK_KEY, &m);
	assert_int_equal(msg_get_FK_KEY(m.body, &got), 0);
	assert_int_equal(got.kind, SVID_WIT);
	assert_int_equal(secret_from_fd(m.fds[0], got.len, &secret), 0);
	jwk = parse(slice_of(secret_bytes(secret), secret_len(secret)));
	assert_string_equal(text(jwk, "x"), text(json_object_get(json_object_get(claims, "cnf"), "jwk"), "x"));
	(void)text(jwk, "d");
	secret_free(secret);
	ipc_msg_done(&m);
	json_decref(jwk);
	json_decref(claims);
	ask(front, id, answer.generation); /* of the other kind */
	receive(&r, front, MSG_FK_NOKEY, &m);
	close(front);
	stop(&r);
}

static void wit_is_refused_where_the_profile_is_off(void **state)
{
	struct rig r;

	(void)state;
	start_loaded(&r);
	order_wit(&r, 1);
	assert_int_equal(issued(&r).err, -ERR_PROFILE);
	stop(&r);
}

static void lives_out_of_bounds_load_nothing(void **state)
{
	static const struct msg_KY_LOAD bad[] = {
		{ .may_create = 1, .ca_ttl = 3, .jwt_key_ttl = 86400 },
		{ .may_create = 1, .ca_ttl = LIM_CA_TTL_S + 1, .jwt_key_ttl = 86400 },
		{ .may_create = 1, .ca_ttl = 86400, .jwt_key_ttl = 3 },
		{ .may_create = 1, .ca_ttl = 86400, .jwt_key_ttl = LIM_JWT_KEY_TTL_S + 1 },
	};
	struct rig r;

	(void)state;
	start_sealed(&r);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(load_with(&r, &bad[i]).err, -ERR_FORMAT);
	assert_int_equal(load(&r, slice_of(NULL, 0), 1).err, 0);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_authority_serves_x509_before_its_rsa_key_is_there),
		cmocka_unit_test(a_key_signs_nothing_before_it_is_on_disk),
		cmocka_unit_test(token_goes_to_the_front_and_news_of_it_to_core),
		cmocka_unit_test(refused_token_is_answered_to_both),
		cmocka_unit_test(token_for_a_front_that_is_gone_is_nobodys_fault),
		cmocka_unit_test(a_front_that_reads_late_gets_every_token),
		cmocka_unit_test(sealed_state_brings_every_key_again),
		cmocka_unit_test(keys_follow_each_other_while_svids_are_issued),
		cmocka_unit_test(a_state_from_long_ago_is_brought_forward),
		cmocka_unit_test(wit_comes_with_a_private_jwk_for_its_front),
		cmocka_unit_test(wit_is_refused_where_the_profile_is_off),
		cmocka_unit_test(lives_out_of_bounds_load_nothing),
	};

	return cmocka_run_group_tests_name("role/keys_jwt", tests, NULL, NULL);
}
