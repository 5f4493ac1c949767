// SPDX-License-Identifier: Apache-2.0
/* links: workloadapi agent/keys/verify.c tests/lib/workload.c tests/lib/jose.c */
/*
 * validate_test.c - ValidateJWTSVID between a client and a svid-keys that is slow, silent, wrong, or the real check
 * over tokens that libcrypto signed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"
#include "agent/ipc/lists.h"
#include "agent/keys/verify.h"
#include "gen/workload.pb-c.h"
#include "tests/lib/jose.h"
#include "tests/lib/workload.h"
#include "workloadapi/jwks.h"
#include "workloadapi/publish.h"

#define METHOD "/SpiffeWorkloadAPI/ValidateJWTSVID"
#define ASKED 80
#define FAR "4102444800"
#define OWN "{\"sub\":\"spiffe://td.test/w\",\"aud\":[\"a\",\"b\"],\"exp\":" FAR ",\"iat\":1,\"x\":{\"y\":[true]}}"
#define FOREIGN "{\"sub\":\"spiffe://f0.test/w\",\"aud\":\"a\",\"exp\":" FAR ",\"groups\":[\"root\"]}"
#define EC_KEY(more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE\"," \
		     "\"y\":\"AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI\"" more "}"
#define ONE_KEY "{\"keys\":[" EC_KEY(",\"kid\":\"k\"") "]}"

struct world {
	struct api api;
	struct peer *p;
	struct buf asked[ASKED]; /* the FK_VERIFYs, encoded */
	size_t n_asked;
	size_t pushes;
	int refuse; /* what asking ends with */
};

static struct world *world_of(struct api *a)
{
	return container_of(a, struct world, api);
}

static void on_poke(struct api *a, struct grpc_conn *g)
{
	(void)g;
	world_of(a)->pushes++;
}

static int on_order(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m)
{
	(void)a;
	(void)g;
	(void)m;
	return -ERR_NOT_READY;
}

static int on_verify(struct api *a, const struct msg_FK_VERIFY *m)
{
	struct world *w = world_of(a);

	if (w->refuse)
		return w->refuse;
	assert_true(w->n_asked < ASKED);
	w->asked[w->n_asked] = (struct buf)BUF_INIT(1 << 20);
	msg_put_FK_VERIFY(&w->asked[w->n_asked], m);
	if (buf_ok(&w->asked[w->n_asked])) {
		buf_done(&w->asked[w->n_asked]);
		return -ENOMEM;
	}
	w->n_asked++;
	return 0;
}

static const struct api_ops ops = { on_poke, on_order, on_verify };

static struct msg_FK_VERIFY asked(const struct world *w, size_t i)
{
	struct msg_FK_VERIFY m;

	assert_true(i < w->n_asked);
	assert_int_equal(msg_get_FK_VERIFY(buf_slice(&w->asked[i]), &m), 0);
	return m;
}

/* As svid-core would send it: @own and @foreign are JWK Sets, of td.test and f0.test. */
static void serve(struct world *w, uint64_t version, size_t identities, const char *own, const char *foreign)
{
	AUTO(buf) struct buf body = BUF_INIT(LIM_IPC_BODY);
	AUTO(buf) struct buf feds = BUF_INIT(LIM_IPC_BODY);
	AUTO(buf) struct buf changed = BUF_INIT(LIM_IPC_BODY);
	struct fed_bundle fed = { .trust_domain_id = slice_str("spiffe://f0.test"), .jwks = slice_str(foreign) };
	struct keyring ring;
	struct msg_F_SET m;
	struct set *set;

	test_set_body(&body, version, identities, 0, 64);
	assert_int_equal(msg_get_F_SET(buf_slice(&body), &m), 0);
	m.jwks = slice_str(own);
	if (foreign)
		list_put_fed(&feds, &fed);
	m.federated = buf_slice(&feds);
	msg_put_F_SET(&changed, &m);
	assert_int_equal(set_new(buf_slice(&changed), &set), 0);
	keyring_init(&ring);
	for (size_t i = 0; i < set->n_keys; i++) {
		assert_int_equal(keyring_ask(&ring, set->keys[i]), 0);
		keyring_put(&ring, set->keys[i], test_key(set->keys[i].kind));
	}
	assert_int_equal(publish(&w->api, &ring, set), 0);
	keyring_done(&ring);
}

