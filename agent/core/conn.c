// SPDX-License-Identifier: Apache-2.0
/* conn.c - the table of connections and what happens to one, step by step. svid-core. */
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

static void identify(struct conn *conn);
static const struct asker_ops asker_ops;

int conns_new(struct core *c)
{
	c->conns = mem_calloc(LIM_CONNS, sizeof(struct conn *));
	c->generations = mem_calloc(LIM_CONNS, sizeof(*c->generations));
	c->free_conns = mem_calloc(LIM_CONNS, sizeof(*c->free_conns));
	if (!c->conns || !c->generations || !c->free_conns)
		return -ENOMEM;
	for (uint32_t i = 0; i < LIM_CONNS; i++)
		c->free_conns[i] = LIM_CONNS - 1 - i;
	c->n_free = LIM_CONNS;
	c->max_conns = LIM_CONNS - LIM_CONNS_RESERVE;
	for (size_t i = 0; i < CONN_BUCKETS; i++)
		list_init(&c->by_key[i]);
	list_init(&c->waiting);
	list_init(&c->undecided);
	list_init(&c->leaving);
	return 0;
}

static uint32_t index_of(uint64_t number)
{
	return (uint32_t)number;
}

struct conn *conn_by_number(const struct core *c, uint64_t number)
{
	struct conn *conn = index_of(number) < LIM_CONNS ? c->conns[index_of(number)] : NULL;

	return conn && conn->number == number ? conn : NULL;
}

bool conn_was(const struct core *c, uint64_t number)
{
	uint32_t i = index_of(number);

	return i < LIM_CONNS && number >> 32 && number >> 32 <= c->generations[i];
}

static void on_timer(struct loop_timer *t);
static void on_readable(struct loop_watch *w, uint32_t events);

/* Two users must not be able to take all there is. */
static bool is_scarce(const struct core *c)
{
	return c->n_conns > c->max_conns / 4 * 3;
}

int conn_new(struct core *c, int fd, pid_t pid, uid_t uid, struct conn **ret_conn)
{
	struct conn *conn;
	uint32_t i;
	int err = c->n_free ? bounds_get(&c->bounds, BOUND_UID, uid, is_scarce(c)) : -ERR_LIMIT;

	if (err)
		return err;
	conn = mem_new(struct conn);
	if (!conn) {
		bounds_put(&c->bounds, BOUND_UID, uid);
		return -ENOMEM;
	}
	i = c->free_conns[--c->n_free];
	c->generations[i]++;
	*conn = (struct conn){ .core = c, .number = (uint64_t)c->generations[i] << 32 | i, .fd = fd, .pid = pid,
			       .uid = uid, .person = { .id = uid, .kind = SVID_WHO_UID }, .accepted = clock_boot_ns(),
			       .asker.ops = &asker_ops, .timer.cb = on_timer, .watch = { .fd = fd, .cb = on_readable } };
	list_init(&conn->in_set);
	list_init(&conn->in_key);
	list_init(&conn->in_wait);
	c->conns[i] = conn;
	c->n_conns++;
	*ret_conn = conn;
	return 0;
}

static void uncount(struct conn *conn)
{
	struct bounds *b = &conn->core->bounds;

	bounds_put(b, BOUND_UID, conn->uid);
	if (conn->cgroup)
		bounds_put(b, BOUND_CGROUP, conn->cgroup);
	if (conn->in_userns)
		bounds_put(b, BOUND_USERNS, conn->userns_owner);
	nobody_uncount(conn);
}

/* A client whose connection is slow to close has it counted until then. */
static void on_buried(struct grave *g)
{
	struct conn *conn = container_of(g, struct conn, grave);
	struct core *c = conn->core;

	uncount(conn);
	c->free_conns[c->n_free++] = index_of(conn->number);
	c->n_conns--;
	mem_free(conn);
}

void conn_free(struct conn *conn)
{
	struct core *c = conn->core;

	canary_gone(c, conn);
	fronts_remove(conn);
	decision_leave(&conn->asker);
	list_del(&conn->in_key);
	list_del(&conn->in_wait);
	if (conn->attached)
		provider_detach(c->provider, &conn->ticket);
	loop_del(&conn->watch);
	loop_timer_stop(&conn->timer);
	mem_free(take(&conn->record));
	c->conns[index_of(conn->number)] = NULL;
	conn->grave = (struct grave){ .fd = conn->fd, .over = on_buried };
	/* Whatever its front said, it is shut down: one that was taken over may have kept the descriptor. */
	bury(&c->bury, &conn->grave);
}

