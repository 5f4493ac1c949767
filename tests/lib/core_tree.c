// SPDX-License-Identifier: Apache-2.0
/* core_tree.c - see core_tree.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/base/uuid.h"
#include "agent/core/policy_build.h"
#include "agent/core/tree_fuse.h"
#include "agent/core/tree_kmod.h"
#include "tests/lib/core_tree.h"

struct rig rig;

static struct policy *policy;
static struct list undecided = LIST_INIT(undecided);
static struct decision decided[RIG_READERS]; /* by the number of the process */

/* ---- what svid-core would be ---- */

const struct policy *docs_policy(const struct docs *d)
{
	(void)d;
	return policy;
}

const struct cloud_docs *docs_clouds(const struct docs *d)
{
	(void)d;
	return &rig.clouds;
}

uint64_t docs_generation(const struct docs *d)
{
	(void)d;
	return rig.generation;
}

int hold_err(const struct core *c)
{
	(void)c;
	return rig.hold;
}

void hold_set(struct core *c, enum hold h, int why)
{
	(void)c;
	assert_int_equal(h, HOLD_AUDIT);
	rig.held_audit = rig.hold = why;
}

void canary_failed(struct core *c, const char *why)
{
	(void)c;
	(void)why;
	rig.canary_failures++;
	rig.hold = -ERR_EVIDENCE;
}

static void image_of(uint32_t tgid, struct svid_image *ret)
{
	const struct rig_reader *r = &rig.readers[tgid];

	memset(ret, 0, sizeof(*ret));
	ret->key = (struct svid_key){ .tgid = tgid, .start = 1000 + tgid };
	ret->exec_id = r->exec_id;
	ret->change = r->change;
	ret->flags = r->flags;
	if (!r->parent)
		return;
	ret->n_ancestors = 1;
	ret->ancestors[0].key = (struct svid_key){ .tgid = r->parent, .start = 1000 + r->parent };
	ret->ancestors[0].exec_id = r->parent_exec;
}

int provider_reader(struct provider *p, uint32_t tid, struct svid_conn *ret)
{
	const struct rig_reader *r = &rig.readers[tid];

	(void)p;
	if (r->err)
		return r->err;
	memset(ret, 0, sizeof(*ret));
	ret->tid = tid;
	ret->flags = SVID_CONN_VALID | SVID_CONN_SEES_TRACE;
	ret->creds.flags = SVID_CRED_USERNS_INIT | SVID_CRED_MNTNS_INIT;
	ret->creds.userns_level = !!r->userns_owner;
	ret->creds.userns_owner = r->userns_owner;
	image_of(tid, &ret->image);
	return 0;
}

int provider_image(struct provider *p, const struct svid_key *key, struct svid_image *ret)
{
	(void)p;
	image_of(key->tgid, ret);
	return 0;
}

int decide(struct core *c, struct asker *a, const struct svid_conn *record, pid_t pid)
{
	struct decision *d = &decided[record->image.key.tgid];

	(void)c;
	rig.last_pid = pid;
	if (rig.decide_errs) {
		rig.decide_errs--;
		return rig.decide_err;
	}
	rig.decisions++;
	if (d->record.image.exec_id != record->image.exec_id)
		d->recorded = 0; /* another program, another decision */
	d->record = *record;
	d->audit = d->path = (struct buf)BUF_INIT(64);
	a->decision = d;
	list_init(&a->in_decision);
	if (rig.decide_later)
		list_add_tail(&undecided, &a->in_decision);
	else
		a->ops->decided(a);
	return 0;
}

void decision_leave(struct asker *a)
{
	if (!a->decision)
		return;
	list_del(&a->in_decision);
	a->decision = NULL;
}

size_t decision_docs(const struct decision *d, const struct identity **ret_docs)
{
	const uint32_t *holds = rig.readers[d->record.image.key.tgid].holds;
	size_t n = 0;

	for (size_t i = 0; i < 4 && holds[i]; i++) {
		const struct identity *doc = policy_by_number(policy, holds[i]);

		if (doc)
			ret_docs[n++] = doc;
	}
	return n;
}

struct facts decision_facts(const struct decision *d)
{
	const char *path = rig.readers[d->record.image.key.tgid].path;

	return (struct facts){ .conn = &d->record, .tier = rig.core.plan.tier, .path_err = path ? 0 : -ENOENT,
			       .path = slice_str(path ? path : "") };
}

int decision_transient(const struct decision *d)
{
	(void)d;
	return rig.transient;
}

/* ---- the source ---- */

static void names(const struct identity *doc, void (*add)(void *arg, const char *path, uint32_t what), void *arg)
{
	add(arg, "svid/cert.pem", 0);
	add(arg, "svid/key.pem", 1);
	(void)doc;
}

static void cloud_names(const struct identity *doc, void (*add)(void *arg, const char *path, uint32_t what), void *arg)
{
	if (strncmp(doc->name, "cloud", 5) == 0)
		add(arg, "s3/aws/credentials", doc->number);
}

