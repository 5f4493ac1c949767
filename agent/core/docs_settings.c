// SPDX-License-Identifier: Apache-2.0
/* docs_settings.c - the Agent document in normal form becomes struct settings. svid-core, for docs_apply.c. */
#include <errno.h>
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/core/docs_rows.h"
#include "agent/core/policy_build.h"
#include "agent/ipc/terms.h"

#define X509_TTL 3600		  /* seconds, DESIGN 10 */
#define CA_TTL (365 * 86400)	  /* seconds, DESIGN 10 */
#define CA_TTL_MAX (3660 * 86400) /* seconds */
#define JWT_TTL 300		  /* seconds, DESIGN 10 */
#define JWT_KEY_TTL (30 * 86400)  /* seconds, DESIGN 10 */

void settings_free(struct settings *s)
{
	if (!s)
		return;
	mem_free(s->trust_domain);
	mem_free(s->jwt_issuer);
	strs_free(s->agent_groups, s->n_agent_groups);
	mem_free(s);
}

static inline void settings_autoclean(struct settings **s)
{
	settings_free(*s);
}

struct settings *settings_default(void)
{
	AUTO(settings) struct settings *s = mem_new(struct settings);

	if (!s)
		return NULL;
	s->trust_domain = mem_strdup("");
	s->jwt_issuer = mem_strdup("");
	if (!s->trust_domain || !s->jwt_issuer)
		return NULL;
	s->attestation = TIER_AUTO;
	s->delivery = DELIVERY_AUTO;
	s->x509_ttl = X509_TTL;
	s->ca_ttl = CA_TTL;
	s->jwt_ttl = JWT_TTL;
	s->jwt_key_ttl = JWT_KEY_TTL;
	s->sds = (struct sds_settings){ .svid = "default", .bundle = "ROOTCA", .all = "ALL" };
	s->log_level = SETTINGS_LOG_UNSAID;
	s->max_conns = LIM_CONNS;
	s->max_conns_per_uid = LIM_CONNS_PER_UID;
	return take(&s);
}

static int get_words(json_t *form, struct settings *s)
{
	static const char *const tiers[TIER_COUNT] = {
		[TIER_AUTO] = "auto", [TIER_BPF_LSM] = "bpf-lsm", [TIER_BPF_FENTRY] = "bpf-fentry",
		[TIER_KMOD] = "kmod", [TIER_BPF_TP] = "bpf-tp",	  [TIER_SOCKET] = "socket",
	};
	static const char *const deliveries[DELIVERY_COUNT] = {
		[DELIVERY_AUTO] = "auto", [DELIVERY_SYSFS] = "sysfs", [DELIVERY_FUSE] = "fuse", [DELIVERY_NONE] = "none",
	};
	static const char *const audits[] = { "best-effort", "required" };
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	static const char *const switches[] = { "false", "true" };
	unsigned int audit = s->audit_required, wit = s->wit;
	int err = form_word(form, "attestation", tiers, ARRAY_SIZE(tiers), &s->attestation);

	if (!err)
		err = form_word(form, "delivery", deliveries, ARRAY_SIZE(deliveries), &s->delivery);
	if (!err)
		err = form_word(form, "audit", audits, ARRAY_SIZE(audits), &audit);
	if (!err)
		err = form_word(form, "logLevel", levels, ARRAY_SIZE(levels), &s->log_level);
	if (!err)
		err = form_word(form, "profiles.wit", switches, ARRAY_SIZE(switches), &wit);
	s->audit_required = audit;
	s->wit = wit;
	return err;
}

static int get_u32(json_t *form, const char *path, uint32_t max, uint32_t *ret)
{
	int64_t v = *ret;
	int err = form_int(form, path, 1, max, &v);

	if (!err)
		*ret = (uint32_t)v;
	return err;
}

static int get_numbers(json_t *form, struct settings *s)
{
	int err = get_u32(form, "x509.caTTL", CA_TTL_MAX, &s->ca_ttl);

	if (!err)
		err = get_u32(form, "x509.ttl", CA_TTL_MAX, &s->x509_ttl);
	if (!err)
		err = get_u32(form, "jwt.ttl", LIM_JWT_TTL_S, &s->jwt_ttl);
	if (!err)
		err = get_u32(form, "jwt.keyTTL", LIM_JWT_KEY_TTL_S, &s->jwt_key_ttl);
	if (!err)
		err = get_u32(form, "oidc.port", UINT16_MAX, &s->oidc_port);
	if (!err)
		err = get_u32(form, "limits.connections", LIM_CONNS, &s->max_conns);
	if (!err)
		err = get_u32(form, "limits.connectionsPerUID", LIM_CONNS_PER_UID, &s->max_conns_per_uid);
	return err;
}

