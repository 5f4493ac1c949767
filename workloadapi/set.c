// SPDX-License-Identifier: Apache-2.0
/* set.c - taking an F_SET apart and judging it. svid-front. */
#include "workloadapi/set.h"

#include <errno.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/msg.h"

#define SCHEME "spiffe://"

void set_free(struct set *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->n_ids; i++) {
		mem_free(s->ids[i].spiffe_id);
		mem_free(s->ids[i].hint);
	}
	for (size_t i = 0; i < s->n_feds; i++)
		mem_free(s->feds[i].trust_domain_id);
	mem_free(s->own.trust_domain_id);
	mem_free(s->ids);
	mem_free(s->feds);
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

static int add_identity(struct set *s, const struct set_entry *e)
{
	struct set_identity *id = &s->ids[s->n_ids];

	*id = (struct set_identity){ .e = *e, .spiffe_id = slice_dup(e->spiffe_id),
				     .hint = slice_dup(usable_hint(s, e->hint)) };
	s->n_ids++;
	if (!s->expires || e->not_after < s->expires)
		s->expires = e->not_after;
	return id->spiffe_id && id->hint ? 0 : -ENOMEM;
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
	if (!s->ids)
		return -ENOMEM;
	while (list.len && !err) {
		struct set_entry e = list_get_entry(&list);

		err = add_identity(s, &e);
	}
	return err;
}

/*
 * One bad bundle makes java-spiffe and py-spiffe drop the whole message, so it is the bundle that is
 * left out: an empty one (only JWT keys), our own trust domain, a second one of the same name.
 */
static bool is_useful(const struct set *s, const struct fed_bundle *f)
{
	struct slice own = slice_str(s->own.trust_domain_id);

	if (der_count(f->bundle) == 0 || !slice_starts(f->trust_domain_id, slice_str(SCHEME)) ||
	    !slice_is_utf8(f->trust_domain_id) || slice_eq(f->trust_domain_id, own))
		return false;
	for (size_t i = 0; i < s->n_feds; i++)
		if (slice_eq_str(f->trust_domain_id, s->feds[i].trust_domain_id))
			return false;
	return s->n_feds < LIM_FEDERATED;
}

static int read_federated(struct set *s, struct slice list)
{
	s->feds = list.len ? mem_calloc(LIM_FEDERATED, sizeof(*s->feds)) : NULL;
	if (list.len && !s->feds)
		return -ENOMEM;
	while (list.len) {
		struct fed_bundle f = list_get_fed(&list);
		struct set_bundle *b = &s->feds[s->n_feds];

		if (!slice_ok(&list))
			return -ERR_FORMAT;
		if (!is_useful(s, &f)) {
			log_info(EV_FRONT, KV("what", V_S("federated bundle left out")),
				 KV("id", V_B(f.trust_domain_id)));
			continue;
		}
		b->der = f.bundle;
		b->trust_domain_id = slice_dup(f.trust_domain_id);
		if (!b->trust_domain_id)
			return -ENOMEM;
		s->n_feds++;
	}
	return 0;
}

static char *id_of_domain(struct slice domain)
{
	AUTO(buf) struct buf b = BUF_INIT(sizeof(SCHEME) + LIM_TRUST_DOMAIN);

	buf_put_str(&b, SCHEME);
	buf_put_slice(&b, domain);
	return buf_ok(&b) ? NULL : slice_dup(buf_slice(&b));
}

static int read_set(struct set *s)
{
	struct msg_F_SET m;
	int err = msg_get_F_SET(buf_slice(&s->body), &m);

	if (err)
		return err;
	s->version = m.version;
	s->own.der = m.bundle;
	s->own.trust_domain_id = id_of_domain(m.trust_domain);
	if (!s->own.trust_domain_id)
		return -ENOMEM;
	err = read_entries(s, m.entries);
	return err ? err : read_federated(s, m.federated);
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

static size_t der_length(struct slice *s)
{
	uint8_t first = slice_get_u8(s);
	size_t len = 0;

	if (first < 0x80)
		return first;
	if (first == 0x80 || first > 0x84)
		slice_fail(s); /* indefinite is not DER; four bytes are more than any limit here */
	for (uint8_t i = first & 0x7f; i && slice_ok(s); i--)
		len = len << 8 | slice_get_u8(s);
	return len;
}

size_t der_count(struct slice s)
{
	size_t n = 0;

	while (s.len) {
		if (slice_get_u8(&s) != 0x30)
			return 0;
		(void)slice_get_bytes(&s, der_length(&s));
		if (!slice_ok(&s))
			return 0;
		n++;
	}
	return n;
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
