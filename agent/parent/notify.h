/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h - sd_notify(3) without the library. svidd only. */
#ifndef PARENT_NOTIFY_H
#define PARENT_NOTIFY_H

#include <stdbool.h>

/** notify() - tell systemd ("READY=1"); nothing without NOTIFY_SOCKET. */
void notify(const char *state);

/** notify_fd() - the same with a descriptor (-1: none). Returns whether it was sent. */
bool notify_fd(const char *state, int fd);

#endif
