// SPDX-License-Identifier: Apache-2.0
/* state_test.c - state.db: what survives, what is set aside, what is refused.
 * links: agent/core/state.c agent/db agent/core/state_docs.c agent/core/state_bundles.c */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/base/limits.h"
#include "agent/base/mem.h"
#include "agent/core/state.h"

static char dir[64];

static int make_dir(void **unused)
{
	(void)unused;
	snprintf(dir, sizeof(dir), "/tmp/svid-state-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static const char *at(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int remove_dir(void **unused)
{
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm", "state.db-journal",
					     "state.db.bad-1", "state.db.bad-1-wal", "state.db.bad-2" };

	(void)unused;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(at(names[i]));
	return rmdir(dir);
}

static struct state *open_ok(void)
{
	struct state *st = NULL;

	assert_int_equal(state_open(dir, &st), 0);
	assert_non_null(st);
	return st;
}

static void write_file(const char *name, const char *bytes, size_t len)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(at("state.db"), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void garbage_is_set_aside_and_kept(void **unused)
{
	struct state *st;
	char back[8] = { 0 };
	int fd;

	(void)unused;
	write_file("state.db", "this is not a database, and longer than a header has to be to be looked at .......", 82);
	st = open_ok();
	assert_string_equal(state_set_aside(st), "state.db.bad-1");
	state_close(st);
	fd = open(at("state.db.bad-1"), O_RDONLY);
	assert_int_equal(read(fd, back, 7), 7);
	assert_string_equal(back, "this is");
	close(fd);
	st = open_ok();
	assert_null(state_set_aside(st));
	/* a new authority would still be a silent one */
	assert_true(state_has_lost(st));
	assert_int_equal(unlink(at("state.db.bad-1")), 0);
	assert_false(state_has_lost(st));
	state_close(st);
}

static void a_foreign_database_is_set_aside(void **unused)
{
	struct state *st;

	(void)unused;
	run_sql("CREATE TABLE cookies (x); PRAGMA application_id=7;");
	st = open_ok();
	assert_string_equal(state_set_aside(st), "state.db.bad-1");
	state_close(st);
}

static void a_second_damage_does_not_overwrite_the_first(void **unused)
{
	struct state *st;

	(void)unused;
	write_file("state.db.bad-1", "old", 3);
	run_sql("CREATE TABLE cookies (x);");
	st = open_ok();
	assert_string_equal(state_set_aside(st), "state.db.bad-2");
	state_close(st);
}

static void a_newer_version_is_refused_and_left_alone(void **unused)
{
	struct state *st = NULL;

	(void)unused;
	state_close(open_ok());
	run_sql("PRAGMA user_version=99");
	assert_int_equal(state_open(dir, &st), -ERR_STATE);
	assert_null(st);
	assert_int_equal(access(at("state.db.bad-1"), F_OK), -1);
}

#define VERSION_1                                                                                              \
	"CREATE TABLE kv (key TEXT PRIMARY KEY NOT NULL, value BLOB NOT NULL) WITHOUT ROWID, STRICT;"          \
	"CREATE TABLE docs (kind TEXT NOT NULL, name TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL," \
	" json BLOB NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID, STRICT;"                                \
	"INSERT INTO kv VALUES ('authority', x'0102');"                                                        \
	"INSERT INTO docs VALUES ('K', 'n', 'f', 3, x'7b7d');"                                                 \
	"PRAGMA application_id=1398163780; PRAGMA user_version=1;"

static int see_doc(void *arg, const struct state_doc *doc)
{
	assert_true(slice_eq_str(doc->name, "n"));
	(*(int *)arg)++;
	return 0;
}

static int see_bundle(void *arg, const struct state_bundle *b)
{
	(*(int *)arg)++;
	assert_true(slice_eq_str(b->trust_domain, "a.example") && slice_eq_str(b->der, "der") && slice_eq_str(b->jwks, ""));
	assert_true(b->sequence == UINT64_MAX && b->changed == 7);
	return 0;
}

static void what_the_first_version_wrote_is_kept_when_bundles_come(void **unused)
{
	AUTO(buf) struct buf back = BUF_INIT(100);
	struct state_bundle b = { .trust_domain = slice_str("a.example"), .der = slice_str("der"), .jwks = slice_str("x"),
				  .sequence = UINT64_MAX, .changed = 7 };
	struct state *st;
	int docs = 0, bundles = 0;

	(void)unused;
	run_sql(VERSION_1);
	st = open_ok();
	assert_null(state_set_aside(st));
	assert_int_equal(state_get_blob(st, STATE_AUTHORITY, &back), 0);
	assert_int_equal(back.len, 2);
	assert_int_equal(state_each_doc(st, see_doc, &docs), 0);
	assert_int_equal(docs, 1);
	assert_int_equal(state_put_bundle(st, &b), 0);
	b.jwks = slice_str("");
	assert_int_equal(state_put_bundle(st, &b), 0);
	state_close(st);
	st = open_ok();
	assert_int_equal(state_each_bundle(st, see_bundle, &bundles), 0);
	assert_int_equal(bundles, 1);
	assert_int_equal(state_del_bundle(st, slice_str("a.example")), 0);
	assert_int_equal(state_del_bundle(st, slice_str("a.example")), 0);
	assert_int_equal(state_each_bundle(st, see_bundle, &bundles), 0);
	assert_int_equal(bundles, 1);
	state_close(st);
}

static void a_missing_directory_is_an_error(void **unused)
{
	struct state *st = NULL;

	(void)unused;
	assert_int_equal(state_open("/nonexistent/dir", &st), -ERR_STATE);
	assert_null(st);
}

static void a_second_opener_is_refused(void **unused)
{
	struct state *st = open_ok(), *second = NULL;

	(void)unused;
	assert_int_equal(state_open(dir, &second), -ERR_STATE);
	assert_null(second);
	assert_int_equal(access(at("state.db.bad-1"), F_OK), -1);
	state_close(st);
}

static void damage_in_the_middle_is_found(void **unused)
{
	struct state *st = open_ok();
	char *big = calloc(1, 100000);
	int fd;

	(void)unused;
	memset(big, 'x', 100000);
	assert_int_equal(state_put_blob(st, "a", slice_of(big, 100000)), 0);
	state_close(st);
	fd = open(at("state.db"), O_WRONLY);
	assert_int_equal(pwrite(fd, big, 8192, 4096), 8192);
	close(fd);
	free(big);
	st = open_ok();
	assert_non_null(state_set_aside(st));
	state_close(st);
}

static void get_of_an_unknown_key_is_not_found(void **unused)
{
	struct state *st = open_ok();
	AUTO(buf) struct buf out = BUF_INIT(100);
	int64_t t = 5;

	(void)unused;
	assert_int_equal(state_get_blob(st, "nothing", &out), -ERR_NOT_FOUND);
	assert_int_equal(state_get_time(st, "nothing", &t), -ERR_NOT_FOUND);
	assert_int_equal(t, 5);
	assert_int_equal(state_del_blob(st, "nothing"), 0);
	state_close(st);
}

static void a_blob_above_the_limit_is_refused(void **unused)
{
	struct state *st = open_ok();
	char *big = calloc(1, LIM_SEALED + 1);
	AUTO(buf) struct buf small = BUF_INIT(3);

	(void)unused;
	assert_int_equal(state_put_blob(st, "k", slice_of(big, LIM_SEALED + 1)), -ERR_SIZE);
	assert_int_equal(state_put_blob(st, "k", slice_of(big, LIM_SEALED)), 0);
	assert_int_equal(state_get_blob(st, "k", &small), -ERR_SIZE);
	free(big);
	state_close(st);
}

static void text_that_is_no_number_is_no_time(void **unused)
{
	struct state *st = open_ok();
	int64_t t = 5;

	(void)unused;
	assert_int_equal(state_put_blob(st, "t", slice_str("yesterday")), 0);
	assert_int_equal(state_get_time(st, "t", &t), -ERR_FORMAT);
	assert_int_equal(t, 5);
	assert_int_equal(state_put_time(st, "t", 1763763310), 0);
	assert_int_equal(state_get_time(st, "t", &t), 0);
	assert_int_equal(t, 1763763310);
	state_close(st);
}

static void blobs_survive_a_process_that_is_killed(void **unused)
{
	AUTO(buf) struct buf out = BUF_INIT(100);
	struct state *st;
	pid_t pid = fork();
	int status;

	(void)unused;
	if (!pid) {
		if (state_open(dir, &st) || state_put_blob(st, STATE_AUTHORITY, slice_of("se\0led", 6)))
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	st = open_ok();
	assert_null(state_set_aside(st));
	assert_int_equal(state_get_blob(st, STATE_AUTHORITY, &out), 0);
	assert_true(slice_eq(buf_slice(&out), slice_of("se\0led", 6)));
	state_close(st);
}

static void set_file_limit(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void a_full_disk_keeps_what_was_there(void **unused)
{
	struct state *st = open_ok();
	AUTO(buf) struct buf out = BUF_INIT(LIM_SEALED);
	char *big = calloc(1, LIM_SEALED);

	(void)unused;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(state_put_blob(st, "k", slice_str("old")), 0);
	set_file_limit(65536); /* no write beyond here, as on a disk that is full */
	assert_int_equal(state_put_blob(st, "k", slice_of(big, LIM_SEALED)), -ERR_STATE);
	assert_true(*state_problem(st));
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(state_get_blob(st, "k", &out), 0);
	assert_string_equal(buf_cstr(&out), "old");
	assert_int_equal(state_put_blob(st, "k", slice_of(big, LIM_SEALED)), 0);
	free(big);
	state_close(st);
}

static int count_doc(void *arg, const struct state_doc *doc)
{
	struct buf *b = arg;

	buf_put_slice(b, doc->kind);
	buf_put_str(b, "/");
	buf_put_slice(b, doc->name);
	buf_printf(b, ":%u=", doc->line);
	buf_put_slice(b, doc->json);
	buf_put_str(b, " ");
	return 0;
}

static struct state_doc doc_of(const char *name, uint32_t line, const char *json)
{
	return (struct state_doc){ slice_str("K"), slice_str(name), slice_str("f.yaml"), slice_str(json), line };
}

static void documents_are_replaced_deleted_and_ordered(void **unused)
{
	struct state *st = open_ok();
	AUTO(buf) struct buf out = BUF_INIT(1000);
	struct state_doc b = doc_of("b", 1, "{}"), a = doc_of("a", 2, "{1}"), b2 = doc_of("b", 3, "{2}"),
			 c = doc_of("c", 4, "{3}");

	(void)unused;
	assert_int_equal(state_put_doc(st, &b), 0);
	assert_int_equal(state_put_doc(st, &a), 0);
	assert_int_equal(state_put_doc(st, &b2), 0);
	assert_int_equal(state_put_doc(st, &c), 0);
	assert_int_equal(state_del_doc(st, slice_str("K"), slice_str("c")), 0);
	assert_int_equal(state_each_doc(st, count_doc, &out), 0);
	assert_string_equal(buf_cstr(&out), "K/a:2={1} K/b:3={2} ");
	state_close(st);
}

static void a_rolled_back_transaction_leaves_nothing(void **unused)
{
	struct state *st = open_ok();
	AUTO(buf) struct buf out = BUF_INIT(1000);
	struct state_doc a = doc_of("a", 1, "{}");

	(void)unused;
	assert_int_equal(state_begin(st), 0);
	assert_int_equal(state_put_doc(st, &a), 0);
	state_rollback(st);
	assert_int_equal(state_each_doc(st, count_doc, &out), 0);
	assert_int_equal(out.len, 0);
	state_close(st);
}

static int stop(void *arg, const struct state_doc *doc)
{
	(void)arg;
	(void)doc;
	return -ERR_LIMIT;
}

static void a_walk_ends_with_what_the_callback_says(void **unused)
{
	struct state *st = open_ok();
	struct state_doc a = doc_of("a", 1, "{}");

	(void)unused;
	assert_int_equal(state_put_doc(st, &a), 0);
	assert_int_equal(state_each_doc(st, stop, NULL), -ERR_LIMIT);
	state_close(st);
}

static void a_crash_between_creation_and_tables_is_no_damage(void **unused)
{
	struct state *st;

	(void)unused;
	run_sql("PRAGMA journal_mode=WAL");
	st = open_ok();
	assert_null(state_set_aside(st));
	state_close(st);
}

#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(garbage_is_set_aside_and_kept),
		T(a_foreign_database_is_set_aside),
		T(a_second_damage_does_not_overwrite_the_first),
		T(a_newer_version_is_refused_and_left_alone),
		T(what_the_first_version_wrote_is_kept_when_bundles_come),
		T(a_missing_directory_is_an_error),
		T(a_second_opener_is_refused),
		T(damage_in_the_middle_is_found),
		T(get_of_an_unknown_key_is_not_found),
		T(a_blob_above_the_limit_is_refused),
		T(text_that_is_no_number_is_no_time),
		T(blobs_survive_a_process_that_is_killed),
		T(a_full_disk_keeps_what_was_there),
		T(documents_are_replaced_deleted_and_ordered),
		T(a_rolled_back_transaction_leaves_nothing),
		T(a_walk_ends_with_what_the_callback_says),
		T(a_crash_between_creation_and_tables_is_no_damage),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
