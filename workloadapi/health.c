// SPDX-License-Identifier: Apache-2.0
/* health.c - grpc.health.v1: is this server able to give identities now? svid-front. */
#include "workloadapi/encode.h"
#include "workloadapi/service.h"

static void check(struct call *c, struct slice body)
{
	bool here;
	int err = decode_health(body, service_is_here, &here);

	if (err)
		call_fail_err(c, err);
	else if (!here)
		call_fail(c, GRPC_NOT_FOUND, "unknown service");
	else
		call_answer(c, call_conn(c)->api->feeds[FEED_HEALTH].msg);
}

static void watch(struct call *c, struct slice body)
{
	bool here;
	int err = decode_health(body, service_is_here, &here);

	if (err)
		call_fail_err(c, err);
	else
		call_watch(c, here ? FEED_HEALTH : FEED_HEALTH_UNKNOWN, false);
}

const struct method health_methods[] = {
	{ "/grpc.health.v1.Health/Check", check, AT_ONCE },
	{ "/grpc.health.v1.Health/Watch", watch, AT_ONCE },
	{ NULL, NULL, AT_ONCE },
};
