/* SPDX-License-Identifier: Apache-2.0 */
/* links: workloadapi tests/lib/workload.c */
/*
 * proto_fuzz.c - the decoders of svid-front one by one: protobuf requests, gRPC timeouts, and the F_SET
 * of svid-core. What a decoder accepts must encode.
 */
#include <stdlib.h>

#include "agent/base/mem.h"
#include "gen/workload.pb-c.h"
#include "workloadapi/encode.h"
#include "workloadapi/request.h"
#include "workloadapi/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool yes(const char *service)
{
	return *service != 0;
}

static void one_set(struct slice in)
{
	AUTO(set) struct set *s = NULL;
	AUTO(message) struct message *svids = NULL;
	AUTO(message) struct message *bundles = NULL;
	AUTO(message) struct message *jwt = NULL;
	struct secret *key, *keys[LIM_SET_IDENTITIES];

	if (set_new(in, &s) || set_check(s))
		return;
	key = secret_new(2);
	if (!key)
		abort();
	memcpy(secret_bytes(key), "\x30\0", 2);
	for (size_t i = 0; i < LIM_SET_IDENTITIES; i++)
		keys[i] = key;
	if (encode_x509_svids(s, keys, &svids) || encode_x509_bundles(s, &bundles) ||
	    (s->own.jwks.len && encode_jwt_bundles(s, &jwt)))
		abort();
	secret_free(key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	uint8_t which = slice_get_u8(&in);
	uint64_t ns;
	bool here;

	if (!size)
		return 0;
	switch (which % 4) {
	case 0:
		(void)!decode_health(in, yes, &here);
		break;
	case 1:
		(void)!decode_empty(&x509_svidrequest__descriptor, in);
		break;
	case 2:
		(void)!request_timeout(in, &ns);
		break;
	case 3:
		one_set(in);
		break;
	}
	return 0;
}
