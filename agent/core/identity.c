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
#define APPLY_BATCH 512 /* identities that follow their documents in one turn, about */

struct ident;

/* One SVID of an identity. */
struct svid {
	struct ident *of;
	enum svid_kind kind;
	uint32_t asked; /* the request that svid-keys works on, 0 = none */
	bool again;	/* the document changed meanwhile: ask once more */
	bool present;	/* it is there */
	bool stale;	/* its key is lost: not for new holders */
	int err;	/* of the last attempt */
	unsigned int failures;
	struct loop_timer timer; /* rotation or retry */
	/* as issued */
	uint64_t generation;
	int64_t issued_at, not_after; /* wall clock; not_before is older, for clocks that are behind */
	struct buf bytes;	      /* X.509: chain, DER; WIT: token */
};

struct ident {
	struct list node;
	struct identities *all;
	uint32_t number;
	uint32_t holders;
	uint64_t serial;
	/* from the document */
	char *spiffe_id;
	char *hint;
	uint32_t ttl;
	enum key_type key_type;
	struct buf dns_names; /* lists of strings */
	struct buf federates;
	struct buf peers; /* over SDS */
	struct buf jwt; /* what it says of JWT-SVIDs, to be compared */
	uint32_t jwt_rules;
	struct svid svids[SVID_KINDS];
};

struct identities {
	struct loop *loop;
	struct authority *auth;
	struct audit *audit;
	const struct identities_ops *ops;
	void *owner;
	struct list buckets[BUCKETS];
	size_t n;
	uint64_t last_serial;
	struct loop_timer sweep;
};

static void ask(struct svid *s);

static const char *const kind_names[SVID_KINDS] = { [SVID_X509] = "x509", [SVID_WIT] = "wit" };

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
	e->serial = ++e->all->last_serial;
	e->all->ops->changed(e->all->owner, e->number);
}

static bool wanted(const struct svid *s)
{
	return s->kind != SVID_WIT || authority_wit(s->of->all->auth);
}

static bool expired(const struct svid *s)
{
	return clock_wall_s() >= s->not_after;
}

static void sweep_one(struct svid *s, int64_t now)
{
	if (!s->present)
		return;
	if (now >= s->not_after) {
		s->present = false;
		s->err = -ERR_EXPIRED;
		changed(s->of);
	}
	if (!s->asked && !s->failures && now - s->issued_at > (s->not_after - s->issued_at) / 4 * 3)
		ask(s);
}

/* The wall clock can jump: what a timer on boot time would miss is found here. */
static void on_sweep(struct loop_timer *t)
{
	struct identities *ids = container_of(t, struct identities, sweep);
	int64_t now = clock_wall_s();
	struct ident *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node)
			for (size_t k = 0; k < SVID_KINDS; k++)
				sweep_one(&e->svids[k], now);
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
	for (size_t k = 0; k < SVID_KINDS; k++) {
		loop_timer_stop(&e->svids[k].timer);
		buf_done(&e->svids[k].bytes);
	}
	list_del(&e->node);
	mem_free(e->spiffe_id);
	mem_free(e->hint);
	buf_done(&e->dns_names);
	buf_done(&e->federates);
	buf_done(&e->peers);
	buf_done(&e->jwt);
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

static void arm(struct svid *s, uint64_t ms)
{
	if (loop_timer_in(s->of->all->loop, &s->timer, ms * NS_PER_MS))
		log_error(EV_ISSUE_FAILED, KV("spiffe_id", V_S(s->of->spiffe_id)), KV("err", V_S("ENOMEM")));
}

/* Doubling waits with jitter, never past the expiry of what is still shown. */
static void plan_retry(struct svid *s)
{
	uint64_t ms = FIRST_RETRY_MS;

	for (unsigned int i = 0; i < s->failures && ms < LIM_ISSUE_BACKOFF_MS; i++)
		ms *= 2;
	if (ms > LIM_ISSUE_BACKOFF_MS)
		ms = LIM_ISSUE_BACKOFF_MS;
	s->failures++;
	arm(s, ms / 2 + clock_random(ms / 2 + 1));
}

