// SPDX-License-Identifier: Apache-2.0
/* core.c - what svid-core says: settings, bindings, readers of files. svid-cloud. Next: binding.c. */
#include <errno.h>

#include "agent/base/mem.h"
#include "federation/cloud.h"
#include "federation/oidc.h"

uint32_t cloud_order(struct cloud *c)
{
	return ++c->last_order ? c->last_order : ++c->last_order;
}

void cloud_told(struct cloud *c, int err)
{
	if (!err)
		return;
	log_error(EV_IPC, KV("what", V_S("a sibling cannot be told")), KV("err", V_S(err_name(err))));
	loop_stop(c->loop);
}

static int keep(char **at, struct slice s)
{
	char *copy = slice_dup(s);

	if (!copy)
		return -ENOMEM;
	mem_free(*at);
	*at = copy;
	return 0;
}

static int on_conf(struct chan *ch, struct chan_msg *m)
{
	struct cloud *c = chan_owner(ch);
	struct msg_CL_CONF conf;
	int err = msg_get_CL_CONF(m->body, &conf);

	if (!err)
		err = keep(&c->trust_domain, conf.trust_domain);
	if (!err)
		err = keep(&c->issuer, conf.issuer);
	if (!err)
		err = keep(&c->node, conf.node);
	if (err)
		return err;
	buf_reset(&c->jwks);
	buf_put_slice(&c->jwks, conf.jwks);
	err = buf_ok(&c->jwks);
	/* Whoever asks earlier, after a restart, waits in the listener. */
	if (!err && c->jwks.len && c->serves_oidc && !c->oidc)
		err = oidc_start(c, FD_CLOUD_OIDC);
	return err;
}

static int on_bind(struct chan *ch, struct chan_msg *m)
{
	struct msg_CL_BIND bind;
	int err = msg_get_CL_BIND(m->body, &bind);

	chan_pause(ch); /* thousands of them come in a row, and readers wait */
	return err ? err : binding_put(chan_owner(ch), &bind);
}

static int on_unbind(struct chan *ch, struct chan_msg *m)
{
	struct msg_CL_UNBIND unbind;
	int err = msg_get_CL_UNBIND(m->body, &unbind);
	struct binding *b = err ? NULL : binding_find(chan_owner(ch), unbind.binding);

	if (err)
		return err;
	if (!b)
		return -ERR_NOT_FOUND;
	cache_drop(b);
	binding_free(b);
	bindings_go(chan_owner(ch)); /* in the place of what it had under way */
	return 0;
}

static int on_bound(struct chan *ch, struct chan_msg *m)
{
	struct msg_CL_BOUND bound;
	int err = msg_get_CL_BOUND(m->body, &bound);

	if (!err)
		cache_prune(chan_owner(ch));
	return err;
}

static int on_chain(struct chan *ch, struct chan_msg *m)
{
	struct msg_CL_CHAIN chain;
	int err = msg_get_CL_CHAIN(m->body, &chain);

	if (!err && !fetch_chain(chan_owner(ch), &chain))
		log_debug(EV_CLOUD, KV("what", V_S("a chain that nobody waits for")));
	return err;
}

static void refuse_token(struct binding *b, void *arg)
{
	const struct msg_CL_REFUSED *r = arg;

	if (b->token.order == r->order)
		binding_token(b, r->err ? r->err : -ERR_NOT_READY, NULL);
}

static int on_refused(struct chan *ch, struct chan_msg *m)
{
	struct cloud *c = chan_owner(ch);
	struct msg_CL_REFUSED refused;
	int err = msg_get_CL_REFUSED(m->body, &refused);

	if (!err && !fetch_refused(c, refused.order, refused.err ? refused.err : -ERR_NOT_READY))
		bindings_each(c, refuse_token, &refused);
	return err;
}

static int on_file(struct chan *ch, struct chan_msg *m)
{
	struct cloud *c = chan_owner(ch);
	struct msg_CL_FILE file;
	struct binding *b;
	int err = msg_get_CL_FILE(m->body, &file);

	if (err)
		return err;
	b = binding_find(c, file.binding);
	if (!b)
		return chan_put(ch, CR_NOFILE, 0, .order = file.order, .err = -ERR_NOT_FOUND);
	return binding_file(b, file.order, file.what);
}

static int on_refresh(struct chan *ch, struct chan_msg *m)
{
	struct msg_CL_REFRESH refresh;
	int err = msg_get_CL_REFRESH(m->body, &refresh);
	struct binding *b = err ? NULL : binding_find(chan_owner(ch), refresh.binding);

	if (b)
		binding_refresh(b);
	return err;
}

/* A new svid-core starts a new svid-cloud. */
static void on_dead(struct chan *ch, int err)
{
	struct cloud *c = chan_owner(ch);

	log_info(EV_STOP, KV("why", V_S(err_name(err))));
	loop_stop(c->loop);
}

static const struct chan_rule rules[] = {
	{ MSG_CL_CONF, 1, on_conf },	   { MSG_CL_BIND, 1, on_bind },	  { MSG_CL_UNBIND, 1, on_unbind },
	{ MSG_CL_BOUND, 1, on_bound },	   { MSG_CL_CHAIN, 1, on_chain }, { MSG_CL_REFUSED, 1, on_refused },
	{ MSG_CL_FILE, 1, on_file },	   { MSG_CL_REFRESH, 1, on_refresh },
};

static const struct chan_ops ops = { .peer = "svid-core", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead };

int core_start(struct cloud *c, int fd)
{
	return chan_new(c->loop, fd, &ops, c, &c->core);
}
