/* SPDX-License-Identifier: Apache-2.0 */
/* view.h - any JSON document of the agent as plain aligned text for people. svid. */
#ifndef CLI_VIEW_H
#define CLI_VIEW_H

#include <jansson.h>

#include "agent/base/buf.h"

#define VIEW_MAX (8u << 20) /* bytes of one answer as text */

/**
 * view_json() - objects as aligned "key  value" lines, arrays of small objects as tables, the rest
 * indented. Every string is escaped: evidence is hostile bytes.
 */
void view_json(struct buf *out, const json_t *root);

/**
 * view_show() - print @body, which is JSON, as -o says.
 * @what: for the error text when it is not JSON.
 * Returns enum cli_exit.
 */
int view_show(struct slice body, bool as_json, const char *what);

#endif
