// SPDX-License-Identifier: Apache-2.0
/*
 * front_set.c - F_SET: everything that the front of a set shows, each time as a whole, and only when it is not what
 * that front has already. svid-core.
 */
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/core/front_table.h"

#define MAX_ENTRIES (6u << 20)   /* bytes of F_SET.entries, agent/ipc/msg.def */
#define MAX_FEDERATED (1u << 20) /* bytes of F_SET.federated */

/* One F_SET in the making. */
struct state_of_set {
	struct buf entries, federated;
	struct buf stamp; /* serial numbers of all that is in it: the same stamp is the same content */
};

static void state_of_set_autoclean(struct state_of_set *s)
{
	buf_done(&s->entries);
	buf_done(&s->federated);
	buf_done(&s->stamp);
}

/* 0 and all entries there are; or why there is none to show. */
static int put_entries(const struct idset *set, struct state_of_set *s)
{
	size_t there = 0;
	int why = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct set_entry e;
		int err = identity_entry(set->table->ids, set->ids[i], &e);

		if (err == -ERR_NOT_READY)
			return err; /* a message is the whole state: wait until all are issued */
		if (err) {
			why = err;
			continue;
		}
		list_put_entry(&s->entries, &e);
		buf_put_u32(&s->stamp, set->ids[i]);
		buf_put_u64(&s->stamp, identity_serial(set->table->ids, set->ids[i]));
		there++;
	}
	return there || !set->n ? 0 : why;
}

/* Foreign bundles that some document of the set names and that are there, each once, by name. */
static void find_federated(const struct idset *set, bool wanted[static LIM_FOREIGN_BUNDLES])
{
	for (size_t i = 0; i < set->n; i++) {
		struct slice list = identity_federates(set->table->ids, set->ids[i]);

		while (list.len && slice_ok(&list)) {
			size_t at = bundles_find(set->table->bundles, list_get_str(&list, LIM_TRUST_DOMAIN));

			if (at < LIM_FOREIGN_BUNDLES)
				wanted[at] = true;
		}
	}
}

static bool put_one(const struct bundle *b, struct buf *out)
{
	char id[LIM_TRUST_DOMAIN + sizeof("spiffe://")];
	struct fed_bundle f = { .bundle = buf_slice(&b->der), .jwks = buf_slice(&b->jwks) };
	size_t n = (size_t)snprintf(id, sizeof(id), "spiffe://%s", b->trust_domain);

	if (out->len + n + b->der.len + b->jwks.len + 12 > MAX_FEDERATED)
		return false;
	f.trust_domain_id = slice_str(id);
	list_put_fed(out, &f);
	return true;
}

static void put_federated(const struct idset *set, struct state_of_set *s)
{
	bool wanted[LIM_FOREIGN_BUNDLES] = { false };
	const struct bundle *b;
	size_t n = 0, left_out = 0;

	find_federated(set, wanted);
	for (size_t i = 0; (b = bundles_at(set->table->bundles, i)); i++) {
		if (!wanted[i])
			continue;
		if (n == LIM_FEDERATED || !put_one(b, &s->federated)) {
			left_out++;
			continue;
		}
		buf_put_u64(&s->stamp, b->serial);
		n++;
	}
	if (left_out)
		log_warn(EV_LIMIT, KV("what", V_S("foreign bundles of one identity set")), KV("left_out", V_U(left_out)));
}

/* Callers without identity get no bundle, unless somebody wants that over SDS. */
static bool gets_bundle(const struct idset *set)
{
	return set->n || set->table->sds.flags & SDS_BUNDLES_FOR_NOBODY;
}

/* The settings count for the empty set too: its front starts before there is an Agent document. */
static void stamp_common(const struct idset *set, struct buf *stamp)
{
	const struct fronts *f = set->table;

	buf_put_u64(stamp, gets_bundle(set) ? authority_serial(f->auth) : 0);
	buf_put_blob(stamp, slice_str(authority_trust_domain(f->auth)));
	buf_put_u32(stamp, authority_wit(f->auth));
	buf_put_blob(stamp, slice_str(f->sds.svid));
	buf_put_blob(stamp, slice_str(f->sds.bundle));
	buf_put_blob(stamp, slice_str(f->sds.all));
	buf_put_u32(stamp, f->sds.flags);
}

static int put_set(struct idset *set, const struct state_of_set *s)
{
	const struct fronts *f = set->table;
	struct slice none = { 0 };

	return chan_put(set->front->chan, F_SET, 0, .version = ++set->version,
			.trust_domain = slice_str(authority_trust_domain(f->auth)),
			.bundle = gets_bundle(set) ? authority_bundle(f->auth) : none, .entries = buf_slice(&s->entries),
			.federated = buf_slice(&s->federated), .jwks = set->n ? authority_jwks(f->auth) : none,
			.wit_jwks = set->n ? authority_wit_jwks(f->auth) : none, .wit = authority_wit(f->auth),
			.nobody_ca = authority_nobody_ca(f->auth), .sds_svid = slice_str(f->sds.svid),
			.sds_bundle = slice_str(f->sds.bundle), .sds_all = slice_str(f->sds.all), .sds_flags = f->sds.flags);
}

static bool is_told(struct idset *set, const struct state_of_set *s)
{
	if (slice_eq(buf_slice(&set->told), buf_slice(&s->stamp)))
		return true;
	buf_reset(&set->told);
	buf_put_slice(&set->told, buf_slice(&s->stamp));
	return false;
}

/*
 * While something is still being issued a new front waits, and an old one keeps what it has. Spec: every message
 * carries everything (spiffe.md 2.6).
 */
void front_push(struct idset *set)
{
	AUTO(state_of_set) struct state_of_set s = { BUF_INIT(MAX_ENTRIES), BUF_INIT(MAX_FEDERATED), BUF_INIT(MAX_ENTRIES) };
	struct front *fr = set->front;
	int err;

	if (!fr || !fr->ready)
		return;
	stamp_common(set, &s.stamp);
	err = put_entries(set, &s);
	if (err == -ERR_NOT_READY)
		return;
	put_federated(set, &s);
	if (buf_ok(&s.entries) || buf_ok(&s.federated) || buf_ok(&s.stamp)) { /* the next front is told everything again */
		front_kill(fr);
		return;
	}
	/* What cannot be signed now is Unavailable to a client; the log and status say why. */
	set->err = err && err_status(err) != GRPC_UNAVAILABLE ? -ERR_NOT_READY : err;
	if (!err && !is_told(set, &s) && put_set(set, &s))
		front_kill(fr);
	front_tell_state(fr);
}

bool idset_holds(const struct idset *set, uint32_t number)
{
	for (size_t i = 0; i < set->n; i++)
		if (set->ids[i] == number)
			return true;
	return false;
}

void fronts_push(struct fronts *f, uint32_t number)
{
	struct idset *set;

	for (size_t i = 0; i < FRONT_BUCKETS; i++)
		list_for_each(set, &f->sets[i], node)
			if (!number || idset_holds(set, number))
				front_push(set);
}

void fronts_set_sds(struct fronts *f, const struct sds_settings *sds)
{
	if (f->sds.flags == sds->flags && strcmp(f->sds.svid, sds->svid) == 0 && strcmp(f->sds.bundle, sds->bundle) == 0 &&
	    strcmp(f->sds.all, sds->all) == 0)
		return;
	f->sds = *sds;
	fronts_push(f, 0);
}
