// SPDX-License-Identifier: Apache-2.0
/* buf.c - the growing buffer and its text forms. Any role. */
#include "agent/base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "agent/base/err.h"
#include "agent/base/mem.h"

void buf_fail(struct buf *b, int err)
{
	if (!b->err)
		b->err = err;
}

void buf_done(struct buf *b)
{
	if (b->secret)
		mem_wipe(b->data, b->cap);
	mem_free(b->data);
	b->data = NULL;
	b->len = b->cap = 0;
	b->err = 0;
}

void buf_reset(struct buf *b)
{
	if (b->secret)
		mem_wipe(b->data, b->cap);
	b->len = 0;
	b->err = 0;
}

/* A secret must not be left behind in the old block, so realloc is not good enough for it. */
static uint8_t *grow(struct buf *b, size_t cap)
{
	uint8_t *data;

	if (!b->secret)
		return mem_realloc_array(b->data, cap, 1);
	data = mem_calloc(cap, 1);
	if (!data)
		return NULL;
	if (b->len)
		memcpy(data, b->data, b->len);
	mem_wipe(b->data, b->cap);
	mem_free(b->data);
	return data;
}

void *buf_reserve(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 64;
	uint8_t *data;

	if (b->err)
		return NULL;
	if (b->len > b->max || n > b->max - b->len) {
		buf_fail(b, -ERR_SIZE);
		return NULL;
	}
	if (b->data && n <= b->cap - b->len)
		return b->data + b->len;
	while (cap < b->len + n)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	data = grow(b, cap);
	if (!data) {
		buf_fail(b, -ENOMEM);
		return NULL;
	}
	b->data = data;
	b->cap = cap;
	return data + b->len;
}

void buf_added(struct buf *b, size_t n)
{
	b->len += n;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	void *to;

	if (!n)
		return;
	to = buf_reserve(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void buf_put_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.p, s.len);
}

static void put_le(struct buf *b, uint64_t v, unsigned int n)
{
	uint8_t bytes[8];

	for (unsigned int i = 0; i < n; i++)
		bytes[i] = (uint8_t)(v >> (8 * i));
	buf_put(b, bytes, n);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	put_le(b, v, 1);
}

void buf_put_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void buf_put_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void buf_put_be32(struct buf *b, uint32_t v)
{
	put_le(b, __builtin_bswap32(v), 4);
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_put_blob(struct buf *b, struct slice s)
{
	if (s.len > UINT32_MAX) {
		buf_fail(b, -ERR_SIZE);
		return;
	}
	buf_put_u32(b, (uint32_t)s.len);
	buf_put_slice(b, s);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char *to;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0) {
		buf_fail(b, -ERR_FORMAT);
		return;
	}
	to = buf_reserve(b, (size_t)n + 1);
	if (!to)
		return;
	va_start(ap, fmt);
	vsnprintf(to, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
}

static void put_json_char(struct buf *b, uint8_t c)
{
	if (c == '"' || c == '\\')
		buf_printf(b, "\\%c", c);
	else if (c == '\n')
		buf_put_str(b, "\\n");
	else if (c == '\t')
		buf_put_str(b, "\\t");
	else if (c < 0x20 || c == 0x7f)
		buf_printf(b, "\\u%04x", c);
	else
		buf_put_u8(b, c);
}

/* Length of the well-formed UTF-8 character at the front of @s, 0 when there is none. */
static size_t utf8_char(struct slice s)
{
	for (size_t n = 1; n <= 4 && n <= s.len; n++)
		if (slice_is_utf8(slice_of(s.p, n)))
			return n;
	return 0;
}

/* Of the @n bytes of one well-formed character beyond ASCII: C1 controls, and what says where text runs to. */
static bool moves_terminals(const uint8_t *c, size_t n)
{
	if (n == 2)
		return c[0] == 0xc2 && c[1] < 0xa0; /* U+0080 to U+009F */
	if (n != 3 || c[0] != 0xe2)
		return false;
	if (c[1] == 0x80) /* U+200E, U+200F, U+2028 to U+202E */
		return c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae);
	return c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9; /* U+2066 to U+2069 */
}

static void put_json_long(struct buf *b, const uint8_t *c, size_t n)
{
	if (!moves_terminals(c, n))
		buf_put(b, c, n);
	else if (n == 2)
		buf_printf(b, "\\u%04x", c[1]);
	else
		buf_printf(b, "\\u%04x", 0x2000u | (c[1] & 0x3fu) << 6 | (c[2] & 0x3fu));
}

void buf_put_json(struct buf *b, struct slice s)
{
	buf_put_u8(b, '"');
	while (s.len) {
		size_t n = utf8_char(s);

		if (n == 0) {
			buf_put_str(b, "\\ufffd");
			n = 1;
		} else if (n == 1) {
			put_json_char(b, *s.p);
		} else {
			put_json_long(b, s.p, n);
		}
		s.p += n;
		s.len -= n;
	}
	buf_put_u8(b, '"');
}

void buf_put_esc(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '\\')
			buf_put_str(b, "\\\\");
		else if (s.p[i] >= 0x20 && s.p[i] < 0x7f)
			buf_put_u8(b, s.p[i]);
		else
			buf_printf(b, "\\x%02x", s.p[i]);
	}
}

void buf_put_hex(struct buf *b, struct slice s)
{
	static const char digits[] = "0123456789abcdef";

	/* Not buf_printf(): it wants room for a NUL, and a digest may fill its buffer exactly. */
	for (size_t i = 0; i < s.len; i++) {
		buf_put_u8(b, (uint8_t)digits[s.p[i] >> 4]);
		buf_put_u8(b, (uint8_t)digits[s.p[i] & 15]);
	}
}

int buf_ok(const struct buf *b)
{
	return b->err;
}

const char *buf_cstr(struct buf *b)
{
	char *end = buf_reserve(b, 1);

	if (!end)
		return "";
	*end = 0;
	return (const char *)b->data;
}
