/* SPDX-License-Identifier: Apache-2.0 */
/* sds_request.h - requests of Envoy's discovery protocol, taken apart. svid-front. Who asks: sds.c, sds_delta.c. */
#ifndef FRONT_SDS_REQUEST_H
#define FRONT_SDS_REQUEST_H

#include "workloadapi/sds.h"

/* One request of either kind. Slices borrow from it. */
struct sds_request {
	struct slice node, nonce, why; /* why: error_detail.message */
	struct slice version;	       /* state of the world */
	struct sds_row *names;	       /* resource_names or resource_names_subscribe */
	struct sds_row *without;       /* resource_names_unsubscribe */
	struct sds_row *have;	       /* initial_resource_versions */
	size_t n_names, n_without, n_have;
	bool all;		       /* "*" was among the names */
	bool not_all;		       /* "*" was among those to leave out */
	bool refused;		       /* error_detail is there */
	const char *fault;	       /* static: why the stream ends, better than the error's text */
};

/**
 * sds_read() - take a request apart.
 * @delta: a DeltaDiscoveryRequest, else a DiscoveryRequest.
 * @r: zeroed; sds_request_done() in any case.
 * Errors: -ERR_REQUEST, -ERR_LIMIT (LIM_SDS_NAMES, LIM_SDS_NAME), -ENOMEM; r->fault may say more.
 */
MUST int sds_read(struct slice body, bool delta, struct sds_request *r);

/** sds_request_done() - release. */
void sds_request_done(struct sds_request *r);

static inline void sds_request_autoclean(struct sds_request *r)
{
	sds_request_done(r);
}

/** sds_wish() - what a Node asks for: bits of enum sds_wish. What cannot be read asks for nothing. */
uint32_t sds_wish(struct slice node);

/**
 * sds_squeeze() - drop what nobody reads of the requests in @body, which may still be coming in: prefixes and messages, whose
 * lengths are made to fit. Returns how many bytes are gone.
 */
size_t sds_squeeze(struct buf *body, bool delta);

#endif
