/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api.h - what this front serves at this moment, the same for all its connections. svid-front.
 *
 * A feed is one watched value: its current encoded message, or the reason why there is none. Streams
 * pull from it when they can send, so a slow reader skips versions instead of queueing them. Who fills
 * it: publish.c.
 */
#ifndef FRONT_API_H
#define FRONT_API_H

#include "agent/ipc/msg.h"
#include "workloadapi/keyring.h"
#include "workloadapi/message.h"
#include "workloadapi/sds.h"
#include "workloadapi/set.h"
#include "workloadapi/tokens.h"
#include "workloadapi/validate.h"

enum feed_id {
	FEED_SVIDS,	     /* X509SVIDResponse */
	FEED_BUNDLES,	     /* X509BundlesResponse */
	FEED_JWT_BUNDLES,    /* JWTBundlesResponse */
	FEED_WIT_SVIDS,	     /* WITSVIDResponse */
	FEED_WIT_BUNDLES,    /* WITBundlesResponse */
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

/* FEED_WIT_SVIDS of one identity alone, for streams that asked for it. */
struct api_wit {
	uint32_t identity;
	struct feed feed;
};

struct api;
struct grpc_conn;

/* What the protocol engine needs done outside of it. front.c does it; tests pretend. */
struct api_ops {
	/* Calls of @g were answered outside of its own run: send. May free @g. */
	void (*poke)(struct api *a, struct grpc_conn *g);
	/* Tell svid-core FR_JWT; .conn is filled in here. Errors: any; then no answer follows. */
	int (*order)(struct api *a, const struct grpc_conn *g, struct msg_FR_JWT *m);
	/* Ask svid-keys FK_VERIFY. Errors: as order(). */
	int (*verify)(struct api *a, const struct msg_FK_VERIFY *m);
};

struct api {
	struct feed feeds[FEED_COUNT];
	struct api_wit *wits; /* one for each identity of the set, in its order; none without the WIT profile */
	size_t n_wits;
	const struct api_ops *ops;
	struct set *set; /* what is served; NULL: no identity set came yet */
	const struct keyring *ring; /* the keys of set, as long as it is served */
	struct tokens tokens;
	struct checks checks;
	struct sds sds;
	struct message *serving;
	struct message *not_serving;
	uint64_t serial;
	uint64_t now;  /* CLOCK_BOOTTIME ns; set before the engine runs */
	int state_err; /* F_STATE: not 0 means that no identity is served */
};

/** api_init() - nothing published, health NOT_SERVING, and ops that refuse. Errors: -ENOMEM. */
MUST int api_init(struct api *a);

/** api_done() - drop every message. */
void api_done(struct api *a);

/**
 * api_publish() - from now on the feed is @m (one reference is taken over), or @err when @m is NULL.
 * Equal bytes change nothing, so no stream sends them again.
 */
void api_publish(struct api *a, enum feed_id id, struct message *m, int err, int64_t expires);

/**
 * api_publish_wits() - from now on @wits are the feeds of single identities (taken over, with their messages; the serials
 * are given here). A message that is NULL: not there yet.
 */
void api_publish_wits(struct api *a, struct api_wit *wits, size_t n);

/** api_one() - the feed of one identity's WIT-SVID; NULL when the set has no such identity. */
const struct feed *api_one(const struct api *a, uint32_t identity);

/** api_set_state() - F_STATE: 0 serves, anything else is why not. */
void api_set_state(struct api *a, int err);

#endif
