// SPDX-License-Identifier: Apache-2.0
/* wiped.c - see wiped.h. A block knows its length, in front of its bytes. svid-cloud. */
#include "federation/wiped.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

/* libcrypto has a type of the name of one of our error codes; it is never used here. */
#define ERR_STATE OSSL_ERR_STATE
#include <openssl/crypto.h>
#undef ERR_STATE

#include "agent/base/log.h"
#include "agent/base/mem.h"

#define HEAD 16 /* keeps what follows aligned for anything */

void *wiped_alloc(size_t len)
{
	size_t *p = len < SIZE_MAX - HEAD ? mem_calloc(1, len + HEAD) : NULL;

	if (!p)
		return NULL;
	*p = len;
	return (char *)p + HEAD;
}

void wiped_free(void *block)
{
	size_t *p = block ? (size_t *)((char *)block - HEAD) : NULL;

	if (p)
		mem_wipe(p, *p + HEAD);
	mem_free(p);
}

void *wiped_realloc(void *block, size_t len)
{
	size_t old = block ? *(size_t *)((char *)block - HEAD) : 0;
	void *to = wiped_alloc(len);

	if (!to)
		return NULL;
	if (old)
		memcpy(to, block, old < len ? old : len);
	wiped_free(block);
	return to;
}

/* jansson goes on after an allocation that failed, over what it has not: here that is the end. Others: base/spare.h. */
static void *json_alloc(size_t len)
{
	void *block = wiped_alloc(len);

	if (!block)
		log_fatal("memory", -ENOMEM);
	return block;
}

static void *wiped_calloc(size_t n, size_t size)
{
	size_t len;

	return __builtin_mul_overflow(n, size, &len) ? NULL : wiped_alloc(len); /* zeroed in any case */
}

static char *wiped_strdup(const char *s)
{
	size_t len = strlen(s) + 1;
	char *copy = wiped_alloc(len);

	return copy ? memcpy(copy, s, len) : NULL;
}

static void *ossl_alloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return wiped_alloc(len);
}

static void *ossl_realloc(void *block, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	if (len)
		return wiped_realloc(block, len);
	wiped_free(block);
	return NULL;
}

static void ossl_free(void *block, const char *file, int line)
{
	(void)file;
	(void)line;
	wiped_free(block);
}

int wiped_for_libraries(void)
{
	json_set_alloc_funcs(json_alloc, wiped_free);
	if (CRYPTO_set_mem_functions(ossl_alloc, ossl_realloc, ossl_free) != 1)
		return -ENOMEM;
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiped_alloc, wiped_free, wiped_realloc, wiped_strdup, wiped_calloc))
		return -ENOMEM;
	return 0;
}