static void failed(struct svid *s, int err)
{
	bool news = s->err != err;

	s->err = err;
	if (s->present && expired(s))
		s->present = false;
	if (news)
		log_warn(EV_ISSUE_FAILED, KV("spiffe_id", V_S(s->of->spiffe_id)), KV("kind", V_S(kind_names[s->kind])),
			 KV("err", V_S(err_name(err))), KV("why", V_S(err_text(err))));
	plan_retry(s);
	if (!s->present && (news || s->kind == SVID_X509))
		changed(s->of);
}

/* The key of a WIT-SVID is not the document's to choose: proofs are made with ES256. */
static void ask(struct svid *s)
{
	const struct ident *e = s->of;
	struct svid_request req = {
		.identity = e->number,
		.kind = s->kind,
		.spiffe_id = slice_str(e->spiffe_id),
		.ttl = e->ttl,
		.key_type = s->kind == SVID_X509 ? e->key_type : KEY_EC_P256,
		.dns_names = s->kind == SVID_X509 ? buf_slice(&e->dns_names) : slice_of(NULL, 0),
	};
	int err;

	if (!wanted(s))
		return;
	if (s->asked) {
		s->again = true;
		return;
	}
	loop_timer_stop(&s->timer);
	err = authority_issue(e->all->auth, &req, &s->asked);
	if (err && err != -ERR_NOT_READY) /* then identities_ready() will come */
		failed(s, err);
}

static void on_timer(struct loop_timer *t)
{
	ask(container_of(t, struct svid, timer));
}

/* Half of the life, give or take a tenth: many SVIDs issued at once do not come back at once. */
static void plan_rotation(struct svid *s)
{
	uint64_t life = (uint64_t)(s->not_after - s->issued_at) * 1000;

	arm(s, life / 2 - life / 20 + clock_random(life / 10 + 1));
}

static int audit_issue(const struct svid *s, const struct svid_issued *svid)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE / 2);
	struct json j = JSON_INIT(&b);

	json_str(&j, "spiffe_id", s->of->spiffe_id);
	if (s->kind == SVID_X509)
		json_hex(&j, "serial", svid->serial);
	else
		json_bytes(&j, "jti", svid->serial);
	json_time(&j, "not_before", svid->not_before);
	json_time(&j, "not_after", svid->not_after);
	json_u64(&j, "holders", s->of->holders);
	json_str(&j, "kind", kind_names[s->kind]);
	if (buf_ok(&b))
		return -ERR_AUDIT;
	return audit_write(s->of->all->audit, "issue", buf_slice(&b));
}

static int take_svid(struct svid *s, const struct svid_issued *svid)
{
	struct buf bytes = BUF_INIT(s->kind == SVID_X509 ? LIM_CHAIN : LIM_JWT);
	int err = audit_issue(s, svid);

	if (err)
		return err;
	buf_put_slice(&bytes, svid->chain);
	err = buf_ok(&bytes);
	if (err) {
		buf_done(&bytes);
		return err;
	}
	buf_done(&s->bytes);
	s->bytes = bytes;
	s->generation = svid->generation;
	s->issued_at = clock_wall_s();
	s->not_after = svid->not_after;
	return 0;
}

void identities_issued(struct identities *ids, uint32_t number, enum svid_kind kind, uint32_t id, int err,
		       const struct svid_issued *svid)
{
	struct ident *e = find(ids, number);
	struct svid *s = e ? &e->svids[kind] : NULL;

	if (!s || s->asked != id)
		return; /* its last holder left while it was made */
	s->asked = 0;
	if (s->again) {
		s->again = false;
		ask(s);
		return;
	}
	if (!err)
		err = take_svid(s, svid);
	if (err) {
		failed(s, err);
		return;
	}
	s->present = true;
	s->stale = false;
	s->err = 0;
	s->failures = 0;
	plan_rotation(s);
	log_info(EV_ISSUE, KV("spiffe_id", V_S(e->spiffe_id)), KV("kind", V_S(kind_names[kind])),
		 KV("not_after", V_I(s->not_after)));
	changed(e);
}

