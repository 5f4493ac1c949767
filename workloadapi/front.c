// SPDX-License-Identifier: Apache-2.0
/*
 * front.c - messages of svid-core and svid-keys become feeds, answers and connections. svid-front.
 *
 * A new identity set is served once all its keys came from svid-keys; until then the old one is.
 */
#include "workloadapi/front.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/ipc/chan.h"
#include "kmod/uapi/svid.h"
#include "workloadapi/conn.h"
#include "workloadapi/files.h"
#include "workloadapi/keyring.h"
#include "workloadapi/publish.h"

#define BUCKETS 64

struct front {
	struct conn_env env;
	struct api api;
	struct chan *core; /* NULL: gone, we are leaving */
	struct chan *keys; /* NULL: gone, svid-core will replace us when a new key is needed */
	struct keyring ring;
	struct set *pending; /* waits for keys */
	struct list files;   /* orders that wait for the first set */
	size_t n_files;
	struct list conns[BUCKETS];
	uint32_t n_conns;
	struct loop_timer leave;
};

static struct list *bucket(struct front *f, uint64_t number)
{
	return &f->conns[number % BUCKETS];
}

static struct conn *conn_find(struct front *f, uint64_t number)
{
	struct conn *c;

	list_for_each(c, bucket(f, number), node)
		if (c->number == number)
			return c;
	return NULL;
}

static void each_conn(struct front *f, void (*what)(struct conn *c, int err), int err)
{
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct conn *c, *tmp;

		list_for_each_safe(c, tmp, &f->conns[i], node)
			what(c, err);
	}
}

static void poke(struct conn *c, int err)
{
	(void)err;
	conn_poke(c);
}

/* svid-core waits for what we tell it: if that cannot be told, a new front is better than this one. */
static void check_told(int err)
{
	if (err && err != -ERR_CLOSED) /* closed: on_core_dead() follows */
		log_fatal("tell svid-core", err);
}

static void tell_closed(struct front *f, uint64_t number, int err, uint32_t requests)
{
	if (f->core)
		check_told(chan_put(f->core, FR_CLOSED, 0, .conn = number, .err = err, .requests = requests));
}

static void on_closed(struct conn_env *env, struct conn *c, int err)
{
	struct front *f = container_of(env, struct front, env);

	list_del(&c->node);
	f->n_conns--;
	if (err)
		log_debug(EV_CONN, KV("conn", V_U(c->number)), KV("end", V_S(err_name(err))));
	tell_closed(f, c->number, err, c->g.requests);
	if (!f->core && !f->n_conns)
		loop_stop(env->loop);
}

/* Files of the credential tree */

struct file_order {
	struct list node;
	struct msg_F_FILE m;
};

static void answer_file(struct front *f, const struct msg_F_FILE *m, int err)
{
	uint32_t len = 0;
	int fd = -1;

	if (!err)
		err = files_make(&f->api, m->identity, m->what, &fd, &len);
	if (f->core && err)
		check_told(chan_put(f->core, FR_NOFILE, 0, .order = m->order, .err = err));
	else if (f->core)
		check_told(chan_put_fds(f->core, FR_FILE, 0, &fd, 1, .order = m->order, .len = len));
	if (fd >= 0)
		close(fd);
}

/* The first set is here, or why there is none. */
static void answer_files(struct front *f, int err)
{
	struct file_order *o, *tmp;

	list_for_each_safe(o, tmp, &f->files, node) {
		answer_file(f, &o->m, err);
		list_del(&o->node);
		mem_free(o);
	}
	f->n_files = 0;
}

static int hold_file(struct front *f, const struct msg_F_FILE *m)
{
	struct file_order *o = f->n_files < LIM_TREE_READS ? mem_new(struct file_order) : NULL;

	if (!o)
		return f->n_files < LIM_TREE_READS ? -ENOMEM : -ERR_LIMIT;
	o->m = *m;
	list_add_tail(&f->files, &o->node);
	f->n_files++;
	return 0;
}

