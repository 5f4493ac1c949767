/* SPDX-License-Identifier: Apache-2.0 */
/* front.h - a front between svid-core, svid-keys and its clients. svid-front. main.c starts it. */
#ifndef FRONT_FRONT_H
#define FRONT_FRONT_H

#include "agent/base/loop.h"

struct front;

/**
 * front_new() - a front on channels that are open already (agent/ipc/plan.h); tells svid-core FR_READY.
 * @words: the validity words, mapped for as long as the process lives.
 * Errors: -ENOMEM, -errno.
 */
MUST int front_new(struct loop *loop, int core_fd, int keys_fd, const uint32_t *words, struct front **ret_front);

/** front_free() - end everything without a word; for tests. NULL is fine. */
void front_free(struct front *f);

#endif
