/* SPDX-License-Identifier: Apache-2.0 */
/*
 * validate.h - ValidateJWTSVID: whose key should have signed, and did it? Sans-I/O. svid-front.
 *
 * jwt.c reads the token, jwks.c the keys of its trust domain; svid-keys checks the signature (FK_VERIFY) and front.c brings
 * its answer here. Source: Workload API 6.2.3, 6.3.
 */
#ifndef FRONT_VALIDATE_H
#define FRONT_VALIDATE_H

#include "agent/base/list.h"
#include "agent/ipc/msg.h"

struct api;

/* Signature checks that svid-keys was asked for. */
struct checks {
	struct list open; /* oldest first */
	uint32_t n;	  /* at most LIM_JWT_ORDERS, those included that nobody waits for any more */
	uint32_t last;	  /* number of the newest */
};

/** checks_init() - none. */
void checks_init(struct checks *k);

/** checks_done() - drop all; whoever waits is not told. */
void checks_done(struct checks *k);

/**
 * checks_answer() - FK_VERIFIED came: the call that waits is answered and pushed. A late one is dropped.
 * Errors: -ERR_PERMIT (nothing was ever asked under this number): the sender is broken.
 */
MUST int checks_answer(struct api *api, const struct msg_FK_VERIFIED *m);

/** checks_fail() - none of them will be answered. */
void checks_fail(struct api *api, int err);

#endif
