// SPDX-License-Identifier: Apache-2.0
/* status.c - the whole agent on one page of JSON, for `svid status`. svid-core. */
#include "agent/base/clock.h"
#include "agent/core/core.h"
#include "agent/core/facts.h"
#include "agent/core/settings.h"

#ifndef SVID_VERSION
#define SVID_VERSION "0"
#endif

struct listing {
	struct json *j;
	struct core *core;
	int left; /* entries that there is room for */
};

#define PENALTIES_SHOWN 64

static void put_lines(struct json *j, const char *key, const char *text)
{
	struct slice s = slice_str(text);

	json_open(j, key, '[');
	while (s.len) {
		const uint8_t *end = memchr(s.p, '\n', s.len);
		struct slice line = slice_get_bytes(&s, end ? (size_t)(end - s.p) : s.len);

		if (line.len)
			json_bytes(j, NULL, line);
		if (end)
			(void)slice_get_bytes(&s, 1);
	}
	json_close(j, ']');
}

/* Where this instance lives, so that `svid doctor` looks there. */
static void put_paths(struct json *j, const struct plan *p)
{
	json_open(j, "paths", '{');
	json_str(j, "socket", p->public_path);
	json_str(j, "config", p->config_path);
	json_str(j, "policy", p->policy_path);
	json_str(j, "state", p->state_path);
	json_str(j, "audit", p->audit_path);
	json_close(j, '}');
}

