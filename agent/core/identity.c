// SPDX-License-Identifier: Apache-2.0
/* identity.c - life of an SVID between svid-keys, which makes it, and the fronts, which show it. svid-core. */
#include "agent/core/identity.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/list.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"

#define BUCKETS 256
#define SWEEP_NS (10 * NS_PER_S)
#define FIRST_RETRY_MS 250

struct ident {
	struct list node;
	struct identities *all;
	uint32_t number;
	uint32_t holders;
	uint32_t asked; /* the request that svid-keys works on, 0 = none */
	bool again;   /* the document changed meanwhile: ask once more */
	bool present; /* chain is there */
	bool stale;   /* its key is lost: not for new holders */
	int err;      /* of the last attempt */
	unsigned int failures;
	struct loop_timer timer; /* rotation or retry */
	/* from the document */
	char *spiffe_id;
	char *hint;
	uint32_t ttl;
	enum key_type key_type;
	struct buf dns_names;
	/* as issued */
	uint64_t generation;
	int64_t issued_at, not_after; /* wall clock; not_before is older, for clocks that are behind */
	struct buf chain;
};

struct identities {
	struct loop *loop;
	struct authority *auth;
	struct audit *audit;
	const struct identities_ops *ops;
	void *owner;
	struct list buckets[BUCKETS];
	size_t n;
	struct loop_timer sweep;
};

static void ask(struct ident *e);

static struct ident *find(const struct identities *ids, uint32_t number)
{
	const struct list *bucket = &ids->buckets[number % BUCKETS];
	struct ident *e;

	list_for_each(e, bucket, node)
		if (e->number == number)
			return e;
	return NULL;
}

static void changed(struct ident *e)
{
	e->all->ops->changed(e->all->owner, e->number);
}

static bool expired(const struct ident *e)
{
	return clock_wall_s() >= e->not_after;
}

/* The wall clock can jump: what a timer on boot time would miss is found here. */
static void on_sweep(struct loop_timer *t)
{
	struct identities *ids = container_of(t, struct identities, sweep);
	int64_t now = clock_wall_s();
	struct ident *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node) {
			if (!e->present)
				continue;
			if (now >= e->not_after) {
				e->present = false;
				e->err = -ERR_EXPIRED;
				changed(e);
			}
			if (!e->asked && !e->failures && now - e->issued_at > (e->not_after - e->issued_at) / 4 * 3)
				ask(e);
		}
	if (loop_timer_in(ids->loop, &ids->sweep, SWEEP_NS))
		log_error(EV_ISSUE_FAILED, KV("err", V_S("ENOMEM")));
}

int identities_new(struct loop *loop, struct authority *auth, struct audit *audit, const struct identities_ops *ops,
		   void *owner, struct identities **ret_ids)
{
	struct identities *ids = mem_new(struct identities);
	int err;

	if (!ids)
		return -ENOMEM;
	*ids = (struct identities){ .loop = loop, .auth = auth, .audit = audit, .ops = ops, .owner = owner,
				    .sweep.cb = on_sweep };
	for (size_t i = 0; i < BUCKETS; i++)
		list_init(&ids->buckets[i]);
	err = loop_timer_in(loop, &ids->sweep, SWEEP_NS);
	if (err) {
		mem_free(ids);
		return err;
	}
	*ret_ids = ids;
	return 0;
}

static void ident_free(struct ident *e)
{
	loop_timer_stop(&e->timer);
	list_del(&e->node);
	mem_free(e->spiffe_id);
	mem_free(e->hint);
	buf_done(&e->dns_names);
	buf_done(&e->chain);
	mem_free(e);
}

void identities_free(struct identities *ids)
{
	struct ident *e, *tmp;

	if (!ids)
		return;
	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node)
			ident_free(e);
	loop_timer_stop(&ids->sweep);
	mem_free(ids);
}

