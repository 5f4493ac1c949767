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
#include "agent/core/json.h"
#include "agent/ipc/msg.h"

#define AGENT_FILE "svid.yaml"

struct docs {
	struct state *st; /* NULL: nothing is remembered */
	bool unsaved;	  /* state.db does not hold force.rows */
	bool running;	  /* between docs_begin() and PC_DONE or docs_end() */
	struct docs_run run;
	uint32_t sent_errors; /* of the run, without warnings */
	struct docs_force force;
	struct doc_errors errors;
	uint64_t generation;
	uint32_t next_number;
	char trust_domain[LIM_TRUST_DOMAIN + 1]; /* that the state belongs to; "" when none */
};

static void run_done(struct docs_run *run)
{
	rows_done(&run->docs);
	files_done(&run->files);
	errors_done(&run->errors);
	run->complete = false;
}

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
	run_done(&d->run);
	docs_force_done(&d->force);
	errors_done(&d->errors);
	mem_free(d);
}

void docs_begin(struct docs *d)
{
	run_done(&d->run);
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

static int save_changes(struct docs *d, const struct doc_rows *now)
{
	const struct doc_rows *was = &d->force.rows;
	int err = d->unsaved ? state_clear_docs(d->st) : 0;

	for (size_t i = 0; i < was->n && !err && !d->unsaved; i++) {
		const struct doc_row *row = was->v[i].row;

		if (!rows_find(now, row->kind, row->name))
			err = state_del_doc(d->st, slice_str(row->kind), slice_str(row->name));
	}
	for (size_t i = 0; i < now->n && !err; i++) {
		const struct doc_row *row = now->v[i].row;
		struct doc_entry *e = rows_find(was, row->kind, row->name);
		const struct state_doc doc = { slice_str(row->kind), slice_str(row->name), slice_str(row->file),
					       slice_str(row->json), row->line };

		if (d->unsaved || !e || e->row->line != row->line || strcmp(e->row->file, row->file) ||
		    strcmp(e->row->json, row->json))
			err = state_put_doc(d->st, &doc);
	}
	return err;
}

static int save_rows(struct docs *d, const struct doc_rows *now)
{
	int err = state_begin(d->st);

	if (err)
		return err;
	err = save_changes(d, now);
	if (!err)
		return state_commit(d->st);
	state_rollback(d->st);
	return err;
}

static int save_trust_domain(struct docs *d, const char *td)
{
	if (!*td || *d->trust_domain)
		return 0;
	snprintf(d->trust_domain, sizeof(d->trust_domain), "%s", td);
	return d->st ? state_put_blob(d->st, STATE_TRUST_DOMAIN, slice_str(td)) : 0;
}

/* What cannot be written is in force all the same: a withdrawal must not wait for a full disk to end. */
static void save(struct docs *d, const struct docs_force *new)
{
	int err = save_trust_domain(d, new->settings->trust_domain);

	if (!err && d->st)
		err = save_rows(d, &new->rows);
	d->unsaved = err != 0;
	if (err)
		note(&d->run.errors, "state.db", state_problem(d->st));
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

static int apply(struct docs *d, bool *ret_changed)
{
	AUTO(docs_force) struct docs_force new = { 0 };
	int err = docs_apply(&d->run, &d->force, d->trust_domain, &d->next_number, &new);

	if (err)
		return err;
	save(d, &new);
	docs_force_done(&d->force);
	d->force = new;
	new = (struct docs_force){ 0 };
	errors_done(&d->errors);
	d->errors = d->run.errors;
	d->run.errors = (struct doc_errors){ 0 };
	run_done(&d->run);
	d->running = false;
	d->generation++;
	log_generation(d);
	*ret_changed = true;
	return 0;
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

static int on_done(struct docs *d, struct slice body, bool *ret_changed)
{
	struct msg_PC_DONE m;
	int err = msg_get_PC_DONE(body, &m);

	/* A count that is off means that something was lost, and a lost document would be a withdrawn one. */
	if (err || m.documents != d->run.docs.n || m.errors != d->sent_errors)
		return -ERR_FORMAT;
	d->run.complete = true;
	err = apply(d, ret_changed);
	if (err)
		d->run.complete = false;
	return err;
}

int docs_message(struct docs *d, uint16_t type, struct slice body, bool *ret_changed)
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
		return on_done(d, body, ret_changed);
	default:
		return -ERR_PERMIT;
	}
}

int docs_end(struct docs *d, const char *why, bool *ret_changed)
{
	if (!d->running)
		return 0;
	rows_done(&d->run.docs);
	note(&d->run.errors, AGENT_FILE, why);
	return apply(d, ret_changed);
}

uint64_t docs_generation(const struct docs *d)
{
	return d->generation;
}

const struct policy *docs_policy(const struct docs *d)
{
	return d->force.policy;
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
	put_stale(d, &j);
	json_open(&j, "errors", '[');
	for (size_t i = 0; i < d->errors.n; i++)
		put_error(&d->errors.v[i], &j);
	json_close(&j, ']');
	json_close(&j, '}');
}
