/* SPDX-License-Identifier: Apache-2.0 */
/* call_fixture.h - what tests of gRPC calls start from and how they read answers. Tests of workloadapi only. */
#ifndef TESTS_CALL_FIXTURE_H
#define TESTS_CALL_FIXTURE_H

#include "gen/workload.pb-c.h"
#include "tests/lib/workload.h"

#define SVID "/SpiffeWorkloadAPI/FetchX509SVID"

struct fixture {
	struct api api;
	struct peer *p;
};

/** fixture_set_up() - of cmocka: *@state is a struct fixture at second 1000, serving two identities. Errors: none, it asserts. */
int fixture_set_up(void **state);

/** fixture_tear_down() - of cmocka. Errors: none. */
int fixture_tear_down(void **state);

/** messages() - how many whole messages arrived; the last one's body in @ret_last. */
size_t messages(const struct answer *a, struct slice *ret_last);

/** last_svids() - the last of @want messages, unpacked; the caller frees it. */
X509SVIDResponse *last_svids(const struct answer *a, size_t want);

#endif
