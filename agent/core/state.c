// SPDX-License-Identifier: Apache-2.0
/*
 * state.c - state.db: what is in it, and named blobs. svid-core.
 * Next: agent/db/db.c (how it is opened), state_docs.c.
 */
#include "agent/core/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/core/state_db.h"

#define APPLICATION_ID 0x53564944 /* "SVID" */

/* Step i brings a database of version i to version i + 1. Append only. */
static const char *const migrations[] = {
	"CREATE TABLE kv (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE docs (kind TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,"
	" json BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID, STRICT;",
	"CREATE TABLE bundles (trust_domain TEXT PRIMARY KEY NOT NULL, der BLOB NOT NULL, jwks BLOB NOT NULL,"
	" sequence INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;",
};

static const struct db_plan plan = { .name = "state.db", .application_id = APPLICATION_ID, .migrations = migrations,
				     .n_migrations = ARRAY_SIZE(migrations) };

int state_open(const char *dir, struct state **ret_state)
{
	struct state *st = mem_new(struct state);
	int err = st ? db_open(dir, &plan, &st->db) : -ENOMEM;

	if (err)
		mem_free(st);
	else
		*ret_state = st;
	return err;
}

void state_close(struct state *st)
{
	if (!st)
		return;
	db_close(&st->db);
	mem_free(st);
}

const char *state_set_aside(const struct state *st)
{
	return st->db.aside[0] ? st->db.aside : NULL;
}

bool state_has_lost(const struct state *st)
{
	return db_has_lost(&st->db);
}

const char *state_problem(const struct state *st)
{
	return st->db.problem;
}

int state_put_blob(struct state *st, const char *key, struct slice value)
{
	const struct db_bind binds[] = { BIND_TEXT(slice_str(key)), BIND_BLOB(value) };

	if (value.len > LIM_SEALED)
		return -ERR_SIZE;
	return db_step(&st->db, "INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)", binds, ARRAY_SIZE(binds));
}

int state_del_blob(struct state *st, const char *key)
{
	const struct db_bind binds[] = { BIND_TEXT(slice_str(key)) };

	return db_step(&st->db, "DELETE FROM kv WHERE key = ?", binds, ARRAY_SIZE(binds));
}

int state_get_blob(struct state *st, const char *key, struct buf *ret_value)
{
	const struct db_bind bind = BIND_TEXT(slice_str(key));
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db.sql, "SELECT value FROM kv WHERE key = ?", -1, &q, NULL);
	int err = 0;

	if (rc == SQLITE_OK)
		rc = db_bind(q, 1, &bind);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		buf_put(ret_value, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
	else
		err = rc == SQLITE_DONE ? -ERR_NOT_FOUND : db_failed(&st->db, "read");
	sqlite3_finalize(q);
	return err ? err : buf_ok(ret_value);
}

int state_put_time(struct state *st, const char *key, int64_t wall_s)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, wall_s > 0 ? (uint64_t)wall_s : 0);
	return state_put_blob(st, key, slice_str(text));
}

int state_get_time(struct state *st, const char *key, int64_t *ret_wall_s)
{
	AUTO(buf) struct buf text = BUF_INIT(32);
	int err = state_get_blob(st, key, &text);
	uint64_t v;

	if (err)
		return err;
	if (slice_u64_dec(buf_slice(&text), &v) || v > INT64_MAX)
		return -ERR_FORMAT;
	*ret_wall_s = (int64_t)v;
	return 0;
}
