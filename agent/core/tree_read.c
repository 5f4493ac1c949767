// SPDX-License-Identifier: Apache-2.0
/*
 * tree_read.c - one read in the credential tree, from the request to its answer: bounds, record, decision, content, and
 * before the answer the question whether all that still holds. svid-core.
 *
 * The reading thread waits for us, so it stays what it is; its process, the documents and the agent may change meanwhile.
 * Then the read begins anew, as often as its time allows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/tree_parts.h"

#define BATCH 32	    /* reads that go on in one turn */
#define ROUNDS 16	    /* a process that changes all the time gets nothing */
#define RETRY_NS (20 * NS_PER_MS) /* while svid-attest has no room */

static void go(struct tree_read *r);
static bool is_public(const struct tree_read *r);
static void on_decided(struct asker *a);

/* Who would get something else now is found out before the answer, by the generation. */
static const struct asker_ops asker_ops = { .decided = on_decided };

/* ---- its place ---- */

static void point_to(struct tree_node **at, struct tree_node *n)
{
	if (n)
		n->readers++;
	if (*at)
		(*at)->readers--;
	*at = n;
}

/* Nothing of this round is left. */
static void leave_round(struct tree_read *r)
{
	if (r->state == TREE_READ_CONTENT && r->file)
		r->file->source->cancel(r);
	decision_leave(&r->asker);
	tree_helper_leave(r);
	point_to(&r->file, NULL);
	list_del(&r->in_wait);
	if (r->in_userns)
		bounds_put(&r->tree->core->bounds, BOUND_READ_USERNS, r->userns_owner);
	r->in_userns = false;
}

static void take_out(struct tree_read *r)
{
	struct tree *t = r->tree;

	leave_round(r);
	r->state = TREE_READ_IDLE;
	point_to(&r->asked, NULL);
	loop_timer_stop(&r->deadline);
	list_del(&r->in_all);
	if (r->counted)
		bounds_put(&t->core->bounds, BOUND_READ_UID, r->uid);
	r->counted = false;
	t->stats.waiting--;
}

/* @r is its backend's afterwards, and may be gone. */
static void finish(struct tree_read *r, int err, int fd, uint32_t len)
{
	struct tree_stats *s = &r->tree->stats;

	if (r->state == TREE_READ_IDLE)
		return;
	take_out(r);
	s->given += !err;
	s->refused += err == -EACCES;
	s->failed += err && err != -EACCES;
	r->done(r, err, fd, len);
}

void tree_read_cancel(struct tree_read *r)
{
	if (r->state != TREE_READ_IDLE)
		take_out(r);
}

static void wait_more(struct tree_read *r)
{
	leave_round(r);
	r->state = TREE_READ_WAITING;
	list_add_tail(&r->tree->waiting, &r->in_wait);
}

static void wait_for_room(struct tree_read *r)
{
	struct tree *t = r->tree;

	wait_more(r);
	if (!loop_timer_armed(&t->retry) && loop_timer_in(t->core->loop, &t->retry, RETRY_NS))
		finish(r, -EAGAIN, -1, 0);
}

static void again(struct tree_read *r)
{
	leave_round(r);
	if (r->rounds++ == ROUNDS)
		finish(r, -EAGAIN, -1, 0);
	else
		go(r);
}

static void on_deadline(struct loop_timer *timer)
{
	finish(container_of(timer, struct tree_read, deadline), -EAGAIN, -1, 0);
}

/* ---- who reads ---- */

static struct svid_who person_of(const struct tree_read *r)
{
	if (r->in_userns)
		return (struct svid_who){ .id = r->userns_owner, .kind = SVID_WHO_USERNS };
	return (struct svid_who){ .id = r->uid, .kind = SVID_WHO_UID };
}

static void refuse(struct tree_read *r, int err)
{
	struct svid_who person = person_of(r);

	/* It gets nothing in any case: a missing line is counted, and holds what comes. */
	if (tree_audit_refused(&r->tree->audit, r, &person, err))
		log_debug(EV_AUDIT, KV("what", V_S("a refused read")));
	finish(r, err, -1, 0);
}

