// SPDX-License-Identifier: Apache-2.0
/*
 * compile_schema.c - the table of options. svid compile.
 *
 * A new option is a row here, a row in agent/core/POLICY.md (a test compares) and its reader in svid-core.
 */
#include "agent/cli/compile_schema.h"

#include "agent/base/limits.h"
#include "agent/base/spiffe_id.h"
#include "agent/ipc/terms.h"

#define SECOND 1
#define MINUTE 60
#define HOUR 3600
#define DAY 86400

static const char *name_why(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

		if (!alnum && (i == 0 || !memchr("-._", c, 3)))
			return "letters, digits, dot, dash and underscore are wanted, the first a letter or digit";
	}
	return NULL;
}

static const char *workload_id_why(struct slice s)
{
	char path[LIM_SPIFFE_ID + 1];

	if (s.p[0] == '/')
		return "no slash in front is wanted: it is joined to the trust domain";
	path[0] = '/';
	memcpy(path + 1, s.p, s.len);
	return spiffe_path_why(slice_of(path, s.len + 1));
}

static const char *federation_why(struct slice s)
{
	if (slice_starts(s, slice_str("spiffe://")))
		return "the name of a trust domain without spiffe:// is wanted";
	return spiffe_td_why(s);
}

/* clang-format off */
#define ROOT_ROWS \
	{ .path = "apiVersion", .type = OPT_WORD, .required = true, .words = SCHEMA_API_VERSIONS, .reloadable = true, \
	  .help = "version of the format; the second is an alias" }, \
	{ .path = "kind", .type = OPT_TEXT, .required = true, .min = 1, .max = 63, .reloadable = true, \
	  .help = "kind of the document" }

static const struct option_row agent_rows[] = {
	ROOT_ROWS,
	{ .path = "metadata", .type = OPT_MAP, .reloadable = true, .help = "optional here" },
	{ .path = "metadata.name", .type = OPT_TEXT, .min = 1, .max = LIM_DOC_NAME, .why = name_why, .reloadable = true,
	  .help = "information: there is one Agent document" },
	{ .path = "spec", .type = OPT_MAP, .required = true, .reloadable = true, .help = "settings of this agent" },
	{ .path = "spec.trustDomain", .type = OPT_TEXT, .required = true, .min = 1, .max = LIM_TRUST_DOMAIN,
	  .why = spiffe_td_why, .help = "name of the trust domain; refused when the state belongs to another one" },
	{ .path = "spec.agentGroups", .type = OPT_TEXTS, .min = 1, .max = LIM_AGENT_GROUP, .max_n = LIM_AGENT_GROUPS,
	  .reloadable = true, .help = "groups that this node is in, for scope.agentGroup.id" },
	{ .path = "spec.attestation", .type = OPT_WORD, .fallback = "auto",
	  .words = "auto|bpf-lsm|bpf-fentry|kmod|bpf-tp|socket",
	  .help = "how callers are identified; socket is for development only" },
	{ .path = "spec.delivery", .type = OPT_WORD, .fallback = "auto", .words = "auto|sysfs|fuse|none",
	  .help = "where the credential tree is shown: by the kernel module, by FUSE, or not at all" },
	{ .path = "spec.audit", .type = OPT_WORD, .fallback = "best-effort", .words = "required|best-effort",
	  .reloadable = true, .help = "required: no audit record, no identity" },
	{ .path = "spec.logLevel", .type = OPT_WORD, .words = "error|warn|info|debug",
	  .reloadable = true, .help = "least important lines that svid-core logs; svidd's --log-level when missing" },
	{ .path = "spec.x509", .type = OPT_MAP, .reloadable = true, .help = "defaults of X.509" },
	{ .path = "spec.x509.ttl", .type = OPT_DURATION, .fallback = "1h", .min = 10 * SECOND, .max = 30 * DAY,
	  .reloadable = true, .help = "life of an X.509-SVID whose document does not say" },
	{ .path = "spec.x509.caTTL", .type = OPT_DURATION, .fallback = "365d", .min = 1 * MINUTE, .max = 3650 * DAY,
	  .help = "life of the embedded authority's certificate" },
	{ .path = "spec.jwt", .type = OPT_MAP, .reloadable = true, .help = "JWT-SVIDs" },
	{ .path = "spec.jwt.ttl", .type = OPT_DURATION, .fallback = "5m", .min = 10 * SECOND, .max = LIM_JWT_TTL_S,
	  .reloadable = true, .help = "life of a JWT-SVID whose document does not say" },
	{ .path = "spec.jwt.keyTTL", .type = OPT_DURATION, .fallback = "30d", .min = 1 * MINUTE, .max = LIM_JWT_KEY_TTL_S,
	  .help = "how long one key signs JWT-SVIDs" },
	{ .path = "spec.jwt.issuer", .type = OPT_TEXT, .min = 1, .max = LIM_ISSUER, .why = term_uri_why, .reloadable = true,
	  .help = "iss of JWT-SVIDs; the trust domain's SPIFFE ID when missing" },
	{ .path = "spec.oidc", .type = OPT_MAP, .reloadable = true, .help = "the documents by which clouds check JWT-SVIDs" },
	{ .path = "spec.oidc.port", .type = OPT_NUMBER, .min = 1024, .max = 65535,
	  .help = "port of 127.0.0.1 where they are served as plain HTTP, for a TLS proxy at jwt.issuer; nowhere when missing" },
	{ .path = "spec.profiles", .type = OPT_MAP, .reloadable = true,
	  .help = "parts of the Workload API that are off at first" },
	{ .path = "spec.profiles.wit", .type = OPT_WORD, .fallback = "false", .words = "true|false",
	  .help = "WIT-SVIDs" },
	{ .path = "spec.sds", .type = OPT_MAP, .reloadable = true, .help = "Envoy's secrets (SDS)" },
	{ .path = "spec.sds.defaultSVIDName", .type = OPT_TEXT, .fallback = "default", .min = 1, .max = LIM_SDS_SPECIAL,
	  .why = term_sds_name_why, .reloadable = true, .help = "what stands for the default identity's certificate and key" },
	{ .path = "spec.sds.defaultBundleName", .type = OPT_TEXT, .fallback = "ROOTCA", .min = 1, .max = LIM_SDS_SPECIAL,
	  .why = term_sds_name_why, .reloadable = true, .help = "what stands for the own trust domain's bundle" },
	{ .path = "spec.sds.allBundlesName", .type = OPT_TEXT, .fallback = "ALL", .min = 1, .max = LIM_SDS_SPECIAL,
	  .why = term_sds_name_why, .reloadable = true, .help = "what stands for the own bundle and all foreign ones" },
	{ .path = "spec.sds.validator", .type = OPT_WORD, .fallback = "spiffe", .words = "spiffe|plain|bundle-map",
	  .reloadable = true, .help = "form of bundles where Envoy's node metadata does not say" },
	{ .path = "spec.sds.bundlesWithoutIdentity", .type = OPT_WORD, .fallback = "false", .words = "true|false",
	  .reloadable = true, .help = "callers without identity get the own bundle" },
	{ .path = "spec.limits", .type = OPT_MAP, .reloadable = true, .help = "bounds, lower than the built-in ones" },
	{ .path = "spec.limits.connections", .type = OPT_NUMBER, .fallback = "8192", .min = 1, .max = LIM_CONNS,
	  .reloadable = true, .help = "connections of workloads in all" },
	{ .path = "spec.limits.connectionsPerUID", .type = OPT_NUMBER, .fallback = "4096", .min = 1,
	  .max = LIM_CONNS_PER_UID, .reloadable = true, .help = "connections of one user" },
	{ .path = "spec.upstream", .type = OPT_LATER,
	  .help = "a SPIRE server above this agent is not supported by this build yet" },
};

