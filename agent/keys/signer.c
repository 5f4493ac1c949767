/* SPDX-License-Identifier: Apache-2.0 */
/* signer.c - keys that follow each other, as functions of the time. svid-keys; used by authority.c and seal.c. */
#include "agent/keys/signer.h"

#include <errno.h>

#include "agent/base/mem.h"

static const struct {
	const char *name;
	enum key_type type;
	enum jwt_alg alg;
} uses[SIGN_USES] = {
	[SIGN_CA] = { "CA", KEY_EC_P256, JWT_NONE },
	[SIGN_JWT_RS256] = { "JWT RS256", KEY_RSA_2048, JWT_RS256 },
	[SIGN_JWT_ES256] = { "JWT ES256", KEY_EC_P256, JWT_ES256 },
	[SIGN_WIT] = { "WIT ES256", KEY_EC_P256, JWT_ES256 },
};

const char *signer_name(enum signer_use use)
{
	return uses[use].name;
}

enum key_type signer_key_type(enum signer_use use)
{
	return uses[use].type;
}

enum jwt_alg signer_alg(enum signer_use use)
{
	return uses[use].alg;
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	EVP_PKEY_free(s->key);
	X509_free(s->cert);
	mem_free(s);
}

int signer_new(EVP_PKEY *key, X509 *cert, struct signer **ret_signer)
{
	static uint64_t number;
	AUTO(EVP_PKEY) EVP_PKEY *owned = key;
	AUTO(X509) X509 *owned_cert = cert;
	AUTO(signer) struct signer *s = mem_new(struct signer);
	int err;

	if (!s)
		return -ENOMEM;
	err = cert ? 0 : jwk_kid(key, s->kid);
	if (err)
		return err;
	s->key = take(&owned);
	s->cert = take(&owned_cert);
	s->number = ++number;
	*ret_signer = take(&s);
	return 0;
}

int ring_add(struct ring *r, struct signer *s)
{
	if (r->n == RING_MAX)
		return -ERR_LIMIT;
	r->of[r->n++] = s;
	return 0;
}

void ring_clear(struct ring *r)
{
	while (r->n)
		signer_free(r->of[--r->n]);
}

const struct signer *ring_signer(const struct ring *r, int64_t now)
{
	const struct signer *best = NULL;

	for (size_t i = 0; i < r->n; i++) {
		const struct signer *s = r->of[i];

		if (s->not_after <= now)
			continue;
		/* The first of all signs at once, also when the clock went back a little since. */
		if (!best || s->active <= now)
			best = s;
	}
	return best;
}

bool ring_is_due(const struct ring *r, int64_t now)
{
	const struct signer *newest = r->n ? r->of[r->n - 1] : NULL;

	return !newest || now >= newest->born + (newest->not_after - newest->born) / 2;
}

int64_t ring_activation(const struct ring *r, int64_t now, uint32_t ttl_s)
{
	const struct signer *newest = r->n ? r->of[r->n - 1] : NULL;
	int64_t left = newest && newest->not_after > now ? newest->not_after - now : 0;
	int64_t lead = ttl_s / 3;

	/* Half of a life is left when all goes well, and two thirds of that are the same. After a sleep it is less. */
	return now + (lead < left * 2 / 3 ? lead : left * 2 / 3);
}

bool ring_retire(struct ring *r, int64_t now)
{
	size_t kept = 0, n = r->n;

	for (size_t i = 0; i < n; i++) {
		if (r->of[i]->not_after <= now && (kept || i + 1 < n))
			signer_free(r->of[i]);
		else
			r->of[kept++] = r->of[i];
	}
	r->n = kept;
	return kept != n;
}

static void sooner(int64_t t, int64_t now, int64_t *next)
{
	if (t > now && t < *next)
		*next = t;
}

int64_t ring_next(const struct ring *r, int64_t now, int64_t at_most_s)
{
	int64_t next = now + at_most_s;

	for (size_t i = 0; i < r->n; i++) {
		const struct signer *s = r->of[i];

		sooner(s->born + (s->not_after - s->born) / 2, now, &next);
		sooner(s->active, now, &next);
		sooner(s->not_after, now, &next);
	}
	return next;
}

size_t ring_order(const struct ring *r, int64_t now, const struct signer *ret_of[static RING_MAX])
{
	const struct signer *first = ring_signer(r, now);
	size_t n = 0;

	if (first)
		ret_of[n++] = first;
	for (size_t i = r->n; i-- > 0;)
		if (r->of[i] != first)
			ret_of[n++] = r->of[i];
	return n;
}
