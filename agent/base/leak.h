/* SPDX-License-Identifier: Apache-2.0 */
/*
 * leak.h - what is left on the heap when a program has freed everything: a check of sanitizer builds. Any role.
 *
 * LeakSanitizer finds what nobody points at; what something still points at, because nobody freed it at the end, is
 * found by counting. In a plain build there is nothing of this.
 */
#ifndef BASE_LEAK_H
#define BASE_LEAK_H

#ifdef SVID_SAN

/** leak_made() - mem.c has given @p away; NULL is fine. */
void leak_made(const void *p);

/** leak_freed() - mem.c has got it back; NULL is fine. */
void leak_freed(const void *p);

/** leak_one() - for the test of the check: lose a block ("lost"), or keep one to the end ("kept"). */
void leak_one(const char *how);

/** leak_check() - say on the log what is left, where it was allocated on standard error; 0 when it is nothing. */
int leak_check(void);

#else

static inline void leak_made(const void *p)
{
	(void)p;
}

static inline void leak_freed(const void *p)
{
	(void)p;
}

static inline int leak_check(void)
{
	return 0;
}

#endif

#endif
