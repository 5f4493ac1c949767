/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - the svid/ files of the credential tree (DESIGN.md 7), made of what is served at that moment. svid-front.
 *
 * svid-core asks (F_FILE) when somebody whose set this is reads one, and passes the descriptor on unread.
 */
#ifndef FRONT_FILES_H
#define FRONT_FILES_H

#include "workloadapi/api.h"

/**
 * files_make() - file @what (enum svid_file) of identity @identity.
 * @ret_fd: a sealed memfd, owned by the caller. Nothing of it stays in this process.
 * @ret_len: bytes of it.
 * Errors: what F_STATE said, -ERR_NOT_READY (no set is served yet, or its SVID expired), -ERR_NOT_FOUND (no such identity
 * in the set), -ERR_FORMAT, -ERR_SIZE (above LIM_TREE_FILE), -ENOMEM, -errno.
 */
MUST int files_make(const struct api *a, uint32_t identity, uint32_t what, int *ret_fd, uint32_t *ret_len);

#endif
