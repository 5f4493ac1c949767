// SPDX-License-Identifier: Apache-2.0
/* parent.c - svid-core's end of the channel to svidd: the plan first, then children that come and go. */
#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

#define DRAIN_STEP_NS (20 * NS_PER_MS)
#define DRAIN_STEPS 100 /* then C_DRAINED in any case: svidd waits LIM_DRAIN_MS */

static int take_fd(struct plan *p, struct chan_msg *m)
{
	struct msg_P_FD fd;
	int *to = NULL;
	int err = msg_get_P_FD(m->body, &fd);

	if (err)
		return err;
	switch (fd.kind) {
	case FD_KIND_PUBLIC:
		to = &p->listen_public;
		break;
	case FD_KIND_ADMIN:
		to = &p->listen_admin;
		break;
	case FD_KIND_STATE_DIR:
		to = &p->state_dir;
		break;
	case FD_KIND_AUDIT:
		to = &p->audit;
		break;
	case FD_KIND_POLICY_DIR:
		to = &p->policy_dir;
		break;
	case FD_KIND_TREE:
		to = &p->tree;
		break;
	case FD_KIND_FUSE:
		to = &p->fuse;
		break;
	case FD_KIND_FUSE_STATE:
		to = &p->fuse_state;
		break;
	case FD_KIND_MODULE:
		to = &p->fds.module;
		break;
	case FD_KIND_MAP:
		to = fd.arg < SVID_MAP_COUNT ? &p->fds.maps[fd.arg] : NULL;
		break;
	case FD_KIND_ITER:
		to = fd.arg < SVID_ITER_COUNT ? &p->fds.iters[fd.arg] : NULL;
		break;
	}
	if (!to || *to >= 0)
		return -ERR_FORMAT;
	*to = m->fds[0];
	m->fds[0] = -1;
	return 0;
}

static uint32_t uapi_tier(unsigned int tier)
{
	static const uint32_t of[TIER_COUNT] = {
		[TIER_BPF_LSM] = SVID_TIER_LSM, [TIER_BPF_FENTRY] = SVID_TIER_FENTRY, [TIER_KMOD] = SVID_TIER_KMOD,
		[TIER_BPF_TP] = SVID_TIER_TP,	[TIER_SOCKET] = SVID_TIER_SOCKET,
	};

	return tier < TIER_COUNT ? of[tier] : SVID_TIER_NONE;
}

static int take_go(struct plan *p, struct chan_msg *m)
{
	struct msg_P_GO go;
	int err = msg_get_P_GO(m->body, &go);

	if (err)
		return err;
	p->tier = go.tier;
	p->fds.tier = uapi_tier(go.tier);
	p->oidc_port = go.oidc_port;
	p->instance = slice_dup(go.instance);
	p->public_path = slice_dup(go.public_path);
	p->admin_path = slice_dup(go.admin_path);
	p->config_path = slice_dup(go.config_path);
	p->policy_path = slice_dup(go.policy_path);
	p->state_path = slice_dup(go.state_path);
	p->audit_path = slice_dup(go.audit_path);
	p->tier_notes = slice_dup(go.tier_notes);
	p->tree_path = slice_dup(go.tree_path);
	p->tree_notes = slice_dup(go.tree_notes);
	if (!p->instance || !p->public_path || !p->admin_path || !p->config_path || !p->policy_path || !p->state_path ||
	    !p->audit_path || !p->tier_notes || !p->tree_path || !p->tree_notes)
		return -ENOMEM;
	return p->fds.tier == SVID_TIER_NONE ? -ERR_PROVIDER : 0;
}

/* svid-keys and svid-attest may be there before svidd has said everything. */
static int keep_peer(struct plan *p, struct chan_msg *m)
{
	struct msg_P_PEER peer;
	int err = msg_get_P_PEER(m->body, &peer);

	if (err)
		return err;
	if (p->n_peers == ARRAY_SIZE(p->peers))
		return -ERR_LIMIT;
	p->peers[p->n_peers++] = (struct plan_peer){ .role = peer.role, .index = peer.index, .fd = m->fds[0] };
	m->fds[0] = -1;
	return 0;
}

static int take_plan(struct plan *p, struct chan_msg *m)
{
	switch (m->type) {
	case MSG_P_FD:
		return take_fd(p, m);
	case MSG_P_PEER:
		return keep_peer(p, m);
	case MSG_P_GO:
		return take_go(p, m);
	default:
		return -ERR_PERMIT;
	}
}

int parent_receive_plan(int fd, struct plan *ret_plan)
{
	AUTO(buf) struct buf scratch = BUF_INIT(LIM_IPC_BODY);
	struct plan p = { .listen_public = -1, .listen_admin = -1, .state_dir = -1, .audit = -1, .policy_dir = -1,
			  .tree = -1, .fuse = -1, .fuse_state = -1, .fds.module = -1 };
	struct chan_msg m = { .type = 0 };
	int err = 0;

	for (size_t i = 0; i < SVID_MAP_COUNT; i++)
		p.fds.maps[i] = -1;
	for (size_t i = 0; i < SVID_ITER_COUNT; i++)
		p.fds.iters[i] = -1;
	while (!err && m.type != MSG_P_GO) {
		err = ipc_recv(fd, &scratch, &m);
		if (err)
			return err;
		err = take_plan(&p, &m);
		ipc_msg_done(&m);
	}
	if (!err && (p.listen_public < 0 || p.state_dir < 0))
		err = -ERR_FORMAT;
	*ret_plan = p;
	return err;
}

