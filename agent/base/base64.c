// SPDX-License-Identifier: Apache-2.0
/* base64.c - RFC 4648, strict. Any role. */
#include "agent/base/base64.h"

#include "agent/base/err.h"

static const char *const letters[] = {
	[BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
	[BASE64_PLAIN] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
};

/* A group of @n bytes is n + 1 letters. */
static void put_group(struct buf *b, const uint8_t *p, size_t n, enum base64 kind)
{
	uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
	char out[4];

	for (size_t i = 0; i < 4; i++)
		out[i] = i <= n ? letters[kind][bits >> (18 - 6 * i) & 63] : '=';
	buf_put(b, out, kind == BASE64_URL ? n + 1 : 4);
}

void base64_put(struct buf *b, struct slice s, enum base64 kind)
{
	for (; s.len >= 3; s.p += 3, s.len -= 3)
		put_group(b, s.p, 3, kind);
	if (s.len)
		put_group(b, s.p, s.len, kind);
}

/* Not a table by position: tokens are no secrets, and the alphabet above stays the only one. */
static int value_of(uint8_t c, enum base64 kind)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (uint8_t)letters[kind][62])
		return 62;
	return c == (uint8_t)letters[kind][63] ? 63 : -1;
}

/* @n letters, 2 to 4, are n - 1 bytes; what the last letter says beyond them must be 0. */
static int get_group(uint8_t *out, const uint8_t *p, size_t n, enum base64 kind)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++) {
		int v = value_of(p[i], kind);

		if (v < 0)
			return -ERR_FORMAT;
		bits |= (uint32_t)v << (18 - 6 * i);
	}
	if (bits & (0xffffffu >> (8 * (n - 1))))
		return -ERR_FORMAT;
	for (size_t i = 0; i + 1 < n; i++)
		out[i] = (uint8_t)(bits >> (16 - 8 * i));
	return 0;
}

static int drop_padding(struct slice *text)
{
	if (text->len % 4)
		return -ERR_FORMAT;
	for (int i = 0; i < 2 && text->len && text->p[text->len - 1] == '='; i++)
		text->len--;
	return 0;
}

int base64_get(struct buf *b, struct slice text, enum base64 kind)
{
	int err = kind == BASE64_PLAIN ? drop_padding(&text) : 0;
	size_t n = text.len / 4 * 3 + (text.len % 4 ? text.len % 4 - 1 : 0);
	uint8_t *out;

	if (err || text.len % 4 == 1)
		return -ERR_FORMAT;
	out = buf_reserve(b, n);
	if (!out)
		return buf_ok(b);
	for (; text.len && !err; out += 3) {
		size_t step = text.len < 4 ? text.len : 4;

		err = get_group(out, text.p, step, kind);
		text = slice_of(text.p + step, text.len - step);
	}
	if (!err)
		buf_added(b, n);
	return err;
}
