/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hpack.h - header blocks: reading with nghttp2's decoder, writing the few fields that we send. svid-front.
 *
 * We announce a header table of 0 bytes. A connection has a decoder of its own only while its client
 * has entries in the default table (before it applied our SETTINGS); after that all connections share
 * one decoder, because with an empty table no block depends on another.
 */
#ifndef FRONT_HPACK_H
#define FRONT_HPACK_H

#include "agent/base/buf.h"

struct nghttp2_hd_inflater;

struct hpack {
	struct nghttp2_hd_inflater *own; /* NULL: no table content to remember */
	bool applied;			 /* the client acknowledged the table size of 0 */
};

typedef void hpack_field_fn(void *arg, struct slice name, struct slice value);

/**
 * hpack_read() - decode one whole header block; @field gets each field in order, borrowed for the call.
 * Errors: -ERR_FORMAT (the connection must end: its table is unknown now), -ENOMEM.
 */
MUST int hpack_read(struct hpack *h, struct slice block, hpack_field_fn *field, void *arg);

/** hpack_applied() - the client acknowledged our SETTINGS: its table is empty from its next block on. */
void hpack_applied(struct hpack *h);

/** hpack_done() - release the decoder. */
void hpack_done(struct hpack *h);

/** hpack_end() - release what all connections share. It is made anew when it is needed again. */
void hpack_end(void);

/** hpack_put() - one field, not indexed, no Huffman code. Short fields only (below 127 + 128 bytes is two octets). */
void hpack_put(struct buf *b, const char *name, struct slice value);

/** hpack_put_status() - the pseudo field `:status`. */
void hpack_put_status(struct buf *b, unsigned int status);

#endif
