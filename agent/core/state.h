/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state.h - svid-core's database, state.db: the last good documents, foreign bundles and a few named blobs.
 *
 * Only svid-core opens it. A file that is corrupted or belongs to another program is renamed, never
 * deleted and never repaired; a file of a newer version is left alone and refused. Next: docs.h.
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

/* Named blobs. */
#define STATE_AUTHORITY "authority"	  /* sealed authority, as svid-keys gave it */
#define STATE_TRUST_DOMAIN "trust_domain" /* bytes of the name that this state belongs to */
#define STATE_LAST_SIGNED "last_signed"	  /* wall clock of the last signature, decimal seconds */

struct state;

/**
 * state_open() - open or create DIR/state.db and bring its tables up to this version.
 * @dir: directory that svid-core may write; "/proc/self/fd/N" is fine.
 *
 * A corrupted or foreign file is set aside as state.db.bad-N first (see state_set_aside()).
 * Errors: -ERR_STATE (newer version, cannot be written, full disk), -ERR_SIZE (path), -ENOMEM.
 */
MUST int state_open(const char *dir, struct state **ret_state);

/** state_close() - checkpoint and release; NULL is fine. */
void state_close(struct state *st);

/**
 * state_set_aside() - name of the file that state_open() put aside ("state.db.bad-1"), NULL when none.
 */
const char *state_set_aside(const struct state *st);

/**
 * state_has_lost() - whether a file that was put aside, now or by an earlier start, still lies beside state.db. Whoever
 * moves it away has decided.
 */
bool state_has_lost(const struct state *st);

/** state_problem() - text of the last failure in this database for people; "" when there was none. */
const char *state_problem(const struct state *st);

/**
 * state_put_blob() - store @value under @key, replacing what was there. On disk when it returns 0.
 * Errors: -ERR_SIZE (above LIM_SEALED), -ERR_STATE.
 */
MUST int state_put_blob(struct state *st, const char *key, struct slice value);

/**
 * state_get_blob() - append the value of @key to @ret_value.
 * Errors: -ERR_NOT_FOUND, -ERR_SIZE (the buffer's maximum), -ENOMEM, -ERR_STATE.
 */
MUST int state_get_blob(struct state *st, const char *key, struct buf *ret_value);

/** state_del_blob() - forget @key; no error when it is not there. Errors: -ERR_STATE. */
MUST int state_del_blob(struct state *st, const char *key);

/**
 * state_put_time() / state_get_time() - a wall clock value (seconds) under @key.
 * Errors: as for blobs; -ERR_FORMAT when the stored bytes are not a number.
 */
MUST int state_put_time(struct state *st, const char *key, int64_t wall_s);
MUST int state_get_time(struct state *st, const char *key, int64_t *ret_wall_s);

/* One stored document. Slices are valid inside the callback only. */
struct state_doc {
	struct slice kind, name, file, json;
	uint32_t line;
};

/**
 * state_each_doc() - call @each for every document, ordered by kind and name.
 * A non-zero return of @each ends the walk and is returned. Errors: -ERR_STATE, what @each returned.
 */
MUST int state_each_doc(struct state *st, int (*each)(void *arg, const struct state_doc *doc), void *arg);

/**
 * state_begin() / state_commit() / state_rollback() - one transaction around the document calls.
 * Errors: -ERR_STATE; after a failed commit nothing of it is stored.
 */
MUST int state_begin(struct state *st);
MUST int state_commit(struct state *st);
void state_rollback(struct state *st);

/** state_put_doc() - insert or replace the document (kind, name). Errors: -ERR_STATE. */
MUST int state_put_doc(struct state *st, const struct state_doc *doc);

/** state_del_doc() - forget a document; no error when it is not there. Errors: -ERR_STATE. */
MUST int state_del_doc(struct state *st, struct slice kind, struct slice name);

/** state_clear_docs() - forget all documents. Errors: -ERR_STATE. */
MUST int state_clear_docs(struct state *st);

/* One stored bundle of a foreign trust domain. Slices are valid inside the callback only. */
struct state_bundle {
	struct slice trust_domain;
	struct slice der;  /* CA certificates */
	struct slice jwks; /* JWK Set */
	uint64_t sequence;
	int64_t changed; /* wall clock, seconds */
};

/** state_each_bundle() - call @each for every foreign bundle, ordered by name. Errors: as for state_each_doc(). */
MUST int state_each_bundle(struct state *st, int (*each)(void *arg, const struct state_bundle *b), void *arg);

/** state_put_bundle() - insert or replace a trust domain's bundle; on disk when it returns 0. Errors: -ERR_STATE. */
MUST int state_put_bundle(struct state *st, const struct state_bundle *b);

/** state_del_bundle() - forget it; no error when it is not there. Errors: -ERR_STATE. */
MUST int state_del_bundle(struct state *st, struct slice trust_domain);

#endif
