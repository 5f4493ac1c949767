/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange.h - one exchange with a cloud's token service as bytes in and bytes out: what to ask, and what the answer
 * means. svid-cloud; no I/O here. One file per cloud; http.c does the talking, binding.c decides when.
 *
 * An exchange is exchange_request(), an HTTP request, exchange_response(), and again while that says CLOUD_NEXT.
 */
#ifndef CLOUD_EXCHANGE_H
#define CLOUD_EXCHANGE_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/base/limits.h"
#include "agent/base/session_name.h"
#include "agent/ipc/plan.h"

#define EXCHANGE_HEADERS 8

/* What an answer means for the next try (clouds.md 1). */
enum verdict {
	VERDICT_DONE,	   /* there is a credential */
	VERDICT_NEXT,	   /* the cloud wants another request */
	VERDICT_RETRY,	   /* transient: back off with jitter, or as long as the cloud said */
	VERDICT_NEW_JWT,   /* a fresh JWT-SVID may do: once, then as VERDICT_RETRY */
	VERDICT_SLOW,	   /* the cloud's side is not (yet) as it must be: minutes */
	VERDICT_PERMANENT, /* nothing changes by asking again */
};

/* Headers without line ends; url and headers hold no secret, but for Authorization of a second step. */
struct http_request {
	struct buf url;
	struct buf headers[EXCHANGE_HEADERS]; /* "Name: value" */
	size_t n_headers;
	struct buf body; /* secret; always a POST */
};

/* What came back; slices borrow. Names of headers that were looked for are in the comments. */
struct http_response {
	unsigned int status;
	struct slice body;	  /* at most LIM_CLOUD_RESPONSE */
	struct slice retry_after; /* Retry-After, empty when there is none */
	struct slice request_id;  /* x-amzn-requestid, x-ms-request-id */
	struct slice error_type;  /* x-amzn-errortype */
	int64_t date;		  /* Date, seconds since 1970; 0 when there is none */
};

/* What a cloud gave. Every buffer is wiped. */
struct credential {
	struct buf key_id;	  /* AWS */
	struct buf secret_key;	  /* AWS */
	struct buf session_token; /* AWS */
	struct buf access_token;  /* GCP, Azure */
	struct buf id_token;	  /* GCP, on request */
	int64_t expires_at;	  /* seconds since 1970 */
};

/* For people, the audit record and the scheduler; no secret. */
struct outcome {
	enum verdict verdict;
	uint32_t retry_after; /* seconds; 0: our own back-off */
	int64_t refresh_in;   /* of VERDICT_DONE, seconds; 0 or less: when we think fit */
	struct buf code;      /* the cloud's own word */
	struct buf message;   /* bytes of the network: to be escaped by who shows them */
	struct buf request_id;
	struct buf principal;
	const char *next_step; /* what a person can do; NULL: nothing */
};

/* Everything that an exchange knows. The caller sets the first part; slices and spec borrow from it. */
struct exchange {
	enum cloud_kind kind;
	const json_t *spec; /* of the CredentialSource's kind, normal form */
	struct slice spiffe_id;
	struct slice node;
	int64_t now;		/* wall clock, seconds */
	struct slice jwt;	/* all but Roles Anywhere */
	struct slice chain;	/* Roles Anywhere: DER, leaf first */
	struct slice signature; /* Roles Anywhere: of exchange_to_sign() */

	unsigned int step;
	char session[SESSION_NAME_MAX + 1]; /* AWS; "" for the others */
	struct buf bearer; /* GCP: the token of the step before; secret */
	struct credential got;
};

/** exchange_init() - @x starts anew: nothing was asked or given yet; the session name is known afterwards. */
void exchange_init(struct exchange *x);

/** exchange_session() - the name of the session that a cloud of @kind is asked for; "" where there is none. */
void exchange_session(enum cloud_kind kind, struct slice spiffe_id, struct slice node,
		      char ret_name[static SESSION_NAME_MAX + 1]);

/** exchange_done() - wipe what was given. */
void exchange_done(struct exchange *x);

static inline void exchange_autoclean(struct exchange *x)
{
	exchange_done(x);
}

/** http_request_done() - wipe and release; a zeroed one is fine. */
void http_request_done(struct http_request *r);

static inline void http_request_autoclean(struct http_request *r)
{
	http_request_done(r);
}

/** outcome_done() - release; a zeroed one is fine. */
void outcome_done(struct outcome *o);

static inline void outcome_autoclean(struct outcome *o)
{
	outcome_done(o);
}

/**
 * exchange_check() - whether @spec has all that @kind needs, in the right types: the compiler made it, core passed it on.
 * Errors: -ERR_FORMAT.
 */
MUST int exchange_check(enum cloud_kind kind, const json_t *spec);

/**
 * exchange_to_sign() - Roles Anywhere only: @text, what the key of the X.509-SVID has to sign for the request at x->now.
 * Errors: -ERR_FORMAT (the chain), -ERR_SIZE, -ERR_CRYPTO, -ENOMEM. Source: clouds.md 1.2.
 */
MUST int exchange_to_sign(const struct exchange *x, struct buf *text);

/**
 * exchange_request() - what to send next.
 * @r: zeroed; filled on success.
 * Errors: -ERR_FORMAT, -ERR_SIZE (the cloud's own limits on a token or name), -ENOMEM.
 */
MUST int exchange_request(const struct exchange *x, struct http_request *r);

/**
 * exchange_response() - what the answer means. On VERDICT_DONE x->got is the credential.
 * @o: zeroed; filled in any case.
 * Errors: -ENOMEM. A body that cannot be understood is a verdict, not an error.
 */
MUST int exchange_response(struct exchange *x, const struct http_response *r, struct outcome *o);

/**
 * exchange_no_response() - the same when there was no HTTP answer at all.
 * @why: one of the transport's own sentences.
 */
void exchange_no_response(struct outcome *o, const char *why);

#endif
