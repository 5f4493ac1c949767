/* SPDX-License-Identifier: Apache-2.0 */
/* admin.h - one request on admin.sock. svid, as root. */
#ifndef CLI_ADMIN_H
#define CLI_ADMIN_H

#include <jansson.h>

#include "agent/base/buf.h"
#include "agent/ipc/plan.h"

/**
 * admin_call() - ask svid-core and wait.
 * @path: of admin.sock.
 * @arg: pid for ADMIN_EXPLAIN, else 0.
 * @ret_json: gets the answer's document appended.
 * @ret_err: 0, or why the agent refused (-errno, -ERR_x).
 * Errors: -errno of connect; -ERR_DEADLINE; -ERR_CLOSED, -ERR_FORMAT; -ENOMEM.
 */
MUST int admin_call(const char *path, enum admin_what what, uint32_t arg, unsigned int timeout_ms,
		    struct buf *ret_json, int *ret_err);

/**
 * admin_ask() - the same with any message: @type (MSG_AD_x) and its @body.
 * Errors: as admin_call().
 */
MUST int admin_ask(const char *path, uint16_t type, struct slice body, unsigned int timeout_ms, struct buf *ret_json,
		   int *ret_err);

struct cli;

/**
 * admin_json() - admin_call() for what always has an answer: says itself what is wrong.
 * @ret_root: the document, the caller's (json_decref).
 * Returns enum cli_exit.
 */
int admin_json(const struct cli *c, enum admin_what what, uint32_t arg, json_t **ret_root);

#endif
