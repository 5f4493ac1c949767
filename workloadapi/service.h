/* SPDX-License-Identifier: Apache-2.0 */
/* service.h - which methods there are: one table per service, one row per method. svid-front. */
#ifndef FRONT_SERVICE_H
#define FRONT_SERVICE_H

#include "workloadapi/grpc.h"

struct method {
	const char *path;
	void (*serve)(struct call *c, struct slice body); /* body: the request's protobuf */
};

/* Each ends with an empty row. */
extern const struct method workload_methods[]; /* workload.c */
extern const struct method health_methods[];   /* health.c */
extern const struct method self_methods[];     /* self.c */

/** service_method() - the method with exactly this path; NULL when there is none. */
const struct method *service_method(struct slice path);

#endif
