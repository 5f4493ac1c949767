// SPDX-License-Identifier: Apache-2.0
/*
 * settings.c - what a running svid-core takes over from the Agent document, and what it does not: how callers are
 * identified was decided by svidd before anything ran, and svid-keys loads once. A change of those changes nothing,
 * and is said. svid-core.
 */
#include "agent/core/settings.h"

#include <stdio.h>

/* One setting that differs from what runs. */
struct pending {
	const char *setting;
	char running[32], configured[32];
};

#define PENDING_MAX 6

static void add(struct pending *p, size_t *n, const char *setting, const char *running, const char *configured)
{
	p[*n].setting = setting;
	snprintf(p[*n].running, sizeof(p->running), "%s", running);
	snprintf(p[*n].configured, sizeof(p->configured), "%s", configured);
	(*n)++;
}

static void compare_seconds(struct pending *p, size_t *n, const char *setting, uint32_t running, uint32_t configured)
{
	char a[16], b[16];

	if (running == configured)
		return;
	snprintf(a, sizeof(a), "%us", running);
	snprintf(b, sizeof(b), "%us", configured);
	add(p, n, setting, a, b);
}

/* "auto" is what svidd made of it; that it once was another word is known of this run only. */
static bool other_attestation(const struct core *c, const struct settings *s)
{
	if (s->attestation == TIER_AUTO)
		return c->attestation_seen != TIER_AUTO;
	return s->attestation != c->plan.tier;
}

static unsigned int delivery_of(const struct core *c)
{
	return c->plan.tree >= 0 ? DELIVERY_SYSFS : c->plan.fuse >= 0 ? DELIVERY_FUSE : DELIVERY_NONE;
}

static bool other_delivery(const struct core *c, const struct settings *s)
{
	if (s->delivery == DELIVERY_AUTO)
		return c->delivery_seen != DELIVERY_AUTO;
	return s->delivery != delivery_of(c);
}

static void compare_ports(struct pending *p, size_t *n, uint32_t running, uint32_t configured)
{
	char a[16], b[16];

	if (running == configured)
		return;
	snprintf(a, sizeof(a), "%u", running);
	snprintf(b, sizeof(b), "%u", configured);
	add(p, n, "oidc.port", running ? a : "none", configured ? b : "none");
}

static size_t find_pending(const struct core *c, const struct settings *s, struct pending p[static PENDING_MAX])
{
	struct authority_config running = authority_config_of(c->auth);
	size_t n = 0;

	if (!*running.trust_domain || !*s->trust_domain)
		return 0;
	if (other_attestation(c, s))
		add(p, &n, "attestation", tier_name(c->plan.tier), tier_name(s->attestation));
	if (other_delivery(c, s))
		add(p, &n, "delivery", delivery_name(delivery_of(c)), delivery_name(s->delivery));
	compare_seconds(p, &n, "x509.caTTL", running.ca_ttl, s->ca_ttl);
	compare_seconds(p, &n, "jwt.keyTTL", running.jwt_key_ttl, s->jwt_key_ttl);
	compare_ports(p, &n, c->plan.oidc_port, s->oidc_port);
	if (running.wit != s->wit)
		add(p, &n, "profiles.wit", running.wit ? "true" : "false", s->wit ? "true" : "false");
	return n;
}

static void log_pending(const struct core *c, const struct settings *s)
{
	struct pending p[PENDING_MAX];
	size_t n = find_pending(c, s, p);

	for (size_t i = 0; i < n; i++)
		log_warn(EV_CONFIG, KV("what", V_S("svidd must be restarted for this setting")), KV("setting", V_S(p[i].setting)),
			 KV("running", V_S(p[i].running)), KV("configured", V_S(p[i].configured)));
}

void settings_apply(struct core *c, const struct settings *s)
{
	const struct authority_config config = { s->trust_domain, s->ca_ttl, s->jwt_key_ttl, s->wit };
	uint32_t most = LIM_CONNS - LIM_CONNS_RESERVE;

	if (!*authority_trust_domain(c->auth)) {
		c->attestation_seen = s->attestation;
		c->delivery_seen = s->delivery;
	}
	c->audit.mode = s->audit_required ? AUDIT_REQUIRED : AUDIT_BEST_EFFORT;
	c->max_conns = s->max_conns < most ? s->max_conns : most;
	c->bounds.max[BOUND_UID] = s->max_conns_per_uid;
	log_set_level(s->log_level == SETTINGS_LOG_UNSAID ? c->log_level : s->log_level);
	fronts_set_sds(c->fronts, &s->sds);
	authority_configure(c->auth, &config);
	log_pending(c, s);
}

void settings_put_pending(const struct core *c, struct json *j)
{
	struct pending p[PENDING_MAX];
	size_t n = find_pending(c, docs_settings(c->docs), p);

	json_open(j, "restart_needed", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '{');
		json_str(j, "setting", p[i].setting);
		json_str(j, "running", p[i].running);
		json_str(j, "configured", p[i].configured);
		json_close(j, '}');
	}
	json_close(j, ']');
}
