/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buf.h - a growing byte buffer with a maximum fixed at init.
 *
 * Puts never fail one by one: the first that runs out of room or memory marks the buffer failed, it
 * stays failed, and buf_ok() says so once at the end. A buffer marked secret is wiped when it grows
 * and when it ends.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "agent/base/slice.h"

struct buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	size_t max; /* bytes; 0 refuses every put */
	int err;    /* sticky: 0, -ERR_SIZE or -ENOMEM */
	bool secret;
};

#define BUF_INIT(max_) { .max = (max_) }
#define BUF_INIT_SECRET(max_) { .max = (max_), .secret = true }

/** buf_done() - release (and wipe when secret); the buffer is empty and usable again. */
void buf_done(struct buf *b);

static inline void buf_autoclean(struct buf *b)
{
	buf_done(b);
}

/** buf_reset() - length 0, error cleared, memory kept (wiped when secret). */
void buf_reset(struct buf *b);

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_slice(struct buf *b, struct slice s);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_u16(struct buf *b, uint16_t v);
void buf_put_u32(struct buf *b, uint32_t v);
void buf_put_u64(struct buf *b, uint64_t v);
void buf_put_be32(struct buf *b, uint32_t v);

/** buf_put_str() - the bytes of @s without length or NUL. */
void buf_put_str(struct buf *b, const char *s);

/** buf_put_blob() - a u32 length, then the bytes: what slice_get_blob() and slice_get_str() read. */
void buf_put_blob(struct buf *b, struct slice s);

/** buf_printf() - formatted text. */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/** buf_put_json() - @s as a JSON string with quotes; bytes that are not UTF-8 become \ufffd, what moves a terminal \uXXXX. */
void buf_put_json(struct buf *b, struct slice s);

/** buf_put_esc() - @s for a terminal or log: printable ASCII as is, everything else as \xNN. */
void buf_put_esc(struct buf *b, struct slice s);

/** buf_put_hex() - lower-case hex of @s. */
void buf_put_hex(struct buf *b, struct slice s);

/** buf_reserve() - room for @n more bytes; returns where to write them (then buf_added()), NULL when failed. */
MUST void *buf_reserve(struct buf *b, size_t n);

/** buf_added() - @n bytes were written at the place that buf_reserve() gave. */
void buf_added(struct buf *b, size_t n);

/** buf_consume() - drop @n bytes at the front (at most the length). */
void buf_consume(struct buf *b, size_t n);

/** buf_fail() - something that belongs into @b cannot be had: it is as if @b had been full, or without memory. */
void buf_fail(struct buf *b, int err);

/** buf_ok() - 0, or the first error. Errors: -ERR_SIZE (maximum reached), -ENOMEM. */
MUST int buf_ok(const struct buf *b);

static inline struct slice buf_slice(const struct buf *b)
{
	return slice_of(b->data, b->len);
}

/**
 * buf_cstr() - the content as a NUL-terminated string that lives until the next put.
 * Returns "" for an empty or failed buffer.
 */
const char *buf_cstr(struct buf *b);

#endif
