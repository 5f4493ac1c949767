/* SPDX-License-Identifier: Apache-2.0 */
/* state_db.h - what state.c and state_*.c share: the handle and one way to run a statement. svid-core. */
#ifndef CORE_STATE_DB_H
#define CORE_STATE_DB_H

#include <sqlite3.h>

#include "agent/core/state.h"

#define STATE_PATH_MAX 4096

struct state {
	sqlite3 *db;
	char path[STATE_PATH_MAX];
	char aside[32]; /* "" when nothing was set aside */
	char problem[512];
};

/* One value for a statement; borrowed for the call. */
struct state_bind {
	enum { STATE_TEXT, STATE_BLOB, STATE_NUMBER } kind;
	struct slice value;
	int64_t number;
};

#define BIND_TEXT(s_) { .kind = STATE_TEXT, .value = (s_) }
#define BIND_BLOB(s_) { .kind = STATE_BLOB, .value = (s_) }
#define BIND_NUMBER(n_) { .kind = STATE_NUMBER, .number = (n_) }

/** state_failed() - remember what SQLite says about @what. Returns -ERR_STATE. */
int state_failed(struct state *st, const char *what);

/** state_exec() - run statements without values. Errors: -ERR_STATE. */
MUST int state_exec(struct state *st, const char *sql);

/** state_step() - run one statement that returns no rows. Errors: -ERR_STATE. */
MUST int state_step(struct state *st, const char *sql, const struct state_bind *binds, size_t n);

/** state_bind() - bind value number @at (from 1). Errors: SQLite's codes, not ours. */
MUST int state_bind(sqlite3_stmt *q, int at, const struct state_bind *b);

/** state_column() - bytes of column @at of the row that @q stands on; borrowed until the next step. */
struct slice state_column(sqlite3_stmt *q, int at);

#endif
