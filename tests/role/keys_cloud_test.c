/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/keys_world.c tests/lib/busy.c */
/* keys_cloud_test.c - svid-keys in its cage and svid-cloud's channel: its cache sealed, its JWT-SVIDs, its signatures. */
#include "tests/role/keys_world.h"

#include "agent/base/base64.h"

#define CLAIMS ",\"https://aws.amazon.com/source_identity\":\"web\""

static const struct slice nothing;

static void seal(struct rig *r, int cloud, const char *about, const char *plain, struct buf *ret_sealed)
{
	struct msg_CK_SEALED sealed;
	struct chan_msg m;

	assert_int_equal(ipc_put(cloud, CK_SEAL, 0, .order = 3, .about = slice_str(about), .plain = slice_str(plain)), 0);
	receive(r, cloud, MSG_CK_SEALED, &m);
	assert_int_equal(msg_get_CK_SEALED(m.body, &sealed), 0);
	assert_int_equal(sealed.order, 3);
	assert_int_equal(sealed.err, 0);
	buf_reset(ret_sealed);
	buf_put_slice(ret_sealed, sealed.sealed);
}

/* Sealing something shows that it is there: what core orders next comes on another channel. */
static int give_cloud(struct rig *r)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_CLOUD_SECRET);
	int theirs, cloud = pair_with(&theirs);

	assert_int_equal(ipc_put_fds(r->svidd, K_CLOUD, 0, &theirs, 1), 0);
	close(theirs);
	seal(r, cloud, "hello", "hello", &sealed);
	return cloud;
}

/* The RSA key of JWTs is there, and on disk: every key signs. */
static void start_signing(struct rig *r)
{
	start_loaded(r);
	while (!loaded_with(r, 0).jwks.len)
		;
}

static struct msg_CK_OPENED open_sealed(struct rig *r, int cloud, const char *about, struct slice sealed)
{
	struct msg_CK_OPENED opened;
	struct chan_msg m;

	assert_int_equal(ipc_put(cloud, CK_OPEN, 0, .order = 4, .about = slice_str(about), .sealed = sealed), 0);
	receive(r, cloud, MSG_CK_OPENED, &m);
	assert_int_equal(msg_get_CK_OPENED(m.body, &opened), 0);
	assert_int_equal(opened.order, 4);
	return opened;
}

static void a_secret_opens_only_as_what_it_was_sealed_as(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_CLOUD_SECRET);
	AUTO(buf) struct buf again = BUF_INIT(LIM_CLOUD_SECRET);
	struct msg_CK_OPENED opened;
	struct rig r;
	int cloud;

	(void)state;
	start(&r);
	give_seal(&r, 0x42, 32);
	cloud = give_cloud(&r);
	seal(&r, cloud, "binding 1", "the secret", &sealed);
	seal(&r, cloud, "binding 1", "the secret", &again);
	assert_false(slice_eq(buf_slice(&sealed), buf_slice(&again))); /* never the same nonce */
	assert_null(memmem(sealed.data, sealed.len, "the secret", 10));
	opened = open_sealed(&r, cloud, "binding 1", buf_slice(&sealed));
	assert_int_equal(opened.err, 0);
	assert_true(slice_eq_str(opened.plain, "the secret"));
	opened = open_sealed(&r, cloud, "binding 2", buf_slice(&sealed));
	assert_int_equal(opened.err, -ERR_SEALED);
	assert_int_equal(opened.plain.len, 0);
	sealed.data[sealed.len - 1] ^= 1;
	assert_int_equal(open_sealed(&r, cloud, "binding 1", buf_slice(&sealed)).err, -ERR_SEALED);
	assert_int_equal(open_sealed(&r, cloud, "binding 1", slice_of(sealed.data, 9)).err, -ERR_SEALED);
	close(cloud);
	stop(&r);
}

static void a_secret_outlives_svid_keys_but_not_the_sealing_key(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_CLOUD_SECRET);
	struct rig r;
	int cloud;

	(void)state;
	for (uint8_t fill = 0x42; fill < 0x45; fill++) {
		start(&r);
		give_seal(&r, fill < 0x44 ? 0x42 : 0x43, 32);
		cloud = give_cloud(&r);
		if (fill == 0x42)
			seal(&r, cloud, "about", "kept", &sealed);
		assert_int_equal(open_sealed(&r, cloud, "about", buf_slice(&sealed)).err, fill < 0x44 ? 0 : -ERR_SEALED);
		close(cloud);
		stop(&r);
	}
}

