// SPDX-License-Identifier: Apache-2.0
/*
 * file.c - what is in each file of a WorkloadCredential, as SDKs read it (clouds.md 3). Token files have no newline: several
 * SDKs would send it along. svid-cloud.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "federation/cloud.h"
#include "federation/exchange_parts.h"

static struct slice setting(const struct binding *b, const char *name)
{
	return json_bytes(json_object_get(b->spec, name));
}

static bool is_aws(const struct binding *b)
{
	return b->kind == CLOUD_AWS || b->kind == CLOUD_AWS_ROLES_ANYWHERE;
}

enum file_needs file_needs(const struct binding *b, enum cloud_file what)
{
	switch (what) {
	case CLOUD_FILE_AWS_CREDENTIALS:
	case CLOUD_FILE_AWS_CREDENTIALS_JSON:
		return is_aws(b) ? FILE_CREDENTIAL : FILE_NONE;
	case CLOUD_FILE_AWS_CONFIG:
		return is_aws(b) ? FILE_NOTHING : FILE_NONE;
	case CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN:
		return b->kind == CLOUD_AWS ? FILE_TOKEN : FILE_NONE;
	case CLOUD_FILE_GCP_CREDENTIALS_JSON:
		return b->kind == CLOUD_GCP ? FILE_NOTHING : FILE_NONE;
	case CLOUD_FILE_GCP_SUBJECT_TOKEN:
		return b->kind == CLOUD_GCP ? FILE_TOKEN : FILE_NONE;
	case CLOUD_FILE_GCP_ACCESS_TOKEN:
		return b->kind == CLOUD_GCP ? FILE_CREDENTIAL : FILE_NONE;
	case CLOUD_FILE_GCP_ID_TOKEN:
		return b->kind == CLOUD_GCP && setting(b, "idTokenAudience").len ? FILE_CREDENTIAL : FILE_NONE;
	case CLOUD_FILE_AZURE_FEDERATED_TOKEN:
		return b->kind == CLOUD_AZURE ? FILE_TOKEN : FILE_NONE;
	case CLOUD_FILE_AZURE_ACCESS_TOKEN:
		return b->kind == CLOUD_AZURE ? FILE_CREDENTIAL : FILE_NONE;
	case CLOUD_FILE_JWT:
		return b->kind == CLOUD_JWT ? FILE_TOKEN : FILE_NONE;
	case CLOUD_FILE_ENV:
		return FILE_NOTHING;
	default:
		return FILE_NONE;
	}
}

/* An SDK asks for nothing without one. Roles Anywhere has it in its trust anchor. */
static struct slice aws_region(const struct binding *b)
{
	return b->kind == CLOUD_AWS ? setting(b, "region") : arn_region(setting(b, "trustAnchorArn"));
}

static void put_region(const struct binding *b, struct buf *out)
{
	if (aws_region(b).len) {
		buf_put_str(out, "region = ");
		buf_put_slice(out, aws_region(b));
		buf_put_str(out, "\n");
	}
}

static int aws_credentials(const struct binding *b, struct buf *out)
{
	buf_put_str(out, "[default]\naws_access_key_id = ");
	buf_put_slice(out, buf_slice(&b->got.key_id));
	buf_put_str(out, "\naws_secret_access_key = ");
	buf_put_slice(out, buf_slice(&b->got.secret_key));
	buf_put_str(out, "\naws_session_token = ");
	buf_put_slice(out, buf_slice(&b->got.session_token));
	buf_put_str(out, "\n");
	return 0;
}

/* What a credential_process prints. */
static int aws_credentials_json(const struct binding *b, struct buf *out)
{
	char expires[32];

	clock_rfc3339(b->got.expires_at, expires);
	buf_put_str(out, "{\"Version\":1,\"AccessKeyId\":");
	buf_put_json(out, buf_slice(&b->got.key_id));
	buf_put_str(out, ",\"SecretAccessKey\":");
	buf_put_json(out, buf_slice(&b->got.secret_key));
	buf_put_str(out, ",\"SessionToken\":");
	buf_put_json(out, buf_slice(&b->got.session_token));
	buf_printf(out, ",\"Expiration\":\"%s\"}", expires);
	return 0;
}

