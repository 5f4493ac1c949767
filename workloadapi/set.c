// SPDX-License-Identifier: Apache-2.0
/* set.c - taking an F_SET apart and judging it. svid-front. */
#include "workloadapi/set.h"

#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/msg.h"
#include "workloadapi/der.h"
#include "workloadapi/jwks.h"

#define SCHEME "spiffe://"

static void bundle_done(struct set_bundle *b)
{
	mem_free(b->trust_domain_id);
	jwks_unref(b->parsed);
}

void set_free(struct set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_ids; i++) {
		mem_free(s->ids[i].spiffe_id);
		mem_free(s->ids[i].hint);
	}
	for (size_t i = 0; i < s->n_feds; i++)
		bundle_done(&s->feds[i]);
	bundle_done(&s->own);
	mem_free(s->ids);
	mem_free(s->feds);
	mem_free(s->keys);
	buf_done(&s->body);
	mem_free(s);
}

/* Workload API 5.2.1: hints are unique. The first keeps it. */
static struct slice usable_hint(const struct set *s, struct slice hint)
{
	if (!slice_is_utf8(hint))
		return slice_of(NULL, 0);
	for (size_t i = 0; i < s->n_ids; i++)
		if (slice_eq_str(hint, s->ids[i].hint))
			return slice_of(NULL, 0);
	return hint;
}

static void add_key(struct set *s, uint32_t identity, uint32_t kind, uint64_t generation)
{
	s->keys[s->n_keys++] = (struct key_id){ .identity = identity, .kind = kind, .generation = generation };
}

static int64_t earliest(int64_t a, int64_t b)
{
	return !a || b < a ? b : a;
}

static int add_identity(struct set *s, const struct set_entry *e)
{
	struct set_identity *id = &s->ids[s->n_ids];

	*id = (struct set_identity){ .e = *e, .spiffe_id = slice_dup(e->spiffe_id),
				     .hint = slice_dup(usable_hint(s, e->hint)) };
	s->n_ids++;
	s->expires = earliest(s->expires, e->not_after);
	add_key(s, e->identity, SVID_X509, e->generation);
	return id->spiffe_id && id->hint ? 0 : -ENOMEM;
}

/* The profile may be off, and one WIT-SVID or the other may not have been issued yet. */
static void read_wits(struct set *s)
{
	for (size_t i = 0; i < s->n_ids; i++) {
		struct set_entry *e = &s->ids[i].e;

		if (!s->wit || !e->wit_generation || !slice_is_utf8(e->wit))
			e->wit = slice_of(NULL, 0);
		if (!e->wit.len)
			continue;
		add_key(s, e->identity, SVID_WIT, e->wit_generation);
		s->wit_expires = earliest(s->wit_expires, e->wit_not_after);
	}
}

static bool is_list(struct slice list)
{
	while (list.len)
		(void)list_get_str(&list, LIM_SPIFFE_ID + 16);
	return slice_ok(&list);
}

static int read_entries(struct set *s, struct slice list)
{
	struct slice count = list;
	size_t n = 0;
	int err = 0;

	for (; count.len && slice_ok(&count); n++)
		(void)list_get_entry(&count);
	if (!slice_ok(&count))
		return -ERR_FORMAT;
	if (n > LIM_SET_IDENTITIES)
		return -ERR_LIMIT;
	s->ids = mem_calloc(n, sizeof(*s->ids));
	s->keys = mem_calloc(n * SVID_KINDS, sizeof(*s->keys));
	if (!s->ids || !s->keys)
		return -ENOMEM;
	while (list.len && !err) {
		struct set_entry e = list_get_entry(&list);

		err = is_list(e.peers) ? add_identity(s, &e) : -ERR_FORMAT;
	}
	return err;
}

/*
 * A JWK Set that every client takes whole (spiffe.md 4.2 item 5), or nothing. No memory to say so is no judgement:
 * to leave a set out would withdraw it.
 */
static int usable_jwks(struct slice jwks, int (*check)(struct slice), struct slice *ret_usable)
{
	int err = jwks.len ? check(jwks) : 0;

	if (err == -ENOMEM)
		return err;
	*ret_usable = err ? slice_of(NULL, 0) : jwks;
	return 0;
}

/*
 * One bad bundle makes java-spiffe and py-spiffe drop the whole message, so it is the bundle that is
 * left out: an empty one of either kind, our own trust domain, a second one of the same name.
 */
static bool is_useful(const struct set *s, const struct fed_bundle *f)
{
	struct slice own = slice_str(s->own.trust_domain_id);

	if (!slice_starts(f->trust_domain_id, slice_str(SCHEME)) || !slice_is_utf8(f->trust_domain_id) ||
	    slice_eq(f->trust_domain_id, own))
		return false;
	for (size_t i = 0; i < s->n_feds; i++)
		if (slice_eq_str(f->trust_domain_id, s->feds[i].trust_domain_id))
			return false;
	return s->n_feds < LIM_FEDERATED;
}

static void log_left_out(const struct fed_bundle *f, const char *what, const char *why)
{
	log_info(EV_FRONT, KV("what", V_S(what)), KV("id", V_B(f->trust_domain_id)), KV("why", V_S(why)));
}

