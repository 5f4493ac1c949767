// SPDX-License-Identifier: Apache-2.0
/*
 * cloud_docs.c - WorkloadCredentials and their sources out of normal forms. svid-core.
 *
 * The compiler has checked them; what svid-core itself acts on is checked again here, the rest goes to svid-cloud as it is.
 */
#include "agent/core/cloud_docs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/spiffe_id.h"
#include "agent/core/json.h"
#include "agent/core/policy_build.h"
#include "agent/ipc/terms.h"

#define FILE_TTL_S 3600 /* of a JWT-SVID in a file, for the SDK to exchange by itself */
#define HELPERS_MAX 16
#define TAGS "https://aws.amazon.com/tags"

void cloud_doc_free(struct cloud_doc *d)
{
	if (!d)
		return;
	mem_free(d->name);
	mem_free(d->source);
	mem_free(d->spiffe_id);
	mem_free(d->source_json);
	mem_free(d->json);
	strs_free(d->audiences, d->n_audiences);
	mem_free(d->claims);
	strs_free(d->helpers, d->n_helpers);
	mem_free(d);
}

static inline void cloud_doc_autoclean(struct cloud_doc **d)
{
	cloud_doc_free(*d);
}

static int kind_of(json_t *form, enum cloud_kind *ret_kind)
{
	for (unsigned int k = 0; k < CLOUD_KIND_COUNT; k++)
		if (json_is_object(json_object_get(form, cloud_kind_name(k)))) {
			*ret_kind = k;
			return 0;
		}
	return -ERR_FORMAT;
}

int cloud_source_check(const char *json)
{
	AUTO(form) json_t *form = NULL;
	enum cloud_kind kind;
	int err = form_load(slice_str(json), &form);

	return err ? err : kind_of(form, &kind);
}

int cloud_doc_source_name(const char *name, const char *json, char **ret_source)
{
	AUTO(form) json_t *form = NULL;
	AUTO_FREE char *source = NULL;
	int err = term_credential_why(slice_str(name)) ? -ERR_FORMAT : form_load(slice_str(json), &form);

	if (!err)
		err = form_str(form, "credentialSource", LIM_DOC_NAME, &source);
	if (!err && !source)
		err = -ERR_FORMAT;
	if (!err)
		*ret_source = take(&source);
	return err;
}

static int read_id(json_t *form, const char *trust_domain, struct cloud_doc *d, struct build_why *why)
{
	AUTO(buf) struct buf id = BUF_INIT(2 * LIM_SPIFFE_ID);
	AUTO_FREE char *path = NULL;
	struct spiffe_id parsed;
	int err = form_str(form, "workloadID", LIM_SPIFFE_ID, &path);

	if (!err && path)
		buf_printf(&id, "spiffe://%s/%s", trust_domain, path);
	else if (!err)
		err = form_str(form, "spiffeID", LIM_SPIFFE_ID, &d->spiffe_id);
	if (err)
		return err;
	if (path)
		d->spiffe_id = mem_strdup(buf_cstr(&id));
	if (path && (!d->spiffe_id || buf_ok(&id)))
		return -ENOMEM;
	if (d->spiffe_id && !spiffe_id_parse(slice_str(d->spiffe_id), &parsed) &&
	    slice_eq_str(parsed.trust_domain, trust_domain))
		return 0;
	snprintf(why->text, sizeof(why->text), "its SPIFFE ID is not one of trust domain %.200s", trust_domain);
	return -ERR_POLICY;
}

/* Session tags as AWS wants them in a token (clouds.md 1.1). */
static int put_tags(json_t *aws, struct buf *claims)
{
	struct json j = { .b = claims, .comma = true };
	const char *key;
	const json_t *value;
	size_t i;

	if (!json_object_size(json_object_get(aws, "tags")))
		return 0;
	json_open(&j, TAGS, '{');
	json_open(&j, "principal_tags", '{');
	json_object_foreach(json_object_get(aws, "tags"), key, value) {
		json_open(&j, key, '[');
		json_str(&j, NULL, json_string_value(value));
		json_close(&j, ']');
	}
	json_close(&j, '}');
	if (json_array_size(json_object_get(aws, "transitiveTags"))) {
		json_open(&j, "transitive_tag_keys", '[');
		json_array_foreach(json_object_get(aws, "transitiveTags"), i, value)
			json_str(&j, NULL, json_string_value(value));
		json_close(&j, ']');
	}
	json_close(&j, '}');
	return buf_ok(claims);
}

static int read_audiences(json_t *cloud, struct cloud_doc *d)
{
	int err;

	if (d->kind == CLOUD_AWS_ROLES_ANYWHERE)
		return 0;
	if (d->kind == CLOUD_JWT)
		return form_narrowing(cloud, "audiences", LIM_AUDIENCES, LIM_AUDIENCE, &d->audiences, &d->n_audiences);
	d->audiences = mem_calloc(1, sizeof(char *));
	if (!d->audiences)
		return -ENOMEM;
	d->n_audiences = 1;
	err = form_str(cloud, "audience", LIM_AUDIENCE, &d->audiences[0]);
	return err ? err : d->audiences[0] && *d->audiences[0] ? 0 : -ERR_FORMAT;
}

