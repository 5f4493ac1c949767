// SPDX-License-Identifier: Apache-2.0
/*
 * cache.c - rows of cache.db. A row belongs to what it was sealed for: identity, settings and times are in the associated data,
 * so it opens for nothing else. svid-cloud.
 */
#include "federation/cache.h"

#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"

#define APPLICATION_ID 0x53564343 /* "SVCC" */
#define ANSWER_MS 1000 /* svid-keys answers at once, unless it is restarted between question and answer */
#define TRIES 5
#define ROW "spiffe_id = ? AND source = ? AND credential = ?"

static const char *const migrations[] = {
	"CREATE TABLE credentials (spiffe_id TEXT NOT NULL, source TEXT NOT NULL, credential TEXT NOT NULL,"
	" generation INTEGER NOT NULL, not_before INTEGER NOT NULL, expires_at INTEGER NOT NULL, refresh_at INTEGER NOT NULL,"
	" state INTEGER NOT NULL, failures INTEGER NOT NULL, last_error TEXT NOT NULL, next_step TEXT NOT NULL,"
	" sealed BLOB NOT NULL, PRIMARY KEY (spiffe_id, source, credential)) WITHOUT ROWID, STRICT;",
};

static const struct db_plan plan = { .name = "cache.db", .application_id = APPLICATION_ID, .migrations = migrations,
				     .n_migrations = ARRAY_SIZE(migrations), .losable = true };

struct row {
	int64_t generation, not_before, expires_at, refresh_at, state, failures;
	char *last_error, *next_step;
	struct buf sealed;
};

static void row_autoclean(struct row *row)
{
	mem_free(row->last_error);
	mem_free(row->next_step);
	buf_done(&row->sealed);
}

static void step(struct cache *k);

static void put_about(const struct binding *b, int64_t not_before, int64_t expires_at, struct buf *about)
{
	buf_printf(about, "credential v1 %s %lld %lld ", cloud_kind_name(b->kind), (long long)not_before, (long long)expires_at);
	buf_put_hex(about, slice_of(b->digest, sizeof(b->digest)));
}

static void not_stored(const struct cache *k)
{
	log_warn(EV_STATE, KV("what", V_S("cache.db")), KV("problem", V_S(k->db.problem)));
}

static void put_key(const struct binding *b, struct db_bind key[static 3])
{
	key[0] = (struct db_bind)BIND_TEXT(slice_str(b->spiffe_id));
	key[1] = (struct db_bind)BIND_TEXT(slice_str(b->source));
	key[2] = (struct db_bind)BIND_TEXT(slice_str(b->credential));
}

static void change(struct cache *k, const char *sql, const struct db_bind *binds, size_t n)
{
	if (k->works && db_step(&k->db, sql, binds, n))
		not_stored(k);
}

void cache_drop(struct binding *b)
{
	struct db_bind key[3];

	put_key(b, key);
	change(&b->cloud->cache, "DELETE FROM credentials WHERE " ROW, key, ARRAY_SIZE(key));
}

/* ---- out of it ---- */

static int read_row(sqlite3_stmt *q, struct row *row)
{
	row->generation = sqlite3_column_int64(q, 0);
	row->not_before = sqlite3_column_int64(q, 1);
	row->expires_at = sqlite3_column_int64(q, 2);
	row->refresh_at = sqlite3_column_int64(q, 3);
	row->state = sqlite3_column_int64(q, 4);
	row->failures = sqlite3_column_int64(q, 5);
	row->last_error = slice_dup(db_column(q, 6));
	row->next_step = slice_dup(db_column(q, 7));
	row->sealed = (struct buf)BUF_INIT(LIM_CLOUD_SECRET + 256);
	buf_put_slice(&row->sealed, db_column(q, 8));
	return row->last_error && row->next_step ? buf_ok(&row->sealed) : -ENOMEM;
}

