/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spare.h - memory for a library that goes on after an allocation that failed, over what it has not: jansson's lexer does.
 * What cannot be had comes from a reserve; whoever feeds the library sees it, feeds no more and throws the result away.
 * Any role with one thread.
 */
#ifndef BASE_SPARE_H
#define BASE_SPARE_H

#include <stdbool.h>

#include "agent/base/compiler.h"
#include "agent/base/slice.h"

#define SPARE_FEED 64 /* bytes of text at a time: so much can be asked for after the first failure */

/** spare_begin() - the reserve is whole again: nothing that came from it is in use. Errors: -ENOMEM (there never was one). */
MUST int spare_begin(void);

/** spare_alloc() - zeroed; never NULL. The program ends when not even the reserve is enough. */
void *spare_alloc(size_t n);

/** spare_free() - what spare_alloc() gave; NULL is fine. */
void spare_free(void *p);

/** spare_used() - whether memory was short since spare_begin(): what was made is not to be believed. */
bool spare_used(void);

/** spare_feed() - the next few bytes of the struct slice *@text, none when memory was short: for json_load_callback(). */
size_t spare_feed(void *to, size_t size, void *text);

#endif
