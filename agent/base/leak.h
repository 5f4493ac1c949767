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

/**
 * leak_arg() - for the test of the check: "--leak=HOW" where the environment has SVID_LEAK=PROGRAM:HOW,..., else NULL.
 * The programs below svidd have no environment of their own.
 */
const char *leak_arg(const char *program);

/** leak_one() - what that asks for: lose a block ("--leak=lost"), or keep one to the end ("--leak=kept"). NULL is fine. */
void leak_one(const char *arg);

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

static inline const char *leak_arg(const char *program)
{
	(void)program;
	return 0;
}

static inline void leak_one(const char *arg)
{
	(void)arg;
}

static inline int leak_check(void)
{
	return 0;
}

#endif

#endif