static int find_row(const struct binding *b, struct row *row)
{
	struct db *db = &b->cloud->cache.db;
	struct db_bind key[3];
	sqlite3_stmt *q = NULL;
	int err, rc = sqlite3_prepare_v2(db->sql, "SELECT generation, not_before, expires_at, refresh_at, state, failures,"
					 " last_error, next_step, sealed FROM credentials WHERE " ROW, -1, &q, NULL);

	put_key(b, key);
	for (size_t i = 0; i < ARRAY_SIZE(key) && rc == SQLITE_OK; i++)
		rc = db_bind(q, (int)i + 1, &key[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW)
		err = read_row(q, row);
	else
		err = rc == SQLITE_DONE ? -ERR_NOT_FOUND : db_failed(db, "read");
	sqlite3_finalize(q);
	return err;
}

/* A refusal is remembered over a restart too: whoever restarts us in a loop does not make us ask in one. */
static void take_failure(struct binding *b, const struct row *row)
{
	if (row->failures <= 0 || row->failures > UINT32_MAX || row->state <= CLOUD_READY || row->state >= CLOUD_STATE_COUNT)
		return;
	binding_failed_before(b, (enum cloud_state)row->state, (unsigned int)row->failures, row->last_error, row->next_step);
	b->refresh_at = row->refresh_at;
}

void cache_load(struct binding *b)
{
	struct cache *k = &b->cloud->cache;
	AUTO(row) struct row row = { .generation = 0 };
	int err = b->kind == CLOUD_JWT ? -ERR_NOT_FOUND : k->works ? find_row(b, &row) : -ERR_STATE;

	if (!err && row.generation != b->generation) {
		cache_drop(b);
		err = -ERR_NOT_FOUND;
	}
	if (!err)
		take_failure(b, &row);
	if (!err && !row.sealed.len)
		err = -ERR_NOT_FOUND;
	if (err) {
		binding_cached(b, err, NULL, 0, 0);
		return;
	}
	b->job = JOB_OPEN;
	list_add_tail(&k->jobs, &b->in_jobs);
	step(k);
}

static int ask_open(struct binding *b)
{
	struct cache *k = &b->cloud->cache;
	AUTO(row) struct row row = { .generation = 0 };
	AUTO(buf) struct buf about = BUF_INIT(512);
	int err = find_row(b, &row);

	if (err)
		return err;
	put_about(b, row.not_before, row.expires_at, &about);
	err = buf_ok(&about);
	b->opening = (struct opening){ .not_before = row.not_before, .expires_at = row.expires_at, .refresh_at = row.refresh_at };
	return err ? err : chan_put(b->cloud->keys, CK_OPEN, 0, .order = k->order, .about = buf_slice(&about),
				    .sealed = buf_slice(&row.sealed));
}

static int read_secrets(struct slice plain, struct credential *c)
{
	struct buf *parts[] = { &c->key_id, &c->secret_key, &c->session_token, &c->access_token, &c->id_token };

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		*parts[i] = (struct buf)BUF_INIT_SECRET(LIM_CLOUD_SECRET);
		buf_put_slice(parts[i], slice_get_blob(&plain, LIM_CLOUD_SECRET));
		if (buf_ok(parts[i]))
			return buf_ok(parts[i]);
	}
	return slice_end(&plain);
}

/* ---- into it ---- */

static int ask_seal(struct binding *b)
{
	const struct credential *c = &b->got;
	const struct buf *parts[] = { &c->key_id, &c->secret_key, &c->session_token, &c->access_token, &c->id_token };
	AUTO(buf) struct buf plain = BUF_INIT_SECRET(LIM_CLOUD_SECRET);
	AUTO(buf) struct buf about = BUF_INIT(512);
	int err;

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		buf_put_blob(&plain, buf_slice(parts[i]));
	put_about(b, b->last_success, c->expires_at, &about);
	err = buf_ok(&plain) ? buf_ok(&plain) : buf_ok(&about);
	return err ? err : chan_put_secret(b->cloud->keys, CK_SEAL, 0, .order = b->cloud->cache.order, .about = buf_slice(&about),
					   .plain = buf_slice(&plain));
}

