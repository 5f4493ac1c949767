// SPDX-License-Identifier: Apache-2.0
/* admin_bundles.c - trust bundles on admin.sock: our own, and those of foreign trust domains that root sets. svid-core. */
#include "agent/core/admin.h"

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/core/bundles.h"

#define LISTED_MAX (ADMIN_REPLY_MAX / 4 * 3) /* bytes of a list; behind them bundles are named, not shown */

/* svid-keys and svid made it JSON; it is shown as it is. */
static void put_jwks(struct json *j, const char *key, struct slice jwks)
{
	json_raw(j, key, jwks.len ? jwks : slice_str("null"));
}

void bundle_put_own(const struct core *c, struct buf *out)
{
	struct json j = JSON_INIT(out);

	json_open(&j, NULL, '{');
	json_str(&j, "trust_domain", authority_trust_domain(c->auth));
	json_hex(&j, "x509_authorities_der", authority_bundle(c->auth));
	put_jwks(&j, "jwks", authority_jwks(c->auth));
	if (authority_wit(c->auth))
		put_jwks(&j, "wit_jwks", authority_wit_jwks(c->auth));
	json_close(&j, '}');
}

static bool federates(const struct identity *doc, const char *trust_domain)
{
	for (size_t i = 0; i < doc->n_federates_with; i++)
		if (strcmp(doc->federates_with[i], trust_domain) == 0)
			return true;
	return false;
}

static void put_users(struct json *j, const struct policy *p, const char *trust_domain)
{
	const struct identity *doc;

	json_open(j, "federated_by", '[');
	for (size_t i = 0; (doc = policy_at(p, i)) && j->b->len < LISTED_MAX; i++)
		if (federates(doc, trust_domain))
			json_str(j, NULL, doc->spiffe_id);
	json_close(j, ']');
}

static void put_foreign(struct json *j, const struct policy *p, const struct bundle *b)
{
	long certs = bundle_certs(buf_slice(&b->der));

	json_open(j, NULL, '{');
	json_str(j, "trust_domain", b->trust_domain);
	json_u64(j, "sequence", b->sequence);
	json_u64(j, "x509_authorities", certs > 0 ? (uint64_t)certs : 0);
	json_u64(j, "x509_bytes", b->der.len);
	json_u64(j, "jwks_bytes", b->jwks.len);
	json_time(j, "changed", b->changed);
	put_users(j, p, b->trust_domain);
	if (j->b->len + 2 * b->der.len + b->jwks.len < LISTED_MAX) {
		json_hex(j, "x509_authorities_der", buf_slice(&b->der));
		put_jwks(j, "jwks", buf_slice(&b->jwks));
	}
	json_close(j, '}');
}

void bundle_put_foreign(const struct core *c, struct buf *out)
{
	struct json j = JSON_INIT(out);
	const struct bundle *b;

	json_open(&j, NULL, '{');
	json_open(&j, "bundles", '[');
	for (size_t i = 0; (b = bundles_at(c->bundles, i)); i++)
		put_foreign(&j, docs_policy(c->docs), b);
	json_close(&j, ']');
	json_close(&j, '}');
}

static void audit(struct core *c, const struct msg_AD_BUNDLE *ask, bool removed)
{
	AUTO(buf) struct buf b = BUF_INIT(1024);
	struct json j = JSON_INIT(&b);

	json_bytes(&j, "trust_domain", ask->trust_domain);
	json_bool(&j, "removed", removed);
	if (!removed) {
		json_u64(&j, "sequence", ask->sequence);
		json_u64(&j, "x509_bytes", ask->bundle.len);
		json_u64(&j, "jwks_bytes", ask->jwks.len);
	}
	if (audit_write(&c->audit, "foreign_bundle", buf_slice(&b)))
		hold_set(c, HOLD_AUDIT, -ERR_AUDIT);
}

/* Stored, then shown to every front that it concerns, at once. */
static int change(struct core *c, const struct msg_AD_BUNDLE *ask, const char **ret_why)
{
	const struct state_bundle in = { .trust_domain = ask->trust_domain, .der = ask->bundle, .jwks = ask->jwks,
					 .sequence = ask->sequence, .changed = clock_wall_s() };
	bool removal = !ask->bundle.len && !ask->jwks.len, changed = removal;
	int err;

	if (!*authority_trust_domain(c->auth)) {
		*ret_why = "the agent has no trust domain yet";
		return -ERR_NOT_READY;
	}
	if (removal)
		err = bundles_remove(c->bundles, ask->trust_domain, ret_why);
	else
		err = bundles_set(c->bundles, &in, authority_trust_domain(c->auth), &changed, ret_why);
	if (err || !changed)
		return err;
	audit(c, ask, removal);
	fronts_push(c->fronts, 0);
	return 0;
}

void bundle_change(struct admin_client *cl, uint32_t id, const struct msg_AD_BUNDLE *ask)
{
	AUTO(buf) struct buf out = BUF_INIT(4096);
	struct json j = JSON_INIT(&out);
	const char *why = NULL;
	int err = change(cl->core, ask, &why);

	log_info(EV_ADMIN, KV("what", V_S("foreign bundle")), KV("trust_domain", V_B(ask->trust_domain)),
		 KV("sequence", V_U(ask->sequence)), KV("err", V_S(err_name(err))));
	json_open(&j, NULL, '{');
	json_bytes(&j, "trust_domain", ask->trust_domain);
	if (err)
		json_str(&j, "error", why ? why : err_text(err));
	json_close(&j, '}');
	admin_reply(cl, id, err, buf_slice(&out));
}
