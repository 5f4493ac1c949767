// SPDX-License-Identifier: Apache-2.0
/*
 * db.c - opening a database, checking whose it is and whether it is whole, setting it aside, migrating it; statements.
 * WAL with synchronous=FULL: a commit is on disk when it returns; of what can be had anew it is with the kernel, so it outlives
 * the process and not the machine, and no loop waits for a disk. svid-core and svid-cloud.
 */
#include "agent/db/db.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"

#define ASIDE_MAX 1000

int db_failed(struct db *db, const char *what)
{
	snprintf(db->problem, sizeof(db->problem), "%s: %s", what,
		 db->sql ? sqlite3_errmsg(db->sql) : "cannot be opened");
	return -ERR_STATE;
}

int db_exec(struct db *db, const char *sql)
{
	return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_failed(db, sql);
}

static int get_number(struct db *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->sql, sql, -1, &q, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		*ret_value = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return rc == SQLITE_ROW ? 0 : db_failed(db, sql);
}

static void file_close(struct db *db)
{
	sqlite3_close_v2(db->sql);
	db->sql = NULL;
}

static int file_open(struct db *db)
{
	int rc = sqlite3_open_v2(db->path, &db->sql,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc == SQLITE_NOMEM)
		return -ENOMEM;
	if (rc != SQLITE_OK)
		return db_failed(db, "open");
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db->sql, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(db->sql, SQLITE_LIMIT_LENGTH, 16 << 20);
	/* One writer: a second svidd on this directory is refused, and no shared memory file is needed. */
	return db_exec(db, "PRAGMA locking_mode=EXCLUSIVE");
}

/* Whether the last error says that the bytes are wrong, not that the disk or the permissions are. */
static bool is_damage(struct db *db)
{
	int rc = sqlite3_extended_errcode(db->sql) & 0xff;

	return rc == SQLITE_NOTADB || rc == SQLITE_CORRUPT;
}

enum verdict {
	FILE_USE,
	FILE_ASIDE,
	FILE_REFUSE,
};

static enum verdict check(struct db *db, const char *sql)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->sql, sql, -1, &q, NULL);
	const char *text;
	enum verdict v = FILE_REFUSE; /* not looked at: without memory, or a disk that cannot be read, nothing is said of it */

	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(q, 0) : NULL;
	if (text)
		v = strcmp(text, "ok") == 0 ? FILE_USE : FILE_ASIDE;
	else if (is_damage(db))
		v = FILE_ASIDE;
	else
		(void)db_failed(db, sql);
	if (v == FILE_ASIDE)
		snprintf(db->problem, sizeof(db->problem), "%s is damaged", db->plan->name);
	sqlite3_finalize(q);
	return v;
}

/* An empty file is ours to fill; anything else must say that it is ours and be whole. */
static enum verdict judge(struct db *db, int64_t *ret_version)
{
	int64_t id = 0, tables = 0;

	if (get_number(db, "PRAGMA application_id", &id) || get_number(db, "PRAGMA user_version", ret_version) ||
	    get_number(db, "SELECT count(*) FROM sqlite_schema", &tables))
		return is_damage(db) ? FILE_ASIDE : FILE_REFUSE;
	if (!id && !tables)
		return FILE_USE;
	if (id != db->plan->application_id) {
		snprintf(db->problem, sizeof(db->problem), "%s belongs to another program", db->plan->name);
		return FILE_ASIDE;
	}
	if (*ret_version > (int64_t)db->plan->n_migrations) {
		snprintf(db->problem, sizeof(db->problem),
			 "%s has version %" PRId64 ", this program knows up to %zu: a newer svidd wrote it", db->plan->name,
			 *ret_version, db->plan->n_migrations);
		return FILE_REFUSE;
	}
	return check(db, "PRAGMA quick_check(1)");
}

static void move_part(const struct db *db, const char *to, const char *suffix)
{
	char from_part[2 * DB_PATH_MAX], to_part[2 * DB_PATH_MAX];

	snprintf(from_part, sizeof(from_part), "%s%s", db->path, suffix);
	snprintf(to_part, sizeof(to_part), "%s%s", to, suffix);
	(void)rename(from_part, to_part);
}