static int put_list(struct buf *to, char *const *strs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		list_put_str(to, slice_str(strs[i]));
	return buf_ok(to);
}

static int put_jwt(struct buf *to, const struct identity *doc)
{
	buf_put_u32(to, doc->jwt_ttl);
	buf_put_u32(to, doc->jwt_alg);
	return put_list(to, doc->jwt_audiences, doc->n_jwt_audiences);
}

/* Whether @to was something else; @from is then in its place. */
static bool replace(struct buf *to, struct buf *from)
{
	bool differs = !slice_eq(buf_slice(to), buf_slice(from));
	struct buf was = *to;

	*to = *from;
	*from = was;
	return differs;
}

/* What is different after read_doc(): what is told beside the SVIDs, the SVIDs themselves. */
enum change {
	TOLD = 1,
	ISSUED = 2,
};

/* Take over what the document says. Returns a mask of enum change or -ENOMEM. */
static int read_doc(struct ident *e, const struct identity *doc)
{
	AUTO(buf) struct buf dns = BUF_INIT(LIM_DNS_NAMES * (LIM_DNS_NAME + 4));
	AUTO(buf) struct buf federates = BUF_INIT(LIM_FEDERATES * (LIM_TRUST_DOMAIN + 4));
	AUTO(buf) struct buf peers = BUF_INIT(LIM_SDS_PEERS_BYTES);
	AUTO(buf) struct buf jwt = BUF_INIT(LIM_JWT_AUDIENCES + 8);
	char *hint = mem_strdup(doc->hint ? doc->hint : "");
	bool issued, told, ruled;

	if (!hint || put_jwt(&jwt, doc) || put_list(&dns, doc->dns_names, doc->n_dns_names) ||
	    put_list(&federates, doc->federates_with, doc->n_federates_with) ||
	    put_list(&peers, doc->sds_peers, doc->n_sds_peers)) {
		mem_free(hint);
		return -ENOMEM;
	}
	told = !e->hint || strcmp(e->hint, hint) != 0;
	told |= replace(&e->federates, &federates);
	told |= replace(&e->peers, &peers);
	ruled = replace(&e->jwt, &jwt);
	e->jwt_rules += ruled;
	issued = e->ttl != doc->x509_ttl || e->key_type != doc->key_type;
	issued |= replace(&e->dns_names, &dns);
	mem_free(e->hint);
	e->hint = hint;
	e->ttl = doc->x509_ttl;
	e->key_type = doc->key_type;
	return (issued ? ISSUED : 0) | (told || ruled ? TOLD : 0);
}

static struct ident *ident_new(struct identities *ids, const struct identity *doc)
{
	struct ident *e = mem_new(struct ident);

	if (!e)
		return NULL;
	list_init(&e->node);
	e->all = ids;
	e->number = doc->number;
	e->serial = ++ids->last_serial;
	e->holders = 1;
	for (size_t k = 0; k < SVID_KINDS; k++)
		e->svids[k] = (struct svid){ .of = e, .kind = k, .err = -ERR_NOT_READY, .timer.cb = on_timer };
	e->spiffe_id = mem_strdup(doc->spiffe_id);
	if (e->spiffe_id && read_doc(e, doc) >= 0)
		return e;
	ident_free(e);
	return NULL;
}

