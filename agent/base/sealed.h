/* SPDX-License-Identifier: Apache-2.0 */
/* sealed.h - bytes for another program as a descriptor that nobody can change any more. Any role. */
#ifndef BASE_SEALED_H
#define BASE_SEALED_H

#include <fcntl.h>

#include "agent/base/slice.h"

#define SEALED (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/**
 * sealed_fd() - a memfd with a copy of @bytes, under the seals of SEALED.
 * @ret_fd: owned by the caller, its offset at the end.
 * Errors: -errno.
 */
MUST int sealed_fd(struct slice bytes, int *ret_fd);

#endif
