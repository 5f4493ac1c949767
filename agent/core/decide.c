// SPDX-License-Identifier: Apache-2.0
/* decide.c - facts are gathered, matched and remembered; svid-attest and the cgroup tree are asked here. svid-core. */
#include "agent/core/decide.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"
#include "agent/core/whoami.h"

#define COST_LOOK 32 /* units, see sorter.h */

/* Of decisions_step(). */
enum pass {
	PASS_NONE,
	PASS_LOST, /* what was withdrawn ends first */
	PASS_REST,
};

void decisions_init(struct decisions *d)
{
	*d = (struct decisions){ .n = 0 };
	list_init(&d->lru);
	for (size_t i = 0; i < DECISION_BUCKETS; i++)
		list_init(&d->buckets[i]);
}

static void decision_free(struct decision *d)
{
	attest_cancel(&d->job);
	digest_cancel(&d->digest);
	list_del(&d->in_hash);
	list_del(&d->in_lru);
	d->core->decisions.n--;
	buf_done(&d->path);
	buf_done(&d->user);
	buf_done(&d->group);
	buf_done(&d->groups);
	buf_done(&d->cgroup);
	buf_done(&d->audit);
	mem_free(d);
}

void decisions_done(struct decisions *ds)
{
	struct decision *d, *tmp;

	for (size_t i = 0; i < DECISION_BUCKETS; i++)
		list_for_each_safe(d, tmp, &ds->buckets[i], in_hash)
			decision_free(d);
}

static struct list *bucket_of(struct decisions *ds, const struct svid_conn *r)
{
	uint64_t h = r->image.key.start ^ (uint64_t)r->image.key.tgid << 40 ^ r->image.exec_id << 20 ^ r->image.change;

	return &ds->buckets[(h * 0x9e3779b97f4a7c15ull >> 40) % DECISION_BUCKETS];
}

/* Everything that facts are made from. The connecting thread's name is information, so it counts too. */
static bool same_caller(const struct svid_conn *a, const struct svid_conn *b)
{
	return memcmp(&a->image.key, &b->image.key, sizeof(a->image.key)) == 0 && a->flags == b->flags &&
	       a->tier == b->tier && a->listener == b->listener && strncmp(a->comm, b->comm, sizeof(a->comm)) == 0 &&
	       memcmp(&a->creds, &b->creds, sizeof(a->creds)) == 0 &&
	       memcmp(&a->image, &b->image, sizeof(a->image)) == 0;
}

static bool is_outdated(const struct decision *d)
{
	return d->done && d->generation != docs_generation(d->core->docs);
}

static struct decision *find(struct decisions *ds, const struct svid_conn *r)
{
	struct list *bucket = bucket_of(ds, r);
	uint64_t now = clock_boot_ns();
	struct decision *d;

	list_for_each(d, bucket, in_hash)
		if (d->shared && d->expires > now && !is_outdated(d) && same_caller(&d->record, r))
			return d;
	return NULL;
}

struct facts decision_facts(const struct decision *d)
{
	struct facts f = {
		.conn = &d->record,
		.tier = d->core->plan.tier,
		.path_err = d->path_err,
		.path = buf_slice(&d->path),
		.names_err = d->names_err,
		.user = buf_slice(&d->user),
		.group = buf_slice(&d->group),
		.groups = buf_slice(&d->groups),
		.cgroup_err = d->cgroup_err,
		.cgroup = buf_slice(&d->cgroup),
		.sha256_why = d->sha256_why,
		.sha256 = slice_str(d->digest.hex),
	};

	if (!d->cgroup_err)
		f.unit = cgroup_unit(f.cgroup);
	return f;
}

static void match(struct decision *d)
{
	const struct policy *p = docs_policy(d->core->docs);
	struct facts f = decision_facts(d);
	struct match m = { .n = 0 };

	policy_match(p, &f, &m, NULL);
	d->generation = docs_generation(d->core->docs);
	d->n = m.n;
	for (size_t i = 0; i < m.n; i++)
		d->ids[i] = m.ids[i]->number;
	d->waived = m.not_traced_waived;
	whoami_make_audit(&d->audit, &f, &m);
	if (buf_ok(&d->audit))
		d->shared = false; /* it can be recorded for nobody */
}

void decision_whoami(const struct decision *d, struct buf *out)
{
	AUTO(buf) struct buf explain = BUF_INIT(LIM_WHOAMI / 2);
	struct facts f = decision_facts(d);
	struct match m;

	policy_match(docs_policy(d->core->docs), &f, &m, &explain);
	whoami_make(out, &f, &m, buf_ok(&explain) ? slice_of(NULL, 0) : buf_slice(&explain));
}