static void ask_all(struct ident *e)
{
	for (size_t k = 0; k < SVID_KINDS; k++)
		ask(&e->svids[k]);
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
	e = ident_new(ids, doc);
	if (!e)
		return -ENOMEM;
	list_add_tail(&ids->buckets[e->number % BUCKETS], &e->node);
	ids->n++;
	ask_all(e);
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

/* 0, or why there is none to be shown. */
static int svid_err(const struct svid *s)
{
	if (!s->present || s->stale)
		return s->err ? s->err : -ERR_NOT_READY;
	return expired(s) ? -ERR_EXPIRED : 0;
}

int identity_entry(const struct identities *ids, uint32_t number, struct set_entry *ret_entry)
{
	const struct ident *e = find(ids, number);
	const struct svid *x509, *wit;
	int err, wit_err;

	if (!e)
		return -ERR_NOT_FOUND;
	x509 = &e->svids[SVID_X509];
	wit = &e->svids[SVID_WIT];
	err = svid_err(x509);
	wit_err = wanted(wit) ? svid_err(wit) : -ERR_PROFILE;
	if (err || wit_err == -ERR_NOT_READY)
		return err ? err : wit_err;
	*ret_entry = (struct set_entry){
		.identity = e->number,
		.generation = x509->generation,
		.spiffe_id = slice_str(e->spiffe_id),
		.hint = slice_str(e->hint),
		.chain = buf_slice(&x509->bytes),
		.not_after = x509->not_after,
		.jwt_rules = e->jwt_rules,
		.peers = buf_slice(&e->peers),
	};
	if (wit_err)
		return 0;
	ret_entry->wit_generation = wit->generation;
	ret_entry->wit = buf_slice(&wit->bytes);
	ret_entry->wit_not_after = wit->not_after;
	return 0;
}

uint64_t identity_serial(const struct identities *ids, uint32_t number)
{
	const struct ident *e = find(ids, number);

	return e ? e->serial : 0;
}

struct slice identity_federates(const struct identities *ids, uint32_t number)
{
	const struct ident *e = find(ids, number);

	return e ? buf_slice(&e->federates) : slice_of(NULL, 0);
}

static void follow(struct ident *e, const struct policy *p)
{
	const struct identity *doc = policy_by_number(p, e->number);
	int change = doc ? read_doc(e, doc) : 0;

	if (change < 0) {
		log_error(EV_POLICY, KV("spiffe_id", V_S(e->spiffe_id)), KV("err", V_S("ENOMEM")));
		return;
	}
	if (change & ISSUED)
		ask_all(e);
	if (change & TOLD)
		changed(e);
}

size_t identities_apply(struct identities *ids, const struct policy *p, size_t from)
{
	struct ident *e, *tmp;
	size_t seen = 0;

	for (; from < BUCKETS && seen < APPLY_BATCH; from++)
		list_for_each_safe(e, tmp, &ids->buckets[from], node) {
			follow(e, p);
			seen++;
		}
	return from < BUCKETS ? from : 0;
}

void identities_ready(struct identities *ids)
{
	struct ident *e, *tmp;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each_safe(e, tmp, &ids->buckets[i], node)
			for (size_t k = 0; k < SVID_KINDS; k++)
				if ((!e->svids[k].present || e->svids[k].stale) && !e->svids[k].asked)
					ask(&e->svids[k]);
}

void identities_lost(struct identities *ids)
{
	struct ident *e;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each(e, &ids->buckets[i], node)
			for (size_t k = 0; k < SVID_KINDS; k++) {
				e->svids[k].asked = 0;
				e->svids[k].again = false;
				e->svids[k].stale = e->svids[k].present;
			}
}

static struct identity_view view_of(const struct ident *e, uint64_t now)
{
	struct identity_view v = { .number = e->number, .spiffe_id = e->spiffe_id, .holders = e->holders };

	for (size_t k = 0; k < SVID_KINDS; k++) {
		const struct svid *s = &e->svids[k];

		v.svids[k].wanted = wanted(s);
		v.svids[k].not_after = s->present ? s->not_after : 0;
		v.svids[k].err = s->err;
		if (loop_timer_armed(&s->timer) && s->timer.due > now)
			v.svids[k].rotates_in = (s->timer.due - now) / NS_PER_S;
	}
	return v;
}

void identities_each(const struct identities *ids, void (*each)(void *arg, const struct identity_view *v), void *arg)
{
	uint64_t now = clock_boot_ns();
	const struct ident *e;

	for (size_t i = 0; i < BUCKETS; i++)
		list_for_each(e, &ids->buckets[i], node) {
			struct identity_view v = view_of(e, now);

			each(arg, &v);
		}
}
