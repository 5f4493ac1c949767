// SPDX-License-Identifier: Apache-2.0
/*
 * sds_request.c - requests of Envoy's discovery protocol, of both kinds, taken apart. svid-front. Next: sds.c.
 *
 * Fields that we do not use are skipped. A Node is large: Envoy lists its 600 extensions in each request (61 KB in 1.40), so
 * those go before they are all there. Source: Envoy API v3, discovery.proto and base.proto.
 */
#include "workloadapi/sds_request.h"

#include <errno.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"
#include "agent/base/pb.h"

/* Field numbers. */
enum { ASK_VERSION = 1, ASK_NODE, ASK_NAMES, ASK_TYPE, ASK_NONCE, ASK_ERROR };
enum { DELTA_NODE = 1, DELTA_TYPE, DELTA_NAMES, DELTA_WITHOUT, DELTA_HAVE, DELTA_NONCE, DELTA_ERROR };
enum { STATUS_CODE = 1, STATUS_MESSAGE };
enum { NODE_METADATA = 3, NODE_BUILD = 8, NODE_EXTENSIONS };
enum { STRUCT_FIELDS = 1, VALUE_STRING = 3, VALUE_BOOL };

/* What both kinds of request have, by its number in each. */
enum part { PART_OTHER, PART_NODE, PART_TYPE, PART_NAMES, PART_WITHOUT, PART_HAVE, PART_NONCE, PART_ERROR, PART_VERSION };

static const uint8_t parts[2][8] = {
	{ [ASK_VERSION] = PART_VERSION, [ASK_NODE] = PART_NODE, [ASK_NAMES] = PART_NAMES, [ASK_TYPE] = PART_TYPE,
	  [ASK_NONCE] = PART_NONCE, [ASK_ERROR] = PART_ERROR },
	{ [DELTA_NODE] = PART_NODE, [DELTA_TYPE] = PART_TYPE, [DELTA_NAMES] = PART_NAMES, [DELTA_WITHOUT] = PART_WITHOUT,
	  [DELTA_HAVE] = PART_HAVE, [DELTA_NONCE] = PART_NONCE, [DELTA_ERROR] = PART_ERROR },
};

static enum part part_of(bool delta, uint32_t number)
{
	return number < ARRAY_SIZE(parts[0]) ? (enum part)parts[delta][number] : PART_OTHER;
}

/* The Node */

/* As Go's strconv.ParseBool has it, which spire-agent uses: 1, 0, or -1. */
static int bool_of(struct slice text)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (slice_eq_str(text, yes[i]))
			return 1;
		if (slice_eq_str(text, no[i]))
			return 0;
	}
	return -1;
}

static int value_of(struct slice value)
{
	struct pb_field f;
	int found = -1;

	while (pb_next(&value, &f)) {
		if (f.number == VALUE_BOOL && f.wire == PB_VARINT)
			found = f.value != 0;
		else if (f.number == VALUE_STRING && f.wire == PB_BYTES)
			found = bool_of(f.bytes);
	}
	return found;
}

static uint32_t wish_of(struct slice key, int value)
{
	if (value >= 0 && slice_eq_str(key, "disable_spiffe_cert_validation"))
		return value ? SDS_WISH_PLAIN : SDS_WISH_VALIDATOR;
	if (value >= 0 && slice_eq_str(key, "spiffe_bundle_map"))
		return value ? SDS_WISH_MAP : SDS_WISH_NO_MAP;
	return 0;
}

static uint32_t read_metadata(struct slice metadata)
{
	struct slice entry[2]; /* key, value */
	struct pb_field f;
	uint32_t wish = 0;

	while (pb_next(&metadata, &f))
		if (f.number == STRUCT_FIELDS && f.wire == PB_BYTES && !pb_strings(f.bytes, entry, 2))
			wish |= wish_of(entry[0], value_of(entry[1]));
	return wish;
}