static int on_file(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_FILE k;
	int err = msg_get_F_FILE(m->body, &k);

	if (err)
		return err;
	if (!k.order || k.what >= SVID_FILE_COUNT)
		return -ERR_FORMAT;
	if (f->api.set || f->api.state_err)
		answer_file(f, &k, 0);
	else
		err = hold_file(f, &k);
	if (err)
		answer_file(f, &k, err);
	return 0;
}

/* Identity sets */

static void set_over(struct front *f, int err)
{
	uint64_t version = f->pending->version;

	if (err)
		set_free(f->pending); /* else it is what api.set is now */
	f->pending = NULL;
	if (err)
		log_error(EV_FRONT, KV("what", V_S("identity set not served")), KV("version", V_U(version)),
			  KV("err", V_S(err_name(err))));
	if (f->core)
		check_told(chan_put(f->core, FR_SET, 0, .version = version, .err = err));
	answer_files(f, err);
}

/* Serve the pending set when its last key is here. */
static void try_publish(struct front *f)
{
	struct set *s = f->pending;
	int err;

	for (size_t i = 0; s && i < s->n_keys; i++)
		if (!keyring_get(&f->ring, s->keys[i]))
			return;
	if (!s)
		return;
	err = publish(&f->api, &f->ring, s);
	if (!err)
		keyring_keep(&f->ring, s);
	set_over(f, err);
	if (!err)
		each_conn(f, poke, 0);
}

static int ask_key(struct front *f, struct key_id id)
{
	int err;

	if (keyring_has(&f->ring, id))
		return 0;
	if (!f->keys)
		return -ERR_CLOSED;
	err = keyring_ask(&f->ring, id);
	if (err)
		return err;
	err = chan_put(f->keys, FK_GET, 0, .identity = id.identity, .kind = id.kind, .generation = id.generation);
	if (err)
		keyring_drop(&f->ring, id);
	return err;
}

static int on_set(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct set *s;
	int err = set_new(m->body, &s);

	if (err && err != -ENOMEM)
		return err;
	if (err) {
		log_error(EV_FRONT, KV("what", V_S("identity set")), KV("err", V_S(err_name(err))));
		return err;
	}
	set_free(f->pending); /* the newer one is the whole state */
	f->pending = s;
	err = set_check(s);
	for (size_t i = 0; i < s->n_keys && !err; i++)
		err = ask_key(f, s->keys[i]);
	if (err)
		set_over(f, err);
	else
		try_publish(f);
	return 0;
}

/* svid-keys */

static int on_key(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_KEY k;
	struct secret *key;
	int err = msg_get_FK_KEY(m->body, &k);
	struct key_id id = { .identity = k.identity, .kind = k.kind, .generation = k.generation };

	if (err)
		return err;
	if (!keyring_is_asked(&f->ring, id))
		return -ERR_PERMIT;
	if (k.err || !k.len || k.len > LIM_KEY_DER)
		return -ERR_FORMAT;
	err = secret_from_fd(m->fds[0], k.len, &key);
	if (err)
		return err;
	keyring_put(&f->ring, id, key);
	try_publish(f);
	return 0;
}

static int on_no_key(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_NOKEY k;
	int err = msg_get_FK_NOKEY(m->body, &k);
	struct key_id id = { .identity = k.identity, .kind = k.kind, .generation = k.generation };

	if (err)
		return err;
	if (!keyring_is_asked(&f->ring, id))
		return -ERR_PERMIT;
	keyring_drop(&f->ring, id);
	if (f->pending && set_needs(f->pending, id))
		set_over(f, k.err ? k.err : -ERR_NOT_FOUND);
	return 0;
}

static int on_jwt(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_JWT k;
	int err = msg_get_FK_JWT(m->body, &k);

	f->api.now = clock_boot_ns();
	return err ? err : tokens_answer(&f->api, &k);
}

