// SPDX-License-Identifier: Apache-2.0
/*
 * policy.c - the identities in force, in order, and which of them a caller has. svid-core.
 *
 * Next: selector.c for one comparison, policy_build.c for where rules come from, docs.c for who calls.
 */
#include "agent/core/policy.h"

#include <errno.h>
#include <stdlib.h>

#include "agent/base/mem.h"
#include "agent/core/json.h"
#include "agent/core/policy_build.h"

#define FOUND_MAX 8192 /* bytes of a fact shown by explain */

struct policy {
	struct identity **ids; /* by priority, then name */
	size_t n, n_stale;
	uint32_t *index; /* by number: position + 1 in ids, 0 = empty; mask + 1 slots, at least half of them empty */
	uint32_t mask;
};

/* DESIGN 4: higher priority first, then name as bytes, so that the default identity never depends on files. */
int policy_order(const void *a, const void *b)
{
	const struct identity *x = *(struct identity *const *)a, *y = *(struct identity *const *)b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return strcmp(x->name, y->name);
}

static void sort(struct identity **ids, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (policy_order(&ids[i - 1], &ids[i]) > 0) {
			qsort(ids, n, sizeof(struct identity *), policy_order);
			return;
		}
}

static uint32_t slot_of(const struct policy *p, uint32_t number)
{
	return number * 2654435769u & p->mask;
}

static void index_all(struct policy *p)
{
	for (size_t i = 0; i < p->n; i++) {
		uint32_t at = slot_of(p, p->ids[i]->number);

		while (p->index[at])
			at = (at + 1) & p->mask;
		p->index[at] = (uint32_t)i + 1;
		p->n_stale += p->ids[i]->stale;
	}
}

int policy_new(struct identity **ids, size_t n, struct policy **ret_policy)
{
	AUTO_FREE struct policy *p = mem_new(struct policy);

	if (!p)
		return -ENOMEM;
	for (p->mask = 15; p->mask < 2 * n;)
		p->mask = p->mask << 1 | 1;
	p->ids = mem_calloc(n, sizeof(struct identity *));
	p->index = mem_calloc((size_t)p->mask + 1, sizeof(*p->index));
	if (!p->ids || !p->index) {
		mem_free(p->ids);
		mem_free(p->index);
		return -ENOMEM;
	}
	sort(ids, n);
	for (size_t i = 0; i < n; i++)
		p->ids[i] = take(&ids[i]);
	p->n = n;
	index_all(p);
	*ret_policy = take(&p);
	return 0;
}

bool policy_free_some(struct policy *p, size_t n)
{
	if (!p)
		return true;
	while (p->n && n--)
		identity_free(p->ids[--p->n]);
	if (p->n)
		return false;
	mem_free(p->ids);
	mem_free(p->index);
	mem_free(p);
	return true;
}

void policy_free(struct policy *p)
{
	(void)policy_free_some(p, SIZE_MAX);
}

const struct identity *policy_by_number(const struct policy *p, uint32_t number)
{
	for (uint32_t at = slot_of(p, number); p->index[at]; at = (at + 1) & p->mask)
		if (p->ids[p->index[at] - 1]->number == number)
			return p->ids[p->index[at] - 1];
	return NULL;
}

const struct identity *policy_by_spiffe_id(const struct policy *p, struct slice spiffe_id)
{
	for (size_t i = 0; i < p->n; i++)
		if (slice_eq_str(spiffe_id, p->ids[i]->spiffe_id))
			return p->ids[i];
	return NULL;
}

size_t policy_count(const struct policy *p, size_t *ret_stale)
{
	*ret_stale = p->n_stale;
	return p->n;
}

const struct identity *policy_at(const struct policy *p, size_t i)
{
	return i < p->n ? p->ids[i] : NULL;
}

static void explain_selector(struct json *j, const struct selector *s, struct sel_result r, struct slice found)
{
	json_open(j, NULL, '{');
	json_str(j, "key", term_selector(s->id)->key);
	json_open(j, "wanted", '[');
	for (size_t i = 0; i < s->n_values; i++)
		json_str(j, NULL, s->values[i].text);
	json_close(j, ']');
	json_bytes(j, "found", found);
	json_bool(j, "ok", r.ok);
	json_str(j, "why", r.why);
	json_close(j, '}');
}

static bool selector_ok(const struct selector *s, struct eval *e, struct json *j)
{
	AUTO(buf) struct buf found = BUF_INIT(FOUND_MAX);
	struct sel_result r = selector_eval(s, e, j ? &found : NULL);

	if (j)
		explain_selector(j, s, r, buf_slice(&found));
	return r.ok;
}

