/* SPDX-License-Identifier: Apache-2.0 */
/* fault.h - a piece of work, done again and again with another of its allocations failing each time. */
#ifndef TESTS_LIB_FAULT_H
#define TESTS_LIB_FAULT_H

#include <stdbool.h>

/**
 * fault_each() - the nth allocation of @work fails, for n = 0, 1, ... until it gets by without it; it succeeds before the first
 * and after each.
 * @stride: how many are left out between two after the first hundreds, where libraries do the same again; 1: none before the
 *          four thousandth. ALL=1 in the environment: 1.
 * @is_fine: whether it may end so.
 */
void fault_each(int (*work)(void), long stride, bool (*is_fine)(int err));

#endif
