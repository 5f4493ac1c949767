// SPDX-License-Identifier: Apache-2.0
/*
 * end.c - svid-core gives everything back, in the order in which the parts use each other: callers first, then what
 * decides about them, then what that stands on. The process would end as well without, but a leak would never show.
 */
#include "agent/base/mem.h"
#include "agent/core/core.h"

static void end_conn(struct conn *conn, void *arg)
{
	(void)arg;
	conn_free(conn);
}

static void end_callers(struct core *c)
{
	admin_end(c);
	if (c->conns)
		conns_each(c, end_conn, NULL);
	bury_done(&c->bury);
	canary_free(c);
	jwts_free(&c->jwts);
	nobodies_done(&c->nobodies);
	mem_free(c->conns);
	mem_free(c->generations);
	mem_free(c->free_conns);
}

static void end_plan(struct plan *p)
{
	char *const texts[] = { p->instance, p->public_path, p->admin_path, p->config_path, p->policy_path, p->state_path,
				p->audit_path, p->tier_notes, p->tree_path, p->tree_notes };

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		mem_free(texts[i]);
}

void core_end(struct core *c)
{
	end_callers(c);
	tree_free(c->tree);
	cloud_free(c->cloud);
	decisions_done(&c->decisions);
	compiler_free(c);
	fronts_free(c->fronts);
	identities_free(c->ids);
	digests_free(c->digests);
	authority_free(c->auth);
	attest_free(c->attest);
	docs_free(c->docs);
	bundles_free(c->bundles);
	bounds_done(&c->bounds);
	cgroups_free(c->cgroups);
	provider_free(c->provider);
	audit_done(&c->audit);
	state_close(c->state);
	chan_free(c->parent);
	loop_free(c->loop);
	end_plan(&c->plan);
}