/* Doubling waits with jitter, never past the expiry of what is still shown. */
static void plan_retry(struct ident *e)
{
	uint64_t ms = FIRST_RETRY_MS;

	for (unsigned int i = 0; i < e->failures && ms < LIM_ISSUE_BACKOFF_MS; i++)
		ms *= 2;
	if (ms > LIM_ISSUE_BACKOFF_MS)
		ms = LIM_ISSUE_BACKOFF_MS;
	e->failures++;
	ms = ms / 2 + clock_random(ms / 2 + 1);
	if (loop_timer_in(e->all->loop, &e->timer, ms * NS_PER_MS))
		log_error(EV_ISSUE_FAILED, KV("spiffe_id", V_S(e->spiffe_id)), KV("err", V_S("ENOMEM")));
}

static void failed(struct ident *e, int err)
{
	bool news = e->err != err;

	e->err = err;
	if (e->present && expired(e))
		e->present = false;
	if (news)
		log_warn(EV_ISSUE_FAILED, KV("spiffe_id", V_S(e->spiffe_id)), KV("err", V_S(err_name(err))),
			 KV("why", V_S(err_text(err))));
	plan_retry(e);
	if (!e->present)
		changed(e);
}

static void ask(struct ident *e)
{
	struct svid_request req = {
		.identity = e->number,
		.spiffe_id = slice_str(e->spiffe_id),
		.ttl = e->ttl,
		.key_type = e->key_type,
		.dns_names = buf_slice(&e->dns_names),
	};
	int err;

	if (e->asked) {
		e->again = true;
		return;
	}
	loop_timer_stop(&e->timer);
	err = authority_issue(e->all->auth, &req, &e->asked);
	if (err && err != -ERR_NOT_READY) /* then identities_ready() will come */
		failed(e, err);
}

static void on_timer(struct loop_timer *t)
{
	ask(container_of(t, struct ident, timer));
}

/* Half of the life, give or take a tenth: many SVIDs issued at once do not come back at once. */
static void plan_rotation(struct ident *e)
{
	uint64_t life = (uint64_t)(e->not_after - e->issued_at) * 1000;
	uint64_t ms = life / 2 - life / 20 + clock_random(life / 10 + 1);

	if (loop_timer_in(e->all->loop, &e->timer, ms * NS_PER_MS))
		log_error(EV_ISSUE_FAILED, KV("spiffe_id", V_S(e->spiffe_id)), KV("err", V_S("ENOMEM")));
}

static int audit_issue(struct ident *e, const struct svid_issued *svid)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE / 2);
	struct json j = JSON_INIT(&b);

	json_str(&j, "spiffe_id", e->spiffe_id);
	json_hex(&j, "serial", svid->serial);
	json_time(&j, "not_before", svid->not_before);
	json_time(&j, "not_after", svid->not_after);
	json_u64(&j, "holders", e->holders);
	if (buf_ok(&b))
		return -ERR_AUDIT;
	return audit_write(e->all->audit, "issue", buf_slice(&b));
}

static int take_svid(struct ident *e, const struct svid_issued *svid)
{
	struct buf chain = BUF_INIT(LIM_CHAIN);
	int err = audit_issue(e, svid);

	if (err)
		return err;
	buf_put_slice(&chain, svid->chain);
	err = buf_ok(&chain);
	if (err) {
		buf_done(&chain);
		return err;
	}
	buf_done(&e->chain);
	e->chain = chain;
	e->generation = svid->generation;
	e->issued_at = clock_wall_s();
	e->not_after = svid->not_after;
	return 0;
}

void identities_issued(struct identities *ids, uint32_t number, uint32_t id, int err, const struct svid_issued *svid)
{
	struct ident *e = find(ids, number);

	if (!e || e->asked != id)
		return; /* its last holder left while it was made */
	e->asked = 0;
	if (e->again) {
		e->again = false;
		ask(e);
		return;
	}
	if (!err)
		err = take_svid(e, svid);
	if (err) {
		failed(e, err);
		return;
	}
	e->present = true;
	e->stale = false;
	e->err = 0;
	e->failures = 0;
	plan_rotation(e);
	log_info(EV_ISSUE, KV("spiffe_id", V_S(e->spiffe_id)), KV("not_after", V_I(e->not_after)));
	changed(e);
}