static int take_peer(struct core *c, uint32_t role, uint32_t index, int fd)
{
	switch (role) {
	case ROLE_KEYS:
		return authority_peer(c->auth, fd);
	case ROLE_ATTEST:
		return attest_peer(c->attest, index, fd);
	case ROLE_POLICY:
		return compiler_peer(c, fd);
	case ROLE_UNDERTAKER:
		return bury_peer(&c->bury, index, fd);
	case ROLE_CLOUD:
		return cloud_peer(c->cloud, fd);
	default:
		close(fd);
		return -ERR_FORMAT;
	}
}

/* No memory for a child is that child's misfortune: svidd starts another. */
static int not_taken(struct core *c, uint32_t role, uint32_t index, int err)
{
	if (err)
		parent_kill(c, role, index);
	return 0;
}

static int on_peer(struct chan *ch, struct chan_msg *m)
{
	struct core *c = chan_owner(ch);
	struct msg_P_PEER peer;
	int fd, err = msg_get_P_PEER(m->body, &peer);

	if (err)
		return err;
	fd = m->fds[0];
	m->fds[0] = -1;
	err = take_peer(c, peer.role, peer.index, fd);
	log_debug(EV_CHILD_START, KV("child", V_S(role_name_of(peer.role))), KV("index", V_U(peer.index)),
		  KV("err", V_S(err_name(err))));
	return err == -ERR_FORMAT ? err : not_taken(c, peer.role, peer.index, err);
}

/* SIGHUP: whoever rotates logs has moved ours away. Nothing else of the plan comes twice. */
static int on_fd(struct chan *ch, struct chan_msg *m)
{
	struct core *c = chan_owner(ch);
	struct msg_P_FD fd;
	int err = msg_get_P_FD(m->body, &fd);

	if (err)
		return err;
	if (fd.kind != FD_KIND_AUDIT)
		return -ERR_PERMIT;
	audit_reopen(&c->audit, m->fds[0]);
	m->fds[0] = -1;
	return 0;
}

static int on_front(struct chan *ch, struct chan_msg *m)
{
	struct core *c = chan_owner(ch);
	struct msg_P_FRONT front;
	int fd, log_fd, err = msg_get_P_FRONT(m->body, &front);

	if (err)
		return err;
	fd = m->fds[0];
	log_fd = m->fds[1];
	m->fds[0] = m->fds[1] = -1;
	err = fronts_peer(c->fronts, front.number, (pid_t)front.pid, fd, log_fd);
	return err == -ERR_NOT_FOUND ? -ERR_FORMAT : not_taken(c, ROLE_FRONT, front.number, err);
}

static int on_exit_of(struct chan *ch, struct chan_msg *m)
{
	struct core *c = chan_owner(ch);
	struct msg_P_EXIT e;
	int err = msg_get_P_EXIT(m->body, &e);

	if (err)
		return err;
	if (e.role == ROLE_FRONT)
		fronts_exit(c->fronts, e.index, e.status);
	else if (e.role == ROLE_POLICY)
		compiler_exit(c, e.status);
	return 0;
}

static void drain_one(struct conn *conn, void *arg)
{
	(void)arg;
	conn_revoke(conn, -ERR_DRAIN);
}

static void on_drain(struct loop_timer *t)
{
	struct core *c = container_of(t, struct core, drain);

	if (c->n_conns && c->drain_steps++ < DRAIN_STEPS) {
		if (loop_timer_in(c->loop, t, DRAIN_STEP_NS) == 0)
			return;
	}
	c->drained = true;
	if (chan_put(c->parent, C_DRAINED, 0))
		loop_stop(c->loop);
}

static int on_stop(struct chan *ch, struct chan_msg *m)
{
	struct core *c = chan_owner(ch);

	(void)m;
	log_info(EV_STOP, KV("connections", V_U(c->n_conns)));
	loop_del(&c->accept);
	loop_timer_stop(&c->accept_retry);
	canary_stop(c);
	/* GOAWAY first: a client whose stream merely ended would ask again on the same connection, in vain. */
	conns_each(c, drain_one, NULL);
	hold_set(c, HOLD_DRAIN, -ERR_DRAIN);
	c->drain.cb = on_drain;
	return loop_timer_in(c->loop, &c->drain, 0);
}

static void on_dead(struct chan *ch, int err)
{
	struct core *c = chan_owner(ch);

	if (!c->drained) /* else that is how svidd says that it is enough */
		log_error(EV_STOP, KV("what", V_S("svidd is gone")), KV("err", V_S(err_name(err))));
	loop_stop(c->loop);
}

static const struct chan_rule rules[] = {
	{ MSG_P_FD, 1, on_fd },
	{ MSG_P_PEER, 1, on_peer },
	{ MSG_P_FRONT, 1, on_front },
	{ MSG_P_EXIT, 1, on_exit_of },
	{ MSG_P_STOP, 1, on_stop },
};

static const struct chan_ops chan_ops = {
	.peer = "svidd",
	.rules = rules,
	.n_rules = ARRAY_SIZE(rules),
	.dead = on_dead,
};

int parent_start(struct core *c, int fd)
{
	int err = chan_new(c->loop, fd, &chan_ops, c, &c->parent);

	for (size_t i = 0; i < c->plan.n_peers && !err; i++)
		err = take_peer(c, c->plan.peers[i].role, c->plan.peers[i].index, c->plan.peers[i].fd);
	return err;
}

void parent_kill(struct core *c, uint32_t role, uint32_t index)
{
	log_warn(EV_CHILD_KILL, KV("child", V_S(role_name_of(role))), KV("index", V_U(index)));
	if (chan_put(c->parent, C_KILL, 0, .role = role, .index = index))
		log_error(EV_CHILD_KILL, KV("what", V_S("C_KILL not sent")));
}