static const struct option_row identity_rows[] = {
	ROOT_ROWS,
	{ .path = "metadata", .type = OPT_MAP, .required = true, .reloadable = true, .help = "name of the document" },
	{ .path = "metadata.name", .type = OPT_TEXT, .required = true, .min = 1, .max = LIM_DOC_NAME, .why = name_why,
	  .reloadable = true, .help = "a document is its kind and name" },
	{ .path = "spec", .type = OPT_MAP, .required = true, .reloadable = true, .help = "the identity" },
	{ .path = "spec.workloadID", .type = OPT_TEXT, .min = 1, .max = LIM_SPIFFE_ID - 1, .why = workload_id_why,
	  .reloadable = true, .help = "path of the SPIFFE ID, joined to the trust domain; this or spiffeID" },
	{ .path = "spec.spiffeID", .type = OPT_TEXT, .min = 1, .max = LIM_SPIFFE_ID, .why = spiffe_id_why,
	  .reloadable = true, .help = "whole SPIFFE ID, of this agent's trust domain" },
	{ .path = "spec.selectors", .type = OPT_SELECTORS, .required = true, .reloadable = true,
	  .help = "list of maps: keys of one map must all match, any map is enough; a value may be a list" },
	{ .path = "spec.scope", .type = OPT_MAP, .reloadable = true, .help = "which nodes it is for; all when missing" },
	{ .path = "spec.scope.agentGroup", .type = OPT_MAP, .reloadable = true, .help = "nodes of one group" },
	{ .path = "spec.scope.agentGroup.id", .type = OPT_TEXT, .required = true, .min = 1, .max = LIM_AGENT_GROUP,
	  .reloadable = true, .help = "one of the node's agentGroups" },
	{ .path = "spec.priority", .type = OPT_NUMBER, .fallback = "0", .min = -1000000, .max = 1000000,
	  .reloadable = true, .help = "the highest of a caller's identities is its default one, then the first name" },
	{ .path = "spec.svid", .type = OPT_MAP, .reloadable = true, .help = "what its SVIDs look like" },
	{ .path = "spec.svid.x509", .type = OPT_MAP, .reloadable = true, .help = "X.509-SVID" },
	{ .path = "spec.svid.x509.ttl", .type = OPT_DURATION, .min = 10 * SECOND, .max = 30 * DAY, .reloadable = true,
	  .help = "life; the agent's x509.ttl when missing" },
	{ .path = "spec.svid.x509.dnsNames", .type = OPT_TEXTS, .min = 1, .max = LIM_DNS_NAME, .max_n = LIM_DNS_NAMES,
	  .why = term_dns_why, .reloadable = true, .help = "DNS names in the certificate" },
	{ .path = "spec.svid.x509.keyType", .type = OPT_WORD, .fallback = "ec-p256", .words = "ec-p256|ec-p384|rsa-2048",
	  .reloadable = true, .help = "kind of key" },
	{ .path = "spec.svid.jwt", .type = OPT_MAP, .reloadable = true, .help = "JWT-SVID" },
	{ .path = "spec.svid.jwt.ttl", .type = OPT_DURATION, .min = 10 * SECOND, .max = LIM_JWT_TTL_S,
	  .reloadable = true, .help = "life; the agent's jwt.ttl when missing" },
	{ .path = "spec.svid.jwt.alg", .type = OPT_WORD, .fallback = "RS256", .words = "RS256|ES256", .reloadable = true,
	  .help = "signature algorithm" },
	{ .path = "spec.svid.jwt.audiences", .type = OPT_TEXTS, .min = 1, .max = LIM_AUDIENCE, .max_n = LIM_AUDIENCES,
	  .not_empty = true, .reloadable = true, .help = "the only audiences that it may ask for; any when missing" },
	{ .path = "spec.hint", .type = OPT_TEXT, .min = 1, .max = LIM_HINT, .reloadable = true,
	  .help = "told to the workload beside the SVID; one document for each" },
	{ .path = "spec.federatesWith", .type = OPT_TEXTS, .min = 1, .max = LIM_TRUST_DOMAIN, .max_n = LIM_FEDERATES,
	  .why = federation_why, .reloadable = true, .help = "foreign trust domains whose bundles it gets" },
	{ .path = "spec.sds", .type = OPT_MAP, .reloadable = true, .help = "what its Envoy gets" },
	{ .path = "spec.sds.peers", .type = OPT_TEXTS, .min = 1, .max = LIM_SPIFFE_ID + sizeof(TERM_PREFIX) - 1,
	  .max_n = LIM_SDS_PEERS, .not_empty = true, .why = term_peer_why, .reloadable = true,
	  .help = "SPIFFE IDs that it accepts (prefix: in front: all that begin so); any of its bundles when missing" },
	{ .path = "spec.require", .type = OPT_WORDS, .max_n = RULE_COUNT, .reloadable = true,
	  .help = "rules that the caller must keep" },
};
/* clang-format on */