static void put_holds(struct json *j, const struct core *c)
{
	json_bool(j, "serving", hold_err(c) == 0);
	json_bool(j, "whole", c->holds[HOLD_EVIDENCE] == 0);
	json_open(j, "holds", '[');
	for (size_t i = 0; i < HOLD_COUNT; i++) {
		if (!c->holds[i])
			continue;
		json_open(j, NULL, '{');
		json_str(j, "what", hold_name((enum hold)i));
		json_str(j, "why", err_text(c->holds[i]));
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_front(void *arg, const struct front_view *v)
{
	struct json *j = ((struct listing *)arg)->j;

	json_open(j, NULL, '{');
	json_u64(j, "number", v->number);
	json_u64(j, "pid", (uint64_t)v->pid);
	json_str(j, "state", v->spare ? "spare" : !v->number ? "none" : !v->ready ? "starting" : err_name(v->state));
	json_u64(j, "identities", v->n_identities);
	json_u64(j, "connections", v->connections);
	json_u64(j, "version", v->set_version);
	json_close(j, '}');
}

struct counted {
	uint32_t number;
	uint64_t fronts, conns;
};

static void count_front(void *arg, const struct front_view *v)
{
	struct counted *n = arg;

	for (size_t i = 0; i < v->n_identities; i++)
		if (v->identities[i] == n->number) {
			n->fronts++;
			n->conns += v->connections;
		}
}

static void put_svid(struct json *j, const struct identity_view *v, enum svid_kind kind)
{
	uint64_t in = v->svids[kind].rotates_in;

	json_time(j, "not_after", v->svids[kind].not_after);
	json_time(j, "next_rotation", in ? clock_wall_s() + (int64_t)in : 0);
	if (v->svids[kind].err)
		json_str(j, "err", err_text(v->svids[kind].err));
}

static void put_identity(void *arg, const struct identity_view *v)
{
	struct listing *l = arg;
	struct counted n = { .number = v->number };

	fronts_each(l->core->fronts, count_front, &n);
	json_open(l->j, NULL, '{');
	json_str(l->j, "spiffe_id", v->spiffe_id);
	put_svid(l->j, v, SVID_X509);
	json_u64(l->j, "fronts", n.fronts);
	json_u64(l->j, "connections", n.conns);
	if (v->svids[SVID_WIT].wanted) {
		json_open(l->j, "wit", '{');
		put_svid(l->j, v, SVID_WIT);
		json_close(l->j, '}');
	}
	json_close(l->j, '}');
}

static void put_lists(struct json *j, struct core *c)
{
	struct listing l = { .j = j, .core = c };

	json_open(j, "fronts", '[');
	fronts_each(c->fronts, put_front, &l);
	json_close(j, ']');
	json_open(j, "identities", '[');
	identities_each(c->ids, put_identity, &l);
	json_close(j, ']');
}

static void put_conns(struct json *j, const struct core *c)
{
	json_open(j, "connections", '{');
	json_u64(j, "total", c->n_conns);
	json_u64(j, "without_identity", c->nobodies.n);
	json_u64(j, "accepted", c->accepted);
	json_u64(j, "refused", c->refused);
	json_u64(j, "revoked", c->revoked);
	json_u64(j, "cut", c->cut);
	json_u64(j, "decisions_remembered", c->decisions.n);
	json_u64(j, "decision_hits", c->decisions.hits);
	json_u64(j, "decision_misses", c->decisions.misses);
	json_u64(j, "over_limit_uid", c->bounds.refused[BOUND_UID]);
	json_u64(j, "over_limit_cgroup", c->bounds.refused[BOUND_CGROUP]);
	json_u64(j, "over_limit_user_namespace", c->bounds.refused[BOUND_USERNS]);
	json_u64(j, "over_limit_without_identity", c->bounds.refused[BOUND_NOBODY_UID] +
		 c->bounds.refused[BOUND_NOBODY_CGROUP] + c->bounds.refused[BOUND_NOBODY_USERNS]);
	json_u64(j, "offences", c->offences);
	json_u64(j, "closing", c->bury.n_waiting);
	json_u64(j, "closed_by_undertaker", c->bury.handed);
	json_u64(j, "undertakers_killed", c->bury.killed);
	json_close(j, '}');
}

static void put_penalty(void *arg, const struct bound_view *v)
{
	struct listing *l = arg;

	if (l->left-- <= 0)
		return;
	json_open(l->j, NULL, '{');
	json_str(l->j, "whose", bound_name(v->kind));
	json_u64(l->j, "id", v->who);
	json_u64(l->j, "connections", v->n);
	json_u64(l->j, "may_have", v->may_have);
	json_u64(l->j, "weight", v->blame);
	json_close(l->j, '}');
}

/* Who offended of late, and what they may have for that. */
static void put_penalties(struct json *j, struct core *c)
{
	struct listing l = { .j = j, .core = c, .left = PENALTIES_SHOWN };

	json_open(j, "penalties", '[');
	bounds_each(&c->bounds, put_penalty, &l);
	json_close(j, ']');
}

static void put_jwts(struct json *j, const struct core *c)
{
	json_open(j, "jwt_svids", '{');
	json_u64(j, "issued", c->jwts.issued);
	json_u64(j, "failed", c->jwts.failed);
	json_u64(j, "refused_audience", c->jwts.refused_audience);
	json_u64(j, "refused_rate", c->jwts.refused_rate);
	json_u64(j, "refused_other", c->jwts.refused_other);
	json_close(j, '}');
}

static void put_foreign(struct json *j, const struct core *c)
{
	const struct bundle *b;

	json_open(j, "foreign_bundles", '[');
	for (size_t i = 0; (b = bundles_at(c->bundles, i)); i++)
		json_str(j, NULL, b->trust_domain);
	json_close(j, ']');
}

static void put_losses(struct json *j, const struct core *c)
{
	struct provider_health h;

	provider_health(c->provider, &h);
	json_open(j, "losses", '{');
	json_u64(j, "events", h.lost_events);
	json_u64(j, "records", h.lost_records);
	json_u64(j, "refused_by_kernel", h.refused);
	json_u64(j, "connects_refused_by_kernel", h.doors);
	canary_put_status(c, j);
	json_close(j, '}');
}

static void put_workers(struct json *j, const struct core *c)
{
	struct attest_stats a;
	struct fronts_stats f;

	attest_get_stats(c->attest, &a);
	fronts_get_stats(c->fronts, &f);
	json_open(j, "workers", '{');
	json_u64(j, "attest", a.workers);
	json_u64(j, "attest_asked", a.asked);
	json_u64(j, "attest_deadlines", a.deadlines);
	json_u64(j, "attest_deaths", a.deaths);
	json_u64(j, "fronts_alive", f.alive);
	json_u64(j, "fronts_started", f.started);
	json_u64(j, "fronts_died", f.died);
	json_u64(j, "fronts_refused", f.refused);
	json_close(j, '}');
}

static void put_digests(struct json *j, const struct core *c)
{
	struct digest_stats d;

	digests_get_stats(c->digests, &d);
	json_open(j, "digests", '{');
	json_u64(j, "hashed", d.hashed);
	json_u64(j, "hits", d.hits);
	json_u64(j, "failed", d.failed);
	json_u64(j, "refused", d.refused);
	json_u64(j, "known", d.known);
	json_u64(j, "running", d.running);
	json_close(j, '}');
}

/* Where SVIDs can be read as files, by which way, and why not by a better one. */
static void put_tree(struct json *j, const struct core *c)
{
	struct tree_stats s;

	tree_get_stats(c->tree, &s);
	json_open(j, "tree", '{');
	json_str(j, "delivery", tree_backend_name(c->tree));
	json_str(j, "path", c->plan.tree_path);
	put_lines(j, "notes", c->plan.tree_notes);
	if (c->tree_err)
		json_str(j, "err", err_text(c->tree_err));
	json_bool(j, "complete", s.complete);
	json_u64(j, "files", s.files);
	json_u64(j, "identities", s.identities);
	json_u64(j, "not_shown", s.not_shown);
	json_u64(j, "identities_left_out", s.left_out);
	json_u64(j, "reads", s.reads);
	json_u64(j, "given", s.given);
	json_u64(j, "refused", s.refused);
	json_u64(j, "failed", s.failed);
	json_u64(j, "waiting", s.waiting);
	json_close(j, '}');
}

static void put_audit(struct json *j, const struct core *c)
{
	json_open(j, "audit", '{');
	json_str(j, "mode", c->audit.mode == AUDIT_REQUIRED ? "required" : "best-effort");
	json_bool(j, "working", c->audit.err == 0);
	json_u64(j, "lines", c->audit.lines);
	json_u64(j, "only_counted", c->nobodies.unwritten);
	json_u64(j, "failures", c->audit.failures);
	json_close(j, '}');
}

void policy_put(struct core *c, struct buf *out)
{
	docs_put_status(c->docs, out);
}

void status_put(struct core *c, struct buf *out)
{
	struct json j = JSON_INIT(out);
	AUTO(buf) struct buf documents = BUF_INIT(1u << 20);

	docs_put_status(c->docs, &documents);
	json_open(&j, NULL, '{');
	json_str(&j, "version", SVID_VERSION);
	json_str(&j, "instance", c->plan.instance);
	json_str(&j, "tier", tier_name(c->plan.tier));
	put_lines(&j, "tier_notes", c->plan.tier_notes);
	put_paths(&j, &c->plan);
	facts_not_enforced(&j, "not_enforced", c->plan.tier);
	put_holds(&j, c);
	json_str(&j, "trust_domain", authority_trust_domain(c->auth));
	json_u64(&j, "uptime_s", (clock_boot_ns() - c->started) / NS_PER_S);
	json_open(&j, "authority", '{');
	authority_put_status(c->auth, &j);
	json_close(&j, '}');
	if (!buf_ok(&documents))
		json_raw(&j, "documents", buf_slice(&documents));
	settings_put_pending(c, &j);
	put_lists(&j, c);
	put_conns(&j, c);
	put_penalties(&j, c);
	put_jwts(&j, c);
	put_foreign(&j, c);
	put_losses(&j, c);
	put_audit(&j, c);
	put_workers(&j, c);
	put_digests(&j, c);
	put_tree(&j, c);
	cloud_put_status(c, &j);
	json_close(&j, '}');
}