/* The helper that it names has to be in helpers[]: the reader is cat, not the workload. */
static int aws_config(const struct binding *b, struct buf *out)
{
	buf_put_str(out, "[default]\n");
	put_region(b, out);
	buf_printf(out, "credential_process = /bin/cat %s/aws/credentials.json\n", b->dir);
	return 0;
}

static int gcp_credentials_json(const struct binding *b, struct buf *out)
{
	struct slice account = setting(b, "serviceAccount");

	buf_put_str(out, "{\"type\":\"external_account\",\"universe_domain\":\"googleapis.com\",\"audience\":");
	buf_put_json(out, setting(b, "oidcProviderId"));
	buf_put_str(out, ",\"subject_token_type\":\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":");
	buf_put_json(out, setting(b, "stsEndpoint"));
	if (account.len) {
		AUTO(buf) struct buf url = BUF_INIT(1024);

		buf_put_slice(&url, setting(b, "iamEndpoint"));
		buf_put_str(&url, "/v1/projects/-/serviceAccounts/");
		buf_put_slice(&url, account);
		buf_put_str(&url, ":generateAccessToken");
		buf_put_str(out, ",\"service_account_impersonation_url\":");
		buf_put_json(out, buf_slice(&url));
		buf_printf(out, ",\"service_account_impersonation\":{\"token_lifetime_seconds\":%lld}",
			   (long long)json_integer_value(json_object_get(b->spec, "lifetime")));
	}
	buf_put_str(out, ",\"credential_source\":{\"file\":");
	{
		AUTO(buf) struct buf file = BUF_INIT(LIM_PATH);

		buf_printf(&file, "%s/gcp/subject_token", b->dir);
		buf_put_json(out, buf_slice(&file));
	}
	buf_put_str(out, ",\"format\":{\"type\":\"text\"}}}");
	return 0;
}

static void put_variable(struct buf *out, const char *name, struct slice value)
{
	buf_printf(out, "%s=", name);
	buf_put_slice(out, value);
	buf_put_str(out, "\n");
}

static void put_path(struct buf *out, const char *name, const struct binding *b, const char *file)
{
	buf_printf(out, "%s=%s/%s\n", name, b->dir, file);
}

/* So that CloudTrail says the same of a session that the SDK asked for as of one that we asked for. */
static void put_session(const struct binding *b, struct buf *out)
{
	char session[SESSION_NAME_MAX + 1] = "";

	exchange_session(b->kind, slice_str(b->spiffe_id), slice_str(b->cloud->node), session);
	put_variable(out, "AWS_ROLE_SESSION_NAME", slice_str(session));
}

/* boto3 and version 1 of the AWS CLI know the second name only, every other SDK the first. */
static void put_env_region(const struct binding *b, struct buf *out)
{
	if (!aws_region(b).len)
		return;
	put_variable(out, "AWS_REGION", aws_region(b));
	put_variable(out, "AWS_DEFAULT_REGION", aws_region(b));
}

/* By web-identity file where there is one: an SDK reads it again at each refresh, and static keys it would not. */
static void put_env_of(const struct binding *b, struct buf *out)
{
	switch (b->kind) {
	case CLOUD_AWS:
		put_path(out, "AWS_WEB_IDENTITY_TOKEN_FILE", b, "aws/web_identity_token");
		put_variable(out, "AWS_ROLE_ARN", setting(b, "roleArn"));
		put_session(b, out);
		put_env_region(b, out);
		break;
	case CLOUD_AWS_ROLES_ANYWHERE:
		put_path(out, "AWS_CONFIG_FILE", b, "aws/config");
		put_env_region(b, out);
		break;
	case CLOUD_GCP:
		put_path(out, "GOOGLE_APPLICATION_CREDENTIALS", b, "gcp/credentials.json");
		put_path(out, "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE", b, "gcp/access_token");
		break;
	case CLOUD_AZURE:
		put_path(out, "AZURE_FEDERATED_TOKEN_FILE", b, "azure/federated_token");
		put_variable(out, "AZURE_TENANT_ID", setting(b, "tenantID"));
		put_variable(out, "AZURE_CLIENT_ID", setting(b, "clientID"));
		buf_put_str(out, "AZURE_AUTHORITY_HOST=");
		buf_put_slice(out, setting(b, "authority"));
		buf_put_str(out, "/\n");
		break;
	default:
		break;
	}
}

/* The variables that an SDK reads are one set for each cloud, whichever way it is reached. */
enum env_group {
	ENV_AWS,
	ENV_GCP,
	ENV_AZURE,
	ENV_GROUPS,
};

struct env {
	const char *spiffe_id;
	const struct binding *first[ENV_GROUPS]; /* by name */
};

static enum env_group group_of(enum cloud_kind kind)
{
	switch (kind) {
	case CLOUD_AWS:
	case CLOUD_AWS_ROLES_ANYWHERE:
		return ENV_AWS;
	case CLOUD_GCP:
		return ENV_GCP;
	case CLOUD_AZURE:
		return ENV_AZURE;
	default:
		return ENV_GROUPS; /* a JWT-SVID in a file: no SDK looks for it */
	}
}

static void look_at(struct binding *b, void *arg)
{
	struct env *e = arg;
	enum env_group g = group_of(b->kind);

	if (g == ENV_GROUPS || strcmp(b->spiffe_id, e->spiffe_id) != 0)
		return;
	if (!e->first[g] || strcmp(b->credential, e->first[g]->credential) < 0)
		e->first[g] = b;
}

static int env(const struct binding *b, struct buf *out)
{
	struct env e = { .spiffe_id = b->spiffe_id };

	bindings_each(b->cloud, look_at, &e);
	for (size_t g = 0; g < ENV_GROUPS; g++)
		if (e.first[g])
			put_env_of(e.first[g], out);
	return 0;
}

static int access_token(const struct binding *b, struct buf *out)
{
	buf_put_slice(out, buf_slice(&b->got.access_token));
	return 0;
}

static int id_token(const struct binding *b, struct buf *out)
{
	buf_put_slice(out, buf_slice(&b->got.id_token));
	return 0;
}

static int jwt(const struct binding *b, struct buf *out)
{
	buf_put_slice(out, buf_slice(&b->token.text));
	return 0;
}

int file_put(const struct binding *b, enum cloud_file what, struct buf *out)
{
	static int (*const makers[CLOUD_FILE_COUNT])(const struct binding *b, struct buf *out) = {
		[CLOUD_FILE_AWS_CREDENTIALS] = aws_credentials,
		[CLOUD_FILE_AWS_CREDENTIALS_JSON] = aws_credentials_json,
		[CLOUD_FILE_AWS_CONFIG] = aws_config,
		[CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN] = jwt,
		[CLOUD_FILE_GCP_CREDENTIALS_JSON] = gcp_credentials_json,
		[CLOUD_FILE_GCP_SUBJECT_TOKEN] = jwt,
		[CLOUD_FILE_GCP_ACCESS_TOKEN] = access_token,
		[CLOUD_FILE_GCP_ID_TOKEN] = id_token,
		[CLOUD_FILE_AZURE_FEDERATED_TOKEN] = jwt,
		[CLOUD_FILE_AZURE_ACCESS_TOKEN] = access_token,
		[CLOUD_FILE_JWT] = jwt,
		[CLOUD_FILE_ENV] = env,
	};
	int err;

	if (file_needs(b, what) == FILE_NONE)
		return -ERR_NOT_FOUND;
	err = makers[what](b, out);
	return err ? err : buf_ok(out);
}

int file_seal(struct slice content, int *ret_fd)
{
	int fd = memfd_create("svid-file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ssize_t n = fd < 0 ? -1 : write(fd, content.p, content.len);

	if (n < 0 || (size_t)n != content.len ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0) {
		int err = n >= 0 && (size_t)n != content.len ? -ENOSPC : -errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	*ret_fd = fd;
	return 0;
}
