/* SPDX-License-Identifier: Apache-2.0 */
/* settings.h - the Agent document put into force; what of it has to wait for a restart is said. svid-core. */
#ifndef CORE_SETTINGS_H
#define CORE_SETTINGS_H

#include "agent/core/core.h"

/** settings_apply() - follow @s as far as a running agent can. */
void settings_apply(struct core *c, const struct settings *s);

/** settings_put_pending() - member "restart_needed": [{"setting","running","configured"}]. */
void settings_put_pending(const struct core *c, struct json *j);

#endif
