/* SPDX-License-Identifier: Apache-2.0 */
/*
 * message.h - one encoded answer: the five bytes of gRPC and the protobuf after them. svid-front.
 *
 * It is built once, never changed, counted, and shared by every stream that sends it: streams hold a
 * reference and an offset, the socket gets its bytes by iovec. Nothing copies them. Next: encode.h.
 */
#ifndef FRONT_MESSAGE_H
#define FRONT_MESSAGE_H

#include <stdbool.h>

#include "agent/base/secret.h"
#include "agent/base/slice.h"

#define GRPC_PREFIX 5 /* bytes: compressed flag, length (gRPC over HTTP/2, Length-Prefixed-Message) */

struct message;

/**
 * message_new() - room for @body bytes of protobuf; the prefix is written already.
 * @secret: keep it in pages of its own, locked where possible, because it holds a private key. All are wiped.
 * @ret_body: where the caller writes the protobuf.
 * @ret_m: one reference, owned by the caller (message_unref).
 * Errors: -ERR_SIZE (above LIM_GRPC_RESPONSE), -ENOMEM.
 */
MUST int message_new(size_t body, bool secret, uint8_t **ret_body, struct message **ret_m);

/** message_ref() - one more reference; returns @m. */
struct message *message_ref(struct message *m);

/** message_unref() - drop one; the last wipes and releases. NULL is fine. */
void message_unref(struct message *m);

static inline void message_autoclean(struct message **m)
{
	message_unref(*m);
}

/** message_bytes() - prefix and protobuf, valid as long as a reference is held. */
struct slice message_bytes(const struct message *m);

/** message_same() - whether both hold the same bytes, in time independent of where they differ. */
bool message_same(const struct message *a, const struct message *b);

#endif
