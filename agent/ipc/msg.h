/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msg.h - typed messages made from msg.def: struct msg_NAME, msg_put_NAME(), msg_get_NAME().
 *
 *   struct msg_C_KILL m = { .role = ROLE_FRONT, .index = 7 };
 *   msg_put_C_KILL(&body, &m);               encodes into a buf
 *   err = msg_get_C_KILL(body_slice, &m);    decodes; refuses trailing bytes; slices borrow from body
 */
#ifndef IPC_MSG_H
#define IPC_MSG_H

#include "agent/base/buf.h"
#include "agent/base/err.h"

enum msg_type {
#define MSG(name, number, route, fds) MSG_##name = number,
#include "agent/ipc/msg.def"
};

#define MSG(name, number, route, fds) struct msg_##name {
#define U32(f) uint32_t f;
#define U64(f) uint64_t f;
#define I32(f) int32_t f;
#define I64(f) int64_t f;
#define STR(f, max) struct slice f;
#define BLOB(f, max) struct slice f;
#define END(name) };
#include "agent/ipc/msg.def"

#define MSG(name, number, route, fds)                                  \
	void msg_put_##name(struct buf *b, const struct msg_##name *m); \
	MUST int msg_get_##name(struct slice body, struct msg_##name *ret_m);
#include "agent/ipc/msg.def"

/** msg_name() - "P_FD" and so on for logs; "?" for an unknown number. */
const char *msg_name(unsigned int type);

/** msg_fds() - how many descriptors messages of @type carry; -1 for an unknown number. */
int msg_fds(unsigned int type);

#endif
