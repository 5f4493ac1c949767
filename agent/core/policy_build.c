// SPDX-License-Identifier: Apache-2.0
/*
 * policy_build.c - makes an identity of a WorkloadIdentity document in normal form. svid-core.
 *
 * The compiler has checked the document already. What it sends is checked again here, because the
 * compiler parses YAML and may be wrong or taken over; the tables are the same (agent/ipc/terms.h).
 */
#include "agent/core/policy_build.h"

#include <errno.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"

#define PRIORITY_MAX 1000000
#define TTL_MAX (366 * 86400)

static void rules_free(struct rules *r)
{
	if (!r)
		return;
	for (size_t i = 0; r->sets && i < r->n_sets; i++) {
		struct selector_set *set = &r->sets[i];

		for (size_t k = 0; set->selectors && k < set->n; k++) {
			struct selector *s = &set->selectors[k];

			for (size_t v = 0; s->values && v < s->n_values; v++)
				mem_free(s->values[v].text);
			mem_free(s->values);
		}
		mem_free(set->selectors);
	}
	mem_free(r->sets);
	mem_free(r->agent_group);
	mem_free(r);
}

void identity_free(struct identity *id)
{
	if (!id)
		return;
	rules_free(id->rules);
	strs_free(id->dns_names, id->n_dns_names);
	strs_free(id->federates_with, id->n_federates_with);
	strs_free(id->jwt_audiences, id->n_jwt_audiences);
	strs_free(id->sds_peers, id->n_sds_peers);
	mem_free(id->name);
	mem_free(id->spiffe_id);
	mem_free(id->hint);
	mem_free(id);
}

static int build_selector(struct selector *s, const char *key, json_t *values)
{
	size_t n = json_array_size(values);

	s->id = term_selector_find(slice_str(key));
	if (s->id >= SEL_COUNT || !json_is_array(values) || !n || n > LIM_SELECTOR_VALUES)
		return -ERR_FORMAT;
	s->values = mem_calloc(n, sizeof(*s->values));
	if (!s->values)
		return -ENOMEM;
	s->n_values = n;
	for (size_t i = 0; i < n; i++) {
		json_t *v = json_array_get(values, i);
		int err;

		if (!json_is_string(v))
			return -ERR_FORMAT;
		err = selector_set_value(s->id, slice_of(json_string_value(v), json_string_length(v)), &s->values[i]);
		if (err)
			return err;
	}
	return 0;
}

static int build_set(struct selector_set *set, json_t *map)
{
	size_t n = json_object_size(map);
	const char *key;
	json_t *values;

	if (!json_is_object(map) || !n || n > LIM_SELECTOR_KEYS)
		return -ERR_FORMAT;
	set->selectors = mem_calloc(n, sizeof(*set->selectors));
	if (!set->selectors)
		return -ENOMEM;
	set->n = 0;
	json_object_foreach(map, key, values) {
		int err = build_selector(&set->selectors[set->n++], key, values);

		if (err)
			return err;
	}
	return 0;
}

static unsigned int set_flags(const struct selector_set *set)
{
	unsigned int flags = 0;

	for (size_t i = 0; i < set->n; i++)
		flags |= term_selector(set->selectors[i].id)->flags;
	return flags;
}

/* A document without selectors would match everybody: such a form is broken, never a wildcard. */
static int build_sets(struct rules *r, json_t *list)
{
	size_t n = json_array_size(list);
	unsigned int all = 0;

	if (!json_is_array(list) || !n || n > LIM_SELECTOR_SETS)
		return -ERR_FORMAT;
	r->sets = mem_calloc(n, sizeof(*r->sets));
	if (!r->sets)
		return -ENOMEM;
	r->n_sets = n;
	for (size_t i = 0; i < n; i++) {
		int err = build_set(&r->sets[i], json_array_get(list, i));
		unsigned int flags;

		if (err)
			return err;
		flags = set_flags(&r->sets[i]);
		if ((flags & TERM_F_INTENT) && !(flags & (TERM_F_PATH | TERM_F_DIGEST)))
			return -ERR_FORMAT;
		all |= flags;
	}
	r->digest = all & TERM_F_DIGEST;
	if (all & (TERM_F_PATH | TERM_F_ARGV | TERM_F_DIGEST))
		r->defaults = 1u << RULE_NOT_TRACED | 1u << RULE_NO_PRELOAD;
	return 0;
}