bool conn_changed(const struct conn *conn)
{
	return conn->attached && !provider_valid(conn->core->provider, &conn->ticket);
}

static struct list *key_bucket(struct core *c, const struct svid_key *key)
{
	return &c->by_key[((key->start ^ (uint64_t)key->tgid << 40) * 0x9e3779b97f4a7c15ull >> 40) % CONN_BUCKETS];
}

void conns_of_key(struct core *c, const struct svid_key *key, void (*each)(struct conn *conn, void *arg), void *arg)
{
	struct list *bucket = key_bucket(c, key);
	struct conn *conn, *tmp;

	list_for_each_safe(conn, tmp, bucket, in_key)
		if (conn->ticket.key.tgid == key->tgid && conn->ticket.key.start == key->start)
			each(conn, arg);
}

void conns_each(struct core *c, void (*each)(struct conn *conn, void *arg), void *arg)
{
	for (size_t i = 0; i < LIM_CONNS && c->n_conns; i++)
		if (c->conns[i])
			each(c->conns[i], arg);
}

static void refuse(struct conn *conn, const char *why, int err)
{
	conn->core->refused++;
	log_warn(EV_CONN_REFUSED, KV("pid", V_I(conn->pid)), KV("uid", V_U(conn->uid)), KV("why", V_S(why)),
		 KV("err", V_S(err_name(err))));
	conn_free(conn);
}

/* Served by the front that holds nothing. @end: how its streams end, 0 for "no identity issued". */
static void serve_nobody(struct conn *conn, int end)
{
	int err;

	conn->end_err = end;
	err = fronts_add(fronts_empty_set(conn->core->fronts), conn);
	if (err)
		refuse(conn, "front", err);
}

/* A hold is on: streams end with its reason, and when it is over this caller must come again to be decided. */
static void serve_undecided(struct conn *conn)
{
	list_del(&conn->in_wait);
	list_add_tail(&conn->core->undecided, &conn->in_wait);
	serve_nobody(conn, 0);
}

static int audit_conn(struct conn *conn, const struct buf *fields)
{
	struct core *c = conn->core;
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE);
	struct json j = JSON_INIT(&b);
	int err = buf_ok(fields);

	json_u64(&j, "connection", conn->number);
	buf_put_u8(&b, ',');
	buf_put_slice(&b, buf_slice(fields));
	if (!err)
		err = buf_ok(&b);
	if (err)
		return err;
	err = audit_write(&c->audit, "decision", buf_slice(&b));
	if (err)
		hold_set(c, HOLD_AUDIT, err);
	return err;
}

static void not_recorded(struct conn *conn, int err)
{
	if (err == -ERR_AUDIT)
		serve_undecided(conn);
	else
		refuse(conn, "record", err);
}

/* No identity: anybody can have that as often as they like, so they are counted before anything is written of them. */
static void decided_nobody(struct conn *conn, const struct buf *fields, int end)
{
	int err = 0;

	if (hold_err(conn->core)) {
		serve_undecided(conn);
		return;
	}
	err = nobody_count(conn);
	if (err) {
		refuse(conn, "too many callers without identity", err);
		return;
	}
	if (nobody_wants_record(conn->core, &conn->person, conn->asker.decision))
		err = audit_conn(conn, fields);
	if (err)
		not_recorded(conn, err);
	else
		serve_nobody(conn, end);
}

static void serve(struct conn *conn)
{
	struct core *c = conn->core;
	const struct identity *docs[LIM_SET_IDENTITIES];
	size_t n = decision_docs(conn->asker.decision, docs);
	struct idset *set;
	int err;

	err = fronts_set(c->fronts, docs, n, &set);
	if (err) {
		log_warn(EV_LIMIT, KV("what", V_S("front")), KV("err", V_S(err_name(err))));
		serve_nobody(conn, err);
		return;
	}
	err = fronts_add(set, conn);
	if (err)
		refuse(conn, "front", err);
}

