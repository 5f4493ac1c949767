/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jsondoc.h - JSON that somebody else wrote, read by jansson within our bounds. svid-front.
 *
 * One meaning per text: no member twice, valid UTF-8, no NUL in strings. All numbers are doubles, which is what
 * google.protobuf.Struct has. jansson's memory comes from agent/base/mem.h.
 */
#ifndef FRONT_JSONDOC_H
#define FRONT_JSONDOC_H

#include <jansson.h>

#include "agent/base/slice.h"

/**
 * jsondoc_read() - the object that @text is.
 * @ret_doc: owned by the caller (json_decref, AUTO(jsondoc)).
 * Errors: -ERR_FORMAT (not one JSON object), -ERR_EXISTS (a member twice), -ERR_LIMIT (nested deeper than LIM_JSON_DEPTH),
 * -ENOMEM. The caller bounds the length.
 */
MUST int jsondoc_read(struct slice text, json_t **ret_doc);

static inline void jsondoc_autoclean(json_t **doc)
{
	json_decref(*doc);
}

/** jsondoc_text() - the bytes of a JSON string; empty when @v is no string. */
struct slice jsondoc_text(const json_t *v);

#endif
