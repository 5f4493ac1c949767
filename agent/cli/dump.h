/* SPDX-License-Identifier: Apache-2.0 */
/* dump.h - JSON values into buffers, and what they hold as text. svid. */
#ifndef CLI_DUMP_H
#define CLI_DUMP_H

#include <jansson.h>

#include "agent/base/buf.h"

/** json_put() - @value as text; @flags as for json_dumps(), JSON_ENCODE_ANY is always on. */
void json_put(struct buf *out, const json_t *value, size_t flags);

/** json_text() - member @name of @object, "" when it is no string. */
const char *json_text(const json_t *object, const char *name);

/** hex_get() - the bytes of @hex, lower-case, appended. Errors: -ERR_FORMAT, -ERR_SIZE, -ENOMEM. */
MUST int hex_get(struct slice hex, struct buf *out);

/** json_autoclean() - AUTO(json). */
static inline void json_autoclean(json_t **value)
{
	json_decref(*value);
}

#endif
