/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json.h - writing JSON into a buf: commas are placed here, strings are escaped by buf_put_json().
 *
 * Nothing fails one by one; buf_ok() of the buffer says at the end whether everything fitted.
 */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "agent/base/buf.h"

struct json {
	struct buf *b;
	bool comma; /* the next item needs one before it */
};

#define JSON_INIT(b_) { .b = (b_) }

/** json_open() - begin an object ('{') or array ('['); @key is NULL inside an array or at the top. */
void json_open(struct json *j, const char *key, char bracket);

/** json_close() - end it with '}' or ']'. */
void json_close(struct json *j, char bracket);

/** json_bytes() - any bytes as a string. @key may be NULL inside an array. */
void json_bytes(struct json *j, const char *key, struct slice s);

/** json_str() - a NUL-terminated string; null when @s is NULL. */
void json_str(struct json *j, const char *key, const char *s);

/** json_u64() - a number; above INT64_MAX, where readers give up, the same digits as a string. */
void json_u64(struct json *j, const char *key, uint64_t v);

/** json_i64() - a number. */
void json_i64(struct json *j, const char *key, int64_t v);

/** json_bool() - true or false. */
void json_bool(struct json *j, const char *key, bool v);

/** json_hex() - bytes as a lower-case hex string. */
void json_hex(struct json *j, const char *key, struct slice s);

/** json_time() - wall clock seconds as "2026-11-21T22:15:10Z"; null when 0. */
void json_time(struct json *j, const char *key, int64_t wall_s);

/** json_raw() - @s is JSON already. */
void json_raw(struct json *j, const char *key, struct slice s);

#endif
