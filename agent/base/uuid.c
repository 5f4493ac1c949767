// SPDX-License-Identifier: Apache-2.0
/*
 * uuid.c - UUIDs of version 5. They are made with SHA-1, here as a name for a name and nothing else: svid-core, which
 * needs them, links no cryptography, and must not.
 */
#include "agent/base/uuid.h"

#include <stdio.h>
#include <string.h>

struct sha1 {
	uint32_t h[5];
	uint8_t block[64];
	uint64_t len;
};

static uint32_t rotate(uint32_t x, unsigned int by)
{
	return x << by | x >> (32 - by);
}

/* FIPS 180-4, 6.1.2. */
static void digest_block(struct sha1 *s)
{
	static const uint32_t k[4] = { 0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6 };
	uint32_t w[80], v[5], t;

	for (size_t i = 0; i < 16; i++)
		w[i] = (uint32_t)s->block[4 * i] << 24 | (uint32_t)s->block[4 * i + 1] << 16 |
		       (uint32_t)s->block[4 * i + 2] << 8 | s->block[4 * i + 3];
	for (size_t i = 16; i < 80; i++)
		w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
	memcpy(v, s->h, sizeof(v));
	for (size_t i = 0; i < 80; i++) {
		t = i < 20   ? (v[1] & v[2]) | (~v[1] & v[3])
		    : i < 40 ? v[1] ^ v[2] ^ v[3]
		    : i < 60 ? (v[1] & v[2]) | (v[1] & v[3]) | (v[2] & v[3])
			     : v[1] ^ v[2] ^ v[3];
		t += rotate(v[0], 5) + v[4] + k[i / 20] + w[i];
		v[4] = v[3];
		v[3] = v[2];
		v[2] = rotate(v[1], 30);
		v[1] = v[0];
		v[0] = t;
	}
	for (size_t i = 0; i < 5; i++)
		s->h[i] += v[i];
}

static void add(struct sha1 *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		s->block[s->len++ % 64] = p[i];
		if (s->len % 64 == 0)
			digest_block(s);
	}
}

static void finish(struct sha1 *s)
{
	static const uint8_t one = 0x80, zero;
	uint64_t bits = s->len * 8;
	uint8_t len[8];

	for (size_t i = 0; i < 8; i++)
		len[i] = (uint8_t)(bits >> (56 - 8 * i));
	add(s, &one, 1);
	while (s->len % 64 != 56)
		add(s, &zero, 1);
	add(s, len, sizeof(len));
}

void uuid_of_url(struct slice url, char ret_text[static UUID_TEXT])
{
	static const uint8_t namespace_url[16] = { 0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
						   0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8 };
	struct sha1 s = { .h = { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0 } };

	add(&s, namespace_url, sizeof(namespace_url));
	add(&s, url.p, url.len);
	finish(&s);
	snprintf(ret_text, UUID_TEXT, "%08x-%04x-5%03x-%04x-%04x%08x", s.h[0], s.h[1] >> 16, s.h[1] & 0xfff,
		 (s.h[2] >> 16 & 0x3fff) | 0x8000, s.h[2] & 0xffff, s.h[3]);
}
