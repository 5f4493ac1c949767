/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_parts.h - what the files of the clouds share: settings, forms, JSON answers, error tables. svid-cloud. */
#ifndef CLOUD_EXCHANGE_PARTS_H
#define CLOUD_EXCHANGE_PARTS_H

#include "federation/exchange.h"

#define AWS_KEY_ID_MAX 128 /* of AWS; it is shown in audit records */

/* One cloud. */
struct cloud_ops {
	const char *const *texts; /* settings that must be there and not empty; ends with NULL */
	int (*request)(const struct exchange *x, struct http_request *r);
	int (*response)(struct exchange *x, const struct http_response *r, struct outcome *o);
};

extern const struct cloud_ops aws_ops, roles_anywhere_ops, gcp_ops, azure_ops;

/* What one of a cloud's error words means. A table ends with .code NULL, which is for all other words. */
struct cloud_error {
	const char *code;
	enum verdict verdict;
	const char *next_step;
};

/** spec_text() - a setting of the CredentialSource; empty when it is not there. Borrows. */
struct slice spec_text(const struct exchange *x, const char *name);

/** arn_region() - REGION of arn:aws:SERVICE:REGION:ACCOUNT:RESOURCE; empty when there is none. Borrows. */
struct slice arn_region(struct slice arn);

/** spec_number() - likewise; 0 when it is not there. */
int64_t spec_number(const struct exchange *x, const char *name);

/** spec_list() - the array @name; NULL when it is not there. Borrows. */
const json_t *spec_list(const struct exchange *x, const char *name);

/** form_put() - append "name=value" to an application/x-www-form-urlencoded body, with & where one is needed. */
void form_put(struct buf *body, const char *name, struct slice value);

/** uri_put() - @s with all but the unreserved characters as %XX (RFC 3986 2.3). */
void uri_put(struct buf *b, struct slice s);

/** request_header() - append a header; printf form. Too many of them is a fault of the caller. */
void request_header(struct http_request *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** request_form() - the headers of a form. */
void request_form(struct http_request *r);

/** request_ok() - whether all of @r was built. Errors: -ERR_SIZE, -ENOMEM. */
MUST int request_ok(const struct http_request *r);

/** reply_json() - the JSON object that an answer is; NULL when it is none. Owned by the caller (json_decref). */
json_t *reply_json(const struct http_response *r);

static inline void json_t_autoclean(json_t **j)
{
	json_decref(*j);
}

/** json_bytes() - the bytes of a JSON string; empty when @v is no string. */
struct slice json_bytes(const json_t *v);

/** json_seconds() - a number, or a string of digits, as clouds write lifetimes; -1 when it is neither. */
int64_t json_seconds(const json_t *v);

/**
 * time_parse() - RFC 3339 in UTC ("2026-11-22T05:40:00Z", a fraction is fine) to seconds since 1970.
 * Errors: -ERR_FORMAT.
 */
MUST int time_parse(struct slice text, int64_t *ret_seconds);

/**
 * local_time() - what the cloud calls @when, by this machine's clock, as far as the answer's Date says how that is set. Of
 * a minute or less nothing is made.
 */
int64_t local_time(const struct exchange *x, const struct http_response *r, int64_t when);

/** secret_set() - put @value into a buffer of struct credential. Errors: -ERR_SIZE, -ENOMEM. */
MUST int secret_set(struct buf *b, struct slice value);

/** outcome_put() - put @text into a buffer of struct outcome, cut to what it may hold. */
void outcome_put(struct buf *b, struct slice text);

/**
 * outcome_error() - @o from the cloud's word and sentence: verdict and next step out of @table, and what the HTTP
 * status says where the word is unknown (429 and 5xx are transient). Retry-After is taken over.
 */
void outcome_error(struct outcome *o, const struct http_response *r, const struct cloud_error *table, struct slice code,
		   struct slice message);

/** outcome_nonsense() - @o of an answer that cannot be understood. */
void outcome_nonsense(struct outcome *o, const struct http_response *r, const char *what);

#endif