static int read_source(json_t *form, struct cloud_doc *d)
{
	AUTO(buf) struct buf claims = BUF_INIT(LIM_CLOUD_CLAIMS);
	int64_t jwt_ttl = 300, file_ttl = FILE_TTL_S;
	unsigned int source_identity = 0;
	static const char *const no_yes[] = { "false", "true" };
	json_t *cloud;
	int err = kind_of(form, &d->kind);

	if (err)
		return err;
	cloud = json_object_get(form, cloud_kind_name(d->kind));
	err = read_audiences(cloud, d);
	if (!err)
		err = form_int(form, "jwtTTL", 1, LIM_JWT_TTL_S, &jwt_ttl);
	if (!err && d->kind == CLOUD_JWT)
		err = form_int(cloud, "ttl", 1, LIM_JWT_TTL_S, &file_ttl);
	if (!err && d->kind == CLOUD_AWS)
		err = form_word(cloud, "sourceIdentity", no_yes, 2, &source_identity);
	if (!err && d->kind == CLOUD_AWS)
		err = put_tags(cloud, &claims);
	if (err)
		return err == -ERR_SIZE ? -ERR_FORMAT : err;
	d->jwt_ttl = (uint32_t)jwt_ttl;
	d->file_ttl = (uint32_t)file_ttl;
	d->source_identity = source_identity;
	d->id_token = d->kind == CLOUD_GCP && json_object_get(cloud, "idTokenAudience");
	d->claims = mem_strdup(buf_cstr(&claims));
	return d->claims ? 0 : -ENOMEM;
}

static int copy_texts(struct cloud_doc *d, const char *name, const char *json, const char *source, const char *source_json)
{
	d->name = mem_strdup(name);
	d->json = mem_strdup(json);
	d->source = mem_strdup(source);
	d->source_json = mem_strdup(source_json);
	return d->name && d->json && d->source && d->source_json ? 0 : -ENOMEM;
}

int cloud_doc_new(const char *name, const char *json, const char *source, const char *source_json, const char *trust_domain,
		  struct build_why *ret_why, struct cloud_doc **ret_doc)
{
	AUTO(form) json_t *form = NULL;
	AUTO(form) json_t *source_form = NULL;
	AUTO(cloud_doc) struct cloud_doc *d = mem_new(struct cloud_doc);
	int err = d ? copy_texts(d, name, json, source, source_json) : -ENOMEM;

	if (!err)
		err = form_load(slice_str(json), &form);
	if (!err)
		err = form_load(slice_str(source_json), &source_form);
	if (!err)
		err = read_id(form, trust_domain, d, ret_why);
	if (!err)
		err = form_strs(form, "helpers", HELPERS_MAX, LIM_PATH, &d->helpers, &d->n_helpers);
	if (!err)
		err = read_source(source_form, d);
	if (!err)
		*ret_doc = take(&d);
	return err;
}

void cloud_docs_done(struct cloud_docs *d)
{
	for (size_t i = 0; i < d->n; i++)
		cloud_doc_free(d->v[i]);
	mem_free(d->v);
	mem_free(d->own);
	mem_free(d->numbered);
	mem_free(d->helpers);
	mem_free(d->audiences);
	mem_free(d->join.by_id);
	sorter_done(&d->join.sorter);
	*d = (struct cloud_docs){ 0 };
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct cloud_doc *const *)a)->name, (*(struct cloud_doc *const *)b)->name);
}

const struct cloud_doc *cloud_docs_find(const struct cloud_docs *d, const struct cloud_doc *like)
{
	struct cloud_doc **same = d->n ? bsearch(&like, d->v, d->n, sizeof(*d->v), by_name) : NULL;

	if (!same || strcmp((*same)->source, like->source) != 0 || strcmp((*same)->spiffe_id, like->spiffe_id) != 0)
		return NULL;
	return *same;
}

int cloud_docs_by_binding(const void *a, const void *b)
{
	const struct cloud_doc *x = *(const struct cloud_doc *const *)a, *y = *(const struct cloud_doc *const *)b;

	return x->binding < y->binding ? -1 : x->binding > y->binding;
}

const struct cloud_doc *cloud_docs_at(const struct cloud_docs *d, uint32_t binding)
{
	const struct cloud_doc key = { .binding = binding }, *like = &key;
	const struct cloud_doc **one = NULL;

	if (d->n)
		one = bsearch(&like, d->numbered, d->n, sizeof(*d->numbered), cloud_docs_by_binding);
	return one ? *one : NULL;
}

static bool is_helper(const char *helper, struct slice path)
{
	struct slice usr = slice_str("/usr"), bin = slice_str("/bin/"), sbin = slice_str("/sbin/");
	struct slice name = slice_str(helper);

	if (slice_eq(name, path))
		return true;
	if (!slice_starts(name, bin) && !slice_starts(name, sbin))
		return false;
	return slice_starts(path, usr) && slice_eq(name, slice_of(path.p + usr.len, path.len - usr.len));
}

bool cloud_doc_has_helper(const struct cloud_doc *d, struct slice path)
{
	for (size_t i = 0; i < d->n_helpers; i++)
		if (is_helper(d->helpers[i], path))
			return true;
	return false;
}

static int find_slice(const void *key, const void *one)
{
	const struct slice *s = key;
	const char *text = *(const char *const *)one;
	size_t len = strlen(text);
	int order = memcmp(s->p, text, len < s->len ? len : s->len);

	return order ? order : s->len < len ? -1 : s->len > len;
}

static bool is_in(struct slice s, const char *const *texts, size_t n)
{
	return n && s.len && bsearch(&s, texts, n, sizeof(*texts), find_slice);
}

bool cloud_docs_has_helper(const struct cloud_docs *d, struct slice path)
{
	struct slice usr = slice_str("/usr");

	if (is_in(path, d->helpers, d->n_helpers))
		return true;
	if (!slice_starts(path, usr))
		return false;
	path = slice_of(path.p + usr.len, path.len - usr.len);
	return (slice_starts(path, slice_str("/bin/")) || slice_starts(path, slice_str("/sbin/"))) &&
	       is_in(path, d->helpers, d->n_helpers);
}

bool cloud_docs_has_audience(const struct cloud_docs *d, struct slice audience)
{
	return is_in(audience, d->audiences, d->n_audiences);
}
