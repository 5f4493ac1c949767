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
	buf_put_u64(b, e->wit_generation);
	buf_put_blob(b, e->wit);
	buf_put_u64(b, (uint64_t)e->wit_not_after);
	buf_put_u32(b, e->jwt_rules);
	buf_put_blob(b, e->peers);
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
	e.wit_generation = slice_get_u64(list);
	e.wit = slice_get_str(list, LIM_JWT);
	e.wit_not_after = (int64_t)slice_get_u64(list);
	e.jwt_rules = slice_get_u32(list);
	e.peers = slice_get_blob(list, LIM_SDS_PEERS_BYTES);
	return e;
}

void list_put_fed(struct buf *b, const struct fed_bundle *f)
{
	buf_put_blob(b, f->trust_domain_id);
	buf_put_blob(b, f->bundle);
	buf_put_blob(b, f->jwks);
}

struct fed_bundle list_get_fed(struct slice *list)
{
	struct fed_bundle f;

	f.trust_domain_id = slice_get_str(list, LIM_SPIFFE_ID);
	f.bundle = slice_get_blob(list, LIM_BUNDLE);
	f.jwks = slice_get_blob(list, LIM_JWKS);
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

const char *delivery_name(unsigned int delivery)
{
	static const char *const names[DELIVERY_COUNT] = {
		[DELIVERY_AUTO] = "auto", [DELIVERY_SYSFS] = "sysfs", [DELIVERY_FUSE] = "fuse", [DELIVERY_NONE] = "none",
	};

	return delivery < DELIVERY_COUNT ? names[delivery] : "?";
}

const char *svid_file_name(unsigned int file)
{
	static const char *const names[SVID_FILE_COUNT] = {
		[SVID_FILE_CERT] = "cert.pem",	   [SVID_FILE_KEY] = "key.pem",
		[SVID_FILE_BUNDLE] = "bundle.pem", [SVID_FILE_CREDENTIAL_BUNDLE] = "credential-bundle.private-key.pem",
		[SVID_FILE_BUNDLE_MAP] = "bundle-map.json",
	};

	return file < SVID_FILE_COUNT ? names[file] : "?";
}

const char *cloud_kind_name(unsigned int kind)
{
	static const char *const names[CLOUD_KIND_COUNT] = {
		[CLOUD_AWS] = "aws", [CLOUD_AWS_ROLES_ANYWHERE] = "awsRolesAnywhere", [CLOUD_GCP] = "gcp",
		[CLOUD_AZURE] = "azure", [CLOUD_JWT] = "jwt",
	};

	return kind < CLOUD_KIND_COUNT ? names[kind] : "?";
}

const char *cloud_file_name(unsigned int file)
{
	static const char *const names[CLOUD_FILE_COUNT] = {
		[CLOUD_FILE_AWS_CREDENTIALS] = "aws/credentials",
		[CLOUD_FILE_AWS_CREDENTIALS_JSON] = "aws/credentials.json",
		[CLOUD_FILE_AWS_CONFIG] = "aws/config",
		[CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN] = "aws/web_identity_token",
		[CLOUD_FILE_GCP_CREDENTIALS_JSON] = "gcp/credentials.json",
		[CLOUD_FILE_GCP_SUBJECT_TOKEN] = "gcp/subject_token",
		[CLOUD_FILE_GCP_ACCESS_TOKEN] = "gcp/access_token",
		[CLOUD_FILE_GCP_ID_TOKEN] = "gcp/id_token",
		[CLOUD_FILE_AZURE_FEDERATED_TOKEN] = "azure/federated_token",
		[CLOUD_FILE_AZURE_ACCESS_TOKEN] = "azure/access_token",
		[CLOUD_FILE_JWT] = "",
		[CLOUD_FILE_ENV] = "env",
	};

	return file < CLOUD_FILE_COUNT ? names[file] : "?";
}

const char *cloud_state_name(unsigned int state)
{
	static const char *const names[CLOUD_STATE_COUNT] = {
		[CLOUD_WAITING] = "waiting", [CLOUD_READY] = "ready",	[CLOUD_RETRYING] = "retrying",
		[CLOUD_SLOW] = "slow",	     [CLOUD_FAILED] = "failed",
	};

	return state < CLOUD_STATE_COUNT ? names[state] : "?";
}

const char *jwt_alg_name(unsigned int alg)
{
	static const char *const names[JWT_ALG_COUNT] = {
		[JWT_NONE] = "none",   [JWT_RS256] = "RS256", [JWT_RS384] = "RS384", [JWT_RS512] = "RS512",
		[JWT_ES256] = "ES256", [JWT_ES384] = "ES384", [JWT_ES512] = "ES512", [JWT_PS256] = "PS256",
		[JWT_PS384] = "PS384", [JWT_PS512] = "PS512",
	};

	return alg < JWT_ALG_COUNT ? names[alg] : "?";
}

const char *role_name_of(unsigned int role)
{
	static const char *const names[ROLE_COUNT] = {
		[ROLE_CORE] = "svid-core",   [ROLE_KEYS] = "svid-keys",	 [ROLE_ATTEST] = "svid-attest",
		[ROLE_FRONT] = "svid-front", [ROLE_POLICY] = "svid-policy",
		[ROLE_UNDERTAKER] = "svid-undertaker", [ROLE_CLOUD] = "svid-cloud",
	};

	return role < ROLE_COUNT ? names[role] : "?";
}

bool cloud_may_sign(struct slice text)
{
	return slice_starts(text, slice_str("AWS4-X509-RSA-SHA256\n")) ||
	       slice_starts(text, slice_str("AWS4-X509-ECDSA-SHA256\n"));
}
