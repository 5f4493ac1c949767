/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/keys/leaf.c agent/keys/authority.c agent/keys/signer.c agent/keys/jwk.c agent/keys/root.c agent/keys/cert.c agent/keys/pkey.c agent/keys/heap.c */
/* authority_rotation_test.c - keys follow each other under a clock that the test turns: prepared, activated, retired. */
#include "tests/unit/keys_case.h"

#include "agent/keys/leaf.h"

#define LIFE 600 /* of every key */

static struct authority *a;

static size_t published(enum signer_use use)
{
	return a->rings[use].n;
}

static bool has_number(enum signer_use use, uint64_t number)
{
	for (size_t i = 0; i < a->rings[use].n; i++)
		if (a->rings[use].of[i]->number == number)
			return true;
	return false;
}

/* Also the shape of the brief: birth + L/2, birth + 5L/6, the end. */
static void each_step_comes_at_its_time(void **state)
{
	static const struct {
		int64_t at;
		size_t published;
		int signer; /* 0: the first key */
	} steps[] = {
		{ 0, 1, 0 },   { 299, 1, 0 }, { 300, 2, 0 }, { 499, 2, 0 }, { 500, 2, 1 },
		{ 599, 2, 1 }, { 600, 2, 1 }, { 799, 2, 1 }, { 800, 2, 2 }, { 900, 2, 2 }, { 1100, 2, 3 },
	};
	uint64_t first[SIGN_USES];

	(void)state;
	for (unsigned int use = 0; use < SIGN_USES; use++)
		first[use] = a->rings[use].of[0]->number;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		case_look(a, NOW + steps[i].at);
		for (unsigned int use = 0; use < SIGN_USES; use++) {
			const struct signer *s = case_signer(a, use, NOW + steps[i].at);

			assert_int_equal(published(use), steps[i].published);
			assert_int_equal(s->born, NOW + steps[i].signer * LIFE / 2);
			assert_int_equal(has_number(use, first[use]), steps[i].at < LIFE);
		}
	}
}

/* Every second of several lives: whoever looked at the published keys once in a third of a life is never surprised. */
static void what_signs_was_published_a_third_of_a_life_before(void **state)
{
	static const uint32_t lives[] = { 4, 5, 6, 7, 10, 30, 600, 3600 };

	(void)state;
	for (size_t l = 0; l < ARRAY_SIZE(lives); l++) {
		AUTO(authority) struct authority *b = case_authority(lives[l], lives[l], true);

		for (int64_t t = NOW; t < NOW + 4 * lives[l]; t++) {
			case_look(b, t);
			for (unsigned int use = 0; use < SIGN_USES; use++) {
				const struct signer *s = case_signer(b, use, t);

				assert_true(s->not_after > t);
				assert_true(s->born == NOW || t - s->born >= (int64_t)lives[l] / 3);
				assert_in_range(b->rings[use].n, 1, 3);
			}
		}
	}
}

/* DESIGN.md 10: a JWT key is published a day before it is used. */
static void a_life_of_three_days_or_more_leaves_a_day(void **state)
{
	AUTO(authority) struct authority *b = case_authority(365 * DAY, 30 * DAY, false);
	const struct signer *next;
	int64_t half = NOW + 15 * DAY;

	(void)state;
	case_look(b, half);
	next = b->rings[SIGN_JWT_RS256].of[1];
	assert_int_equal(next->active - next->born, 10 * DAY);
	assert_true(ring_activation(&b->rings[SIGN_JWT_ES256], half, 3 * DAY) - half >= DAY);
}

static void core_hears_of_each_step_and_of_nothing_else(void **state)
{
	(void)state;
	for (int64_t t = 1; t < 2000; t++) {
		/* Born at every 300th second, active 200 later, over at its 600th, which is when another is born. */
		bool expected = t % 300 == 0 || t % 300 == 200;

		if (t == 200)
			expected = false; /* the first key signs from its birth */
		assert_int_equal(case_look(a, NOW + t), expected);
	}
}

static void the_next_time_is_that_of_the_next_step(void **state)
{
	(void)state;
	assert_int_equal(authority_next(a, NOW, 10000), NOW + 300);
	case_look(a, NOW + 300);
	assert_int_equal(authority_next(a, NOW + 300, 10000), NOW + 500);
	case_look(a, NOW + 500);
	assert_int_equal(authority_next(a, NOW + 500, 10000), NOW + 600);
	assert_int_equal(authority_next(a, NOW + 500, 60), NOW + 560);
}

