// SPDX-License-Identifier: Apache-2.0
/*
 * cloud.c - the channel to svid-cloud, the bindings that it is told, and what it says of each. svid-core.
 * Next: cloud_order.c (what it may have signed), tree_cloud.c (its files).
 */
#include "agent/core/cloud.h"

#include <errno.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

#define LISTED_MAX (3u << 20) /* bytes of what `svid credentials` shows; behind them they are counted */
#define COST_BINDING 400 /* units of work, see sorter.h */
#define AGAIN_NS (100 * NS_PER_MS) /* what there was no memory for */
#define FNV_START 14695981039346656037ull
#define FNV_PRIME 1099511628211ull

enum pass {
	PASS_NONE,
	PASS_CONF,
	PASS_GONE_FIRST, /* what is withdrawn is withdrawn before anything else is said */
	PASS_BIND,
	PASS_BOUND,
	PASS_FILES,
	PASS_COUNT,
};

static struct list *bucket(const struct cloud *cl, uint32_t number)
{
	return (struct list *)&cl->bindings[number % CLOUD_BUCKETS];
}

struct cloud_binding *cloud_binding_at(const struct cloud *cl, uint32_t number)
{
	struct cloud_binding *b;

	list_for_each(b, bucket(cl, number), in_hash)
		if (b->number == number)
			return b;
	return NULL;
}

static void binding_free(struct cloud *cl, struct cloud_binding *b)
{
	if (b->held)
		identity_drop(cl->core->ids, b->identity);
	list_del(&b->in_hash);
	cl->n_bindings--;
	mem_free(b->error);
	mem_free(b->next_step);
	mem_free(b);
}

static struct cloud_binding *binding_add(struct cloud *cl, const struct cloud_doc *d)
{
	struct cloud_binding *b = mem_new(struct cloud_binding);

	if (!b)
		return NULL;
	*b = (struct cloud_binding){ .number = d->binding, .identity = d->identity };
	list_init(&b->in_hash);
	list_add_tail(bucket(cl, d->binding), &b->in_hash);
	cl->n_bindings++;
	return b;
}

static void each_binding(struct cloud *cl, void (*fn)(struct cloud *cl, struct cloud_binding *b))
{
	struct cloud_binding *b, *tmp;

	for (size_t i = 0; i < CLOUD_BUCKETS; i++)
		list_for_each_safe(b, tmp, &cl->bindings[i], in_hash)
			fn(cl, b);
}

/* ---- telling it ---- */

static uint64_t hash_text(uint64_t h, const char *s)
{
	do
		h = (h ^ (uint8_t)*s) * FNV_PRIME;
	while (*s++);
	return h;
}

static uint64_t hash_of(const struct cloud_doc *d)
{
	uint64_t h = hash_text(FNV_START, d->json);

	return hash_text(hash_text(h, d->source_json), d->spiffe_id);
}

static int tell_conf(struct cloud *cl)
{
	const struct settings *s = docs_settings(cl->core->docs);
	struct authority *a = cl->core->auth;

	cl->conf_serial = authority_serial(a);
	return chan_put(cl->chan, CL_CONF, 0, .trust_domain = slice_str(s->trust_domain), .issuer = slice_str(s->jwt_issuer),
			.jwks = authority_jwks(a), .node = slice_str(cl->node),
			.generation = docs_generation(cl->core->docs));
}

static int tell_binding(struct cloud *cl, const struct cloud_doc *d)
{
	AUTO(buf) struct buf dir = BUF_INIT(LIM_PATH);

	tree_put_place(cl->core->plan.tree_path, d->spiffe_id, d->name, &dir);
	return chan_put(cl->chan, CL_BIND, 0, .binding = d->binding, .kind = d->kind, .spiffe_id = slice_str(d->spiffe_id),
			.credential = slice_str(d->name), .source = slice_str(d->source), .dir = buf_slice(&dir),
			.source_json = slice_str(d->source_json), .credential_json = slice_str(d->json));
}

static int bind_one(struct cloud *cl, const struct cloud_doc *d)
{
	struct cloud_binding *b = cloud_binding_at(cl, d->binding);
	uint64_t hash = hash_of(d);
	int err = 0;

	if (!b)
		b = binding_add(cl, d);
	if (!b)
		return -ENOMEM;
	b->seen = docs_generation(cl->core->docs);
	if (b->told != hash)
		err = tell_binding(cl, d);
	if (!err)
		b->told = hash;
	return err;
}

static int bind_some(struct cloud *cl, struct budget *budget)
{
	const struct cloud_docs *docs = docs_clouds(cl->core->docs);

	for (; cl->at < docs->n; cl->at++) {
		int err;

		if (!budget->left)
			return 0;
		budget_spend(budget, COST_BINDING);
		err = bind_one(cl, docs->v[cl->at]);
		if (err)
			return err;
	}
	return 1;
}

