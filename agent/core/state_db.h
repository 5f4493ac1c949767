/* SPDX-License-Identifier: Apache-2.0 */
/* state_db.h - what state.c and state_*.c share: the handle. svid-core. */
#ifndef CORE_STATE_DB_H
#define CORE_STATE_DB_H

#include "agent/core/state.h"
#include "agent/db/db.h"

struct state {
	struct db db;
};

#endif
