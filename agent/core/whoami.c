// SPDX-License-Identifier: Apache-2.0
/* whoami.c - what svid-core tells a caller about himself, and the audit log about him. svid-core. */
#include "agent/core/whoami.h"

#include "agent/base/uuid.h"
#include "agent/core/cloud_docs.h"

/* What it may read of clouds. */
static void put_credentials(struct json *j, const struct identity *id)
{
	json_open(j, "credentials", '[');
	for (size_t i = 0; i < id->n_clouds; i++)
		json_str(j, NULL, id->clouds[i]->name);
	json_close(j, ']');
}

void whoami_put_identities(struct json *j, const char *key, const struct match *m)
{
	char uuid[UUID_TEXT];

	json_open(j, key, '[');
	for (size_t i = 0; i < m->n; i++) {
		json_open(j, NULL, '{');
		json_str(j, "spiffe_id", m->ids[i]->spiffe_id);
		uuid_of_url(slice_str(m->ids[i]->spiffe_id), uuid);
		json_str(j, "uuid", uuid); /* of its directory in the credential tree */
		json_str(j, "document", m->ids[i]->name);
		if (m->ids[i]->hint && *m->ids[i]->hint)
			json_str(j, "hint", m->ids[i]->hint);
		if (m->ids[i]->n_clouds)
			put_credentials(j, m->ids[i]);
		if (m->ids[i]->stale)
			json_bool(j, "stale", true);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static int put_all(struct buf *out, const struct facts *f, const struct match *m, struct slice explain)
{
	struct json j = JSON_INIT(out);

	buf_reset(out);
	json_open(&j, NULL, '{');
	whoami_put_identities(&j, "identities", m);
	facts_put(&j, f);
	facts_not_enforced(&j, "not_enforced", f->tier);
	json_bool(&j, "not_traced_waived", m->not_traced_waived);
	if (explain.len)
		json_raw(&j, "documents", explain);
	else
		json_str(&j, "documents_left_out", "too long; svid explain shows them");
	json_close(&j, '}');
	return buf_ok(out);
}

void whoami_make(struct buf *out, const struct facts *f, const struct match *m, struct slice explain)
{
	struct match none = { .n = 0 };

	if (!put_all(out, f, m, explain))
		return;
	if (explain.len && !put_all(out, f, m, slice_of(NULL, 0)))
		return;
	if (!put_all(out, f, &none, slice_of(NULL, 0)))
		return;
	buf_reset(out);
	buf_put_str(out, "{}");
}

void whoami_make_audit(struct buf *out, const struct facts *f, const struct match *m)
{
	struct json j = JSON_INIT(out);

	buf_reset(out);
	json_str(&j, "decision", m->n ? "allow" : "none");
	json_open(&j, "identities", '[');
	for (size_t i = 0; i < m->n; i++)
		json_str(&j, NULL, m->ids[i]->spiffe_id);
	json_close(&j, ']');
	json_str(&j, "tier", tier_name(f->tier));
	facts_put_short(&j, f);
	if (m->not_traced_waived)
		json_str(&j, "not_enforced", "not-traced");
	for (size_t i = 0; i < m->n; i++)
		if (m->ids[i]->stale) {
			json_bool(&j, "stale", true);
			break;
		}
}
