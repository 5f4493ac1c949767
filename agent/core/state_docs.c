// SPDX-License-Identifier: Apache-2.0
/* state_docs.c - the last good version of each document in state.db. svid-core, for docs.c. */
#include "agent/core/state_db.h"

int state_begin(struct state *st)
{
	return db_exec(&st->db, "BEGIN IMMEDIATE");
}

int state_commit(struct state *st)
{
	int err = db_exec(&st->db, "COMMIT");

	if (err)
		state_rollback(st);
	return err;
}

void state_rollback(struct state *st)
{
	(void)sqlite3_exec(st->db.sql, "ROLLBACK", NULL, NULL, NULL);
}

int state_put_doc(struct state *st, const struct state_doc *doc)
{
	const struct db_bind binds[] = {
		BIND_TEXT(doc->kind),	BIND_TEXT(doc->name), BIND_TEXT(doc->file),
		BIND_NUMBER(doc->line), BIND_BLOB(doc->json),
	};

	return db_step(&st->db, "INSERT OR REPLACE INTO docs (kind, name, file, line, json) VALUES (?, ?, ?, ?, ?)",
			  binds, ARRAY_SIZE(binds));
}

int state_del_doc(struct state *st, struct slice kind, struct slice name)
{
	const struct db_bind binds[] = { BIND_TEXT(kind), BIND_TEXT(name) };

	return db_step(&st->db, "DELETE FROM docs WHERE kind = ? AND name = ?", binds, ARRAY_SIZE(binds));
}

int state_clear_docs(struct state *st)
{
	return db_exec(&st->db, "DELETE FROM docs");
}

int state_each_doc(struct state *st, int (*each)(void *arg, const struct state_doc *doc), void *arg)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db.sql, "SELECT kind, name, file, line, json FROM docs ORDER BY kind, name", -1, &q,
				    NULL);
	int err = rc == SQLITE_OK ? 0 : db_failed(&st->db, "read documents");

	while (!err && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		const struct state_doc doc = {
			.kind = db_column(q, 0),
			.name = db_column(q, 1),
			.file = db_column(q, 2),
			.line = (uint32_t)sqlite3_column_int64(q, 3),
			.json = db_column(q, 4),
		};

		err = each(arg, &doc);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_failed(&st->db, "read documents");
	sqlite3_finalize(q);
	return err;
}
