// SPDX-License-Identifier: Apache-2.0
/* fetch_wit.c - FetchWITSVID and FetchWITBundles. svid-front. Source: Workload API 7. */
#include "agent/base/pb.h"
#include "agent/base/spiffe_id.h"
#include "gen/workload.pb-c.h"
#include "workloadapi/encode.h"
#include "workloadapi/service.h"

enum { FIELD_SPIFFE_ID = 1 };

void fetch_wit_svid(struct call *c, struct slice body)
{
	const struct set *s = call_conn(c)->api->set;
	const struct set_identity *id;
	struct slice wanted;
	struct spiffe_id parsed;

	if (pb_strings(body, &wanted, FIELD_SPIFFE_ID)) {
		call_fail_err(c, -ERR_REQUEST);
	} else if (!s->wit) {
		call_fail_err(c, -ERR_PROFILE);
	} else if (!wanted.len) {
		call_watch(c, FEED_WIT_SVIDS, true);
	} else if (spiffe_id_parse(wanted, &parsed)) {
		call_fail(c, GRPC_INVALID_ARGUMENT, "requested SPIFFE ID is not valid");
	} else {
		id = set_find(s, wanted);
		if (id)
			call_watch_one(c, id->e.identity);
		else
			call_fail_err(c, -ERR_NO_IDENTITY);
	}
}

void fetch_wit_bundles(struct call *c, struct slice body)
{
	if (decode_empty(&witbundles_request__descriptor, body))
		call_fail_err(c, -ERR_REQUEST);
	else
		call_watch(c, FEED_WIT_BUNDLES, true);
}
