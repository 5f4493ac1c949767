/* SPDX-License-Identifier: Apache-2.0 */
/* module.h - /dev/svid as svidd uses it: is the kernel module there, and the files that it makes. svidd only. */
#ifndef PARENT_MODULE_H
#define PARENT_MODULE_H

#include <stdint.h>

#include "agent/base/compiler.h"

#define MODULE_WHY 256 /* bytes of a reason: one sentence, and after " -> " what to do */

/**
 * module_open() - the device, when a module of our version is loaded. Nothing is loaded by this.
 * @ret_fd: the caller's. @why: set on error, MODULE_WHY bytes.
 * Errors: -ENOENT (not loaded), -ERR_PROVIDER (another version, or not ready), -errno.
 */
MUST int module_open(int *ret_fd, char *why);

/**
 * module_evidence() - an evidence file of the module behind @dev, and its words for fronts.
 * @kept: an evidence file of an earlier svidd (-1: none); used, or closed when it is none.
 * @ret_fd, @ret_words: the caller's. @why: as module_open().
 * Errors: -errno.
 */
MUST int module_evidence(int dev, int kept, int *ret_fd, int *ret_words, char *why);

/** module_listen() - connections to @listener get records with @tag from now on. Errors: -errno. */
MUST int module_listen(int evidence, int listener, uint32_t tag);

/** module_tree() - the module's tree file; waits a moment for one that is just ending. Errors: -EBUSY, -errno. */
MUST int module_tree(int dev, int *ret_fd, char *why);

#endif
