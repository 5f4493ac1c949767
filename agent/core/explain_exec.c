// SPDX-License-Identifier: Apache-2.0
/*
 * explain_exec.c - what a process of one executable could get, for `svid explain --exec`: what a document says of the
 * executable is compared, everything else is what the process would have to bring besides. svid-core.
 */
#include "agent/core/admin.h"
#include "agent/core/policy_build.h"

#define LISTED_MAX (ADMIN_REPLY_MAX / 4 * 3) /* bytes of the answer; behind them documents are counted, not shown */
#define FOUND_MAX 8192

/* The answer in the making. */
struct query {
	struct eval eval;
	struct json j;
	struct buf documents;
	uint64_t impossible, left_out;
};

static bool is_about_exec(const struct selector *s)
{
	return term_selector(s->id)->flags & (TERM_F_PATH | TERM_F_DIGEST);
}

static bool exec_ok(const struct selector_set *set, struct eval *e, bool *ret_named)
{
	for (size_t i = 0; i < set->n; i++) {
		if (!is_about_exec(&set->selectors[i]))
			continue;
		*ret_named = true;
		if (!selector_eval(&set->selectors[i], e, NULL).ok)
			return false;
	}
	return true;
}

static void put_selector(struct json *j, const struct selector *s, struct eval *e)
{
	AUTO(buf) struct buf found = BUF_INIT(FOUND_MAX);

	json_open(j, NULL, '{');
	json_str(j, "key", term_selector(s->id)->key);
	json_open(j, "wanted", '[');
	for (size_t i = 0; i < s->n_values; i++)
		json_str(j, NULL, s->values[i].text);
	json_close(j, ']');
	if (is_about_exec(s)) {
		struct sel_result r = selector_eval(s, e, &found);

		json_bytes(j, "found", buf_slice(&found));
		json_bool(j, "ok", r.ok);
		json_str(j, "why", r.why);
	} else {
		json_str(j, "found", NULL);
		json_str(j, "ok", NULL);
		json_str(j, "why", "needed besides");
	}
	json_close(j, '}');
}

static void put_set(struct json *j, const struct selector_set *set, struct eval *e)
{
	bool named = false;

	json_open(j, NULL, '{');
	json_open(j, "selectors", '[');
	for (size_t i = 0; i < set->n; i++)
		put_selector(j, &set->selectors[i], e);
	json_close(j, ']');
	json_bool(j, "possible", exec_ok(set, e, &named));
	json_close(j, '}');
}

static void put_rules(struct json *j, const struct rules *r)
{
	json_open(j, "require", '[');
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++) {
		if (!((r->require | r->defaults) & 1u << rule))
			continue;
		json_open(j, NULL, '{');
		json_str(j, "rule", term_rule(rule)->name);
		json_bool(j, "default", r->defaults & 1u << rule);
		json_str(j, "ok", NULL);
		json_str(j, "why", "needed besides");
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_document(struct query *q, struct json *j, const struct identity *doc)
{
	json_open(j, NULL, '{');
	json_str(j, "name", doc->name);
	json_str(j, "spiffe_id", doc->spiffe_id);
	json_bool(j, "stale", doc->stale);
	json_open(j, "sets", '[');
	for (size_t i = 0; i < doc->rules->n_sets; i++)
		put_set(j, &doc->rules->sets[i], &q->eval);
	json_close(j, ']');
	put_rules(j, doc->rules);
	json_close(j, '}');
}

/* Whether a process of the executable could be it; *@ret_named: because it says something of the executable. */
static bool is_possible(const struct identity *doc, struct eval *e, bool *ret_named)
{
	bool possible = false;

	for (size_t i = 0; i < doc->rules->n_sets; i++) {
		bool named = false;

		if (!exec_ok(&doc->rules->sets[i], e, &named))
			continue;
		possible = true;
		*ret_named |= named;
	}
	return possible;
}

static void look_at(struct query *q, struct json *documents, const struct identity *doc)
{
	bool named = false;

	if (!is_possible(doc, &q->eval, &named)) {
		q->impossible++;
		return;
	}
	if (q->j.b->len + q->documents.len > LISTED_MAX) {
		q->left_out++;
		return;
	}
	json_open(&q->j, NULL, '{');
	json_str(&q->j, "spiffe_id", doc->spiffe_id);
	json_str(&q->j, "document", doc->name);
	json_bool(&q->j, "names_the_executable", named);
	json_close(&q->j, '}');
	put_document(q, documents, doc);
}

static void put_answer(struct query *q, const struct policy *p, const struct facts *f)
{
	struct json documents = JSON_INIT(&q->documents), *j = &q->j;
	const struct identity *doc;

	json_open(j, NULL, '{');
	json_str(j, "source", "the documents; of the process only its executable is given");
	json_bytes(j, "path", f->path);
	json_bytes(j, "sha256", f->sha256);
	json_open(j, "identities", '[');
	json_open(&documents, NULL, '[');
	for (size_t i = 0; (doc = policy_at(p, i)); i++)
		look_at(q, &documents, doc);
	json_close(&documents, ']');
	json_close(j, ']');
	json_raw(j, "documents", buf_slice(&q->documents));
	json_u64(j, "documents_of_other_executables", q->impossible);
	if (q->left_out)
		json_u64(j, "documents_left_out", q->left_out);
	json_close(j, '}');
}

void explain_exec(struct admin_client *cl, uint32_t id, const struct msg_AD_EXEC *ask)
{
	static const struct svid_conn plain = {
		.size = sizeof(plain),
		.flags = SVID_CONN_VALID,
		.creds.flags = SVID_CRED_USERNS_INIT | SVID_CRED_MNTNS_INIT | SVID_CRED_MNTNS_PID1,
	};
	AUTO(buf) struct buf out = BUF_INIT(ADMIN_REPLY_MAX);
	AUTO(buf) struct buf hex = BUF_INIT(64);
	struct facts f = { .conn = &plain, .tier = cl->core->plan.tier, .path = ask->path };
	struct query q = { .j = JSON_INIT(&out), .documents = BUF_INIT(ADMIN_REPLY_MAX) };
	int err;

	buf_put_hex(&hex, ask->sha256);
	f.sha256 = buf_slice(&hex);
	eval_init(&q.eval, &f);
	put_answer(&q, docs_policy(cl->core->docs), &f);
	err = buf_ok(&q.documents);
	if (!err)
		err = buf_ok(&out);
	buf_done(&q.documents);
	admin_reply(cl, id, err, err ? slice_of(NULL, 0) : buf_slice(&out));
}
