/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heap.c - libcrypto's two heaps in svid-keys. Encoding a key as PKCS#8 makes a passing copy on the
 * ordinary heap; it is wiped on release here, and mlockall() in main.c keeps it out of swap.
 */
#include "agent/keys/heap.h"

#include <errno.h>
#include <malloc.h>

#include "agent/base/mem.h"
#include "agent/keys/ossl.h"

#define SECURE_MIN 32 /* bytes of the smallest secure block */

static void *wiping_alloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return mem_calloc(1, n);
}

static void wiping_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	if (p)
		mem_wipe(p, malloc_usable_size(p));
	mem_free(p);
}

/* Never realloc(): that could leave the old bytes behind. */
static void *wiping_realloc(void *p, size_t n, const char *file, int line)
{
	size_t old = p ? malloc_usable_size(p) : 0;
	void *to;

	if (!n) {
		wiping_free(p, file, line);
		return NULL;
	}
	to = mem_calloc(1, n);
	if (!to)
		return NULL;
	if (old)
		memcpy(to, p, old < n ? old : n);
	wiping_free(p, file, line);
	return to;
}

int heap_init(size_t secure_bytes, bool *ret_locked)
{
	int done;

	if (CRYPTO_set_mem_functions(wiping_alloc, wiping_realloc, wiping_free) != 1)
		return -ERR_CRYPTO;
	done = CRYPTO_secure_malloc_init(secure_bytes, SECURE_MIN);
	if (!done)
		return -ENOMEM;
	*ret_locked = done == 1;
	return 0;
}

int secbytes_new(size_t len, struct secbytes *ret_bytes)
{
	uint8_t *p = OPENSSL_secure_zalloc(len);

	if (!p) {
		ERR_clear_error();
		return -ENOMEM;
	}
	*ret_bytes = (struct secbytes){ .p = p, .len = len };
	return 0;
}

void secbytes_done(struct secbytes *b)
{
	OPENSSL_secure_clear_free(b->p, b->len);
	*b = (struct secbytes){ 0 };
}