static int unbind_gone(struct cloud *cl)
{
	const struct cloud_docs *docs = docs_clouds(cl->core->docs);
	struct cloud_binding *b, *tmp;
	int err = 0;

	for (size_t i = 0; i < docs->n; i++) {
		b = cloud_binding_at(cl, docs->v[i]->binding);
		if (b)
			b->seen = docs_generation(cl->core->docs);
	}
	for (size_t i = 0; i < CLOUD_BUCKETS && !err; i++)
		list_for_each_safe(b, tmp, &cl->bindings[i], in_hash) {
			if (b->seen == docs_generation(cl->core->docs) || err)
				continue;
			err = chan_put(cl->chan, CL_UNBIND, 0, .binding = b->number);
			if (!err)
				binding_free(cl, b);
		}
	return err ? err : 1;
}

static int ask_file(struct cloud *cl, struct cloud_wait *w)
{
	int err = chan_put(cl->chan, CL_FILE, 0, .order = w->order, .binding = w->binding, .what = w->what);

	w->asked = !err;
	return err;
}

/* What was asked for while svid-cloud was away, or of a binding that it had not been told. */
static int ask_waiting(struct cloud *cl)
{
	struct cloud_wait *w, *tmp;
	int err = 0;

	list_for_each_safe(w, tmp, &cl->files, node) {
		if (err || w->asked)
			continue;
		if (cloud_binding_at(cl, w->binding)) {
			err = ask_file(cl, w);
			continue;
		}
		list_del(&w->node);
		w->done(w, -ERR_NOT_FOUND, -1, 0);
	}
	return err;
}

/* One pass as far as the budget reaches: 1 when it is over, 0 when there is more. */
static int do_pass(struct cloud *cl, struct budget *b)
{
	int err;

	switch (cl->pass) {
	case PASS_CONF:
		err = tell_conf(cl);
		break;
	case PASS_GONE_FIRST:
		budget_spend(b, cl->n_bindings * 8);
		return unbind_gone(cl);
	case PASS_BIND:
		return bind_some(cl, b);
	case PASS_BOUND:
		err = chan_put(cl->chan, CL_BOUND, 0, .generation = docs_generation(cl->core->docs));
		break;
	default:
		err = ask_waiting(cl);
	}
	return err ? err : 1;
}

/* Before there is a key to sign with, each exchange and each token would be refused, and tried again seconds later: they wait. */
static bool may_tell(const struct cloud *cl)
{
	return cl->chan && cl->ready && authority_jwks(cl->core->auth).len;
}

static void work_in(struct cloud *cl, uint64_t ns)
{
	if (loop_timer_in(cl->core->loop, &cl->work, ns))
		log_error(EV_CLOUD, KV("err", V_S("ENOMEM")));
}

/* svidd starts it, once. */
static void ask_for_it(struct cloud *cl)
{
	if (!cl->wanted || cl->asked)
		return;
	cl->asked = !chan_put(cl->core->parent, C_CLOUD, 0);
	if (cl->asked)
		return;
	log_error(EV_CLOUD, KV("what", V_S("C_CLOUD not sent")));
	work_in(cl, AGAIN_NS);
}

static int tell(struct cloud *cl, struct budget *b)
{
	int over = 1;

	while (over > 0 && cl->pass && may_tell(cl)) {
		over = do_pass(cl, b);
		if (over > 0) {
			cl->pass = (cl->pass + 1) % PASS_COUNT;
			cl->at = 0;
		}
	}
	return over;
}

static void on_dead(struct chan *ch, int err);

/*
 * What there is no memory for is told a moment later: what has been said stands. A svid-cloud that cannot be told for another
 * reason is started anew, and is told everything; it ends without its channel, too.
 */
static void on_work(struct loop_timer *t)
{
	struct cloud *cl = container_of(t, struct cloud, work);
	struct budget b = BUDGET_INIT(BUDGET_TURN / 2);
	int over;

	ask_for_it(cl);
	over = tell(cl, &b);
	if (over > 0)
		return;
	if (over)
		log_warn(EV_CLOUD, KV("what", V_S("svid-cloud cannot be told")), KV("err", V_S(err_name(over))));
	if (!over || over == -ENOMEM) {
		work_in(cl, over ? AGAIN_NS : 0);
		return;
	}
	parent_kill(cl->core, ROLE_CLOUD, 0);
	if (cl->chan)
		on_dead(cl->chan, -ERR_CLOSED);
}

static void tell_all(struct cloud *cl)
{
	cl->pass = PASS_CONF;
	cl->at = 0;
	if (may_tell(cl) || (cl->wanted && !cl->asked))
		work_in(cl, 0);
}

void cloud_outdated(struct cloud *cl)
{
	cl->wanted = cl->wanted || docs_clouds(cl->core->docs)->n || cl->core->plan.oidc_port;
	tell_all(cl);
}

