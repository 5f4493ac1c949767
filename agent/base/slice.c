// SPDX-License-Identifier: Apache-2.0
/* slice.c - the parse cursor. Any role. */
#include "agent/base/slice.h"

#include "agent/base/err.h"
#include "agent/base/mem.h"

void slice_fail(struct slice *s)
{
	s->failed = true;
	s->len = 0;
}

struct slice slice_get_bytes(struct slice *s, size_t n)
{
	struct slice out = { 0 };

	if (s->failed || n > s->len) {
		slice_fail(s);
		return out;
	}
	out = slice_of(s->p, n);
	if (n) /* an empty slice may have no pointer to add to */
		s->p += n;
	s->len -= n;
	return out;
}

static uint64_t get_le(struct slice *s, unsigned int n)
{
	struct slice b = slice_get_bytes(s, n);
	uint64_t v = 0;

	for (size_t i = b.len; i > 0; i--)
		v = v << 8 | b.p[i - 1];
	return v;
}

uint8_t slice_get_u8(struct slice *s)
{
	return (uint8_t)get_le(s, 1);
}

uint16_t slice_get_u16(struct slice *s)
{
	return (uint16_t)get_le(s, 2);
}

uint32_t slice_get_u32(struct slice *s)
{
	return (uint32_t)get_le(s, 4);
}

uint64_t slice_get_u64(struct slice *s)
{
	return get_le(s, 8);
}

uint32_t slice_get_be32(struct slice *s)
{
	return __builtin_bswap32(slice_get_u32(s));
}

struct slice slice_get_blob(struct slice *s, size_t max)
{
	size_t n = slice_get_u32(s);

	if (n > max) {
		slice_fail(s);
		return (struct slice){ 0 };
	}
	return slice_get_bytes(s, n);
}

struct slice slice_get_str(struct slice *s, size_t max)
{
	struct slice b = slice_get_blob(s, max);

	if (b.len && memchr(b.p, 0, b.len)) {
		slice_fail(s);
		return (struct slice){ 0 };
	}
	return b;
}

int slice_end(const struct slice *s)
{
	if (s->failed)
		return -ERR_SHORT;
	return s->len ? -ERR_TRAILING : 0;
}

/* Bytes that follow lead byte @c, or -1 when @c cannot lead. */
static int utf8_follow(uint8_t c)
{
	if (c < 0x80)
		return 0;
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef)
		return 2;
	return c >= 0xf0 && c <= 0xf4 ? 3 : -1;
}

/* The second byte is narrower after some leads: no overlong forms, no surrogates, at most U+10FFFF. */
static bool utf8_second_ok(uint8_t lead, uint8_t c)
{
	uint8_t lo = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
	uint8_t hi = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;

	return c >= lo && c <= hi;
}

bool slice_is_utf8(struct slice s)
{
	while (s.len) {
		uint8_t lead = *s.p;
		int n = utf8_follow(lead);

		if (n < 0 || (size_t)n >= s.len)
			return false;
		if (n > 0 && !utf8_second_ok(lead, s.p[1]))
			return false;
		for (int i = 2; i <= n; i++)
			if ((s.p[i] & 0xc0) != 0x80)
				return false;
		s.p += n + 1;
		s.len -= (size_t)n + 1;
	}
	return true;
}

char *slice_dup(struct slice s)
{
	return mem_strndup((const char *)s.p, s.len);
}

int slice_u64_dec(struct slice s, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (!s.len)
		return -ERR_FORMAT;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -ERR_FORMAT;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
			return -ERR_FORMAT;
	}
	*ret_value = v;
	return 0;
}
