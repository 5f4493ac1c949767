/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - the Workload API messages as this runner reads them: by hand, from the wire format, so
 * that it shares no code with a server under test. All slices borrow from the message bytes.
 */
#ifndef CONFORMANCE_MESSAGE_H
#define CONFORMANCE_MESSAGE_H

#include "agent/base/slice.h"

enum { MESSAGE_ITEMS = 128 };

struct svid_item {
	struct slice spiffe_id, chain, key, bundle, hint;
};

/* One entry of map<string, bytes>. */
struct bundle_item {
	struct slice name, der;
};

struct svid_response {
	struct svid_item svids[MESSAGE_ITEMS];
	size_t n_svids;
	struct bundle_item federated[MESSAGE_ITEMS];
	size_t n_federated;
	struct slice crls[MESSAGE_ITEMS];
	size_t n_crls;
	unsigned int unknown; /* a field number that the .proto does not have; 0: none */
};

struct bundle_response {
	struct bundle_item bundles[MESSAGE_ITEMS];
	size_t n_bundles;
	struct slice crls[MESSAGE_ITEMS];
	size_t n_crls;
	unsigned int unknown;
};

/* One field of a message. */
struct field {
	unsigned int number, type;
	uint64_t varint; /* types 0, 1 and 5 */
	struct slice bytes; /* type 2 */
};

/* What a repeated message consists of here: length-delimited fields, by number. */
enum { ITEM_FIELDS = 8 };
struct items {
	struct slice at[MESSAGE_ITEMS][ITEM_FIELDS];
	size_t n;
	unsigned int unknown;
};

/** field_get() - take one field off; @s fails on anything that is not protobuf. */
struct field field_get(struct slice *s);

/**
 * items_parse() - a message that is one repeated message (@number) of length-delimited fields 1 to @last:
 * JWTSVIDResponse, WITSVIDResponse, and maps.
 * Errors: -EPROTO.
 */
MUST int items_parse(struct slice bytes, unsigned int number, unsigned int last, struct items *ret);

/** svid_response_parse() - X509SVIDResponse. Errors: -EPROTO (not protobuf, or too many items). */
MUST int svid_response_parse(struct slice bytes, struct svid_response *ret);

/** bundle_response_parse() - X509BundlesResponse. Errors: -EPROTO. */
MUST int bundle_response_parse(struct slice bytes, struct bundle_response *ret);

/** varint_field() - the first varint with this field number; 0 when absent (proto3 default). */
uint64_t varint_field(struct slice bytes, unsigned int field);

#endif