static void on_decided(struct asker *a)
{
	struct conn *conn = container_of(a, struct conn, asker);
	const struct identity *docs[LIM_SET_IDENTITIES];
	const struct decision *d;
	int err;

	/* Facts were gathered by pid: they are the caller's only if nothing happened to it since connect(). */
	if (conn_changed(conn)) {
		refuse(conn, "changed while it was identified", -ERR_CHANGED);
		return;
	}
	d = conn->asker.decision;
	if (!decision_docs(d, docs)) {
		decided_nobody(conn, &d->audit, decision_transient(d));
		return;
	}
	/* The record first. While a hold is on, or begins with this, the caller must come again. */
	err = hold_err(conn->core) ? -ERR_AUDIT : audit_conn(conn, &d->audit);
	if (err)
		not_recorded(conn, err);
	else
		serve(conn);
}

static void on_different(struct asker *a, bool none_left)
{
	conn_different(container_of(a, struct conn, asker), none_left);
}

static const struct asker_ops asker_ops = { .decided = on_decided, .different = on_different };

static void decide_now(struct conn *conn, const struct svid_conn *record)
{
	int err;

	conn->state = CONN_DECIDING;
	if (hold_err(conn->core)) {
		serve_undecided(conn);
		return;
	}
	err = decide(conn->core, &conn->asker, record, conn->pid);
	if (err)
		refuse(conn, "identification", err);
}

void conn_go_on(struct conn *conn)
{
	AUTO_FREE struct svid_conn *record = take(&conn->record);

	list_del(&conn->in_wait);
	if (conn_changed(conn))
		refuse(conn, "changed while it waited", -ERR_CHANGED);
	else
		decide_now(conn, record);
}

/*
 * Counted late, because who may be the canary is known late: callers that fill the table must not be able to make
 * the evidence look silenced.
 */
static bool is_full(const struct core *c)
{
	return c->n_conns > c->max_conns;
}

/* The kernel has nothing about this caller: it is nobody, which is an answer and gets its audit line. */
static void no_evidence(struct conn *conn, int err)
{
	struct core *c = conn->core;
	AUTO(buf) struct buf b = BUF_INIT(256);
	struct json j = JSON_INIT(&b);

	json_str(&j, "decision", "none");
	json_u64(&j, "uid", conn->uid);
	json_str(&j, "why", "no kernel record of this connection");
	conn->unrecorded = err == -ENOENT;
	log_info(EV_CONN, KV("pid", V_I(conn->pid)), KV("uid", V_U(conn->uid)), KV("err", V_S(err_name(err))));
	if (is_full(c))
		refuse(conn, "too many connections", -ERR_LIMIT);
	else
		decided_nobody(conn, &b, 0);
}

/* Floods: one uid may own thousands of others, but they share a cgroup or the maker of a namespace (A14). */
static int count_more(struct conn *conn, const struct svid_creds *cr)
{
	struct bounds *b = &conn->core->bounds;
	int err = 0;

	if (cr->flags & SVID_CRED_CGROUP && cr->cgroup_id && cr->cgroup_id != SVID_CGROUP_ROOT) {
		err = bounds_get(b, BOUND_CGROUP, cr->cgroup_id, false);
		if (!err)
			conn->cgroup = cr->cgroup_id;
	}
	/* Those that root made are containers that have nothing else in common. */
	if (!err && cr->userns_level && cr->userns_owner) {
		err = bounds_get(b, BOUND_USERNS, cr->userns_owner, is_scarce(conn->core));
		if (!err) {
			conn->in_userns = true;
			conn->userns_owner = cr->userns_owner;
			conn->person = (struct svid_who){ .id = cr->userns_owner, .kind = SVID_WHO_USERNS };
		}
	}
	return err;
}

static void wait_as(struct conn *conn, const struct svid_conn *record, enum conn_state state)
{
	conn->record = mem_new(struct svid_conn);
	if (!conn->record) {
		refuse(conn, "memory", -ENOMEM);
		return;
	}
	*conn->record = *record;
	conn->state = state;
	list_add_tail(&conn->core->waiting, &conn->in_wait);
	if (state == CONN_CANARY)
		canary_take(conn->core, conn);
}

