/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h - an executable that somebody named: where it really is, and its digest. svid. */
#ifndef CLI_EXEC_H
#define CLI_EXEC_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

#define EXEC_DIGEST 32 /* SHA-256 */

/**
 * exec_look() - follow @path to the file and read it.
 * @ret_path: appended, as the kernel names it, links resolved.
 * @ret_len: 0 when the file may not be read: then there is no digest.
 * Errors: -errno, -ERR_FORMAT (not a regular file), -ERR_SIZE, -ENOMEM.
 */
MUST int exec_look(const char *path, struct buf *ret_path, uint8_t ret_digest[static EXEC_DIGEST], size_t *ret_len);

#endif
