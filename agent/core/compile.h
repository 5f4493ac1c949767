/* SPDX-License-Identifier: Apache-2.0 */
/* compile.h - runs of the policy compiler, and what follows when documents come into force. svid-core. */
#ifndef CORE_COMPILE_H
#define CORE_COMPILE_H

#include <stdint.h>

#include "agent/base/compiler.h"

struct core;

/** compiler_start() - watch the policy files and have them compiled now. Errors: -ENOMEM. */
MUST int compiler_start(struct core *c);
/** compiler_watch() - inotify on directory and file; before the sandbox closes. Errors: -errno. */
MUST int compiler_watch(struct core *c);
/** compiler_peer() - svidd started one; takes over @fd. Errors: -ENOMEM, -errno. */
MUST int compiler_peer(struct core *c, int fd);
/** compiler_free() - no more documents. */
void compiler_free(struct core *c);

/** compiler_exit() - svidd says that a run ended with @status, or could not begin. */
void compiler_exit(struct core *c, uint32_t status);
/** compiler_run() - compile soon. */
void compiler_run(struct core *c);

#endif