pid_t tree_pid_of(pid_t tid, const char *field, pid_t or)
{
	char path[64], text[256];
	const char *line;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return or;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	line = strstr(text, field); /* a name cannot hold a newline there */
	return line ? (pid_t)strtoul(line + strlen(field), NULL, 10) : or;
}

/* The number of its process in our pid namespace. The record has the initial one's, mostly the same. */
static pid_t find_tgid(const struct tree_read *r, const struct svid_conn *record)
{
	if (r->tgid)
		return r->tgid;
	if (record->tid == (uint32_t)r->tid)
		return (pid_t)record->image.key.tgid;
	return tree_pid_of(r->tid, "\nTgid:\t", r->tid);
}

/* A user with a thousand users of his own is one person. */
static int count_userns(struct tree_read *r, const struct svid_creds *cr)
{
	int err;

	r->userns_owner = 0;
	if (!cr->userns_level || !cr->userns_owner)
		return 0;
	err = bounds_get(&r->tree->core->bounds, BOUND_READ_USERNS, cr->userns_owner, false);
	if (err)
		return err;
	r->in_userns = true;
	r->userns_owner = cr->userns_owner;
	return 0;
}

static uint64_t in_ticks(uint64_t ns)
{
	return ns / (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}

/* Whether the kernel module means this process, too. In `attestation: socket`, /proc tells its start in clock ticks. */
static bool is_asked_by(const struct tree_read *r, const struct svid_key *key)
{
	struct svid_key asked = r->key;

	if (r->tree->core->plan.tier == TIER_SOCKET && in_ticks(asked.start) == in_ticks(key->start))
		asked.start = key->start;
	return memcmp(&asked, key, sizeof(asked)) == 0;
}

static int take_record(struct tree_read *r, struct svid_conn *ret_record)
{
	struct core *c = r->tree->core;
	int err = provider_reader(c->provider, (uint32_t)r->tid, ret_record);
	const struct svid_image *img = &ret_record->image;

	if (err == -ERR_EVIDENCE)
		canary_failed(c, "no program answered for a reader");
	if (err)
		return err;
	/* Another process has that number now: the reader was killed, and nobody waits. */
	if (r->key.start && !is_asked_by(r, &img->key))
		return -ESRCH;
	r->key = img->key;
	r->exec_id = img->exec_id;
	r->change = img->change;
	r->img_flags = img->flags;
	return count_userns(r, &ret_record->creds);
}

/* Nothing happened to its process since the record was made. `attestation: socket` has nothing to compare. */
static bool is_unchanged(const struct tree_read *r)
{
	const struct core *c = r->tree->core;
	struct svid_image img;

	if (c->plan.tier == TIER_SOCKET)
		return true;
	return provider_image(c->provider, &r->key, &img) == 0 && img.exec_id == r->exec_id && img.change == r->change &&
	       img.flags == r->img_flags;
}

bool tree_is_reader(struct tree *t, pid_t tid, const struct svid_key *key, uint64_t exec_id)
{
	struct svid_conn record;

	if (tid <= 0 || provider_reader(t->core->provider, (uint32_t)tid, &record))
		return false;
	return memcmp(&record.image.key, key, sizeof(*key)) == 0 && record.image.exec_id == exec_id;
}

void tree_stranger(struct tree *t, uint64_t node, pid_t tid, uid_t uid)
{
	struct tree_read r = { .tree = t, .node = node, .tid = tid, .uid = uid };
	struct svid_who person;
	struct svid_conn record;

	if (tid > 0 && !provider_reader(t->core->provider, (uint32_t)tid, &record)) {
		r.key = record.image.key;
		r.in_userns = record.creds.userns_level && record.creds.userns_owner;
		r.userns_owner = record.creds.userns_owner;
	}
	person = person_of(&r);
	t->stats.reads++;
	t->stats.refused++;
	if (tree_audit_refused(&t->audit, &r, &person, -EACCES))
		log_debug(EV_AUDIT, KV("what", V_S("a stranger's read")));
}

/* ---- what it gets ---- */

/* The file that is meant, under its identity's own <uuid>/. -EACCES: the reader does not hold it; -ENOENT: it has none such. */
static int choose(const struct tree_read *r, const struct identity *const *docs, size_t n, struct tree_node **ret_file)
{
	struct tree_node *dir;

	if (!n)
		return -EACCES;
	if (!r->asked->identity) {
		dir = tree_owner_dir(r->tree, docs[0]->number);
		*ret_file = dir ? tree_like(r->tree, dir, r->asked) : NULL;
		return *ret_file && (*ret_file)->source ? 0 : -ENOENT;
	}
	*ret_file = r->asked;
	for (size_t i = 0; i < n; i++)
		if (docs[i]->number == r->asked->identity)
			return 0;
	return -EACCES;
}

static void get_content(struct tree_read *r, struct tree_node *file)
{
	point_to(&r->file, file);
	r->identity = file->identity;
	r->state = TREE_READ_CONTENT;
	if (file->source->get(r->tree, r)) /* else @r may be gone */
		tree_content(r, -EAGAIN, -1, 0);
}

/* What is not its own may be read by a helper; @err: what it hears if it is none. */
static void ask_for_helper(struct tree_read *r, int err)
{
	int not_asked = tree_helper_ask(r);

	if (!not_asked)
		return; /* and @r may be gone */
	if (not_asked == -ERR_EVIDENCE)
		wait_more(r);
	else if (not_asked != -EACCES)
		wait_for_room(r);
	else if (err == -EACCES)
		refuse(r, err);
	else
		finish(r, err, -1, 0);
}

static void on_decided(struct asker *a)
{
	struct tree_read *r = container_of(a, struct tree_read, asker);
	const struct identity *docs[LIM_SET_IDENTITIES];
	size_t n = decision_docs(a->decision, docs);
	struct tree_node *file = NULL;
	int err;

	/* Who left and came to the same decision again is met twice by whoever goes through its askers. */
	if (r->state != TREE_READ_DECIDING)
		return;
	err = choose(r, docs, n, &file);
	r->generation = docs_generation(r->tree->core->docs);
	if (hold_err(r->tree->core))
		wait_more(r);
	else if (!n && decision_transient(a->decision))
		wait_for_room(r);
	else if (!n && !is_unchanged(r))
		again(r); /* what was asked of /proc was another's */
	else if (err)
		ask_for_helper(r, err);
	else
		get_content(r, file);
}

/* A helper gets what the process that started it would get, of that credential and now. */
void tree_helper_decided(struct tree_read *r, const struct decision *d)
{
	const struct identity *docs[LIM_SET_IDENTITIES];
	size_t n = decision_docs(d, docs);
	struct tree_node *file = NULL;
	int err = choose(r, docs, n, &file);

	r->generation = docs_generation(r->tree->core->docs);
	if (hold_err(r->tree->core))
		wait_more(r);
	else if (!n && decision_transient(d))
		wait_for_room(r);
	else if (!n && tree_helper_changed(r))
		again(r);
	else if (err)
		ask_for_helper(r, -EACCES);
	else if (!tree_helper_may(r, file))
		refuse(r, -EACCES);
	else
		get_content(r, file);
}

static bool still_holds(const struct tree_read *r)
{
	return docs_generation(r->tree->core->docs) == r->generation && is_unchanged(r) &&
	       !(r->helper.used && tree_helper_changed(r));
}

void tree_content(struct tree_read *r, int err, int fd, uint32_t len)
{
	if (r->state != TREE_READ_CONTENT)
		return;
	r->state = TREE_READ_DECIDING; /* the source has nothing of it any more */
	if (hold_err(r->tree->core))
		wait_more(r);
	else if (!is_public(r) && !still_holds(r))
		again(r);
	else if (err)
		finish(r, err, -1, 0);
	else if (!is_public(r) && tree_audit_given(&r->tree->audit, r))
		wait_more(r);
	else
		finish(r, 0, fd, len);
}

/* ---- its way ---- */

static void identify(struct tree_read *r)
{
	struct svid_conn record;
	int err = take_record(r, &record);

	if (err == -ENOENT) {
		refuse(r, -EACCES); /* the kernel has nothing about it: nobody */
		return;
	}
	if (err == -ERR_EVIDENCE) {
		wait_more(r);
		return;
	}
	if (!err)
		err = decide(r->tree->core, &r->asker, &record, find_tgid(r, &record));
	else
		err = err == -ERR_LIMIT ? -EAGAIN : err;
	if (err == -ERR_LIMIT)
		wait_for_room(r);
	else if (err)
		finish(r, -EAGAIN, -1, 0);
}

/* In self/ it is another's for another reader, so that one is looked at. */
static bool is_public(const struct tree_read *r)
{
	const struct tree_source *s = r->asked->source;

	return r->asked->identity && s->is_public && s->is_public(r->asked->what);
}

static void give_everybody(struct tree_read *r)
{
	r->everybody = true;
	r->generation = docs_generation(r->tree->core->docs);
	get_content(r, r->asked);
}

static void go(struct tree_read *r)
{
	struct tree *t = r->tree;

	if (!r->asked)
		point_to(&r->asked, (struct tree_node *)tree_find(t, r->node));
	r->state = TREE_READ_DECIDING;
	if (hold_err(t->core) || !t->complete)
		wait_more(r);
	else if (!r->asked || !r->asked->source)
		finish(r, -ENOENT, -1, 0);
	else if (is_public(r))
		give_everybody(r);
	else if (r->tid <= 0)
		refuse(r, -EACCES);
	else
		identify(r);
}

/* Root may fill what is there for all, as everywhere. */
static int admit(struct tree_read *r)
{
	struct tree *t = r->tree;
	int err = t->stats.waiting < LIM_TREE_READS ? 0 : -ERR_LIMIT;

	if (!err && r->uid)
		err = bounds_get(&t->core->bounds, BOUND_READ_UID, r->uid, false);
	if (err)
		return err;
	r->counted = r->uid;
	list_add_tail(&t->reads, &r->in_all);
	t->stats.waiting++;
	err = loop_timer_in(t->core->loop, &r->deadline, LIM_TREE_WAIT_MS * NS_PER_MS);
	if (err)
		take_out(r);
	return err;
}

void tree_read(struct tree *t, struct tree_read *r)
{
	r->tree = t;
	r->asker = (struct asker){ .ops = &asker_ops };
	r->deadline = (struct loop_timer){ .cb = on_deadline };
	r->state = TREE_READ_WAITING;
	list_init(&r->in_all);
	list_init(&r->in_wait);
	t->stats.reads++;
	if (admit(r)) {
		r->state = TREE_READ_IDLE;
		t->stats.failed++;
		r->done(r, -EAGAIN, -1, 0);
		return;
	}
	go(r);
}

/* ---- all of them ---- */

void tree_reads_end(struct tree *t, const struct tree_node *n)
{
	struct tree_read *r, *tmp;

	list_for_each_safe(r, tmp, &t->reads, in_all)
		if (r->asked == n || r->file == n)
			finish(r, -ENOENT, -1, 0);
}

static void on_go(struct loop_timer *timer)
{
	struct tree *t = container_of(timer, struct tree, go);

	for (size_t i = 0; i < BATCH && !list_empty(&t->going); i++) {
		struct tree_read *r = list_entry(t->going.next, struct tree_read, in_wait);

		list_del(&r->in_wait);
		go(r);
	}
	if (!list_empty(&t->going) && loop_timer_in(t->core->loop, timer, 0))
		log_error(EV_TREE, KV("err", V_S("ENOMEM"))); /* their deadlines come all the same */
}

/* Each goes on once: who has to wait again is in the other list. */
void tree_reads_go_on(struct tree *t)
{
	while (!list_empty(&t->waiting)) {
		struct list *first = t->waiting.next;

		list_del(first);
		list_add_tail(&t->going, first);
	}
	if (!loop_timer_armed(&t->go))
		on_go(&t->go);
}

void tree_go_on(struct tree *t)
{
	if (t)
		tree_reads_go_on(t);
}

static void on_retry(struct loop_timer *timer)
{
	tree_reads_go_on(container_of(timer, struct tree, retry));
}

void tree_reads_init(struct tree *t)
{
	t->retry.cb = on_retry;
	list_init(&t->reads);
	list_init(&t->waiting);
	list_init(&t->going);
	t->go.cb = on_go;
}

void tree_reads_done(struct tree *t)
{
	struct tree_read *r, *tmp;

	loop_timer_stop(&t->retry);
	loop_timer_stop(&t->go);
	list_for_each_safe(r, tmp, &t->reads, in_all)
		tree_read_cancel(r);
}