static void set_expiry(struct decision *d, bool failed)
{
	d->expires = clock_boot_ns() + (failed ? LIM_FACTS_FAILED_MS : LIM_FACTS_MS) * NS_PER_MS;
}

/* Nobody uses it: remembered for when this caller comes again, or gone. */
static void rest(struct decision *d)
{
	if (!list_empty(&d->askers) || !d->done || d->busy)
		return; /* an unfinished one goes when its answer comes */
	if (!d->shared || d->expires <= clock_boot_ns()) {
		decision_free(d);
		return;
	}
	list_del(&d->in_lru); /* it rests already, and was compared with other documents */
	list_add_tail(&d->core->decisions.lru, &d->in_lru);
}

static void settle(struct decision *d)
{
	struct asker *a, *tmp;

	match(d);
	d->done = true;
	d->busy = true;
	list_for_each_safe(a, tmp, &d->askers, in_decision)
		a->ops->decided(a);
	d->busy = false;
	rest(d);
}

static void take_answer(struct decision *d, const struct msg_A_IDENTITY *m)
{
	d->path_err = m->path_err ? m->path_err : m->path.len ? 0 : -ENOENT;
	d->names_err = m->names_err;
	buf_put_slice(&d->path, m->path);
	buf_put_slice(&d->user, m->user);
	buf_put_slice(&d->group, m->group);
	buf_put_slice(&d->groups, m->groups);
	if (buf_ok(&d->path))
		d->path_err = -ENOMEM;
	if (buf_ok(&d->user) || buf_ok(&d->group) || buf_ok(&d->groups))
		d->names_err = -ENOMEM;
	if (d->core->plan.tier == TIER_SOCKET)
		attest_take_proc(&d->record.image, m); /* there was no exec to record */
}

static void complete(struct decision *d)
{
	set_expiry(d, d->path_err || d->names_err || d->cgroup_err || d->digest.err);
	if (list_empty(&d->askers))
		decision_free(d);
	else
		settle(d);
}

static void on_digest(struct digest_want *w)
{
	struct decision *d = container_of(w, struct decision, digest);

	d->sha256_why = w->err ? digest_why(w->err) : NULL;
	complete(d);
}

static bool wants_digest(const struct decision *d)
{
	struct facts f = decision_facts(d);

	return !d->hashed && policy_wants_digest(docs_policy(d->core->docs), &f);
}

/* Only where it can make a difference, and where it would say what runs. */
static void find_digest(struct decision *d)
{
	bool compare = d->core->plan.tier != TIER_SOCKET;

	d->hashed = true;
	d->sha256_why = digest_doubt(&d->record);
	d->digest.done = on_digest;
	if (d->sha256_why)
		complete(d);
	else if (digest_ask(d->core->digests, &d->digest, &d->record, d->pid, compare))
		on_digest(&d->digest);
}

static void on_attested(struct attest_job *job, const struct attest_answer *answer, int err)
{
	struct decision *d = container_of(job, struct decision, job);

	if (err)
		d->path_err = d->names_err = err;
	else
		take_answer(d, answer->identity);
	if (!list_empty(&d->askers) && wants_digest(d))
		find_digest(d);
	else
		complete(d);
}

static int ask(struct decision *d)
{
	attest_about(&d->job, &d->record, d->pid, d->core->plan.tier != TIER_SOCKET);
	d->job.caller = d->record.creds.ids.uid;
	d->job.done = on_attested;
	return attest_ask(d->core->attest, &d->job);
}

static void find_cgroup(struct decision *d)
{
	struct slice path;

	d->cgroup_err = -ENODATA;
	if (!(d->record.creds.flags & SVID_CRED_CGROUP))
		return;
	d->cgroup_err = -ENOENT;
	if (!d->core->cgroups)
		return;
	d->cgroup_err = cgroups_path(d->core->cgroups, d->pid, d->record.creds.cgroup_id, &path);
	if (d->cgroup_err)
		return;
	buf_put_slice(&d->cgroup, path);
	d->cgroup_err = buf_ok(&d->cgroup);
}

/* A caller outside of our pid namespace has no number here: svid-attest has nothing to look at, and would call 0 malformed. */
static void nobody_to_ask(struct decision *d)
{
	d->path_err = d->names_err = -ESRCH;
	d->hashed = true;
	d->sha256_why = digest_why(-ESRCH);
	complete(d);
}

static struct decision *decision_new(struct core *c, const struct svid_conn *record, pid_t pid)
{
	struct decision *d = mem_new(struct decision);

