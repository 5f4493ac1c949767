/* SPDX-License-Identifier: Apache-2.0 */
/* docs_say.h - what the policy compiler would say to svid-core's documents; for unit tests of agent/core/docs*.c. */
#ifndef TESTS_LIB_DOCS_SAY_H
#define TESTS_LIB_DOCS_SAY_H

#include <stdio.h>
#include <unistd.h>

#include "agent/base/buf.h"
#include "agent/ipc/msg.h"

/** DOCS_SAY() - give message NAME, with these members, to documents @d. Errors: as docs_message(). */
#define DOCS_SAY(d, NAME, ...)                               \
	({                                                   \
		struct msg_##NAME m_ = { __VA_ARGS__ };      \
		AUTO(buf) struct buf b_ = BUF_INIT(1 << 20); \
		msg_put_##NAME(&b_, &m_);                    \
		docs_message(d, MSG_##NAME, buf_slice(&b_)); \
	})

/** docs_dir_end() - remove @dir and the state.db in it. Errors: -1 with errno. */
static inline int docs_dir_end(const char *dir)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/state.db", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/state.db-wal", dir);
	unlink(path);
	return rmdir(dir);
}

#endif