/* The authority's state is sealed with the same file: neither may ever be taken for the other. */
static void the_authority_is_not_opened_for_svid_cloud(void **state)
{
	AUTO(buf) struct buf sealed = BUF_INIT(LIM_SEALED);
	struct rig r;
	int cloud;

	(void)state;
	start_sealed(&r);
	buf_put_slice(&sealed, load(&r, nothing, 1).sealed);
	assert_true(sealed.len > 12);
	cloud = give_cloud(&r);
	assert_int_equal(open_sealed(&r, cloud, "", buf_slice(&sealed)).err, -ERR_SEALED);
	memcpy(sealed.data + 4, "SVIDCLD1", 8); /* right before its nonce */
	assert_int_equal(open_sealed(&r, cloud, "", slice_of(sealed.data + 4, sealed.len - 4)).err, -ERR_SEALED);
	close(cloud);
	stop(&r);
}

static struct msg_CK_JWT jwt_for_cloud(struct rig *r, int cloud, struct slice claims)
{
	AUTO(buf) struct buf audiences = BUF_INIT(64);
	struct msg_CK_JWT jwt;
	struct chan_msg m;

	buf_put_blob(&audiences, slice_str("sts.amazonaws.com"));
	assert_int_equal(ipc_put(r->core, KY_JWT, 31, .front = FRONT_CLOUD, .order = 8, .identity = 5,
				 .spiffe_id = slice_str(ID), .issuer = slice_str("https://oidc.example.org"), .ttl = 300,
				 .alg = JWT_ES256, .audiences = buf_slice(&audiences), .claims = claims), 0);
	receive(r, cloud, MSG_CK_JWT, &m);
	assert_int_equal(msg_get_CK_JWT(m.body, &jwt), 0);
	assert_int_equal(jwt.order, 8);
	return jwt;
}

static void token_with_its_claims_goes_to_svid_cloud(void **state)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_JWT);
	const uint8_t *from, *to;
	struct msg_CK_JWT jwt;
	struct rig r;
	int cloud;

	(void)state;
	start_signing(&r);
	cloud = give_cloud(&r);
	jwt = jwt_for_cloud(&r, cloud, slice_str(CLAIMS));
	assert_int_equal(jwt.err, 0);
	assert_int_equal(jwt.not_after, jwt.issued_at + 300);
	assert_int_equal(jwt.jti.len, 32);
	assert_true(jwt.kid.len > 0);
	from = memchr(jwt.token.p, '.', jwt.token.len);
	to = memrchr(jwt.token.p, '.', jwt.token.len);
	assert_true(from < to);
	assert_int_equal(base64_get(&claims, slice_of(from + 1, (size_t)(to - from - 1)), BASE64_URL), 0);
	assert_non_null(strstr(buf_cstr(&claims), "\"sub\":\"" ID "\"" CLAIMS "}"));
	assert_int_equal(minted(&r).err, 0);
	close(cloud);
	stop(&r);
}

static void without_svid_cloud_its_token_is_nobodys(void **state)
{
	struct rig r;

	(void)state;
	start_signing(&r);
	assert_int_equal(ipc_put(r.core, KY_JWT, 31, .front = FRONT_CLOUD, .order = 8, .identity = 5,
				 .spiffe_id = slice_str(ID), .ttl = 300, .alg = JWT_ES256,
				 .audiences = slice_of("\3\0\0\0api", 7)), 0);
	assert_int_equal(minted(&r).err, -ERR_CLOSED);
	stop(&r);
}

static void claims_for_a_front_end_the_process(void **state)
{
	struct rig r;

	(void)state;
	start_signing(&r);
	assert_int_equal(ipc_put(r.core, KY_JWT, 31, .front = 1, .order = 8, .identity = 5, .spiffe_id = slice_str(ID),
				 .ttl = 300, .alg = JWT_ES256, .audiences = slice_of("\3\0\0\0api", 7),
				 .claims = slice_str(CLAIMS)), 0);
	assert_dies(&r);
}

#define MANY 100 /* as many as fit into the socket */