static void after_a_sleep_past_everything_new_keys_sign_at_once(void **state)
{
	uint64_t old = case_signer(a, SIGN_CA, NOW)->number;

	(void)state;
	assert_true(case_look(a, NOW + 100 * LIFE));
	for (unsigned int use = 0; use < SIGN_USES; use++) {
		assert_int_equal(published(use), 1);
		assert_int_equal(case_signer(a, use, NOW + 100 * LIFE)->born, NOW + 100 * LIFE);
	}
	assert_false(has_number(SIGN_CA, old));
}

/* Prepared, then asleep until after its activation. */
static void after_a_sleep_past_one_step_the_prepared_key_signs(void **state)
{
	(void)state;
	case_look(a, NOW + 300);
	case_look(a, NOW + 650);
	assert_int_equal(case_signer(a, SIGN_CA, NOW + 650)->born, NOW + 300);
	assert_int_equal(published(SIGN_CA), 2); /* that one is past its own half */
}

/* Awake again shortly before the end: the lead shrinks, but there is one, and there is no gap. */
static void a_late_preparation_still_leads(void **state)
{
	const struct signer *next;

	(void)state;
	case_look(a, NOW + 570);
	next = a->rings[SIGN_CA].of[1];
	assert_int_equal(next->active, NOW + 590);
	assert_int_equal(case_signer(a, SIGN_CA, NOW + 589)->born, NOW);
	assert_int_equal(case_signer(a, SIGN_CA, NOW + 590)->born, NOW + 570);
}

static void the_last_key_stays_published_until_there_is_another(void **state)
{
	uint64_t old = a->rings[SIGN_JWT_RS256].of[0]->number;
	const struct signer *s;
	unsigned int slow;

	(void)state;
	assert_int_equal(authority_advance(a, NOW + LIFE, &slow), 0);
	assert_int_equal(slow, SLOW);
	assert_true(has_number(SIGN_JWT_RS256, old));
	assert_int_equal(authority_signer(a, SIGN_JWT_RS256, NOW + LIFE, &s), -ERR_EXPIRED);
	assert_int_equal(authority_adopt(a, SIGN_JWT_RS256, case_rsa(), NOW + LIFE), 0);
	assert_false(has_number(SIGN_JWT_RS256, old));
}

static void a_key_that_is_not_wanted_any_more_is_not_taken(void **state)
{
	(void)state;
	assert_int_equal(authority_adopt(a, SIGN_JWT_RS256, case_rsa(), NOW + 1), 0);
	assert_int_equal(published(SIGN_JWT_RS256), 1);
	assert_false(authority_has_news(a, NOW + 1));
}

/* Keys that are born in 1970 would be over when the clock is right again. */
static void a_clock_that_is_behind_stops_everything(void **state)
{
	unsigned int slow;

	(void)state;
	assert_int_equal(authority_advance(a, 1000, &slow), 0);
	assert_int_equal(slow, 0);
	assert_int_equal(authority_adopt(a, SIGN_JWT_RS256, case_rsa(), 1000), 0);
	assert_false(a->changed);
	assert_true(case_look(a, NOW + 300));
}

static void a_clock_that_went_back_a_little_stops_nothing(void **state)
{
	(void)state;
	for (unsigned int use = 0; use < SIGN_USES; use++)
		assert_int_equal(case_signer(a, use, NOW - 200)->born, NOW);
}

static void a_shorter_life_counts_from_the_next_key_on(void **state)
{
	const struct signer *s;

	(void)state;
	assert_int_equal(authority_configure(a, &(struct authority_plan){ 60, 60, true }), 0);
	assert_false(case_look(a, NOW + 299));
	case_look(a, NOW + 300);
	case_look(a, NOW + 320);
	s = case_signer(a, SIGN_CA, NOW + 320);
	assert_int_equal(s->not_after - s->born, 60);
	for (int64_t t = NOW + 320; t < NOW + 1000; t++) {
		case_look(a, t);
		assert_in_range(published(SIGN_CA), 1, 4);
	}
}

static void switching_wit_off_drops_its_keys(void **state)
{
	AUTO(buf) struct buf text = BUF_INIT(LIM_JWKS);
	const struct signer *s;

	(void)state;
	assert_int_equal(authority_configure(a, &(struct authority_plan){ LIFE, LIFE, false }), 0);
	assert_true(case_look(a, NOW));
	assert_int_equal(published(SIGN_WIT), 0);
	assert_int_equal(authority_put_wit_jwks(a, NOW, &text), 0);
	assert_int_equal(text.len, 0);
	assert_int_equal(authority_signer(a, SIGN_WIT, NOW, &s), -ERR_NOT_READY);
}