/* DESIGN 10: changing the trust domain over existing state is refused. */
static int check_td(const struct settings *s, const char *bound_td, struct build_why *ret_why)
{
	const char *why = spiffe_td_why(slice_str(s->trust_domain));

	if (why) {
		snprintf(ret_why->text, sizeof(ret_why->text), "trustDomain: %s", why);
		return -ERR_POLICY;
	}
	if (!*bound_td || strcmp(bound_td, s->trust_domain) == 0)
		return 0;
	snprintf(ret_why->text, sizeof(ret_why->text),
		 "trustDomain: the state of this agent belongs to %.100s; another trust domain needs a state directory "
		 "of its own",
		 bound_td);
	return -ERR_POLICY;
}

/* JWT-SVIDs carry iss; one that nobody chose is the trust domain, which is what vouches for them. */
static int get_issuer(json_t *form, struct settings *s)
{
	int err = form_str(form, "jwt.issuer", LIM_ISSUER, &s->jwt_issuer);
	AUTO(buf) struct buf td = BUF_INIT(LIM_ISSUER);

	if (err)
		return err;
	if (*s->jwt_issuer)
		return term_uri_why(slice_str(s->jwt_issuer)) ? -ERR_FORMAT : 0;
	mem_free(s->jwt_issuer);
	buf_printf(&td, "spiffe://%s", s->trust_domain);
	s->jwt_issuer = buf_ok(&td) ? NULL : slice_dup(buf_slice(&td));
	return s->jwt_issuer ? 0 : -ENOMEM;
}

static int get_sds_name(json_t *form, const char *path, char ret_name[static LIM_SDS_SPECIAL + 1])
{
	AUTO_FREE char *name = NULL;
	int err = form_str(form, path, LIM_SDS_SPECIAL, &name);

	if (err || !name)
		return err;
	if (term_sds_name_why(slice_str(name)))
		return -ERR_FORMAT;
	snprintf(ret_name, LIM_SDS_SPECIAL + 1, "%s", name);
	return 0;
}

static bool are_apart(const struct sds_settings *s)
{
	return strcmp(s->svid, s->bundle) != 0 && strcmp(s->svid, s->all) != 0 && strcmp(s->bundle, s->all) != 0;
}

static int get_sds(json_t *form, struct sds_settings *s)
{
	static const char *const forms[] = { "spiffe", "plain", "bundle-map" };
	static const uint32_t flags[] = { 0, SDS_PLAIN_CA, SDS_BUNDLE_MAP };
	static const char *const switches[] = { "false", "true" };
	unsigned int validator = 0, nobody = 0;
	int err = get_sds_name(form, "sds.defaultSVIDName", s->svid);

	if (!err)
		err = get_sds_name(form, "sds.defaultBundleName", s->bundle);
	if (!err)
		err = get_sds_name(form, "sds.allBundlesName", s->all);
	if (!err)
		err = form_word(form, "sds.validator", forms, ARRAY_SIZE(forms), &validator);
	if (!err)
		err = form_word(form, "sds.bundlesWithoutIdentity", switches, ARRAY_SIZE(switches), &nobody);
	if (err)
		return err;
	s->flags = flags[validator] | (nobody ? SDS_BUNDLES_FOR_NOBODY : 0);
	return are_apart(s) ? 0 : -ERR_FORMAT;
}

int settings_new(const char *json, const char *bound_td, struct build_why *ret_why, struct settings **ret_settings)
{
	AUTO(settings) struct settings *s = settings_default();
	AUTO(form) json_t *form = NULL;
	int err = form_load(slice_str(json), &form);

	if (!s)
		return -ENOMEM;
	if (!err)
		err = form_str(form, "trustDomain", LIM_TRUST_DOMAIN, &s->trust_domain);
	if (!err)
		err = form_strs(form, "agentGroups", LIM_AGENT_GROUPS, LIM_AGENT_GROUP, &s->agent_groups,
				&s->n_agent_groups);
	if (!err)
		err = get_words(form, s);
	if (!err)
		err = get_numbers(form, s);
	if (!err)
		err = get_issuer(form, s);
	if (!err)
		err = get_sds(form, &s->sds);
	if (!err)
		err = check_td(s, bound_td, ret_why);
	if (err)
		return err;
	*ret_settings = take(&s);
	return 0;
}