static int add_federated(struct set *s, const struct fed_bundle *f)
{
	struct set_bundle b = { .all_jwks = f->jwks };
	int err = usable_jwks(f->jwks, jwks_check, &b.jwks);

	if (err)
		return err;
	if (der_count(f->bundle))
		b.der = f->bundle;
	if (b.der.len != f->bundle.len)
		log_left_out(f, "federated X.509 bundle left out", "it is not DER");
	if (b.jwks.len != f->jwks.len)
		log_left_out(f, "federated JWT bundle left out", jwks_why(f->jwks));
	if (!b.der.len && !b.all_jwks.len)
		return 0;
	b.trust_domain_id = slice_dup(f->trust_domain_id);
	if (!b.trust_domain_id)
		return -ENOMEM;
	s->feds[s->n_feds++] = b;
	return 0;
}

static int read_federated(struct set *s, struct slice list)
{
	int err = 0;

	s->feds = list.len ? mem_calloc(LIM_FEDERATED, sizeof(*s->feds)) : NULL;
	if (list.len && !s->feds)
		return -ENOMEM;
	while (list.len && !err) {
		struct fed_bundle f = list_get_fed(&list);

		if (!slice_ok(&list))
			return -ERR_FORMAT;
		if (is_useful(s, &f))
			err = add_federated(s, &f);
		else
			log_left_out(&f, "federated bundles left out", "its name is our own, not the first, or not valid");
	}
	return err;
}

static char *id_of_domain(struct slice domain)
{
	AUTO(buf) struct buf b = BUF_INIT(sizeof(SCHEME) + LIM_TRUST_DOMAIN);

	buf_put_str(&b, SCHEME);
	buf_put_slice(&b, domain);
	return buf_ok(&b) ? NULL : slice_dup(buf_slice(&b));
}

static int read_own(struct set *s, const struct msg_F_SET *m)
{
	int err = usable_jwks(m->jwks, jwks_check, &s->own.jwks);

	if (!err)
		err = usable_jwks(m->wit_jwks, jwks_check_wit, &s->wit_jwks);
	if (err)
		return err;
	if (s->own.jwks.len != m->jwks.len || s->wit_jwks.len != m->wit_jwks.len)
		log_error(EV_FRONT, KV("what", V_S("own JWK Set left out")), KV("version", V_U(m->version)));
	s->own.der = m->bundle;
	s->own.all_jwks = m->jwks;
	s->own.trust_domain_id = id_of_domain(m->trust_domain);
	return s->own.trust_domain_id ? 0 : -ENOMEM;
}

static struct slice or_default(struct slice name, const char *usual)
{
	return name.len ? name : slice_str(usual);
}

static void read_sds(struct set *s, const struct msg_F_SET *m)
{
	s->sds_svid = or_default(m->sds_svid, "default");
	s->sds_bundle = or_default(m->sds_bundle, "ROOTCA");
	s->sds_all = or_default(m->sds_all, "ALL");
	s->sds_flags = m->sds_flags;
	if (der_count(m->nobody_ca))
		s->nobody_ca = m->nobody_ca;
}

static int read_set(struct set *s)
{
	struct msg_F_SET m;
	int err = msg_get_F_SET(buf_slice(&s->body), &m);

	if (err)
		return err;
	s->version = m.version;
	s->wit = m.wit != 0;
	read_sds(s, &m);
	err = read_own(s, &m);
	if (!err)
		err = read_entries(s, m.entries);
	if (err)
		return err;
	read_wits(s);
	return read_federated(s, m.federated);
}

int set_new(struct slice body, struct set **ret_set)
{
	AUTO(set) struct set *s = mem_new(struct set);
	int err;

	if (!s)
		return -ENOMEM;
	s->body = (struct buf)BUF_INIT(LIM_IPC_BODY);
	buf_put_slice(&s->body, body);
	err = buf_ok(&s->body);
	if (!err)
		err = read_set(s);
	if (err)
		return err;
	*ret_set = take(&s);
	return 0;
}

const struct set_identity *set_find(const struct set *s, struct slice spiffe_id)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (slice_eq(spiffe_id, s->ids[i].e.spiffe_id))
			return &s->ids[i];
	return NULL;
}

const struct set_identity *set_by_number(const struct set *s, uint32_t identity)
{
	for (size_t i = 0; i < s->n_ids; i++)
		if (s->ids[i].e.identity == identity)
			return &s->ids[i];
	return NULL;
}

bool set_needs(const struct set *s, struct key_id id)
{
	for (size_t i = 0; i < s->n_keys; i++)
		if (s->keys[i].identity == id.identity && s->keys[i].kind == id.kind && s->keys[i].generation == id.generation)
			return true;
	return false;
}

/* X509-SVID 3.1: a leaf has a path; ours are of our own trust domain. */
static bool is_own_id(const struct set *s, struct slice id)
{
	struct slice domain = slice_str(s->own.trust_domain_id);

	return slice_starts(id, domain) && id.len > domain.len + 1 && id.p[domain.len] == '/' && slice_is_utf8(id);
}

int set_check(const struct set *s)
{
	if (s->n_ids && (der_count(s->own.der) == 0 || strlen(s->own.trust_domain_id) == strlen(SCHEME)))
		return -ERR_FORMAT;
	for (size_t i = 0; i < s->n_ids; i++) {
		size_t certs = der_count(s->ids[i].e.chain);

		if (!is_own_id(s, s->ids[i].e.spiffe_id))
			return -ERR_SPIFFE_ID;
		if (certs == 0 || certs > LIM_CHAIN_CERTS)
			return -ERR_FORMAT;
	}
	return 0;
}