static bool verifies(X509 *leaf, struct slice bundle, int64_t now)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	const unsigned char *at = bundle.p;
	bool good;

	while (at < bundle.p + bundle.len) {
		X509 *ca = d2i_X509(NULL, &at, bundle.p + bundle.len - at);

		assert_non_null(ca);
		assert_int_equal(X509_STORE_add_cert(store, ca), 1);
		X509_free(ca);
	}
	assert_int_equal(X509_STORE_CTX_init(ctx, store, leaf, NULL), 1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	X509_STORE_CTX_set_time(ctx, 0, now);
	good = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return good;
}

/* The point of it all: a leaf verifies from its birth to its end, also with a bundle that was fetched 199 s earlier. */
static void leaves_verify_across_the_rotation(void **state)
{
	struct leaf_spec spec = { .spiffe_id = slice_str(ID), .ttl_s = 400 };
	AUTO(EVP_PKEY) EVP_PKEY *key = NULL;

	(void)state;
	assert_int_equal(pkey_generate(KEY_EC_P256, &key), 0);
	for (int64_t t = NOW; t < NOW + 3 * LIFE; t += 50) {
		AUTO(buf) struct buf before = BUF_INIT(LIM_BUNDLE);
		AUTO(buf) struct buf after = BUF_INIT(LIM_BUNDLE);
		AUTO(buf) struct buf chain = BUF_INIT(LIM_CHAIN);
		const unsigned char *at;
		struct leaf leaf;
		X509 *cert;

		case_look(a, t);
		assert_int_equal(authority_put_bundle(a, t, &before), 0);
		case_look(a, t + 199);
		assert_int_equal(leaf_issue(a, &spec, key, t + 199, &chain, &leaf), 0);
		at = chain.data;
		cert = d2i_X509(NULL, &at, (long)chain.len);
		assert_true(leaf.not_after <= case_signer(a, SIGN_CA, t + 199)->not_after);
		assert_true(verifies(cert, buf_slice(&before), t + 199));
		case_look(a, leaf.not_after - 1);
		assert_int_equal(authority_put_bundle(a, leaf.not_after - 1, &after), 0);
		assert_true(verifies(cert, buf_slice(&after), leaf.not_after - 1));
		X509_free(cert);
		t = leaf.not_after;
	}
}

static void the_signing_ca_is_first_in_the_bundle(void **state)
{
	(void)state;
	for (int64_t t = NOW; t < NOW + 3 * LIFE; t += 10) {
		const struct signer *of[RING_MAX];

		case_look(a, t);
		assert_int_equal(ring_order(&a->rings[SIGN_CA], t, of), published(SIGN_CA));
		assert_ptr_equal(of[0], case_signer(a, SIGN_CA, t));
		for (size_t i = 2; i < published(SIGN_CA); i++)
			assert_true(of[i - 1]->born > of[i]->born);
	}
}

static void kids_are_never_the_same(void **state)
{
	case_look(a, NOW + 300);
	(void)state;
	for (unsigned int u = SIGN_JWT_RS256; u < SIGN_USES; u++)
		for (unsigned int v = SIGN_JWT_RS256; v < SIGN_USES; v++)
			for (size_t i = 0; i < a->rings[u].n; i++)
				for (size_t j = 0; j < a->rings[v].n; j++)
					if (u != v || i != j)
						assert_string_not_equal(a->rings[u].of[i]->kid, a->rings[v].of[j]->kid);
}

static int set_up(void **state)
{
	(void)state;
	a = case_authority(LIFE, LIFE, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	authority_free(a);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_step_comes_at_its_time),
		TEST(what_signs_was_published_a_third_of_a_life_before),
		TEST(a_life_of_three_days_or_more_leaves_a_day),
		TEST(core_hears_of_each_step_and_of_nothing_else),
		TEST(the_next_time_is_that_of_the_next_step),
		TEST(after_a_sleep_past_everything_new_keys_sign_at_once),
		TEST(after_a_sleep_past_one_step_the_prepared_key_signs),
		TEST(a_late_preparation_still_leads),
		TEST(the_last_key_stays_published_until_there_is_another),
		TEST(a_key_that_is_not_wanted_any_more_is_not_taken),
		TEST(a_clock_that_is_behind_stops_everything),
		TEST(a_clock_that_went_back_a_little_stops_nothing),
		TEST(a_shorter_life_counts_from_the_next_key_on),
		TEST(switching_wit_off_drops_its_keys),
		TEST(leaves_verify_across_the_rotation),
		TEST(the_signing_ca_is_first_in_the_bundle),
		TEST(kids_are_never_the_same),
	};
	bool locked;

	if (heap_init(1u << 20, &locked))
		return 2;
	return cmocka_run_group_tests_name("unit/authority_rotation", tests, NULL, NULL);
}