uint32_t tree_cloud_binding(const struct tree_node *file)
{
	return file->what;
}

static int get(struct tree *t, struct tree_read *r)
{
	(void)t;
	rig.gets++;
	rig.getting = r;
	if (!rig.content_later)
		rig_content();
	return 0;
}

static void cancel(struct tree_read *r)
{
	assert_ptr_equal(rig.getting, r);
	rig.cancels++;
	rig.getting = NULL;
}

static const struct tree_source source = { .name = "rig", .names = names, .get = get, .cancel = cancel };
const struct tree_source tree_cloud = { .name = "cloud", .names = cloud_names, .get = get, .cancel = cancel };
const struct tree_source *const tree_sources[] = { &source, &tree_cloud, NULL };

void rig_content(void)
{
	tree_content(take(&rig.getting), rig.content_err, rig.content_err ? -1 : 0, 5);
}

/* No kernel here: tests of tree_kmod.c call tree_kmod_start_with(). */
__attribute__((weak)) int tree_kmod_start(struct tree *t, int fd)
{
	(void)t;
	(void)fd;
	return -ENODEV;
}

__attribute__((weak)) int tree_fuse_start(struct tree *t, int fd, int state)
{
	(void)t;
	(void)fd;
	(void)state;
	return -ENODEV;
}

/* ---- the backend ---- */

static int add(void *owner, const struct tree_node *n)
{
	char path[TREE_PATH_MAX];

	(void)owner;
	if (rig.add_err)
		return rig.add_err;
	rig.adds++;
	if (rig.count_only)
		return 0;
	tree_path(n, path);
	for (size_t i = 0; i < rig.n_shown; i++)
		assert_string_not_equal(rig.shown[i], path);
	assert_true(rig.n_shown < RIG_PATHS);
	memcpy(rig.shown[rig.n_shown++], path, sizeof(path));
	return 0;
}

static void del(void *owner, const struct tree_node *n)
{
	char path[TREE_PATH_MAX];
	size_t i = 0;

	(void)owner;
	rig.dels++;
	if (rig.count_only)
		return;
	tree_path(n, path);
	while (i < rig.n_shown && strcmp(rig.shown[i], path) != 0)
		i++;
	assert_true(i < rig.n_shown);
	memcpy(rig.shown[i], rig.shown[--rig.n_shown], sizeof(path));
}

static void complete(void *owner)
{
	(void)owner;
	rig.completes++;
}

static const struct tree_backend backend = { .name = "rig", .add = add, .del = del, .complete = complete };

void rig_backend(void)
{
	tree_set_backend(rig.core.tree, &backend, &rig);
}

/* ---- tests ---- */

int rig_setup(void **state)
{
	char log[] = "/tmp/svid-tree-XXXXXX";
	int fd = mkstemp(log);

	(void)state;
	log_init("test", LOG_ERROR);
	unlink(log);
	memset(&rig, 0, sizeof(rig));
	memset(decided, 0, sizeof(decided));
	rig.core.plan.tier = TIER_BPF_LSM;
	rig.core.plan.tree = rig.core.plan.fuse = rig.core.plan.fuse_state = -1;
	policy = NULL;
	if (loop_new(&rig.core.loop) || policy_new(NULL, 0, &policy))
		return -1;
	audit_init(&rig.core.audit, fd, AUDIT_REQUIRED);
	bounds_init(&rig.core.bounds);
	if (nobodies_init(&rig.core))
		return -1;
	return tree_new(&rig.core, &rig.core.tree);
}

int rig_teardown(void **state)
{
	(void)state;
	tree_free(rig.core.tree);
	cloud_docs_done(&rig.clouds);
	policy_free(policy);
	loop_timer_stop(&rig.core.nobodies.flush);
	mem_free(rig.core.nobodies.logs);
	bounds_done(&rig.core.bounds);
	audit_done(&rig.core.audit);
	loop_free(rig.core.loop);
	return 0;
}

static struct identity *make(const char *name, uint32_t number)
{
	struct identity *id = mem_new(struct identity);
	char spiffe_id[300];

	assert_non_null(id);
	snprintf(spiffe_id, sizeof(spiffe_id), "spiffe://example.org/%s", name);
	id->number = number;
	id->name = mem_strdup(name);
	id->spiffe_id = mem_strdup(spiffe_id);
	id->hint = mem_strdup("");
	assert_true(id->name && id->spiffe_id && id->hint);
	return id;
}

void rig_documents(const char *const *docs)
{
	struct identity **ids;
	size_t n = 0;

	while (docs[n])
		n++;
	ids = mem_calloc(n + 1, sizeof(struct identity *));
	assert_non_null(ids);
	n = 0;
	for (uint32_t i = 0; docs[i]; i++)
		if (strcmp(docs[i], "-") != 0)
			ids[n++] = make(docs[i], i + 1);
	policy_free(policy);
	assert_int_equal(policy_new(ids, n, &policy), 0);
	mem_free(ids);
	rig.generation++;
	tree_outdated(rig.core.tree);
}

