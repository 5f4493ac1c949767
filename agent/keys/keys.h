/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keys.h - svid-keys as a whole: its four kinds of channels and what they share. Loop thread.
 *
 * svidd (main.c) brings the sealing key and the other channels; svid-core (core.c, issue.c, mint.c) loads the
 * authority, binds fronts and orders SVIDs; rotate.c lets the authority's keys follow each other; each front
 * (front.c) may fetch the keys of the identities that core bound to it and have signatures checked, nothing else;
 * svid-cloud (cloud.c) may have its cache sealed and opened, and what core orders for it (turn.c) waits behind all others'.
 */
#ifndef KEYS_KEYS_H
#define KEYS_KEYS_H

#include "agent/ipc/chan.h"
#include "agent/keys/authority.h"
#include "agent/keys/keystore.h"
#include "agent/keys/pool.h"

/* Where the authority stands in time (rotate.c). */
struct rotation {
	struct loop_timer timer;
	int64_t next;	   /* wall clock, seconds: nothing is due before */
	int64_t sealed_at; /* last signature that core was given to store */
	uint32_t serial;   /* of the last KY_LOADED */
	struct slow *slow; /* the RSA key in the pool; NULL: none */
};

struct keys {
	struct loop *loop;
	struct chan *svidd;
	struct chan *core;	    /* NULL between two cores */
	struct chan *cloud;	    /* NULL: svidd brought none, or it broke a rule */
	struct secbytes seal_key;   /* empty until K_SEAL */
	struct authority *authority; /* NULL until KY_LOAD */
	struct rotation rotation;
	struct buf nobody_ca; /* DER; made with each load */
	struct keystore *store;
	struct pool *pool;
	struct list fronts; /* struct front, front.c */
	unsigned int n_fronts;
	struct list jobs; /* struct issue, issue.c: RSA keys being made */
	struct list cloud_orders; /* struct cloud_order, turn.c */
	unsigned int n_cloud_orders;
	struct loop_timer turn; /* of the next of them */
	int64_t last_signature; /* survives a restart of core; seconds since 1970 */
	int err;		/* why the loop stopped; 0 when svidd went away */
};

/** keys_stop() - leave the loop; a broken sibling is @err, and then svidd starts us afresh. */
void keys_stop(struct keys *k, int err);

/** core_attach() - speak with svid-core on @fd (taken over); what an earlier core left is dropped. Errors: -ENOMEM, -errno. */
MUST int core_attach(struct keys *k, int fd);

/** core_broke() - @err: core broke the rules, outside of its channel's callbacks. */
void core_broke(struct keys *k, int err);

/** core_drop() - forget core, its bindings, its keys and the authority. */
void core_drop(struct keys *k);

/** issue_request() - a KY_ISSUE message; the answer may come later. Errors: those that condemn core. */
MUST int issue_request(struct keys *k, uint32_t id, const struct msg_KY_ISSUE *m);

/**
 * mint_request() - a KY_JWT message; the token goes to the front, the news to core.
 * Errors: those that condemn core (-ERR_FORMAT, -ERR_PERMIT: a front that does not serve this identity).
 */
MUST int mint_request(struct keys *k, uint32_t id, const struct msg_KY_JWT *m);

/**
 * rotate_start() - the authority is loaded: do what is due, answer request @id with KY_LOADED, and go on by timer.
 * Errors: those of authority_advance() and chan_send(), -ERR_SEALED.
 */
MUST int rotate_start(struct keys *k, uint32_t id);

/** rotate_now() - do what is due before something is signed; cheap when nothing is. */
void rotate_now(struct keys *k);

/** rotate_stored() - svid-core has stored what KY_LOADED @serial brought; an older one says nothing of what came since. */
void rotate_stored(struct keys *k, uint32_t serial);

/** rotate_seal() - have core store the time of the last signature, now and then. */
void rotate_seal(struct keys *k);

/** rotate_stop() - core or the authority goes away. */
void rotate_stop(struct keys *k);

/** issue_cancel() - unfinished orders for @identity end without an answer. */
void issue_cancel(struct keys *k, uint32_t identity);

/** issue_drop_all() - unfinished orders end without an answer. */
void issue_drop_all(struct keys *k);

/** front_attach() - front @number speaks on @fd (taken over). Errors: -ERR_EXISTS, -ERR_LIMIT, -ENOMEM, -errno. */
MUST int front_attach(struct keys *k, uint32_t number, int fd);

/**
 * front_bind() - front @number serves exactly these identities, for ever.
 * @identities: u32 each.
 * Errors: -ERR_PERMIT (bound already), -ERR_FORMAT, -ERR_LIMIT, -ENOMEM, -errno.
 */
MUST int front_bind(struct keys *k, uint32_t number, struct slice identities);

/**
 * front_may_have() - whether a token of @identity may go to front @number now.
 * Errors: -ERR_CLOSED (it is gone), -ERR_NOT_READY (svidd did not bring its channel yet), -ERR_PERMIT (not bound,
 *         or not to this identity).
 */
MUST int front_may_have(struct keys *k, uint32_t number, uint32_t identity);

/**
 * front_give_jwt() - send FK_JWT to front @number. A front that does not read is cut.
 * Errors: -ERR_CLOSED, -ERR_LIMIT, and those of chan_send().
 */
MUST int front_give_jwt(struct keys *k, uint32_t number, const struct msg_FK_JWT *m);

/** front_drop_all() - close every front channel. */
void front_drop_all(struct keys *k);

/* turn.c */

/** turn_init() - there are no orders. */
void turn_init(struct keys *k);

/**
 * turn_take() - KY_JWT for svid-cloud, or KY_SIGN: do it when its turn comes.
 * Errors: those that condemn core (-ERR_LIMIT: more than LIM_CLOUD_ORDERS; those of turn_do()).
 */
MUST int turn_take(struct keys *k, const struct chan_msg *m);

/** turn_drop_all() - orders that wait end without an answer. */
void turn_drop_all(struct keys *k);

/** turn_do() - sign, and answer core and svid-cloud: core.c. Errors: those that condemn core. */
MUST int turn_do(struct keys *k, uint16_t type, uint32_t id, struct slice body);

/** cloud_attach() - svid-cloud speaks on @fd (taken over) from now on. Errors: -ENOMEM, -errno. */
MUST int cloud_attach(struct keys *k, int fd);

/** cloud_drop() - close its channel. */
void cloud_drop(struct keys *k);

/** cloud_give_jwt() - send it CK_JWT. Errors: -ERR_CLOSED (it is not there), those of chan_send(). */
MUST int cloud_give_jwt(struct keys *k, const struct msg_CK_JWT *m);

/**
 * cloud_sign() - sign with the key of an X.509-SVID and send CK_SIGNED, also when there is no signature.
 * Errors: -ERR_FORMAT (not a SHA-256 digest), -ERR_NOT_FOUND (no such key any more), -ERR_CRYPTO, -ERR_CLOSED, and
 * those of chan_send().
 * Source: clouds.md 1.2.
 */
MUST int cloud_sign(struct keys *k, const struct msg_KY_SIGN *m);

#endif