static int set_up(void **state)
{
	struct world *w = mem_new(struct world);

	assert_non_null(w);
	assert_int_equal(api_init(&w->api), 0);
	w->api.ops = &ops;
	w->api.now = 1000 * NS_PER_S;
	w->p = peer_new(&w->api, false);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	if (w->p)
		peer_free(w->p);
	api_done(&w->api);
	for (size_t i = 0; i < w->n_asked; i++)
		buf_done(&w->asked[i]);
	mem_free(w);
	return 0;
}

static struct answer *call(struct world *w, const char *audience, struct slice token)
{
	AUTO(buf) struct buf b = BUF_INIT(1 << 20);
	struct answer *a;

	pb_put(&b, 1, slice_str(audience));
	pb_put(&b, 2, token);
	a = peer_send(w->p, METHOD, buf_slice(&b));
	peer_run(w->p);
	return a;
}

static struct answer *call_with(struct world *w, const char *header, const char *claims)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);

	jose_token(&token, header, claims, slice_str("signature"));
	return call(w, "a", buf_slice(&token));
}

static int say(struct world *w, uint32_t order, int err)
{
	struct msg_FK_VERIFIED m = { .order = order, .err = err };
	int said = checks_answer(&w->api, &m);

	peer_run(w->p);
	return said;
}

static void expect_end(const struct answer *a, enum grpc_status status, const char *message)
{
	if (a->grpc != (int)status || strcmp(a->message, message))
		fail_msg("%d \"%s\" instead of %d \"%s\"", a->grpc, a->message, (int)status, message);
	assert_int_equal(a->body.len, 0);
}

static ValidateJWTSVIDResponse *good(const struct answer *a)
{
	struct slice s = buf_slice(&a->body);
	ValidateJWTSVIDResponse *r;

	if (a->grpc != GRPC_OK)
		fail_msg("%d \"%s\"", a->grpc, a->message);
	(void)slice_get_bytes(&s, GRPC_PREFIX);
	r = validate_jwtsvidresponse__unpack(NULL, s.len, s.p);
	assert_non_null(r);
	return r;
}

static void mandatory_fields_come_first(void **state)
{
	struct world *w = *state;
	struct answer *a;

	serve(w, 1, 0, "{\"keys\":[]}", NULL); /* even before "no identity" */
	expect_end(call(w, "", slice_str("x.y.z")), GRPC_INVALID_ARGUMENT, "audience must be specified");
	expect_end(call(w, "a", slice_str("")), GRPC_INVALID_ARGUMENT, "svid must be specified");
	expect_end(call(w, "", slice_str("")), GRPC_INVALID_ARGUMENT, "audience must be specified");
	expect_end(call(w, "\xff", slice_str("x.y.z")), GRPC_INVALID_ARGUMENT, "request cannot be parsed");
	a = peer_send(w->p, METHOD, slice_str("\x08\x01")); /* a number where the audience belongs */
	peer_run(w->p);
	expect_end(a, GRPC_INVALID_ARGUMENT, "request cannot be parsed");
	assert_int_equal(w->n_asked, 0);
}

static void callers_without_identity_are_refused(void **state)
{
	struct world *w = *state;

	serve(w, 1, 0, ONE_KEY, NULL);
	expect_end(call_with(w, "{\"alg\":\"ES256\"}", OWN), GRPC_PERMISSION_DENIED, "no identity issued");
}

