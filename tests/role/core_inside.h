/* SPDX-License-Identifier: Apache-2.0 */
/* core_inside.h - svid-core's loop in the test's own process, without its sandbox, among the siblings of core_world.h. */
#ifndef TESTS_ROLE_CORE_INSIDE_H
#define TESTS_ROLE_CORE_INSIDE_H

#include "agent/core/core.h"
#include "tests/role/core_world.h"

/* The only one: it cannot be ended and begun again. */
extern struct core inside;

/** inside_start() - as main.c does it, in the world @w. */
void inside_start(struct world *w);

/** inside_turn() - a turn of svid-core, in which allocation @nth fails (-1: none), then one of its siblings. Whether one did. */
bool inside_turn(struct world *w, long nth);

/* Does @turn until @cond holds; the test fails when that takes long. */
#define INSIDE_UNTIL(cond, turn)                                               \
	do {                                                                   \
		uint64_t until_ = clock_boot_ns() + WORLD_WAIT_MS * NS_PER_MS; \
									       \
		while (!(cond) && clock_boot_ns() < until_)                    \
			turn;                                                  \
		if (!(cond))                                                   \
			fail_msg("not in %d ms: %s", WORLD_WAIT_MS, #cond);    \
	} while (0)

#endif
