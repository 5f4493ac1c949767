/* SPDX-License-Identifier: Apache-2.0 */
/* child.h - what a function does where it may lock itself in or be killed: in a child. */
#ifndef TESTS_LIB_CHILD_H
#define TESTS_LIB_CHILD_H

#include <signal.h>

/* Ended by a seccomp filter. */
#define CHILD_KILLED (256 + SIGSYS)

/** child_run() - exit status of @fn in a child; 256 + signal when one ended it. What it logs is shown when VERBOSE is set. */
int child_run(int (*fn)(void));

#endif
