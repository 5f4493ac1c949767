/* SPDX-License-Identifier: Apache-2.0 */
/* frame.h - gRPC's framing inside an HTTP/2 stream, without I/O. svid. */
#ifndef CLI_FRAME_H
#define CLI_FRAME_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define FRAME_HEAD 5 /* one flag byte, four bytes of length, big-endian */

/** frame_put() - @message with its prefix. */
void frame_put(struct buf *out, struct slice message);

/**
 * frame_get() - the first whole message in @in.
 * @ret_message: borrows from @in; frame_drop() removes it.
 * Errors: -EAGAIN (not whole yet), -ERR_COMPRESSED, -ERR_FORMAT (flag byte), -ERR_SIZE (above LIM_GRPC_RESPONSE).
 */
MUST int frame_get(const struct buf *in, struct slice *ret_message);

/** frame_drop() - remove the message that frame_get() gave. */
void frame_drop(struct buf *in, struct slice message);

/** percent_decode() - a grpc-message header value; bytes that are not an escape stay as they are. */
void percent_decode(struct buf *out, struct slice value);

#endif
