/* SPDX-License-Identifier: Apache-2.0 */
/* message.c - protobuf wire format read by hand: varints and length-delimited fields. svid-conformance. */
#include "conformance/message.h"

#include <errno.h>

static uint64_t get_varint(struct slice *s)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t b = slice_get_u8(s);

		v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return v;
	}
	slice_fail(s);
	return 0;
}

/* 4 or 8 bytes, least significant first. */
static uint64_t get_fixed(struct slice *s, unsigned int n)
{
	struct slice bytes = slice_get_bytes(s, n);
	uint64_t v = 0;

	for (size_t i = bytes.len; i-- > 0;)
		v = v << 8 | bytes.p[i];
	return v;
}

struct field field_get(struct slice *s)
{
	uint64_t key = get_varint(s);
	struct field f = { .number = (unsigned int)(key >> 3), .type = key & 7 };

	if (f.type == 0)
		f.varint = get_varint(s);
	else if (f.type == 1)
		f.varint = get_fixed(s, 8);
	else if (f.type == 2)
		f.bytes = slice_get_bytes(s, get_varint(s));
	else if (f.type == 5)
		f.varint = get_fixed(s, 4);
	else
		slice_fail(s);
	if (f.number == 0)
		slice_fail(s);
	return f;
}

uint64_t varint_field(struct slice bytes, unsigned int field)
{
	while (bytes.len && slice_ok(&bytes)) {
		struct field f = field_get(&bytes);

		if (slice_ok(&bytes) && f.number == field && f.type == 0)
			return f.varint;
	}
	return 0;
}

static int parse_svid(struct slice s, struct svid_item *ret, unsigned int *ret_unknown)
{
	struct slice *at[] = { NULL, &ret->spiffe_id, &ret->chain, &ret->key, &ret->bundle, &ret->hint };

	while (s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (f.number < ARRAY_SIZE(at) && f.type == 2)
			*at[f.number] = f.bytes;
		else
			*ret_unknown = f.number;
	}
	return slice_ok(&s) ? 0 : -EPROTO;
}

static int parse_entry(struct slice s, struct bundle_item *ret, unsigned int *ret_unknown)
{
	while (s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (f.number == 1 && f.type == 2)
			ret->name = f.bytes;
		else if (f.number == 2 && f.type == 2)
			ret->der = f.bytes;
		else
			*ret_unknown = f.number;
	}
	return slice_ok(&s) ? 0 : -EPROTO;
}

int svid_response_parse(struct slice s, struct svid_response *ret)
{
	int err = 0;

	*ret = (struct svid_response){ 0 };
	while (!err && s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (ret->n_svids == MESSAGE_ITEMS || ret->n_crls == MESSAGE_ITEMS || ret->n_federated == MESSAGE_ITEMS)
			return -EPROTO;
		if (f.number == 1 && f.type == 2)
			err = parse_svid(f.bytes, &ret->svids[ret->n_svids++], &ret->unknown);
		else if (f.number == 2 && f.type == 2)
			ret->crls[ret->n_crls++] = f.bytes;
		else if (f.number == 3 && f.type == 2)
			err = parse_entry(f.bytes, &ret->federated[ret->n_federated++], &ret->unknown);
		else
			ret->unknown = f.number;
	}
	return err || !slice_ok(&s) ? -EPROTO : 0;
}

int bundle_response_parse(struct slice s, struct bundle_response *ret)
{
	int err = 0;

	*ret = (struct bundle_response){ 0 };
	while (!err && s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (ret->n_crls == MESSAGE_ITEMS || ret->n_bundles == MESSAGE_ITEMS)
			return -EPROTO;
		if (f.number == 1 && f.type == 2)
			ret->crls[ret->n_crls++] = f.bytes;
		else if (f.number == 2 && f.type == 2)
			err = parse_entry(f.bytes, &ret->bundles[ret->n_bundles++], &ret->unknown);
		else
			ret->unknown = f.number;
	}
	return err || !slice_ok(&s) ? -EPROTO : 0;
}

static int parse_item(struct slice s, unsigned int last, struct slice *ret_fields, unsigned int *ret_unknown)
{
	while (s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (f.number <= last && f.type == 2)
			ret_fields[f.number] = f.bytes;
		else
			*ret_unknown = f.number;
	}
	return slice_ok(&s) ? 0 : -EPROTO;
}

int items_parse(struct slice s, unsigned int number, unsigned int last, struct items *ret)
{
	int err = 0;

	*ret = (struct items){ 0 };
	while (!err && s.len && slice_ok(&s)) {
		struct field f = field_get(&s);

		if (f.number != number || f.type != 2)
			ret->unknown = f.number;
		else if (ret->n == MESSAGE_ITEMS || last >= ITEM_FIELDS)
			return -EPROTO;
		else
			err = parse_item(f.bytes, last, ret->at[ret->n++], &ret->unknown);
	}
	return err || !slice_ok(&s) ? -EPROTO : 0;
}