/* The journal goes with its database: left behind, it would be replayed into the new one. */
static int set_aside(struct db *db)
{
	char to[DB_PATH_MAX + 8];

	file_close(db);
	for (int i = 1; i < ASIDE_MAX; i++) {
		snprintf(db->aside, sizeof(db->aside), "%s.bad-%d", db->plan->name, i);
		snprintf(to, sizeof(to), "%s.bad-%d", db->path, i);
		if (access(to, F_OK) == 0)
			continue;
		if (rename(db->path, to) < 0)
			break;
		move_part(db, to, "-wal");
		move_part(db, to, "-shm");
		log_error(EV_STATE, KV("problem", V_S(db->problem)), KV("set_aside", V_S(db->aside)));
		return 0;
	}
	db->aside[0] = 0;
	return db_failed(db, "the damaged file cannot be renamed");
}

static int migrate(struct db *db, int64_t version)
{
	char pragma[64];
	int err = db_exec(db, "BEGIN IMMEDIATE");

	for (size_t i = (size_t)version; i < db->plan->n_migrations && !err; i++)
		err = db_exec(db, db->plan->migrations[i]);
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%zu", db->plan->n_migrations);
	if (!err)
		err = db_exec(db, pragma);
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id=%d", db->plan->application_id);
	if (!err)
		err = db_exec(db, pragma);
	if (!err)
		err = db_exec(db, "COMMIT");
	if (err)
		(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	return err;
}

static int prepare(struct db *db, int64_t version)
{
	int err = db_exec(db, "PRAGMA journal_mode=WAL");

	if (!err) /* checkpoints of a few pages: each is a moment in which nothing else is done */
		err = db_exec(db, db->plan->losable ? "PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=64"
						    : "PRAGMA synchronous=FULL");
	if (!err && version < (int64_t)db->plan->n_migrations)
		err = migrate(db, version);
	return err;
}

static int start(struct db *db)
{
	int64_t version = 0;
	enum verdict v;
	int err = file_open(db);

	if (err)
		return err;
	v = judge(db, &version);
	if (v == FILE_REFUSE)
		return -ERR_STATE;
	if (v == FILE_ASIDE) {
		version = 0;
		err = set_aside(db);
		if (!err)
			err = file_open(db);
	}
	return err ? err : prepare(db, version);
}

int db_open(const char *dir, const struct db_plan *plan, struct db *db)
{
	int err;

	*db = (struct db){ .plan = plan };
	err = snprintf(db->path, sizeof(db->path), "%s/%s", dir, plan->name) < (int)sizeof(db->path) ? 0 : -ERR_SIZE;
	if (!err)
		err = start(db);
	if (err) {
		log_error(EV_STATE, KV("problem", V_S(db->problem)), KV("err", V_S(err_name(err))));
		file_close(db);
	}
	return err;
}

void db_close(struct db *db)
{
	file_close(db);
}

bool db_has_lost(const struct db *db)
{
	char bad[DB_PATH_MAX + 16];

	for (int i = 1; i < ASIDE_MAX; i++) {
		snprintf(bad, sizeof(bad), "%s.bad-%d", db->path, i);
		if (access(bad, F_OK) == 0)
			return true;
	}
	return false;
}

int db_step(struct db *db, const char *sql, const struct db_bind *binds, size_t n)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->sql, sql, -1, &q, NULL);

	for (size_t i = 0; i < n && rc == SQLITE_OK; i++)
		rc = db_bind(q, (int)i + 1, &binds[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (sqlite3_finalize(q) != SQLITE_OK || rc != SQLITE_DONE)
		return db_failed(db, sql);
	return 0;
}

int db_bind(sqlite3_stmt *q, int at, const struct db_bind *b)
{
	const char *p = b->value.len ? (const char *)b->value.p : "";

	if (b->kind == DB_NUMBER)
		return sqlite3_bind_int64(q, at, b->number);
	if (b->kind == DB_BLOB)
		return sqlite3_bind_blob(q, at, p, (int)b->value.len, SQLITE_STATIC);
	return sqlite3_bind_text(q, at, p, (int)b->value.len, SQLITE_STATIC);
}

struct slice db_column(sqlite3_stmt *q, int at)
{
	const void *p = sqlite3_column_blob(q, at);

	return slice_of(p, p ? (size_t)sqlite3_column_bytes(q, at) : 0);
}
