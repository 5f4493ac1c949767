/* SPDX-License-Identifier: Apache-2.0 */
/* store.h - listeners in systemd's descriptor store, so that clients wait while svidd restarts. svidd only. */
#ifndef PARENT_STORE_H
#define PARENT_STORE_H

#include <stdbool.h>

#include "agent/base/compiler.h"

/** store_init() - take note of what systemd passed and close every other descriptor from 3 on. */
void store_init(void);

/**
 * store_take() - the listening AF_UNIX socket that was stored as @name, if it is still bound to @path.
 * Returns whether there is one; *ret_fd is then the caller's.
 */
bool store_take(const char *name, const char *path, int *ret_fd);

/** store_put() - keep @fd (which stays the caller's) under @name; false when no systemd listens. */
bool store_put(const char *name, int fd);

#endif
