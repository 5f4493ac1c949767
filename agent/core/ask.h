/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.h - who waits for a decision: a connection, or a read in the credential tree. Embedded in it. svid-core.
 */
#ifndef CORE_ASK_H
#define CORE_ASK_H

#include <sys/types.h>

#include "agent/base/list.h"
#include "agent/core/sorter.h"

struct asker;
struct decision;

struct asker_ops {
	/* Its decision is there; it may leave, and be gone, when this returns. */
	void (*decided)(struct asker *a);
	/* Documents changed, and it would get something else now; must not leave. May be NULL. */
	void (*different)(struct asker *a, bool none_left);
};

struct asker {
	const struct asker_ops *ops;
	struct decision *decision; /* NULL: none */
	struct list in_decision;
};

#endif
