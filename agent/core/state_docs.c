// SPDX-License-Identifier: Apache-2.0
/* state_docs.c - the last good version of each document in state.db. svid-core, for docs.c. */
#include "agent/core/state_db.h"

int state_begin(struct state *st)
{
	return state_exec(st, "BEGIN IMMEDIATE");
}

int state_commit(struct state *st)
{
	int err = state_exec(st, "COMMIT");

	if (err)
		state_rollback(st);
	return err;
}

void state_rollback(struct state *st)
{
	(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
}

int state_put_doc(struct state *st, const struct state_doc *doc)
{
	const struct state_bind binds[] = {
		BIND_TEXT(doc->kind),	BIND_TEXT(doc->name), BIND_TEXT(doc->file),
		BIND_NUMBER(doc->line), BIND_BLOB(doc->json),
	};

	return state_step(st, "INSERT OR REPLACE INTO docs (kind, name, file, line, json) VALUES (?, ?, ?, ?, ?)",
			  binds, ARRAY_SIZE(binds));
}

int state_del_doc(struct state *st, struct slice kind, struct slice name)
{
	const struct state_bind binds[] = { BIND_TEXT(kind), BIND_TEXT(name) };

	return state_step(st, "DELETE FROM docs WHERE kind = ? AND name = ?", binds, ARRAY_SIZE(binds));
}

int state_clear_docs(struct state *st)
{
	return state_exec(st, "DELETE FROM docs");
}

struct slice state_column(sqlite3_stmt *q, int at)
{
	const void *p = sqlite3_column_blob(q, at);

	return slice_of(p, p ? (size_t)sqlite3_column_bytes(q, at) : 0);
}

int state_each_doc(struct state *st, int (*each)(void *arg, const struct state_doc *doc), void *arg)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, "SELECT kind, name, file, line, json FROM docs ORDER BY kind, name", -1, &q,
				    NULL);
	int err = rc == SQLITE_OK ? 0 : state_failed(st, "read documents");

	while (!err && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		const struct state_doc doc = {
			.kind = state_column(q, 0),
			.name = state_column(q, 1),
			.file = state_column(q, 2),
			.line = (uint32_t)sqlite3_column_int64(q, 3),
			.json = state_column(q, 4),
		};

		err = each(arg, &doc);
	}
	if (!err && rc != SQLITE_DONE)
		err = state_failed(st, "read documents");
	sqlite3_finalize(q);
	return err;
}
