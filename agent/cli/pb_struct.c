// SPDX-License-Identifier: Apache-2.0
/* pb_struct.c - google.protobuf.Struct as JSON. svid; the bytes come from whoever owns the socket. */
#include "agent/cli/pb_struct.h"

#include <math.h>

#include "agent/base/pb.h"

#define MAX_DEPTH 32 /* of a Struct: the stack of a recursive reader is what a hostile answer would go for */
#define MAX_EXACT 9007199254740992.0 /* 2^53 */

static int put_struct(struct buf *out, struct slice message, unsigned int depth);
static int put_list(struct buf *out, struct slice message, unsigned int depth);

static void put_number(struct buf *out, uint64_t bits)
{
	double d;

	memcpy(&d, &bits, sizeof(d));
	if (!isfinite(d))
		buf_put_str(out, "null");
	else if (fabs(d) <= MAX_EXACT && d == (double)(int64_t)d)
		buf_printf(out, "%.0f", d);
	else
		buf_printf(out, "%.17g", d);
}

/* The fields of google.protobuf.Value. */
static int put_value(struct buf *out, const struct pb_field *f, unsigned int depth)
{
	static const enum pb_wire wires[] = { 0, PB_VARINT, PB_I64, PB_BYTES, PB_VARINT, PB_BYTES, PB_BYTES };

	if (f->number >= ARRAY_SIZE(wires) || f->wire != wires[f->number])
		return -ERR_FORMAT;
	switch (f->number) {
	case 1:
		buf_put_str(out, "null");
		return 0;
	case 2:
		put_number(out, f->value);
		return 0;
	case 3:
		buf_put_json(out, f->bytes);
		return 0;
	case 4:
		buf_put_str(out, f->value ? "true" : "false");
		return 0;
	case 5:
		return put_struct(out, f->bytes, depth + 1);
	default:
		return put_list(out, f->bytes, depth + 1);
	}
}

/* Value is a oneof: the last member counts. One without any is null. */
static int put_any(struct buf *out, struct slice message, unsigned int depth)
{
	struct pb_field f, last = { .number = 1 };

	while (pb_next(&message, &f))
		last = f;
	return slice_ok(&message) ? put_value(out, &last, depth) : -ERR_FORMAT;
}

static int put_list(struct buf *out, struct slice message, unsigned int depth)
{
	struct pb_field f;
	bool first = true;
	int err = depth > MAX_DEPTH ? -ERR_SIZE : 0;

	buf_put_str(out, "[");
	while (!err && pb_next(&message, &f)) {
		if (f.number != 1 || f.wire != PB_BYTES)
			return -ERR_FORMAT;
		buf_put_str(out, first ? "" : ", ");
		err = put_any(out, f.bytes, depth);
		first = false;
	}
	buf_put_str(out, "]");
	return err ? err : slice_ok(&message) ? 0 : -ERR_FORMAT;
}

static int put_struct(struct buf *out, struct slice message, unsigned int depth)
{
	struct pb_field f;
	struct slice entry[2];
	bool first = true;
	int err = depth > MAX_DEPTH ? -ERR_SIZE : 0;

	buf_put_str(out, "{");
	while (!err && pb_next(&message, &f)) {
		if (f.number != 1 || f.wire != PB_BYTES || pb_strings(f.bytes, entry, ARRAY_SIZE(entry)))
			return -ERR_FORMAT;
		buf_put_str(out, first ? "" : ", ");
		buf_put_json(out, entry[0]);
		buf_put_str(out, ": ");
		err = put_any(out, entry[1], depth);
		first = false;
	}
	buf_put_str(out, "}");
	return err ? err : slice_ok(&message) ? 0 : -ERR_FORMAT;
}

int pb_struct_json(struct buf *out, struct slice message)
{
	int err = put_struct(out, message, 0);

	return err ? err : buf_ok(out);
}
