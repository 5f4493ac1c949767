// SPDX-License-Identifier: Apache-2.0
/*
 * docs.c - takes the compiler's messages and swaps generations; remembers what is good in state.db.
 * svid-core. The rules are in docs_apply.c.
 */
#include "agent/core/docs.h"

#include <errno.h>
#include <stdio.h>

#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/docs_apply.h"
#include "agent/core/docs_save.h"
#include "agent/core/json.h"
#include "agent/ipc/msg.h"

#define AGENT_FILE "svid.yaml"

#define COST_FREE 60 /* one document with all that hangs on it */
#define FREE_BATCH 64
#define COST_SWAP 1000

/* What was in force, or came from a run, and is not needed any more. */
struct grave {
	struct grave *next;
	struct docs_force force;
	struct docs_run run;
};

struct docs {
	struct state *st;     /* NULL: nothing is remembered */
	struct saver *saver;  /* likewise */
	bool running;	      /* between docs_begin() and PC_DONE or docs_end() */
	struct docs_run run;  /* that comes in */
	uint32_t sent_errors; /* of it, without warnings */
	bool waiting;	      /* whether there is one in next */
	struct docs_run next; /* came in while another is in the making */
	struct stage *stage;  /* NULL: none is in the making */
	struct docs_force force;
	struct doc_errors errors;
	struct grave *graves;
	uint64_t generation;
	uint32_t next_number;
	char trust_domain[LIM_TRUST_DOMAIN + 1]; /* that the state belongs to; "" when none */
};

static int load_row(void *arg, const struct state_doc *doc)
{
	return rows_add(arg, doc);
}

static int load_trust_domain(struct docs *d)
{
	AUTO(buf) struct buf td = BUF_INIT(LIM_TRUST_DOMAIN + 1);
	int err = state_get_blob(d->st, STATE_TRUST_DOMAIN, &td);

	if (!err)
		snprintf(d->trust_domain, sizeof(d->trust_domain), "%s", buf_cstr(&td));
	return err == -ERR_NOT_FOUND ? 0 : err;
}

static int load(struct docs *d)
{
	int err = load_trust_domain(d);

	if (!err)
		err = state_each_doc(d->st, load_row, &d->force.rows);
	(void)rows_sort(&d->force.rows);
	return err;
}

/* Later, in slices; now, when there is no memory to remember it. */
static void put_away(struct docs *d, struct docs_force *force, struct docs_run *run)
{
	struct grave *g = mem_new(struct grave);

	if (!g) {
		docs_force_done(force);
		docs_run_done(run);
		return;
	}
	*g = (struct grave){ d->graves, *force, *run };
	*force = (struct docs_force){ 0 };
	*run = (struct docs_run){ 0 };
	d->graves = g;
}

static void drop_run(struct docs *d, struct docs_run *run)
{
	struct docs_force none = { 0 };

	if (run->docs.v || run->files.v || run->errors.v)
		put_away(d, &none, run);
	*run = (struct docs_run){ 0 };
}

/* A batch of the latest grave. */
static void bury(struct docs *d)
{
	struct grave *g = d->graves;

	if (!policy_free_some(g->force.policy, FREE_BATCH))
		return;
	g->force.policy = NULL;
	if (!rows_done_some(&g->force.rows, FREE_BATCH) || !rows_done_some(&g->run.docs, FREE_BATCH) ||
	    !errors_done_some(&g->run.errors, FREE_BATCH))
		return;
	d->graves = g->next;
	docs_force_done(&g->force);
	docs_run_done(&g->run);
	mem_free(g);
}

int docs_new(struct state *st, struct docs **ret_docs)
{
	struct docs *d = mem_new(struct docs);
	int err = 0;

	if (!d)
		return -ENOMEM;
	d->st = st;
	d->next_number = 1;
	d->force.settings = settings_default();
	if (!d->force.settings)
		err = -ENOMEM;
	if (!err)
		err = policy_new(NULL, 0, &d->force.policy);
	if (!err && st)
		err = load(d);
	if (!err && st)
		err = saver_new(st, &d->force.rows, &d->saver);
	if (err) {
		docs_free(d);
		return err;
	}
	*ret_docs = d;
	return 0;
}

void docs_free(struct docs *d)
{
	if (!d)
		return;
	while (d->graves)
		bury(d);
	docs_run_done(&d->run);
	docs_run_done(&d->next);
	stage_free(d->stage);
	saver_free(d->saver);
	docs_force_done(&d->force);
	errors_done(&d->errors);
	mem_free(d);
}

void docs_begin(struct docs *d)
{
	drop_run(d, &d->run);
	d->running = true;
	d->sent_errors = 0;
}

/* An error of our own, beside those of the compiler; a full list loses it, which the log does not. */
static void note(struct doc_errors *errors, const char *file, const char *text)
{
	struct doc_error e = { .file = (char *)file, .kind = "", .name = "", .text = (char *)text };

	log_warn(EV_POLICY_ERROR, KV("file", V_S(file)), KV("why", V_S(text)));
	if (errors_add(errors, &e))
		log_warn(EV_LIMIT, KV("what", V_S("list of policy errors")));
}

