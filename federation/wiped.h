/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wiped.h - the heap of libraries that see secrets: what they release is wiped. libcrypto, libcurl, jansson and expat.
 * svid-cloud.
 */
#ifndef CLOUD_WIPED_H
#define CLOUD_WIPED_H

#include <stddef.h>

#include "agent/base/compiler.h"

/** wiped_alloc() - @len bytes, zeroed; NULL without memory. Release with wiped_free(). */
void *wiped_alloc(size_t len);

/** wiped_free() - wipe and release; NULL is fine. */
void wiped_free(void *block);

/** wiped_realloc() - as realloc(3), zeroes in what is new; NULL without memory, and @block stays. */
void *wiped_realloc(void *block, size_t len);

/**
 * wiped_for_libraries() - give them this heap, before any of them is used: libcurl is initialised here. jansson, which
 * goes on after an allocation that failed, ends the process instead. Errors: -ENOMEM.
 */
MUST int wiped_for_libraries(void);

#endif
