/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.h - from a Workload API address to a path. svid. */
#ifndef CLI_ENDPOINT_H
#define CLI_ENDPOINT_H

#include "agent/base/err.h"

/**
 * endpoint_path() - the path in "unix:///path" or "unix:/path"; a plain path is taken as it is.
 * @ret_path: points into @address.
 * Errors: -ERR_FORMAT (other scheme, authority, relative path in a URI, query or fragment), -ERR_SIZE (longer than
 *         a socket address). Source: Workload Endpoint 4.
 */
MUST int endpoint_path(const char *address, const char **ret_path);

/** endpoint_connect() - a connected stream socket, or SOCK_SEQPACKET with @packets. Errors: -errno. Owned by the caller. */
MUST int endpoint_connect(const char *path, int packets, int *ret_fd);

#endif
