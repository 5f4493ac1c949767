// SPDX-License-Identifier: Apache-2.0
/* publish.c - what each feed serves of an identity set. svid-front. Next: encode.h, api.h. */
#include "workloadapi/publish.h"

#include <errno.h>

#include "agent/base/mem.h"
#include "workloadapi/encode.h"

/* Everything is encoded before anything is published: a set is served whole or not at all. */
struct answers {
	struct message *svids, *bundles;
	struct message *jwt_bundles; /* NULL: svid-keys has no keys yet */
	struct message *wit_svids, *wit_bundles; /* likewise */
	struct api_wit *wits;
	size_t n_wits;
};

static void answers_autoclean(struct answers *a)
{
	message_unref(a->svids);
	message_unref(a->bundles);
	message_unref(a->jwt_bundles);
	message_unref(a->wit_svids);
	message_unref(a->wit_bundles);
	for (size_t i = 0; i < a->n_wits; i++)
		message_unref(a->wits[i].feed.msg);
	mem_free(a->wits);
}

static int encode_x509(const struct keyring *ring, const struct set *s, struct answers *a)
{
	struct secret *keys[LIM_SET_IDENTITIES];
	int err;

	for (size_t i = 0; i < s->n_ids; i++)
		keys[i] = keyring_get(ring, s->keys[i]);
	err = encode_x509_svids(s, keys, &a->svids);
	return err ? err : encode_x509_bundles(s, &a->bundles);
}

static int fill_row(const struct set_identity *id, struct secret *key, struct encode_row *row)
{
	struct slice jwk = key ? slice_of(secret_bytes(key), secret_len(key)) : slice_of(NULL, 0);

	if (!jwk.len || !slice_is_utf8(jwk))
		return -ERR_FORMAT;
	*row = (struct encode_row){ { id->e.spiffe_id, id->e.wit, jwk, slice_str(id->hint) } };
	return 0;
}

/* One message for all and one for each; where there is but one identity they are the same. */
static int encode_wits(const struct keyring *ring, const struct set *s, struct answers *a)
{
	struct encode_row rows[LIM_SET_IDENTITIES];
	size_t n = 0;
	int err = 0;

	a->wits = mem_calloc(s->n_ids, sizeof(*a->wits));
	if (!a->wits)
		return -ENOMEM;
	for (; a->n_wits < s->n_ids && !err; a->n_wits++) {
		const struct set_identity *id = &s->ids[a->n_wits];
		struct api_wit *w = &a->wits[a->n_wits];

		w->identity = id->e.identity;
		w->feed.expires = id->e.wit_not_after;
		if (!id->e.wit.len)
			continue;
		err = fill_row(id, keyring_get(ring, s->keys[s->n_ids + n]), &rows[n]);
		if (!err)
			err = encode_rows(&rows[n++], 1, true, &w->feed.msg);
	}
	if (err || !n)
		return err;
	if (s->n_ids > 1)
		return encode_rows(rows, n, true, &a->wit_svids);
	a->wit_svids = message_ref(a->wits[0].feed.msg);
	return 0;
}

static int encode_wit_bundles(const struct set *s, struct answers *a)
{
	struct encode_row row = { { slice_str(s->own.trust_domain_id), s->wit_jwks } };

	return s->wit_jwks.len ? encode_rows(&row, 1, false, &a->wit_bundles) : 0;
}

static int encode_all(const struct keyring *ring, const struct set *s, struct answers *a)
{
	int err = encode_x509(ring, s, a);

	if (!err && s->own.jwks.len)
		err = encode_jwt_bundles(s, &a->jwt_bundles);
	if (!err && s->wit)
		err = encode_wits(ring, s, a);
	if (!err && s->wit)
		err = encode_wit_bundles(s, a);
	return err;
}

/* What is not there yet is waited for; what was there and is missing now goes on: nobody withdrew it. */
static void publish_if(struct api *a, enum feed_id id, struct message **m, int64_t expires)
{
	if (*m)
		api_publish(a, id, take(m), 0, expires);
}

static void publish_all(struct api *api, const struct set *s, struct answers *a)
{
	publish_if(api, FEED_SVIDS, &a->svids, s->expires);
	publish_if(api, FEED_BUNDLES, &a->bundles, 0);
	publish_if(api, FEED_JWT_BUNDLES, &a->jwt_bundles, 0);
	publish_if(api, FEED_WIT_SVIDS, &a->wit_svids, s->wit_expires);
	publish_if(api, FEED_WIT_BUNDLES, &a->wit_bundles, 0);
	api_publish_wits(api, take(&a->wits), a->n_wits);
	a->n_wits = 0;
}

/* Callers without identity: bundles are for those who have one, too (Workload API 5.2.2). */
static void publish_none(struct api *a)
{
	api_publish(a, FEED_SVIDS, NULL, -ERR_NO_IDENTITY, 0);
	api_publish(a, FEED_BUNDLES, NULL, -ERR_NO_IDENTITY, 0);
	api_publish(a, FEED_JWT_BUNDLES, NULL, -ERR_NO_IDENTITY, 0);
	api_publish(a, FEED_WIT_SVIDS, NULL, -ERR_NO_IDENTITY, 0);
	api_publish(a, FEED_WIT_BUNDLES, NULL, -ERR_NO_IDENTITY, 0);
	api_publish_wits(a, NULL, 0);
}

int publish(struct api *a, const struct keyring *ring, struct set *s)
{
	AUTO(answers) struct answers answers = { 0 };
	struct set *old = a->set;
	int err = s->n_ids ? encode_all(ring, s, &answers) : 0;

	if (!err)
		err = sds_prepare(a, s);
	if (err)
		return err;
	if (s->n_ids)
		publish_all(a, s, &answers);
	else
		publish_none(a);
	if (!s->wit) {
		api_publish(a, FEED_WIT_SVIDS, NULL, -ERR_PROFILE, 0);
		api_publish(a, FEED_WIT_BUNDLES, NULL, -ERR_PROFILE, 0);
	}
	a->set = s;
	a->ring = ring;
	tokens_follow(a, old);
	sds_follow(a, old);
	set_free(old);
	return 0;
}
