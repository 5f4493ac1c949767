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

static void fetch_jwt_bundles(struct call *c, struct slice body)
{
	if (decode_empty(&jwtbundles_request__descriptor, body))
		call_fail_err(c, -ERR_REQUEST);
	else
		call_watch(c, FEED_JWT_BUNDLES, true);
}

const struct method workload_methods[] = {
	{ "/SpiffeWorkloadAPI/FetchX509SVID", fetch_x509_svid, AT_ONCE },
	{ "/SpiffeWorkloadAPI/FetchX509Bundles", fetch_x509_bundles, AT_ONCE },
	{ "/SpiffeWorkloadAPI/FetchJWTSVID", fetch_jwt_svid, NEEDS_SET },
	{ "/SpiffeWorkloadAPI/FetchJWTBundles", fetch_jwt_bundles, AT_ONCE },
	{ "/SpiffeWorkloadAPI/ValidateJWTSVID", validate_jwt_svid, NEEDS_SET },
	{ "/SpiffeWorkloadAPI/FetchWITSVID", fetch_wit_svid, NEEDS_SET },
	{ "/SpiffeWorkloadAPI/FetchWITBundles", fetch_wit_bundles, AT_ONCE },
	{ NULL, NULL, AT_ONCE },
};
