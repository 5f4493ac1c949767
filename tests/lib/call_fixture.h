/* SPDX-License-Identifier: Apache-2.0 */
/* call_fixture.h - what tests of gRPC calls start from and how they read answers. Tests of workloadapi only. */
#ifndef TESTS_CALL_FIXTURE_H
#define TESTS_CALL_FIXTURE_H

#include "gen/workload.pb-c.h"
#include "tests/lib/workload.h"

#define SVID "/SpiffeWorkloadAPI/FetchX509SVID"

#define FIXTURE_ORDERS 1024

/* An FR_JWT that the engine sent. */
struct fixture_order {
	uint32_t order, identity;
	char audiences[256]; /* "a,b" */
};

struct fixture {
	struct api api;
	struct peer *p;
	struct fixture_order orders[FIXTURE_ORDERS];
	size_t n_orders;
	int refuse;	 /* what sending an order returns */
	size_t pushed; /* how often something was to be sent outside of a connection's own run */
};

/** fixture_set_up() - of cmocka: *@state is a struct fixture at second 1000, serving two identities. Errors: none, it asserts. */
int fixture_set_up(void **state);

/** fixture_tear_down() - of cmocka. Errors: none. */
int fixture_tear_down(void **state);

/** fixture_sign() - svid-keys answers this order: a token "o<order>.<identity>.s" of @life seconds. */
void fixture_sign(struct fixture *f, const struct fixture_order *o, int64_t life);

/** assert_failed() - the call ended as it should, with this status and text. */
void assert_failed(const struct answer *a, int status, const char *text);

/** messages() - how many whole messages arrived; the last one's body in @ret_last. */
size_t messages(const struct answer *a, struct slice *ret_last);

/** last_svids() - the last of @want messages, unpacked; the caller frees it. */
X509SVIDResponse *last_svids(const struct answer *a, size_t want);

#endif
