// SPDX-License-Identifier: Apache-2.0
/* spare.c - see spare.h. Pages of the reserve are only touched when it is used. */
#include "agent/base/spare.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/base/limits.h"
#include "agent/base/log.h"
#include "agent/base/mem.h"

/* Twice the longest text for a buffer that doubles, once for a copy, and some for what is small. */
#define RESERVE (4u * LIM_JWKS)
#define ALIGN 16u

static uint8_t *reserve;
static size_t taken;

int spare_begin(void)
{
	void *p = reserve;

	if (!p)
		p = mmap(NULL, RESERVE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	reserve = p;
	taken = 0;
	return 0;
}

static void *from_reserve(size_t n)
{
	size_t size = (n + ALIGN) / ALIGN * ALIGN; /* never 0: that it was used is seen by it */
	uint8_t *p = reserve + taken;

	if (!reserve || n > RESERVE || size > RESERVE - taken)
		log_fatal("memory", -ENOMEM);
	taken += size;
	memset(p, 0, n);
	return p;
}

void *spare_alloc(size_t n)
{
	void *p = mem_calloc(1, n);

	return p ? p : from_reserve(n);
}

void spare_free(void *p)
{
	if (!reserve || (uint8_t *)p < reserve || (uint8_t *)p >= reserve + RESERVE)
		mem_free(p);
}

bool spare_used(void)
{
	return taken;
}

size_t spare_feed(void *to, size_t size, void *text)
{
	struct slice *left = text;
	size_t n = left->len < SPARE_FEED ? left->len : SPARE_FEED;
	struct slice s = slice_get_bytes(left, n < size ? n : size);

	if (!s.len || spare_used())
		return 0;
	memcpy(to, s.p, s.len);
	return s.len;
}
