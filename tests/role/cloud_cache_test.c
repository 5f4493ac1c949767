/* SPDX-License-Identifier: Apache-2.0 */
/* links: tests/role/cloud_case.c tests/role/cloud_world.c tests/role/cloud_answers.c tests/role/keys_world.c */
/* links: tests/lib/busy.c tests/lib/https.c tests/lib/certs.c */
/*
 * cloud_cache_test.c - what svid-cloud keeps over its end: with the row no cloud is asked again, nothing in it is in the
 * clear, it opens for nothing but what it was sealed for, and a database that is no good is set aside.
 */
#include <dirent.h>
#include <sqlite3.h>

#include "tests/role/cloud_case.h"

#include "agent/base/clock.h"

/* The path lives until the next call. */
static const char *path_of(const struct world *w, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", w->rig.dir, name);
	return path;
}

static sqlite3 *open_db(const struct world *w)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path_of(w, "cache.db"), &db), SQLITE_OK);
	sqlite3_busy_timeout(db, WAIT_MS);
	return db;
}

/* svid-cloud must have ended: it locks its database. */
static void change(const struct world *w, const char *sql)
{
	sqlite3 *db = open_db(w);
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", sql, why);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int64_t number(const struct world *w, const char *sql)
{
	sqlite3 *db = open_db(w);
	sqlite3_stmt *q;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	return n;
}

/* Ready, and its row is written: svid-keys has answered CK_SEAL, and nothing is left to do. */
static void ready(struct world *w)
{
	cloud_state(&w->rig, 1, CLOUD_READY);
	cloud_settle(&w->rig);
}

static const char *key_of(struct world *w)
{
	return cloud_read(&w->rig, 1, CLOUD_FILE_AWS_CREDENTIALS);
}

static void restart_asks_no_cloud(void **state)
{
	struct world w = { .service.wait_ms = 0 };
	struct seen before;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	before = w.rig.seen[1];
	for (int i = 0; i < 3; i++) {
		world_again(&w);
		assert_non_null(strstr(key_of(&w), "secret-1"));
		cloud_state(&w.rig, 1, CLOUD_READY);
		assert_int_equal(w.rig.seen[1].expires_at, before.expires_at);
		assert_in_range(w.rig.seen[1].refresh_at, before.refresh_at - 2, before.refresh_at + 2);
		assert_int_equal(w.rig.seen[1].last_success, before.last_success);
	}
	assert_int_equal(w.service.n, 1);
	assert_int_equal(w.rig.jwts, 1);
	world_end(&w);
}

static void every_kind_is_kept(void **state)
{
	static const struct {
		enum cloud_kind kind;
		enum cloud_file file;
		const char *secret, *settings;
	} cases[] = {
		{ CLOUD_GCP, CLOUD_FILE_GCP_ACCESS_TOKEN, "ya29.account-2",
		  ",\"serviceAccount\":\"robot@p.iam.gserviceaccount.com\"" },
		{ CLOUD_AZURE, CLOUD_FILE_AZURE_ACCESS_TOKEN, "eyJ.1", "" },
		{ CLOUD_AWS_ROLES_ANYWHERE, CLOUD_FILE_AWS_CREDENTIALS_JSON, "\"SecretAccessKey\":\"secret-1\"", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct world w = { .service.wait_ms = 0 };
		unsigned int asked;

		world_begin(&w, cases[i].kind, cases[i].settings);
		ready(&w);
		asked = w.service.n;
		world_again(&w);
		assert_non_null(strstr(cloud_read(&w.rig, 1, cases[i].file), cases[i].secret));
		assert_int_equal(w.service.n, asked);
		world_end(&w);
	}
}

static bool dir_shows(const struct world *w, const char *text)
{
	DIR *d = opendir(w->rig.dir);
	struct dirent *e;
	bool found = false;

	assert_non_null(d);
	while ((e = readdir(d))) {
		AUTO(buf) struct buf all = BUF_INIT(64 << 20);
		int fd = open(path_of(w, e->d_name), O_RDONLY | O_CLOEXEC);
		char bytes[4096];
		ssize_t n;

		while ((n = read(fd, bytes, sizeof(bytes))) > 0)
			buf_put(&all, bytes, (size_t)n);
		close(fd);
		found = found || (all.len && memmem(all.data, all.len, text, strlen(text)));
	}
	closedir(d);
	return found;
}

static void nothing_secret_is_on_disk(void **state)
{
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	(void)cloud_read(&w.rig, 1, CLOUD_FILE_AWS_WEB_IDENTITY_TOKEN);
	for (int i = 0; i < 2; i++) {
		assert_true(dir_shows(&w, WEB)); /* it can be found when it is there */
		assert_false(dir_shows(&w, "secret-1"));
		assert_false(dir_shows(&w, "session-1"));
		assert_false(dir_shows(&w, "eyJ"));
		cloud_kill(&w.rig);
		change(&w, "PRAGMA wal_checkpoint(TRUNCATE)");
	}
	world_end(&w);
}

/* What the row says is not the binding's any more: the cloud is asked. */
static void assert_asks_again(struct world *w, const char *sql)
{
	unsigned int asked = w->service.n;
	char secret[32];

	cloud_kill(&w->rig);
	change(w, sql);
	world_again(w);
	snprintf(secret, sizeof(secret), "secret-%u", asked + 1);
	assert_non_null(strstr(key_of(w), secret));
	assert_int_equal(w->service.n, asked + 1);
	ready(w);
}

static void row_that_was_changed_is_refused(void **state)
{
	static const char *const changes[] = {
		"UPDATE credentials SET expires_at = expires_at + 1",
		"UPDATE credentials SET not_before = not_before - 1",
		"UPDATE credentials SET generation = generation + 1",
		"UPDATE credentials SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB)",
		"UPDATE credentials SET sealed = x'00'",
		"UPDATE credentials SET sealed = zeroblob(65000)",
		"UPDATE credentials SET sealed = x''",
		"UPDATE credentials SET expires_at = not_before - 1",
		"DELETE FROM credentials",
	};
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		assert_asks_again(&w, changes[i]);
	world_end(&w);
}

/* The plan in a row is not sealed: nonsense in it makes nobody wait, and no secret live longer. */
static void plan_that_makes_no_sense_is_not_followed(void **state)
{
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_kill(&w.rig);
	change(&w, "UPDATE credentials SET refresh_at = refresh_at + 1000000");
	world_again(&w);
	while (w.service.n < 2) /* exchanged soon, and the old one is served till then */
		assert_non_null(strstr(key_of(&w), "secret-"));
	world_end(&w);
}

static void row_of_another_binding_is_refused(void **state)
{
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_bind(&w.rig, 2, CLOUD_AWS, "spiffe://example.org/other", "cred", w.spec);
	cloud_state(&w.rig, 2, CLOUD_READY);
	ready(&w);
	assert_int_equal(w.service.n, 2);
	cloud_kill(&w.rig);
	assert_int_equal(number(&w, "SELECT count(*) FROM credentials"), 2);
	/* all of web's row, under the other's name and generation */
	change(&w, "UPDATE credentials SET (sealed, not_before, expires_at) = (SELECT sealed, not_before, expires_at FROM"
	       " credentials WHERE spiffe_id = '" WEB "') WHERE spiffe_id <> '" WEB "'");
	cloud_start(&w.rig, -1);
	cloud_bind(&w.rig, 1, CLOUD_AWS, WEB, "cred", w.spec);
	cloud_bind(&w.rig, 2, CLOUD_AWS, "spiffe://example.org/other", "cred", w.spec);
	cloud_bound(&w.rig);
	assert_non_null(strstr(cloud_read(&w.rig, 2, CLOUD_FILE_AWS_CREDENTIALS), "secret-3"));
	assert_non_null(strstr(key_of(&w), "secret-1"));
	assert_true(cloud_logged(&w.rig, "a cached credential is not used"));
	world_end(&w);
}

static void other_settings_are_another_credential(void **state)
{
	struct world w = { .service.wait_ms = 0 };
	char *other;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	other = source_of(CLOUD_AWS, https_url(w.https), https_ca(w.https), ",\"sessionPolicy\":\"{}\"", "");
	cloud_bind(&w.rig, 1, CLOUD_AWS, WEB, "cred", w.spec); /* the same again: nothing changes */
	assert_non_null(strstr(key_of(&w), "secret-1"));
	cloud_bind(&w.rig, 1, CLOUD_AWS, WEB, "cred", other);
	assert_non_null(strstr(key_of(&w), "secret-2"));
	ready(&w);
	assert_non_null(strstr(w.service.body, "&Policy=%7B%7D&"));
	world_again(&w); /* with the settings of before */
	assert_non_null(strstr(key_of(&w), "secret-3"));
	assert_int_equal(w.service.n, 3);
	free(other);
	world_end(&w);
}

/* Settings said again while their exchange is under way: what is under way goes on with them. */
static void settings_said_again_do_not_disturb_an_exchange(void **state)
{
	struct world w = { .service.wait_ms = 300 };

	(void)state;
	world_begin(&w, CLOUD_GCP, ",\"serviceAccount\":\"robot@p.iam.gserviceaccount.com\"");
	while (!w.rig.jwts)
		cloud_pump(&w.rig, 100);
	for (int i = 0; i < 50; i++)
		cloud_bind(&w.rig, 1, CLOUD_GCP, WEB, "cred", w.spec);
	assert_string_equal(cloud_read(&w.rig, 1, CLOUD_FILE_GCP_ACCESS_TOKEN), "ya29.account-2");
	assert_int_equal(w.service.n, 2);
	world_end(&w);
}

static void withdrawn_is_forgotten(void **state)
{
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_unbind(&w.rig, 1);
	assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_FOUND);
	cloud_kill(&w.rig);
	assert_int_equal(number(&w, "SELECT count(*) FROM credentials"), 0);
	world_again(&w);
	ready(&w);
	assert_int_equal(w.service.n, 2);
	cloud_kill(&w.rig); /* withdrawn while it is away */
	assert_int_equal(number(&w, "SELECT count(*) FROM credentials"), 1);
	cloud_start(&w.rig, -1);
	cloud_bound(&w.rig);
	cloud_quiet(&w.rig);
	cloud_kill(&w.rig);
	assert_int_equal(number(&w, "SELECT count(*) FROM credentials"), 0);
	world_end(&w);
}

static void refusal_is_remembered(void **state)
{
	struct world w = { .service = { .refusals = 1000, .status = 400, .code = "MalformedPolicyDocument" } };
	const struct seen *s;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	cloud_state(&w.rig, 1, CLOUD_FAILED);
	for (int i = 0; i < 2; i++) {
		world_again(&w);
		assert_int_equal(cloud_refused(&w.rig, 1, CLOUD_FILE_AWS_CREDENTIALS), -ERR_NOT_READY);
		s = cloud_state(&w.rig, 1, CLOUD_FAILED);
		assert_non_null(strstr(s->error, "MalformedPolicyDocument: what AWS says"));
		assert_non_null(strstr(s->next_step, "sessionPolicy"));
		assert_in_range(s->refresh_at - clock_wall_s(), 100, 301);
	}
	assert_int_equal(w.service.n, 1);
	world_end(&w);
}

/* The longest that a cloud can make us wait: an hour, and a quarter of it as our jitter. */
static void wait_that_a_cloud_asked_for_is_remembered(void **state)
{
	struct world w = { .service = { .refusals = 1000, .status = 503, .code = "ServiceUnavailable",
					.headers = "Retry-After: 3600\r\n" } };
	const struct seen *s;
	unsigned int asked;
	int64_t at;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	s = cloud_state(&w.rig, 1, CLOUD_RETRYING);
	while (s->refresh_at - clock_wall_s() < 4200) { /* one in three */
		unsigned int said = s->said;

		cloud_refresh(&w.rig, 1);
		while (s->said == said)
			cloud_pump(&w.rig, 100);
	}
	at = s->refresh_at;
	asked = w.service.n;
	cloud_settle(&w.rig);
	world_again(&w);
	assert_in_range(cloud_state(&w.rig, 1, CLOUD_RETRYING)->refresh_at, at, at + 1);
	cloud_settle(&w.rig);
	assert_int_equal(w.service.n, asked);
	world_end(&w);
}

static void spoil(const struct world *w, const char *bytes, size_t len, off_t at)
{
	int fd = open(path_of(w, "cache.db"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void assert_set_aside(struct world *w, const char *name, const char *why)
{
	unsigned int asked = w->service.n;

	world_again(w);
	assert_int_equal(access(path_of(w, name), F_OK), 0);
	assert_true(cloud_logged(&w->rig, why));
	ready(w);
	assert_int_equal(w->service.n, asked + 1);
	world_again(w); /* the new one is good */
	assert_non_null(strstr(key_of(w), "secret-"));
	assert_int_equal(w->service.n, asked + 1);
	cloud_kill(&w->rig);
}

static void database_that_is_no_good_is_set_aside(void **state)
{
	struct world w = { .service.wait_ms = 0 };
	char noise[4096];

	(void)state;
	memset(noise, 0x5a, sizeof(noise));
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_kill(&w.rig);
	change(&w, "PRAGMA wal_checkpoint(TRUNCATE)");
	spoil(&w, noise, sizeof(noise), 4096); /* the table's first page */
	assert_set_aside(&w, "cache.db.bad-1", "cache.db is damaged");
	change(&w, "PRAGMA journal_mode=DELETE");
	spoil(&w, noise, sizeof(noise), 0);
	assert_set_aside(&w, "cache.db.bad-2", "file is not a database");
	change(&w, "PRAGMA application_id=7");
	assert_set_aside(&w, "cache.db.bad-3", "cache.db belongs to another program");
	world_end(&w);
}

/* Of a newer svidd: left alone, and nothing is kept until it goes. */
static void newer_database_is_left_alone(void **state)
{
	struct world w = { .service.wait_ms = 0 };

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_kill(&w.rig);
	change(&w, "PRAGMA user_version=99");
	for (unsigned int i = 2; i < 4; i++) {
		world_again(&w);
		ready(&w);
		assert_int_equal(w.service.n, i);
		assert_non_null(strstr(key_of(&w), "secret-"));
	}
	assert_true(cloud_logged(&w.rig, "a newer svidd wrote it"));
	cloud_kill(&w.rig);
	assert_int_equal(number(&w, "PRAGMA user_version"), 99);
	world_end(&w);
}

/* At any instant: between answer and row, in the middle of a commit. Whole rows or none, and never a file set aside. */
static void kill_at_any_instant_leaves_a_good_database(void **state)
{
	struct world w = { .service.life = 3600 };
	unsigned int asked_for = 0;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	for (unsigned int i = 0; i < 60; i++) {
		uint64_t until = clock_boot_ns() + clock_random(40 * NS_PER_MS);
		char name[32];

		for (uint32_t b = 2; b < 12; b++) {
			snprintf(name, sizeof(name), "more-%u", b);
			cloud_bind(&w.rig, b, CLOUD_AWS, WEB, name, w.spec);
			(void)cloud_ask(&w.rig, b, CLOUD_FILE_AWS_CREDENTIALS);
		}
		while (clock_boot_ns() < until)
			cloud_pump(&w.rig, 1);
		world_again(&w);
		asked_for += !access(path_of(&w, "cache.db.bad-1"), F_OK);
	}
	assert_int_equal(asked_for, 0);
	assert_non_null(strstr(key_of(&w), "secret-"));
	ready(&w);
	cloud_kill(&w.rig);
	assert_int_equal(number(&w, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check = 'ok'"), 1);
	world_end(&w);
}

/* svid-keys ends with orders unanswered; another one serves the same channel. Nothing waits for ever. */
static void orders_that_svid_keys_lost_are_given_again(void **state)
{
	struct world w = { .service.wait_ms = 0 };
	int status;

	(void)state;
	world_begin(&w, CLOUD_AWS, "");
	ready(&w);
	cloud_kill(&w.rig);
	kill(w.rig.keys.pid, SIGSTOP);
	world_again(&w); /* CK_OPEN is in the socket, or was read */
	kill(w.rig.keys.pid, SIGKILL);
	waitpid(w.rig.keys.pid, &status, 0);
	close(w.rig.keys.svidd);
	close(w.rig.keys.core);
	buf_done(&w.rig.keys.in);
	start_loaded(&w.rig.keys);
	assert_int_equal(ipc_put_fds(w.rig.keys.svidd, K_CLOUD, 0, &w.rig.cloud_keys, 1), 0);
	assert_non_null(strstr(key_of(&w), "secret-1"));
	assert_int_equal(w.service.n, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restart_asks_no_cloud),
		cmocka_unit_test(every_kind_is_kept),
		cmocka_unit_test(nothing_secret_is_on_disk),
		cmocka_unit_test(row_that_was_changed_is_refused),
		cmocka_unit_test(plan_that_makes_no_sense_is_not_followed),
		cmocka_unit_test(row_of_another_binding_is_refused),
		cmocka_unit_test(other_settings_are_another_credential),
		cmocka_unit_test(settings_said_again_do_not_disturb_an_exchange),
		cmocka_unit_test(withdrawn_is_forgotten),
		cmocka_unit_test(refusal_is_remembered),
		cmocka_unit_test(wait_that_a_cloud_asked_for_is_remembered),
		cmocka_unit_test(database_that_is_no_good_is_set_aside),
		cmocka_unit_test(newer_database_is_left_alone),
		cmocka_unit_test(kill_at_any_instant_leaves_a_good_database),
		cmocka_unit_test(orders_that_svid_keys_lost_are_given_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
