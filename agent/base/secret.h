/* SPDX-License-Identifier: Apache-2.0 */
/*
 * secret.h - bytes that must not leak: opaque, locked where possible, kept out of dumps, wiped at the
 * end. There is no copy function and no formatter. Between roles a secret travels as a descriptor.
 */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>

#include "agent/base/compiler.h"

struct secret;

/** secret_new() - @len zeroed bytes (1..LIM_IPC_BODY) in pages of their own; NULL when there are none. */
MUST struct secret *secret_new(size_t len);

/** secret_free() - wipe and release; NULL is fine. */
void secret_free(struct secret *s);

static inline void secret_autoclean(struct secret **s)
{
	secret_free(*s);
}

/** secret_bytes() - the bytes, valid until secret_free(). */
uint8_t *secret_bytes(struct secret *s);

/** secret_len() - how many. */
size_t secret_len(const struct secret *s);

/**
 * secret_to_fd() - a descriptor that holds a copy for another role: memfd_secret where the kernel
 * allows it, else a memfd that cannot change size. Errors: -errno. Owned by the caller.
 */
MUST int secret_to_fd(struct secret *s, int *ret_fd);

/**
 * secret_from_fd() - copy the @len bytes out of a descriptor of secret_to_fd(), then wipe the shared
 * pages. @fd stays open. Errors: -errno, -ERR_SIZE (the descriptor does not hold exactly @len), -ENOMEM.
 */
MUST int secret_from_fd(int fd, size_t len, struct secret **ret_secret);

#endif
