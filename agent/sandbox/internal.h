/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - between the files of agent/sandbox only. */
#ifndef SANDBOX_INTERNAL_H
#define SANDBOX_INTERNAL_H

#include "agent/sandbox/sandbox.h"

/** sandbox_seccomp() - load the filter; @log_only logs what it would kill. Errors: -errno. */
MUST int sandbox_seccomp(const struct sandbox_plan *plan, bool log_only);

/** sandbox_families() - load a filter for socket(2) alone, if the plan says one. Errors: -ERR_LIMIT, -errno. */
MUST int sandbox_families(const struct sandbox_plan *plan, bool log_only);

/** sandbox_landlock() - restrict paths, TCP and signals as far as this kernel can. Errors: -errno. */
MUST int sandbox_landlock(const struct sandbox_plan *plan);

#endif
