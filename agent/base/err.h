/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err.h - every error of our own: number, name, gRPC status and text, as one table.
 *
 * A fallible function returns 0, -errno for what the system refused, or -ERR_x. The mapping to what
 * a Workload API client sees is data here, so no caller invents a status of its own.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "agent/base/compiler.h"

/* gRPC status codes that we use (gRPC statuscodes; spiffe.md 2.4). */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
};

/* X(name, gRPC status, text) - append only: numbers are positions from ERR_BASE. */
#define ERR_TABLE(X)                                                                       \
	X(SHORT, GRPC_INTERNAL, "input ends early")                                        \
	X(TRAILING, GRPC_INTERNAL, "bytes left over")                                      \
	X(SIZE, GRPC_RESOURCE_EXHAUSTED, "larger than its limit")                          \
	X(FORMAT, GRPC_INTERNAL, "malformed")                                              \
	X(UTF8, GRPC_INVALID_ARGUMENT, "not UTF-8")                                        \
	X(CLOSED, GRPC_UNAVAILABLE, "peer closed the channel")                             \
	X(PERMIT, GRPC_INTERNAL, "message not permitted in this state")                    \
	X(LIMIT, GRPC_RESOURCE_EXHAUSTED, "limit reached")                                 \
	X(NO_IDENTITY, GRPC_PERMISSION_DENIED, "no identity issued")                       \
	X(NOT_READY, GRPC_UNAVAILABLE, "agent is not ready")                               \
	X(EVIDENCE, GRPC_UNAVAILABLE, "kernel evidence is not whole")                      \
	X(CHANGED, GRPC_UNAVAILABLE, "the caller changed after it connected")              \
	X(DRAIN, GRPC_UNAVAILABLE, "agent is stopping")                                    \
	X(HEADER, GRPC_INVALID_ARGUMENT, "security header missing from request")           \
	X(REQUEST, GRPC_INVALID_ARGUMENT, "request cannot be parsed")                      \
	X(DEADLINE, GRPC_DEADLINE_EXCEEDED, "deadline exceeded")                           \
	X(METHOD, GRPC_UNIMPLEMENTED, "unknown method")                                    \
	X(COMPRESSED, GRPC_UNIMPLEMENTED, "compressed messages are not supported")         \
	X(CRYPTO, GRPC_INTERNAL, "cryptographic operation failed")                         \
	X(SEALED, GRPC_UNAVAILABLE, "sealed state cannot be opened with this key")            \
	X(CLOCK, GRPC_UNAVAILABLE, "the clock is behind the last signature")               \
	X(SPIFFE_ID, GRPC_INVALID_ARGUMENT, "not a valid SPIFFE ID")                       \
	X(POLICY, GRPC_INTERNAL, "policy document refused")                                \
	X(PROVIDER, GRPC_UNAVAILABLE, "no evidence provider")                              \
	X(AUDIT, GRPC_UNAVAILABLE, "audit record could not be written")                    \
	X(STATE, GRPC_UNAVAILABLE, "state database cannot be used")                           \
	X(NOT_FOUND, GRPC_INTERNAL, "not found")                                           \
	X(EXISTS, GRPC_INTERNAL, "exists already")                                         \
	X(EXPIRED, GRPC_UNAVAILABLE, "the signing authority has expired")                 \
	X(IDENTITIES, GRPC_UNAVAILABLE, "the identities of the caller changed")           \
	X(MOUNT, GRPC_PERMISSION_DENIED, "the executable is on a mount of another namespace")     \
	X(SIGNATURE, GRPC_INVALID_ARGUMENT, "the signature does not verify")              \
	X(AUDIENCE, GRPC_PERMISSION_DENIED, "audience not allowed for this identity")     \
	X(RATE, GRPC_UNAVAILABLE, "rate limit exceeded")                                  \
	X(PROFILE, GRPC_UNIMPLEMENTED, "fetching WIT-SVIDs is not implemented")

enum err {
	ERR_BASE = 4000,
#define X(name, status, text) ERR_##name,
	ERR_TABLE(X)
#undef X
	ERR_END,
};

/**
 * err_name() - short stable name of an error code, for logs and JSON ("ERR_SHORT", "ENOMEM").
 * @err: 0, -errno or -ERR_x; the sign does not matter.
 * Returns a static string, never NULL.
 */
const char *err_name(int err);

/**
 * err_text() - one lower-case sentence for people; static, never NULL.
 * @err: as for err_name().
 */
const char *err_text(int err);

/**
 * err_status() - the gRPC status a client gets for @err (GRPC_INTERNAL for errno values other than
 * -ENOMEM, which is GRPC_RESOURCE_EXHAUSTED).
 */
enum grpc_status err_status(int err);

#endif
