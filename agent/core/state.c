// SPDX-License-Identifier: Apache-2.0
/*
 * state.c - state.db: opening, checking, setting aside, migrating; named blobs. svid-core.
 *
 * WAL with synchronous=FULL: a commit is on disk when it returns. Next: state_docs.c.
 */
#include "agent/core/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/state_db.h"

#define APPLICATION_ID 0x53564944 /* "SVID" */
#define ASIDE_MAX 1000

/* Step i brings a database of version i to version i + 1. Append only. */
static const char *const migrations[] = {
	"CREATE TABLE kv (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID, STRICT;"
	"CREATE TABLE docs (kind TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,"
	" json BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID, STRICT;",
	"CREATE TABLE bundles (trust_domain TEXT PRIMARY KEY NOT NULL, der BLOB NOT NULL, jwks BLOB NOT NULL,"
	" sequence INTEGER NOT NULL, changed INTEGER NOT NULL) STRICT;",
};

int state_failed(struct state *st, const char *what)
{
	snprintf(st->problem, sizeof(st->problem), "%s: %s", what,
		 st->db ? sqlite3_errmsg(st->db) : "cannot be opened");
	return -ERR_STATE;
}

int state_exec(struct state *st, const char *sql)
{
	return sqlite3_exec(st->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : state_failed(st, sql);
}

static int get_number(struct state *st, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, sql, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : state_failed(st, sql);
}

static bool is_sound(struct state *st)
{
	sqlite3_stmt *q = NULL;
	bool ok = sqlite3_prepare_v2(st->db, "PRAGMA quick_check(1)", -1, &q, NULL) == SQLITE_OK &&
		  sqlite3_step(q) == SQLITE_ROW && slice_eq_str(slice_str((const char *)sqlite3_column_text(q, 0)), "ok");

	if (!ok)
		snprintf(st->problem, sizeof(st->problem), "state.db is damaged");
	sqlite3_finalize(q);
	return ok;
}

static void db_close(struct state *st)
{
	sqlite3_close_v2(st->db);
	st->db = NULL;
}

static int db_open(struct state *st)
{
	int rc = sqlite3_open_v2(st->path, &st->db,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc == SQLITE_NOMEM)
		return -ENOMEM;
	if (rc != SQLITE_OK)
		return state_failed(st, "open");
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(st->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(st->db, SQLITE_LIMIT_LENGTH, 16 << 20);
	/* One writer: a second svidd on this directory is refused, and no shared memory file is needed. */
	return state_exec(st, "PRAGMA locking_mode=EXCLUSIVE");
}

/* Whether the last error says that the bytes are wrong, not that the disk or the permissions are. */
static bool is_damage(struct state *st)
{
	int rc = sqlite3_extended_errcode(st->db) & 0xff;

	return rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT;
}

enum verdict {
	FILE_USE,
	FILE_ASIDE,
	FILE_REFUSE,
};

/* An empty file is ours to fill; anything else must say that it is ours and be whole. */
static enum verdict judge(struct state *st, int64_t *ret_version)
{
	int64_t id = 0, tables = 0;

	if (get_number(st, "PRAGMA application_id", &id) || get_number(st, "PRAGMA user_version", ret_version) ||
	    get_number(st, "SELECT count(*) FROM sqlite_schema", &tables))
		return is_damage(st) ? FILE_ASIDE : FILE_REFUSE;
	if (!id && !tables)
		return FILE_USE;
	if (id != APPLICATION_ID) {
		snprintf(st->problem, sizeof(st->problem), "state.db belongs to another program");
		return FILE_ASIDE;
	}
	if (*ret_version > (int64_t)ARRAY_SIZE(migrations)) {
		snprintf(st->problem, sizeof(st->problem),
			 "state.db has version %" PRId64 ", this program knows up to %zu: a newer svidd wrote it",
			 *ret_version, ARRAY_SIZE(migrations));
		return FILE_REFUSE;
	}
	return is_sound(st) ? FILE_USE : FILE_ASIDE;
}

static void move_part(const struct state *st, const char *to, const char *suffix)
{
	char from_part[2 * STATE_PATH_MAX], to_part[2 * STATE_PATH_MAX];

	snprintf(from_part, sizeof(from_part), "%s%s", st->path, suffix);
	snprintf(to_part, sizeof(to_part), "%s%s", to, suffix);
	(void)rename(from_part, to_part);
}

/* The journal goes with its database: left behind, it would be replayed into the new one. */
static int set_aside(struct state *st)
{
	char to[STATE_PATH_MAX + 8];

	db_close(st);
	for (int i = 1; i < ASIDE_MAX; i++) {
		snprintf(st->aside, sizeof(st->aside), "state.db.bad-%d", i);
		snprintf(to, sizeof(to), "%s.bad-%d", st->path, i);
		if (access(to, F_OK) == 0)
			continue;
		if (rename(st->path, to) < 0)
			break;
		move_part(st, to, "-wal");
		move_part(st, to, "-shm");
		log_error(EV_STATE, KV("problem", V_S(st->problem)), KV("set_aside", V_S(st->aside)));
		return 0;
	}
	st->aside[0] = 0;
	return state_failed(st, "the damaged file cannot be renamed");
}

static int migrate(struct state *st, int64_t version)
{
	char pragma[64];
	int err = state_exec(st, "BEGIN IMMEDIATE");

	for (size_t i = (size_t)version; i < ARRAY_SIZE(migrations) && !err; i++)
		err = state_exec(st, migrations[i]);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu", ARRAY_SIZE(migrations));
	if (!err)
		err = state_exec(st, pragma);
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id=%d", APPLICATION_ID);
	if (!err)
		err = state_exec(st, pragma);
	if (!err)
		err = state_exec(st, "COMMIT");
	if (err)
		(void)sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int db_prepare(struct state *st, int64_t version)
{
	int err = state_exec(st, "PRAGMA journal_mode=WAL");

	if (!err)
		err = state_exec(st, "PRAGMA synchronous=FULL");
	if (!err && version < (int64_t)ARRAY_SIZE(migrations))
		err = migrate(st, version);
	return err;
}

static int db_start(struct state *st)
{
	int64_t version = 0;
	enum verdict v;
	int err = db_open(st);

	if (err)
		return err;
	v = judge(st, &version);
	if (v == FILE_REFUSE)
		return -ERR_STATE;
	if (v == FILE_ASIDE) {
		version = 0;
		err = set_aside(st);
		if (!err)
			err = db_open(st);
	}
	return err ? err : db_prepare(st, version);
}

int state_open(const char *dir, struct state **ret_state)
{
	struct state *st = mem_new(struct state);
	int err;

	if (!st)
		return -ENOMEM;
	err = snprintf(st->path, sizeof(st->path), "%s/state.db", dir) < (int)sizeof(st->path) ? 0 : -ERR_SIZE;
	if (!err)
		err = db_start(st);
	if (err) {
		log_error(EV_STATE, KV("problem", V_S(st->problem)), KV("err", V_S(err_name(err))));
		state_close(st);
		return err;
	}
	*ret_state = st;
	return 0;
}

void state_close(struct state *st)
{
	if (!st)
		return;
	db_close(st);
	mem_free(st);
}

const char *state_set_aside(const struct state *st)
{
	return st->aside[0] ? st->aside : NULL;
}

bool state_has_lost(const struct state *st)
{
	char bad[STATE_PATH_MAX + 16];

	for (int i = 1; i < ASIDE_MAX; i++) {
		snprintf(bad, sizeof(bad), "%s.bad-%d", st->path, i);
		if (access(bad, F_OK) == 0)
			return true;
	}
	return false;
}

const char *state_problem(const struct state *st)
{
	return st->problem;
}

int state_step(struct state *st, const char *sql, const struct state_bind *binds, size_t n)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, sql, -1, &q, NULL);

	for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
		rc = state_bind(q, (int)i + 1, &binds[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (sqlite3_finalize(q) != SQLITE_OK || rc != SQLITE_DONE)
		return state_failed(st, sql);
	return 0;
}

int state_bind(sqlite3_stmt *q, int at, const struct state_bind *b)
{
	const char *p = b->value.len ? (const char *)b->value.p : "";

	if (b->kind == STATE_NUMBER)
		return sqlite3_bind_int64(q, at, b->number);
	if (b->kind == STATE_BLOB)
		return sqlite3_bind_blob(q, at, p, (int)b->value.len, SQLITE_STATIC);
	return sqlite3_bind_text(q, at, p, (int)b->value.len, SQLITE_STATIC);
}

int state_put_blob(struct state *st, const char *key, struct slice value)
{
	const struct state_bind binds[] = { BIND_TEXT(slice_str(key)), BIND_BLOB(value) };

	if (value.len > LIM_SEALED)
		return -ERR_SIZE;
	return state_step(st, "INSERT OR REPLACE INTO kv (key, value) VALUES (?, ?)", binds, ARRAY_SIZE(binds));
}

int state_del_blob(struct state *st, const char *key)
{
	const struct state_bind binds[] = { BIND_TEXT(slice_str(key)) };

	return state_step(st, "DELETE FROM kv WHERE key = ?", binds, ARRAY_SIZE(binds));
}

int state_get_blob(struct state *st, const char *key, struct buf *ret_value)
{
	const struct state_bind bind = BIND_TEXT(slice_str(key));
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db, "SELECT value FROM kv WHERE key = ?", -1, &q, NULL);
	int err = 0;

	if (rc == SQLITE_OK)
		rc = state_bind(q, 1, &bind);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		buf_put(ret_value, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0));
	else
		err = rc == SQLITE_DONE ? -ERR_NOT_FOUND : state_failed(st, "read");
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