void cloud_authority_changed(struct cloud *cl)
{
	if (may_tell(cl) && cl->conf_serial != authority_serial(cl->core->auth))
		tell_all(cl);
}

/* ---- its files ---- */

int cloud_file(struct cloud *cl, uint32_t binding, enum cloud_file what, struct cloud_wait *w)
{
	int err = 0;

	if (!cl->wanted)
		return -ERR_NOT_READY;
	w->order = ++cl->last_order ? cl->last_order : ++cl->last_order;
	w->binding = binding;
	w->what = what;
	w->asked = false;
	if (cl->chan && cl->ready && cloud_binding_at(cl, binding))
		err = ask_file(cl, w);
	/* Any other error is a svid-cloud that just died, of which the loop has not told us yet: the next one is asked. */
	if (err == -ENOMEM || err == -ERR_LIMIT)
		return err;
	list_init(&w->node);
	list_add_tail(&cl->files, &w->node);
	return 0;
}

void cloud_file_cancel(struct cloud_wait *w)
{
	list_del(&w->node);
}

static void file_over(struct cloud *cl, uint32_t order, int err, int fd, uint32_t len)
{
	struct cloud_wait *w, *tmp;

	list_for_each_safe(w, tmp, &cl->files, node)
		if (w->order == order) {
			list_del(&w->node);
			w->done(w, err, fd, len);
			return;
		}
}

static int on_file(struct chan *ch, struct chan_msg *m)
{
	struct msg_CR_FILE f;
	int err = msg_get_CR_FILE(m->body, &f);

	if (!err)
		err = front_file_check(m->fds[0], f.len);
	if (!err)
		file_over(chan_owner(ch), f.order, 0, m->fds[0], f.len);
	return err;
}

static int on_no_file(struct chan *ch, struct chan_msg *m)
{
	struct msg_CR_NOFILE f;
	int err = msg_get_CR_NOFILE(m->body, &f);

	if (!err)
		file_over(chan_owner(ch), f.order, f.err < 0 ? f.err : -ERR_FORMAT, -1, 0);
	return err;
}

static void files_lost(struct cloud *cl)
{
	while (!list_empty(&cl->files)) {
		struct cloud_wait *w = list_entry(cl->files.next, struct cloud_wait, node);

		list_del(&w->node);
		w->done(w, -ERR_NOT_READY, -1, 0);
	}
}

/* ---- what it says ---- */

static int keep_text(char **at, struct slice s)
{
	char *copy = s.len ? slice_dup(s) : NULL;

	if (s.len && !copy)
		return -ENOMEM;
	mem_free(*at);
	*at = copy;
	return 0;
}

static int on_state(struct chan *ch, struct chan_msg *m)
{
	struct cloud *cl = chan_owner(ch);
	struct cloud_binding *b;
	struct msg_CR_STATE s;
	int err = msg_get_CR_STATE(m->body, &s);

	if (err)
		return err;
	if (s.state >= CLOUD_STATE_COUNT)
		return -ERR_FORMAT;
	b = cloud_binding_at(cl, s.binding);
	if (!b) /* it crossed CL_UNBIND */
		return 0;
	b->state = s.state;
	b->expires_at = s.expires_at;
	b->refresh_at = s.refresh_at;
	b->last_success = s.last_success;
	b->failures = s.failures;
	if (keep_text(&b->error, s.error) || keep_text(&b->next_step, s.next_step))
		log_warn(EV_CLOUD, KV("err", V_S("ENOMEM")));
	return 0;
}

static int on_ready(struct chan *ch, struct chan_msg *m)
{
	struct cloud *cl = chan_owner(ch);

	if (m->body.len || cl->ready)
		return -ERR_FORMAT;
	cl->ready = true;
	tell_all(cl);
	return 0;
}

static void forget(struct cloud *cl, struct cloud_binding *b)
{
	binding_free(cl, b);
}

static void on_dead(struct chan *ch, int err)
{
	struct cloud *cl = chan_owner(ch);
	struct cloud_wait *w;

	if (err != -ERR_CLOSED)
		parent_kill(cl->core, ROLE_CLOUD, 0);
	chan_free(ch);
	cl->chan = NULL;
	cl->ready = false;
	cl->pass = PASS_NONE;
	list_for_each(w, &cl->files, node)
		w->asked = false; /* the next one will be */
	cloud_orders_orphaned(cl);
	each_binding(cl, forget);
}

static const struct chan_rule rules[] = {
	{ MSG_CR_READY, 1, on_ready },	    { MSG_CR_JWT, 1, cloud_on_jwt },	 { MSG_CR_SIGN, 1, cloud_on_sign },
	{ MSG_CR_FILE, 1, on_file },	    { MSG_CR_NOFILE, 1, on_no_file },	 { MSG_CR_STATE, 1, on_state },
	{ MSG_CR_EXCHANGE, 1, cloud_on_exchange },
};