static void a_good_token_comes_back_with_its_claims(void **state)
{
	struct world *w = *state;
	struct msg_FK_VERIFY m;
	ValidateJWTSVIDResponse *r;
	struct answer *a;
	AUTO(buf) struct buf input = BUF_INIT(LIM_JWT);

	serve(w, 1, 1, ONE_KEY, NULL);
	a = call_with(w, "{\"alg\":\"ES256\",\"kid\":\"k\"}", OWN);
	assert_int_equal(a->grpc, -1);
	m = asked(w, 0);
	jose_input(&input, "{\"alg\":\"ES256\",\"kid\":\"k\"}", OWN);
	assert_true(slice_eq(m.input, buf_slice(&input)));
	assert_true(slice_eq_str(m.signature, "signature"));
	assert_int_equal(m.alg, JWT_ES256);
	assert_int_equal(m.curve, CURVE_P256);
	assert_true(m.a.len == 32 && m.a.p[31] == 1 && m.b.len == 32 && m.b.p[0] == 2);
	assert_int_equal(say(w, m.order, 0), 0);
	assert_int_equal(w->pushes, 1);
	r = good(a);
	assert_string_equal(r->spiffe_id, "spiffe://td.test/w");
	assert_int_equal(r->claims->n_fields, 5);
	validate_jwtsvidresponse__free_unpacked(r, NULL);
}

static void foreign_tokens_are_checked_with_their_own_bundle(void **state)
{
	struct world *w = *state;
	ValidateJWTSVIDResponse *r;
	struct answer *a;

	serve(w, 1, 1, "{\"keys\":[" EC_KEY(",\"kid\":\"own\"") "]}", "{\"keys\":[" EC_KEY(",\"kid\":\"f\"") "]}");
	a = call_with(w, "{\"alg\":\"ES256\",\"kid\":\"f\"}", FOREIGN); /* JB-8 */
	assert_int_equal(say(w, asked(w, 0).order, 0), 0);
	r = good(a);
	assert_string_equal(r->spiffe_id, "spiffe://f0.test/w");
	assert_int_equal(r->claims->n_fields, 3); /* without groups */
	validate_jwtsvidresponse__free_unpacked(r, NULL);
	/* JV-17: a key of one trust domain says nothing about another */
	expect_end(call_with(w, "{\"alg\":\"ES256\",\"kid\":\"own\"}", FOREIGN), GRPC_INVALID_ARGUMENT,
		   "token kid names no key of its trust domain");
	assert_int_equal(w->n_asked, 1);
}

#define NO_BUNDLE "no JWT bundle for the token's trust domain: "

static void each_refusal_has_its_reason(void **state)
{
	static const struct {
		const char *header, *claims, *why;
	} rows[] = {
		{ "{\"alg\":\"none\"}", OWN,
		  "token alg is not one of RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512" },
		{ "{\"alg\":\"ES256\"}", "{}", "token has no sub" },
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://td.test/a//b\"}",
		  "token sub is not a SPIFFE ID: empty path segment or trailing slash" },
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://td.test/w\",\"aud\":\"b\",\"exp\":" FAR "}",
		  "token is not for this audience" },
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://td.test/w\",\"aud\":\"a\",\"exp\":1}", "token has expired" },
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://td.test/w\",\"aud\":\"a\",\"exp\":" FAR ",\"nbf\":" FAR "}",
		  "token is not valid yet" },
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://nobody/w\",\"aud\":\"a\",\"exp\":" FAR "}",
		  NO_BUNDLE "nobody" }, /* JV-18 */
		{ "{\"alg\":\"ES256\"}", "{\"sub\":\"spiffe://td.tes/w\",\"aud\":\"a\",\"exp\":" FAR "}", NO_BUNDLE "td.tes" },
		{ "{\"alg\":\"ES256\",\"kid\":\"z\"}", OWN, "token kid names no key of its trust domain" }, /* JV-16 */
		{ "{\"alg\":\"ES256\",\"kid\":\"\"}", OWN, "token kid names no key of its trust domain" },
		{ "{\"alg\":\"RS256\",\"kid\":\"k\"}", OWN, "token alg is not one of the key that kid names" }, /* JV-6 */
		{ "{\"alg\":\"ES384\",\"kid\":\"k\"}", OWN, "token alg is not one of the key that kid names" },
		{ "{\"alg\":\"RS256\"}", OWN, "token alg fits no key of its trust domain" },
		{ "{\"alg\":\"ES256\"}", FOREIGN, "no JWT keys in the bundle of the token's trust domain" }, /* JB-7 */
	};
	struct world *w = *state;

	serve(w, 1, 1, ONE_KEY, "{\"keys\":[]}");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		expect_end(call_with(w, rows[i].header, rows[i].claims), GRPC_INVALID_ARGUMENT, rows[i].why);
	assert_int_equal(w->n_asked, 0);
}

