// SPDX-License-Identifier: Apache-2.0
/* pb.c - the wire format of protobuf over slices. Any role. */
#include "agent/base/pb.h"

#include "agent/base/err.h"

static uint64_t get_varint(struct slice *s)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; shift < 70; shift += 7) {
		uint8_t byte = slice_get_u8(s);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	slice_fail(s);
	return 0;
}

static void get_value(struct slice *s, struct pb_field *f)
{
	uint64_t len;

	switch (f->wire) {
	case PB_VARINT:
		f->value = get_varint(s);
		break;
	case PB_I64:
		f->value = slice_get_u64(s);
		break;
	case PB_I32:
		f->value = slice_get_u32(s);
		break;
	case PB_BYTES:
		len = get_varint(s);
		if (len > s->len)
			slice_fail(s);
		else
			f->bytes = slice_get_bytes(s, (size_t)len);
		break;
	default: /* groups, which proto3 does not have */
		slice_fail(s);
	}
}

bool pb_next(struct slice *message, struct pb_field *ret_field)
{
	struct pb_field f = { 0 };
	uint64_t tag;

	if (!message->len || !slice_ok(message))
		return false;
	tag = get_varint(message);
	f.number = (uint32_t)(tag >> 3);
	f.wire = (enum pb_wire)(tag & 7);
	if (!f.number || tag >> 3 > 0x1fffffff)
		slice_fail(message);
	if (slice_ok(message))
		get_value(message, &f);
	if (!slice_ok(message))
		return false;
	*ret_field = f;
	return true;
}

int pb_strings(struct slice message, struct slice *ret_values, size_t n)
{
	struct pb_field f;

	memset(ret_values, 0, n * sizeof(*ret_values));
	while (pb_next(&message, &f)) {
		if (f.number > n)
			continue;
		if (f.wire != PB_BYTES)
			return -ERR_FORMAT;
		ret_values[f.number - 1] = f.bytes;
	}
	return slice_ok(&message) ? 0 : -ERR_FORMAT;
}

static void put_raw(struct buf *out, uint64_t value)
{
	for (; value > 0x7f; value >>= 7)
		buf_put_u8(out, (uint8_t)(value | 0x80));
	buf_put_u8(out, (uint8_t)value);
}

static void put_tag(struct buf *out, uint32_t number, enum pb_wire wire)
{
	put_raw(out, (uint64_t)number << 3 | wire);
}

void pb_put_head(struct buf *out, uint32_t number, size_t len)
{
	put_tag(out, number, PB_BYTES);
	put_raw(out, len);
}

void pb_put_bytes(struct buf *out, uint32_t number, struct slice bytes)
{
	pb_put_head(out, number, bytes.len);
	buf_put_slice(out, bytes);
}

void pb_put(struct buf *out, uint32_t number, struct slice bytes)
{
	if (bytes.len)
		pb_put_bytes(out, number, bytes);
}

void pb_put_varint(struct buf *out, uint32_t number, uint64_t value)
{
	put_tag(out, number, PB_VARINT);
	put_raw(out, value);
}

void pb_put_double(struct buf *out, uint32_t number, double value)
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	put_tag(out, number, PB_I64);
	buf_put_u64(out, bits);
}