void cache_store(struct binding *b)
{
	struct cache *k = &b->cloud->cache;

	if (!k->works)
		return;
	cache_leave(b);
	b->job = JOB_SEAL;
	list_add_tail(&k->jobs, &b->in_jobs);
	step(k);
}

static void write_row(struct binding *b, struct slice sealed)
{
	struct db_bind binds[8];

	put_key(b, binds);
	binds[3] = (struct db_bind)BIND_NUMBER(b->generation);
	binds[4] = (struct db_bind)BIND_NUMBER(b->last_success);
	binds[5] = (struct db_bind)BIND_NUMBER(b->got.expires_at);
	binds[6] = (struct db_bind)BIND_NUMBER(b->refresh_at);
	binds[7] = (struct db_bind)BIND_BLOB(sealed);
	change(&b->cloud->cache, "INSERT OR REPLACE INTO credentials (spiffe_id, source, credential, generation, not_before,"
	       " expires_at, refresh_at, sealed, state, failures, last_error, next_step)"
	       " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, 0, '', '')", binds, ARRAY_SIZE(binds));
}

void cache_store_failure(struct binding *b)
{
	struct db_bind binds[9];

	put_key(b, binds);
	binds[3] = (struct db_bind)BIND_NUMBER(b->generation);
	binds[4] = (struct db_bind)BIND_NUMBER(b->refresh_at);
	binds[5] = (struct db_bind)BIND_NUMBER(b->state);
	binds[6] = (struct db_bind)BIND_NUMBER(b->failures);
	binds[7] = (struct db_bind)BIND_TEXT(slice_str(b->error));
	binds[8] = (struct db_bind)BIND_TEXT(slice_str(b->next_step));
	change(&b->cloud->cache, "INSERT INTO credentials (spiffe_id, source, credential, generation, refresh_at, state,"
	       " failures, last_error, next_step, not_before, expires_at, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, x'')"
	       " ON CONFLICT DO UPDATE SET refresh_at = excluded.refresh_at, state = excluded.state,"
	       " failures = excluded.failures, last_error = excluded.last_error, next_step = excluded.next_step",
	       binds, ARRAY_SIZE(binds));
}

/* ---- svid-keys, one order at a time ---- */

static void over(struct cache *k, struct binding *b)
{
	loop_timer_stop(&k->timer);
	k->now = NULL;
	k->order = 0;
	k->tries = 0;
	b->job = JOB_NONE;
}

static void gave_up(struct cache *k, int err)
{
	struct binding *b = k->now;
	enum cache_job job = b->job;

	over(k, b);
	log_warn(EV_STATE, KV("what", V_S(job == JOB_OPEN ? "a cached credential is not used" : "a credential is not kept")),
		 KV("credential", V_S(b->credential)), KV("spiffe_id", V_S(b->spiffe_id)), KV("err", V_S(err_name(err))));
	if (job == JOB_OPEN)
		binding_cached(b, err, NULL, 0, 0);
}

static void ask(struct cache *k)
{
	struct cloud *c = k->now->cloud;
	int err = ++k->tries > TRIES ? -ERR_DEADLINE : 0;

	k->order = cloud_order(c);
	if (!err)
		err = loop_timer_in(c->loop, &k->timer, ANSWER_MS * NS_PER_MS);
	if (!err)
		err = k->now->job == JOB_OPEN ? ask_open(k->now) : ask_seal(k->now);
	if (err)
		gave_up(k, err);
}

static void step(struct cache *k)
{
	while (!k->now && !list_empty(&k->jobs)) {
		k->now = list_entry(k->jobs.next, struct binding, in_jobs);
		list_del(&k->now->in_jobs);
		ask(k);
	}
}

static void on_timer(struct loop_timer *t)
{
	struct cache *k = container_of(t, struct cache, timer);

	if (k->now)
		ask(k);
	step(k);
}

