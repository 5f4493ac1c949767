/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jwt.h - JWT-SVIDs: may this caller have one for these audiences, the record of it, and the order to svid-keys, which
 * answers the front itself. No token is ever here.
 *
 * Flow: FR_JWT, front_jwt.c (form), jwt_order() (rules, record, KY_JWT), jwt_done() (second record).
 */
#ifndef CORE_JWT_H
#define CORE_JWT_H

#include "agent/core/bundles.h"
#include "agent/core/front.h"

struct core;

/* Orders that svid-keys works on, and counters since start. */
struct jwts {
	struct list open;
	uint64_t issued, failed;
	uint64_t refused_audience, refused_rate, refused_other;
};

/** jwts_init() - none yet. */
void jwts_init(struct jwts *j);

/** jwts_free() - orders that are open are forgotten. */
void jwts_free(struct jwts *j);

/**
 * jwt_order() - let an order through or not; the record is written before svid-keys is asked.
 * @ret_refusal: 0, or why there is none (-ERR_AUDIENCE, -ERR_RATE, -ERR_CHANGED, what holds...).
 * Errors: -ERR_PERMIT (the connection was never this front's: condemn it).
 */
MUST int jwt_order(struct core *c, const struct idset *set, const struct jwt_ask *ask, int *ret_refusal);

/** jwt_done() - svid-keys' end of request @id; @jwt is NULL when @err. */
void jwt_done(struct core *c, uint32_t id, int err, const struct jwt_issued *jwt);

/** jwts_lost() - svid-keys is gone: fronts hear that nothing comes any more. */
void jwts_lost(struct core *c);

#endif
