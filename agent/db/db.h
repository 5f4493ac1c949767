/* SPDX-License-Identifier: Apache-2.0 */
/*
 * db.h - a small SQLite database that one program owns: state.db of svid-core, cache.db of svid-cloud.
 *
 * A file that is corrupted or belongs to another program is renamed, never deleted and never repaired; a file of a newer
 * version is left alone and refused.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <sqlite3.h>
#include <stdbool.h>

#include "agent/base/slice.h"

#define DB_PATH_MAX 4096

/* What a database is. */
struct db_plan {
	const char *name; /* of the file */
	int application_id;
	const char *const *migrations; /* step i brings version i to version i + 1; append only */
	size_t n_migrations;
	bool losable; /* what is in it can be had anew: nobody waits for the disk, and a power failure may cost the file */
};

struct db {
	const struct db_plan *plan;
	sqlite3 *sql; /* NULL: closed */
	char path[DB_PATH_MAX];
	char aside[64];	   /* name of what was set aside by this start, "" when nothing was */
	char problem[512]; /* text of the last failure, for people */
};

/* One value for a statement; borrowed for the call. */
struct db_bind {
	enum { DB_TEXT, DB_BLOB, DB_NUMBER } kind;
	struct slice value;
	int64_t number;
};

#define BIND_TEXT(s_) { .kind = DB_TEXT, .value = (s_) }
#define BIND_BLOB(s_) { .kind = DB_BLOB, .value = (s_) }
#define BIND_NUMBER(n_) { .kind = DB_NUMBER, .number = (n_) }

/**
 * db_open() - open or create it in @dir and bring its tables up to this version.
 * @dir: "/proc/self/fd/N" is fine.
 * @db: closed and with its problem set on failure, which is logged.
 * Errors: -ERR_STATE (newer version, cannot be written, full disk), -ERR_SIZE (path), -ENOMEM.
 */
MUST int db_open(const char *dir, const struct db_plan *plan, struct db *db);

/** db_close() - checkpoint and release; a closed one is fine. */
void db_close(struct db *db);

/** db_has_lost() - whether a file that was put aside, now or by an earlier start, still lies beside it. */
bool db_has_lost(const struct db *db);

/** db_failed() - remember what SQLite says about @what. Returns -ERR_STATE. */
int db_failed(struct db *db, const char *what);

/** db_exec() - run statements without values. Errors: -ERR_STATE. */
MUST int db_exec(struct db *db, const char *sql);

/** db_step() - run one statement that returns no rows. Errors: -ERR_STATE. */
MUST int db_step(struct db *db, const char *sql, const struct db_bind *binds, size_t n);

/** db_bind() - bind value number @at (from 1). Errors: SQLite's codes, not ours. */
MUST int db_bind(sqlite3_stmt *q, int at, const struct db_bind *b);

/** db_column() - bytes of column @at of the row that @q stands on; borrowed until the next step. */
struct slice db_column(sqlite3_stmt *q, int at);

#endif
