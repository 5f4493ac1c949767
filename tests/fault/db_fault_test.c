/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/db agent/core/state.c agent/core/state_docs.c agent/core/state_bundles.c */
/*
 * db_fault_test.c - SQLite allocates by itself: each of its allocations in turn fails. A file that could not be looked at is no
 * damaged one, what could not be read is not empty, and with memory back all is there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"
#include "agent/core/state.h"

#define MAX_STEPS 20000
#define SEALED "the authority, sealed"

static sqlite3_mem_methods real;
static char dir[] = "/tmp/svid-db-fault-XXXXXX";

/* The fault is mem.h's: what it gives is only asked whether there would have been some. */
static bool fails(void)
{
	void *p = mem_calloc(1, 1);

	mem_free(p);
	return !p;
}

static void *sql_malloc(int n)
{
	return fails() ? NULL : real.xMalloc(n);
}

static void *sql_realloc(void *p, int n)
{
	return fails() ? NULL : real.xRealloc(p, n);
}

static int store(void)
{
	struct state *st = NULL;
	int err = state_open(dir, &st);

	if (!err)
		err = state_put_blob(st, STATE_AUTHORITY, slice_str(SEALED));
	state_close(st);
	return err;
}

/* As svid-core does it at its start, and when the authority is another. */
static int work(void)
{
	AUTO(buf) struct buf b = BUF_INIT(1024);
	struct state *st = NULL;
	int err = state_open(dir, &st);

	if (err)
		return err;
	assert_null(state_set_aside(st));
	err = state_get_blob(st, STATE_AUTHORITY, &b);
	assert_int_not_equal(err, -ERR_NOT_FOUND); /* that would be a new authority */
	assert_true(err || slice_eq_str(buf_slice(&b), SEALED));
	if (!err)
		err = state_put_blob(st, STATE_AUTHORITY, slice_str(SEALED));
	state_close(st);
	return err;
}

static void what_cannot_be_looked_at_is_not_damaged_and_not_empty(void **state)
{
	int err, hit = 1;
	long n;

	(void)state;
	assert_int_equal(store(), 0);
	for (n = 0; hit && n < MAX_STEPS; n++) {
		mem_fail_after(n);
		err = work();
		hit = mem_fail_after(-1);
		if (err && (!hit || (err != -ENOMEM && err != -ERR_STATE)))
			fail_msg("allocation %ld: %s", n, err_name(err));
		if (work())
			fail_msg("not there after allocation %ld failed", n);
	}
	assert_in_range(n, 100, MAX_STEPS - 1);
	print_message("%ld allocations\n", n);
}

static void remove_all(void)
{
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm", "state.db-journal", "state.db.bad-1",
					     "state.db.bad-1-wal" };
	char path[80];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_looked_at_is_not_damaged_and_not_empty),
	};
	sqlite3_mem_methods ours;
	int failed;

	if (!mkdtemp(dir) || sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real) != SQLITE_OK)
		return 2;
	ours = real;
	ours.xMalloc = sql_malloc;
	ours.xRealloc = sql_realloc;
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) != SQLITE_OK)
		return 2;
	log_init("test", LOG_ERROR);
	failed = cmocka_run_group_tests_name("fault/db", tests, NULL, NULL);
	remove_all();
	return failed;
}