static bool set_ok(const struct selector_set *set, struct eval *e, struct json *j)
{
	bool ok = set->n > 0;

	if (j) {
		json_open(j, NULL, '{');
		json_open(j, "selectors", '[');
	}
	for (size_t i = 0; i < set->n && (ok || j); i++)
		ok &= selector_ok(&set->selectors[i], e, j);
	if (j) {
		json_close(j, ']');
		json_bool(j, "matched", ok);
		json_close(j, '}');
	}
	return ok;
}

static bool sets_ok(const struct rules *r, struct eval *e, struct json *j)
{
	bool any = false;

	if (j)
		json_open(j, "sets", '[');
	for (size_t i = 0; i < r->n_sets && (!any || j); i++)
		any |= set_ok(&r->sets[i], e, j);
	if (j)
		json_close(j, ']');
	return any;
}

static void explain_rule(struct json *j, unsigned int rule, bool is_default, struct sel_result res)
{
	json_open(j, NULL, '{');
	json_str(j, "rule", term_rule(rule)->name);
	json_bool(j, "default", is_default);
	json_bool(j, "ok", res.ok);
	json_str(j, "why", res.why);
	json_close(j, '}');
}

static bool rules_ok(const struct rules *r, const struct facts *f, struct json *j, bool *ret_waived)
{
	bool ok = true;

	if (j)
		json_open(j, "require", '[');
	for (unsigned int rule = 0; rule < RULE_COUNT; rule++) {
		bool is_default = r->defaults & 1u << rule;
		struct sel_result res;

		if (!((r->require | r->defaults) & 1u << rule))
			continue;
		res = rule_eval(rule, is_default, f);
		ok &= res.ok;
		*ret_waived |= rule == RULE_NOT_TRACED && res.waived;
		if (j)
			explain_rule(j, rule, is_default, res);
	}
	if (j)
		json_close(j, ']');
	return ok;
}

static bool identity_ok(const struct identity *id, struct eval *e, struct json *j, bool *ret_waived)
{
	bool ok;

	if (j) {
		json_open(j, NULL, '{');
		json_str(j, "name", id->name);
		json_str(j, "spiffe_id", id->spiffe_id);
		json_bool(j, "stale", id->stale);
	}
	ok = sets_ok(id->rules, e, j);
	if (ok || j)
		ok &= rules_ok(id->rules, e->f, j, ret_waived);
	if (j) {
		json_bool(j, "matched", ok);
		json_close(j, '}');
	}
	return ok;
}

void policy_match(const struct policy *p, const struct facts *f, struct match *ret_match, struct buf *explain)
{
	struct json out = JSON_INIT(explain);
	struct json *j = explain ? &out : NULL;
	struct eval e;

	eval_init(&e, f);
	ret_match->n = 0;
	ret_match->not_traced_waived = false;
	if (j)
		json_open(j, NULL, '[');
	for (size_t i = 0; f->conn && i < p->n; i++) {
		bool waived = false;

		if (ret_match->n == LIM_SET_IDENTITIES && !j)
			break;
		if (!identity_ok(p->ids[i], &e, j, &waived) || ret_match->n == LIM_SET_IDENTITIES)
			continue;
		ret_match->ids[ret_match->n++] = p->ids[i];
		ret_match->not_traced_waived |= waived;
	}
	if (j)
		json_close(j, ']');
}

static bool set_wants_digest(const struct selector_set *set, struct eval *e)
{
	bool wants = false;

	for (size_t i = 0; i < set->n; i++) {
		if (term_selector(set->selectors[i].id)->flags & TERM_F_DIGEST)
			wants = true;
		else if (!selector_eval(&set->selectors[i], e, NULL).ok)
			return false;
	}
	return wants;
}

static bool identity_wants_digest(const struct identity *id, struct eval *e)
{
	bool waived = false;

	for (size_t i = 0; i < id->rules->n_sets; i++)
		if (set_wants_digest(&id->rules->sets[i], e))
			return rules_ok(id->rules, e->f, NULL, &waived);
	return false;
}

bool policy_wants_digest(const struct policy *p, const struct facts *f)
{
	struct eval e;

	eval_init(&e, f);
	for (size_t i = 0; f->conn && i < p->n; i++)
		if (p->ids[i]->rules->digest && identity_wants_digest(p->ids[i], &e))
			return true;
	return false;
}
