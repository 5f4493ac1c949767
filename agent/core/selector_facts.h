/* SPDX-License-Identifier: Apache-2.0 */
/* selector_facts.h - what one selector key means in the facts of a caller. svid-core, for selector.c only. */
#ifndef CORE_SELECTOR_FACTS_H
#define CORE_SELECTOR_FACTS_H

#include "agent/core/selector.h"

/** fact_get() - value number @i of what key @id (enum selector_id) asks for; @scratch is room for it. */
const struct fact *fact_get(unsigned int id, struct eval *e, size_t i, struct fact *scratch);

/** facts_are_socket() - whether this is `attestation: socket`, where /proc is all there is. */
bool facts_are_socket(const struct facts *f);

#endif
