/* SPDX-License-Identifier: Apache-2.0 */
/* selector_facts.h - what one selector key means in the facts of a caller. svid-core, for selector.c only. */
#ifndef CORE_SELECTOR_FACTS_H
#define CORE_SELECTOR_FACTS_H

#include "agent/core/selector.h"

/* One value that the facts hold for a key; @why instead of a value when it cannot be told. */
struct fact {
	bool end;	 /* there is no such value: the list is over */
	const char *why; /* static */
	bool is_number;
	uint64_t number;
	struct slice text; /* borrows from the facts */
};

/** fact_get() - value number @i of what key @id (enum selector_id) asks for. */
struct fact fact_get(unsigned int id, struct eval *e, size_t i);

/** facts_are_socket() - whether this is `attestation: socket`, where /proc is all there is. */
bool facts_are_socket(const struct facts *f);

#endif