#define KIND(name_, rows_) { .kind = name_, .rows = rows_, .n_rows = ARRAY_SIZE(rows_) }
#define LATER(name_) { .kind = name_, .later = "kind " name_ " is not supported by this build yet" }

static const struct schema_kind kinds[] = {
	KIND("Agent", agent_rows),
	KIND("WorkloadIdentity", identity_rows),
	KIND("CredentialSource", source_rows),
	KIND("WorkloadCredential", credential_rows),
	LATER("CredentialBinding"),
	LATER("TrustDomainFederation"),
};

_Static_assert(ARRAY_SIZE(agent_rows) <= SCHEMA_ROWS_MAX, "rows of Agent");
_Static_assert(ARRAY_SIZE(identity_rows) <= SCHEMA_ROWS_MAX, "rows of WorkloadIdentity");

const struct schema_kind *schema_at(size_t i)
{
	return i < ARRAY_SIZE(kinds) ? &kinds[i] : NULL;
}

const struct schema_kind *schema_find(struct slice kind)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (slice_eq_str(kind, kinds[i].kind))
			return &kinds[i];
	return NULL;
}

const char *schema_type_name(enum opt_type type)
{
	static const char *const names[] = {
		[OPT_MAP] = "map",	     [OPT_TEXT] = "text",	    [OPT_WORD] = "word",
		[OPT_NUMBER] = "number",     [OPT_DURATION] = "duration",   [OPT_TEXTS] = "list of texts",
		[OPT_TEXT_MAP] = "map of texts",
		[OPT_WORDS] = "list of words", [OPT_SELECTORS] = "selectors", [OPT_LATER] = "later",
	};

	return names[type];
}
