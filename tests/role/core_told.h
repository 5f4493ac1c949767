/* SPDX-License-Identifier: Apache-2.0 */
/* core_told.h - what the svid-keys and the svid-cloud of core_world.h were told by svid-core. */
#ifndef TESTS_ROLE_CORE_TOLD_H
#define TESTS_ROLE_CORE_TOLD_H

#include "agent/ipc/chan.h"

/* A KY_JWT. */
struct world_jwt {
	uint32_t id, front, order, identity, ttl, alg;
	char spiffe_id[64], issuer[64];
	char audience[64], claims[256]; /* the first one; all */
	size_t audiences;
};

/* svid-cloud, which this test is, and what svid-core told it last. */
struct world_cloud {
	int fd;		      /* -1: it does not run */
	unsigned int started; /* how often svid-core wanted it, or it was killed */
	unsigned int confs, binds, unbinds, bounds, chains, files, refusals, refreshes;
	char issuer[64];
	uint32_t bindings[4], kinds[4];	   /* in the order of CL_BIND */
	char spiffe_ids[4][64], names[4][64];
	uint32_t unbound;
	uint32_t refused;
	int refused_err;
	struct msg_CL_FILE file;
};

#endif
