// SPDX-License-Identifier: Apache-2.0
/* self.c - svid.v1.Self: what the agent knows about the caller, as svid-core says. svid-front. */
#include "gen/self.pb-c.h"
#include "workloadapi/encode.h"
#include "workloadapi/service.h"

static void who_am_i(struct call *c, struct slice body)
{
	if (decode_empty(&svid__v1__who_am_irequest__descriptor, body))
		call_fail_err(c, -ERR_REQUEST);
	else
		call_self(c);
}

const struct method self_methods[] = {
	{ "/svid.v1.Self/WhoAmI", who_am_i, ANYBODY },
	{ NULL, NULL, AT_ONCE },
};
