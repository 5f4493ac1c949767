// SPDX-License-Identifier: Apache-2.0
/*
 * admin_sources.c - CredentialSources on admin.sock, each as its document says, and which identities use it: what a person
 * needs to set up the other side. No document holds a secret. svid-core.
 */
#include <errno.h>

#include "agent/base/spare.h"
#include "agent/core/admin.h"
#include "agent/core/policy_build.h"

#define LISTED_MAX (ADMIN_REPLY_MAX / 4 * 3) /* bytes; what comes behind them is counted, not shown */

static int dump(const char *bytes, size_t n, void *out)
{
	buf_put(out, bytes, n);
	return buf_ok(out);
}

/* Certificates are long, and nobody sets up a cloud with them. Without memory there is no answer at all, not half a one. */
static void put_spec(struct json *j, const char *text)
{
	AUTO(form) json_t *form = NULL;
	AUTO(buf) struct buf spec = BUF_INIT(LIM_DOC_JSON);
	int err = form_load(slice_str(text), &form);

	if (!err) {
		(void)json_object_del(form, "caBundle");
		err = json_dump_callback(form, dump, &spec, JSON_COMPACT) || spare_used() ? -ENOMEM : 0;
	}
	if (err == -ENOMEM)
		buf_fail(j->b, err);
	else if (!err)
		json_raw(j, "spec", buf_slice(&spec));
}

struct listing {
	struct json *j;
	uint64_t left_out;
};

static void put_source(void *arg, const char *name, const char *json, bool stale)
{
	struct listing *l = arg;

	if (l->j->b->len > LISTED_MAX) {
		l->left_out++;
		return;
	}
	json_open(l->j, NULL, '{');
	json_str(l->j, "source", name);
	json_bool(l->j, "stale", stale);
	put_spec(l->j, json);
	json_close(l->j, '}');
}

static void put_users(struct listing *l, const struct cloud_docs *docs)
{
	struct json *j = l->j;

	json_open(j, "credentials", '[');
	for (size_t i = 0; i < docs->n; i++) {
		if (j->b->len > LISTED_MAX) {
			l->left_out++;
			continue;
		}
		json_open(j, NULL, '{');
		json_str(j, "credential", docs->v[i]->name);
		json_str(j, "source", docs->v[i]->source);
		json_str(j, "spiffe_id", docs->v[i]->spiffe_id);
		json_close(j, '}');
	}
	json_close(j, ']');
}

void sources_put(const struct core *c, struct buf *out)
{
	struct json j = JSON_INIT(out);
	struct listing l = { .j = &j };

	json_open(&j, NULL, '{');
	json_str(&j, "trust_domain", docs_settings(c->docs)->trust_domain);
	json_str(&j, "issuer", docs_settings(c->docs)->jwt_issuer);
	put_users(&l, docs_clouds(c->docs));
	json_open(&j, "sources", '[');
	docs_each_source(c->docs, put_source, &l);
	json_close(&j, ']');
	json_u64(&j, "left_out", l.left_out);
	json_close(&j, '}');
}
