/* SPDX-License-Identifier: Apache-2.0 */
/* sds_stream.h - one stream of Envoy's secrets, of either kind: what sds.c and sds_delta.c share. svid-front. */
#ifndef FRONT_SDS_STREAM_H
#define FRONT_SDS_STREAM_H

#include "workloadapi/grpc.h"
#include "workloadapi/sds_request.h"

struct sds_stream {
	struct call_follow follow;
	struct sds_ask *ask;   /* NULL: before the first request */
	struct sds_view *have; /* what the client was told; NULL: nothing */
	uint64_t nonce;	       /* of the last answer; 0: none was sent */
	uint32_t wish;	       /* enum sds_wish */
	bool all, named, held; /* as in struct sds_ask; named: some request had names */
	bool refused;	       /* the last answer, and that was logged */
};

/** sds_stream_of() - the stream of a call, made for its first request; NULL: no memory. */
struct sds_stream *sds_stream_of(struct call *c, const struct call_follow *ops);

/** sds_stream_gone() - of struct call_follow. */
void sds_stream_gone(struct call_follow *f);

/** sds_stream_ask() - from now on the stream asks for @names (taken over). Errors: -ENOMEM. */
MUST int sds_stream_ask(struct sds_stream *s, struct api *api, struct sds_view *names);

/** sds_stream_heard() - the nonce of a request: whether it is about the last answer, or about none. A refusal is logged, once. */
bool sds_stream_heard(struct sds_stream *s, const struct sds_request *r);

/** sds_stream_told() - the answer of @v is on its way. */
void sds_stream_told(struct sds_stream *s, struct sds_view *v);

/** sds_stream_have() - another state of the client, whose reference is taken over. */
void sds_stream_have(struct sds_stream *s, struct sds_view *have);

/** sds_fail() - end a call that a request of it ended. */
void sds_fail(struct call *c, const struct sds_request *r, int err);

/** delta_secrets() - DeltaSecrets; sds_delta.c. */
void delta_secrets(struct call *c, struct slice body);

#endif