static struct cloud_doc *make_credential(const char *identity, const char *helper, const char *other)
{
	struct build_why why = { .text = "" };
	const char *jwt = "{\"jwt\":{\"audiences\":[\"x\"]}}";
	struct cloud_doc *d = NULL;
	char json[512];

	snprintf(json, sizeof(json), "{\"workloadID\":\"%s\",\"credentialSource\":\"s3\",\"helpers\":[\"%s\",\"%s\"]}", identity,
		 helper, other ? other : helper);
	assert_int_equal(cloud_doc_new(identity, json, "s3", jwt, "example.org", &why, &d), 0);
	d->binding = policy_by_spiffe_id(policy, slice_str(d->spiffe_id))->number;
	return d;
}

void rig_credential(const char *identity, const char *helper, const char *other)
{
	struct budget b = BUDGET_INIT(BUDGET_TURN);

	cloud_docs_done(&rig.clouds);
	rig.clouds.v = mem_calloc(2, sizeof(*rig.clouds.v));
	assert_non_null(rig.clouds.v);
	rig.clouds.v[rig.clouds.n++] = make_credential(identity, helper, other);
	if (rig.second)
		rig.clouds.v[rig.clouds.n++] = make_credential(rig.second, rig.second_helper, NULL);
	assert_int_equal(cloud_docs_join(&rig.clouds, policy, &b), 1);
	rig.generation++;
}

unsigned int rig_turns(void)
{
	unsigned int n = 0;

	while (loop_timer_armed(&rig.core.tree->work) && n++ < 100000)
		assert_int_equal(loop_once(rig.core.loop, 0), 0);
	return n;
}

/* Directory of the identity called @name. */
static const char *rig_uuid(const char *name)
{
	static char uuid[UUID_TEXT];
	char url[300];

	if (strcmp(name, "self") == 0)
		return name;
	snprintf(url, sizeof(url), "spiffe://example.org/%s", name);
	uuid_of_url(slice_str(url), uuid);
	return uuid;
}

bool rig_is_shown(const char *owner, const char *file)
{
	char path[TREE_PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", rig_uuid(owner), file);
	for (size_t i = 0; i < rig.n_shown; i++)
		if (strcmp(rig.shown[i], path) == 0)
			return true;
	return false;
}

uint64_t rig_node(const char *owner, const char *file)
{
	const struct tree *t = rig.core.tree;
	const struct tree_node *n = tree_lookup(t, tree_root(t), slice_str(rig_uuid(owner)));
	char path[TREE_PATH_MAX], *rest = path, *name;

	snprintf(path, sizeof(path), "%s", file);
	while (n && (name = strsep(&rest, "/")))
		n = tree_lookup(t, n, slice_str(name));
	assert_non_null(n);
	return n->id;
}

static void on_done(struct tree_read *r, int err, int fd, uint32_t len)
{
	struct rig_read *rr = container_of(r, struct rig_read, read);

	rr->answers++;
	rr->err = err;
	rr->len = len;
	assert_true(err ? fd < 0 : fd == 0);
}

void rig_read_node(struct rig_read *r, pid_t tid, uid_t uid, uint64_t node)
{
	*r = (struct rig_read){ .read = { .node = node, .tid = tid, .tgid = tid, .uid = uid, .done = on_done,
					  .key = { .tgid = (uint32_t)tid, .start = 1000 + (uint64_t)tid } } };
	tree_read(rig.core.tree, &r->read);
}

void rig_read(struct rig_read *r, pid_t tid, uid_t uid, const char *owner, const char *file)
{
	rig_read_node(r, tid, uid, rig_node(owner, file));
}

void rig_decide(void)
{
	struct list now = LIST_INIT(now);

	while (!list_empty(&undecided)) {
		struct list *first = undecided.next;

		list_del(first);
		list_add_tail(&now, first);
	}
	while (!list_empty(&now)) {
		struct asker *a = list_entry(now.next, struct asker, in_decision);

		list_del(&a->in_decision);
		a->ops->decided(a);
	}
}

void rig_wait(struct rig_read *r)
{
	uint64_t until = clock_boot_ns() + 8 * NS_PER_S;

	while (!r->answers && clock_boot_ns() < until)
		assert_int_equal(loop_once(rig.core.loop, 100), 0);
	assert_int_equal(r->answers, 1);
}

unsigned int rig_audit(const char *text)
{
	static char log[1u << 20];
	ssize_t len = pread(rig.core.audit.fd, log, sizeof(log) - 1, 0);
	unsigned int n = 0;

	assert_true(len >= 0);
	log[len] = 0;
	for (char *rest = log, *line; (line = strsep(&rest, "\n"));)
		n += strstr(line, text) != NULL;
	return n;
}