static int save_trust_domain(struct docs *d, const char *td)
{
	if (!*td || *d->trust_domain)
		return 0;
	snprintf(d->trust_domain, sizeof(d->trust_domain), "%s", td);
	return d->st ? state_put_blob(d->st, STATE_TRUST_DOMAIN, slice_str(td)) : 0;
}

/* What cannot be written is in force all the same: a withdrawal must not wait for a full disk to end. */
static void not_saved(struct docs *d)
{
	note(&d->errors, "state.db", state_problem(d->st));
}

static void log_generation(const struct docs *d)
{
	size_t stale, n = policy_count(d->force.policy, &stale);

	log_info(EV_POLICY, KV("generation", V_U(d->generation)), KV("identities", V_U(n)), KV("stale", V_U(stale)),
		 KV("errors", V_U(d->errors.n)));
	for (size_t i = 0; i < d->errors.n; i++)
		if (!d->errors.v[i].warning)
			log_warn(EV_POLICY_ERROR, KV("file", V_S(d->errors.v[i].file)),
				 KV("line", V_U(d->errors.v[i].line)), KV("why", V_S(d->errors.v[i].text)));
}

/* Everything is made: from this moment it holds. */
static void swap(struct docs *d)
{
	struct docs_force new = { 0 };
	struct docs_run run = { 0 };
	struct doc_errors old = d->errors;

	stage_take(d->stage, &new, &run);
	stage_free(take(&d->stage));
	d->errors = run.errors;
	run.errors = old;
	put_away(d, &d->force, &run);
	d->force = new;
	if (save_trust_domain(d, new.settings->trust_domain))
		not_saved(d);
	if (d->saver)
		saver_begin(d->saver);
	d->generation++;
	log_generation(d);
}

/* A run is complete in itself and not made yet: a later one says more, unless it broke off. */
static void enqueue(struct docs *d)
{
	if (d->waiting && d->next.complete && !d->run.complete) {
		drop_run(d, &d->run);
	} else {
		drop_run(d, &d->next);
		d->next = d->run;
		d->run = (struct docs_run){ 0 };
	}
	d->waiting = true;
	d->running = false;
}

static int begin_stage(struct docs *d, struct docs_run *run)
{
	return stage_new(run, &d->force, d->trust_domain, &d->next_number, &d->stage);
}

/* What was sent cannot be used at all: as if it had broken off. */
static int break_off(struct docs *d)
{
	struct docs_force none = { 0 };
	struct docs_run run = { 0 };
	int err;

	stage_take(d->stage, &none, &run);
	stage_free(take(&d->stage));
	docs_force_done(&none);
	rows_done(&run.docs);
	run.complete = false;
	note(&run.errors, AGENT_FILE, "svid compile sent what it must not");
	err = begin_stage(d, &run);
	if (err)
		docs_run_done(&run);
	return err;
}

static int step(struct docs *d, struct budget *b, bool *ret_changed)
{
	int over = 0;

	if (!d->stage) {
		over = begin_stage(d, &d->next);
		d->waiting = over != 0;
	}
	if (!over)
		over = stage_step(d->stage, b);
	if (over == -ERR_FORMAT)
		return break_off(d);
	if (over <= 0)
		return over;
	swap(d);
	budget_spend(b, COST_SWAP);
	*ret_changed = true;
	return 0;
}

bool docs_busy(const struct docs *d)
{
	return d->stage || d->waiting;
}

int docs_step(struct docs *d, struct budget *b, bool *ret_changed)
{
	int err = 0;

	while (docs_busy(d) && b->left && !*ret_changed && !err)
		err = step(d, b, ret_changed);
	if (!err)
		return 0;
	stage_free(take(&d->stage));
	drop_run(d, &d->next);
	d->waiting = false;
	return err;
}

bool docs_untidy(const struct docs *d)
{
	return d->graves || (d->saver && saver_busy(d->saver));
}

void docs_tidy(struct docs *d, struct budget *b)
{
	if (d->saver && saver_busy(d->saver) && saver_step(d->saver, &d->force.rows, b))
		not_saved(d);
	while (d->graves && b->left) {
		bury(d);
		budget_spend(b, FREE_BATCH * COST_FREE);
	}
}

/* -ENOMEM stays; everything else means that the compiler broke the rules. */
static int broken(int err)
{
	return err && err != -ENOMEM && err != -ERR_LIMIT ? -ERR_FORMAT : err;
}

static int on_file(struct docs *d, struct slice body)
{
	struct msg_PC_FILE m;
	int err = msg_get_PC_FILE(body, &m);

	if (err || !m.file.len || m.parsed > 1)
		return -ERR_FORMAT;
	return broken(files_add(&d->run.files, m.file, m.parsed));
}