static void order_for_cloud(struct rig *r, uint32_t id)
{
	AUTO(buf) struct buf audiences = BUF_INIT(64);

	buf_put_blob(&audiences, slice_str("sts.amazonaws.com"));
	assert_int_equal(ipc_put(r->core, KY_JWT, id, .front = FRONT_CLOUD, .order = id, .identity = 5,
				 .spiffe_id = slice_str(ID), .ttl = 300, .alg = JWT_RS256,
				 .audiences = buf_slice(&audiences)), 0);
}

/* A svid-cloud taken over orders all that it may: somebody else's token, ordered last, is not the last that is made. */
static void others_go_before_what_svid_cloud_ordered(void **state)
{
	unsigned int before = 0, after = 0;
	struct msg_KY_JWT_DONE done;
	struct chan_msg m;
	struct rig r;
	int cloud, front;

	(void)state;
	start_signing(&r);
	cloud = give_cloud(&r);
	front = give_front(&r, 1);
	bind_front(&r, 1, &(uint32_t){ 9 }, 1);
	attached(&r, front, 9);
	kill(r.pid, SIGSTOP); /* it finds all of them at once */
	for (uint32_t id = 100; id < 100 + MANY; id++)
		order_for_cloud(&r, id);
	order_jwt(&r, 1, 9, JWT_RS256);
	kill(r.pid, SIGCONT);
	for (bool others = false; before + after < MANY;) {
		receive(&r, r.core, MSG_KY_JWT_DONE, &m);
		assert_int_equal(msg_get_KY_JWT_DONE(m.body, &done), 0);
		assert_int_equal(done.err, 0);
		if (m.id != 31)
			assert_int_equal(m.id, 100 + before + after); /* each, in its order */
		others = others || m.id == 31;
		before += !others;
		after += others && m.id != 31;
	}
	assert_in_range(before, 0, 5);
	for (uint32_t id = 100; id < 100 + MANY; id++) {
		struct msg_CK_JWT jwt;

		receive(&r, cloud, MSG_CK_JWT, &m);
		assert_int_equal(msg_get_CK_JWT(m.body, &jwt), 0);
		assert_int_equal(jwt.order, id);
	}
	close(front);
	close(cloud);
	stop(&r);
}

/* svid-core lets svid-cloud have LIM_CLOUD_ORDERS open; one that lets it have more is broken. */
static void more_orders_than_there_can_be_end_the_process(void **state)
{
	const int room = 4 << 20;
	struct rig r;
	int cloud;

	(void)state;
	start_signing(&r);
	cloud = give_cloud(&r);
	assert_int_equal(setsockopt(r.core, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)), 0);
	kill(r.pid, SIGSTOP);
	for (uint32_t id = 100; id < 100 + LIM_CLOUD_ORDERS + 50; id++)
		order_for_cloud(&r, id);
	kill(r.pid, SIGCONT);
	assert_dies(&r);
	close(cloud);
}

/* The next svid-core's numbers begin anew: what the one before ordered is nobody's. */
static void orders_end_with_the_core_that_gave_them(void **state)
{
	struct chan_msg m;
	struct rig r;
	int cloud;

	(void)state;
	start_signing(&r);
	cloud = give_cloud(&r);
	kill(r.pid, SIGSTOP);
	for (uint32_t id = 100; id < 100 + MANY; id++)
		order_for_cloud(&r, id);
	close(r.core);
	give_core(&r);
	kill(r.pid, SIGCONT);
	assert_int_equal(load(&r, nothing, 1).err, 0);
	order(&r, 5, KEY_EC_P256);
	receive(&r, r.core, MSG_KY_ISSUED, &m); /* and nothing else */
	close(cloud);
	stop(&r);
}

/* KY_ISSUED's generation and public key, once there is one. */
static EVP_PKEY *issue(struct rig *r, uint32_t identity, enum key_type type, uint64_t *ret_generation)
{
	struct msg_KY_ISSUED i;
	EVP_PKEY *key;
	X509 *leaf;

	order(r, identity, type);
	i = issued(r);
	assert_int_equal(i.err, 0);
	*ret_generation = i.generation;
	leaf = cert_of(i.chain);
	key = X509_get_pubkey(leaf);
	assert_non_null(key);
	X509_free(leaf);
	return key;
}

static struct msg_CK_SIGNED sign(struct rig *r, int cloud, uint64_t generation, const char *text, int expect)
{
	struct msg_KY_SIGN_DONE done;
	struct msg_CK_SIGNED answer;
	struct chan_msg m;