static const struct chan_ops chan_ops = {
	.peer = "svid-cloud", .rules = rules, .n_rules = ARRAY_SIZE(rules), .dead = on_dead,
};

int cloud_peer(struct cloud *cl, int fd)
{
	if (cl->chan)
		on_dead(cl->chan, -ERR_CLOSED);
	return chan_new(cl->core->loop, fd, &chan_ops, cl, &cl->chan);
}

int cloud_refresh(struct cloud *cl, uint32_t binding)
{
	if (!cl->chan || !cl->ready || !cloud_binding_at(cl, binding))
		return -ERR_NOT_READY;
	return chan_put(cl->chan, CL_REFRESH, 0, .binding = binding);
}

/* ---- its life ---- */

int cloud_new(struct core *c, struct cloud **ret_cloud)
{
	struct cloud *cl = mem_new(struct cloud);

	if (!cl)
		return -ENOMEM;
	cl->core = c;
	cl->work.cb = on_work;
	bucket_init(&cl->rate, LIM_CLOUD_RATE, LIM_CLOUD_BURST);
	bucket_init(&cl->records, LIM_CLOUD_RATE, LIM_CLOUD_BURST);
	for (size_t i = 0; i < CLOUD_BUCKETS; i++)
		list_init(&cl->bindings[i]);
	list_init(&cl->files);
	list_init(&cl->orders);
	if (gethostname(cl->node, sizeof(cl->node) - 1))
		cl->node[0] = 0;
	*ret_cloud = cl;
	return 0;
}

void cloud_free(struct cloud *cl)
{
	if (!cl)
		return;
	loop_timer_stop(&cl->work);
	if (cl->chan)
		on_dead(cl->chan, -ERR_CLOSED);
	files_lost(cl);
	cloud_orders_free(cl);
	mem_free(cl);
}

static void put_binding(struct json *j, const struct cloud_doc *d, const struct cloud_binding *b)
{
	json_open(j, NULL, '{');
	json_str(j, "credential", d->name);
	json_str(j, "source", d->source);
	json_str(j, "kind", cloud_kind_name(d->kind));
	json_str(j, "spiffe_id", d->spiffe_id);
	json_u64(j, "binding", d->binding);
	json_u64(j, "helpers", d->n_helpers);
	json_bool(j, "stale", d->stale);
	json_str(j, "state", cloud_state_name(b ? b->state : CLOUD_WAITING));
	json_time(j, "expires_at", b ? b->expires_at : 0);
	json_time(j, "refresh_at", b ? b->refresh_at : 0);
	json_time(j, "last_success", b ? b->last_success : 0);
	json_u64(j, "failures", b ? b->failures : 0);
	json_str(j, "error", b ? b->error : NULL);
	json_str(j, "next_step", b ? b->next_step : NULL);
	json_close(j, '}');
}

void cloud_put(struct core *c, struct buf *out)
{
	const struct cloud_docs *docs = docs_clouds(c->docs);
	struct json j = JSON_INIT(out);
	uint64_t left_out = 0;

	json_open(&j, NULL, '{');
	json_bool(&j, "running", c->cloud->ready);
	json_str(&j, "tree", c->plan.tree_path);
	json_time(&j, "now", clock_wall_s());
	json_open(&j, "credentials", '[');
	for (size_t i = 0; i < docs->n; i++) {
		if (out->len < LISTED_MAX)
			put_binding(&j, docs->v[i], cloud_binding_at(c->cloud, docs->v[i]->binding));
		else
			left_out++;
	}
	json_close(&j, ']');
	json_u64(&j, "left_out", left_out);
	json_close(&j, '}');
}

void cloud_put_status(const struct core *c, struct json *j)
{
	const struct cloud_docs *docs = docs_clouds(c->docs);
	const struct cloud *cl = c->cloud;
	size_t n[CLOUD_STATE_COUNT] = { 0 };

	for (size_t i = 0; i < docs->n; i++) {
		const struct cloud_binding *b = cloud_binding_at(cl, docs->v[i]->binding);

		n[b ? b->state : CLOUD_WAITING]++;
	}
	json_open(j, "cloud", '{');
	json_bool(j, "wanted", cl->wanted);
	json_bool(j, "running", cl->ready);
	json_u64(j, "oidc_port", c->plan.oidc_port);
	json_open(j, "credentials", '{');
	for (unsigned int state = 0; state < CLOUD_STATE_COUNT; state++)
		json_u64(j, cloud_state_name(state), n[state]);
	json_close(j, '}');
	json_u64(j, "exchanges", cl->exchanges);
	json_u64(j, "failed", cl->failed);
	json_close(j, '}');
}
