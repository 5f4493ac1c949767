/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.h - both alphabets of RFC 4648, each with exactly one spelling per content. Any role.
 *
 * A decoder that takes padding where there is none, line breaks or left-over bits gives one token many
 * spellings, so this one refuses them.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "agent/base/buf.h"

enum base64 {
	BASE64_URL, /* RFC 7515 2: alphabet of RFC 4648 5, never padded */
	BASE64_PLAIN, /* RFC 4648 4: always padded, no line breaks */
};

/** base64_put() - the text of @s. */
void base64_put(struct buf *b, struct slice s, enum base64 kind);

/**
 * base64_get() - append what @text stands for to @b, which is unchanged on error.
 * Errors: -ERR_FORMAT (any other byte, a wrong length, bits left over that are not 0), -ERR_SIZE, -ENOMEM.
 */
MUST int base64_get(struct buf *b, struct slice text, enum base64 kind);

#endif
