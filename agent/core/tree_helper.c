// SPDX-License-Identifier: Apache-2.0
/*
 * tree_helper.c - helpers[] of a WorkloadCredential: /bin/cat, which an SDK runs for credential_process, has no identity of
 * its own, and reads for the process that started it. svid-core.
 *
 * What is believed: the fork is in the reader's image, as the kernel recorded it, with the exec that the parent was in; the
 * parent still lives in that very exec; and it is decided now, as if it read by itself. So a parent that became the identified
 * program after the fork, one that is gone, and a stranger in between count for nothing. Many SDKs start the helper by a shell:
 * that one may be in between if it is a helper too. Each must have been executed, not only forked, with an image as clean as
 * the defaults of an identity by path want it.
 */
#include <errno.h>

#include "agent/core/selector_facts.h"
#include "agent/core/tree_parts.h"

/* The reader, or the last of those who started it. */
static const struct decision *last_decision(const struct tree_read *r)
{
	return r->helper.n ? r->helper.up[r->helper.n - 1].asker.decision : r->asker.decision;
}

/* Its path as a selector would see it, if that is a helper's and nothing speaks against it; else empty, and maybe why. */
static struct slice helper_path(const struct tree_read *r, const struct decision *d, const char **why)
{
	struct facts f = decision_facts(d);
	struct fact scratch;
	const struct fact *path;
	struct sel_result traced, preload;
	struct eval e;

	eval_init(&e, &f);
	path = fact_get(SEL_UNIX_PATH, &e, 0, &scratch);
	if (facts_are_socket(&f) || path->end || path->why)
		return slice_of(NULL, 0);
	if (!cloud_docs_has_helper(docs_clouds(r->tree->core->docs), path->text))
		return slice_of(NULL, 0);
	traced = rule_eval(RULE_NOT_TRACED, true, &f);
	preload = rule_eval(RULE_NO_PRELOAD, true, &f);
	*why = !traced.ok ? traced.why : !preload.ok ? preload.why : NULL;
	if (f.conn->image.flags & SVID_IMG_FORKED)
		*why = "it was forked by the helper, and executed nothing itself";
	return *why ? slice_of(NULL, 0) : path->text;
}

static const struct cloud_doc *doc_of(const struct tree_read *r, const struct tree_node *file)
{
	return cloud_docs_at(docs_clouds(r->tree->core->docs), tree_cloud_binding(file));
}

/* In self/ it is not known yet whose file is meant. */
static bool could_be_for(const struct tree_read *r, struct slice path)
{
	const struct cloud_doc *doc;

	if (r->asked->source != &tree_cloud)
		return false;
	if (!r->asked->identity)
		return true;
	doc = doc_of(r, r->asked);
	return doc && cloud_doc_has_helper(doc, path);
}

static void on_decided(struct asker *a)
{
	struct tree_read *r = container_of(a, struct tree_starter, asker)->read;

	/* As in tree_read.c: who left and came to the same decision again is met twice. */
	if (r->state != TREE_READ_HELPER || a != &r->helper.up[r->helper.n - 1].asker)
		return;
	r->state = TREE_READ_DECIDING;
	tree_helper_decided(r, a->decision);
}

static const struct asker_ops asker_ops = { .decided = on_decided };

/* The record has the number of the initial pid namespace, mostly ours; if not, /proc tells where to look, and no more. */
static pid_t find_starter(const struct tree_read *r, const struct svid_conn *record, const struct svid_ancestor *starter)
{
	pid_t tid = r->helper.n ? r->helper.up[r->helper.n - 1].pid : r->tid;

	if (record->tid == (uint32_t)tid)
		return (pid_t)starter->key.tgid;
	return tree_pid_of(tid, "\nPPid:\t", 0);
}

static int take_record(struct tree_read *r, const struct svid_conn *of, struct svid_conn *ret_record, struct tree_starter *ret)
{
	const struct svid_ancestor *starter = &of->image.ancestors[0];
	const struct svid_image *img = &ret_record->image;
	int err;

	r->helper.why = "the kernel did not record who started it";
	if (!of->image.n_ancestors || !starter->exec_id)
		return -EACCES;
	r->helper.why = "who started it is gone, or runs another program now";
	ret->pid = find_starter(r, of, starter);
	err = ret->pid > 0 ? provider_reader(r->tree->core->provider, (uint32_t)ret->pid, ret_record) : -ESRCH;
	if (err == -ERR_EVIDENCE)
		canary_failed(r->tree->core, "no program answered for who started a helper");
	if (err)
		return err == -ESRCH || err == -ENOENT ? -EACCES : err;
	if (memcmp(&img->key, &starter->key, sizeof(img->key)) != 0 || img->exec_id != starter->exec_id)
		return -EACCES;
	ret->key = img->key;
	ret->exec_id = img->exec_id;
	ret->change = img->change;
	ret->img_flags = img->flags;
	r->helper.why = NULL;
	return 0;
}

int tree_helper_ask(struct tree_read *r)
{
	struct tree_helper *h = &r->helper;
	struct slice path = helper_path(r, last_decision(r), &h->why);
	struct tree_starter s = { .read = r, .asker.ops = &asker_ops };
	struct svid_conn record;
	int err;

	if (h->n && !h->why)
		h->why = "who started it has no such credential";
	if (!path.len || h->n == TREE_STARTERS || !could_be_for(r, path))
		return -EACCES;
	err = take_record(r, &last_decision(r)->record, &record, &s);
	if (err)
		return err;
	h->up[h->n] = s;
	r->state = TREE_READ_HELPER;
	err = decide(r->tree->core, &h->up[h->n++].asker, &record, s.pid);
	if (err)
		r->state = TREE_READ_DECIDING;
	return err;
}

/* All that are in between must be helpers of this very credential. */
bool tree_helper_may(struct tree_read *r, const struct tree_node *file)
{
	const struct cloud_doc *doc = file->source == &tree_cloud ? doc_of(r, file) : NULL;
	struct tree_helper *h = &r->helper;
	bool ok = doc;

	h->why = NULL;
	for (unsigned int i = 0; i < h->n && ok; i++) {
		struct slice path = helper_path(r, i ? h->up[i - 1].asker.decision : r->asker.decision, &h->why);

		ok = path.len && cloud_doc_has_helper(doc, path);
	}
	h->used = ok;
	if (!ok && !h->why)
		h->why = "it is no helper of that credential";
	return ok;
}

bool tree_helper_changed(const struct tree_read *r)
{
	for (unsigned int i = 0; i < r->helper.n; i++) {
		const struct tree_starter *s = &r->helper.up[i];
		struct svid_image img;

		if (provider_image(r->tree->core->provider, &s->key, &img) || img.exec_id != s->exec_id ||
		    img.change != s->change || img.flags != s->img_flags)
			return true;
	}
	return false;
}

void tree_helper_leave(struct tree_read *r)
{
	for (unsigned int i = 0; i < r->helper.n; i++)
		decision_leave(&r->helper.up[i].asker);
	r->helper = (struct tree_helper){ .n = 0 };
}
