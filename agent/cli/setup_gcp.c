// SPDX-License-Identifier: Apache-2.0
/*
 * setup_gcp.c - a workload identity pool and its provider for a CredentialSource of kind gcp, and who may be impersonated.
 * svid. Facts: clouds.md 1.3, 2.
 */
#include "agent/cli/dump.h"
#include "agent/cli/setup.h"

#define SUBJECT_MAX 127    /* bytes of google.subject */
#define CONDITION_MAX 4096 /* characters of a provider's condition */

/* "//iam.googleapis.com/projects/N/locations/global/workloadIdentityPools/POOL/providers/PROVIDER" */
struct provider {
	struct slice project, pool, name, pool_path; /* pool_path: from "projects" to POOL */
};

static struct slice take_part(struct slice *s)
{
	const uint8_t *at = s->len ? memchr(s->p, '/', s->len) : NULL;
	struct slice part = slice_get_bytes(s, at ? (size_t)(at - s->p) : s->len);

	if (at)
		(void)slice_get_u8(s);
	return part;
}

static bool read_provider(const char *id, struct provider *p)
{
	struct slice s = slice_str(id), start = slice_str("//iam.googleapis.com/");
	struct slice parts[8];
	size_t n = 0;

	if (!slice_starts(s, start))
		return false;
	(void)slice_get_bytes(&s, start.len);
	p->pool_path = s;
	for (; n < ARRAY_SIZE(parts) && s.len; n++)
		parts[n] = take_part(&s);
	if (n != ARRAY_SIZE(parts) || s.len)
		return false;
	p->project = parts[1];
	p->pool = parts[5];
	p->name = parts[7];
	p->pool_path.len = (size_t)(p->pool.p + p->pool.len - p->pool_path.p);
	return true;
}

static size_t longest_of(const json_t *subjects)
{
	const json_t *subject;
	size_t i, longest = 0;

	json_array_foreach((json_t *)subjects, i, subject)
		longest = json_string_length(subject) > longest ? json_string_length(subject) : longest;
	return longest;
}

static size_t scheme_len(const struct setup *s)
{
	return strlen("spiffe://") + strlen(s->trust_domain) + 1;
}

/* google.subject is short: then (subject: mapped) it is the path alone, and the whole SPIFFE ID is an attribute. */
static void put_mapping(const struct setup *s, bool path_only, struct buf *out)
{
	if (path_only)
		buf_printf(out, "google.subject=assertion.sub.extract(\"spiffe://%s/{path}\"),attribute.spiffe_id=assertion.sub",
			   s->trust_domain);
	else
		buf_put_str(out, "google.subject=assertion.sub");
}

/* SPIFFE IDs have no quotes and no backslashes. */
static void put_condition(const struct setup *s, const json_t *subjects, struct buf *out)
{
	const json_t *subject;
	size_t i;

	buf_put_str(out, "assertion.sub in [");
	json_array_foreach((json_t *)subjects, i, subject)
		buf_printf(out, "%s\"%s\"", i ? "," : "", json_string_value(subject));
	buf_put_str(out, "]");
	if (out->len <= CONDITION_MAX && !buf_ok(out))
		return;
	buf_reset(out);
	buf_printf(out, "assertion.sub.startsWith(\"spiffe://%s/\")", s->trust_domain);
}

static void put_pool_options(struct setup *s, const struct provider *p)
{
	setup_option(s, "--project", p->project);
	setup_words(s, " --location global");
}

/*
 * One item of what gcloud takes for a list: a comma would make two of it, unless the value names another delimiter between two
 * carets (`gcloud topic escaping`). No audience has a space.
 */
static void put_audience(struct setup *s)
{
	const char *audience = json_text(s->spec, "audience");
	AUTO(buf) struct buf item = BUF_INIT(1024);

	buf_put_str(&item, strchr(audience, ',') || *audience == '^' ? "^ ^" : "");
	buf_put_str(&item, audience);
	setup_option(s, "--allowed-audiences", buf_slice(&item));
}

