// SPDX-License-Identifier: Apache-2.0
/*
 * cache.c - cache.db: what clouds gave, sealed by svid-keys, so that a restart asks no cloud again. A row belongs to what it
 * was sealed for: identity, source and kind are in the associated data, so it cannot be moved to another. svid-cloud.
 */
#include <errno.h>

#include "agent/base/clock.h"
#include "agent/base/mem.h"
#include "federation/cloud.h"

#define APPLICATION_ID 0x53564343 /* "SVCC" */
#define OPEN_MS 5000 /* svid-keys answers at once, unless it is restarted between question and answer */

static const char *const migrations[] = {
	"CREATE TABLE credentials (spiffe_id TEXT NOT NULL, source TEXT NOT NULL, credential TEXT NOT NULL,"
	" generation INTEGER NOT NULL, not_before INTEGER NOT NULL, expires_at INTEGER NOT NULL, refresh_at INTEGER NOT NULL,"
	" sealed BLOB NOT NULL, PRIMARY KEY (spiffe_id, source, credential)) WITHOUT ROWID, STRICT;",
};

static const struct db_plan plan = { .name = "cache.db", .application_id = APPLICATION_ID, .migrations = migrations,
				     .n_migrations = ARRAY_SIZE(migrations) };

void cache_open(struct cloud *c, const char *dir)
{
	int err = db_open(dir, &plan, &c->db);

	c->db_works = !err;
	if (err)
		log_warn(EV_STATE, KV("what", V_S("credentials are not kept over a restart")), KV("problem", V_S(c->db.problem)));
}

static void put_about(const struct binding *b, struct buf *about)
{
	buf_printf(about, "credential v1 %s %016llx ", cloud_kind_name(b->kind), (unsigned long long)b->generation);
	buf_put_slice(about, slice_of(b->source, strnlen(b->source, 128)));
}

static void not_stored(struct cloud *c)
{
	log_warn(EV_STATE, KV("what", V_S("cache.db")), KV("problem", V_S(c->db.problem)));
}

/* ---- out of it ---- */

static void have_none(struct binding *b, int err)
{
	binding_cached(b, err, NULL, 0, 0);
}

struct row {
	int64_t generation, not_before, expires_at, refresh_at;
	struct buf sealed;
};

static int find_row(struct binding *b, struct row *ret_row)
{
	const struct db_bind binds[] = { BIND_TEXT(slice_str(b->spiffe_id)), BIND_TEXT(slice_str(b->source)),
					 BIND_TEXT(slice_str(b->credential)) };
	struct db *db = &b->cloud->db;
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(db->sql, "SELECT generation, not_before, expires_at, refresh_at, sealed FROM credentials"
					     " WHERE spiffe_id = ? AND source = ? AND credential = ?", -1, &q, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(binds) && rc == SQLITE_OK; i++)
		rc = db_bind(q, (int)i + 1, &binds[i]);
	if (rc == SQLITE_OK)
		rc = sqlite3_step(q);
	if (rc == SQLITE_ROW) {
		ret_row->generation = sqlite3_column_int64(q, 0);
		ret_row->not_before = sqlite3_column_int64(q, 1);
		ret_row->expires_at = sqlite3_column_int64(q, 2);
		ret_row->refresh_at = sqlite3_column_int64(q, 3);
		buf_put_slice(&ret_row->sealed, db_column(q, 4));
	}
	sqlite3_finalize(q);
	if (rc == SQLITE_ROW)
		return buf_ok(&ret_row->sealed);
	return rc == SQLITE_DONE ? -ERR_NOT_FOUND : db_failed(db, "read");
}

