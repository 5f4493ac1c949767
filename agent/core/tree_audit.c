// SPDX-License-Identifier: Apache-2.0
/* tree_audit.c - what is written of reads in the credential tree. svid-core. */
#include "agent/core/tree_audit.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/core.h"

#define GIVEN 1024 /* pairs of process and file that are remembered */
#define HELPED_PATH 512 /* bytes */
#define REPEAT_NS (LIM_AUDIT_REPEAT_MS * NS_PER_MS)

struct tree_given {
	struct svid_key key; /* start 0: free */
	uint64_t exec_id;
	uint64_t node;	  /* what was read */
	uint32_t identity;
	uint32_t times;	  /* since, without a record */
	uint64_t since;   /* CLOCK_BOOTTIME ns of the last record */
	uint32_t helps;	  /* process that it was read for; 0: for itself */
};

static void on_flush(struct loop_timer *t);

int tree_audit_init(struct tree_audit *a, struct core *c)
{
	*a = (struct tree_audit){ .core = c, .flush.cb = on_flush };
	a->given = mem_calloc(GIVEN, sizeof(*a->given));
	return a->given ? 0 : -ENOMEM;
}

void tree_audit_done(struct tree_audit *a)
{
	loop_timer_stop(&a->flush);
	mem_free(take(&a->given));
}

static const char *spiffe_id_of(const struct core *c, uint32_t identity)
{
	const struct identity *doc = policy_by_number(docs_policy(c->docs), identity);

	return doc ? doc->spiffe_id : NULL;
}

static void put_file(struct json *j, const struct core *c, uint64_t node)
{
	const struct tree_node *n = tree_find(c->tree, node);
	char path[TREE_PATH_MAX];

	if (!n)
		return;
	tree_path(n, path);
	json_str(j, "file", path);
}

/* A hold for as long as it does not work, as with every other decision. */
static int write_line(struct core *c, const struct buf *b)
{
	int err = buf_ok(b);

	if (!err)
		err = audit_write(&c->audit, "read", buf_slice(b));
	if (err)
		hold_set(c, HOLD_AUDIT, -ERR_AUDIT);
	return err ? -ERR_AUDIT : 0;
}

static int write_counted(struct tree_audit *a, struct tree_given *g, uint64_t now)
{
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE / 2);
	struct json j = JSON_INIT(&b);

	json_bool(&j, "allowed", true);
	put_file(&j, a->core, g->node);
	json_str(&j, "spiffe_id", spiffe_id_of(a->core, g->identity));
	json_u64(&j, "pid", g->key.tgid);
	json_u64(&j, "exec_id", g->exec_id);
	if (g->helps)
		json_u64(&j, "for_pid", g->helps);
	json_u64(&j, "times", g->times);
	json_u64(&j, "seconds", (now - g->since + NS_PER_S / 2) / NS_PER_S);
	g->times = 0;
	return write_line(a->core, &b);
}

static void plan_flush(struct tree_audit *a)
{
	if (!loop_timer_armed(&a->flush) && loop_timer_in(a->core->loop, &a->flush, REPEAT_NS))
		log_error(EV_AUDIT, KV("err", V_S("ENOMEM")));
}

static void on_flush(struct loop_timer *t)
{
	struct tree_audit *a = container_of(t, struct tree_audit, flush);
	uint64_t now = clock_boot_ns();
	bool more = false;

	for (size_t i = 0; i < GIVEN; i++) {
		struct tree_given *g = &a->given[i];

		if (!g->times)
			continue;
		if (now - g->since < REPEAT_NS)
			more = true;
		else if (write_counted(a, g, now))
			break;
		else
			g->key.start = 0; /* the next one has its own record again */
	}
	if (more)
		plan_flush(a);
}

static struct tree_given *slot_of(struct tree_audit *a, const struct tree_read *r)
{
	uint64_t h = r->key.start ^ (uint64_t)r->key.tgid << 40 ^ r->exec_id << 20 ^ r->node;

	return &a->given[(h * 0x9e3779b97f4a7c15ull >> 40) % GIVEN];
}

static bool is_same(const struct tree_given *g, const struct tree_read *r)
{
	return g->key.start && memcmp(&g->key, &r->key, sizeof(g->key)) == 0 && g->exec_id == r->exec_id &&
	       g->node == r->node && g->identity == r->identity;
}

static void put_starter(struct json *j, const char *key, const struct tree_starter *s)
{
	const struct decision *d = s->asker.decision;

	json_open(j, key, '{');
	json_u64(j, "pid", s->key.tgid);
	json_u64(j, "exec_id", s->exec_id);
	if (d && !d->path_err)
		json_bytes(j, "path", slice_of(d->path.data, d->path.len < HELPED_PATH ? d->path.len : HELPED_PATH));
	if (d && d->waived)
		json_str(j, "not_enforced", "not-traced");
	json_close(j, '}');
}

/* The process whose identity it is, when the reader is its helper: what the reader's own members do not tell. */
static void put_helped(struct json *j, const struct tree_helper *h)
{
	if (h->why)
		json_str(j, "helper_why", h->why);
	if (!h->used)
		return;
	put_starter(j, "for", &h->up[h->n - 1]);
	if (h->n > 1)
		put_starter(j, "through", &h->up[0]);
}

static int write_read(struct core *c, const struct tree_read *r, int why)
{
	const struct decision *d = r->asker.decision;
	AUTO(buf) struct buf b = BUF_INIT(LIM_AUDIT_LINE);
	struct json j = JSON_INIT(&b);

	json_bool(&j, "allowed", !why);
	if (why)
		json_str(&j, "why", err_name(why));
	put_file(&j, c, r->node);
	if (!why)
		json_str(&j, "spiffe_id", spiffe_id_of(c, r->identity));
	put_helped(&j, &r->helper);
	if (d) {
		buf_put_u8(&b, ',');
		buf_put_slice(&b, buf_slice(&d->audit));
	} else { /* nobody was decided about */
		json_u64(&j, "uid", r->uid);
		if (r->key.tgid)
			json_u64(&j, "pid", r->key.tgid);
	}
	return write_line(c, &b);
}

int tree_audit_given(struct tree_audit *a, const struct tree_read *r)
{
	struct tree_given *g = slot_of(a, r);
	uint64_t now = clock_boot_ns();
	int err = 0;

	if (is_same(g, r) && now - g->since < REPEAT_NS) {
		g->times++;
		a->only_counted++;
		plan_flush(a);
		return 0;
	}
	if (g->times)
		err = write_counted(a, g, now);
	if (!err)
		err = write_read(a->core, r, 0);
	if (!err)
		*g = (struct tree_given){ .key = r->key, .exec_id = r->exec_id, .node = r->node, .identity = r->identity,
					  .since = now, .helps = r->helper.used ? r->helper.up[r->helper.n - 1].key.tgid : 0 };
	return err;
}

int tree_audit_refused(struct tree_audit *a, const struct tree_read *r, const struct svid_who *person, int err)
{
	if (!nobody_wants_record(a->core, person, r->asker.decision))
		return 0;
	return write_read(a->core, r, err);
}