/* Envoy knows the validator since 1.18 and bundle maps since 1.36. */
static uint32_t read_build(struct slice build)
{
	struct slice version;
	uint64_t number[2] = { 0 };
	struct pb_field f;

	if (pb_strings(build, &version, 1) || !version.len)
		return 0;
	while (pb_next(&version, &f))
		if (f.number <= 2 && f.wire == PB_VARINT)
			number[f.number - 1] = f.value;
	if (number[0] < 1 || (number[0] == 1 && number[1] <= 17))
		return SDS_WISH_OLD;
	return number[0] == 1 && number[1] < 36 ? SDS_WISH_NO_MAP : 0;
}

uint32_t sds_wish(struct slice node)
{
	struct pb_field f;
	uint32_t wish = 0;

	while (pb_next(&node, &f)) {
		if (f.wire == PB_BYTES && f.number == NODE_METADATA)
			wish |= read_metadata(f.bytes);
		else if (f.wire == PB_BYTES && f.number == NODE_BUILD)
			wish |= read_build(f.bytes);
	}
	return wish;
}

/* The request */

void sds_request_done(struct sds_request *r)
{
	mem_free(r->names);
	mem_free(r->without);
	mem_free(r->have);
}

static int add_row(struct sds_row **rows, size_t *n, struct slice name, uint64_t version)
{
	if (!slice_is_utf8(name))
		return -ERR_REQUEST;
	if (*n >= LIM_SDS_NAMES || name.len > LIM_SDS_NAME)
		return -ERR_LIMIT;
	if (!*rows)
		*rows = mem_calloc(LIM_SDS_NAMES, sizeof(**rows));
	if (!*rows)
		return -ENOMEM;
	(*rows)[(*n)++] = (struct sds_row){ name, version };
	return 0;
}

/* A version that is not ours is of another front: it is none of our numbers. */
static int add_have(struct sds_request *r, struct slice entry)
{
	struct slice pair[2];
	uint64_t version = 1;

	if (pb_strings(entry, pair, 2))
		return -ERR_REQUEST;
	if (slice_u64_dec(pair[1], &version) || !version)
		version = 1;
	return add_row(&r->have, &r->n_have, pair[0], version);
}

static int add_name(struct sds_request *r, struct slice name, bool without)
{
	bool all = slice_eq_str(name, "*");

	if (all && without)
		r->not_all = true;
	else if (all)
		r->all = true;
	else if (without)
		return add_row(&r->without, &r->n_without, name, 0);
	else
		return add_row(&r->names, &r->n_names, name, 0);
	return 0;
}

static int add_error(struct sds_request *r, struct slice status)
{
	struct pb_field f;

	r->refused = true;
	while (pb_next(&status, &f))
		if (f.number == STATUS_MESSAGE && f.wire == PB_BYTES)
			r->why = f.bytes;
	return slice_ok(&status) ? 0 : -ERR_REQUEST;
}

static int check_type(struct sds_request *r, struct slice type)
{
	if (!type.len || slice_eq_str(type, SDS_TYPE))
		return 0;
	r->fault = "type_url is not that of secrets";
	return -ERR_REQUEST;
}

static int read_part(struct sds_request *r, enum part part, struct slice s)
{
	switch (part) {
	case PART_NODE:
		r->node = s;
		return 0;
	case PART_TYPE:
		return check_type(r, s);
	case PART_NAMES:
	case PART_WITHOUT:
		return add_name(r, s, part == PART_WITHOUT);
	case PART_HAVE:
		return add_have(r, s);
	case PART_NONCE:
		r->nonce = s;
		return 0;
	case PART_ERROR:
		return add_error(r, s);
	case PART_VERSION:
		r->version = s;
		return 0;
	case PART_OTHER:
		break;
	}
	return 0;
}

