/* SPDX-License-Identifier: Apache-2.0 */
/* pb.h - what svid adds to agent/base/pb.h: google.protobuf.Struct for people. svid. */
#ifndef CLI_PB_H
#define CLI_PB_H

#include "agent/base/err.h"
#include "agent/base/pb.h"

/**
 * pb_struct_json() - a google.protobuf.Struct as JSON text.
 * Errors: -ERR_FORMAT, -ERR_SIZE (nested too deep, or @out is full), -ENOMEM.
 */
MUST int pb_struct_json(struct buf *out, struct slice message);

#endif
