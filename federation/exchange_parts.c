/* SPDX-License-Identifier: Apache-2.0 */
/* exchange_parts.c - settings, forms, JSON answers and error tables, for all clouds. svid-cloud. */
#include "federation/exchange_parts.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "agent/base/err.h"

#define OUTCOME_MAX 1024
#define QUOTED_MIN 80 /* bytes: no name and no number in a message is so long, and every token is */
#define HEADER_MAX (LIM_CLOUD_SECRET + 256)
#define CLOCK_SLACK_S 60
#define SECONDS_MAX 1000000000000 /* beyond it no number is a time */
#define RETRY_AFTER_MAX 3600 /* seconds: a cloud that says more is asked again all the same */

struct slice json_bytes(const json_t *v)
{
	return slice_of(json_string_value(v), json_string_length(v));
}

struct slice spec_text(const struct exchange *x, const char *name)
{
	return json_bytes(json_object_get(x->spec, name));
}

int64_t spec_number(const struct exchange *x, const char *name)
{
	return json_integer_value(json_object_get(x->spec, name));
}

const json_t *spec_list(const struct exchange *x, const char *name)
{
	const json_t *v = json_object_get(x->spec, name);

	return json_is_array(v) ? v : NULL;
}

static bool is_unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

void uri_put(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (is_unreserved(s.p[i]))
			buf_put_u8(b, s.p[i]);
		else
			buf_printf(b, "%%%02X", s.p[i]);
}

void form_put(struct buf *body, const char *name, struct slice value)
{
	if (body->len)
		buf_put_str(body, "&");
	uri_put(body, slice_str(name));
	buf_put_str(body, "=");
	uri_put(body, value);
}

void request_header(struct http_request *r, const char *fmt, ...)
{
	struct buf *b = &r->headers[r->n_headers];
	char line[512];
	va_list args;

	if (r->n_headers == EXCHANGE_HEADERS) {
		r->url.err = -ERR_SIZE;
		return;
	}
	r->n_headers++;
	*b = (struct buf)BUF_INIT_SECRET(HEADER_MAX);
	va_start(args, fmt);
	if ((size_t)vsnprintf(line, sizeof(line), fmt, args) >= sizeof(line))
		b->err = -ERR_SIZE;
	va_end(args);
	buf_put_str(b, line);
}

void request_form(struct http_request *r)
{
	request_header(r, "Content-Type: application/x-www-form-urlencoded");
}

int request_ok(const struct http_request *r)
{
	int err = buf_ok(&r->url);

	for (size_t i = 0; i < r->n_headers && !err; i++)
		err = buf_ok(&r->headers[i]);
	return err ? err : buf_ok(&r->body);
}

json_t *reply_json(const struct http_response *r)
{
	json_t *reply = json_loadb((const char *)r->body.p, r->body.len, JSON_REJECT_DUPLICATES, NULL);

	if (json_is_object(reply))
		return reply;
	json_decref(reply);
	return NULL;
}

int64_t json_seconds(const json_t *v)
{
	uint64_t n;

	if (json_is_integer(v) && json_integer_value(v) >= 0 && json_integer_value(v) < SECONDS_MAX)
		return json_integer_value(v);
	if (json_is_real(v) && json_real_value(v) >= 0 && json_real_value(v) < SECONDS_MAX)
		return (int64_t)json_real_value(v);
	if (json_is_string(v) && !slice_u64_dec(json_bytes(v), &n) && n < SECONDS_MAX)
		return (int64_t)n;
	return -1;
}

/* The next @digits as a number between @min and @max, then the byte @after unless that is 0. */
static int get_number(struct slice *s, size_t digits, uint64_t min, uint64_t max, char after)
{
	uint64_t n = 0;

	if (slice_u64_dec(slice_get_bytes(s, digits), &n) || n < min || n > max)
		slice_fail(s);
	if (after && slice_get_u8(s) != (uint8_t)after)
		slice_fail(s);
	return (int)n;
}

