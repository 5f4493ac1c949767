// SPDX-License-Identifier: Apache-2.0
/*
 * tree_cloud.c - the source of cloud files in the credential tree: which there are for each WorkloadCredential, and the way of
 * a read to svid-cloud, which makes the content. svid-core.
 *
 * A name of the source is a binding and a file: what = binding * 16 + enum cloud_file.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/base/uuid.h"
#include "agent/core/tree_parts.h"

#define WHAT_FILES 16

_Static_assert(CLOUD_FILE_COUNT <= WHAT_FILES, "files of one binding");

typedef void add_fn(void *arg, const char *path, uint32_t what);

/* Which files a kind has: bits of 1u << enum cloud_file. */
static const uint32_t files_of[CLOUD_KIND_COUNT] = {
	[CLOUD_AWS] = 1u << CLOUD_FILE_AWS_CREDENTIALS | 1u << CLOUD_FILE_AWS_CREDENTIALS_JSON | 1u << CLOUD_FILE_AWS_CONFIG |
		      1u << CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN,
	[CLOUD_AWS_ROLES_ANYWHERE] = 1u << CLOUD_FILE_AWS_CREDENTIALS | 1u << CLOUD_FILE_AWS_CREDENTIALS_JSON |
				     1u << CLOUD_FILE_AWS_CONFIG,
	[CLOUD_GCP] = 1u << CLOUD_FILE_GCP_CREDENTIALS_JSON | 1u << CLOUD_FILE_GCP_SUBJECT_TOKEN |
		      1u << CLOUD_FILE_GCP_ACCESS_TOKEN | 1u << CLOUD_FILE_GCP_ID_TOKEN,
	[CLOUD_AZURE] = 1u << CLOUD_FILE_AZURE_FEDERATED_TOKEN | 1u << CLOUD_FILE_AZURE_ACCESS_TOKEN,
};

/* Two of one cloud would fight for its directory: then there is none, and each is found under its name. */
static bool is_alone(const struct identity *doc, uint32_t files)
{
	size_t n = 0;

	for (size_t i = 0; i < doc->n_clouds; i++)
		n += (files_of[doc->clouds[i]->kind] & files) != 0;
	return n == 1;
}

static void names_of(const struct identity *doc, const struct cloud_doc *d, add_fn *add, void *arg)
{
	char path[TREE_NAME_MAX + 32];

	for (uint32_t f = 0; f < CLOUD_FILE_COUNT; f++) {
		uint32_t what = d->binding * WHAT_FILES + f;

		if (!(files_of[d->kind] & 1u << f) || (f == CLOUD_FILE_GCP_ID_TOKEN && !d->id_token))
			continue;
		snprintf(path, sizeof(path), "%s/%s", d->name, cloud_file_name(f));
		add(arg, path, what);
		if (is_alone(doc, files_of[d->kind]))
			add(arg, cloud_file_name(f), what);
	}
	if (d->kind == CLOUD_JWT) {
		snprintf(path, sizeof(path), "jwt/%s", d->name);
		add(arg, path, d->binding * WHAT_FILES + CLOUD_FILE_JWT);
	}
}

static void names(const struct identity *doc, add_fn *add, void *arg)
{
	for (size_t i = 0; i < doc->n_clouds; i++)
		names_of(doc, doc->clouds[i], add, arg);
	if (doc->n_clouds)
		add(arg, cloud_file_name(CLOUD_FILE_ENV), doc->clouds[0]->binding * WHAT_FILES + CLOUD_FILE_ENV);
}

static bool is_public(uint32_t what)
{
	uint32_t file = what % WHAT_FILES;

	return file == CLOUD_FILE_AWS_CONFIG || file == CLOUD_FILE_GCP_CREDENTIALS_JSON || file == CLOUD_FILE_ENV;
}

uint32_t tree_cloud_binding(const struct tree_node *file)
{
	return file->what / WHAT_FILES;
}

static void on_done(struct cloud_wait *w, int err, int fd, uint32_t len)
{
	tree_content(container_of(w, struct tree_read, content.cloud), err ? -EAGAIN : 0, fd, len);
}

static int get(struct tree *t, struct tree_read *r)
{
	uint32_t what = r->file->what;

	r->content.cloud = (struct cloud_wait){ .done = on_done };
	return cloud_file(t->core->cloud, what / WHAT_FILES, what % WHAT_FILES, &r->content.cloud);
}

static void cancel(struct tree_read *r)
{
	cloud_file_cancel(&r->content.cloud);
}

void tree_put_place(const char *root, const char *spiffe_id, const char *credential, struct buf *out)
{
	char uuid[UUID_TEXT];

	uuid_of_url(slice_str(spiffe_id), uuid);
	buf_printf(out, "%s/%s/%s", root, uuid, credential);
}

const struct tree_source tree_cloud = { .name = "cloud", .names = names, .get = get, .cancel = cancel, .is_public = is_public };
