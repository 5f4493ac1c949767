/* SPDX-License-Identifier: Apache-2.0 */
/*
 * authority.c - the keys of the trust domain in time: made, published, followed by others. svid-keys.
 * seal.c keeps them, rotate.c turns the clock, leaf.c, jwt.c and wit.c sign with them.
 */
#include "agent/keys/authority.h"

#include <errno.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/keys/pkey.h"
#include "agent/keys/root.h"

#define IN(use) (1u << (use))

void authority_free(struct authority *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < SIGN_USES; i++)
		ring_clear(&a->rings[i]);
	mem_free(a->trust_domain);
	mem_free(a);
}

int authority_new(struct slice td, struct authority **ret_authority)
{
	AUTO(authority) struct authority *a = NULL;

	if (spiffe_td_why(td))
		return -ERR_SPIFFE_ID;
	a = mem_new(struct authority);
	if (!a)
		return -ENOMEM;
	a->trust_domain = slice_dup(td);
	if (!a->trust_domain)
		return -ENOMEM;
	*ret_authority = take(&a);
	return 0;
}

static bool is_used(const struct authority *a, enum signer_use use)
{
	return use != SIGN_WIT || a->plan.wit;
}

int authority_configure(struct authority *a, const struct authority_plan *plan)
{
	if (plan->ca_ttl_s < SIGNER_TTL_MIN_S || plan->ca_ttl_s > LIM_CA_TTL_S ||
	    plan->jwt_ttl_s < SIGNER_TTL_MIN_S || plan->jwt_ttl_s > LIM_JWT_KEY_TTL_S)
		return -ERR_FORMAT;
	a->plan = *plan;
	/* Tokens of a profile that was switched off shall not verify any longer. */
	if (!plan->wit && a->rings[SIGN_WIT].n) {
		ring_clear(&a->rings[SIGN_WIT]);
		a->changed = true;
	}
	return 0;
}

static bool fits(EVP_PKEY *key, enum signer_use use)
{
	return pkey_is(key, signer_key_type(use));
}

static int add(struct authority *a, enum signer_use use, struct signer **s)
{
	int err = ring_add(&a->rings[use], *s);

	if (!err)
		(void)take(s);
	return err;
}

int authority_restore(struct authority *a, enum signer_use use, EVP_PKEY *key, struct slice cert_der, int64_t born,
		      int64_t active, int64_t not_after)
{
	struct ring *r = &a->rings[use];
	AUTO(EVP_PKEY) EVP_PKEY *owned = key;
	AUTO(signer) struct signer *s = NULL;
	X509 *cert = NULL;
	int err;

	if (!fits(key, use) || born < 0 || born >= not_after || active < born || active >= not_after ||
	    (r->n && r->of[r->n - 1]->born > born) || (use != SIGN_CA) != !cert_der.len)
		return -ERR_SEALED;
	err = use == SIGN_CA ? root_parse(a->trust_domain, key, cert_der, &cert) : 0;
	if (!err)
		err = signer_new(take(&owned), cert, &s);
	if (err)
		return err;
	s->born = born;
	s->active = active;
	s->not_after = not_after;
	s->kept = true;
	err = add(a, use, &s);
	return err == -ERR_LIMIT ? -ERR_SEALED : err;
}

/* @key starts its life now, as the next of its ring. */
static int start(struct authority *a, enum signer_use use, EVP_PKEY *key, int64_t now)
{
	uint32_t ttl = use == SIGN_CA ? a->plan.ca_ttl_s : a->plan.jwt_ttl_s;
	AUTO(EVP_PKEY) EVP_PKEY *owned = key;
	AUTO(signer) struct signer *s = NULL;
	X509 *cert = NULL;
	int err = use == SIGN_CA ? root_issue(a->trust_domain, key, now, now + ttl, &cert) : 0;

	if (!err)
		err = signer_new(take(&owned), cert, &s);
	if (err)
		return err;
	s->born = now;
	s->active = ring_activation(&a->rings[use], now, ttl);
	s->not_after = now + ttl;
	err = add(a, use, &s);
	if (err)
		return err;
	a->changed = true;
	authority_signed(a, now);
	return 0;
}

static int make(struct authority *a, enum signer_use use, int64_t now)
{
	EVP_PKEY *key;
	int err = pkey_generate(signer_key_type(use), &key);

	return err ? err : start(a, use, key, now);
}

static bool is_behind(const struct authority *a, int64_t now)
{
	return now < a->last_signature - AUTHORITY_CLOCK_SLACK_S;
}

