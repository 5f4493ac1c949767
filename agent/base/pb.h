/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pb.h - protobuf messages read field by field out of the bytes they came in. Any role.
 *
 * For bytes whose shape is not worth generated code, or that must not be copied: keys, descriptors.
 */
#ifndef BASE_PB_H
#define BASE_PB_H

#include "agent/base/buf.h"

enum pb_wire { PB_VARINT, PB_I64, PB_BYTES, PB_I32 = 5 };

struct pb_field {
	uint32_t number;
	enum pb_wire wire;
	uint64_t value;	    /* PB_VARINT, PB_I64, PB_I32 */
	struct slice bytes; /* PB_BYTES; borrows from the message */
};

/** pb_next() - the next field of @message. False at its end, and when it is malformed: see slice_ok(). */
bool pb_next(struct slice *message, struct pb_field *ret_field);

/**
 * pb_strings() - the last value of each of the fields 1 to @n, all of them PB_BYTES, into @ret_values; other fields are
 * skipped. What is missing is empty.
 * Errors: -ERR_FORMAT (the message, or one of these fields, is malformed).
 */
MUST int pb_strings(struct slice message, struct slice *ret_values, size_t n);

/** pb_put_head() - the head of field @number, whose @len bytes the caller puts next. */
void pb_put_head(struct buf *out, uint32_t number, size_t len);

/** pb_put() - field @number with these bytes; an empty value is left out, as proto3 has it. */
void pb_put(struct buf *out, uint32_t number, struct slice bytes);

/** pb_put_bytes() - the same, and an empty value is put too: members of a oneof, elements of a list, sub-messages. */
void pb_put_bytes(struct buf *out, uint32_t number, struct slice bytes);

/** pb_put_varint() - an integer, bool or enum field, also when it is 0. */
void pb_put_varint(struct buf *out, uint32_t number, uint64_t value);

/** pb_put_double() - a double field, also when it is 0. */
void pb_put_double(struct buf *out, uint32_t number, double value);

#endif
