// SPDX-License-Identifier: Apache-2.0
/* lists.c - list items inside message blobs. Any role. */
#include "agent/ipc/lists.h"

#include "agent/ipc/plan.h"

void list_put_str(struct buf *b, struct slice s)
{
	buf_put_blob(b, s);
}

struct slice list_get_str(struct slice *list, size_t max)
{
	return slice_get_str(list, max);
}

void list_put_entry(struct buf *b, const struct set_entry *e)
{
	buf_put_u32(b, e->identity);
	buf_put_u64(b, e->generation);
	buf_put_blob(b, e->spiffe_id);
	buf_put_blob(b, e->hint);
	buf_put_blob(b, e->chain);
	buf_put_u64(b, (uint64_t)e->not_after);
}

struct set_entry list_get_entry(struct slice *list)
{
	struct set_entry e;

	e.identity = slice_get_u32(list);
	e.generation = slice_get_u64(list);
	e.spiffe_id = slice_get_str(list, LIM_SPIFFE_ID);
	e.hint = slice_get_str(list, LIM_HINT);
	e.chain = slice_get_blob(list, LIM_CHAIN);
	e.not_after = (int64_t)slice_get_u64(list);
	return e;
}

void list_put_fed(struct buf *b, const struct fed_bundle *f)
{
	buf_put_blob(b, f->trust_domain_id);
	buf_put_blob(b, f->bundle);
}

struct fed_bundle list_get_fed(struct slice *list)
{
	struct fed_bundle f;

	f.trust_domain_id = slice_get_str(list, LIM_SPIFFE_ID);
	f.bundle = slice_get_blob(list, LIM_BUNDLE);
	return f;
}

const char *tier_name(unsigned int tier)
{
	static const char *const names[TIER_COUNT] = {
		[TIER_AUTO] = "auto",	[TIER_BPF_LSM] = "bpf-lsm", [TIER_BPF_FENTRY] = "bpf-fentry",
		[TIER_KMOD] = "kmod",	[TIER_BPF_TP] = "bpf-tp",   [TIER_SOCKET] = "socket",
	};

	return tier < TIER_COUNT ? names[tier] : "?";
}

const char *role_name_of(unsigned int role)
{
	static const char *const names[ROLE_COUNT] = {
		[ROLE_CORE] = "svid-core",   [ROLE_KEYS] = "svid-keys",	 [ROLE_ATTEST] = "svid-attest",
		[ROLE_FRONT] = "svid-front", [ROLE_POLICY] = "svid-policy",
	};

	return role < ROLE_COUNT ? names[role] : "?";
}
