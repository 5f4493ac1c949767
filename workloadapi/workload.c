// SPDX-License-Identifier: Apache-2.0
/* workload.c - the methods of SpiffeWorkloadAPI. svid-front. Source: SPIFFE Workload API sections 5 to 7. */
#include "gen/workload.pb-c.h"
#include "workloadapi/encode.h"
#include "workloadapi/service.h"

static void fetch_x509_svid(struct call *c, struct slice body)
{
	if (decode_empty(&x509_svidrequest__descriptor, body))
		call_fail_err(c, -ERR_REQUEST);
	else
		call_watch(c, FEED_SVIDS, true);
}

static void fetch_x509_bundles(struct call *c, struct slice body)
{
	if (decode_empty(&x509_bundles_request__descriptor, body))
		call_fail_err(c, -ERR_REQUEST);
	else
		call_watch(c, FEED_BUNDLES, true);
}

static void no_jwt(struct call *c, struct slice body)
{
	(void)body;
	call_fail(c, GRPC_UNIMPLEMENTED, "JWT-SVIDs are not implemented by this agent yet");
}

/* Workload API 7: a server without the WIT profile says Unimplemented. */
static void no_wit(struct call *c, struct slice body)
{
	(void)body;
	call_fail(c, GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented");
}

const struct method workload_methods[] = {
	{ "/SpiffeWorkloadAPI/FetchX509SVID", fetch_x509_svid },
	{ "/SpiffeWorkloadAPI/FetchX509Bundles", fetch_x509_bundles },
	{ "/SpiffeWorkloadAPI/FetchJWTSVID", no_jwt },
	{ "/SpiffeWorkloadAPI/FetchJWTBundles", no_jwt },
	{ "/SpiffeWorkloadAPI/ValidateJWTSVID", no_jwt },
	{ "/SpiffeWorkloadAPI/FetchWITSVID", no_wit },
	{ "/SpiffeWorkloadAPI/FetchWITBundles", no_wit },
	{ NULL, NULL },
};