static int build_require(struct rules *r, json_t *form)
{
	size_t n = 0;
	char **names = NULL;
	int err = form_strs(form, "require", RULE_COUNT, 64, &names, &n);

	for (size_t i = 0; i < n && !err; i++) {
		unsigned int rule = term_rule_find(slice_str(names[i]));

		if (rule >= RULE_COUNT)
			err = -ERR_FORMAT;
		else
			r->require |= 1u << rule;
	}
	strs_free(names, n);
	r->defaults &= ~r->require;
	return err;
}

static int build_rules(json_t *form, struct identity *id)
{
	struct rules *r = mem_new(struct rules);
	int err;

	if (!r)
		return -ENOMEM;
	id->rules = r;
	r->agent_group = mem_strdup("");
	if (!r->agent_group)
		return -ENOMEM;
	err = form_str(form, "scope.agentGroup.id", LIM_AGENT_GROUP, &r->agent_group);
	if (!err)
		err = build_sets(r, json_object_get(form, "selectors"));
	return err ? err : build_require(r, form);
}

static int refuse(struct build_why *ret_why, const char *what, const char *why)
{
	snprintf(ret_why->text, sizeof(ret_why->text), "%s: %s", what, why);
	return -ERR_POLICY;
}

/* workloadID is joined to our trust domain; a whole spiffeID must lie in it (SPIFFE-ID 3). */
static int build_spiffe_id(json_t *form, const struct policy_env *env, struct build_why *ret_why, struct identity *id)
{
	AUTO(buf) struct buf joined = BUF_INIT(2 * LIM_SPIFFE_ID);
	AUTO_FREE char *path = NULL;
	struct spiffe_id parsed;
	int err = form_str(form, "workloadID", LIM_SPIFFE_ID, &path);

	if (!err)
		err = form_str(form, "spiffeID", LIM_SPIFFE_ID, &id->spiffe_id);
	if (err)
		return err;
	if (!path == !id->spiffe_id)
		return -ERR_FORMAT;
	if (path) {
		buf_printf(&joined, "spiffe://%s/%s", env->trust_domain, path);
		if (buf_ok(&joined))
			return buf_ok(&joined);
		id->spiffe_id = slice_dup(buf_slice(&joined));
		if (!id->spiffe_id)
			return -ENOMEM;
	}
	if (spiffe_id_parse(slice_str(id->spiffe_id), &parsed))
		return refuse(ret_why, id->spiffe_id, spiffe_id_why(slice_str(id->spiffe_id)));
	if (!slice_eq_str(parsed.trust_domain, env->trust_domain))
		return refuse(ret_why, id->spiffe_id, "is of another trust domain than this agent");
	if (!parsed.path.len)
		return refuse(ret_why, id->spiffe_id, "a workload's SPIFFE ID has a path");
	return 0;
}

static int check_names(const struct identity *id)
{
	for (size_t i = 0; i < id->n_dns_names; i++)
		if (term_dns_why(slice_str(id->dns_names[i])))
			return -ERR_FORMAT;
	for (size_t i = 0; i < id->n_federates_with; i++)
		if (spiffe_td_why(slice_str(id->federates_with[i])))
			return -ERR_FORMAT;
	for (size_t i = 0; i < id->n_jwt_audiences; i++)
		if (!*id->jwt_audiences[i] || !slice_is_utf8(slice_str(id->jwt_audiences[i])))
			return -ERR_FORMAT;
	for (size_t i = 0; i < id->n_sds_peers; i++)
		if (term_peer_why(slice_str(id->sds_peers[i])))
			return -ERR_FORMAT;
	return slice_is_utf8(slice_str(id->hint)) ? 0 : -ERR_FORMAT;
}