/* The times travel beside the order: a sealed row says nothing of them. */
void cache_load(struct binding *b)
{
	struct row row = { .sealed = BUF_INIT(LIM_CLOUD_SECRET + 256) };
	AUTO(buf) struct buf about = BUF_INIT(512);
	int err = b->kind == CLOUD_JWT ? -ERR_NOT_FOUND : b->cloud->db_works ? find_row(b, &row) : -ERR_STATE;

	if (!err && row.generation != (int64_t)b->generation)
		err = -ERR_NOT_FOUND;
	put_about(b, &about);
	if (!err)
		err = buf_ok(&about);
	if (!err) {
		b->opening = cloud_order(b->cloud);
		b->got.expires_at = 0;
		b->sealing = (struct credential){ .expires_at = row.expires_at };
		b->refresh_at = row.refresh_at;
		b->last_success = row.not_before;
		cloud_told(b->cloud, chan_put(b->cloud->keys, CK_OPEN, 0, .order = b->opening, .about = buf_slice(&about),
					      .sealed = buf_slice(&row.sealed)));
		err = loop_timer_in(b->cloud->loop, &b->timer, OPEN_MS * NS_PER_MS);
	}
	buf_done(&row.sealed);
	if (err)
		have_none(b, err);
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

static void secrets_done(struct credential *c)
{
	buf_done(&c->key_id);
	buf_done(&c->secret_key);
	buf_done(&c->session_token);
	buf_done(&c->access_token);
	buf_done(&c->id_token);
}

void cache_opened(struct binding *b, const struct msg_CK_OPENED *m)
{
	struct credential c = { .expires_at = b->sealing.expires_at };
	int err = m->err ? m->err : read_secrets(m->plain, &c);

	if (err) {
		log_warn(EV_STATE, KV("what", V_S("a cached credential is not used")), KV("credential", V_S(b->credential)),
			 KV("err", V_S(err_name(err))));
		secrets_done(&c);
		have_none(b, err);
		return;
	}
	binding_cached(b, 0, &c, b->refresh_at, b->last_success);
	secrets_done(&c);
}

/* ---- into it ---- */

void cache_store(struct binding *b)
{
	const struct credential *c = &b->got;
	const struct buf *parts[] = { &c->key_id, &c->secret_key, &c->session_token, &c->access_token, &c->id_token };
	AUTO(buf) struct buf plain = BUF_INIT_SECRET(LIM_CLOUD_SECRET);
	AUTO(buf) struct buf about = BUF_INIT(512);

	if (!b->cloud->db_works)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		buf_put_blob(&plain, buf_slice(parts[i]));
	put_about(b, &about);
	if (buf_ok(&plain) || buf_ok(&about)) {
		log_warn(EV_STATE, KV("what", V_S("a credential is too large to be kept")), KV("credential", V_S(b->credential)));
		return;
	}
	b->seal_order = cloud_order(b->cloud);
	b->sealing = (struct credential){ .expires_at = c->expires_at };
	cloud_told(b->cloud, chan_put_secret(b->cloud->keys, CK_SEAL, 0, .order = b->seal_order, .about = buf_slice(&about),
					     .plain = buf_slice(&plain)));
}

void cache_sealed(struct binding *b, const struct msg_CK_SEALED *m)
{
	const struct db_bind binds[] = {
		BIND_TEXT(slice_str(b->spiffe_id)),	 BIND_TEXT(slice_str(b->source)),
		BIND_TEXT(slice_str(b->credential)),	 BIND_NUMBER((int64_t)b->generation),
		BIND_NUMBER(b->last_success),		 BIND_NUMBER(b->sealing.expires_at),
		BIND_NUMBER(b->refresh_at),		 BIND_BLOB(m->sealed),
	};

	b->seal_order = 0;
	if (m->err || !m->sealed.len)
		log_warn(EV_STATE, KV("what", V_S("not sealed")), KV("err", V_S(err_name(m->err))));
	else if (db_step(&b->cloud->db, "INSERT OR REPLACE INTO credentials (spiffe_id, source, credential, generation, not_before,"
					" expires_at, refresh_at, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", binds, ARRAY_SIZE(binds)))
		not_stored(b->cloud);
}

void cache_drop(struct binding *b)
{
	const struct db_bind binds[] = { BIND_TEXT(slice_str(b->spiffe_id)), BIND_TEXT(slice_str(b->source)),
					 BIND_TEXT(slice_str(b->credential)) };

	if (b->cloud->db_works && db_step(&b->cloud->db, "DELETE FROM credentials WHERE spiffe_id = ? AND source = ? AND"
							 " credential = ?", binds, ARRAY_SIZE(binds)))
		not_stored(b->cloud);
}

static void keep_one(struct binding *b, void *arg)
{
	const struct db_bind binds[] = { BIND_TEXT(slice_str(b->spiffe_id)), BIND_TEXT(slice_str(b->source)),
					 BIND_TEXT(slice_str(b->credential)) };
	int *err = arg;

	if (!*err)
		*err = db_step(&b->cloud->db, "INSERT INTO wanted VALUES (?, ?, ?)", binds, ARRAY_SIZE(binds));
}

/* Once, when svid-core has said all: what was withdrawn while we were away goes. */
void cache_prune(struct cloud *c)
{
	int err;

	if (!c->db_works || c->bound)
		return;
	c->bound = true;
	err = db_exec(&c->db, "PRAGMA temp_store=MEMORY; BEGIN IMMEDIATE; CREATE TEMP TABLE wanted (spiffe_id, source, credential)");
	if (!err)
		bindings_each(c, keep_one, &err);
	if (!err)
		err = db_exec(&c->db, "DELETE FROM credentials WHERE (spiffe_id, source, credential) NOT IN"
				      " (SELECT * FROM temp.wanted); DROP TABLE temp.wanted; COMMIT");
	if (err) {
		not_stored(c);
		(void)sqlite3_exec(c->db.sql, "ROLLBACK", NULL, NULL, NULL);
	}
}
