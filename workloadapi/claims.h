/* SPDX-License-Identifier: Apache-2.0 */
/* claims.h - the answer to a token that is good: ValidateJWTSVIDResponse. svid-front. */
#ifndef FRONT_CLAIMS_H
#define FRONT_CLAIMS_H

#include "workloadapi/jwt.h"
#include "workloadapi/message.h"

/**
 * claims_encode() - the SPIFFE ID and the claims, as JSON has them; aud is a list always, numbers are doubles.
 * @all: every claim; else only sub, aud and exp: what a foreign trust domain says about anything else is its own business.
 * @ret_m: one reference, owned by the caller.
 * Errors: -ERR_SIZE, -ENOMEM. Source: Workload API 6.2.3, google.protobuf.Struct.
 */
MUST int claims_encode(const struct jwt *j, bool all, struct message **ret_m);

#endif
