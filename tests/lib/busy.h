/* SPDX-License-Identifier: Apache-2.0 */
/*
 * busy.h - tests on a machine that has no CPU to spare: what a process had to wait for one is nobody's fault, and
 * "it has had time enough" is something to be seen, not to be guessed in milliseconds.
 */
#ifndef TESTS_LIB_BUSY_H
#define TESTS_LIB_BUSY_H

#include <stdint.h>
#include <sys/types.h>

struct stopwatch {
	pid_t pid;
	uint64_t began, waited; /* ns */
};

/** stopwatch_start() - from now on, for something that @pid (0: nobody else) and this process have to do. */
struct stopwatch stopwatch_start(pid_t pid);

/** stopwatch_ms() - milliseconds since then, but for those in which either could have run and had no CPU. */
uint64_t stopwatch_ms(const struct stopwatch *s);

/** busy_idle() - return when @pid waits for events: it has handled all that was sent to it before. Fails the test. */
void busy_idle(pid_t pid);

#endif
