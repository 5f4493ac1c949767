/* SPDX-License-Identifier: Apache-2.0 */
/* links: agent/db/db.c */
/* db_test.c - opening a database: made, migrated forward, refused when newer, set aside when damaged or foreign, one owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/err.h"
#include "agent/db/db.h"

static const char *const steps[] = {
	"CREATE TABLE a (n INTEGER NOT NULL) STRICT; INSERT INTO a VALUES (1)",
	"ALTER TABLE a ADD COLUMN t TEXT",
};
static const struct db_plan first = { .name = "t.db", .application_id = 77, .migrations = steps, .n_migrations = 1 };
static const struct db_plan second = { .name = "t.db", .application_id = 77, .migrations = steps, .n_migrations = 2 };
static const struct db_plan losable = { .name = "t.db", .application_id = 77, .migrations = steps, .n_migrations = 1,
					.losable = true };
static const char *const broken_steps[] = { "CREATE TABLE a (n INTEGER)", "CREATE TABLE b (n INTEGER); nonsense" };
static const struct db_plan broken = { .name = "t.db", .application_id = 77, .migrations = broken_steps, .n_migrations = 2 };

static char dir[32];

static int begin(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/svid-db-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
	static const char *const names[] = { "t.db", "t.db-wal", "t.db-shm", "t.db-journal", "t.db.bad-1", "t.db.bad-2",
					     "t.db.bad-1-wal", "t.db.bad-2-wal" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	return rmdir(dir);
}

static int64_t ask(struct db *db, const char *sql)
{
	sqlite3_stmt *q;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db->sql, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	return n;
}

static void write_file(const char *bytes, size_t len, off_t at)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/t.db", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void new_one_is_ours_and_migrates_forward(void **state)
{
	struct db db;

	(void)state;
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_int_equal(ask(&db, "PRAGMA application_id"), 77);
	assert_int_equal(ask(&db, "PRAGMA user_version"), 1);
	assert_string_equal(db.aside, "");
	db_close(&db);
	assert_int_equal(db_open(dir, &second, &db), 0);
	assert_int_equal(ask(&db, "PRAGMA user_version"), 2);
	assert_int_equal(ask(&db, "SELECT n FROM a WHERE t IS NULL"), 1); /* not made twice */
	db_close(&db);
}

static void newer_one_is_refused_and_left_alone(void **state)
{
	struct db db;

	(void)state;
	assert_int_equal(db_open(dir, &second, &db), 0);
	db_close(&db);
	assert_int_equal(db_open(dir, &first, &db), -ERR_STATE);
	assert_null(db.sql);
	assert_non_null(strstr(db.problem, "a newer svidd wrote it"));
	assert_false(db_has_lost(&db));
	assert_int_equal(db_open(dir, &second, &db), 0);
	db_close(&db);
}

static void only_the_machine_s_end_costs_what_can_be_had_anew(void **state)
{
	struct db db;

	(void)state;
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_int_equal(ask(&db, "PRAGMA synchronous"), 2); /* FULL */
	db_close(&db);
	assert_int_equal(db_open(dir, &losable, &db), 0);
	assert_int_equal(ask(&db, "PRAGMA synchronous"), 0);
	assert_int_equal(ask(&db, "PRAGMA wal_autocheckpoint"), 64);
	db_close(&db);
}

static void damaged_and_foreign_ones_are_set_aside(void **state)
{
	struct db db;

	(void)state;
	write_file("this is no database, and long enough to be looked at as one", 59, 0);
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_string_equal(db.aside, "t.db.bad-1");
	assert_true(db_has_lost(&db));
	assert_int_equal(db_exec(&db, "PRAGMA application_id = 78"), 0);
	db_close(&db);
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_string_equal(db.aside, "t.db.bad-2");
	assert_int_equal(ask(&db, "SELECT n FROM a"), 1);
	db_close(&db);
}

static void migration_is_whole_or_not_at_all(void **state)
{
	struct db db;

	(void)state;
	assert_int_equal(db_open(dir, &broken, &db), -ERR_STATE);
	assert_int_equal(db_open(dir, &first, &db), 0); /* nothing of it is there */
	assert_int_equal(ask(&db, "SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
	db_close(&db);
}

static void second_owner_is_refused(void **state)
{
	struct db db, other;

	(void)state;
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_int_equal(db_exec(&db, "INSERT INTO a VALUES (2)"), 0);
	assert_int_equal(db_open(dir, &first, &other), -ERR_STATE);
	assert_int_equal(ask(&db, "SELECT count(*) FROM a"), 2);
	db_close(&db);
}

static void values_go_in_and_come_out(void **state)
{
	static const uint8_t bytes[] = { 0, 1, 255 };
	const struct db_bind binds[] = { BIND_NUMBER(-5), BIND_TEXT(slice_of("a\0b", 3)), BIND_BLOB(slice_of(bytes, 3)) };
	sqlite3_stmt *q;
	struct db db;

	(void)state;
	assert_int_equal(db_open(dir, &first, &db), 0);
	assert_int_equal(db_exec(&db, "CREATE TABLE v (n INTEGER, t TEXT, b BLOB) STRICT"), 0);
	assert_int_equal(db_step(&db, "INSERT INTO v VALUES (?, ?, ?)", binds, 3), 0);
	assert_int_equal(sqlite3_prepare_v2(db.sql, "SELECT n, t, b, NULL FROM v", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int64(q, 0), -5);
	assert_true(slice_eq(db_column(q, 1), slice_of("a\0b", 3)));
	assert_true(slice_eq(db_column(q, 2), slice_of(bytes, 3)));
	assert_int_equal(db_column(q, 3).len, 0);
	sqlite3_finalize(q);
	assert_int_equal(db_step(&db, "INSERT INTO nowhere VALUES (?)", binds, 1), -ERR_STATE);
	assert_non_null(strstr(db.problem, "no such table"));
	db_close(&db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(new_one_is_ours_and_migrates_forward, begin, end),
		cmocka_unit_test_setup_teardown(newer_one_is_refused_and_left_alone, begin, end),
		cmocka_unit_test_setup_teardown(only_the_machine_s_end_costs_what_can_be_had_anew, begin, end),
		cmocka_unit_test_setup_teardown(damaged_and_foreign_ones_are_set_aside, begin, end),
		cmocka_unit_test_setup_teardown(migration_is_whole_or_not_at_all, begin, end),
		cmocka_unit_test_setup_teardown(second_owner_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(values_go_in_and_come_out, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