static int on_verified(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_FK_VERIFIED k;
	int err = msg_get_FK_VERIFIED(m->body, &k);

	return err ? err : checks_answer(&f->api, &k);
}

/* What is encoded goes on being served; a set that needs another key is refused from now on. */
static void on_keys_dead(struct chan *c, int err)
{
	struct front *f = chan_owner(c);

	log_warn(EV_IPC, KV("peer", V_S("svid-keys")), KV("err", V_S(err_name(err))));
	chan_free(c);
	f->keys = NULL;
	keyring_forget_asked(&f->ring);
	tokens_fail(&f->api, -ERR_NOT_READY);
	checks_fail(&f->api, -ERR_NOT_READY);
	if (f->pending)
		set_over(f, -ERR_CLOSED);
}

/* Connections */

static int on_conn(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_CONN k;
	struct conn *conn;
	int fd = m->fds[0];
	int err = msg_get_F_CONN(m->body, &k);

	if (err)
		return err;
	if (k.conn_slot >= SVID_WORDS || k.holder_slot >= SVID_WORDS || conn_find(f, k.conn))
		return -ERR_FORMAT;
	m->fds[0] = -1;
	err = f->n_conns < LIM_CONNS ? conn_new(&f->env, fd, &k, &conn) : -ERR_LIMIT;
	if (err) {
		if (err == -ERR_LIMIT)
			close(fd);
		tell_closed(f, k.conn, err, 0);
		return 0;
	}
	list_add_tail(bucket(f, k.conn), &conn->node);
	f->n_conns++;
	conn_run(conn);
	return 0;
}

static int on_end(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_END k;
	struct conn *conn;
	int err = msg_get_F_END(m->body, &k);

	if (err)
		return err;
	conn = conn_find(f, k.conn);
	if (conn) /* else it crossed our FR_CLOSED */
		conn_end(conn, k.err ? k.err : -ERR_NOT_READY);
	return 0;
}

/* Asked for only when a caller wants it: thousands of connections would hold a document each. */
static void ask_whoami(struct conn_env *env, struct conn *c)
{
	struct front *f = container_of(env, struct front, env);

	if (f->core)
		check_told(chan_put(f->core, FR_WHOAMI, 0, .conn = c->number));
}

static int on_whoami(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_WHOAMI k;
	struct conn *conn;
	int err = msg_get_F_WHOAMI(m->body, &k);

	if (err)
		return err;
	conn = conn_find(f, k.conn);
	if (conn && !conn->asked)
		return -ERR_PERMIT;
	if (conn) /* else the client left meanwhile */
		conn_whoami(conn, k.json);
	return 0;
}

static int on_no_jwt(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_NOJWT k;
	int err = msg_get_F_NOJWT(m->body, &k);

	return err ? err : tokens_refuse(&f->api, k.order, k.err);
}

static int on_state(struct chan *c, struct chan_msg *m)
{
	struct front *f = chan_owner(c);
	struct msg_F_STATE k;
	int err = msg_get_F_STATE(m->body, &k);

	if (err)
		return err;
	api_set_state(&f->api, k.err);
	if (k.err)
		answer_files(f, k.err);
	each_conn(f, poke, 0);
	return 0;
}

static void on_leave(struct loop_timer *t)
{
	loop_stop(t->loop);
}

/* Without svid-core nobody watches over the callers: say goodbye and go. */
static void on_core_dead(struct chan *c, int err)
{
	struct front *f = chan_owner(c);
	struct loop *loop = f->env.loop;

	log_info(EV_STOP, KV("why", V_S(err_name(err))), KV("connections", V_U(f->n_conns)));
	chan_free(c);
	f->core = NULL;
	each_conn(f, conn_end, -ERR_DRAIN);
	if (!f->n_conns || loop_timer_in(loop, &f->leave, 2 * LIM_END_MS * NS_PER_MS))
		loop_stop(loop);
}