/* Take over what the document says. Returns 1 when the SVID itself must be another, 0, or -ENOMEM. */
static int read_doc(struct ident *e, const struct identity *doc)
{
	AUTO(buf) struct buf dns = BUF_INIT(LIM_DNS_NAMES * (LIM_DNS_NAME + 4));
	char *hint = mem_strdup(doc->hint ? doc->hint : "");
	int differs;

	for (size_t i = 0; i < doc->n_dns_names; i++)
		list_put_str(&dns, slice_str(doc->dns_names[i]));
	if (!hint || buf_ok(&dns)) {
		mem_free(hint);
		return -ENOMEM;
	}
	differs = e->ttl != doc->x509_ttl || e->key_type != doc->key_type ||
		  !slice_eq(buf_slice(&dns), buf_slice(&e->dns_names));
	mem_free(e->hint);
	e->hint = hint;
	e->ttl = doc->x509_ttl;
	e->key_type = doc->key_type;
	buf_done(&e->dns_names);
	e->dns_names = dns;
	dns = (struct buf)BUF_INIT(0);
	return differs;
}

int identity_hold(struct identities *ids, const struct identity *doc)
{
	struct ident *e = find(ids, doc->number);

	if (e) {
		e->holders++;
		return 0;
	}
	if (ids->n >= LIM_IDENTITIES)
		return -ERR_LIMIT;
	e = mem_new(struct ident);
	if (!e)
		return -ENOMEM;
	list_init(&e->node);
	e->all = ids;
	e->number = doc->number;
	e->holders = 1;
	e->err = -ERR_NOT_READY;
	e->timer.cb = on_timer;
	e->spiffe_id = mem_strdup(doc->spiffe_id);
	if (!e->spiffe_id || read_doc(e, doc) < 0) {
		ident_free(e);
		return -ENOMEM;
	}
	list_add_tail(&ids->buckets[e->number % BUCKETS], &e->node);
	ids->n++;
	ask(e);
	return 0;
}

void identity_drop(struct identities *ids, uint32_t number)
{
	struct ident *e = find(ids, number);

	if (!e || --e->holders)
		return;
	authority_forget(ids->auth, number);
	ids->n--;
	ident_free(e);
}

int identity_entry(const struct identities *ids, uint32_t number, struct set_entry *ret_entry)
{
	const struct ident *e = find(ids, number);

	if (!e)
		return -ERR_NOT_FOUND;
	if (!e->present || e->stale)
		return e->err ? e->err : -ERR_NOT_READY;
	if (expired(e))
		return -ERR_EXPIRED;
	*ret_entry = (struct set_entry){
		.identity = e->number,
		.generation = e->generation,
		.spiffe_id = slice_str(e->spiffe_id),
		.hint = slice_str(e->hint),
		.chain = buf_slice(&e->chain),
		.not_after = e->not_after,
	};
	return 0;
}

void identities_apply(struct identities *ids, const struct policy *p)
{
	struct ident *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node) {
			const struct identity *doc = policy_by_number(p, e->number);
			AUTO_FREE char *hint = mem_strdup(e->hint);
			int differs = doc ? read_doc(e, doc) : 0;

			if (differs < 0)
				log_error(EV_POLICY, KV("spiffe_id", V_S(e->spiffe_id)), KV("err", V_S("ENOMEM")));
			else if (differs)
				ask(e);
			else if (hint && strcmp(hint, e->hint) != 0)
				changed(e);
		}
}

void identities_ready(struct identities *ids)
{
	struct ident *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node)
			if ((!e->present || e->stale) && !e->asked)
				ask(e);
}

void identities_lost(struct identities *ids)
{
	struct ident *e;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each(e, &ids->buckets[i], node) {
			e->asked = 0;
			e->again = false;
			e->stale = e->present;
		}
}

void identities_each(const struct identities *ids, void (*each)(void *arg, const struct identity_view *v), void *arg)
{
	uint64_t now = clock_boot_ns();
	const struct ident *e;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each(e, &ids->buckets[i], node) {
			struct identity_view v = {
				.number = e->number,
				.spiffe_id = e->spiffe_id,
				.not_after = e->present ? e->not_after : 0,
				.holders = e->holders,
				.err = e->err,
			};

			if (loop_timer_armed(&e->timer) && e->timer.due > now)
				v.rotates_in = (e->timer.due - now) / NS_PER_S;
			each(arg, &v);
		}
}