	assert_int_equal(ipc_put(r->core, KY_SIGN, 12, .order = 6, .identity = 5, .generation = generation,
				 .text = slice_str(text)), 0);
	receive(r, r->core, MSG_KY_SIGN_DONE, &m);
	assert_int_equal(msg_get_KY_SIGN_DONE(m.body, &done), 0);
	assert_int_equal(m.id, 12);
	assert_int_equal(done.err, expect);
	receive(r, cloud, MSG_CK_SIGNED, &m);
	assert_int_equal(msg_get_CK_SIGNED(m.body, &answer), 0);
	assert_int_equal(answer.order, 6);
	assert_int_equal(answer.err, expect);
	return answer;
}

static void signature_is_of_the_key_in_the_certificate(void **state)
{
	static const enum key_type types[] = { KEY_EC_P256, KEY_RSA_2048 };
	static const char text[] = "AWS4-X509-ECDSA-SHA256\n20261122T054000Z\n20261122/eu/rolesanywhere/aws4_request\n00";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct msg_CK_SIGNED s;
		uint64_t generation;
		EVP_MD_CTX *ctx;
		EVP_PKEY *key;
		struct rig r;
		int cloud;

		start_signing(&r);
		cloud = give_cloud(&r);
		key = issue(&r, 5, types[i], &generation);
		s = sign(&r, cloud, generation, text, 0);
		ctx = EVP_MD_CTX_new();
		assert_int_equal(EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key), 1);
		assert_int_equal(EVP_DigestVerify(ctx, s.signature.p, s.signature.len, (const uint8_t *)text, strlen(text)), 1);
		assert_int_equal(sign(&r, cloud, generation + 1, text, -ERR_NOT_FOUND).signature.len, 0);
		EVP_MD_CTX_free(ctx);
		EVP_PKEY_free(key);
		close(cloud);
		stop(&r);
	}
}

/* The same key answers for the workload in TLS handshakes: a signature over one of those would be the workload to its peers. */
static void only_requests_to_roles_anywhere_are_signed(void **state)
{
	static const char *const texts[] = {
		"", "a text", "AWS4-X509-ECDSA-SHA256", "AWS4-HMAC-SHA256\n20261122T054000Z\n",
		"                                                                TLS 1.3, client CertificateVerify",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct rig r;
		int cloud;

		start_signing(&r);
		cloud = give_cloud(&r);
		assert_int_equal(ipc_put(r.core, KY_SIGN, 12, .order = 6, .identity = 5, .generation = 1,
					 .text = slice_str(texts[i])), 0);
		assert_dies(&r);
		close(cloud);
	}
}

/* It may ask for nothing that has to do with an identity; breaking the rules ends its channel, and nothing else. */
static void svid_cloud_gets_no_key(void **state)
{
	struct rig r;
	int cloud;

	(void)state;
	start_signing(&r);
	cloud = give_cloud(&r);
	order(&r, 5, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	assert_int_equal(ipc_put(cloud, FK_GET, 0, .identity = 5, .kind = SVID_X509, .generation = 1), 0);
	assert_true(is_closed(cloud));
	close(cloud);
	cloud = give_cloud(&r);
	order(&r, 5, KEY_EC_P256);
	assert_int_equal(issued(&r).err, 0);
	assert_int_equal(open_sealed(&r, cloud, "x", slice_str("y")).err, -ERR_SEALED);
	close(cloud);
	stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_secret_opens_only_as_what_it_was_sealed_as),
		cmocka_unit_test(a_secret_outlives_svid_keys_but_not_the_sealing_key),
		cmocka_unit_test(the_authority_is_not_opened_for_svid_cloud),
		cmocka_unit_test(token_with_its_claims_goes_to_svid_cloud),
		cmocka_unit_test(without_svid_cloud_its_token_is_nobodys),
		cmocka_unit_test(claims_for_a_front_end_the_process),
		cmocka_unit_test(others_go_before_what_svid_cloud_ordered),
		cmocka_unit_test(more_orders_than_there_can_be_end_the_process),
		cmocka_unit_test(orders_end_with_the_core_that_gave_them),
		cmocka_unit_test(signature_is_of_the_key_in_the_certificate),
		cmocka_unit_test(only_requests_to_roles_anywhere_are_signed),
		cmocka_unit_test(svid_cloud_gets_no_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
