// SPDX-License-Identifier: Apache-2.0
/*
 * tree_svid.c - the source of svid/ in the credential tree: the front of the reader's own set makes the file from what it
 * serves, private key included, which is why no other may be asked. svid-core.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/core/tree_parts.h"

static void names(const struct identity *doc, void (*add)(void *arg, const char *path, uint32_t what), void *arg)
{
	char path[64];

	(void)doc;
	for (uint32_t i = 0; i < SVID_FILE_COUNT; i++) {
		snprintf(path, sizeof(path), "svid/%s", svid_file_name(i));
		add(arg, path, i);
	}
}

/* The front has all files of an identity that it serves: one that is missing is there a moment later. */
static void on_done(struct front_ask *a, int err, int fd, uint32_t len)
{
	if (err)
		log_debug(EV_TREE, KV("what", V_S("no content")), KV("err", V_S(err_name(err))));
	tree_content(container_of(a, struct tree_read, content.svid), err ? -EAGAIN : 0, fd, len);
}

static int get(struct tree *t, struct tree_read *r)
{
	const struct identity *docs[LIM_SET_IDENTITIES];
	size_t n = decision_docs(r->asker.decision, docs);

	r->content.svid = (struct front_ask){ .identity = r->identity, .what = r->file->what, .done = on_done };
	return fronts_file(t->core->fronts, docs, n, &r->content.svid);
}

static void cancel(struct tree_read *r)
{
	fronts_file_cancel(&r->content.svid);
}

const struct tree_source tree_svid = { .name = "svid", .names = names, .get = get, .cancel = cancel };

const struct tree_source *const tree_sources[] = { &tree_svid, &tree_cloud, NULL };