void cache_leave(struct binding *b)
{
	struct cache *k = &b->cloud->cache;

	list_del(&b->in_jobs);
	b->job = JOB_NONE;
	if (k->now != b)
		return;
	over(k, b);
	if (loop_timer_in(b->cloud->loop, &k->timer, 0)) /* the next one's turn, from the loop */
		log_error(EV_STATE, KV("err", V_S("ENOMEM")));
}

/* -ERR_NOT_READY: a new svid-keys that has not been given its sealing key yet. */
static struct binding *asker(struct cache *k, uint32_t order, enum cache_job job, int err)
{
	return k->now && k->order == order && k->now->job == job && err != -ERR_NOT_READY ? k->now : NULL;
}

void cache_sealed(struct cloud *c, const struct msg_CK_SEALED *m)
{
	struct cache *k = &c->cache;
	struct binding *b = asker(k, m->order, JOB_SEAL, m->err);

	if (!b)
		return;
	if (m->err || !m->sealed.len) {
		gave_up(k, m->err ? m->err : -ERR_FORMAT);
	} else {
		over(k, b);
		write_row(b, m->sealed);
	}
	step(k);
}

void cache_opened(struct cloud *c, const struct msg_CK_OPENED *m)
{
	struct cache *k = &c->cache;
	struct binding *b = asker(k, m->order, JOB_OPEN, m->err);
	struct credential got = { .expires_at = b ? b->opening.expires_at : 0 };
	int err;

	if (!b)
		return;
	err = m->err ? m->err : read_secrets(m->plain, &got);
	if (err) {
		cache_drop(b);
		gave_up(k, err);
	} else {
		over(k, b);
		binding_cached(b, 0, &got, b->opening.refresh_at, b->opening.not_before);
	}
	credential_done(&got);
	step(k);
}

/* ---- its life ---- */

void cache_open(struct cloud *c, const char *dir)
{
	int err = db_open(dir, &plan, &c->cache.db);

	list_init(&c->cache.jobs);
	c->cache.timer.cb = on_timer;
	c->cache.works = !err;
	if (err)
		log_warn(EV_STATE, KV("what", V_S("credentials are not kept over a restart")),
			 KV("problem", V_S(c->cache.db.problem)));
}

void cache_close(struct cloud *c)
{
	loop_timer_stop(&c->cache.timer);
	db_close(&c->cache.db);
}

struct wanted {
	struct db *db;
	sqlite3_stmt *q;
	int rc;
};

static void keep_one(struct binding *b, void *arg)
{
	struct wanted *w = arg;
	struct db_bind key[3];

	put_key(b, key);
	for (size_t i = 0; i < ARRAY_SIZE(key) && w->rc == SQLITE_OK; i++)
		w->rc = db_bind(w->q, (int)i + 1, &key[i]);
	if (w->rc == SQLITE_OK && sqlite3_step(w->q) != SQLITE_DONE)
		w->rc = SQLITE_ERROR;
	if (w->rc == SQLITE_OK)
		w->rc = sqlite3_reset(w->q);
}

static int keep_all(struct cloud *c)
{
	struct wanted w = { .db = &c->cache.db };

	w.rc = sqlite3_prepare_v2(w.db->sql, "INSERT INTO temp.wanted VALUES (?, ?, ?)", -1, &w.q, NULL);
	bindings_each(c, keep_one, &w);
	sqlite3_finalize(w.q);
	return w.rc == SQLITE_OK ? 0 : db_failed(w.db, "keep");
}

void cache_prune(struct cloud *c)
{
	struct db *db = &c->cache.db;
	int err;

	if (!c->cache.works || c->cache.pruned)
		return;
	c->cache.pruned = true;
	err = db_exec(db, "PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; CREATE TEMP TABLE wanted (spiffe_id, source, credential)");
	if (!err)
		err = keep_all(c);
	if (!err)
		err = db_exec(db, "DELETE FROM credentials WHERE (spiffe_id, source, credential) NOT IN"
				  " (SELECT * FROM temp.wanted); DROP TABLE temp.wanted; COMMIT");
	if (err) {
		not_stored(&c->cache);
		(void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
	}
}
