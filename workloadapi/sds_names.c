// SPDX-License-Identifier: Apache-2.0
/* sds_names.c - what the names of Envoy's secrets stand for, and which version that has. svid-front. Next: sds_secret.c. */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "workloadapi/api.h"

#define SCHEME "spiffe://"

static const struct sds_source nothing = { .kind = SDS_NOTHING };

/* A trust domain whose bundle was served once. version 0: it is served still, or again. */
struct gone {
	struct list node;
	uint64_t version;
	char *id; /* "spiffe://td" */
};

static struct slice domain_of(struct slice id)
{
	(void)slice_get_bytes(&id, strlen(SCHEME));
	return id;
}

bool sds_is_domain(struct slice id)
{
	struct slice domain = domain_of(id);

	return slice_starts(id, slice_str(SCHEME)) && domain.len && domain.len <= LIM_TRUST_DOMAIN &&
	       !memchr(domain.p, '/', domain.len);
}

enum sds_form sds_form_of(const struct set *s, uint32_t wish)
{
	bool plain = wish & SDS_WISH_PLAIN || s->sds_flags & SDS_PLAIN_CA;

	if (wish & SDS_WISH_VALIDATOR)
		plain = false;
	if (plain || wish & SDS_WISH_OLD)
		return SDS_FORM_PLAIN;
	if (!(wish & SDS_WISH_NO_MAP) && (wish & SDS_WISH_MAP || s->sds_flags & SDS_BUNDLE_MAP))
		return SDS_FORM_MAP;
	return SDS_FORM_VALIDATOR;
}

/* Bundles are for those who have an identity, unless the policy says otherwise. */
static bool has_bundles(const struct set *s)
{
	return s->n_ids || s->sds_flags & SDS_BUNDLES_FOR_NOBODY;
}

static struct sds_source cert(const struct set_identity *id, uint64_t version)
{
	return (struct sds_source){ .kind = SDS_CERT, .id = id, .version = version };
}

static struct sds_source bundle(const struct set_bundle *b)
{
	if (!b->der.len)
		return nothing;
	return (struct sds_source){ .kind = SDS_BUNDLE, .bundle = b, .domain = domain_of(slice_str(b->trust_domain_id)),
				    .version = b->sds_version };
}

static const struct gone *find_gone(const struct sds *sds, struct slice id)
{
	const struct gone *g;

	list_for_each(g, &sds->gone, node)
		if (slice_eq_str(id, g->id))
			return g;
	return NULL;
}

/* Who has a bundle of a trust domain that we do not vouch for would keep it: it is replaced. */
static struct sds_source nobody(const struct api *api, struct slice id, bool held)
{
	const struct gone *g = find_gone(&api->sds, id);
	uint64_t version = g ? g->version : 0;

	if (!version && held && sds_is_domain(id))
		version = api->set->sds_nobody;
	if (!version || !api->set->nobody_ca.len)
		return nothing;
	return (struct sds_source){ .kind = SDS_NOBODY, .domain = domain_of(id), .version = version };
}

static const struct set_bundle *find_federated(const struct set *s, struct slice id)
{
	for (size_t i = 0; i < s->n_feds; i++)
		if (slice_eq_str(id, s->feds[i].trust_domain_id))
			return &s->feds[i];
	return NULL;
}

static struct sds_source find_bundle(const struct api *api, struct slice name, const struct sds_ask *ask)
{
	const struct set *s = api->set;
	const struct set_bundle *fed = s->n_ids ? find_federated(s, name) : NULL;

	if (slice_eq(name, s->sds_bundle) || slice_eq_str(name, s->own.trust_domain_id))
		return bundle(&s->own);
	/* Without the validator one trust domain could speak for all of them: there is no such thing then. */
	if (slice_eq(name, s->sds_all) && sds_form_of(s, ask->wish) == SDS_FORM_PLAIN)
		return nothing;
	if (slice_eq(name, s->sds_all))
		return s->own.der.len ? (struct sds_source){ .kind = SDS_ALL, .version = s->sds_all_version } : nothing;
	return fed && fed->der.len ? bundle(fed) : nobody(api, name, ask->held);
}

struct sds_source sds_find(const struct api *api, struct slice name, const struct sds_ask *ask)
{
	const struct set *s = api->set;
	const struct set_identity *id;

	if (s->n_ids && slice_eq(name, s->sds_svid))
		return cert(&s->ids[0], s->sds_default);
	id = set_find(s, name);
	if (id)
		return cert(id, id->sds_version);
	return has_bundles(s) ? find_bundle(api, name, ask) : nothing;
}

/* Versions */

static struct slice peers_of(const struct set *s)
{
	return s->n_ids ? s->ids[0].e.peers : slice_of(NULL, 0);
}

/* What is written around every bundle. */
static bool same_frame(const struct set *a, const struct set *b)
{
	const uint32_t form = SDS_PLAIN_CA | SDS_BUNDLE_MAP;

	return (a->sds_flags & form) == (b->sds_flags & form) && slice_eq(peers_of(a), peers_of(b));
}

static bool same_nobody(const struct set *a, const struct set *b)
{
	return same_frame(a, b) && slice_eq(a->nobody_ca, b->nobody_ca);
}

