/* SPDX-License-Identifier: Apache-2.0 */
/* tree_kmod.h - what tree_kmod.c calls the kernel by, so that a test can be the kernel. svid-core. */
#ifndef CORE_TREE_KMOD_H
#define CORE_TREE_KMOD_H

#include <sys/types.h>

#include "agent/base/compiler.h"

struct tree;

struct tree_kmod_calls {
	ssize_t (*read)(int fd, void *to, size_t size); /* read(2) */
	int (*ioctl)(int fd, unsigned long request, void *arg); /* ioctl(2) */
};

/** tree_kmod_start_with() - as tree_kmod_start(), with other calls. Errors: -errno, -ENOMEM. */
MUST int tree_kmod_start_with(struct tree *t, int fd, const struct tree_kmod_calls *calls);

/** tree_kmod_start() - be the backend, through the module's tree file @fd. Errors: -errno, -ENOMEM. */
MUST int tree_kmod_start(struct tree *t, int fd);

#endif
