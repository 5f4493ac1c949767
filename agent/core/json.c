// SPDX-License-Identifier: Apache-2.0
/* json.c - the JSON writer behind audit, whoami and the admin answers. svid-core. */
#include "agent/core/json.h"

#include <inttypes.h>

#include "agent/base/clock.h"

static void put_key(struct json *j, const char *key)
{
	if (j->comma)
		buf_put_u8(j->b, ',');
	j->comma = true;
	if (!key)
		return;
	buf_put_u8(j->b, '"');
	buf_put_str(j->b, key);
	buf_put_str(j->b, "\":");
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	buf_put_u8(j->b, (uint8_t)bracket);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	buf_put_u8(j->b, (uint8_t)bracket);
	j->comma = true;
}

void json_bytes(struct json *j, const char *key, struct slice s)
{
	put_key(j, key);
	buf_put_json(j->b, s);
}

void json_raw(struct json *j, const char *key, struct slice s)
{
	put_key(j, key);
	buf_put_slice(j->b, s);
}

void json_str(struct json *j, const char *key, const char *s)
{
	if (s)
		json_bytes(j, key, slice_str(s));
	else
		json_raw(j, key, slice_str("null"));
}

/* Digits by hand: printf is most of the cost of an audit line otherwise. */
static void put_u64(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	buf_put(b, digits + n, sizeof(digits) - n);
}

void json_u64(struct json *j, const char *key, uint64_t v)
{
	put_key(j, key);
	if (v > INT64_MAX)
		buf_put_u8(j->b, '"');
	put_u64(j->b, v);
	if (v > INT64_MAX)
		buf_put_u8(j->b, '"');
}

void json_i64(struct json *j, const char *key, int64_t v)
{
	put_key(j, key);
	if (v < 0)
		buf_put_u8(j->b, '-');
	put_u64(j->b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	json_raw(j, key, slice_str(v ? "true" : "false"));
}

void json_hex(struct json *j, const char *key, struct slice s)
{
	put_key(j, key);
	buf_put_u8(j->b, '"');
	buf_put_hex(j->b, s);
	buf_put_u8(j->b, '"');
}

void json_time(struct json *j, const char *key, int64_t wall_s)
{
	char text[32];

	clock_rfc3339(wall_s, text);
	json_str(j, key, wall_s ? text : NULL);
}
