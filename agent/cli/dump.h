/* SPDX-License-Identifier: Apache-2.0 */
/* dump.h - JSON values into buffers. svid. */
#ifndef CLI_DUMP_H
#define CLI_DUMP_H

#include <jansson.h>

#include "agent/base/buf.h"

/** json_put() - @value as text; @flags as for json_dumps(), JSON_ENCODE_ANY is always on. */
void json_put(struct buf *out, const json_t *value, size_t flags);

#endif