static bool same_cert(const struct set_identity *a, const struct set_identity *b)
{
	return a->e.identity == b->e.identity && a->e.generation == b->e.generation &&
	       slice_eq(a->e.spiffe_id, b->e.spiffe_id) && slice_eq(a->e.chain, b->e.chain);
}

static const struct set_bundle *find_x509(const struct set *s, const struct set_bundle *like)
{
	const struct set_bundle *b = find_federated(s, slice_str(like->trust_domain_id));

	return b && b->der.len ? b : NULL;
}

static uint64_t carry(struct sds *sds, bool same, uint64_t version)
{
	return same ? version : ++sds->versions;
}

static void follow_certs(struct sds *sds, struct set *s, const struct set *old)
{
	for (size_t i = 0; i < s->n_ids; i++) {
		const struct set_identity *was = old ? set_find(old, s->ids[i].e.spiffe_id) : NULL;

		s->ids[i].sds_version = carry(sds, was && same_cert(&s->ids[i], was), was ? was->sds_version : 0);
	}
	if (s->n_ids)
		s->sds_default = carry(sds, old && old->n_ids && same_cert(&s->ids[0], &old->ids[0]),
				       old ? old->sds_default : 0);
}

/* All bundles are as they were when each is, and none is missing. */
static void follow_bundles(struct sds *sds, struct set *s, const struct set *old)
{
	bool frame = old && same_frame(s, old);
	bool same = frame && slice_eq(s->own.der, old->own.der);
	size_t n = 0;

	s->own.sds_version = carry(sds, same, old ? old->own.sds_version : 0);
	for (size_t i = 0; i < s->n_feds; i++) {
		struct set_bundle *b = &s->feds[i];
		const struct set_bundle *was = frame && b->der.len ? find_x509(old, b) : NULL;
		bool as_was = was && slice_eq(b->der, was->der);

		b->sds_version = carry(sds, as_was, was ? was->sds_version : 0);
		same &= as_was || !b->der.len;
		n += b->der.len != 0;
	}
	for (size_t i = 0; old && i < old->n_feds; i++)
		n -= old->feds[i].der.len != 0;
	s->sds_all_version = carry(sds, same && !n, old ? old->sds_all_version : 0);
	s->sds_nobody = carry(sds, old && same_nobody(s, old), old ? old->sds_nobody : 0);
}

static void mark_gone(struct sds *sds, const struct set *s, const struct set *old)
{
	struct gone *g;

	list_for_each(g, &sds->gone, node) {
		struct slice id = slice_str(g->id);
		const struct set_bundle *now = find_federated(s, id), *was = find_federated(old, id);

		if (now && now->der.len)
			g->version = 0;
		else if ((was && was->der.len) || (g->version && !same_nobody(s, old)))
			g->version = ++sds->versions;
	}
}

static void mark_shrunk(struct sds *sds, const struct set *s, const struct set *old)
{
	bool less = false;

	for (size_t i = 0; i < old->n_ids; i++)
		less |= !set_find(s, old->ids[i].e.spiffe_id);
	for (size_t i = 0; i < old->n_feds; i++)
		less |= old->feds[i].der.len && !find_x509(s, &old->feds[i]);
	if (less)
		sds->shrunk = ++sds->versions;
}

void sds_follow(struct api *api, const struct set *old)
{
	api->sds.epoch++;
	follow_certs(&api->sds, api->set, old);
	follow_bundles(&api->sds, api->set, old);
	if (!old)
		return;
	mark_gone(&api->sds, api->set, old);
	mark_shrunk(&api->sds, api->set, old);
}

static void drop_gone(struct sds *sds, struct gone *g)
{
	list_del(&g->node);
	mem_free(g->id);
	mem_free(g);
	sds->n_gone--;
}

static int add_gone(struct sds *sds, const char *id)
{
	struct gone *g = mem_new(struct gone);

	if (g)
		g->id = mem_strdup(id);
	if (!g || !g->id) {
		mem_free(g);
		return -ENOMEM;
	}
	if (sds->n_gone >= LIM_FEDERATED)
		drop_gone(sds, list_entry(sds->gone.next, struct gone, node));
	list_add_tail(&sds->gone, &g->node);
	sds->n_gone++;
	return 0;
}

int sds_prepare(struct api *api, const struct set *next)
{
	const struct set *s = api->set;
	int err = 0;

	for (size_t i = 0; s && i < s->n_feds && !err; i++) {
		const char *id = s->feds[i].trust_domain_id;

		if (s->feds[i].der.len && !find_x509(next, &s->feds[i]) && !find_gone(&api->sds, slice_str(id)))
			err = add_gone(&api->sds, id);
	}
	return err;
}

void sds_init(struct sds *s)
{
	/* No two fronts ever give the same: a client may come with a version of another. */
	*s = (struct sds){ .versions = (uint64_t)clock_wall_ms() << 20 | clock_random(1u << 20) };
	for (size_t i = 0; i < SDS_BUCKETS; i++)
		list_init(&s->asks[i]);
	list_init(&s->gone);
}

void sds_done(struct sds *s)
{
	while (s->n_gone)
		drop_gone(s, list_entry(s->gone.next, struct gone, node));
}
