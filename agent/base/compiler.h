/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.h - the attributes and the scope-cleanup idiom that the whole tree uses. No code runs here. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define MUST __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define NORETURN __attribute__((noreturn))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

/*
 * AUTO(x): run x_autoclean(&var) when the variable leaves its scope. Define and initialise in one
 * statement, and never use goto in a function that uses it.
 */
#define AUTO(name) __attribute__((cleanup(name##_autoclean)))

/* take(): move ownership out of an AUTO pointer, which then holds NULL. */
#define take(p)                                  \
	({                                       \
		__typeof__(*(p)) taken_ = *(p);  \
		*(p) = NULL;                     \
		taken_;                          \
	})

#endif
