/* SPDX-License-Identifier: Apache-2.0 */
/* closest.h - why a caller has no identity, in a line for each document that it nearly matches. svid. */
#ifndef CLI_CLOSEST_H
#define CLI_CLOSEST_H

#include <jansson.h>

#include "agent/base/buf.h"

/**
 * closest_put() - "NAME  what differs" of the documents that the caller lacks least of, nearest first.
 * @documents: as whoami and explain have them (policy_match() in agent/core/policy.h). Nothing is appended when none says
 *             what is missing.
 */
void closest_put(struct buf *out, const json_t *documents);

#endif