int authority_advance(struct authority *a, int64_t now, unsigned int *ret_slow)
{
	unsigned int slow = 0;
	int err = 0;

	for (unsigned int use = 0; use < SIGN_USES && !is_behind(a, now); use++) {
		struct ring *r = &a->rings[use];
		int failed = 0;

		if (!is_used(a, use))
			continue;
		if (ring_is_due(r, now) && pkey_is_slow(signer_key_type(use)))
			slow |= IN(use);
		else if (ring_is_due(r, now))
			failed = make(a, use, now);
		a->changed |= ring_retire(r, now);
		err = failed ? failed : err;
	}
	*ret_slow = slow;
	return err;
}

int authority_adopt(struct authority *a, enum signer_use use, EVP_PKEY *key, int64_t now)
{
	int err;

	if (is_behind(a, now) || !is_used(a, use) || !ring_is_due(&a->rings[use], now)) {
		EVP_PKEY_free(key);
		return 0;
	}
	err = start(a, use, key, now);
	a->changed |= ring_retire(&a->rings[use], now);
	return err;
}

static uint64_t number_of(const struct signer *s)
{
	return s ? s->number : 0;
}

bool authority_has_news(const struct authority *a, int64_t now)
{
	for (size_t i = 0; i < SIGN_USES; i++)
		if (a->told[i] != number_of(ring_signer(&a->rings[i], now)))
			return true;
	return a->changed;
}

void authority_told(struct authority *a, int64_t now)
{
	for (size_t i = 0; i < SIGN_USES; i++)
		a->told[i] = number_of(ring_signer(&a->rings[i], now));
	a->changed = false;
}

void authority_stored(struct authority *a)
{
	for (size_t i = 0; i < SIGN_USES; i++)
		for (size_t j = 0; j < a->rings[i].n; j++)
			a->rings[i].of[j]->kept = true;
}

int64_t authority_next(const struct authority *a, int64_t now, int64_t at_most_s)
{
	int64_t next = now + at_most_s;

	for (size_t i = 0; i < SIGN_USES; i++) {
		int64_t t = ring_next(&a->rings[i], now, at_most_s);

		next = t < next ? t : next;
	}
	return next;
}

int authority_signer(const struct authority *a, enum signer_use use, int64_t now, const struct signer **ret_signer)
{
	const struct ring *r = &a->rings[use];
	const struct signer *s = ring_signer(r, now);

	/* A clock set back would make certificates that live longer than anybody decided (DESIGN.md 5). */
	if (is_behind(a, now))
		return -ERR_CLOCK;
	if (!s)
		return r->n ? -ERR_EXPIRED : -ERR_NOT_READY;
	if (!s->kept)
		return -ERR_NOT_READY;
	*ret_signer = s;
	return 0;
}

void authority_signed(struct authority *a, int64_t now)
{
	if (now > a->last_signature)
		a->last_signature = now;
}

int authority_check_id(const struct authority *a, struct slice spiffe_id)
{
	struct spiffe_id id;

	if (spiffe_id_parse(spiffe_id, &id) || !slice_eq_str(id.trust_domain, a->trust_domain) || !id.path.len)
		return -ERR_SPIFFE_ID;
	return 0;
}

int authority_put_bundle(const struct authority *a, int64_t now, struct buf *out)
{
	const struct signer *of[RING_MAX];
	size_t n = ring_order(&a->rings[SIGN_CA], now, of);
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = cert_put_der(of[i]->cert, out);
	return err;
}

static int put_ring(const struct authority *a, enum signer_use use, const char *jwk_use, int64_t now, struct buf *out)
{
	const struct signer *of[RING_MAX];
	size_t n = ring_order(&a->rings[use], now, of);
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		if (i)
			buf_put_str(out, ",");
		err = jwk_put(out, of[i]->key, of[i]->kid, jwk_use, signer_alg(use));
	}
	return err;
}

int authority_put_jwks(const struct authority *a, int64_t now, struct buf *out)
{
	int err;

	if (!a->rings[SIGN_JWT_RS256].n || !a->rings[SIGN_JWT_ES256].n)
		return 0;
	buf_put_str(out, "{\"keys\":[");
	err = put_ring(a, SIGN_JWT_RS256, NULL, now, out);
	buf_put_str(out, ",");
	if (!err)
		err = put_ring(a, SIGN_JWT_ES256, NULL, now, out);
	buf_put_str(out, "]}");
	return err ? err : buf_ok(out);
}

int authority_put_wit_jwks(const struct authority *a, int64_t now, struct buf *out)
{
	int err;

	if (!a->rings[SIGN_WIT].n)
		return 0;
	buf_put_str(out, "{\"keys\":[");
	err = put_ring(a, SIGN_WIT, "wit-svid", now, out);
	buf_put_str(out, "]}");
	return err ? err : buf_ok(out);
}
