/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - which methods there are: one table per service, one row per method. svid-front. */
#ifndef FRONT_SERVICE_H
#define FRONT_SERVICE_H

#include "workloadapi/grpc.h"

enum method_kind {
	AT_ONCE,
	ANYBODY, /* AT_ONCE, and not about the caller's identities: who lost them may ask again */
	NEEDS_SET, /* waits for the first identity set, and fails as F_STATE says: api->set is there in serve() */
	MANY,	   /* the client streams: serve() is called for each request, and the call ends when there is none left */
	DISCOVER,  /* the same, but it then follows what changes (call->follow); requests carry an Envoy's Node */
	DISCOVER_DELTA, /* the same with requests of the incremental protocol */
	DISCOVER_ONCE,	/* NEEDS_SET, with such a request */
};

struct method {
	const char *path;
	void (*serve)(struct call *c, struct slice body); /* body: the request's protobuf */
	enum method_kind kind;
};

/* Each ends with an empty row. */
extern const struct method workload_methods[]; /* workload.c */
extern const struct method health_methods[];   /* health.c */
extern const struct method self_methods[];     /* self.c */
extern const struct method reflection_methods[]; /* reflection.c */
extern const struct method sds_methods[];	 /* sds.c */

/** fetch_jwt_svid() - FetchJWTSVID; fetch_jwt.c. */
void fetch_jwt_svid(struct call *c, struct slice body);

/** validate_jwt_svid() - ValidateJWTSVID; validate.c. */
void validate_jwt_svid(struct call *c, struct slice body);

/** fetch_wit_svid() - FetchWITSVID; fetch_wit.c, as the next one. */
void fetch_wit_svid(struct call *c, struct slice body);

/** fetch_wit_bundles() - FetchWITBundles. */
void fetch_wit_bundles(struct call *c, struct slice body);

/** service_method() - the method with exactly this path; NULL when there is none. */
const struct method *service_method(struct slice path);

/** service_is_here() - whether there is a service of this name; the empty one is the server as a whole. */
bool service_is_here(const char *name);

#endif
