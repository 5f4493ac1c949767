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

#endif
