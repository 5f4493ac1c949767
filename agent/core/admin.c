// SPDX-License-Identifier: Apache-2.0
/* admin.c - admin.sock: fixed-form requests of root, JSON answers. svid-core. */
#include "agent/core/admin.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"

struct admin {
	struct core *core;
	struct loop_watch accept;
	struct list clients;
	size_t n;
};

void admin_reply(struct admin_client *cl, uint32_t id, int err, struct slice json)
{
	int sent = chan_put(cl->chan, AD_REPLY, id, .err = err, .json = json);

	/* A person waits for it: there is room for "no memory". */
	if (sent == -ENOMEM)
		sent = chan_put(cl->chan, AD_REPLY, id, .err = -ENOMEM);
	if (sent)
		log_warn(EV_ADMIN, KV("what", V_S("reply not sent")), KV("err", V_S(err_name(sent))));
}

static void put_reload(struct core *c, struct buf *out)
{
	compiler_run(c);
	buf_put_str(out, "{\"reload\":\"started\"}");
}

/* @binding not 0: it is to be exchanged now. */
static void put_credentials(struct core *c, uint32_t binding, struct buf *out)
{
	if (binding && cloud_refresh(c->cloud, binding))
		log_warn(EV_ADMIN, KV("what", V_S("svid-cloud does not know that credential")), KV("binding", V_U(binding)));
	cloud_put(c, out);
}

static int answer(struct admin_client *cl, uint32_t id, const struct msg_AD_REQUEST *ask)
{
	AUTO(buf) struct buf b = BUF_INIT(ADMIN_REPLY_MAX);

	switch (ask->what) {
	case ADMIN_STATUS:
		status_put(cl->core, &b);
		break;
	case ADMIN_POLICY:
		policy_put(cl->core, &b);
		break;
	case ADMIN_BUNDLE:
		bundle_put_own(cl->core, &b);
		break;
	case ADMIN_BUNDLES:
		bundle_put_foreign(cl->core, &b);
		break;
	case ADMIN_CREDENTIALS:
		put_credentials(cl->core, ask->arg, &b);
		break;
	case ADMIN_SOURCES:
		sources_put(cl->core, &b);
		break;
	case ADMIN_RELOAD:
		put_reload(cl->core, &b);
		break;
	case ADMIN_EXPLAIN:
		return explain_start(cl, id, (pid_t)ask->arg);
	default:
		return -ERR_FORMAT;
	}
	admin_reply(cl, id, buf_ok(&b), buf_ok(&b) ? slice_of(NULL, 0) : buf_slice(&b));
	return 0;
}

static int on_request(struct chan *ch, struct chan_msg *m)
{
	struct admin_client *cl = chan_owner(ch);
	struct msg_AD_REQUEST ask;
	int err = msg_get_AD_REQUEST(m->body, &ask);

	if (err)
		return err;
	log_info(EV_ADMIN, KV("what", V_U(ask.what)), KV("arg", V_U(ask.arg)));
	err = answer(cl, m->id, &ask);
	if (err)
		admin_reply(cl, m->id, err, slice_of(NULL, 0));
	return 0;
}

static int on_bundle(struct chan *ch, struct chan_msg *m)
{
	struct msg_AD_BUNDLE ask;
	int err = msg_get_AD_BUNDLE(m->body, &ask);

	if (!err)
		bundle_change(chan_owner(ch), m->id, &ask);
	return err;
}

static int on_exec(struct chan *ch, struct chan_msg *m)
{
	struct msg_AD_EXEC ask;
	int err = msg_get_AD_EXEC(m->body, &ask);

	if (!err)
		explain_exec(chan_owner(ch), m->id, &ask);
	return err;
}

static void forget(struct admin_client *cl)
{
	explain_cancel(cl->explain);
	chan_free(cl->chan);
	list_del(&cl->node);
	cl->core->admin->n--;
	mem_free(cl);
}

static void on_dead(struct chan *ch, int err)
{
	(void)err;
	forget(chan_owner(ch));
}

static const struct chan_rule rules[] = {
	{ MSG_AD_REQUEST, 1, on_request },
	{ MSG_AD_BUNDLE, 1, on_bundle },
	{ MSG_AD_EXEC, 1, on_exec },
};

static const struct chan_ops chan_ops = {
	.peer = "svid",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

static int take_client(struct admin *a, int fd)
{
	struct admin_client *cl;
	struct ucred uc;
	socklen_t len = sizeof(uc);
	int err;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &uc, &len) < 0 || uc.uid != 0)
		err = -EPERM;
	else
		err = a->n < LIM_ADMIN_CONNS ? 0 : -ERR_LIMIT;
	cl = err ? NULL : mem_new(struct admin_client);
	if (!cl) {
		close(fd);
		return err ? err : -ENOMEM;
	}
	cl->core = a->core;
	err = chan_new(a->core->loop, fd, &chan_ops, cl, &cl->chan);
	if (err) {
		mem_free(cl);
		return err;
	}
	list_add_tail(&a->clients, &cl->node);
	a->n++;
	return 0;
}

static void on_accept(struct loop_watch *w, uint32_t events)
{
	struct admin *a = container_of(w, struct admin, accept);
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	int err = fd < 0 ? 0 : take_client(a, fd);

	(void)events;
	if (err)
		log_warn(EV_ADMIN, KV("what", V_S("refused")), KV("err", V_S(err_name(err))));
}

int admin_start(struct core *c)
{
	struct admin *a;

	if (c->plan.listen_admin < 0)
		return 0;
	a = mem_new(struct admin);
	if (!a)
		return -ENOMEM;
	a->core = c;
	list_init(&a->clients);
	a->accept = (struct loop_watch){ .fd = c->plan.listen_admin, .cb = on_accept };
	c->admin = a;
	return loop_add(c->loop, &a->accept, EPOLLIN);
}

void admin_end(struct core *c)
{
	struct admin_client *cl, *tmp;

	if (!c->admin)
		return;
	list_for_each_safe(cl, tmp, &c->admin->clients, node)
		forget(cl);
	loop_del(&c->admin->accept);
	mem_free(take(&c->admin));
}
