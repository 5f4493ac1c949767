/* SPDX-License-Identifier: Apache-2.0 */
/* pb_struct.h - the claims of ValidateJWTSVID as JSON. svid; no I/O. */
#ifndef CLI_PB_STRUCT_H
#define CLI_PB_STRUCT_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

/**
 * pb_struct_json() - a google.protobuf.Struct as JSON text.
 * Errors: -ERR_FORMAT, -ERR_SIZE (nested too deep, or @out is full), -ENOMEM.
 */
MUST int pb_struct_json(struct buf *out, struct slice message);

#endif