int sds_read(struct slice body, bool delta, struct sds_request *r)
{
	struct pb_field f;
	int err = 0;

	while (!err && pb_next(&body, &f)) {
		enum part part = part_of(delta, f.number);

		if (part != PART_OTHER && f.wire != PB_BYTES)
			return -ERR_REQUEST;
		if (part != PART_OTHER)
			err = read_part(r, part, f.bytes);
	}
	return err || slice_ok(&body) ? err : -ERR_REQUEST;
}

/* Dropping what nobody reads */

/* The head of the next field, and where its content begins and what its length is; false when it is not all there. */
struct head {
	uint32_t number;
	size_t start;	 /* of the field */
	size_t len_at;	 /* of its length */
	size_t body_at;	 /* of its content */
	uint64_t len;	 /* of its content */
};

static bool get_varint(const struct buf *b, size_t *at, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 63 && *at < b->len; shift += 7) {
		uint8_t byte = b->data[(*at)++];

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}

/* Only fields with a length: others are none of these messages', and what follows is kept as it is. */
static bool get_head(const struct buf *b, size_t at, struct head *ret)
{
	uint64_t tag, len;
	struct head h = { .start = at };

	if (!get_varint(b, &at, &tag) || (tag & 7) != PB_BYTES || tag >> 3 > UINT8_MAX)
		return false;
	h.len_at = at;
	if (!get_varint(b, &at, &len) || len > LIM_SDS_REQUEST)
		return false;
	h.number = (uint32_t)(tag >> 3);
	h.body_at = at;
	h.len = len;
	*ret = h;
	return true;
}

/* Drop whole extensions of the Node between @at and @end; returns the bytes dropped. */
static size_t squeeze_node(struct buf *b, size_t at, size_t end)
{
	size_t kept = at, stop = end < b->len ? end : b->len;
	size_t was = b->len;
	struct head h;

	while (at < stop && get_head(b, at, &h) && h.body_at + h.len <= stop) {
		size_t next = h.body_at + (size_t)h.len;

		if (h.number < NODE_EXTENSIONS) {
			memmove(b->data + kept, b->data + at, next - at);
			kept += next - at;
		}
		at = next;
	}
	memmove(b->data + kept, b->data + at, b->len - at);
	b->len -= at - kept;
	return was - b->len;
}

/* The same length as before, in as many bytes as before. */
static void patch_varint(uint8_t *p, size_t bytes, uint64_t v)
{
	for (size_t i = 0; i < bytes; i++, v >>= 7)
		p[i] = (uint8_t)((v & 0x7f) | (i + 1 < bytes ? 0x80 : 0));
}

static void patch_be32(uint8_t *p, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* The message whose prefix is at @start: returns the bytes dropped. */
static size_t squeeze_message(struct buf *b, size_t start, uint32_t len, uint32_t node)
{
	size_t at = start + GRPC_PREFIX, end = at + len, dropped;
	struct head h;

	while (at < end && get_head(b, at, &h) && h.number != node)
		at = h.body_at + (size_t)h.len;
	if (at >= end || !get_head(b, at, &h) || h.body_at + h.len > end)
		return 0;
	dropped = squeeze_node(b, h.body_at, h.body_at + (size_t)h.len);
	if (!dropped)
		return 0;
	patch_varint(b->data + h.len_at, h.body_at - h.len_at, h.len - dropped);
	patch_be32(b->data + start + 1, (uint32_t)(len - dropped));
	return dropped;
}

size_t sds_squeeze(struct buf *b, bool delta)
{
	size_t start = 0, dropped = 0;

	while (start < b->len) {
		struct slice prefix = slice_of(b->data + start, b->len - start);
		uint8_t compressed = slice_get_u8(&prefix);
		uint32_t len = slice_get_be32(&prefix);
		size_t fewer;

		if (!slice_ok(&prefix) || compressed || len > LIM_SDS_REQUEST)
			break;
		fewer = squeeze_message(b, start, len, delta ? DELTA_NODE : ASK_NODE);
		dropped += fewer;
		start += GRPC_PREFIX + len - fewer;
	}
	return dropped;
}
