/* SPDX-License-Identifier: Apache-2.0 */
/* http.h - requests to token services, by libcurl in our loop. svid-cloud. */
#ifndef CLOUD_HTTP_H
#define CLOUD_HTTP_H

#include "agent/base/loop.h"
#include "federation/exchange.h"

struct http;

/* One request on its way. */
struct http_call;
typedef void http_done(void *arg, const struct http_response *r, const char *why);

/** http_new() - Errors: -ENOMEM. */
MUST int http_new(struct loop *loop, struct http **ret_http);

/** http_free() - requests on their way end without an answer. */
void http_free(struct http *h);

/**
 * http_post() - send @r, which is taken over; done() follows from the loop: with a response, or with @why there is none.
 * @proxy, @ca: empty for none; @ca is PEM.
 * Errors: -ENOMEM.
 */
MUST int http_post(struct http *h, struct http_request *r, struct slice proxy, struct slice ca, http_done *done, void *arg,
		   struct http_call **ret_call);

/** http_cancel() - done() does not follow. */
void http_cancel(struct http_call *call);

#endif
