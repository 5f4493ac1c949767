// SPDX-License-Identifier: Apache-2.0
/* mem.c - heap access with a fault point, wiping and constant-time comparison. Any role. */
#include "agent/base/mem.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/leak.h"

static long fail_in = -1;
static int fail_hit;

int mem_fail_after(long n)
{
	int hit = fail_hit;

	fail_in = n;
	fail_hit = 0;
	return hit;
}

static int must_fail(void)
{
	if (fail_in < 0)
		return 0;
	if (fail_in-- > 0)
		return 0;
	fail_hit = 1;
	return 1;
}

void *mem_calloc(size_t n, size_t size)
{
	void *p = must_fail() ? NULL : calloc(n ? n : 1, size ? size : 1);

	leak_made(p);
	return p;
}

void *mem_realloc_array(void *p, size_t n, size_t size)
{
	void *more;

	if (must_fail())
		return NULL;
	leak_freed(p);
	more = reallocarray(p, n ? n : 1, size ? size : 1);
	leak_made(more ? more : p);
	return more;
}

char *mem_strndup(const char *s, size_t len)
{
	char *copy = mem_calloc(len + 1, 1);

	if (copy && len)
		memcpy(copy, s, len);
	return copy;
}

char *mem_strdup(const char *s)
{
	return mem_strndup(s, strlen(s));
}

void mem_free(void *p)
{
	leak_freed(p);
	free(p);
}

void mem_trim(void)
{
#ifndef SVID_SAN
	malloc_trim(0);
#endif
}

void mem_wipe(void *p, size_t len)
{
	if (p && len)
		explicit_bzero(p, len);
}

bool mem_same(const void *a, const void *b, size_t len)
{
	const unsigned char *x = a, *y = b;
	unsigned char diff = 0;

	for (size_t i = 0; i < len; i++)
		diff |= x[i] ^ y[i];
	return diff == 0;
}
