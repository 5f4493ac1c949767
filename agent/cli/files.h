/* SPDX-License-Identifier: Apache-2.0 */
/* files.h - whole files, replaced atomically. svid. */
#ifndef CLI_FILES_H
#define CLI_FILES_H

#include "agent/base/buf.h"

/**
 * file_replace() - @dir/@name holds @content with @mode, or what it held before.
 * Errors: -errno; nothing half-written stays behind.
 */
MUST int file_replace(const char *dir, const char *name, struct slice content, unsigned int mode);

/**
 * file_replace_in() - the same in directory @sub of @dir, made if it is not there. @dir may be another user's, who must not
 * lead root elsewhere: @sub is one name, and no link is followed there.
 * Errors: -errno; -ENOTDIR when @sub is a link.
 */
MUST int file_replace_in(const char *dir, const char *sub, const char *name, struct slice content, unsigned int mode);

/**
 * file_read() - all of the file at @path, "-" for standard input, into @out, whose maximum is the most it may be.
 * Errors: -errno, -ERR_SIZE, -ENOMEM.
 */
MUST int file_read(const char *path, struct buf *out);

#endif