int time_parse(struct slice text, int64_t *ret_seconds)
{
	struct slice s = text;
	struct tm tm = { .tm_year = get_number(&s, 4, 1970, 9999, '-') - 1900 };
	uint8_t c;

	tm.tm_mon = get_number(&s, 2, 1, 12, '-') - 1;
	tm.tm_mday = get_number(&s, 2, 1, 31, 'T');
	tm.tm_hour = get_number(&s, 2, 0, 23, ':');
	tm.tm_min = get_number(&s, 2, 0, 59, ':');
	tm.tm_sec = get_number(&s, 2, 0, 60, 0);
	c = slice_get_u8(&s);
	if (c == '.')
		do
			c = slice_get_u8(&s);
		while (c >= '0' && c <= '9');
	if (slice_ok(&s) && (c == '+' || c == '-')) { /* only what says UTC in another way */
		(void)get_number(&s, 2, 0, 0, ':');
		(void)get_number(&s, 2, 0, 0, 0);
		c = 'Z';
	}
	if (slice_end(&s) || c != 'Z')
		return -ERR_FORMAT;
	*ret_seconds = timegm(&tm);
	return 0;
}

int64_t local_time(const struct exchange *x, const struct http_response *r, int64_t when)
{
	int64_t ahead = r->date ? r->date - x->now : 0;

	return ahead > CLOCK_SLACK_S || ahead < -CLOCK_SLACK_S ? when - ahead : when;
}

int secret_set(struct buf *b, struct slice value)
{
	buf_reset(b);
	buf_put_slice(b, value);
	return buf_ok(b);
}

void outcome_put(struct buf *b, struct slice text)
{
	buf_done(b);
	*b = (struct buf)BUF_INIT(OUTCOME_MAX);
	buf_put_slice(b, slice_of(text.p, text.len < OUTCOME_MAX ? text.len : OUTCOME_MAX));
}

static bool is_transient(unsigned int status)
{
	return status == 408 || status == 429 || status >= 500;
}

static uint32_t seconds_of(struct slice retry_after)
{
	uint64_t n;

	if (slice_u64_dec(retry_after, &n))
		return 0; /* none, or a date: our own back-off does */
	return n < RETRY_AFTER_MAX ? (uint32_t)n : RETRY_AFTER_MAX;
}

/* How many bytes at the start of @s could be a token's. */
static size_t token_len(struct slice s)
{
	size_t n = 0;

	while (n < s.len && (is_unreserved(s.p[n]) || s.p[n] == '='))
		n++;
	return n;
}

/* Some services quote what they were shown. A message is logged, recorded and kept: a token in it could be shown by others. */
static void put_message(struct buf *to, struct slice text)
{
	AUTO(buf) struct buf clean = BUF_INIT_SECRET(LIM_CLOUD_RESPONSE);

	while (text.len && clean.len < OUTCOME_MAX) {
		size_t n = token_len(text);
		struct slice part = slice_get_bytes(&text, n ? n : 1);

		buf_put_slice(&clean, n < QUOTED_MIN ? part : slice_str("[...]"));
	}
	outcome_put(to, buf_slice(&clean));
}

void outcome_error(struct outcome *o, const struct http_response *r, const struct cloud_error *table, struct slice code,
		   struct slice message)
{
	while (table->code && !slice_eq_str(code, table->code))
		table++;
	outcome_put(&o->code, code);
	put_message(&o->message, message);
	o->verdict = !table->code && is_transient(r->status) ? VERDICT_RETRY : table->verdict;
	o->next_step = o->verdict == table->verdict ? table->next_step : NULL;
	o->retry_after = seconds_of(r->retry_after);
}

void outcome_nonsense(struct outcome *o, const struct http_response *r, const char *what)
{
	AUTO(buf) struct buf message = BUF_INIT(OUTCOME_MAX);

	buf_printf(&message, "HTTP status %u: %s", r->status, what);
	outcome_put(&o->message, buf_slice(&message));
	o->verdict = VERDICT_RETRY;
	o->next_step = "what answered may not be the token service: check endpoint and proxy of the CredentialSource";
	o->retry_after = seconds_of(r->retry_after);
}

struct slice arn_region(struct slice arn)
{
	for (int colon = 0; colon < 3; colon++) {
		const uint8_t *p = arn.len ? memchr(arn.p, ':', arn.len) : NULL;

		if (!p)
			return slice_of(NULL, 0);
		arn = slice_of(p + 1, arn.len - (size_t)(p + 1 - arn.p));
	}
	for (size_t n = 0; n < arn.len; n++)
		if (arn.p[n] == ':')
			return slice_of(arn.p, n);
	return slice_of(NULL, 0);
}