static const struct chan_rule core_rules[] = {
	{ MSG_F_SET, 1u, on_set },
	{ MSG_F_CONN, 1u, on_conn },
	{ MSG_F_END, 1u, on_end },
	{ MSG_F_STATE, 1u, on_state },
	{ MSG_F_WHOAMI, 1u, on_whoami },
	{ MSG_F_NOJWT, 1u, on_no_jwt },
	{ MSG_F_FILE, 1u, on_file },
};

static const struct chan_rule keys_rules[] = {
	{ MSG_FK_KEY, 1u, on_key },
	{ MSG_FK_NOKEY, 1u, on_no_key },
	{ MSG_FK_JWT, 1u, on_jwt },
	{ MSG_FK_VERIFIED, 1u, on_verified },
};

static const struct chan_ops core_ops = { "svid-core", core_rules, ARRAY_SIZE(core_rules), on_core_dead };
static const struct chan_ops keys_ops = { "svid-keys", keys_rules, ARRAY_SIZE(keys_rules), on_keys_dead };

/* What the protocol engine asks for. Without svid-keys nothing can be signed or checked. */

static void push(struct api *a, struct grpc_conn *g)
{
	(void)a;
	conn_poke(container_of(g, struct conn, g));
}

static int send_order(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m)
{
	struct front *f = container_of(a, struct front, api);
	const struct conn *c = container_of((struct grpc_conn *)(uintptr_t)g, struct conn, g);

	if (!f->core || !f->keys)
		return -ERR_NOT_READY;
	return chan_put(f->core, FR_JWT, 0, .order = m->order, .conn = c->number, .identity = m->identity,
			.audiences = m->audiences);
}

static int send_verify(struct api *a, const struct msg_FK_VERIFY *m)
{
	struct front *f = container_of(a, struct front, api);
	AUTO(buf) struct buf b = BUF_INIT(LIM_IPC_BODY);
	int err;

	if (!f->keys)
		return -ERR_NOT_READY;
	msg_put_FK_VERIFY(&b, m);
	err = buf_ok(&b);
	return err ? err : chan_send(f->keys, MSG_FK_VERIFY, 0, buf_slice(&b), NULL, 0);
}

static const struct api_ops api_ops = { push, send_order, send_verify };

static void no_tell(struct conn_env *env, struct conn *c, int err)
{
	(void)env;
	(void)err;
	list_del(&c->node);
}

void front_free(struct front *f)
{
	if (!f)
		return;
	f->env.closed = no_tell;
	each_conn(f, conn_drop, 0);
	loop_timer_stop(&f->leave);
	chan_free(f->core);
	f->core = NULL;
	answer_files(f, -ERR_CLOSED);
	chan_free(f->keys);
	set_free(f->pending);
	keyring_done(&f->ring);
	api_done(&f->api);
	mem_free(f);
}

static int connect_channels(struct front *f, int core_fd, int keys_fd)
{
	int err = chan_new(f->env.loop, core_fd, &core_ops, f, &f->core);

	if (!err)
		err = chan_new(f->env.loop, keys_fd, &keys_ops, f, &f->keys);
	return err ? err : chan_put(f->core, FR_READY, 0);
}

int front_new(struct loop *loop, int core_fd, int keys_fd, const uint32_t *words, struct front **ret_front)
{
	struct front *f = mem_new(struct front);
	int err;

	if (!f)
		return -ENOMEM;
	for (unsigned int i = 0; i < BUCKETS; i++)
		list_init(&f->conns[i]);
	list_init(&f->files);
	keyring_init(&f->ring);
	f->leave.cb = on_leave;
	f->env = (struct conn_env){ .loop = loop, .words = words, .api = &f->api, .closed = on_closed, .ask = ask_whoami };
	err = api_init(&f->api);
	f->api.ops = &api_ops;
	if (!err)
		err = connect_channels(f, core_fd, keys_fd);
	if (err) {
		front_free(f);
		return err;
	}
	*ret_front = f;
	return 0;
}