static void own_keys_that_are_not_there_yet_are_no_bundle(void **state)
{
	struct world *w = *state;

	serve(w, 1, 1, "", NULL);
	expect_end(call_with(w, "{\"alg\":\"ES256\"}", OWN), GRPC_INVALID_ARGUMENT, NO_BUNDLE "td.test");
}

/* JB-6: clients do not get such a set, a validator goes on with the keys that it knows. */
static void a_set_that_clients_do_not_get_still_validates(void **state)
{
	struct world *w = *state;

	serve(w, 1, 1, "{\"keys\":[]}", "{\"keys\":[{\"kty\":\"OKP\",\"kid\":\"o\"}," EC_KEY(",\"kid\":\"f\"") "]}");
	(void)call_with(w, "{\"alg\":\"ES256\",\"kid\":\"f\"}", FOREIGN);
	assert_int_equal(w->n_asked, 1);
}

static void what_svid_keys_says_is_what_the_client_hears(void **state)
{
	static const struct {
		int err;
		enum grpc_status status;
		const char *text;
	} rows[] = {
		{ -ERR_SIGNATURE, GRPC_INVALID_ARGUMENT, "the signature does not verify" },
		{ -ERR_FORMAT, GRPC_INVALID_ARGUMENT, "the key that the token names cannot be used" },
		{ -ERR_CRYPTO, GRPC_UNAVAILABLE, "agent is not ready" },
		{ -ENOMEM, GRPC_UNAVAILABLE, "agent is not ready" },
	};
	struct world *w = *state;

	serve(w, 1, 1, ONE_KEY, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct answer *a = call_with(w, "{\"alg\":\"ES256\",\"kid\":\"k\"}", OWN);

		assert_int_equal(say(w, asked(w, i).order, rows[i].err), 0);
		expect_end(a, rows[i].status, rows[i].text);
	}
}

/* JV-22 */
static void without_kid_each_key_that_fits_is_tried(void **state)
{
	struct world *w = *state;
	ValidateJWTSVIDResponse *r;
	struct answer *a;

	serve(w, 1, 1,
	      "{\"keys\":[" EC_KEY(",\"kid\":\"1\"") "," EC_KEY(",\"kid\":\"2\"") "," EC_KEY(",\"kid\":\"3\"") "]}", NULL);
	a = call_with(w, "{\"alg\":\"ES256\"}", OWN);
	serve(w, 2, 1, "{\"keys\":[]}", NULL); /* what was begun goes on with the keys of then */
	assert_int_equal(say(w, asked(w, 0).order, -ERR_SIGNATURE), 0);
	assert_int_equal(w->n_asked, 2);
	assert_int_not_equal(asked(w, 0).order, asked(w, 1).order);
	assert_int_equal(say(w, asked(w, 1).order, 0), 0);
	r = good(a);
	validate_jwtsvidresponse__free_unpacked(r, NULL);
	assert_int_equal(w->n_asked, 2);
}

static void tries_are_bounded(void **state)
{
	AUTO(buf) struct buf set = BUF_INIT(LIM_JWKS);
	struct world *w = *state;
	struct answer *a;

	buf_put_str(&set, "{\"keys\":[");
	for (int i = 0; i < 2 * LIM_JWT_TRIES; i++)
		buf_put_str(&set, i ? "," EC_KEY("") : EC_KEY(""));
	buf_put_str(&set, "]}");
	serve(w, 1, 1, buf_cstr(&set), NULL);
	a = call_with(w, "{\"alg\":\"ES256\"}", OWN);
	for (size_t i = 0; i < w->n_asked; i++)
		assert_int_equal(say(w, asked(w, i).order, -ERR_SIGNATURE), 0);
	assert_int_equal(w->n_asked, LIM_JWT_TRIES);
	expect_end(a, GRPC_INVALID_ARGUMENT, "the signature does not verify");
}