static int on_doc(struct docs *d, struct slice body)
{
	const struct doc_file *file;
	struct msg_PC_DOC m;
	int err = msg_get_PC_DOC(body, &m);

	if (err || !m.kind.len || !m.name.len || (m.json.len && memchr(m.json.p, 0, m.json.len)))
		return -ERR_FORMAT;
	file = files_find(&d->run.files, m.file);
	if (!file || !file->parsed)
		return -ERR_FORMAT;
	return broken(rows_add(&d->run.docs, &(struct state_doc){ m.kind, m.name, m.file, m.json, m.line }));
}

static int on_error(struct docs *d, struct slice body)
{
	struct msg_PC_ERROR m;
	int err = msg_get_PC_ERROR(body, &m);
	AUTO_FREE char *file = err ? NULL : slice_dup(m.file);
	AUTO_FREE char *kind = err ? NULL : slice_dup(m.kind);
	AUTO_FREE char *name = err ? NULL : slice_dup(m.name);
	AUTO_FREE char *text = err ? NULL : slice_dup(m.text);
	struct doc_error e;

	if (err || m.warning > 1)
		return -ERR_FORMAT;
	if (!file || !kind || !name || !text)
		return -ENOMEM;
	e = (struct doc_error){ file, m.line, m.column, kind, name, text, m.warning };
	d->sent_errors += !e.warning;
	return broken(errors_add(&d->run.errors, &e));
}

static int on_done(struct docs *d, struct slice body)
{
	struct msg_PC_DONE m;
	int err = msg_get_PC_DONE(body, &m);

	/* A count that is off means that something was lost, and a lost document would be a withdrawn one. */
	if (err || m.documents != d->run.docs.n || m.errors != d->sent_errors)
		return -ERR_FORMAT;
	d->run.complete = true;
	enqueue(d);
	return 0;
}

int docs_message(struct docs *d, uint16_t type, struct slice body)
{
	if (!d->running)
		return -ERR_PERMIT;
	switch (type) {
	case MSG_PC_FILE:
		return on_file(d, body);
	case MSG_PC_DOC:
		return on_doc(d, body);
	case MSG_PC_ERROR:
		return on_error(d, body);
	case MSG_PC_DONE:
		return on_done(d, body);
	default:
		return -ERR_PERMIT;
	}
}

void docs_end(struct docs *d, const char *why)
{
	if (!d->running)
		return;
	rows_done(&d->run.docs);
	note(&d->run.errors, AGENT_FILE, why);
	enqueue(d);
}

uint64_t docs_generation(const struct docs *d)
{
	return d->generation;
}

const struct policy *docs_policy(const struct docs *d)
{
	return d->force.policy;
}

const struct cloud_docs *docs_clouds(const struct docs *d)
{
	return &d->force.clouds;
}

void docs_each_source(const struct docs *d, void (*each)(void *arg, const char *name, const char *json, bool stale), void *arg)
{
	for (size_t i = 0; i < d->force.rows.n; i++) {
		const struct doc_entry *e = &d->force.rows.v[i];

		if (strcmp(e->row->kind, KIND_SOURCE) == 0)
			each(arg, e->row->name, e->row->json, e->stale);
	}
}

const struct settings *docs_settings(const struct docs *d)
{
	return d->force.settings;
}

const struct doc_error *docs_errors(const struct docs *d, size_t *ret_n)
{
	*ret_n = d->errors.n;
	return d->errors.v;
}

static void put_stale(const struct docs *d, struct json *j)
{
	json_open(j, "stale", '[');
	for (size_t i = 0; i < d->force.rows.n; i++) {
		const struct doc_entry *e = &d->force.rows.v[i];

		if (!e->stale)
			continue;
		json_open(j, NULL, '{');
		json_str(j, "kind", e->row->kind);
		json_str(j, "name", e->row->name);
		json_str(j, "file", e->row->file);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_error(const struct doc_error *e, struct json *j)
{
	json_open(j, NULL, '{');
	json_str(j, "file", e->file);
	json_u64(j, "line", e->line);
	json_u64(j, "column", e->column);
	json_str(j, "kind", e->kind);
	json_str(j, "name", e->name);
	json_str(j, "severity", e->warning ? "warning" : "error");
	json_str(j, "text", e->text);
	json_close(j, '}');
}

void docs_put_status(const struct docs *d, struct buf *out)
{
	struct json j = JSON_INIT(out);

	json_open(&j, NULL, '{');
	json_u64(&j, "generation", d->generation);
	json_u64(&j, "documents", d->force.rows.n);
	json_bool(&j, "applying", docs_busy(d));
	json_bool(&j, "stored", d->saver && saver_whole(d->saver));
	put_stale(d, &j);
	json_open(&j, "errors", '[');
	for (size_t i = 0; i < d->errors.n; i++)
		put_error(&d->errors.v[i], &j);
	json_close(&j, ']');
	json_close(&j, '}');
}