static void put_provider(struct setup *s, const struct provider *p, const json_t *subjects, bool path_only)
{
	AUTO(buf) struct buf mapping = BUF_INIT(4096);
	AUTO(buf) struct buf condition = BUF_INIT(1 << 16);

	put_mapping(s, path_only, &mapping);
	put_condition(s, subjects, &condition);
	for (int update = 0; update < 2; update++) {
		setup_words(s, "gcloud iam workload-identity-pools providers ");
		setup_words(s, update ? "update-oidc " : "create-oidc ");
		setup_word(s, p->name);
		put_pool_options(s, p);
		setup_option(s, "--workload-identity-pool", p->pool);
		setup_option(s, "--issuer-uri", slice_str(s->issuer));
		put_audience(s);
		setup_option(s, "--attribute-mapping", buf_slice(&mapping));
		setup_option(s, "--attribute-condition", buf_slice(&condition));
		setup_step(s, update ? "Instead, where it exists:" :
			"The provider: tokens of this issuer, for these identities alone.\n"
			"Without a public site add --jwk-json-path oidc/keys, here and to update-oidc after each export.");
	}
}

static void put_member(const struct provider *p, struct slice subject, struct buf *out)
{
	buf_put_str(out, "principal://iam.googleapis.com/");
	buf_put_slice(out, p->pool_path);
	buf_put_str(out, "/subject/");
	buf_put_slice(out, subject);
}

static void put_grant(struct setup *s, const struct provider *p, struct slice subject, const char *why)
{
	AUTO(buf) struct buf member = BUF_INIT(8192);
	const char *account = json_text(s->spec, "serviceAccount");

	put_member(p, subject, &member);
	if (*account) {
		setup_words(s, "gcloud iam service-accounts add-iam-policy-binding ");
		setup_word(s, slice_str(account));
		setup_words(s, " \\\n    --role roles/iam.workloadIdentityUser");
	} else {
		setup_words(s, "gcloud projects add-iam-policy-binding \"$PROJECT\" \\\n    --role \"$ROLE\"");
	}
	setup_option(s, "--member", buf_slice(&member));
	setup_step(s, why);
}

static void put_grants(struct setup *s, const struct provider *p, const json_t *subjects, bool path_only)
{
	const char *why = *json_text(s->spec, "serviceAccount") ?
			  "Who may be the service account; what it may do is yours to say." :
			  "What the identity may do is yours to say: PROJECT and ROLE. Some APIs take service accounts only.";
	const json_t *subject;
	size_t i;

	json_array_foreach((json_t *)subjects, i, subject) {
		struct slice id = slice_of(json_string_value(subject), json_string_length(subject));

		if (path_only)
			(void)slice_get_bytes(&id, scheme_len(s));
		put_grant(s, p, id, i ? json_string_value(subject) : why);
	}
}

void setup_gcp(struct setup *s)
{
	AUTO(json) json_t *subjects = setup_subjects(s);
	bool path_only = strcmp(json_text(s->spec, "subject"), "mapped") == 0;
	struct provider p;

	if (!read_provider(json_text(s->spec, "oidcProviderId"), &p))
		s->refused = "its oidcProviderId is not that of a provider";
	else if (path_only && longest_of(subjects) - scheme_len(s) > SUBJECT_MAX)
		s->refused = "a SPIFFE ID's path has more than 127 bytes, which is all that google.subject holds";
	if (s->refused)
		return;
	setup_publish(s, " Or upload it, see the provider below.");
	setup_words(s, "gcloud iam workload-identity-pools create ");
	setup_word(s, p.pool);
	put_pool_options(s, &p);
	setup_step(s, "Once: the pool.");
	put_provider(s, &p, subjects, path_only);
	put_grants(s, &p, subjects, path_only);
}
