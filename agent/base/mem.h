/* SPDX-License-Identifier: Apache-2.0 */
/* mem.h - the only way to the heap, so that a test can make the nth allocation fail. Any role. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/base/compiler.h"

/** mem_calloc() - zeroed array of @n objects of @size bytes; NULL when there is none (or overflow). */
MUST void *mem_calloc(size_t n, size_t size);

/** mem_realloc_array() - resize @p to @n x @size bytes; NULL and @p untouched on failure. New bytes are not zeroed. */
MUST void *mem_realloc_array(void *p, size_t n, size_t size);

/** mem_strndup() - NUL-terminated copy of @len bytes; owned by the caller (mem_free). */
MUST char *mem_strndup(const char *s, size_t len);

/** mem_strdup() - the same for a NUL-terminated string. */
MUST char *mem_strdup(const char *s);

/** mem_free() - release what mem_* gave; NULL is fine. */
void mem_free(void *p);

/** mem_trim() - give back to the kernel what start-up left unused in the heap. */
void mem_trim(void);

/** mem_wipe() - overwrite @len bytes in a way the compiler keeps. */
void mem_wipe(void *p, size_t len);

/** mem_same() - whether both ranges are equal, in time independent of the content. */
MUST bool mem_same(const void *a, const void *b, size_t len);

/**
 * mem_fail_after() - for fault tests: the allocation number @n from now (0 = the next) fails once.
 * A negative @n turns the fault off. Returns whether the previously set fault was reached.
 */
int mem_fail_after(long n);

#define mem_new(type) ((type *)mem_calloc(1, sizeof(type)))

static inline void mem_ptr_autoclean(void *pp)
{
	mem_free(*(void **)pp);
}

/* AUTO_FREE char *s = mem_strdup(...); */
#define AUTO_FREE AUTO(mem_ptr)

#endif
