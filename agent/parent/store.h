/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store.h - systemd's descriptor store: listeners, so that clients wait while svidd restarts, and the files of the kernel
 * module and of FUSE, so that evidence and mount live on. svidd only.
 */
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

/** store_take_file() - whatever was stored as @name; each once. What it is the caller must find out. */
bool store_take_file(const char *name, int *ret_fd);

/** store_forget() - close what was stored as @name and was not taken; nothing of that name is to be kept any more. */
void store_forget(const char *name);

/** store_put() - keep @fd (which stays the caller's) under @name; false when no systemd listens. */
bool store_put(const char *name, int fd);

#endif
