/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slice.h - a borrowed range of bytes that is also a parse cursor.
 *
 * Gets move forward only. The first get that fails marks the slice failed: it stays failed, every
 * later get returns zeros, so a parser is a straight list of gets and one slice_end() or slice_ok().
 * Integers are little-endian (our own IPC); network formats use the _be variants.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "agent/base/compiler.h"

struct slice {
	const uint8_t *p; /* next byte; NULL only when len is 0 */
	size_t len;       /* bytes left */
	bool failed;      /* sticky */
};

/** slice_of() - a slice over @len bytes at @p, which must outlive it. */
static inline struct slice slice_of(const void *p, size_t len)
{
	return (struct slice){ .p = p, .len = len };
}

/** slice_str() - a slice over a NUL-terminated string, without the NUL; NULL gives an empty slice. */
static inline struct slice slice_str(const char *s)
{
	return slice_of(s, s ? strlen(s) : 0);
}

/** slice_cut() - @s, but not more than @max bytes of it. */
static inline struct slice slice_cut(struct slice s, size_t max)
{
	return slice_of(s.p, s.len < max ? s.len : max);
}

/** slice_eq() - whether the bytes left equal @s. Not for secrets. */
static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

/** slice_eq_str() - the same against a NUL-terminated string. */
static inline bool slice_eq_str(struct slice a, const char *s)
{
	return slice_eq(a, slice_str(s));
}

/** slice_starts() - whether @a begins with the bytes of @prefix. */
static inline bool slice_starts(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && slice_eq(slice_of(a.p, prefix.len), prefix);
}

/** slice_get_bytes() - the next @n bytes as a slice; empty and failed when fewer are left. */
struct slice slice_get_bytes(struct slice *s, size_t n);

uint8_t slice_get_u8(struct slice *s);
uint16_t slice_get_u16(struct slice *s);
uint32_t slice_get_u32(struct slice *s);
uint64_t slice_get_u64(struct slice *s);
uint32_t slice_get_be32(struct slice *s);

/** slice_get_blob() - a u32 length and that many bytes; fails above @max. */
struct slice slice_get_blob(struct slice *s, size_t max);

/** slice_get_str() - as slice_get_blob(), and fails on an embedded NUL byte. */
struct slice slice_get_str(struct slice *s, size_t max);

/** slice_fail() - mark failed, for checks that a parser makes by itself. */
void slice_fail(struct slice *s);

/** slice_ok() - whether nothing failed so far. */
static inline bool slice_ok(const struct slice *s)
{
	return !s->failed;
}

/**
 * slice_end() - finish a message: everything was read and nothing failed.
 * Errors: -ERR_SHORT (a get failed), -ERR_TRAILING (bytes left over).
 */
MUST int slice_end(const struct slice *s);

/** slice_is_utf8() - whether all bytes left are well-formed UTF-8 (RFC 3629, no surrogates). */
bool slice_is_utf8(struct slice s);

/** slice_dup() - NUL-terminated copy owned by the caller (mem_free); NULL when memory is out. */
MUST char *slice_dup(struct slice s);

/** slice_u64_dec() - parse all bytes as an unsigned decimal. Errors: -ERR_FORMAT (empty, other bytes, overflow). */
MUST int slice_u64_dec(struct slice s, uint64_t *ret_value);

#endif
