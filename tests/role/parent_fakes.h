/* SPDX-License-Identifier: Apache-2.0 */
/* parent_fakes.h - children for tests of svidd. */
#ifndef TESTS_ROLE_PARENT_FAKES_H
#define TESTS_ROLE_PARENT_FAKES_H

#include <stdbool.h>

/**
 * fake_role() - play the role that argv[0] names, until svidd ends it; @ret_is_role says whether it named one.
 * Returns the exit status. Errors: none.
 */
int fake_role(int argc, char **argv, bool *ret_is_role);

#endif
