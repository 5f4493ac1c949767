// SPDX-License-Identifier: Apache-2.0
/* bundles.c - the sorted table of foreign bundles: state.db first, then memory. svid-core. Next: front_chan.c. */
#include "agent/core/bundles.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"

#define DER_SEQUENCE 0x30

struct bundles {
	struct state *st;
	struct bundle *v[LIM_FOREIGN_BUNDLES]; /* by name */
	size_t n;
	uint64_t last_serial;
};

static void bundle_free(struct bundle *b)
{
	if (!b)
		return;
	mem_free(b->trust_domain);
	buf_done(&b->der);
	buf_done(&b->jwks);
	mem_free(b);
}

static struct bundle *bundle_new(const struct state_bundle *in)
{
	struct bundle *b = mem_new(struct bundle);

	if (!b)
		return NULL;
	b->der = (struct buf)BUF_INIT(LIM_BUNDLE);
	b->jwks = (struct buf)BUF_INIT(LIM_JWKS);
	b->trust_domain = slice_dup(in->trust_domain);
	buf_put_slice(&b->der, in->der);
	buf_put_slice(&b->jwks, in->jwks);
	b->sequence = in->sequence;
	b->changed = in->changed;
	if (b->trust_domain && !buf_ok(&b->der) && !buf_ok(&b->jwks))
		return b;
	bundle_free(b);
	return NULL;
}

static int compare(struct slice name, const char *other)
{
	size_t n = strlen(other), least = name.len < n ? name.len : n;
	int order = least ? memcmp(name.p, other, least) : 0;

	return order ? order : (name.len > n) - (name.len < n);
}

/* Where @name is, or where it belongs. */
static size_t place(const struct bundles *b, struct slice name, bool *ret_found)
{
	size_t low = 0, high = b->n;

	*ret_found = false;
	while (low < high && !*ret_found) {
		size_t mid = (low + high) / 2;
		int order = compare(name, b->v[mid]->trust_domain);

		if (order == 0) {
			*ret_found = true;
			return mid;
		}
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int insert(struct bundles *b, struct bundle *new)
{
	bool found;
	size_t at = place(b, slice_str(new->trust_domain), &found);

	if (!found && b->n == LIM_FOREIGN_BUNDLES)
		return -ERR_LIMIT;
	new->serial = ++b->last_serial;
	if (found) {
		bundle_free(b->v[at]);
	} else {
		memmove(&b->v[at + 1], &b->v[at], (b->n - at) * sizeof(b->v[0]));
		b->n++;
	}
	b->v[at] = new;
	return 0;
}

static int load_one(void *arg, const struct state_bundle *in)
{
	struct bundle *new = bundle_new(in);
	int err = new ? insert(arg, new) : -ENOMEM;

	if (err)
		bundle_free(new);
	return err;
}

int bundles_new(struct state *st, struct bundles **ret_bundles)
{
	struct bundles *b = mem_new(struct bundles);
	int err;

	if (!b)
		return -ENOMEM;
	b->st = st;
	err = state_each_bundle(st, load_one, b);
	if (err) {
		bundles_free(b);
		return err;
	}
	*ret_bundles = b;
	return 0;
}

void bundles_free(struct bundles *b)
{
	if (!b)
		return;
	for (size_t i = 0; i < b->n; i++)
		bundle_free(b->v[i]);
	mem_free(b);
}

const struct bundle *bundles_at(const struct bundles *b, size_t i)
{
	return i < b->n ? b->v[i] : NULL;
}

size_t bundles_find(const struct bundles *b, struct slice trust_domain)
{
	bool found;
	size_t at = place(b, trust_domain, &found);

	return found ? at : LIM_FOREIGN_BUNDLES;
}

long bundle_certs(struct slice der)
{
	long n = 0;

	for (; der.len && slice_ok(&der); n++) {
		uint8_t tag = slice_get_u8(&der), first = slice_get_u8(&der);
		size_t len = first < 0x80 ? first : 0;

		if (tag != DER_SEQUENCE || first == 0x80 || first > 0x83)
			return -1;
		for (unsigned int i = first < 0x80 ? 0 : first & 0x7f; i; i--)
			len = len << 8 | slice_get_u8(&der);
		(void)slice_get_bytes(&der, len);
	}
	return slice_ok(&der) ? n : -1;
}

static int check(const struct bundles *b, const struct state_bundle *in, const char *own, const char **ret_why)
{
	size_t at;

	*ret_why = spiffe_td_why(in->trust_domain);
	if (*ret_why)
		return -ERR_SPIFFE_ID;
	if (slice_eq_str(in->trust_domain, own)) {
		*ret_why = "that is this agent's own trust domain";
		return -ERR_SPIFFE_ID;
	}
	if (bundle_certs(in->der) < 0 || !slice_is_utf8(in->jwks)) {
		*ret_why = "not CA certificates in DER and a JWK Set";
		return -ERR_FORMAT;
	}
	at = bundles_find(b, in->trust_domain);
	if (at == LIM_FOREIGN_BUNDLES && b->n == LIM_FOREIGN_BUNDLES) {
		*ret_why = "there are too many foreign bundles";
		return -ERR_LIMIT;
	}
	if (at < LIM_FOREIGN_BUNDLES && in->sequence < b->v[at]->sequence) {
		*ret_why = "an older bundle: one with a higher sequence number is there; remove that one first to go back";
		return -ERR_EXISTS;
	}
	return 0;
}

static bool same(const struct bundles *b, const struct state_bundle *in)
{
	size_t at = bundles_find(b, in->trust_domain);
	const struct bundle *was = at < LIM_FOREIGN_BUNDLES ? b->v[at] : NULL;

	return was && was->sequence == in->sequence && slice_eq(buf_slice(&was->der), in->der) &&
	       slice_eq(buf_slice(&was->jwks), in->jwks);
}

int bundles_set(struct bundles *b, const struct state_bundle *in, const char *own, bool *ret_changed,
		const char **ret_why)
{
	struct bundle *new;
	int err = check(b, in, own, ret_why);

	if (err)
		return err;
	if (same(b, in)) {
		*ret_changed = false;
		return 0;
	}
	new = bundle_new(in);
	err = new ? state_put_bundle(b->st, in) : -ENOMEM;
	if (!err)
		err = insert(b, new);
	if (err) {
		bundle_free(new);
		*ret_why = err == -ERR_STATE ? state_problem(b->st) : err_text(err);
		return err;
	}
	*ret_changed = true;
	return 0;
}

int bundles_remove(struct bundles *b, struct slice trust_domain, const char **ret_why)
{
	size_t at = bundles_find(b, trust_domain);
	int err;

	if (at == LIM_FOREIGN_BUNDLES) {
		*ret_why = "there is no bundle of that trust domain";
		return -ERR_NOT_FOUND;
	}
	err = state_del_bundle(b->st, trust_domain);
	if (err) {
		*ret_why = state_problem(b->st);
		return err;
	}
	bundle_free(b->v[at]);
	memmove(&b->v[at], &b->v[at + 1], (b->n - at - 1) * sizeof(b->v[0]));
	b->n--;
	return 0;
}
