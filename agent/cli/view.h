/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - any JSON document of the agent as plain aligned text for people. svid. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <jansson.h>

#include "agent/base/buf.h"

#define VIEW_MAX (8u << 20) /* bytes of one answer as text */

/**
 * view_json() - objects as aligned "key  value" lines and then blocks, arrays of small objects as tables. {"value": X}
 * and {"unknown": "why"} stand on their parent's line, argv is one quoted command line, what is empty is "-". Every
 * string is escaped: evidence is hostile bytes.
 */
void view_json(struct buf *out, const json_t *root);

/** view_caller() - whoami and explain, top-down: identities or what is missing, why, the facts. Takes from @root. */
void view_caller(struct buf *out, json_t *root);

/**
 * view_show() - print @body, which is JSON, as -o says.
 * @caller: it is about a caller, view_caller() shows it.
 * @what: for the error text when it is not JSON.
 * Returns enum cli_exit.
 */
int view_show(struct slice body, bool as_json, bool caller, const char *what);

#endif