static void svid_keys_that_is_gone_is_unavailable(void **state)
{
	struct world *w = *state;
	struct answer *a;

	serve(w, 1, 1, ONE_KEY, NULL);
	w->refuse = -ERR_CLOSED;
	expect_end(call_with(w, "{\"alg\":\"ES256\"}", OWN), GRPC_UNAVAILABLE, "agent is not ready");
	w->refuse = 0;
	a = call_with(w, "{\"alg\":\"ES256\"}", OWN);
	checks_fail(&w->api, -ERR_NOT_READY);
	peer_run(w->p);
	expect_end(a, GRPC_UNAVAILABLE, "agent is not ready");
	assert_int_equal(w->api.checks.n, 0);
}

static void silence_ends_in_unavailable_and_a_late_answer_is_nobodys(void **state)
{
	struct world *w = *state;
	struct answer *a;

	serve(w, 1, 1, ONE_KEY, NULL);
	a = call_with(w, "{\"alg\":\"ES256\"}", OWN);
	w->api.now += LIM_JWT_WAIT_MS * NS_PER_MS;
	grpc_expire(&w->p->g);
	peer_run(w->p);
	expect_end(a, GRPC_UNAVAILABLE, "agent is not ready");
	assert_int_equal(say(w, asked(w, 0).order, 0), 0);
	assert_int_equal(w->api.checks.n, 0);
	assert_int_equal(say(w, asked(w, 0).order, 0), 0); /* twice is strange but late */
	assert_int_equal(w->pushes, 0);
}

static void answers_to_nothing_condemn_the_sender(void **state)
{
	struct world *w = *state;

	assert_int_equal(say(w, 1, 0), -ERR_PERMIT);
	serve(w, 1, 1, ONE_KEY, NULL);
	(void)call_with(w, "{\"alg\":\"ES256\"}", OWN);
	assert_int_equal(say(w, 0, 0), -ERR_PERMIT);
	assert_int_equal(say(w, asked(w, 0).order + 1, 0), -ERR_PERMIT);
	assert_int_equal(say(w, asked(w, 0).order, 0), 0);
}

static void a_client_that_leaves_leaves_nothing_behind(void **state)
{
	struct world *w = *state;

	serve(w, 1, 1, ONE_KEY, NULL);
	(void)call_with(w, "{\"alg\":\"ES256\"}", OWN);
	peer_free(w->p);
	w->p = peer_new(&w->api, false);
	assert_int_equal(w->api.checks.n, 1); /* svid-keys is still at it */
	assert_int_equal(say(w, asked(w, 0).order, 0), 0);
	assert_int_equal(w->api.checks.n, 0);
	assert_int_equal(w->pushes, 0);
}

static void open_checks_are_bounded_also_those_that_nobody_waits_for(void **state)
{
	struct world *w = *state;

	serve(w, 1, 1, ONE_KEY, NULL);
	for (size_t i = 0; i < LIM_JWT_ORDERS; i++)
		assert_int_equal(call_with(w, "{\"alg\":\"ES256\"}", OWN)->grpc, -1);
	expect_end(call_with(w, "{\"alg\":\"ES256\"}", OWN), GRPC_UNAVAILABLE, "rate limit exceeded");
	peer_free(w->p);
	w->p = peer_new(&w->api, false);
	expect_end(call_with(w, "{\"alg\":\"ES256\"}", OWN), GRPC_UNAVAILABLE, "rate limit exceeded");
	w->api.now += LIM_JWT_WAIT_MS * NS_PER_MS; /* an svid-keys that began anew answers none of them */
	assert_int_equal(call_with(w, "{\"alg\":\"ES256\"}", OWN)->grpc, -1);
	assert_int_equal(w->api.checks.n, 1);
}

static void f_state_ends_what_waits(void **state)
{
	struct world *w = *state;
	struct answer *a;

	serve(w, 1, 1, ONE_KEY, NULL);
	a = call_with(w, "{\"alg\":\"ES256\"}", OWN);
	api_set_state(&w->api, -ERR_EVIDENCE);
	peer_run(w->p);
	assert_int_equal(a->grpc, GRPC_UNAVAILABLE);
	assert_int_equal(say(w, asked(w, 0).order, 0), 0);
}