static void identified(struct conn *conn, const struct svid_conn *record)
{
	struct core *c = conn->core;
	int err = count_more(conn, &record->creds);

	if (err)
		refuse(conn, "too many connections", err);
	else if (canary_may_be(c, conn, record))
		wait_as(conn, record, CONN_CANARY);
	else if (is_full(c))
		refuse(conn, "too many connections", -ERR_LIMIT);
	else if (hold_is_starting(c))
		wait_as(conn, record, CONN_DECIDING);
	else
		decide_now(conn, record);
}

/* The one fact that the kernel hands out by the socket itself: the label it gave the client in connect(). */
static void read_label(struct conn *conn, struct svid_creds *cr)
{
	socklen_t len = sizeof(cr->label);

	if (conn->core->no_labels)
		return;
	if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERSEC, cr->label, &len) == 0) {
		while (len && (cr->label[len - 1] == 0 || cr->label[len - 1] == '\n'))
			len--;
		cr->label_len = len;
	} else if (errno == ERANGE) {
		cr->flags |= SVID_CRED_LABEL_TRUNC;
	} else {
		conn->core->no_labels = errno == ENOPROTOOPT;
	}
}

static void identify(struct conn *conn)
{
	struct core *c = conn->core;
	struct svid_conn record;
	int err = provider_attach(c->provider, conn->fd, &record, &conn->ticket);

	if (err == -ERR_EVIDENCE)
		canary_failed(c, "no program answered an adoption");
	if (err == -ENOENT || err == -ERR_EVIDENCE) {
		no_evidence(conn, err);
		return;
	}
	if (err) {
		refuse(conn, "evidence", err);
		return;
	}
	conn->attached = true;
	list_add_tail(key_bucket(c, &conn->ticket.key), &conn->in_key);
	read_label(conn, &record.creds);
	identified(conn, &record);
}

static void on_readable(struct loop_watch *w, uint32_t events)
{
	struct conn *conn = container_of(w, struct conn, watch);

	loop_del(w);
	loop_timer_stop(&conn->timer);
	if (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN))
		conn_free(conn);
	else
		identify(conn);
}

/* attestation: socket asks /proc when the first request is there, as others do: the attacks must show. */
static void wait_for_bytes(struct conn *conn)
{
	struct loop *l = conn->core->loop;
	int err = loop_add(l, &conn->watch, EPOLLIN);

	conn->state = CONN_READABLE;
	if (!err)
		err = loop_timer_in(l, &conn->timer, LIM_FIRST_REQUEST_MS * NS_PER_MS);
	if (err)
		refuse(conn, "loop", err);
}

void conn_start(struct conn *conn)
{
	if (conn->core->plan.tier == TIER_SOCKET)
		wait_for_bytes(conn);
	else
		identify(conn);
}

static void cut(struct conn *conn)
{
	struct core *c = conn->core;

	shutdown(conn->fd, SHUT_RDWR);
	conn->state = CONN_CUT;
	c->cut++;
	log_warn(EV_CONN_CUT, KV("connection", V_U(conn->number)), KV("pid", V_I(conn->pid)),
		 KV("why", V_S(err_name(conn->end_err))));
	/* Ours stays the last: a front that closes it later than we do would wait for what is queued in it (A21). */
	if (loop_timer_in(c->loop, &conn->timer, LIM_FRONT_STALL_MS * NS_PER_MS))
		fronts_overdue(conn);
}

static void on_timer(struct loop_timer *t)
{
	struct conn *conn = container_of(t, struct conn, timer);

	if (conn->state == CONN_ENDING)
		cut(conn);
	else if (conn->state == CONN_CUT)
		fronts_overdue(conn);
	else {
		conn_blame(conn, -ERR_DEADLINE); /* no first byte in time */
		conn_free(conn);
	}
}

void conn_ending(struct conn *conn)
{
	conn->state = CONN_ENDING;
	if (loop_timer_in(conn->core->loop, &conn->timer, LIM_CUT_MS * NS_PER_MS))
		cut(conn);
}

void conn_revoke(struct conn *conn, int err)
{
	if (conn->state == CONN_ENDING || conn->state == CONN_CUT)
		return;
	if (conn->state != CONN_SERVED) {
		conn_free(conn);
		return;
	}
	conn->core->revoked++;
	conn->end_err = err;
	list_del(&conn->in_wait);
	fronts_end(conn, err);
	conn_ending(conn);
}
