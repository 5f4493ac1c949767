// SPDX-License-Identifier: Apache-2.0
/* state_bundles.c - bundles of foreign trust domains in state.db. svid-core, for bundles.c. */
#include "agent/core/state_db.h"

/* SQLite's numbers are signed: a sequence above INT64_MAX is stored as the same bits. */
int state_put_bundle(struct state *st, const struct state_bundle *b)
{
	const struct db_bind binds[] = {
		BIND_TEXT(b->trust_domain),
		BIND_BLOB(b->der),
		BIND_BLOB(b->jwks),
		BIND_NUMBER((int64_t)b->sequence),
		BIND_NUMBER(b->changed),
	};

	return db_step(&st->db, "INSERT OR REPLACE INTO bundles (trust_domain, der, jwks, sequence, changed)"
			      " VALUES (?, ?, ?, ?, ?)", binds, ARRAY_SIZE(binds));
}

int state_del_bundle(struct state *st, struct slice trust_domain)
{
	const struct db_bind binds[] = { BIND_TEXT(trust_domain) };

	return db_step(&st->db, "DELETE FROM bundles WHERE trust_domain = ?", binds, ARRAY_SIZE(binds));
}

int state_each_bundle(struct state *st, int (*each)(void *arg, const struct state_bundle *b), void *arg)
{
	sqlite3_stmt *q = NULL;
	int rc = sqlite3_prepare_v2(st->db.sql, "SELECT trust_domain, der, jwks, sequence, changed FROM bundles"
					    " ORDER BY trust_domain", -1, &q, NULL);
	int err = rc == SQLITE_OK ? 0 : db_failed(&st->db, "read bundles");

	while (!err && (rc = sqlite3_step(q)) == SQLITE_ROW) {
		const struct state_bundle b = {
			.trust_domain = db_column(q, 0),
			.der = db_column(q, 1),
			.jwks = db_column(q, 2),
			.sequence = (uint64_t)sqlite3_column_int64(q, 3),
			.changed = sqlite3_column_int64(q, 4),
		};

		err = each(arg, &b);
	}
	if (!err && rc != SQLITE_DONE)
		err = db_failed(&st->db, "read bundles");
	sqlite3_finalize(q);
	return err;
}
