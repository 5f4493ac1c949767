/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - what this front serves at this moment, the same for all its connections. svid-front.
 *
 * A feed is one watched value: its current encoded message, or the reason why there is none. Streams
 * pull from it when they can send, so a slow reader skips versions instead of queueing them.
 */
#ifndef FRONT_API_H
#define FRONT_API_H

#include "workloadapi/message.h"

enum feed_id {
	FEED_SVIDS,	     /* X509SVIDResponse */
	FEED_BUNDLES,	     /* X509BundlesResponse */
	FEED_HEALTH,	     /* HealthCheckResponse of this server */
	FEED_HEALTH_UNKNOWN, /* HealthCheckResponse for services that are not here */
	FEED_COUNT,
};

struct feed {
	struct message *msg;
	int err;	  /* why streams of this feed end; only when msg is NULL */
	uint64_t serial;  /* changes with msg and err; 0: nothing published yet */
	int64_t expires;  /* wall clock seconds after which msg must not be sent any more; 0: never */
};

struct api {
	struct feed feeds[FEED_COUNT];
	struct message *serving;
	struct message *not_serving;
	uint64_t serial;
	uint64_t now;  /* CLOCK_BOOTTIME ns; set before the engine runs */
	int state_err; /* F_STATE: not 0 means that no identity is served */
};

/** api_init() - nothing published, health NOT_SERVING. Errors: -ENOMEM. */
MUST int api_init(struct api *a);

/** api_done() - drop every message. */
void api_done(struct api *a);

/**
 * api_publish() - from now on the feed is @m (one reference is taken over), or @err when @m is NULL.
 * Equal bytes change nothing, so no stream sends them again.
 */
void api_publish(struct api *a, enum feed_id id, struct message *m, int err, int64_t expires);

/** api_set_state() - F_STATE: 0 serves, anything else is why not. */
void api_set_state(struct api *a, int err);

#endif