	if (!d)
		return NULL;
	d->core = c;
	d->record = *record;
	d->pid = pid;
	d->shared = c->plan.tier != TIER_SOCKET;
	d->expires = UINT64_MAX;
	d->path = (struct buf)BUF_INIT(LIM_PATH);
	d->user = d->group = (struct buf)BUF_INIT(256);
	d->groups = (struct buf)BUF_INIT(LIM_IPC_INLINE);
	d->cgroup = (struct buf)BUF_INIT(LIM_PATH);
	d->audit = (struct buf)BUF_INIT(LIM_AUDIT_LINE / 2);
	list_init(&d->askers);
	list_init(&d->in_lru);
	list_init(&d->in_hash);
	list_add_tail(bucket_of(&c->decisions, record), &d->in_hash);
	c->decisions.n++;
	return d;
}

/* The oldest first, and all that are too old. */
static void make_room(struct decisions *ds)
{
	uint64_t now = clock_boot_ns();

	while (!list_empty(&ds->lru)) {
		struct decision *d = list_entry(ds->lru.next, struct decision, in_lru);

		if (ds->n < LIM_DECISIONS && d->expires > now)
			return;
		decision_free(d);
	}
}

int decide(struct core *c, struct asker *a, const struct svid_conn *record, pid_t pid)
{
	struct decision *d = find(&c->decisions, record);
	int err = 0;

	if (d) {
		c->decisions.hits++;
		list_del(&d->in_lru);
	} else {
		c->decisions.misses++;
		make_room(&c->decisions);
		d = decision_new(c, record, pid);
		if (!d)
			return -ENOMEM;
		find_cgroup(d);
		err = pid > 0 ? ask(d) : 0;
	}
	if (err) {
		decision_free(d);
		return err;
	}
	a->decision = d;
	list_init(&a->in_decision);
	list_add_tail(&d->askers, &a->in_decision);
	if (d->done)
		a->ops->decided(a);
	else if (pid <= 0)
		nobody_to_ask(d);
	return 0;
}

void decision_leave(struct asker *a)
{
	struct decision *d = a->decision;

	if (!d)
		return;
	list_del(&a->in_decision);
	a->decision = NULL;
	rest(d);
}

int decision_transient(const struct decision *d)
{
	int err = d->path_err ? d->path_err : d->names_err;

	return err == -ERR_DEADLINE || err == -ERR_CLOSED || err == -ENOMEM ? -ERR_NOT_READY : 0;
}

size_t decision_docs(const struct decision *d, const struct identity **ret_docs)
{
	const struct policy *p = docs_policy(d->core->docs);
	size_t n = 0;

	for (size_t i = 0; i < d->n; i++) {
		const struct identity *doc = policy_by_number(p, d->ids[i]);

		if (doc)
			ret_docs[n++] = doc;
	}
	return n;
}

static void rematch(struct decision *d)
{
	uint32_t before[LIM_SET_IDENTITIES];
	size_t n = d->n;
	struct asker *a, *tmp;

	memcpy(before, d->ids, n * sizeof(before[0]));
	match(d);
	if (wants_digest(d))
		d->shared = false; /* it must come again to be hashed, which nobody wanted before */
	else if (n == d->n && memcmp(before, d->ids, n * sizeof(before[0])) == 0)
		return;
	d->busy = true;
	list_for_each_safe(a, tmp, &d->askers, in_decision)
		if (a->ops->different)
			a->ops->different(a, d->n == 0);
	d->busy = false;
	rest(d);
}

void decisions_outdated(struct core *c)
{
	struct decisions *ds = &c->decisions;

	while (!list_empty(&ds->lru))
		decision_free(list_entry(ds->lru.next, struct decision, in_lru));
	ds->pass = PASS_LOST;
	ds->bucket = 0;
}

static bool lost_one(const struct decision *d, const struct policy *p)
{
	for (size_t i = 0; i < d->n; i++)
		if (!policy_by_number(p, d->ids[i]))
			return true;
	return false;
}

/* False when the budget ended. */
static bool step_bucket(struct core *c, struct budget *b)
{
	const struct policy *p = docs_policy(c->docs);
	size_t stale, cost = policy_count(p, &stale) / 2 + COST_LOOK;
	struct decision *d, *tmp;

	list_for_each_safe(d, tmp, &c->decisions.buckets[c->decisions.bucket], in_hash) {
		if (!is_outdated(d))
			continue;
		if (!b->left)
			return false;
		budget_spend(b, COST_LOOK);
		if (c->decisions.pass == PASS_LOST && !lost_one(d, p))
			continue;
		budget_spend(b, cost);
		rematch(d);
	}
	return true;
}

bool decisions_step(struct core *c, struct budget *b)
{
	struct decisions *ds = &c->decisions;

	while (ds->pass) {
		for (; ds->bucket < DECISION_BUCKETS; ds->bucket++) {
			if (!b->left || !step_bucket(c, b))
				return false;
			budget_spend(b, 1);
		}
		ds->bucket = 0;
		ds->pass = ds->pass == PASS_LOST ? PASS_REST : PASS_NONE;
	}
	return true;
}