/* JV-2: what an issuer signs with libcrypto, we read, and svid-keys' check accepts; one bit less, and nobody does. */
static void real_signatures(void **state)
{
	struct world *w = *state;

	for (uint32_t alg = JWT_NONE + 1; alg < JWT_ALG_COUNT; alg++) {
		AUTO(buf) struct buf set = BUF_INIT(LIM_JWKS);
		AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
		struct evp_pkey_st *key = jose_key(alg);
		struct msg_FK_VERIFY m;
		char header[64];
		struct answer *a;

		(void)snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"k\"}", jwt_alg_name(alg));
		buf_put_str(&set, "{\"keys\":[");
		jose_jwk(&set, key, ",\"kid\":\"k\"");
		buf_put_str(&set, "]}");
		serve(w, alg, 1, buf_cstr(&set), NULL);
		assert_int_equal(jwks_check(buf_slice(&set)), 0);
		jose_signed(&token, header, OWN, key, alg);
		jose_key_free(key);
		a = call(w, "a", buf_slice(&token));
		m = asked(w, w->n_asked - 1);
		assert_int_equal(verify_is_sane(&m), 0);
		assert_int_equal(verify_signature(&m), 0);
		assert_int_equal(say(w, m.order, 0), 0);
		validate_jwtsvidresponse__free_unpacked(good(a), NULL);
		((uint8_t *)(uintptr_t)m.signature.p)[3] ^= 1;
		assert_int_equal(verify_signature(&m), -ERR_SIGNATURE); /* JV-14 */
		((uint8_t *)(uintptr_t)m.signature.p)[3] ^= 1;
		((uint8_t *)(uintptr_t)m.input.p)[m.input.len - 1] ^= 1;
		assert_int_equal(verify_signature(&m), -ERR_SIGNATURE); /* JV-15 */
	}
}

static void no_memory_fails_the_call_alone(void **state)
{
	AUTO(buf) struct buf token = BUF_INIT(LIM_JWT);
	struct world *w = *state;
	bool whole = false;

	serve(w, 1, 1, ONE_KEY, NULL);
	jose_token(&token, "{\"alg\":\"ES256\"}", OWN, slice_str("s"));
	for (long n = 0; !whole; n++) {
		AUTO(buf) struct buf b = BUF_INIT(1 << 20);
		size_t before = w->n_asked;
		struct answer *a;

		if (n % 50 == 49) { /* a client has only so many streams */
			peer_free(w->p);
			w->p = peer_new(&w->api, false);
		}
		pb_put(&b, 1, slice_str("a"));
		pb_put(&b, 2, buf_slice(&token));
		a = peer_send(w->p, METHOD, buf_slice(&b));
		mem_fail_after(n);
		peer_run(w->p);
		if (w->n_asked > before)
			assert_int_equal(say(w, asked(w, before).order, 0), 0);
		whole = !mem_fail_after(-1);
		if (w->p->stopped) {
			peer_free(w->p);
			w->p = peer_new(&w->api, false);
		} else if (whole) {
			validate_jwtsvidresponse__free_unpacked(good(a), NULL);
		}
		assert_true(n < 500);
		for (size_t i = 0; i < w->n_asked; i++)
			buf_done(&w->asked[i]);
		w->n_asked = 0;
	}
	assert_int_equal(w->api.checks.n, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(mandatory_fields_come_first),
		TEST(callers_without_identity_are_refused),
		TEST(a_good_token_comes_back_with_its_claims),
		TEST(foreign_tokens_are_checked_with_their_own_bundle),
		TEST(each_refusal_has_its_reason),
		TEST(own_keys_that_are_not_there_yet_are_no_bundle),
		TEST(a_set_that_clients_do_not_get_still_validates),
		TEST(what_svid_keys_says_is_what_the_client_hears),
		TEST(without_kid_each_key_that_fits_is_tried),
		TEST(tries_are_bounded),
		TEST(svid_keys_that_is_gone_is_unavailable),
		TEST(silence_ends_in_unavailable_and_a_late_answer_is_nobodys),
		TEST(answers_to_nothing_condemn_the_sender),
		TEST(a_client_that_leaves_leaves_nothing_behind),
		TEST(open_checks_are_bounded_also_those_that_nobody_waits_for),
		TEST(f_state_ends_what_waits),
		TEST(real_signatures),
		TEST(no_memory_fails_the_call_alone),
	};

	return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