static int build_x509(json_t *form, const struct policy_env *env, struct identity *id)
{
	static const char *const types[KEY_TYPE_COUNT] = {
		[KEY_EC_P256] = "ec-p256",
		[KEY_EC_P384] = "ec-p384",
		[KEY_RSA_2048] = "rsa-2048",
	};
	unsigned int type = KEY_EC_P256;
	int64_t ttl = env->x509_ttl;
	int err = form_int(form, "svid.x509.ttl", 1, TTL_MAX, &ttl);

	if (!err)
		err = form_word(form, "svid.x509.keyType", types, KEY_TYPE_COUNT, &type);
	if (!err)
		err = form_strs(form, "svid.x509.dnsNames", LIM_DNS_NAMES, LIM_DNS_NAME, &id->dns_names,
				&id->n_dns_names);
	id->x509_ttl = (uint32_t)ttl;
	id->key_type = type;
	return err;
}

static int build_jwt(json_t *form, const struct policy_env *env, struct identity *id)
{
	static const char *const algs[JWT_ALG_COUNT] = { [JWT_RS256] = "RS256", [JWT_ES256] = "ES256" };
	int64_t ttl = env->jwt_ttl;
	int err = form_int(form, "svid.jwt.ttl", 1, LIM_JWT_TTL_S, &ttl);

	id->jwt_alg = JWT_RS256;
	id->jwt_ttl = (uint32_t)ttl;
	if (!err)
		err = form_word(form, "svid.jwt.alg", algs, JWT_ALG_COUNT, &id->jwt_alg);
	if (!err)
		err = form_strs(form, "svid.jwt.audiences", LIM_AUDIENCES, LIM_AUDIENCE, &id->jwt_audiences,
				&id->n_jwt_audiences);
	return err;
}

static int build_svid(json_t *form, const struct policy_env *env, struct identity *id)
{
	int64_t priority = 0;
	int err = build_x509(form, env, id);

	if (!err)
		err = build_jwt(form, env, id);
	if (!err)
		err = form_int(form, "priority", -PRIORITY_MAX, PRIORITY_MAX, &priority);
	if (!err)
		err = form_str(form, "hint", LIM_HINT, &id->hint);
	if (!err)
		err = form_strs(form, "federatesWith", LIM_FEDERATES, LIM_TRUST_DOMAIN, &id->federates_with,
				&id->n_federates_with);
	if (!err)
		err = form_strs(form, "sds.peers", LIM_SDS_PEERS, LIM_SPIFFE_ID + sizeof(TERM_PREFIX) - 1, &id->sds_peers,
				&id->n_sds_peers);
	id->priority = (int)priority;
	return err ? err : check_names(id);
}

int identity_new(struct slice name, struct slice json, const struct policy_env *env, struct build_why *ret_why,
		 struct identity **ret_identity)
{
	AUTO(identity) struct identity *id = mem_new(struct identity);
	AUTO(form) json_t *form = NULL;
	int err = form_load(json, &form);

	if (err)
		return err;
	if (!id)
		return -ENOMEM;
	id->name = slice_dup(name);
	id->hint = mem_strdup("");
	if (!id->name || !id->hint)
		return -ENOMEM;
	err = build_spiffe_id(form, env, ret_why, id);
	if (!err)
		err = build_svid(form, env, id);
	if (!err)
		err = build_rules(form, id);
	if (err)
		return err;
	*ret_identity = take(&id);
	return 0;
}

bool identity_in_scope(const struct identity *id, const struct policy_env *env)
{
	if (!*id->rules->agent_group)
		return true;
	for (size_t i = 0; i < env->n_agent_groups; i++)
		if (strcmp(id->rules->agent_group, env->agent_groups[i]) == 0)
			return true;
	return false;
}
