// SPDX-License-Identifier: Apache-2.0
/*
 * claims.c - JSON as a google.protobuf.Struct. svid-front.
 *
 * Written straight into a buffer: trees of generated structures would be a hundred allocations for one token.
 * The nesting is bounded by jsondoc_read().
 */
#include "workloadapi/claims.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/limits.h"
#include "agent/base/pb.h"

/* Field numbers. */
enum { RESPONSE_SPIFFE_ID = 1, RESPONSE_CLAIMS = 2 };
enum { STRUCT_FIELDS = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2, LIST_VALUES = 1 };
enum { VALUE_NULL = 1, VALUE_NUMBER, VALUE_STRING, VALUE_BOOL, VALUE_STRUCT, VALUE_LIST };

static void fill_value(struct buf *value, const json_t *v);

/* A message that was built apart, because its length comes first. */
static void put_message(struct buf *out, uint32_t number, const struct buf *message)
{
	if (!out->err)
		out->err = message->err;
	pb_put_bytes(out, number, buf_slice(message));
}

static void put_field(struct buf *out, const char *key, const struct buf *value)
{
	AUTO(buf) struct buf entry = BUF_INIT(LIM_GRPC_RESPONSE);

	pb_put_bytes(&entry, ENTRY_KEY, slice_str(key));
	put_message(&entry, ENTRY_VALUE, value);
	put_message(out, STRUCT_FIELDS, &entry);
}

static void put_entry(struct buf *out, const char *key, const json_t *v)
{
	AUTO(buf) struct buf value = BUF_INIT(LIM_GRPC_RESPONSE);

	fill_value(&value, v);
	put_field(out, key, &value);
}

static void put_object(struct buf *out, uint32_t number, const json_t *v)
{
	AUTO(buf) struct buf object = BUF_INIT(LIM_GRPC_RESPONSE);
	const char *key;
	json_t *member, *walk = (json_t *)(uintptr_t)v; /* jansson's loop wants it writable */

	json_object_foreach(walk, key, member)
		put_entry(&object, key, member);
	put_message(out, number, &object);
}

static void put_item(struct buf *list, const json_t *v)
{
	AUTO(buf) struct buf value = BUF_INIT(LIM_GRPC_RESPONSE);

	fill_value(&value, v);
	put_message(list, LIST_VALUES, &value);
}

/* @v: an array, or a value that stands for a list of it alone. */
static void put_list(struct buf *out, uint32_t number, const json_t *v)
{
	AUTO(buf) struct buf list = BUF_INIT(LIM_GRPC_RESPONSE);

	if (!json_is_array(v))
		put_item(&list, v);
	for (size_t i = 0; i < json_array_size(v); i++)
		put_item(&list, json_array_get(v, i));
	put_message(out, number, &list);
}

static void fill_value(struct buf *value, const json_t *v)
{
	switch (json_typeof(v)) {
	case JSON_OBJECT:
		put_object(value, VALUE_STRUCT, v);
		break;
	case JSON_ARRAY:
		put_list(value, VALUE_LIST, v);
		break;
	case JSON_STRING:
		pb_put_bytes(value, VALUE_STRING, jsondoc_text(v));
		break;
	case JSON_REAL:
	case JSON_INTEGER:
		pb_put_double(value, VALUE_NUMBER, json_number_value(v));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		pb_put_varint(value, VALUE_BOOL, json_is_true(v));
		break;
	case JSON_NULL:
		pb_put_varint(value, VALUE_NULL, 0);
		break;
	}
}

/* RFC 7519 4.1.3 lets one audience stand alone; readers of the answer need not know that. */
static void put_aud(struct buf *out, const json_t *aud)
{
	AUTO(buf) struct buf value = BUF_INIT(LIM_GRPC_RESPONSE);

	put_list(&value, VALUE_LIST, aud);
	put_field(out, "aud", &value);
}

static bool is_always_told(const char *claim)
{
	return !strcmp(claim, "sub") || !strcmp(claim, "exp");
}

static void put_claims(struct buf *out, const json_t *claims, bool all)
{
	AUTO(buf) struct buf fields = BUF_INIT(LIM_GRPC_RESPONSE);
	const char *key;
	json_t *v, *walk = (json_t *)(uintptr_t)claims;

	json_object_foreach(walk, key, v) {
		if (!strcmp(key, "aud"))
			put_aud(&fields, v);
		else if (all || is_always_told(key))
			put_entry(&fields, key, v);
	}
	put_message(out, RESPONSE_CLAIMS, &fields);
}

int claims_encode(const struct jwt *j, bool all, struct message **ret_m)
{
	AUTO(buf) struct buf out = BUF_INIT(LIM_GRPC_RESPONSE);
	uint8_t *body;
	int err;

	pb_put(&out, RESPONSE_SPIFFE_ID, j->sub);
	put_claims(&out, j->claims, all);
	err = buf_ok(&out);
	if (!err)
		err = message_new(out.len, false, &body, ret_m);
	if (!err)
		memcpy(body, out.data, out.len);
	return err;
}
